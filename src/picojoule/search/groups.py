"""Groups of spatial assignments: a bound for all members at once, and halves that bound their members more closely."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from picojoule.search import kernel
from picojoule.search.folded import fold_visits, fold_windows, narrow, reached_values
from picojoule.search.problem import AXES, Problem
from picojoule.search.windows import window_extents
from picojoule.workload.nest import DIMS, RELEVANT

POINTS = 4_000
"""Points of a folded machine, at most."""
MOST = 64
"""Values that a dimension has in a folded machine, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Assignments with the excess that they share (``folded``).

    Attributes:
        members: their numbers.
        values, shape: extents over all positions of the folded machine.
        reached, finite: the excess where anything can stay below the limit that it was worked out for, by point and
            state in one number; few do, and many groups are open at a time.
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
        """``[point, state]``, infinite where nothing can stay below the limit."""
        dense = np.full(self.states * int(self.shape.prod()), np.inf, dtype=np.float32)
        dense[self.reached] = self.finite
        dense = dense.reshape(-1, self.states)
        dense[:, -1] = 0.0  # nothing is to come any more
        return dense


class Grouping:
    """What the folded machines of all groups of a problem are made from.

    The spreads of one dimension over all fan-outs are a column; assignments share few columns.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.counts, self.extents = problem.lattices[1:3]
        columns = [np.unique(problem.factors[:, :, e], axis=0, return_inverse=True) for e in kernel.EIGHT]
        self.column = np.stack([inverse.reshape(-1) for _, inverse in columns], axis=1)
        """``[assignment, dimension]``: which column it has."""
        self.sizes = np.array([getattr(problem.nest, d) for d in kernel.DIMENSIONS], dtype=np.int64)
        most, widest, places = max(len(rows) for rows, _ in columns), self.extents.shape[1], len(problem.places)
        self.lattice_of = np.zeros((7, most), dtype=np.int64)
        self.spread = np.ones((7, most), dtype=np.int64)
        self.covered = np.ones((7, most, widest), dtype=np.int64)
        self.visits = np.ones((7, most, places, 2, widest))
        for d, (rows, _) in enumerate(columns):
            size = int(self.sizes[d])
            for c, row in enumerate(rows):
                self.spread[d, c] = row.prod()
                self.lattice_of[d, c] = one = problem.lattices[0][d, row.prod()]
                extents = self.extents[one, : self.counts[one]]
                self.covered[d, c, : len(extents)] = _covered(d, size, extents, int(row.prod()))
                visits = self.visits[d, c]
                kernel.column_visits(d, row, size, extents, problem.prices[0], problem.first, visits)
        self.pair_lattices = self._pair_lattices()
        problem.lay_out(0)
        self.weights = problem.scratch[3].copy()
        self.room = self._room()

    def narrowed(
        self, members: np.ndarray, parent: Group | None, limit: float, budget: int = POINTS
    ) -> tuple[Group, float]:
        """The group of ``members``, all in ``parent``, and its excess from the start, infinite if at least ``limit``.

        Args:
            members: numbers of assignments.
            parent: a larger group, or None.
            limit: what the excess must stay below to be of use.
            budget: points of the folded machine, at most; more where the larger group keeps more apart.
        """
        problem = self.problem
        used = np.zeros(self.lattice_of.shape, dtype=np.bool_)
        for d in range(7):
            used[d, self.column[members, d]] = True
        values, shape, place = self._values(used, parent, budget)
        index = np.zeros(self.extents.shape, dtype=np.int64)
        fewest = np.empty((len(problem.places), 2, *values.shape))
        fold_visits(self.covered, self.counts, self.lattice_of, used, self.visits, values, shape, index, fewest)
        states = int(np.prod(problem.keeps + 1))
        above, toward_above = np.zeros((1, states), dtype=np.float32), np.zeros(values.shape, dtype=np.int64)
        if parent is not None:
            above, toward_above = parent.excess(), np.ascontiguousarray(place * _steps(parent.shape)[:, None])
        excess = np.empty((int(shape.prod()), states), dtype=np.float32)
        start = narrow(
            shape, values, self.room[members].max(axis=0), self.weights * self._apart(members).min(axis=0), fewest,
            self._windows(members, values, shape, index), problem.keeps, problem.first, limit * (1 + 1e-6), above,
            toward_above, excess,
        )  # fmt: skip
        toward, steps = np.zeros(self.extents.shape, dtype=np.int64), _steps(shape)
        for d in range(7):
            for c in np.flatnonzero(used[d]):
                toward[self.lattice_of[d, c]] = index[self.lattice_of[d, c]] * steps[d]
        reached = np.flatnonzero(np.isfinite(excess))
        reached = reached[reached % states != states - 1]
        group = Group(
            members=members, values=values, shape=shape, reached=reached.astype(np.int32),
            finite=excess.reshape(-1)[reached], states=states, toward=toward,
        )  # fmt: skip
        return group, float(start)

    def halves(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two halves whose members are closer to each other: cut along the dimension in which spreads differ most."""
        spreads = np.stack([self.spread[d, self.column[members, d]] for d in range(7)], axis=1)
        range_of = np.log(spreads.max(axis=0) / spreads.min(axis=0))
        d = int(range_of.argmax())
        keys = spreads[:, d]
        if range_of[d] == 0:  # the same spread in all, over different fan-outs
            d = int(np.argmax([len(np.unique(self.column[members, e])) for e in range(7)]))
            keys = self.column[members, d]
        levels, cut = np.unique(keys), np.median(keys)
        lower = keys <= cut if cut < levels[-1] else keys < levels[-1]
        return members[lower], members[~lower]

    # The pieces of a folded machine -----------------------------------------------------------------------------------

    def _pair_lattices(self) -> np.ndarray:
        """``[axis, pair of spreads, outputs or taps]``: the lattices of the window tables."""
        problem = self.problem
        result = np.zeros((2, problem.windows[0].shape[1], 2), dtype=np.int64)
        for a, letters in enumerate(AXES.values()):
            ids, where = np.unique(problem.window_ids[:, a], return_index=True)
            for t, assignment in zip(ids, where, strict=True):
                for side, letter in enumerate(letters):
                    d = kernel.DIMENSIONS.index(letter)
                    result[a, t, side] = self.lattice_of[d, self.column[assignment, d]]
        return result

    def _room(self) -> np.ndarray:
        """``[assignment, keep]``: elements that all instances of the keep's level hold together."""
        problem = self.problem
        room = np.full((len(problem.factors), len(problem.places)), np.inf)
        for m, place in enumerate(problem.places):
            if math.isfinite(problem.room[m]):
                relevant = [DIMS.index(d) for d in DIMS if d in RELEVANT[place.tensor]]
                copies = problem.factors[:, problem.outside[place.level.name]][:, :, relevant].prod(axis=(1, 2))
                room[:, m] = problem.room[m] // problem.tile_bits[m] * copies
        return room

    def _values(
        self, used: np.ndarray, parent: Group | None, budget: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Extents over all positions, how many there are, and the place of each among those of the larger group."""
        values = np.ones((7, int(self.sizes.max()) + 1), dtype=np.int64)
        shape, place = np.ones(7, dtype=np.int64), np.zeros(values.shape, dtype=np.int64)
        before = (values, np.zeros(7, dtype=np.int64)) if parent is None else (parent.values, parent.shape)
        most, points = MOST, math.inf
        while points > budget and most >= 2:
            reached_values(
                self.sizes, self.covered, self.counts, self.lattice_of, used, *before, most, values, shape, place
            )
            points, most = math.prod(shape.tolist()), min(most, int(shape.max())) - 1
        widest = int(shape.max())
        return np.ascontiguousarray(values[:, :widest]), shape, np.ascontiguousarray(place[:, :widest])

    def _apart(self, members: np.ndarray) -> np.ndarray:
        """``[member, keep, side]``: visits of every keep at full extent."""
        apart = np.ones((len(members), len(self.problem.places), 2))
        for d in range(7):
            last = self.counts[self.lattice_of[d]] - 1
            apart *= self.visits[d, np.arange(len(last)), :, :, last][self.column[members, d]]
        return apart

    def _windows(
        self, members: np.ndarray, values: np.ndarray, shape: np.ndarray, index: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Least rows and columns of the group: still, slid, the nearest slide, extents, and the least of all."""
        problem = self.problem
        pairs = np.zeros(self.pair_lattices.shape[:2], dtype=np.bool_)
        for a in range(2):
            pairs[a, problem.window_ids[members, a]] = True
        plain, slides, _, touched, _, _ = problem.windows
        k, n_p, n_r = int(problem.keeps[1]), int(shape[3:5].max()), int(shape[5:7].max())
        still, least = np.empty((2, k, 2, n_p, n_r)), np.empty((2, k, 2))
        reaches = (n_p, n_r, max(n_p, n_r)) if problem.sliding else (0, 0, 0)
        slid = np.empty((2, k, 2, 2 if problem.sliding else 0, *reaches), dtype=np.float32)
        nearest = np.empty((2, k, 2, 2, n_p, n_r), dtype=np.float32)
        fold_windows(pairs, self.pair_lattices, self.counts, index, plain, slides, touched, still, slid, nearest, least)
        extents = np.ones((2, k, n_p, n_r))
        for a, (axis, letters) in enumerate(AXES.items()):
            window = np.array(problem.nest.window(axis), dtype=np.int64)
            p, r = (values[d, : shape[d]] for d in map(kernel.DIMENSIONS.index, letters))
            for i in range(k):
                window_extents(window, p, r, 1, 1, extents[a, i, : len(p), : len(r)])
        return still, slid, nearest, extents, least


def _steps(shape: np.ndarray) -> np.ndarray:
    """By how much the number of a point grows along each dimension."""
    return np.array([math.prod(shape[d + 1 :].tolist()) for d in range(7)], dtype=np.int64)


def _covered(d: int, size: int, extents: np.ndarray, spread: int) -> np.ndarray:
    """Indices of a dimension that all positions together cover at these extents."""
    if d >= 3:
        return np.minimum(extents * spread, size)
    left = int(extents[-1])
    return size // left * extents + np.minimum(extents, size % left)
