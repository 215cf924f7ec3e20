"""Whether samples still leave where those of calibration left: a test that may be looked at after every batch.

A bet is on more (or fewer) samples than at calibration in a set of exits: those from exit j on, or exit j alone. A sample
that left in the set multiplies the bet's wealth by eᶜ, one that didn't by 1, and every sample divides it by what eᶜ is
worth in the mean at the largest rate (the least for c < 0) that calibration leaves possible, so that the wealth doesn't
grow in the mean where nothing has changed. The mean of all bets is such a wealth, too, and by Ville's inequality it
ever reaches 2/a with a probability of at most a/2. Rates are known from so many calibration samples only: exact
binomial bounds (Clopper–Pearson) hold for all sets, sides and points together but with a probability of at most a/2.

Wealth starts anew after each window, so that a change that comes late is seen as soon as an early one. In a window
without change the chance of a false alarm is at most a.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from picojoule.errors import UsageError
from picojoule.runtime.binomial import lower_bound
from picojoule.runtime.operation import Operation

FALSE_ALARM = 0.001
"""a: in each window."""
WINDOW = 2000
"""Samples."""
STRENGTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""|c| of the bets."""


class DriftWarning(UserWarning):
    """Samples leave elsewhere than those of calibration did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A change of the exit rates.

    Attributes:
        after: samples in its window when the change was seen.
        samples: of all calls until then, of this session.
        expected: share that leaves at each exit by calibration, at the points that ran.
        found: share that left there, in the window.
        false_alarm: chance of such a report in a window without change, at most.
        window: samples in a window.
    """

    after: int
    samples: int
    expected: tuple[float, ...]
    found: tuple[float, ...]
    false_alarm: float
    window: int

    def __str__(self) -> str:
        most = max(range(len(self.found)), key=lambda e: abs(self.found[e] - self.expected[e]))
        return (
            f"samples leave elsewhere than at calibration: at exit {most} {self.found[most]:.1%}, expected"
            f" {self.expected[most]:.1%}; seen after {self.after} samples"
        )


class DriftMonitor:
    """Counts where samples leave and says when that has changed.

    Args:
        operation: with the calibration counts of every point.
        false_alarm: chance of a false alarm in a window, at most; above 0, below 1.
        window: samples in a window.

    Attributes:
        samples: that were counted.
        reported: the last change that was found, or None.
        in_window: samples of the window that runs.

    Raises:
        UsageError: a chance or a window out of range.
    """

    def __init__(self, operation: Operation, *, false_alarm: float = FALSE_ALARM, window: int = WINDOW) -> None:
        if not 0 < false_alarm < 1:
            raise UsageError(f"a chance lies between 0 and 1, got {false_alarm!r}", where="false_alarm")
        if window < 1:
            raise UsageError(f"a window has at least 1 sample, got {window}", where="window")
        self._operation, self.false_alarm, self.window = operation, false_alarm, window
        self.samples = 0
        self.reported: Drift | None = None
        self._sets = _sets(operation)
        self._gains: dict[int, np.ndarray] = {}
        self._most: dict[int, list[float]] = {}  # of the gains, by exit
        self._alarm = math.log(2 / false_alarm)
        self._rates = np.array([point.rates for point in operation.points])
        self._start()

    def _start(self) -> None:
        exits = len(self._operation.energies_j)
        self.in_window = 0
        self._told = False
        self._wealth = np.zeros(len(self._sets) * len(_BETS))
        self._highest = 0.0  # of the wealth's logarithms at most, with the samples that wait
        self._waiting: dict[tuple[int, int], int] = {}  # samples by point and exit, not yet in what follows
        self._left, self._expected = np.zeros(exits), np.zeros(exits)

    def add(self, point: int, exits: np.ndarray) -> Drift | None:
        """Counts a batch.

        Args:
            point: number of the point that it ran at.
            exits: where each sample left.

        Returns:
            The change, if this batch is the first of its window that shows one.
        """
        if len(exits) == 1 and self.in_window < self.window - 1:
            return self._add_one(point, exits.item())
        found = None
        while len(exits):
            part, exits = exits[: self.window - self.in_window], exits[self.window - self.in_window :]
            for left, count in enumerate(np.bincount(part).tolist()):
                if count:
                    self._waiting[point, left] = self._waiting.get((point, left), 0) + count
            self.in_window += len(part)
            self.samples += len(part)
            found = self._look() or found
            if self.in_window == self.window:
                self._start()
        return found

    def _add_one(self, point: int, left: int) -> Drift | None:
        """A sample that left there. Bets are looked at only if one of them might be high enough by now."""
        if point not in self._gains:
            self._learn(point)
        self._waiting[point, left] = self._waiting.get((point, left), 0) + 1
        self.in_window += 1
        self.samples += 1
        self._highest += self._most[point][left]
        return None if self._highest < self._alarm else self._look()

    def _look(self) -> Drift | None:
        """The change that the samples of the window show, if they are the first to show one."""
        for (point, left), count in self._waiting.items():
            if point not in self._gains:
                self._learn(point)
            self._wealth += count * self._gains[point][left]
            self._left[left] += count
            self._expected += count * self._rates[point]
        self._waiting.clear()
        if self._told or not self._wealth.size:
            self._highest = -math.inf  # nothing more to see in this window
            return None
        # The mean of all bets is never above the highest.
        self._highest = highest = float(self._wealth.max())
        if highest < self._alarm or highest + math.log(np.exp(self._wealth - highest).mean()) < self._alarm:
            return None
        self._told = True
        self.reported = Drift(
            after=self.in_window,
            samples=self.samples,
            expected=tuple((self._expected / self.in_window).tolist()),
            found=tuple((self._left / self.in_window).tolist()),
            false_alarm=self.false_alarm,
            window=self.window,
        )
        return self.reported

    def _learn(self, point: int) -> None:
        gains = self._gains_of(point)
        self._gains[point], self._most[point] = gains, gains.max(1, initial=0.0).tolist()

    def _gains_of(self, point: int) -> np.ndarray:
        """What a sample adds to the logarithm of each bet's wealth, by the exit where it left: exits × (sets × bets)."""
        operation = self._operation
        chance = self.false_alarm / 2 / (2 * max(1, len(self._sets)) * len(operation.points))
        left = np.array(operation.points[point].left)
        found = np.empty((len(self._sets), len(_BETS)))
        for row, one in zip(found, self._sets, strict=True):
            inside = int(left[one].sum())
            least = lower_bound(inside, operation.images, chance)
            most = 1 - lower_bound(operation.images - inside, operation.images, chance)
            row[:] = np.log1p(np.where(_BETS > 0, most, least) * np.expm1(_BETS))
        exits = self._sets.T[:, :, None] * _BETS - found
        return exits.reshape(len(exits), -1)


_BETS = np.array([side * strength for strength in STRENGTHS for side in (1, -1)])


def _sets(operation: Operation) -> np.ndarray:
    """Sets of exits that are bet on, sets × exits, bool: from each exit on, and each inner one alone."""
    exits = np.arange(len(operation.energies_j))
    rows = [exits >= e for e in exits[1:]] + [exits == e for e in exits[1:-1]]
    return np.array(rows, dtype=bool).reshape(len(rows), len(exits))
