"""Where every index of every dimension goes in a mapping: which chunk of which loop, which array position.

All dimensions are cut independently of each other, so what a mapping does is the product of what it
does to each dimension. ``Cuts`` holds, for one dimension, the counter of each of its loops for each index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from picojoule.mapping.mapping import Loop, Mapping, Spread
from picojoule.workload.nest import DIMS, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One loop or spread over a dimension: its place in the mapping, trips, and the counter at every index."""

    position: int
    node: Loop | Spread
    trips: int
    counter: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """All loops over one dimension, outermost first; those with one trip are left out.

    ``positions`` are the indices of the dimension that are looked at, normally all of them.
    """

    dim: str
    positions: np.ndarray
    cuts: tuple[Cut, ...]

    @property
    def size(self) -> int:
        """How many indices are looked at."""
        return int(self.positions.size)

    def select(self, inside: np.ndarray) -> Cuts:
        """The same cuts, looking only at the indices marked in ``inside``."""
        cuts = tuple(replace(cut, counter=cut.counter[inside]) for cut in self.cuts)
        return replace(self, positions=self.positions[inside], cuts=cuts)

    def key(self, wanted: Callable[[Cut], bool]) -> np.ndarray:
        """One whole number per index that tells apart the chunks of the ``wanted`` loops."""
        code = np.zeros(self.size, dtype=np.int64)
        for cut in self.cuts:
            if wanted(cut):
                code = code * cut.trips + cut.counter
        return code

    def first(self, wanted: Callable[[Cut], bool]) -> np.ndarray:
        """Which indices lie in the first chunk of every ``wanted`` loop."""
        inside = np.ones(self.size, dtype=bool)
        for cut in self.cuts:
            if wanted(cut):
                inside &= cut.counter == 0
        return inside


def cut_dimensions(nest: Nest, mapping: Mapping) -> dict[str, Cuts]:
    """The cuts of every dimension of ``nest`` under ``mapping``, by loop letter."""
    result = {}
    for dim in DIMS:
        size = getattr(nest, dim)
        offset = np.arange(size, dtype=np.int64)
        extent, cuts = size, []
        for position, node in enumerate(mapping.nodes):
            if not isinstance(node, Loop | Spread) or node.dim != dim:
                continue
            trips = -(-extent // node.tile)
            if trips > 1:
                cuts.append(Cut(position=position, node=node, trips=trips, counter=offset // node.tile))
                offset = offset % node.tile
            extent = min(extent, node.tile)
        result[dim] = Cuts(dim=dim, positions=np.arange(size), cuts=tuple(cuts))
    return result


def keep_positions(mapping: Mapping) -> dict[tuple[str, str], int]:
    """Position of every keep, by ``(level, tensor)``."""
    return {(node.level, node.tensor): i for i, node in enumerate(mapping.nodes) if not isinstance(node, Loop | Spread)}


def distinct(codes: np.ndarray) -> int:
    """How many different values there are."""
    return int(np.unique(codes).size)
