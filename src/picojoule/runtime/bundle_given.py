"""What is given to a bundle beside its network: preprocessing, labels, and what is known of its exits."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from picojoule.errors import InputError, SystemFailure, UnknownNameError, UsageError, nearest
from picojoule.runtime.manifest import COLOURS, Manifest, Preprocessing, Stage
from picojoule.runtime.manifest_file import preprocessing_of

PRESETS = ("pixels", "unit", "imagenet")
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def given_preprocessing(given: str | os.PathLike[str] | Preprocessing, manifest: Manifest) -> Preprocessing:
    if isinstance(given, Preprocessing):
        return given
    text = os.fspath(given)
    if text in PRESETS:
        return _preset(text, manifest)
    path = Path(text)
    if not path.is_file():
        raise UnknownNameError(
            f"there is no preprocessing {text!r}", where="preprocess", hint=f"{nearest(text, PRESETS)} Or a JSON file."
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise InputError(f"not JSON: {problem}", where=text) from None
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=text) from problem
    return preprocessing_of(document, where=text)


def _preset(name: str, manifest: Manifest) -> Preprocessing:
    """Images of any size are resized to what the network takes; ``imagenet`` leaves a border, as it is trained."""
    shape = manifest.inputs[0].shape
    channels = {count: colour for colour, count in COLOURS.items() if colour != "BGR"}
    last = len(shape) == 3 and shape[0] not in channels
    if len(shape) != 3 or shape[-1 if last else 0] not in channels:
        raise UsageError(
            f"{name!r} is for images of 1 or 3 channels; the input takes {list(shape)}", where="preprocess"
        )
    count = shape[-1] if last else shape[0]
    rows, columns = shape[:2] if last else shape[1:]
    plain = Preprocessing(
        colour=channels[count],
        layout="NHWC" if last else "NCHW",
        resize=(rows, columns),
        scale=1.0 if name == "pixels" else 1 / 255,
        mean=(0.0,) * count,
        std=(1.0,) * count,
    )
    if name != "imagenet":
        return plain
    if count != 3:
        raise UsageError(f"'imagenet' is for images of 3 channels; the input takes {list(shape)}", where="preprocess")
    return replace(
        plain,
        resize=round(min(rows, columns) * 256 / 224),
        crop=(rows, columns),
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
    )


def given_labels(given: str | os.PathLike[str] | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, str | os.PathLike):
        return tuple(given)
    path = Path(given)
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}", where="labels", hint="One label a line, or a JSON list.")
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix.lower() == ".json" else text.splitlines()
    except (ValueError, RecursionError) as problem:
        raise InputError(f"not readable labels: {problem}", where=str(path)) from None
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=str(path)) from problem
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise InputError("labels are a list of texts", where=str(path))
    return tuple(found)


def with_data(
    stages: tuple[Stage, ...],
    thresholds: Sequence[float | None] | None,
    temperatures: Sequence[float] | None,
    energies_pj: Sequence[float] | None,
) -> tuple[Stage, ...]:
    """The stages with what is known of their exits."""
    count = len(stages)
    for name, values, wanted in (
        ("thresholds", thresholds, count - 1),
        ("temperatures", temperatures, count),
        ("energies_pj", energies_pj, count),
    ):
        if values is not None and len(values) != wanted:
            raise UsageError(f"{count} exits need {wanted} {name}, got {len(values)}", where=name)
    found = []
    for number, stage in enumerate(stages):
        assert stage.exit is not None
        exit_ = stage.exit
        if thresholds is not None and number < count - 1:
            exit_ = replace(exit_, threshold=thresholds[number])
        if temperatures is not None:
            exit_ = replace(exit_, temperature=temperatures[number])
        found.append(replace(stage, exit=exit_, energy_pj=None if energies_pj is None else energies_pj[number]))
    return tuple(found)
