"""``picojoule measure``: what a network takes on this machine, or on another that a command reaches."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picojoule.atomic_file import replace_file
from picojoule.cli.failures import INTERRUPTED
from picojoule.cli.options import (
    Output,
    Parsed,
    check_replaces_no_input,
    output_options,
    progress_option,
    shows_progress,
    timeout_option,
)
from picojoule.cli.streams import check_output, say
from picojoule.errors import InputError, PicojouleError, SystemFailure, UsageError

if TYPE_CHECKING:
    from picojoule.runtime.measurement import Measurement


def _shape(text: str) -> dict[str, tuple[int, ...]]:
    from picojoule.frontends.resolve import parse_shape

    return parse_shape(text)


@click.command("measure", short_help="Latency, memory and energy of a network, measured.")
@click.argument("model")
@click.option("--against", metavar="MODEL", help="Another model: the two run in turn, and their ratio is told.")
@click.option(
    "--runs", metavar="N", type=click.IntRange(min=1), help="Runs that count.  [default: 100; 5 with --runner]"
)
@click.option(
    "--warmup",
    metavar="N",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Runs before, which don't count.",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads, held on as many processors.",
)
@click.option(
    "--batch", metavar="N", type=click.IntRange(min=1), help="Batch of a model that leaves it open.  [default: 1]"
)
@click.option(
    "--shape",
    metavar="NAME=1x3x224x224",
    multiple=True,
    type=Parsed("NAME=SIZES", _shape),
    help="Size of an input that the model leaves open.",
)
@click.option(
    "--table", is_flag=True, help="Also foretell the latency from the look-up table of layers, with its error."
)
@click.option(
    "--runner",
    metavar="COMMAND",
    help='Measure on another device: a command with {onnx} that prints {"ms": …, "joules": …}.',
)
@timeout_option
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Draws the inputs.")
@click.option(
    "--save", metavar="FILE", type=click.Path(path_type=Path), help="Result file.  [default: MODEL.measured.json]"
)
@click.option("--no-save", is_flag=True, help="Write no result file.")
@progress_option
@output_options("table", "json", writes=("save",))
def command(
    *, model: str, against: str | None, runs: int | None, warmup: int, threads: int, batch: int | None,
    shape: tuple[dict[str, tuple[int, ...]], ...], table: bool, runner: str | None, timeout: float, seed: int,
    save: Path | None, no_save: bool, progress: str, output: Output,
) -> int:  # fmt: skip
    """Measure MODEL on this machine: latency of the network and of every node, peak memory, and energy where there is a meter.

    MODEL is an ONNX file or package.module:factory. With --runner a command of yours measures it elsewhere. If that
    fails, or on Ctrl-C, what was measured is shown and kept, and the exit code is 4, 3 (it printed no figures) or 130.
    """
    from picojoule.reporting.measurements import measurement_text
    from picojoule.runtime.measuring import measure

    if save is not None and no_save:
        raise UsageError("--save and --no-save contradict each other")
    path = None if no_save else save or Path(f"{Path(model.replace(':', '.')).name}.measured.json")
    if path is not None:
        check_output(path, force=True, option="--save")
        check_replaces_no_input(path, [Path(one) for one in (model, against) if one and Path(one).is_file()], "--save")
    sizes = {name: size for one in shape for name, size in one.items()}
    draws = shows_progress(progress, quiet=output.quiet)

    def draw(done: int, rounds: int) -> None:
        sys.stderr.write(f"\r\x1b[K {done} of {rounds} runs" if done < rounds else "\r\x1b[K")
        sys.stderr.flush()

    found = measure(
        model, against=against, runs=runs, warmup=warmup, threads=threads, batch=batch, shape=sizes or None, table=table,
        runner=runner, timeout=timeout, seed=seed, progress=draw if draws else None,
    )  # fmt: skip
    data = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if path is not None:
        replace_file(path, data)
    if found.failed is not None and output.format == "json" and found.failed["code"] != "interrupted":
        # One document on standard output, and that is the error; what was measured is in the file.
        raise _failure(found, path)
    output.write(data if output.format == "json" else measurement_text(found, width=output.width, color=output.colored))
    if path is not None and found.failed is None:
        output.note(f" wrote {path}")
    if found.failed is None:
        return 0
    if found.failed["code"] == "interrupted":
        say(f"interrupted: what was measured is kept{f' in {path}' if path else ''}")
        return INTERRUPTED
    raise _failure(found, path)


def _failure(found: Measurement, path: Path | None) -> PicojouleError:
    """The error that ended a measurement, with where the rest of it is kept."""
    failed = found.failed or {}
    kept = len(found.network.latencies_s)
    kind = InputError if failed.get("exit_code") == "3" else SystemFailure
    where = f"in {path}" if path is not None else "above"
    hint = " ".join(
        filter(None, [failed.get("hint", ""), f"{kept} measured before {'is' if kept == 1 else 'are'} kept {where}."])
    )
    return kind(failed.get("message", ""), where=failed.get("where", ""), hint=hint)
