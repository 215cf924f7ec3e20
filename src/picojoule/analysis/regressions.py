"""How much a figure may grow from the first result to the others, and which of them grew more."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from picojoule.errors import UsageError, nearest
from picojoule.result import Estimate

_LIMIT = re.compile(r"\s*([^:\s]+)\s*:\s*([+-]?)(\d+\.?\d*|\.\d+)\s*%\s*")
_TIE = 1e-9
"""What lies nearer to a limit than this keeps it: sums in another order differ by as much."""


def _edp(estimate: Estimate) -> float | None:
    time = _time(estimate)
    return None if time is None else estimate.energy_pj * time


def _time(estimate: Estimate) -> float | None:
    return estimate.latency_cycles if estimate.latency_s is None else estimate.latency_s


FIGURES: dict[str, Callable[[Estimate], float | None]] = {
    "energy": lambda estimate: estimate.energy_pj,
    "latency": _time,
    "edp": _edp,
    "dram": lambda estimate: estimate.dram_bytes,
    "weights": lambda estimate: estimate.weight_bytes,
    "activations": lambda estimate: estimate.peak_activation_bytes,
}
"""Figures that may be limited: of energy, of time, their product, bytes that pass the outermost memory, bytes of weights, and
the most bytes of activations that are live at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """``figure`` may be at most ``growth`` (0.02 for +2 %) larger than that of the first result; below 0 it must be smaller."""

    figure: str
    growth: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """What became of one figure from the first result to another.

    Attributes:
        figure, limit: the tolerance.
        result: index of the other result.
        change: relative; None where the two can't be compared.
        failed: it grew by more, or that can't be told.
    """

    figure: str
    limit: float
    result: int
    change: float | None
    failed: bool


def parse_tolerance(text: str) -> Tolerance:
    """``energy:+2%`` as a tolerance.

    Raises:
        UsageError: another form, or an unknown figure.

    >>> parse_tolerance("energy:+2%").growth
    0.02
    """
    match = _LIMIT.fullmatch(text)
    if not match:
        raise UsageError(
            f"{text!r} is no limit on growth",
            where="fail_on",
            hint='Write a figure and a percentage: "energy:+2%", "latency:0%".',
        )
    figure, sign, number = match.groups()
    if figure not in FIGURES:
        raise UsageError(f"unknown figure {figure!r} in {text!r}", where="fail_on", hint=nearest(figure, FIGURES))
    return Tolerance(figure=figure, growth=(-1 if sign == "-" else 1) * float(number) / 100, text=text)


def regressions(estimates: Sequence[Estimate], tolerances: Sequence[Tolerance]) -> tuple[Regression, ...]:
    """Every other result against the first, for each tolerance."""
    first, found = estimates[0], []
    for tolerance in tolerances:
        for i, other in enumerate(estimates[1:], 1):
            change = _change(first, other, tolerance.figure)
            failed = change is None or change > tolerance.growth + _TIE
            found.append(
                Regression(figure=tolerance.figure, limit=tolerance.growth, result=i, change=change, failed=failed)
            )
    return tuple(found)


def _change(first: Estimate, other: Estimate, figure: str) -> float | None:
    if figure in ("energy", "edp") and first.table["unit"] != other.table["unit"]:
        return None
    if figure in ("latency", "edp") and (first.latency_s is None) != (other.latency_s is None):
        return None
    before, after = FIGURES[figure](first), FIGURES[figure](other)
    if before is None or after is None:
        return None
    if before == 0:
        return 0.0 if after == 0 else None
    return after / before - 1
