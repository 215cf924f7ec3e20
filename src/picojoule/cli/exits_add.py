"""``picojoule exits add``: exits on a network as it came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from picojoule.cli.compression import hardware_option, parse_normalisation
from picojoule.cli.options import Output, Parsed, output_options
from picojoule.units import parse_share

_PATH = click.Path(path_type=Path)


@click.command("add", short_help="Exits on a network, where they save most.")
@click.argument("model")
@click.option("--at", metavar="auto|NAMES", default="auto", show_default=True, help="Layers or blocks to stand behind.")
@hardware_option
@click.option("--folder", metavar="DIR", type=_PATH, required=True, help="For all files; what was broken off goes on there.")
@click.option("--data", metavar="DATA", required=True, help='Labelled images: "digits", or a folder with CIFAR-10.')
@click.option("--all-seen", is_flag=True, help="The network has learnt all training images: let 2,000 test images choose.")
@click.option(
    "--normalise", metavar="M,…/D,…", help="Mean/deviation of pixels by channel, 0 to 1.  [default: of the training images]"
)
@click.option("--weights", "weights_file", metavar="FILE", type=_PATH, help="A safetensors file with the network's weights.")
@click.option(
    "--head-energy", metavar="SHARE", type=Parsed("SHARE", parse_share), default=0.05, show_default="5%",
    help="Of the network's energy, that one classifier may take.",
)  # fmt: skip
@click.option("--most", metavar="N", type=click.IntRange(min=1), default=3, show_default=True, help="Exits that auto adds at most.")
@click.option("--lose", metavar="POINTS", type=float, default=0.2, show_default=True, help="Accuracy that may be lost.")
@click.option("--train-backbone", is_flag=True, help="Train all weights, not the classifiers alone.")
@click.option("--epochs", metavar="N", type=click.IntRange(min=1), help="Of the training.  [default: 10, with the backbone 3]")
@click.option("--rate", metavar="R", type=float, help="Peak learning rate.  [default: 0.003, with the backbone 0.001]")
@click.option(
    "--distil", metavar="S", type=float, help="Share of the loss that comes from the last exit.  [default: 0.5, with the backbone 0.9]"
)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="Of first weights and images.  [default: 0]")
@click.option("--bits", metavar="BITS", help="Bits of all tensors, or weights=4,inputs=8,outputs=8.")
@output_options("table", "json")
def command(
    *,
    model: str,
    folder: Path,
    normalise: str | None,
    epochs: int | None,
    rate: float | None,
    distil: float | None,
    seed: int | None,
    output: Output,
    **given: Any,
) -> None:
    """Add exits to MODEL where they save most energy, train them, and write what `exits decide` and `exits deploy` take.

    MODEL is package.module:factory: a function that returns an nn.Module and an example input. Exits stand where one tensor alone is
    handed on: between layers in a row, or between residual blocks. With --at auto places are chosen by the saving that they buy,
    before training.
    """
    from picojoule.exits import add
    from picojoule.reporting import added_exits_text

    asked = {"epochs": epochs, "peak_rate": rate, "distil": distil, "seed": seed}
    found = add(
        model,
        output=folder,
        normalisation=None if normalise is None else parse_normalisation(normalise),
        recipe={name: value for name, value in asked.items() if value is not None},
        note=output.note,
        **given,
    )
    if output.format == "json":
        text = json.dumps(found.to_data(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    else:
        text = added_exits_text(found, width=output.width, color=output.colored)
    output.write(text)
    output.note(f" wrote {folder}")
