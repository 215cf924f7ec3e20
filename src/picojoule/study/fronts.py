"""What a study comes to: the points that nothing beats, how much they cover, and which axes matter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from picojoule.study.metrics import MOST
from picojoule.study.points import Record

Values = tuple[float, ...]


def signed(values: Sequence[float], objectives: Sequence[str]) -> Values:
    """Values of which less is better in all."""
    return tuple(-v if name in MOST else v for v, name in zip(values, objectives, strict=True))


def nondominated(points: Iterable[tuple[Values, Record]]) -> list[tuple[Values, Record]]:
    """Those that no other beats in everything; of equal ones the first. As they come, so that any number may.

    Args:
        points: with values of which less is better.
    """
    front: list[tuple[Values, Record]] = []
    for values, record in points:
        if any(all(a <= b for a, b in zip(other, values, strict=True)) for other, _ in front):
            continue
        front = [
            (other, kept) for other, kept in front if not all(a <= b for a, b in zip(values, other, strict=True))
        ]
        front.append((values, record))
    return sorted(front, key=lambda one: one[0])


def hypervolume(values: Iterable[Values], worst: Values) -> float:
    """The volume of what the points beat, up to ``worst``; less is better in all.

    >>> hypervolume([(0.0, 1.0), (1.0, 0.0)], (2.0, 2.0))
    3.0
    """
    inside = sorted({v for v in values if all(a < b for a, b in zip(v, worst, strict=True))})
    if not inside:
        return 0.0
    if len(worst) == 1:
        return worst[0] - inside[0][0]
    total = 0.0
    for n, value in enumerate(inside):
        end = inside[n + 1][0] if n + 1 < len(inside) else worst[0]
        if end > value[0]:
            total += (end - value[0]) * hypervolume([v[1:] for v in inside[: n + 1]], worst[1:])
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How much one axis matters for one objective.

    Attributes:
        axis, objective: names.
        share: of the variance of the objective's logarithm that the means over the axis' values explain.
        means: value → geometric mean of the objective, and how many points.
    """

    axis: str
    objective: str
    share: float
    means: tuple[tuple[str, float, int], ...]


class Sensitivity:
    """Sums from which effects follow; one pass over the points, whatever their number.

    Args:
        axes: names.
        objectives: names.
    """

    def __init__(self, axes: Sequence[str], objectives: Sequence[str]) -> None:
        self.axes, self.objectives = tuple(axes), tuple(objectives)
        self._groups: dict[tuple[str, str], dict[object, list[float]]] = {}
        self._all: dict[str, list[float]] = {name: [0.0, 0.0, 0.0] for name in objectives}

    def add(self, point: dict[str, object], values: Sequence[float]) -> None:
        """Takes one point."""
        for name, value in zip(self.objectives, values, strict=True):
            if value <= 0:
                continue
            log = math.log(value)
            for sums in (self._all[name], *(self._sums(axis, name, point[axis]) for axis in self.axes)):
                sums[0] += 1
                sums[1] += log
                sums[2] += log * log

    def _sums(self, axis: str, objective: str, value: object) -> list[float]:
        return self._groups.setdefault((axis, objective), {}).setdefault(value, [0.0, 0.0, 0.0])

    def effects(self) -> list[Effect]:
        """By objective, the axis that matters most first. Ranges without steps have as many values as points, and say nothing."""
        found = []
        for (axis, objective), groups in self._groups.items():
            count, total, squares = self._all[objective]
            spread = squares - total * total / count
            if spread <= 1e-12 * max(1.0, squares) or len(groups) > count / 2 > 1:
                share = 0.0
            else:
                between = sum(sums[1] ** 2 / sums[0] for sums in groups.values()) - total * total / count
                share = max(0.0, min(1.0, between / spread))
            means = tuple((_said(v), math.exp(sums[1] / sums[0]), int(sums[0])) for v, sums in groups.items())
            found.append(Effect(axis=axis, objective=objective, share=share, means=means if len(means) <= 60 else ()))
        order = {name: n for n, name in enumerate(self.objectives)}
        return sorted(found, key=lambda effect: (order[effect.objective], -effect.share, effect.axis))


def _said(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
