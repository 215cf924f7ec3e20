"""Axes of a study: the values that a field takes, listed or as a range; grids and random samples of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from picojoule.errors import UsageError

_RANGE = ("from", "to", "step", "factor", "whole")
_SHARED = ("capacity", "energy", "bandwidth", "clock", "read", "write", "update", "energy_per_bit", "bits_per_cycle", "area_mm2")
_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that varies.

    Attributes:
        name: a field of the machine, an argument of ``estimate``, or a place in the name of a network or machine.
        values: all of them; None for a range without steps.
        low, high, whole: of such a range; whole numbers only.
    """

    name: str
    values: tuple[Any, ...] | None = None
    low: float = 0.0
    high: float = 0.0
    whole: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """All listed values, or both ends of a range."""
        if self.values is not None:
            return self.values
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)

    @property
    def shared(self) -> bool:
        """Whether machines along it share their map space, so that work is shared."""
        return any(part in _SHARED for part in self.name.split(".")[1:]) or self.name in ("clock", "area_mm2")

    def drawn(self, source: random.Random) -> Any:
        """One value at random."""
        if self.values is not None:
            return self.values[source.randrange(len(self.values))]
        return source.randint(int(self.low), int(self.high)) if self.whole else source.uniform(self.low, self.high)

    def to_data(self) -> dict[str, Any]:
        if self.values is not None:
            return {"name": self.name, "values": list(self.values)}
        return {"name": self.name, "from": self.low, "to": self.high, "whole": self.whole}


def axis_of(name: str, given: object) -> Axis:
    """The axis of a list of values, or of a range: ``{from: 4, to: 32, step: 4}``, ``{from: 16, to: 512, factor: 2}``, and
    without steps ``{from: 50.0, to: 200.0}``, ``{from: 4, to: 32, whole: true}`` for random and guided studies.

    Raises:
        UsageError: anything else.
    """
    if isinstance(given, list):
        if not given:
            raise UsageError("an axis needs at least one value", hint=f"{name}: [1, 2]")
        for n, value in enumerate(given):
            if isinstance(value, list | dict):
                raise UsageError(f"value {n + 1} is no number or text", hint=f"{name}: [1, 2]")
            if value in given[:n] and type(value) in [type(other) for other in given[:n]]:
                raise UsageError(f"{value!r} is there twice", hint="Keep one.")
        return Axis(name=name, values=tuple(given))
    if not isinstance(given, dict) or not {"from", "to"} <= set(given) or set(given) - set(_RANGE):
        raise UsageError("an axis is a list of values or a range", hint=f"{name}: [1, 2], or {name}: {{from: 4, to: 32, step: 4}}")
    low, high = given["from"], given["to"]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in (low, high)) or not low < high:
        raise UsageError(f"a range goes up from a number to another, got {low!r} to {high!r}")
    step, factor = given.get("step"), given.get("factor")
    if step is None and factor is None:
        return Axis(name=name, low=low, high=high, whole=bool(given.get("whole", False)))
    return Axis(name=name, values=tuple(_stepped(low, high, step, factor)))


def _stepped(low: float, high: float, step: object, factor: object) -> Iterator[float]:
    if (step is None) == (factor is None):
        raise UsageError("a range has a step or a factor, one of the two")
    right = isinstance(step, int | float) and step > 0 if step is not None else isinstance(factor, int | float) and factor > 1
    if not right or isinstance(step, bool):
        raise UsageError("a step is above 0, a factor above 1")
    value, n = low, 0
    while value <= high * (1 + 1e-12):
        yield value
        n += 1
        if n > _MOST:
            raise UsageError(f"more than {_MOST:,} values")
        value = low + n * step if step is not None else low * factor**n  # type: ignore[operator]


def grid_point(axes: Sequence[Axis], index: int) -> dict[str, Any]:
    """The point of that number in the grid; axes along which work is shared vary fastest, so that it is."""
    point: dict[str, Any] = {}
    for axis in [*(a for a in axes if a.shared), *reversed([a for a in axes if not a.shared])]:
        assert axis.values is not None
        index, place = divmod(index, len(axis.values))
        point[axis.name] = axis.values[place]
    return {axis.name: point[axis.name] for axis in axes}


def random_point(axes: Sequence[Axis], seed: int, index: int) -> dict[str, Any]:
    """The point of that number in the random sample of a seed, whatever was drawn before."""
    source = random.Random(f"{seed}/{index}")
    return {axis.name: axis.drawn(source) for axis in axes}


def random_grid_order(size: int, seed: int, count: int) -> list[int]:
    """So many different numbers of points of a grid, at random."""
    return random.Random(f"{seed}").sample(range(size), min(count, size))
