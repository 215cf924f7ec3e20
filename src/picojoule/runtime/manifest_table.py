"""Reading plain data with every key and type checked: messages say where in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from picojoule.errors import BundleError

AGAIN = "Export the bundle anew with picojoule export --to bundle."
_Value = TypeVar("_Value")


def born(where: str, make: Callable[[], _Value]) -> _Value:
    """What ``make`` makes; a complaint of its birth says where in the file it is."""
    try:
        return make()
    except BundleError as error:
        if error.where.startswith(where.split(": ", 1)[0]):
            raise
        joint = "." if ": " in where else ": "
        place = f"{where}{joint}{error.where}" if error.where else where
        raise BundleError(error.message, where=place, hint=error.hint) from None


class Table:
    """A table of the manifest, and where in the file it is."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise BundleError(f"a table is expected, got {short(document)}", where=where)
        self.document, self.where = document, where

    def at(self, key: str) -> str:
        return self.where if not key else f"{self.where}{'.' if ': ' in self.where else ': '}{key}"

    def keys(self) -> list[str]:
        return list(self.document)

    def missing(self, key: str) -> bool:
        """Whether the key is there and null; a key that isn't there is an error."""
        self._there(key)
        return self.document[key] is None

    def get(self, key: str, kind: type[_Value]) -> _Value:
        self._there(key)
        value = self.document[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BundleError(f"{_NAMES[kind]} is expected, got {short(value)}", where=self.at(key))
        return value

    def optional(self, key: str, kind: type[_Value]) -> _Value | None:
        return None if self.missing(key) else self.get(key, kind)

    def text(self, key: str) -> str:
        return self.get(key, str)

    def number(self, key: str) -> float:
        self._there(key)
        return _number(self.document[key], float, self.at(key))

    def numbers(self, key: str, kind: type = int) -> list[Any]:
        return [_number(value, kind, f"{self.at(key)}[{i}]") for i, value in enumerate(self.get(key, list))]

    def pair(self, key: str) -> tuple[int, int]:
        found = self.numbers(key)
        if len(found) != 2:
            raise BundleError(f"rows and columns are expected, got {found}", where=self.at(key))
        return found[0], found[1]

    def numbers_or_null(self, key: str) -> list[Any]:
        """A list of numbers, each of which may be null."""
        values = self.get(key, list)
        return [None if v is None else _number(v, float, f"{self.at(key)}[{i}]") for i, v in enumerate(values)]

    def rows(self, key: str) -> list[list[Any]]:
        """A list of lists of numbers."""
        return [Table({"": row}, f"{self.at(key)}[{i}]").numbers("", float) for i, row in enumerate(self.get(key, list))]

    def nested(self, key: str) -> list[list[list[Any]]]:
        """A list of lists of lists of numbers."""
        return [Table({"": one}, f"{self.at(key)}[{i}]").rows("") for i, one in enumerate(self.get(key, list))]

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.get(key, list)
        for i, value in enumerate(found):
            if not isinstance(value, str):
                raise BundleError(f"a text is expected, got {short(value)}", where=f"{self.at(key)}[{i}]")
        return tuple(found)

    def table(self, key: str) -> Table:
        self._there(key)
        return Table(self.document[key], self.at(key))

    def tables(self, key: str) -> list[Table]:
        return [Table(value, f"{self.at(key)}[{i}]") for i, value in enumerate(self.get(key, list))]

    def _there(self, key: str) -> None:
        if key not in self.document:
            raise BundleError(f"the key {key!r} is missing", where=self.where, hint=AGAIN)


_NAMES: dict[type, str] = {str: "a text", int: "a whole number", dict: "a table", list: "a list", float: "a number", bool: "true or false"}


def _number(value: Any, kind: type, where: str) -> Any:
    allowed = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not allowed or not abs(value) < 2**63:
        raise BundleError(f"{_NAMES[kind]} is expected, got {short(value)}", where=where)
    return value


def short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
