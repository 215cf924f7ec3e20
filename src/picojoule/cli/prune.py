"""``picojoule prune``: fewer weights or channels, within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picojoule.cli.compression import hardware_option, shape_options, task_arguments, task_options, tell
from picojoule.cli.options import Output, Parsed, output_options
from picojoule.units import parse_share

CRITERIA = ("energy", "magnitude", "magnitude-per-layer", "macs", "channels", "lottery")


@click.command("prune", short_help="Fewer weights or channels, within a budget.")
@click.argument("model")
@click.option(
    "--budget", metavar="B", help='"1.2mJ", "40%" of what it takes now, "20MMACs", "150kB" (of 1000 bytes; KiB of 1024), "8ms".'
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
    help="What a percentage is of: energy, macs, bytes, latency, memory, weights.  [default: energy; of tickets: weights]",
)
@click.option(
    "--criterion", metavar="C", default="energy", show_default=True, help=f"What goes: {', '.join(CRITERIA)}."
)
@click.option(
    "--sensitivity",
    "sensitivity_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Keep what each layer's weights matter there, for other runs on this network.",
)
@shape_options
@click.option("--classes", metavar="A,B,…", help="Keep these classes alone: names of CIFAR-10's, else numbers.")
@click.option(
    "--reject",
    metavar="SHARE",
    type=Parsed("SHARE", parse_share),
    default=0.05,
    show_default=True,
    help="Of images of the kept classes, how many the threshold against others may reject.",
)
@click.option("--rewind", metavar="STEP", type=click.IntRange(min=0), help="Tickets go back to this step.  [default: 0]")
@click.option(
    "--each-round", metavar="SHARE", type=Parsed("SHARE", parse_share), help="Of the weights left, how many go in a round.  [default: 30%]"
)
@click.option("--kinds", metavar="K,K", help="Of tickets: weights, channels.  [default: weights,channels]")
@click.option(
    "--beside",
    metavar="HW",
    multiple=True,
    help="Price tickets on this machine, too; may be repeated.  [default: eyeriss-v2, eyeriss-methodology, eyeriss-like-45nm]",
)
@hardware_option
@task_options
@output_options("table", "json")
def command(*, model: str, output: Output, folder: Path, keep: tuple[str, ...], **given: Any) -> int:
    """Remove weights or channels of MODEL until it meets a budget, tune what is left, and write the network that results.

    MODEL is package.module:factory: a function that returns an nn.Module and an example input. The folder then holds
    weights (safetensors), ONNX files in float32 and INT8, a bundle, and result.json. Exit code 1: the budget can't be met; the smallest network that was
    found is there all the same.

    With --criterion lottery MODEL is untrained: it is trained, pruned by magnitude and rewound, round after round; tickets of
    weights and of channels are trained beside their controls, with other first weights and with a mask drawn at random. With
    --classes the head keeps these classes alone, and the result says what becomes of images of others.
    """
    from picojoule.compress import prune
    from picojoule.compress.lottery import FROM_SCRATCH
    from picojoule.compress.task import TUNING

    tickets = _lottery(given)
    tuning = FROM_SCRATCH if given["criterion"] == "lottery" else TUNING
    arguments = task_arguments(folder=folder, output=output, tuning=tuning, **given)
    return tell(prune(model, keep=keep, lottery=tickets, **arguments), output, folder)


def _lottery(given: dict[str, Any]) -> Any:
    """The options of tickets, taken out of the others; None if none of them is given."""
    from picojoule.compress.lottery import Lottery

    asked = {name: given.pop(name) for name in ("rewind", "each_round", "kinds", "beside")}
    if asked["kinds"] is not None:
        asked["kinds"] = tuple(kind.strip() for kind in asked["kinds"].split(","))
    said = {name: value for name, value in asked.items() if value not in (None, ())}
    return Lottery(**said) if said else None
