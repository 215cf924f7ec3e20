"""Reads what `picojoule exits decide` is given: logits with labels, and energies of exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.exits.answers import checked_logits
from picojoule.exits.energies import ExitEnergies

_ARRAYS = "np.savez('FILE.npz', logits=…, labels=…) makes one: exits × images × classes, and one label per image."
_ENERGIES = "2.1e6,3.1e7,5.6e7 (when leaving at each exit), or a JSON file with trunk and heads, a list each."


def read_logits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The arrays ``logits`` and ``labels`` of a NumPy archive.

    Raises:
        UsageError: there is no such file.
        InputError: no such archive, an array is missing, or they don't match.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}", where="logits", hint=_ARRAYS)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, AttributeError, BadZipFile) as problem:
        raise InputError(f"not readable as a NumPy archive: {problem}", where=str(path), hint=_ARRAYS) from None
    for name in ("logits", "labels"):
        if name not in arrays:
            raise InputError(
                f"there is no array {name!r}; arrays: {', '.join(arrays) or 'none'}", where=str(path), hint=_ARRAYS
            )
    checked_logits(arrays["logits"], f"{path}, logits", arrays["labels"])
    return arrays["logits"], arrays["labels"].astype(np.int64)


def read_energies(text: str) -> ExitEnergies:
    """Energies of exits: numbers with commas between, or a JSON file with ``trunk`` and ``heads``.

    Raises:
        UsageError: neither.
        InputError: a file that doesn't hold both, or energies that are none.

    Example:
        >>> read_energies("1,4").leaving()
        (1.0, 4.0)
    """
    path = Path(text)
    if not path.is_file():
        try:
            return ExitEnergies.of_stages([float(part) for part in text.split(",")])
        except ValueError:
            raise UsageError(f"no energies, and no file: {text!r}", where="--energies", hint=_ENERGIES) from None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise InputError(f"not readable as JSON: {problem}", where=text, hint=_ENERGIES) from None
    if not isinstance(data, dict) or sorted(data) != ["heads", "trunk"]:
        raise InputError("it holds trunk and heads, and nothing else", where=text, hint=_ENERGIES)
    return ExitEnergies(trunk=_numbers(data, "trunk", text), heads=_numbers(data, "heads", text))


def _numbers(data: dict[str, Any], key: str, where: str) -> tuple[float, ...]:
    values = data[key]
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise InputError(f"{key} is a list of numbers, got {values!r}", where=where, hint=_ENERGIES)
    return tuple(values)
