"""``picojoule quantize``: fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picojoule.cli.compression import hardware_option, task_arguments, task_options, tell
from picojoule.cli.options import Output, output_options


@click.command("quantize", short_help="Fewer bits: INT8, or 2 to 8 by layer.")
@click.argument("model")
@click.option(
    "--budget",
    metavar="B",
    help='Of energy: "1.2mJ", or "60%" of what it takes at 8 bits; or of the weights: "150 kB". Weights get 2 to 8 bits, by layer.',
)
@click.option("--mean-bits", metavar="N", type=float, help="Instead: bits a weight, on average.")
@hardware_option
@task_options
@output_options("table", "json")
def command(*, model: str, output: Output, folder: Path, **given: Any) -> int:
    """Give MODEL fewer bits and write the network that results.

    Without --budget and --mean-bits: INT8 weights and activations, as ONNX Runtime runs them, with the best of three
    calibrations. With one of them every layer's weights get from 2 to 8 bits, chosen for the least loss, and are tuned.
    """
    from picojoule.compress import quantize

    return tell(quantize(model, **task_arguments(folder=folder, output=output, **given)), output, folder)
