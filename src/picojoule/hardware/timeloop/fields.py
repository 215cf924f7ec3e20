"""A value out of somebody else's YAML together with the place where it stands, and the list of what is left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from picojoule.errors import HardwareError, nearest
from picojoule.hardware.document import FieldPath, Origin
from picojoule.hardware.schema import short
from picojoule.hardware.timeloop.expressions import MAX_NUMBER, arithmetic

VERSIONS = ("0.3", "0.4")
"""Of Timeloop and Accelergy, whose files are read."""

MAX_NAMES = 64
"""Names that one expression may come to, those in what they stand for included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A value and its place; the methods read it as one kind of thing, and refuse it with its place if it is none."""

    value: object
    origin: Origin
    path: FieldPath = ()

    @property
    def place(self) -> str:
        """``file:line``, the file without its folder."""
        return f"{Path(self.origin.name).name}:{self.origin.line(self.path)}"

    def refused(self, message: str, hint: str = "") -> HardwareError:
        """The error that says what is wrong with this field."""
        return HardwareError(message, where=self.origin.at(*self.path), hint=hint)

    def table(self, known: Collection[str] | None = None) -> dict[str, Field]:
        """The fields of a table; ``known`` are the keys it may have, any if None.

        Raises:
            HardwareError: it is no table, or has another key.
        """
        if not isinstance(self.value, dict):
            raise self.refused(f"expected a table; got {short(self.value)}")
        fields = {k: Field(value=v, origin=self.origin, path=(*self.path, k)) for k, v in self.value.items()}
        for key, one in fields.items():
            if known is not None and key not in known:
                raise one.refused(f"unknown key {key!r}", nearest(key, known))
        return fields

    def items(self) -> list[Field]:
        """The fields of a list.

        Raises:
            HardwareError: it is no list.
        """
        if not isinstance(self.value, list):
            raise self.refused(f"expected a list; got {short(self.value)}")
        return [Field(value=v, origin=self.origin, path=(*self.path, i)) for i, v in enumerate(self.value)]

    def text(self) -> str:
        """The text of a scalar.

        Raises:
            HardwareError: it is a list, a table or nothing.
        """
        if isinstance(self.value, dict | list) or self.value is None:
            raise self.refused(f"expected a word; got {short(self.value)}")
        return str(self.value)

    def number(self, known: Callable[[str], Field | None] = lambda _: None) -> float:
        """The number, or what an arithmetic expression comes to.

        Args:
            known: the field that a name in the expression stands for; it may hold an expression, too.

        Raises:
            HardwareError: it is neither, or larger than ``MAX_NUMBER``.
        """
        return self._number(known, iter(range(MAX_NAMES)))

    def _number(self, known: Callable[[str], Field | None], left: Iterator[int]) -> float:
        """The number; ``left`` runs out when names stand for names without end, or for too many of them."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            if not abs(self.value) <= MAX_NUMBER:
                raise self.refused(f"must be a number up to {MAX_NUMBER:g}, got {short(self.value)}")
            return self.value
        if not isinstance(self.value, str):
            raise self.refused(f"expected a number; got {short(self.value)}")

        def named(name: str) -> float:
            one = known(name)
            if one is None:
                raise ValueError(f"nothing here is called {name!r}")
            if next(left, None) is None:
                raise ValueError(f"it comes to more than {MAX_NAMES} names, or to itself")
            return one._number(known, left)

        try:
            return arithmetic(self.value, named)
        except ValueError as error:
            raise self.refused(
                f"{short(self.value)} is no number: {error}",
                "Write the number, or + - * / and parentheses over numbers and names of variables and attributes.",
            ) from None

    def whole(self, known: Callable[[str], Field | None] = lambda _: None) -> int:
        """The whole number above 0.

        Raises:
            HardwareError: it is none.
        """
        number = self.number(known)
        if not 0 < number < 2**40 or number != int(number):
            raise self.refused(f"must be a whole number above 0, got {short(self.value)}")
        return int(number)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What an import could not carry, in words, a line each."""

    lines: list[str] = field(default_factory=list)

    def note(self, where: Field, what: str, why: str) -> None:
        """Lists ``what`` stands at ``where``, and why our description doesn't have it."""
        line = " ".join(f"{where.place}: {what}: {why}".split())
        line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        if line not in self.lines:
            self.lines.append(line)


def child(fields: Mapping[str, Field], parent: Field, key: str) -> Field:
    """A field that must be there.

    Raises:
        HardwareError: it isn't.
    """
    if key not in fields:
        raise parent.refused(f"the key {key!r} is missing", f"Add {key}: … here.")
    return fields[key]


def check_version(fields: Mapping[str, Field]) -> None:
    """Refuses a file of another version; where there is none, the keys decide.

    Raises:
        HardwareError: its version is none of ``VERSIONS``.
    """
    version = fields.get("version")
    if version is not None and str(version.value) not in VERSIONS:
        raise version.refused(f"the version must be {' or '.join(VERSIONS)}, got {version.value!r}")
