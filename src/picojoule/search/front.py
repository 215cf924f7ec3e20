"""All that energy and latency trade for each other in one layer: the mappings that none beats in both, with proof.

The same parts of the map space as for one objective, from the fastest to the slowest: a part is of use only if it needs
less energy than everything that is as fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from picojoule.hardware.accelerator import Accelerator
from picojoule.search.costed import TIE, Costed
from picojoule.search.layer import _Search
from picojoule.search.policy import Exact
from picojoule.workload.nest import Bits, Nest

Corner = tuple[float, float]
"""(cycles, energy)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The front of one layer.

    Attributes:
        points: the best mappings found, from the fastest to the one of least energy.
        corners: every mapping of the space is at least as slow and as dear as one of these; the points themselves where
            all is proved.
        status: ``PROVED``, ``GAP_OPEN`` or ``INTERRUPTED``.
    """

    points: tuple[Costed, ...]
    corners: tuple[Corner, ...]
    status: str


def search_front(nest: Nest, accelerator: Accelerator, bits: Bits, policy: Exact | None = None) -> Front:
    """The (energy, latency) front of a layer: energy in the table's unit, latency in cycles.

    Raises:
        HardwareError: as for ``search_layer``.
    """
    return _FrontSearch(nest, accelerator, bits, policy or Exact()).front()


def lowest(corners: Iterable[Corner]) -> list[Corner]:
    """Those that no other is below in both, from the fastest to the one of least energy."""
    kept: list[Corner] = []
    for cycles, energy in sorted(corners):
        if not kept or energy < kept[-1][1] * (1 - TIE):
            kept.append((cycles, energy))
    return kept


class _FrontSearch(_Search):
    """A search whose measure is the front found so far."""

    def __init__(self, nest: Nest, accelerator: Accelerator, bits: Bits, policy: Exact) -> None:
        super().__init__(nest, accelerator, bits, "latency", policy, None)
        self.points: list[Costed] = []

    def front(self) -> Front:
        status = "PROVED"
        try:
            if not self.look():
                status = "GAP_OPEN"
        except KeyboardInterrupt:
            status = "INTERRUPTED"
        for queue in self.queues:
            queue.settle()
        corners: list[Corner] = []
        for queue, cycles in zip(self.queues, self.cycles, strict=True):
            energies = np.maximum(queue.problem.proved + self.compute, self.floor.energy)
            corners += zip(cycles.tolist(), energies.tolist(), strict=True)
        bound = [corner for corner in lowest(corners) if math.isfinite(corner[1])]
        if all(self._met(corner) for corner in bound):
            bound = [(point.cycles, point.energy) for point in self.points]
        elif status == "PROVED":
            status = "GAP_OPEN"
        return Front(points=tuple(self.points), corners=tuple(bound), status=status)

    def _met(self, corner: Corner) -> bool:
        cycles, energy = corner
        gap = 1 + max(4 * TIE, self.policy.gap)
        return any(p.cycles <= cycles * (1 + TIE) and p.energy <= energy * gap for p in self.points)

    def _settled(self, rank: float) -> bool:
        return False

    def _limits(self, cycles: np.ndarray) -> np.ndarray:
        limits = np.full(len(cycles), math.inf)
        for point in self.points:  # from the fastest to the slowest, each of less energy than the one before
            good = point.energy * (1 - max(TIE, self.policy.gap)) - self.compute
            limits[cycles >= point.cycles * (1 - TIE)] = good
        return limits

    def _offer(self, costed: Costed) -> None:
        super()._offer(costed)
        if any(p.cycles <= costed.cycles * (1 + TIE) and p.energy <= costed.energy * (1 + TIE) for p in self.points):
            return
        kept = [p for p in self.points if p.cycles < costed.cycles or p.energy < costed.energy]
        self.points = sorted([*kept, costed], key=lambda point: point.cycles)
