"""What ``prune``, ``quantize`` and ``adapt`` share: how their network is judged and tuned, and what they print."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from picojoule.cli.options import Output
from picojoule.errors import UsageError

if TYPE_CHECKING:
    from picojoule.compress import Compression
    from picojoule.train import Recipe

MISSED = 1
hardware_option = click.option("--hardware", metavar="HW", required=True, help="The machine whose energy is meant.")
_SHAPE = (
    click.option("--bits", metavar="BITS", help="Bits of all tensors, or weights=4,inputs=8,outputs=8."),
    click.option(
        "--grid",
        metavar="N",
        type=click.IntRange(min=1),
        default=8,
        show_default=True,
        help="Channels come in multiples of it.",
    ),
    click.option("--keep", metavar="LAYER", multiple=True, help="A layer that keeps its filters, inputs and weights (they are tuned); may be repeated."),
)
_PATH = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def shape_options(command: _Command) -> _Command:
    """Gives a command the options about what may go and at which bits it is modelled."""
    for option in reversed(_SHAPE):
        command = option(command)
    return command


def task_options(command: _Command) -> _Command:
    """Gives a command the options about data, callables and fine-tuning; ``task_arguments`` reads them."""
    options = (
        click.option(
            "--folder",
            metavar="DIR",
            type=_PATH,
            required=True,
            help="For all files; what was broken off goes on there.",
        ),
        click.option("--data", metavar="DATA", help='Labelled images: "digits", or a folder with CIFAR-10.'),
        click.option(
            "--all-seen", is_flag=True, help="The network has learnt all training images: let 2,000 test images choose."
        ),
        click.option(
            "--normalise",
            metavar="M,…/D,…",
            help="Mean/deviation of pixels by channel, 0 to 1.  [default: of the training images]",
        ),
        click.option(
            "--train",
            metavar="PKG:FN",
            help="Instead of --data: your training, called with the module and after_step=.",
        ),
        click.option("--evaluate", metavar="PKG:FN", help="Your accuracy of a module, 0 to 1."),
        click.option("--calibrate", metavar="PKG:FN", help="Your batches of inputs, as tensors."),
        click.option(
            "--weights",
            "weights_file",
            metavar="FILE",
            type=_PATH,
            help="A safetensors file with the network's weights.",
        ),
        click.option("--epochs", metavar="N", type=click.IntRange(min=1), help="Of fine-tuning.  [default: 6]"),
        click.option("--rate", metavar="R", type=float, help="Peak learning rate of fine-tuning.  [default: 0.001]"),
        click.option(
            "--distil",
            metavar="S",
            type=float,
            help="Share of the loss that comes from the network as it was.  [default: 0.9]",
        ),
        click.option("--seed", metavar="N", type=click.IntRange(min=0), help="Of fine-tuning.  [default: 0]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def task_arguments(
    *,
    normalise: str | None,
    train: str | None,
    evaluate: str | None,
    calibrate: str | None,
    epochs: int | None,
    rate: float | None,
    distil: float | None,
    seed: int | None,
    output: Output,
    tuning: Recipe | None = None,
    **given: Any,
) -> dict[str, Any]:
    """The options of ``task_options`` as ``prune``, ``quantize`` and ``adapt`` take them; ``tuning`` is the recipe that they change."""
    from dataclasses import replace

    from picojoule.compress.task import TUNING

    asked = {"epochs": epochs, "peak_rate": rate, "distil": distil, "seed": seed}
    given["output"] = given.pop("folder")
    return {
        **given,
        "normalisation": None if normalise is None else parse_normalisation(normalise),
        "train": _function("--train", train),
        "evaluate": _function("--evaluate", evaluate),
        "calibrate": _function("--calibrate", calibrate),
        "recipe": replace(tuning or TUNING, **{name: value for name, value in asked.items() if value is not None}),
        "note": output.note,
    }


def tell(result: Compression, output: Output, folder: Path) -> int:
    """Prints the result, and answers with the exit code."""
    from picojoule.reporting.compressions import compression_text

    if output.format == "json":
        output.write(json.dumps(result.to_data(), indent=1, ensure_ascii=False) + "\n")
    else:
        output.write(compression_text(result, width=output.width, color=output.colored))
    output.note(
        f" wrote {folder}       next: picojoule {_next(result, folder)}"
    )
    return 0 if result.met else MISSED


def _next(result: Compression, folder: Path) -> str:
    if "estimate" in result.files:
        return f"explain {folder / result.files['estimate']}"
    return f"report {folder / 'result.json'} -o {folder.name}.html"


def _function(option: str, name: str | None) -> Any:
    if name is None:
        return None
    from picojoule.frontends.factory import find_attribute

    return find_attribute(name, option)


def parse_normalisation(text: str) -> Any:
    """Mean and deviation of pixels (0–255) by channel from ``M,…/D,…`` of 0 to 1.

    Raises:
        UsageError: it is none.
    """
    import numpy as np

    match = re.fullmatch(r"\s*([\d.,\s]+)/([\d.,\s]+)", text)
    try:
        mean, deviation = ([float(x) for x in part.split(",")] for part in match.groups())  # type: ignore[union-attr]
    except (AttributeError, ValueError):
        mean, deviation = [], [0.0]
    hint = "For example: 0.485,0.456,0.406/0.229,0.224,0.225"
    if len(mean) != len(deviation) or min(deviation) <= 0:
        raise UsageError(f"{text!r} is no mean and deviation", where="--normalise", hint=hint)
    if max(*mean, *deviation) > 1:
        hint = f"Divide those of pixels from 0 to 255 by 255. {hint}"
        raise UsageError(f"pixels go from 0 to 1 here, got {text!r}", where="--normalise", hint=hint)
    return np.float32(mean) * 255, np.float32(deviation) * 255
