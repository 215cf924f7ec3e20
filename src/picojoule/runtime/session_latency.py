"""A histogram of latencies whose size doesn't grow: bins 4.4 % wide from a microsecond to a quarter of an hour."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

PER_OCTAVE = 16
LEAST_S = 1e-6
_BINS = 30 * PER_OCTAVE


@dataclass(slots=True)
class Histogram:
    """How long calls took.

    Attributes:
        counts: of each bin; shorter and longer calls are in the first and the last.
        count: of calls.
        total_s: of all calls.
        least_s: of the shortest call; infinite if there was none.
        most_s: of the longest call.
    """

    counts: list[int] = field(default_factory=lambda: [0] * _BINS)
    count: int = 0
    total_s: float = 0.0
    least_s: float = math.inf
    most_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts a call."""
        bin_ = int(PER_OCTAVE * math.log2(seconds / LEAST_S)) if seconds > LEAST_S else 0
        self.counts[bin_ if bin_ < _BINS else _BINS - 1] += 1
        self.count += 1
        self.total_s += seconds
        if seconds < self.least_s:
            self.least_s = seconds
        if seconds > self.most_s:
            self.most_s = seconds

    @property
    def mean_s(self) -> float | None:
        """Mean of all calls; None without any."""
        return self.total_s / self.count if self.count else None

    def quantile_s(self, share: float) -> float | None:
        """The latency that a ``share`` of the calls doesn't exceed, to half a bin (2.2 %); None without any call.

        Example:
            >>> histogram = Histogram()
            >>> for milliseconds in range(1, 101):
            ...     histogram.add(milliseconds / 1000)
            >>> round(histogram.quantile_s(0.5), 3)
            0.049
        """
        if not self.count:
            return None
        wanted, seen = max(1, math.ceil(share * self.count)), 0
        for number, count in enumerate(self.counts[:-1]):
            seen += count
            if seen >= wanted:
                middle = LEAST_S * 2 ** ((number + 0.5) / PER_OCTAVE)
                return min(max(middle, self.least_s), self.most_s)
        return self.most_s

    def octaves(self, parts: int = 4) -> list[tuple[float, float, int]]:
        """From, to (s) and calls of the bins put together, ``parts`` to an octave, from the first that isn't empty to
        the last."""
        width = PER_OCTAVE // parts
        merged = [sum(self.counts[i : i + width]) for i in range(0, _BINS, width)]
        filled = [number for number, count in enumerate(merged) if count]
        if not filled:
            return []
        edge = [LEAST_S * 2 ** (number / parts) for number in range(len(merged) + 1)]
        return [(edge[n], edge[n + 1], merged[n]) for n in range(filled[0], filled[-1] + 1)]
