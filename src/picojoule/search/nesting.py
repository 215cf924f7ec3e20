"""From the points of a chain back to a mapping: loops between the points, keeps at them, spreads where the inputs want them."""

from __future__ import annotations

import numpy as np

from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.search.chain import DIMENSIONS
from picojoule.search.problem import Place
from picojoule.workload.nest import DIMS, TENSORS, Nest

INSIDE = -1



def build_mapping(
    nest: Nest,
    accelerator: Accelerator,
    places: list[Place],
    homes: dict[str, str],
    assignment: np.ndarray,
    extents: np.ndarray,
    found: np.ndarray,
) -> Mapping:
    """The mapping in which every place has the boundary that the kernel found.

    Args:
        places: in the kernel's order.
        homes: level name by tensor.
        assignment: ``[axis, dimension]`` spread factors.
        extents: ``[dim, index]`` the lattice's values.
        found: ``[place, 10]`` as ``chain.trace`` fills it.
    """
    points = [np.array([extents[d, found[m, d]] for d in range(7)]) for m in range(len(places))]
    # Innermost first. The points form a chain, so equal products mean equal points; there, inner levels come first.
    order = sorted(range(len(places)), key=lambda m: (int(np.prod(points[m])), m))
    waiting = _spreads(accelerator, places, assignment)
    nodes = _Nodes()
    nodes.spread(waiting.pop(INSIDE, []))
    for place, m in enumerate(order):
        nodes.climb(points[m])
        nodes.inner.append(Keep(places[m].level.name, places[m].tensor))
        slides, reach = int(found[m, 7]), int(found[m, 8])
        outside = DIMENSIONS[slides] if slides >= 0 and found[m, 9] == 1 else ""
        held = waiting.pop(m, [])
        nodes.spread([(node, factor) for node, factor in held if node.dim != outside])
        nodes.later += [(node, factor) for node, factor in held if node.dim == outside]
        if slides >= 0:
            nodes.pending = (slides, int(extents[slides, reach]))
        if place + 1 == len(order) or not np.array_equal(points[order[place + 1]], points[m]):
            nodes.slide()
    nodes.climb(np.array([getattr(nest, d) // int(assignment[:, DIMS.index(d)].prod()) for d in DIMENSIONS]))
    if nest.G > nodes.size["G"]:
        nodes.inner.append(Loop("G", nodes.size["G"]))
    nodes.inner += [Keep(homes[t], t) for t in TENSORS]
    return Mapping(tuple(reversed(nodes.inner)))


class _Nodes:
    """The nest as it grows from the innermost node outwards."""

    def __init__(self) -> None:
        self.inner: list[Node] = []
        self.size = dict.fromkeys(DIMS, 1)
        self.reached = np.ones(len(DIMENSIONS), dtype=np.int64)
        self.later: list[tuple[Spread, int]] = []
        self.pending: tuple[int, int] | None = None

    def climb(self, target: np.ndarray) -> None:
        """Loops in time up to the point ``target``."""
        for d, dim in enumerate(DIMENSIONS):
            if target[d] > self.reached[d]:
                self.inner.append(Loop(dim, self.size[dim]))
                self.size[dim] *= int(target[d] // self.reached[d])
        self.reached = np.array(target)

    def spread(self, spreads: list[tuple[Spread, int]]) -> None:
        """Spreads here; their tiles are what the nodes inside cover."""
        for node, factor in spreads:
            self.inner.append(Spread(node.dim, self.size[node.dim], node.fanout, node.axis))
            self.size[node.dim] *= factor

    def slide(self) -> None:
        """The loop of a sliding window, if one is due at this point, and the spreads that stand outside it."""
        if self.pending is not None:
            dim, extent = self.pending
            target = self.reached.copy()
            target[dim] = extent
            self.climb(target)
            self.spread(self.later)
            self.pending, self.later = None, []


def _spreads(accelerator: Accelerator, places: list[Place], assignment: np.ndarray) -> dict[int, list[tuple[Spread, int]]]:
    """The spreads of every fan-out, inner fan-outs first, under the keep of inputs that they belong directly above."""
    result: dict[int, list[tuple[Spread, int]]] = {}
    axis = len(assignment)
    for fanout in reversed(accelerator.fanouts):
        axis -= len(fanout.axes)
        inside = [
            m
            for m, place in enumerate(places)
            if place.tensor == "inputs" and fanout.name in accelerator.fanouts_outside(place.level.name)
        ]
        spreads = [
            (Spread(dim, 1, fanout.name, side.name), int(assignment[axis + i, d]))
            for i, side in enumerate(fanout.axes)
            for d, dim in enumerate(DIMS)
            if assignment[axis + i, d] > 1
        ]
        result.setdefault(max(inside, default=INSIDE), []).extend(spreads)
    return result
