"""Groups of spatial assignments: a bound for all members at once, and halves that bound their members more closely."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from picojoule.search import kernel
from picojoule.search.folded import fold_visits, fold_windows, narrow, reached_values
from picojoule.search.problem import AXES, Problem
from picojoule.search.windows import window_extents
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS

POINTS = 8_000
"""Points of a folded machine, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Assignments with the excess that they share (``folded``).

    Attributes:
        members: their numbers.
        values, shape: extents over all positions of the folded machine.
        reached, finite: the excess where anything can stay below the limit that it was worked out for, by state and
            point in one number; few do, and many groups are open at a time.
        states: that a point has.
        toward: ``[lattice, i]`` what an extent adds to the number of a point.
    """

    members: np.ndarray
    values: np.ndarray
    shape: np.ndarray
    reached: np.ndarray
    finite: np.ndarray
    states: int
    toward: np.ndarray

    def excess(self) -> np.ndarray:
        """``[state, point]``, infinite where nothing can stay below the limit."""
        dense = np.full(self.states * int(self.shape.prod()), np.inf, dtype=np.float32)
        dense[self.reached] = self.finite
        dense = dense.reshape(self.states, -1)
        dense[-1] = 0.0  # nothing is to come any more
        return dense


class Grouping:
    """What the folded machines of all groups of a problem are made from."""

    def __init__(self, problem: Problem) -> None:
        self.problem, nest = problem, problem.nest
        self.lattice_of_spread, self.counts, self.extents = problem.lattices[:3]
        columns = [np.unique(problem.factors[:, :, e], axis=0, return_inverse=True) for e in kernel.EIGHT]
        most = max(len(rows) for rows, _ in columns)
        self.column = np.stack([inverse.reshape(-1) for _, inverse in columns], axis=1)
        """``[assignment, dimension]``: which of the dimension's different spreads it has."""
        self.sizes = np.array([getattr(nest, d) for d in kernel.DIMENSIONS], dtype=np.int64)
        self.lattice_of = np.zeros((7, most), dtype=np.int64)
        self.spread = np.ones((7, most), dtype=np.int64)
        widest, places = self.extents.shape[1], problem.places
        self.covered = np.ones((7, most, widest), dtype=np.int64)
        self.visits = np.ones((7, most, len(places), 2, widest))
        for d, (rows, _) in enumerate(columns):
            for c, row in enumerate(rows):
                self.spread[d, c] = row.prod()
                self.lattice_of[d, c] = one = self.lattice_of_spread[d, row.prod()]
                extents = self.extents[one, : self.counts[one]]
                self.covered[d, c, : len(extents)] = _covered(d, int(self.sizes[d]), extents, int(row.prod()))
                kernel.column_visits(d, row, int(self.sizes[d]), extents, problem.prices[0], problem.first, self.visits[d, c])
        self.pair_lattices = np.zeros((2, problem.windows[0].shape[1], 2), dtype=np.int64)
        for a, (outer, tap) in enumerate(AXES.values()):
            ids, where = np.unique(problem.window_ids[:, a], return_index=True)
            for t, assignment in zip(ids, where, strict=True):
                for side, letter in enumerate((outer, tap)):
                    d = kernel.DIMENSIONS.index(letter)
                    self.pair_lattices[a, t, side] = self.lattice_of[d, self.column[assignment, d]]
        problem.lay_out(0)
        self.weights = problem.scratch[3].copy()
        self.room = self._room()

    def _room(self) -> np.ndarray:
        """``[assignment, keep]``: elements that all instances of the keep's level hold together."""
        problem = self.problem
        room = np.full((len(problem.factors), len(problem.places)), np.inf)
        for m, place in enumerate(problem.places):
            relevant = [DIMS.index(d) for d in DIMS if d in RELEVANT[place.tensor]]
            outside = problem.outside[place.level.name]
            copies = problem.factors[:, outside][:, :, relevant].prod(axis=(1, 2))
            if math.isfinite(problem.room[m]):
                room[:, m] = problem.room[m] // problem.bits.stored(place.tensor) * copies
        return room

    def narrowed(
        self, members: np.ndarray, parent: Group | None, limit: float, budget: int = POINTS
    ) -> tuple[Group, float]:
        """The group of ``members``, all in ``parent``, and its excess from the start, infinite if at least ``limit``."""
        problem = self.problem
        used = np.zeros(self.lattice_of.shape, dtype=np.bool_)
        for d in range(7):
            used[d, self.column[members, d]] = True
        pairs = np.zeros(self.pair_lattices.shape[:2], dtype=np.bool_)
        for a in range(2):
            pairs[a, problem.window_ids[members, a]] = True
        values, shape = np.ones((7, int(self.sizes.max()) + 1), dtype=np.int64), np.ones(7, dtype=np.int64)
        place = np.zeros(values.shape, dtype=np.int64)
        before = (values, np.zeros(7, dtype=np.int64)) if parent is None else (parent.values, parent.shape)
        most, points = 64, math.inf
        while points > budget and most >= 2:
            reached_values(
                self.sizes, self.covered, self.counts, self.lattice_of, used, *before, most, values, shape, place
            )
            points, most = math.prod(shape.tolist()), min(most, int(shape.max())) - 1
        widest = int(shape.max())
        values = np.ascontiguousarray(values[:, :widest])
        index, fewest = np.zeros(self.extents.shape, dtype=np.int64), np.empty((len(problem.places), 2, 7, widest))
        fold_visits(self.covered, self.counts, self.lattice_of, used, self.visits, values, shape, index, fewest)
        windows = self._windows(pairs, values, shape, index)
        steps = np.array([math.prod(shape[d + 1 :].tolist()) for d in range(7)], dtype=np.int64)
        apart = np.ones((len(members), len(problem.places), 2))
        for d in range(7):
            last = self.counts[self.lattice_of[d]] - 1
            full = self.visits[d, np.arange(len(last)), :, :, last]
            apart *= full[self.column[members, d]]
        if parent is None:
            above, toward_above = np.zeros((int(np.prod(problem.keeps + 1)), 1), dtype=np.float32), np.zeros((7, widest), dtype=np.int64)
        else:
            steps_above = np.array([math.prod(parent.shape[d + 1 :].tolist()) for d in range(7)], dtype=np.int64)
            above, toward_above = parent.excess(), np.ascontiguousarray(place[:, :widest] * steps_above[:, None])
        excess = np.empty((int(np.prod(problem.keeps + 1)), int(shape.prod())), dtype=np.float32)
        start = narrow(
            shape, values, self.room[members].max(axis=0), self.weights * apart.min(axis=0), fewest, windows, problem.keeps,
            problem.first, limit * (1 + 1e-6), above, toward_above, excess,
        )  # fmt: skip
        toward = np.zeros(self.extents.shape, dtype=np.int64)
        for d in range(7):
            for c in np.flatnonzero(used[d]):
                toward[self.lattice_of[d, c]] = index[self.lattice_of[d, c]] * steps[d]
        reached = np.flatnonzero(np.isfinite(excess[:-1]))
        group = Group(
            members=members, values=values, shape=shape, reached=reached.astype(np.int32), finite=excess.reshape(-1)[reached],
            states=len(excess), toward=toward,
        )  # fmt: skip
        return group, float(start)

    def _windows(self, pairs, values, shape, index):
        problem = self.problem
        plain, slides, _, touched, _, _ = problem.windows
        k, n_p, n_r = int(problem.keeps[1]), int(shape[3:5].max()), int(shape[5:7].max())
        still, least = np.empty((2, k, 2, n_p, n_r)), np.empty((2, k, 2))
        slid = np.empty((2, k, 2, 2, n_p, n_r, max(n_p, n_r)) if problem.sliding else (2, k, 2, 0, 0, 0, 0), dtype=np.float32)
        nearest = np.empty((2, k, 2, 2, n_p, n_r), dtype=np.float32)
        fold_windows(pairs, self.pair_lattices, self.counts, index, plain, slides, touched, still, slid, nearest, least)
        extents = np.ones((2, k, n_p, n_r))
        for a, (axis, (outer, tap)) in enumerate(AXES.items()):
            window = np.array(problem.nest.window(axis), dtype=np.int64)
            p, r = (kernel.DIMENSIONS.index(d) for d in (outer, tap))
            for i in range(k):
                window_extents(window, values[p, : shape[p]], values[r, : shape[r]], 1, 1, extents[a, i, : shape[p], : shape[r]])
        return still, slid, nearest, extents, least

    def halves(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two halves whose members are closer to each other: cut along the dimension in which spreads differ most."""
        spreads = np.stack([self.spread[d, self.column[members, d]] for d in range(7)], axis=1)
        range_of = np.log(spreads.max(axis=0) / spreads.min(axis=0))
        d = int(range_of.argmax())
        keys = spreads[:, d]
        if range_of[d] == 0:  # the same spread in all, over different fan-outs
            d = int(np.argmax([len(np.unique(self.column[members, e])) for e in range(7)]))
            keys = self.column[members, d]
        levels = np.unique(keys)
        cut = np.median(keys)
        lower = keys <= cut if cut < levels[-1] else keys < levels[-1]
        return members[lower], members[~lower]


def _covered(d: int, size: int, extents: np.ndarray, spread: int) -> np.ndarray:
    """Indices of a dimension that all positions together cover at these extents."""
    if d >= 3:
        return np.minimum(extents * spread, size)
    left = int(extents[-1])
    return size // left * extents + np.minimum(extents, size % left)
