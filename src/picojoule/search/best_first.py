"""Spatial assignments best first: one by one where they are few, in groups that share a bound where they are many."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from picojoule.search.groups import POINTS, Group, Grouping
from picojoule.search.problem import Problem
from picojoule.workload.nest import Nest

ONE_BY_ONE = 10_000_000
"""Points of all lattices together up to which assignments are swept one by one from the beginning."""
CUTS = 3
"""How often a group is cut in halves before its parts are bounded: a step too small bounds hardly anything new."""
FINE = 30_000
LEAF = 600_000
"""Points of all lattices together up to which the members of a group are swept one by one."""


@dataclass(frozen=True, slots=True, order=True)
class _Part:
    """Assignments that are still open: the lowest rank first, of equal ranks the one that was bounded first."""

    rank: float
    number: int
    members: np.ndarray = field(compare=False)
    group: Group | None = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Assignments to sweep one by one, those of the lowest bound first, with the group that bounds them, if any."""

    order: np.ndarray
    group: Group | None


class BestFirst:
    """The assignments of one problem that may still be of use, best first.

    What counts as best is the caller's: ``rank`` orders assignments (from what ``problem.proved`` says of their cost),
    and every assignment has a limit that its cost must stay below. Whoever takes a batch has it swept. ``like``: for a
    problem with the same assignments, from which mirror images are taken over.
    """

    def __init__(
        self,
        problem: Problem,
        steps: np.ndarray,
        rank: Callable[[np.ndarray], np.ndarray],
        like: BestFirst | None = None,
    ) -> None:
        self.problem, self.rank, self._steps = problem, rank, steps
        if not problem.bounded:
            problem.bounds()
        self._twin = _twins(problem) if like is None else like._twin
        self.alone = np.flatnonzero(self._twin >= np.arange(len(self._twin)))
        """One of each pair of mirror images."""
        self._grouping: Grouping | None = None
        self._number = itertools.count()
        self._open: list[_Part] = []
        self._next: _Part | None = None
        self._open.append(self._opened(self.alone, None))
        self.groups = 0
        """Groups bounded so far."""

    @property
    def next_rank(self) -> float:
        """The lowest rank of all that is still open; infinite when nothing is."""
        return min(self._open[0].rank if self._open else math.inf, self._next.rank if self._next else math.inf)

    @property
    def large(self) -> bool:
        """Whether so much is open that a good mapping in hand is worth a search of its own."""
        return sum(self._points(part.members) for part in self._open) > ONE_BY_ONE

    def plainest(self, number: int) -> np.ndarray:
        """Assignments that spread two dimensions at most, those over most positions first."""
        spread = self.problem.factors[self.alone].prod(axis=1)
        order = np.lexsort((-spread.prod(axis=1), (spread > 1).sum(axis=1) > 2))
        return self.alone[order[:number]]

    def take(self, limits: np.ndarray) -> Batch | None:
        """The next batch; None if a group was cut instead, or if nothing of it is left below its limit.

        After a cut the best of the parts comes next, and so on down to a batch: a good mapping early spares work later.
        Then it is the turn of whatever is best of all.
        """
        part, self._next = self._next or heapq.heappop(self._open), None
        group, proved = part.group, self.problem.proved
        members = part.members[proved[part.members] < limits[part.members]]
        if self._points(members) <= (ONE_BY_ONE if group is None else LEAF) or len(members) < 2:
            # Where ranks are equal, the assignment that takes fewer steps comes first.
            order = members[np.lexsort((self._steps[members], proved[members], self.rank(proved)[members]))]
            return Batch(order=order, group=group) if len(order) else None
        if self._grouping is None:
            self._grouping = Grouping(self.problem)
        cut = (members,) if group is None else self._cut(members)
        parts = sorted(self._bound(one, group, limits) for one in cut)
        self._next = parts[0]
        for one in parts[1:]:
            heapq.heappush(self._open, one)
        return None

    def _cut(self, members: np.ndarray) -> list[np.ndarray]:
        """The parts of a group that are bounded next; none is cut that is small enough to be swept."""
        assert self._grouping is not None
        parts = [members]
        for _ in range(CUTS):
            small = [part for part in parts if len(part) < 2 or self._points(part) <= LEAF]
            large = [part for part in parts if not (len(part) < 2 or self._points(part) <= LEAF)]
            parts = small + [half for part in large for half in self._grouping.halves(part)]
        return parts

    def settle(self) -> None:
        """Hands what was proved of an assignment on to its mirror image."""
        proved = self.problem.proved
        proved[:] = proved[np.minimum(self._twin, np.arange(len(proved)))]

    def _bound(self, members: np.ndarray, parent: Group | None, limits: np.ndarray) -> _Part:
        """Bounds a group; what stays below its limit is open again."""
        assert self._grouping is not None
        self.groups += 1
        proved, base, limit = self.problem.proved, self.problem.least[members], limits[members]
        budget = FINE if self._points(members) <= LEAF else POINTS
        group, excess = self._grouping.narrowed(members, parent, float((limit - base).max()), budget)
        proved[members] = np.maximum(proved[members], np.minimum(base + excess, limit))
        return self._opened(members[proved[members] < limit], group)

    def _opened(self, members: np.ndarray, group: Group | None) -> _Part:
        """``members`` as a part that is open."""
        rank = float(self.rank(self.problem.proved)[members].min()) if len(members) else math.inf
        return _Part(rank, next(self._number), members, group)

    def _points(self, members: np.ndarray) -> int:
        return int(self.problem.lattice_points[members].sum())


def _twins(problem: Problem) -> np.ndarray:
    """The mirror image of every assignment, rows for columns, by number; itself where the layer or the machine knows
    left from right."""
    alone = np.arange(len(problem.factors))
    levels, fanouts = problem.accelerator.levels, problem.accelerator.fanouts
    if not _square(problem.nest) or any(level.tiles for level in levels) or any(
        (a in axis.dims) != (b in axis.dims)
        for fanout in fanouts
        for axis in fanout.axes
        for a, b in ("PQ", "RS")
    ):
        return alone
    known = {factors.tobytes(): i for i, factors in enumerate(problem.factors)}
    mirrored = np.ascontiguousarray(problem.factors[:, :, [0, 1, 2, 3, 5, 4, 7, 6]])
    return np.array([known.get(factors.tobytes(), i) for i, factors in enumerate(mirrored)], dtype=np.int64)


def _square(nest: Nest) -> bool:
    top, left, bottom, right = nest.pad
    return (
        (nest.P, nest.R, nest.stride[0], nest.dilation[0], top, bottom)
        == (nest.Q, nest.S, nest.stride[1], nest.dilation[1], left, right)
    )  # fmt: skip
