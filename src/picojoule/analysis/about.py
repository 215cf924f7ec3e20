"""What a datasheet is told that no result holds: accuracy on which data, images tested, and what was measured on silicon."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from picojoule.analysis.flat_file import Scalar, read_flat
from picojoule.errors import DatasheetError, PicojouleError, UnknownNameError, UsageError, nearest
from picojoule.units import AREAS_MM2, BYTES, POWERS_W, TIMES_S, parse_quantity, parse_share, parse_size_bits

METHODS = ("measured", "simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts from outside; None where nothing was told.

    Attributes:
        accuracy: share of inputs that are right; ``metric`` says by which count (top-1, top-5).
        dataset, difficulty: on which data, and how hard the task is.
        images: inputs that were tested.
        layers: which layers the chip runs.
        process: technology and supply.
        area_mm2, memory_bits: of the core, and of all storage on it.
        runtime_s: of a batch.
        power_w: of the chip while it runs, without the memory beside it.
        off_chip_bytes: per inference.
        method: measured or simulated.
    """

    accuracy: float | None = None
    metric: str | None = None
    dataset: str | None = None
    difficulty: str | None = None
    images: int | None = None
    layers: str | None = None
    process: str | None = None
    area_mm2: float | None = None
    memory_bits: float | None = None
    runtime_s: float | None = None
    power_w: float | None = None
    off_chip_bytes: float | None = None
    method: str | None = None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 16):
        raise UsageError(f"expected a whole number, got {text!r}")
    return int(text)


def _method(text: str) -> str:
    if text not in METHODS:
        raise UsageError(f"unknown method {text!r}", hint=nearest(text, METHODS))
    return text


def _quantity(units: Mapping[str, float], what: str, example: str) -> Callable[[str], float]:
    return lambda text: parse_quantity(text, units, what, example)


KEYS: dict[str, tuple[str, Callable[[str], object]]] = {
    "accuracy": ("accuracy", parse_share),
    "metric": ("metric", str),
    "dataset": ("dataset", str),
    "difficulty": ("difficulty", str),
    "images": ("images", _count),
    "layers": ("layers", str),
    "process": ("process", str),
    "area": ("area_mm2", _quantity(AREAS_MM2, "an area", "12.25 mm2")),
    "memory": ("memory_bits", parse_size_bits),
    "runtime": ("runtime_s", _quantity(TIMES_S, "a time", "115.3 ms")),
    "power": ("power_w", _quantity(POWERS_W, "a power", "278 mW")),
    "off_chip": ("off_chip_bytes", _quantity(BYTES, "an amount of data", "3.85 MB")),
    "method": ("method", _method),
}
"""Every key of the file, with the field that it becomes and its parser."""

assert {field for field, _ in KEYS.values()} == {field.name for field in fields(About)}


def about_of(given: About | Mapping[str, object] | str | os.PathLike[str] | None) -> About:
    """Facts from a YAML file, or from a table with the same keys.

    Raises:
        DatasheetError: the file is no flat table, or has an unknown key or unit; with line and nearest spelling.
        UnknownNameError: there is no such file.
        UsageError: the table is wrong.
        SystemFailure: the file can't be read.

    >>> about_of({"accuracy": "80.2%", "runtime": "115.3 ms"}).runtime_s
    0.1153
    """
    if given is None or isinstance(given, About):
        return given or About()
    if isinstance(given, Mapping):
        unknown = next((key for key in given if key not in KEYS), None)
        if unknown is not None:
            raise UsageError(f"unknown key {unknown!r}", where="about", hint=nearest(str(unknown), KEYS))
        return About(**{KEYS[key][0]: _parsed(key, value, f"about: {key}", UsageError) for key, value in given.items()})
    path = Path(given)
    if not path.exists():
        raise UnknownNameError(f"there is no file {str(path)!r}", where="about", hint="Check the path.")
    data, origin = read_flat(path, KEYS, DatasheetError)
    return About(**{KEYS[key][0]: _parsed(key, value, origin.at(key), DatasheetError) for key, value in data.items()})


def _parsed(key: str, value: Scalar | object, where: str, wrong: type[PicojouleError]) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong(f"expected one value, got {value!r}", where=where)
    try:
        return KEYS[key][1](str(value))
    except UsageError as error:
        raise wrong(error.message, where=where, hint=error.hint) from None
