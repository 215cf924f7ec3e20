"""A network as a folder that ``picojoule run`` runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picojoule.errors import UsageError
from picojoule.frontends import parse_shape
from picojoule.reporting.exports.target import Option, Source, Target, one_of
from picojoule.result import Estimate


def _write(
    sources: tuple[Source, ...],
    output: Path,
    *,
    form: str,
    width: int,
    color: bool,
    force: bool,
    shape: Any = (),
    **options: Any,
) -> str:
    # What makes a bundle needs onnx and onnxruntime; the other targets do without.
    from picojoule.reporting.bundles import bundle_data, bundle_text
    from picojoule.runtime.bundle_export import export_bundle

    source = one_of(sources)
    if isinstance(source, Estimate):
        raise UsageError("a bundle is made of a network, not of a result", where="source")
    sizes = shape if isinstance(shape, Mapping) else {name: size for one in shape for name, size in one.items()}
    bundle = export_bundle(source, output, shape=sizes or None, force=force, **options)
    if form == "json":
        return json.dumps(bundle_data(bundle), indent=1, ensure_ascii=False) + "\n"
    return bundle_text(bundle, width=width, color=color)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{text!r} is not a number")
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{text!r} is not a whole number from 0")
    return int(text)


TARGET = Target(
    name="bundle",
    meaning="A folder of ONNX files and a manifest, which `picojoule run` runs.",
    options=(
        Option(
            name="shape",
            metavar="NAME=1x3x224x224",
            parse=parse_shape,
            several=True,
            help="Size of an input of the network.",
        ),
        Option(name="labels", metavar="FILE", path=True, help="Names of the classes, one a line or a JSON list."),
        Option(
            name="preprocess",
            metavar="HOW",
            help="How images become the input: pixels, unit, imagenet, or a JSON file.",
        ),
        Option(
            name="exits",
            choices=("auto", "none"),
            default="auto",
            help="auto: outputs that are all batch × classes are exits, one stage each.",
        ),
        Option(
            name="scores",
            choices=("auto", "logits", "probabilities", "none"),
            default="auto",
            help="What an output of batch × classes is.",
        ),
        Option(
            name="confidence",
            metavar="C",
            parse=_number,
            help="Let samples leave at exits that are so sure, 0 to 1.",
        ),
        Option(
            name="tolerance",
            metavar="T",
            parse=_number,
            default=1e-4,
            help="Largest difference from the network's answers.",
        ),
        Option(name="seed", metavar="N", parse=_whole, default=0, help="Of the inputs that answers are compared on."),
        Option(name="trust", flag=True, help="Load a .pt2 file with PyTorch, which may run code that is in it."),
    ),
    forms=("table", "json"),
    folder=True,
    write=_write,
)
