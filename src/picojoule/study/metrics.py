"""What a study measures of a point: objectives to make least or most, and constraints that it has to keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.errors import UsageError, nearest
from picojoule.units import AREAS_MM2, ENERGIES_PJ, TIMES_S, parse_quantity, parse_share

METRICS = {
    "energy": "energy_pj_per_inference",
    "latency": "latency_s",
    "cycles": "latency_cycles",
    "edp": "edp",
    "area": "area_mm2",
    "accuracy": "accuracy",
}
"""Name of an objective → figure of a point."""

MOST = frozenset({"accuracy"})
"""Objectives that are to be large."""

_CONSTRAINT = re.compile(r"\s*(\w+)\s*(<=|>=|≤|≥)\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Constraint:
    """``figure ≤ limit``, or ``≥`` where ``most`` is False."""

    metric: str
    most: bool
    limit: float
    text: str

    def excess(self, figures: Mapping[str, float | None]) -> float:
        """By how much of the limit it is missed: above 0 where it is; infinite where the figure isn't known."""
        value = figures.get(METRICS[self.metric])
        if value is None:
            return float("inf")
        over = value - self.limit if self.most else self.limit - value
        return over / abs(self.limit) if self.limit else over


def parse_constraint(text: str) -> Constraint:
    """A constraint from ``"area <= 4 mm²"``, ``"latency <= 33 ms"`` or ``"accuracy >= 90%"``.

    Raises:
        UsageError: anything else.
    """
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no constraint", hint='Write one such as "latency <= 33 ms".')
    name, sign, limit = match.groups()
    if name not in METRICS:
        raise UsageError(f"{text!r}: nothing is called {name!r}", hint=nearest(name, METRICS))
    return Constraint(metric=name, most=sign in ("<=", "≤"), limit=_limit(name, limit), text=text.strip())


def _limit(name: str, text: str) -> float:
    if name == "energy":
        return parse_quantity(text, ENERGIES_PJ, "an energy", "5 mJ")
    if name == "latency":
        return parse_quantity(text, TIMES_S, "a time", "33 ms")
    if name == "area":
        return parse_quantity(text, AREAS_MM2, "an area", "4 mm²")
    if name == "accuracy":
        return parse_share(text)
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number", hint=f'Write one such as "{name} <= 1e7".') from None
    return value
