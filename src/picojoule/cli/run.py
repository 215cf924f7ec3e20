"""``picojoule run``: a bundle on images or arrays, with nothing but ONNX Runtime and numpy."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picojoule.cli.failures import INTERRUPTED
from picojoule.cli.options import Output, Parsed, output_options
from picojoule.cli.streams import check_output
from picojoule.units import parse_joules

_PATH = click.Path(path_type=Path)


@click.command("run", short_help="Run a bundle on images or arrays.")
@click.argument("bundle", type=_PATH)
@click.option(
    "--input", "input_", metavar="PATH", type=_PATH, required=True, help="A folder of images, or an .npz file."
)
@click.option(
    "--batch", metavar="N", type=click.IntRange(min=1), default=32, show_default=True, help="Samples at a time."
)
@click.option("--top-k", metavar="K", type=click.IntRange(min=1), default=5, show_default=True, help="Classes to show.")
@click.option(
    "--confidence",
    metavar="C",
    type=float,
    help="Samples leave at the first exit that is so sure, 0 to 1; else by the thresholds in the bundle.",
)
@click.option("--alpha", metavar="A", type=float, help="Operating point for this importance of energy, 0 to 1.")
@click.option("--target-accuracy", metavar="A", type=float, help="Or: the cheapest one that guarantees this accuracy.")
@click.option(
    "--energy-budget",
    metavar="E",
    type=Parsed("E", parse_joules),
    help="Or: the most accurate one within this mean energy an inference, such as 80uJ.",
)
@click.option("--threads", metavar="N", type=click.IntRange(min=1), help="Threads of ONNX Runtime; else as it chooses.")
@click.option("--outputs", metavar="FILE", type=_PATH, help="Also write the network's outputs to FILE (.npz).")
@output_options("table", "json", "csv", writes=("outputs",))
def command(
    *,
    bundle: Path,
    input_: Path,
    batch: int,
    top_k: int,
    confidence: float | None,
    alpha: float | None,
    target_accuracy: float | None,
    energy_budget: float | None,
    threads: int | None,
    outputs: Path | None,
    output: Output,
) -> int:
    """Run BUNDLE, the folder that `picojoule export --to bundle` wrote, on all that --input names.

    The bundle is verified first. Arrays of an .npz file are fed as they are; pixels and images are prepared as the
    bundle says. An array `labels` beside them gives the accuracy.

    A bundle that `picojoule exits deploy` wrote has operating points: --alpha, --target-accuracy or --energy-budget
    takes one of them, and where samples leave is compared with its calibration.
    """
    from picojoule.reporting.runs import run_csv, run_data, run_text
    from picojoule.runtime.session import STATED, Session
    from picojoule.runtime.session_policy import uniform_policy
    from picojoule.runtime.session_run import run_inputs

    if outputs is not None:
        check_output(outputs, force=output.force, option="--outputs")
    session = Session(bundle, threads=threads)
    policy = STATED if confidence is None else uniform_policy(session.manifest, confidence)
    ran = run_inputs(
        session,
        input_,
        batch=batch,
        top_k=top_k,
        policy=policy,
        alpha=alpha,
        target_accuracy=target_accuracy,
        energy_budget_j=energy_budget,
        outputs=outputs,
        threads=threads,
    )
    if output.format == "json":
        output.write(json.dumps(run_data(ran), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    elif output.format == "csv":
        output.write(run_csv(ran))
    else:
        output.write(run_text(ran, width=output.width, color=output.colored))
    if ran.drift is not None:
        output.note(f" beware: {ran.drift}")
    return INTERRUPTED if ran.interrupted else 0
