"""A flat table of keys in a YAML file that a user wrote: requirements, or what a datasheet is told."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from picojoule.errors import HardwareError, InputError, nearest
from picojoule.hardware import document
from picojoule.hardware.document import Origin

Scalar = str | int | float | bool | None


def read_flat(path: Path, keys: Iterable[str], wrong: type[InputError]) -> tuple[dict[str, Scalar], Origin]:
    """The keys of the file with their values, and where each stands.

    Args:
        path: a YAML file.
        keys: those that are allowed.
        wrong: what to raise.

    Raises:
        InputError: ``wrong``: the file is missing, no YAML or no flat table, or has a key that isn't allowed.
        SystemFailure: it can't be read.
    """
    try:
        data, origin = document.parse(document.read_text(path), str(path))
    except HardwareError as error:
        raise wrong(error.message, where=error.where, hint=error.hint) from None
    allowed = tuple(keys)
    if not isinstance(data, dict) or not data:
        raise wrong(f"expected a table of keys, got {_kind(data)}", where=origin.at(), hint=nearest("", allowed))
    for key, value in data.items():
        if key not in allowed:
            raise wrong(f"unknown key {key!r}", where=origin.at(key), hint=nearest(key, allowed))
        if isinstance(value, dict | list):
            raise wrong(f"expected one value, got {_kind(value)}", where=origin.at(key))
        if value is None:
            raise wrong("there is no value", where=origin.at(key), hint="Give one, or leave the key out.")
    return data, origin


def _kind(data: object) -> str:
    if isinstance(data, dict):
        return "an empty table" if not data else "a table"
    return "a list" if isinstance(data, list) else f"{data!r}"
