"""What a verification found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from picojoule.verification.plan import Refuted

RELATIVE = 1e-9
"""Two figures computed in different orders may differ by rounding; anything above this is a difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: the kind of check, the same for all layers.
        where: the layer or key; empty for the result as a whole.
        ok: it holds.
        message: what was found; for a failure also what would be right.
    """

    name: str
    where: str
    ok: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All checks of a result; ``ok`` if every one holds."""

    ok: bool
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that don't hold."""
        return tuple(check for check in self.checks if not check.ok)


def attempt(name: str, where: str, test: Callable[[], str]) -> Check:
    """A check from a function that returns what it found, or raises ``Refuted`` with what is wrong."""
    try:
        return Check(name=name, where=where, ok=True, message=test())
    except Refuted as refutation:
        return Check(name=name, where=where, ok=False, message=str(refutation))
    except ArithmeticError as error:
        return Check(name=name, where=where, ok=False, message=f"figures that can't be computed with: {error}")


def same(left: float | None, right: float | None) -> bool:
    """Whether two figures are equal but for rounding; None is equal to None only."""
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=RELATIVE, abs_tol=0.0)


def refute_differences(differences: Iterator[str]) -> None:
    """Raises ``Refuted`` with the first differences, if there are any."""
    found = list(differences)
    if found:
        more = f"; {len(found) - 3} more" if len(found) > 3 else ""
        raise Refuted("; ".join(found[:3]) + more)


def differing(got: dict[str, float | None], right: dict[str, float | None]) -> Iterator[str]:
    """A phrase for each figure of ``right`` that stands otherwise in ``got``."""
    for key, value in right.items():
        if not same(got.get(key), value):
            yield f"{key} is {figure(got.get(key))}, re-derived {figure(value)}"


def figure(value: float | None) -> str:
    """A figure for a message, in full precision."""
    return "null" if value is None else repr(value) if isinstance(value, float) else f"{value:,}"
