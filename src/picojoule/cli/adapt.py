"""``picojoule adapt``: fewer filters, as measurements or a model say, until budgets are met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picojoule.cli.compression import shape_options, task_arguments, task_options, tell
from picojoule.cli.options import Output, cluster_option, output_options, timeout_option

METHODS = ("netadapt", "uniform", "morphnet")


@click.command("adapt", short_help="Fewer filters, step by step, within measured or modelled budgets.")
@click.argument("model")
@click.option(
    "--budget",
    metavar="B",
    required=True,
    multiple=True,
    help='"8ms", "1.2mJ", "20MMACs", "40%" of what it takes now, "40% macs"; several are all to be met.',
)
@click.option(
    "--hardware",
    metavar="HW",
    multiple=True,
    help='"measured": here, or by --runner; a machine, whose energy and latency are modelled; or both.  [default: measured]',
)
@click.option(
    "--of", metavar="KIND", help="What a bare percentage is of: latency, energy, macs.  [default: latency if measured, else energy]"
)
@click.option(
    "--waypoint", metavar="B", multiple=True,
    help="A looser budget on the way, whose network is tuned and kept, too, in DIR/at-B; may be repeated.",
)
@click.option(
    "--method", metavar="M", default="netadapt", show_default=True, help=f"{', '.join(METHODS)}: the last two to compare with."
)
@click.option(
    "--step", metavar="S", type=float, default=0.025, show_default=True, help="Share of the start that the first step takes off."
)
@click.option(
    "--decay", metavar="D", type=float, default=0.96, show_default=True, help="What every step asks for of that before it."
)
@click.option(
    "--iterations", metavar="N", type=click.IntRange(min=1), help="Steps in which to be there; --step is then worked out."
)
@click.option(
    "--steps",
    metavar="N",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Of the optimizer for each proposal.",
)
@click.option(
    "--judged-on",
    metavar="N",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Choosing images on which proposals are compared, at most.",
)
@shape_options
@click.option("--runner", metavar="COMMAND", help='Measure elsewhere: a command with {onnx} that prints {"ms": …}.')
@timeout_option
@click.option(
    "-j", "--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that tune proposals."
)
@cluster_option
@task_options
@output_options("table", "json")
def command(
    *, model: str, output: Output, folder: Path, budget: tuple[str, ...], hardware: tuple[str, ...], keep: tuple[str, ...],
    **given: Any,
) -> int:  # fmt: skip
    """Take filters away from MODEL, step by step where accuracy suffers least, until it meets its budgets; then tune it.

    MODEL is package.module:factory: a function that returns an nn.Module and an example input. The folder then holds
    weights (safetensors), an ONNX file and result.json with every step. What is broken off goes on if it is started again,
    and ends with the same network. Exit code 1: the budget can't be met; what was come to is there all the same.
    """
    from picojoule.compress import adapt

    asked = task_arguments(folder=folder, output=output, **given)
    return tell(adapt(model, budget=budget, hardware=hardware or ("measured",), keep=keep, **asked), output, folder)
