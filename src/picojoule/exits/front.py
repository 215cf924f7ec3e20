"""Thresholds of all exits chosen together: the least energy for every accuracy, by exact search.

A sample leaves at the first exit whose score reaches the exit's threshold, else at the last. Thresholds of an exit are
quantiles of its scores. The search goes through the thresholds exit by exit; those of the last few exits are counted
all at once, as a table of cumulative histograms. A branch is left out only if a bound shows that nothing in it is both
cheaper and at least as accurate as what was found: were every sample to leave where it is first answered right, or at
once if nowhere, the branch would still be no better. So the front is the optimum over the grid, proved, not
approximated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError, UsageError

CELLS = 20_000_000
"""Combinations of thresholds that a grid may have unless its levels are named."""
TABLE = 1 << 18
"""Combinations that are counted at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of the thresholds, on the images that they were chosen on.

    Attributes:
        thresholds: of every exit but the last: scores from which on samples leave; ∞ where none does.
        accuracy: share of right answers.
        energy: mean of a sample, in the unit of the exits' energies.
    """

    thresholds: tuple[float, ...]
    accuracy: float
    energy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """All settings that no other of the grid beats, and how they were found.

    Attributes:
        points: from the least accurate and cheapest to the most accurate and dearest, strictly rising in both.
        levels: thresholds tried at each exit.
        every_score: at each exit, whether these are all that make a difference.
        combinations: of thresholds in the grid.
        counted: of these, looked at; the others lie in branches that a bound ruled out.
    """

    points: tuple[Point, ...]
    levels: tuple[int, ...]
    every_score: tuple[bool, ...]
    combinations: int
    counted: int

    def cheapest(self, accuracy: float) -> Point | None:
        """The setting of least energy that is at least so accurate; None if none is."""
        return next((point for point in self.points if point.accuracy >= accuracy), None)


def leaving(score: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Where each sample leaves: at the first exit whose score reaches its threshold, else at the last.

    Args:
        score: exits × images.
        thresholds: one fewer than exits.

    >>> leaving(np.array([[0.9, 0.2], [0.5, 0.5]]), [0.8]).tolist()
    [0, 1]
    """
    good = score >= np.append(np.asarray(thresholds, dtype=float), -math.inf)[:, None]
    return good.argmax(0)


def best_thresholds(
    score: np.ndarray,
    right: np.ndarray,
    energies: Sequence[float],
    *,
    levels: int | None = None,
    least_accuracy: float = 0.0,
) -> Front:
    """The least energy for every accuracy, over all combinations of the exits' thresholds.

    Args:
        score: exits × images, 0 … 1.
        right: whether each exit's answer is right, exits × images, bool.
        energies: of a sample that leaves at each exit, all that it ran on the way included; never falling.
        levels: thresholds tried at each exit, "all leave" and "none leaves" among them; by default as many as
            ``CELLS`` combinations allow. An exit with no more different scores than that is searched at every one.
        least_accuracy: the front may end there: less accurate settings are not asked for.

    Raises:
        UsageError: levels below 2.
        InputError: shapes that don't match, no image, scores out of range, or energies that fall.
    """
    _check(score, right, energies, levels)
    exits, images = score.shape
    if exits == 1:
        only = Point(thresholds=(), accuracy=float(right[0].mean()), energy=float(energies[0]))
        return Front(points=(only,), levels=(), every_score=(), combinations=1, counted=1)
    if levels is None:
        levels = max(2, int(CELLS ** (1 / (exits - 1)) + 1e-9))
    grids = [grid(score[e], levels) for e in range(exits - 1)]
    least = max(0, math.ceil(least_accuracy * images - 1e-9))
    coarse = [np.unique(np.linspace(0, len(g) - 1, min(len(g), 6)).round().astype(int)) for g in grids]
    search = _Search(score, right, np.asarray(energies, dtype=float), least)
    # A coarse search first: what it finds rules out branches of the fine one.
    search.run([g[c] for g, c in zip(grids, coarse, strict=True)])
    search.counted = 0
    search.run(grids)
    return Front(
        points=tuple(search.points()),
        levels=tuple(len(g) for g in grids),
        every_score=tuple(len(g) == len(np.unique(s)) + 1 for g, s in zip(grids, score, strict=False)),
        combinations=math.prod(len(g) for g in grids),
        counted=search.counted,
    )


def grid(score: np.ndarray, levels: int) -> np.ndarray:
    """Thresholds that part the scores: 0 (all leave), midpoints between neighbouring quantiles, ∞ (none leaves)."""
    values = np.unique(score)
    if len(values) + 1 <= levels:
        cut = np.arange(1, len(values))
    else:
        quantiles = np.quantile(score, np.linspace(0, 1, levels)[1:-1], method="higher")
        cut = np.unique(np.maximum(np.searchsorted(values, quantiles), 1))
    middle = values[cut - 1] + (values[cut] - values[cut - 1]) / 2
    # Where no float lies between them the upper one parts them.
    middle = np.where(middle > values[cut - 1], middle, values[cut])
    return np.concatenate([[0.0], middle, [math.inf]])


class _Search:
    """The best found so far, and the branches still to be looked at."""

    def __init__(self, score: np.ndarray, right: np.ndarray, energies: np.ndarray, least: int) -> None:
        self.score, self.right, self.energies, self.least = score, right, energies, least
        images = score.shape[1]
        # Of each number of right answers, the least energy sum found, and its thresholds.
        self.energy = np.full(images + 2, math.inf)
        self.found: list[tuple[float, ...] | None] = [None] * (images + 1)
        self.beaten = self.energy.copy()
        self.counted = 0
        first = np.where(right.any(0), right.argmax(0), 0)
        self.ever, self.first = right.any(0), first
        self.steps = np.diff(energies)

    def run(self, grids: list[np.ndarray]) -> None:
        self.grids = grids
        # A score in bin b reaches threshold k if b > k.
        self.bins = [np.searchsorted(g, s, side="right") for g, s in zip(grids, self.score, strict=False)]
        tail, size = len(grids) - 1, len(grids[-1])
        while tail and size * len(grids[tail - 1]) <= TABLE:
            tail -= 1
            size *= len(grids[tail])
        self.tail = tail
        self._branch(0, np.arange(self.score.shape[1]), 0, 0.0, ())

    def _branch(self, e: int, here: np.ndarray, right: int, energy: float, chosen: tuple[float, ...]) -> None:
        """All settings that begin with ``chosen``: ``here`` are the samples that arrive at exit e, the others gave so
        many right answers for so much energy."""
        if self._ruled_out(e, here, right, energy):
            return
        if e == self.tail:
            self._table(e, here, right, energy, chosen)
            return
        order = here[np.argsort(self.bins[e][here], kind="stable")]
        ends = np.searchsorted(self.bins[e][order], np.arange(len(self.grids[e])), side="right")
        hits = np.concatenate([[0], np.cumsum(self.right[e][order])])
        for k, end in enumerate(ends.tolist()):
            if k and end == ends[k - 1]:
                continue  # parts the samples that are here as the threshold before it does
            self._branch(
                e + 1,
                order[:end],
                right + int(hits[-1] - hits[end]),
                energy + (len(order) - end) * float(self.energies[e]),
                (*chosen, float(self.grids[e][k])),
            )

    def _ruled_out(self, e: int, here: np.ndarray, right: int, energy: float) -> bool:
        """Whether even knowing the labels would not make this branch better than what was found."""
        now = right + int(self.right[e][here].sum())
        late = here[~self.right[e][here]]
        late = late[self.ever[late]]
        # Exits where these are first right; an exit before e doesn't count, a later one may follow it.
        if e:
            later = self.right[e:, late]
            late_first = np.where(later.any(0), later.argmax(0) + e, -1)
            late_first = late_first[late_first >= 0]
        else:
            late_first = self.first[late]
        extra = np.repeat(self.energies - self.energies[e], np.bincount(late_first, minlength=len(self.energies)))
        least = energy + len(here) * self.energies[e] + np.concatenate([[0.0], np.cumsum(extra)])
        reach = np.arange(now, now + len(least))
        # Fewer right answers than `now` cost no less than `now`, which is looked at anyway.
        wanted = np.maximum(reach, self.least)
        keep = reach >= self.least
        if not keep.any():
            return True
        return bool((self.beaten[wanted[keep]] <= least[keep] * (1 + 1e-12)).all())

    def _table(self, e: int, here: np.ndarray, right: int, energy: float, chosen: tuple[float, ...]) -> None:
        """All combinations of the thresholds from exit e on, counted at once."""
        shape = [len(g) for g in self.grids[e:]]
        dims = len(shape)
        self.counted += math.prod(shape)
        flat = np.zeros(len(here), dtype=np.int64)
        hits: np.ndarray = np.array(right, dtype=np.int32)
        cost: np.ndarray = np.array(energy + len(here) * self.energies[e])
        for d in range(dims + 1):
            now, sizes = self.right[e + d][here], shape[:d]
            if d == dims:
                hits = hits + _cumulative(flat[now], sizes)
                break
            flat = flat * shape[d] + self.bins[e + d][here]
            sizes = shape[: d + 1]
            good, all_ = _cumulative(flat[now], sizes), _cumulative(flat, sizes)
            # Those with a bin above the threshold leave.
            hits = (hits[..., None] if d else hits) + (good[..., -1:] - good)
            cost = (cost[..., None] if d else cost) + self.steps[e + d] * all_
        self._keep(hits.ravel(), cost.ravel(), e, shape, chosen)

    def _keep(self, hits: np.ndarray, cost: np.ndarray, e: int, shape: list[int], chosen: tuple[float, ...]) -> None:
        better = np.flatnonzero((cost < self.beaten[hits]) & (hits >= self.least))
        if not len(better):
            return
        order = better[np.lexsort((cost[better], -hits[better]))]
        # From the most accurate down, only what is cheaper than all that is more accurate.
        before = np.minimum.accumulate(np.concatenate([[math.inf], cost[order[:-1]]]))
        order = order[cost[order] < before]
        for cell in order.tolist():
            r = int(hits[cell])
            if cost[cell] < self.energy[r]:
                self.energy[r] = cost[cell]
                where = np.unravel_index(cell, shape)
                own = tuple(float(self.grids[e + d][k]) for d, k in enumerate(where))
                self.found[r] = (*chosen, *own)
        self.beaten = np.minimum.accumulate(self.energy[::-1])[::-1]

    def points(self) -> list[Point]:
        images = self.score.shape[1]
        found: list[Point] = []
        least = math.inf
        for r in range(images, self.least - 1, -1):
            thresholds = self.found[r]
            if thresholds is not None and self.energy[r] < least:
                least = float(self.energy[r])
                found.append(Point(thresholds=thresholds, accuracy=r / images, energy=least / images))
        return found[::-1]


def _cumulative(flat: np.ndarray, shape: list[int]) -> np.ndarray:
    """How many samples have no more than each index along all axes."""
    counts = np.bincount(flat, minlength=math.prod(shape)).astype(np.int32).reshape(shape)
    for axis in range(len(shape)):
        np.cumsum(counts, axis=axis, out=counts)
    return counts


def _check(score: np.ndarray, right: np.ndarray, energies: Sequence[float], levels: int | None) -> None:
    if score.ndim != 2 or score.shape != right.shape or right.dtype != bool:
        raise InputError(
            f"scores and right answers are both exits × images, got {score.shape} and {right.shape} of {right.dtype}",
            where="thresholds",
        )
    if not score.size:
        raise InputError("there is no image to choose thresholds on", where="thresholds")
    if not ((score >= 0) & (score <= 1)).all():
        raise InputError("scores lie in 0 … 1", where="thresholds")
    check_energies(energies, len(score))
    if levels is not None and levels < 2:
        raise UsageError(f"at least 2 levels are needed (all leave, none leaves), got {levels}", where="levels")


def check_energies(energies: Sequence[float], exits: int) -> None:
    """Raises InputError unless there is a finite energy for each exit, and none is less than the one before."""
    if len(energies) != exits:
        raise InputError(f"{exits} exits need as many energies, got {len(energies)}", where="energies")
    if not all(math.isfinite(energy) and energy >= 0 for energy in energies):
        raise InputError(f"an energy is a number from 0, got {list(energies)}", where="energies")
    fall = next((e for e in range(1, exits) if energies[e] < energies[e - 1]), None)
    if fall is not None:
        raise InputError(
            f"exit {fall} takes {energies[fall]:g}, less than exit {fall - 1} with {energies[fall - 1]:g}",
            where="energies",
            hint="Give what a sample took in all when it leaves there: layers and heads passed included.",
        )
