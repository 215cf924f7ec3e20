"""``picojoule estimate``: the best way to run a network on a machine, with proof."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picojoule.atomic_file import replaced
from picojoule.cli.failures import INTERRUPTED
from picojoule.cli.options import Output, Parsed, output_options, progress_option, shows_progress
from picojoule.cli.options import check_replaces_no_input as check_no_input
from picojoule.cli.options import time_limit as parse_time_limit
from picojoule.cli.streams import check_output, paint, shows_color
from picojoule.errors import PicojouleError, SystemFailure, UsageError
from picojoule.units import parse_fraction

if TYPE_CHECKING:
    from picojoule.result import Estimate

SORTS = ("energy", "name", "macs", "order", "latency", "gap", "memory")


def _bits(text: str) -> int | str:
    return int(text) if text.strip().isascii() and text.strip().isdigit() else text


def _shape(text: str) -> dict[str, tuple[int, ...]]:
    from picojoule.frontends import parse_shape

    return parse_shape(text)


shape_option = click.option(
    "--shape",
    metavar="NAME=1x3x224x224",
    type=Parsed("SHAPE", _shape),
    multiple=True,
    help="Size of an input of an ONNX file or torch model; may be repeated.",
)


def shapes_of(given: tuple[dict[str, tuple[int, ...]], ...]) -> dict[str, tuple[int, ...]] | None:
    """All shapes that ``--shape`` gave, by input; None where it gave none."""
    return {name: sizes for one in given for name, sizes in one.items()} or None


@click.command("estimate", short_help="Find the best way to run a network on a machine, with proof.")
@click.argument("model")
@click.option(
    "--hardware",
    metavar="HW",
    required=True,
    help="A machine: a name of `picojoule hardware list`, or a YAML file; perhaps with :VARIANT or :PARAMETER=VALUE.",
)
@click.option(
    "--batch", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Inputs processed together."
)
@click.option(
    "--bits",
    type=Parsed("BITS", _bits),
    help="Widths: 8, or weights=4,inputs=8,outputs=8,psums=20.  [default: the model's, else the machine's]",
)
@click.option(
    "--objective",
    type=click.Choice(["energy", "latency", "edp"]),
    default="energy",
    show_default=True,
    help="What is made least.",
)
@click.option(
    "--sparsity",
    metavar="WHAT",
    help="Zeros: given (those that the model states or its weights hold), measured (on --data), or shares: weights=0.3.",
)
@click.option(
    "--data",
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="A folder of images or an .npz file to measure zeros on.",
)
@click.option(
    "--gap",
    type=Parsed("GAP", parse_fraction),
    default="0",
    show_default=True,
    help="Stop a layer's search when it is proved this close.",
)
@click.option(
    "--time-limit",
    type=Parsed("TIME", parse_time_limit),
    default="3s",
    show_default=True,
    help="Stop a layer's search after this; none for never.",
)
@click.option(
    "--node-limit",
    metavar="N",
    type=click.IntRange(min=1),
    help="Stop a layer's search after so many spatial assignments.",
)
@click.option(
    "--factors",
    type=click.Choice(["any", "exact"]),
    default="any",
    show_default=True,
    help="exact: every tile divides its dimension; a smaller space, searched in a fraction of the time.",
)
@click.option(
    "--certificate",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the proof: every part of the map space with its bound, for verify to derive anew.",
)
@click.option(
    "--fuse",
    metavar="GROUPS",
    default="off",
    show_default=True,
    help="Run layers in groups whose results in between stay on chip: auto, or names joined by + (dw*+pw*).",
)
@click.option("--front", is_flag=True, help="Also find all that energy and latency trade for each other.")
@click.option(
    "--fps",
    metavar="N",
    type=click.FloatRange(min=0, min_open=True),
    help="Also say which power so many inferences a second take.",
)
@click.option(
    "--mapping",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the mappings of FILE; layers that it leaves out are searched.",
)
@click.option(
    "--table", metavar="NAME", help="Price the machine with another energy table: a built-in name, or a YAML file."
)
@click.option(
    "--counting",
    type=click.Choice(["exact", "timeloop"]),
    default="exact",
    show_default=True,
    help="timeloop counts as Timeloop does.",
)
@shape_option
@click.option("--strict", is_flag=True, help="Fail if anything of the model is not costed.")
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option(
    "--cache/--no-cache", default=True, show_default=True, help="Reuse what earlier runs found for equal layers."
)
@click.option("--all", "all_layers", is_flag=True, help="Show every layer.")
@click.option(
    "--sort", type=click.Choice(SORTS), default="energy", show_default=True, help="Order of the layers shown."
)
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the result file goes.  [default: MODEL.HARDWARE.json, with --table MODEL.HARDWARE.TABLE.json]",
)
@click.option("--no-save", is_flag=True, help="Write no result file.")
@progress_option
@output_options("table", "json", "csv", "md", writes=("save", "certificate"))
def command(
    *,
    model: str,
    output: Output,
    shape: tuple[dict[str, tuple[int, ...]], ...],
    gap: float,
    time_limit: float | None,
    node_limit: int | None,
    factors: str,
    all_layers: bool,
    sort: str,
    save: Path | None,
    no_save: bool,
    progress: str,
    **asked: Any,
) -> int:
    """Find the best way to run MODEL on a machine, and say where its energy goes.

    MODEL is an ONNX file, a program of torch.export (.pt2), a layer table (ours, SCALE-Sim's or MIT's), a built-in
    network (`picojoule models list`), or package.module:factory, which returns an nn.Module.

    For every layer of the network the mapping of least energy (or latency, or energy × delay) is searched for; beside
    it stand the bound, which no mapping of the searched space undercuts, and the floor, which no mapping at all does.
    The result file holds everything; `picojoule verify` checks it again.
    """
    if save is not None:
        _check_save(save, no_save)
    if asked["certificate"] is not None:
        check_output(asked["certificate"], force=True, option="--certificate")

    from picojoule.estimation import estimate
    from picojoule.search import Exact

    search = Exact(gap=gap, time_limit_s=time_limit, node_limit=node_limit, factors=factors)
    with followed(progress, output) as follow:
        result = estimate(model, search=search, shape=shapes_of(shape), progress=follow, **asked)
    failure = None
    if save is None and not no_save:
        save = default_file(result, asked["table"] is not None)
        if output.path is not None and replaced(save, [output.path]):
            save = None  # what was asked for comes before what wasn't
        else:
            inputs = [model, *(asked[name] for name in ("hardware", "mapping", "table", "data"))]
            failure = _clash(save, [Path(one) for one in inputs if one], asked["certificate"])
    failure = failure or _kept(result, save)
    # Where JSON is asked for, standard output holds one document: the result, or why it could not be kept.
    if failure is None or output.format != "json":
        try:
            output.write(_formatted(result, output, all_layers, sort))
        except SystemFailure:
            if save is not None and failure is None:
                output.note(f" wrote {save}")
            raise
    if failure is not None:
        raise failure
    return _told_where(result, output, save)


def _clash(save: Path, inputs: list[Path], certificate: Path | None) -> PicojouleError | None:
    """Why the result file can't have its default name, which isn't known before the result: another file has it."""
    try:
        check_no_input(save, inputs, "--save")
        if certificate is not None and replaced(save, [certificate]):
            message = "the certificate has the name that the result file has by default"
            raise UsageError(message, where=f"--certificate {save}", hint="Name the result file with --save.")
    except UsageError as error:
        return error
    return None


def _kept(result: Estimate, save: Path | None) -> PicojouleError | None:
    """Writes the result file before anything is shown; what failed is handed back, so that the result is shown yet."""
    from picojoule.result_file import write_result

    if save is None:
        return None
    try:
        write_result(result, save)
    except PicojouleError as error:
        return error
    return None


def _told_where(result: Estimate, output: Output, save: Path | None) -> int:
    """Says where everything went, and returns the exit code."""
    if not output.to_stdout:
        output.note(f" wrote {output.path}")
    if save is not None:
        output.note(f" wrote {save}       next: picojoule verify {shlex.quote(str(save))}")
    if result.status != "INTERRUPTED":
        return 0
    kept = "the best found until then is shown" + (f" and kept in {save}" if save is not None else "")
    output.note(paint("interrupted:", "red", output.color) + f" {kept}")
    return INTERRUPTED


def _formatted(result: Estimate, output: Output, all_layers: bool, sort: str) -> str:
    from picojoule.reporting import estimate_csv, estimate_markdown, estimate_text

    if output.format == "json":
        return result.to_json()
    if output.format == "csv":
        return estimate_csv(result)
    if output.format == "md":
        return estimate_markdown(result, sort=sort)
    return estimate_text(
        result, width=output.width, color=output.colored, all_layers=all_layers, sort=sort, detail=output.verbose > 0
    )


def default_file(result: Estimate, table: bool = False) -> Path:
    """``MODEL.HARDWARE.json`` in the current folder, with nothing in it that a file name can't have.

    Args:
        result: to be kept.
        table: the energy table was asked for: ``MODEL.HARDWARE.TABLE.json``, so that results under several stay apart.
    """
    names = [result.model, str(result.hardware["name"]), *([str(result.table["name"])] if table else [])]
    return Path(".".join([*map(_safe, names), "json"]))


def _safe(name: str) -> str:
    # A file name has at most 255 bytes; a leading dot would hide it, a leading dash would make it an option.
    plain = re.sub(r"[^\w.+-]+", "-", name).strip("-.")
    return plain.encode()[:100].decode(errors="ignore") or "unnamed"


def _check_save(save: Path, no_save: bool) -> None:
    if no_save:
        raise UsageError("--save and --no-save exclude each other")
    check_output(save, force=True, option="--save")
    if save.exists() and not save.is_file():
        raise UsageError("not a regular file", where=f"--save {save}", hint="-o writes to devices and pipes.")


def followed(when: str, output: Output) -> Any:
    """A context that yields what ``estimate`` calls while it works, or None."""
    if shows_progress(when, quiet=output.quiet):
        from picojoule.cli.progress import drawn

        return drawn(color=shows_color(sys.stderr, output.color))
    silent = output.quiet or (when == "never" and not output.verbose)
    return nullcontext(None if silent else _told(output))


def _told(output: Output) -> Callable[[Any], None]:
    """Without a terminal, a line says what takes long before the first layer; -v tells of each layer in another one."""
    begun: set[int] = set()

    def follow(state: Any) -> None:
        if not (state.note or output.verbose) or (not state.note and state.index in begun):
            return
        from picojoule.cli.progress import sentence

        if state.note:
            output.note(f" {sentence(state)}")
        else:
            begun.add(state.index)
            output.note(f" {state.index + 1}/{state.layers} {sentence(state)}")

    return follow
