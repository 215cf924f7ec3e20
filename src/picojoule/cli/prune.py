"""``picojoule prune``: fewer weights or channels, within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picojoule.cli.compression import hardware_option, task_arguments, task_options, tell
from picojoule.cli.options import Output, output_options

CRITERIA = ("energy", "magnitude", "magnitude-per-layer", "macs", "channels")


@click.command("prune", short_help="Fewer weights or channels, within a budget.")
@click.argument("model")
@click.option(
    "--budget", metavar="B", help='"1.2mJ", "40%" of what it takes now, "20MMACs", "150kB", "8ms".'
)
@click.option(
    "--lose",
    metavar="POINTS",
    type=float,
    help="Instead, or as well: prune round after round while no more points of accuracy are lost.",
)
@click.option(
    "--of",
    metavar="KIND",
    default="energy",
    show_default=True,
    help="What a percentage is of: energy, macs, bytes, latency, memory.",
)
@click.option(
    "--criterion", metavar="C", default="energy", show_default=True, help=f"What goes: {', '.join(CRITERIA)}."
)
@click.option("--bits", metavar="BITS", help="Bits of all tensors, or weights=4,inputs=8,outputs=8.")
@click.option(
    "--grid",
    metavar="N",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Channels come in multiples of it.",
)
@click.option(
    "--sensitivity",
    "sensitivity_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Keep what each layer's weights matter there, for other runs on this network.",
)
@click.option("--keep", metavar="LAYER", multiple=True, help="A layer that must not change; may be repeated.")
@hardware_option
@task_options
@output_options("table", "json")
def command(*, model: str, output: Output, folder: Path, keep: tuple[str, ...], **given: Any) -> int:
    """Remove weights or channels of MODEL until it meets a budget, tune what is left, and write the network that results.

    MODEL is package.module:factory: a function that returns an nn.Module and an example input. The folder then holds
    weights (safetensors), ONNX files in float32 and INT8, a bundle, and result.json. Exit code 1: the budget can't be met; the smallest network that was
    found is there all the same.
    """
    from picojoule.compress import prune

    return tell(prune(model, keep=keep, **task_arguments(folder=folder, output=output, **given)), output, folder)
