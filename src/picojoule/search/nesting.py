"""From the points of a chain back to a mapping: loops between the points, keeps at them, spreads where they belong."""

from __future__ import annotations

import math

import numpy as np

from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.search.kernel import DIMENSIONS
from picojoule.search.problem import Place, Point
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Nest

INSIDE = -1


def build_mapping(
    nest: Nest,
    accelerator: Accelerator,
    places: list[Place],
    homes: dict[str, str],
    assignment: np.ndarray,
    points: list[Point],
    imperfect: bool,
    ceilings: list[tuple[int, ...] | None],
) -> Mapping:
    """The mapping in which every place has its boundary at the point that the search found.

    Args:
        places: the keeps inside the homes, in the kernel's order.
        homes: level name by tensor.
        assignment: ``[axis, dimension]`` spread factors.
        points: one for every place.
        imperfect: whether factors need not divide; then N, K and C are spread outside all loops.
        ceilings: the largest extents that rules for tiles allow every place, if there are any.
    """
    # Innermost first. The points form a chain, so equal products mean equal points; there, inner levels come first.
    order = sorted(range(len(places)), key=lambda m: (math.prod(points[m].extents), m))
    waiting, outermost = _spreads(accelerator, places, assignment, imperfect)
    nodes = _Nodes()
    nodes.spread(waiting.pop(INSIDE, []))
    for position, m in enumerate(order):
        point = points[m]
        due = {places[n].tensor: ceilings[n] for n in reversed(order[position:])}
        nodes.climb(point.extents, {t: ceiling for t, ceiling in due.items() if ceiling is not None})
        nodes.inner.append(Keep(places[m].level.name, places[m].tensor))
        outside = point.slides if point.outside else ""
        held = waiting.pop(m, [])
        nodes.spread([(node, factor) for node, factor in held if node.dim != outside])
        nodes.later += [(node, factor) for node, factor in held if node.dim == outside]
        if point.slides:
            nodes.pending = (point.slides, point.reach)
        if position + 1 == len(order) or points[order[position + 1]].extents != point.extents:
            nodes.slide()
    spread = assignment.prod(axis=0) if len(assignment) else np.ones(len(DIMS), dtype=np.int64)
    nodes.climb(tuple(-(-getattr(nest, d) // int(spread[DIMS.index(d)])) for d in DIMENSIONS))
    nodes.spread(outermost)
    if nest.G > nodes.size["G"]:
        nodes.inner.append(Loop("G", nodes.size["G"]))
    nodes.inner += [Keep(homes[t], t) for t in TENSORS]
    return Mapping(tuple(reversed(nodes.inner)))


class _Nodes:
    """The nest as it grows from the innermost node outwards."""

    def __init__(self) -> None:
        self.inner: list[Node] = []
        self.size = dict.fromkeys(DIMS, 1)  # indices that the nodes so far cover
        self.across = dict.fromkeys(DIMS, 1)  # array positions among them
        self.reached = (1,) * len(DIMENSIONS)
        self.later: list[tuple[Spread, int]] = []
        self.pending: tuple[str, int] | None = None

    def climb(self, target: tuple[int, ...], ceilings: dict[str, tuple[int, ...]] | None = None) -> None:
        """Loops in time up to the point ``target``, in an order that suits the next keep of every tensor.

        A loop that grows above a ceiling along a dimension that selects no element of the tensor leaves its tile alone:
        the keep stands inside it, if no loop that moves the tile comes between.
        """
        moving = [d for d in range(len(DIMENSIONS)) if target[d] > self.reached[d]]
        while moving:
            d = next(d for d in moving if not _must_wait(d, target, [DIMENSIONS[e] for e in moving], ceilings or {}))
            moving.remove(d)
            self.inner.append(Loop(DIMENSIONS[d], self.size[DIMENSIONS[d]]))
            self.size[DIMENSIONS[d]] = target[d] * self.across[DIMENSIONS[d]]
        self.reached = target

    def spread(self, spreads: list[tuple[Spread, int]]) -> None:
        """Spreads here; their tiles are what the nodes inside cover."""
        for node, factor in spreads:
            self.inner.append(Spread(node.dim, self.size[node.dim], node.fanout, node.axis))
            self.size[node.dim] *= factor
            self.across[node.dim] *= factor

    def slide(self) -> None:
        """The loop of a sliding window, if one is due at this point, and the spreads that stand outside it."""
        if self.pending is not None:
            dim, reach = self.pending
            self.climb(tuple(reach if d == dim else x for d, x in zip(DIMENSIONS, self.reached, strict=True)))
            self.spread(self.later)
            self.pending, self.later = None, []


def _must_wait(d: int, target: tuple[int, ...], moving: list[str], ceilings: dict[str, tuple[int, ...]]) -> bool:
    return any(
        target[d] > ceiling[d] and DIMENSIONS[d] not in RELEVANT[tensor] and any(e in RELEVANT[tensor] for e in moving)
        for tensor, ceiling in ceilings.items()
    )


def _spreads(
    accelerator: Accelerator, places: list[Place], assignment: np.ndarray, imperfect: bool
) -> tuple[dict[int, list[tuple[Spread, int]]], list[tuple[Spread, int]]]:
    """The spreads by the keep of inputs that they stand directly above, inner fan-outs first; and those that stand
    outside all loops.

    Outside stand the spreads of N, K and C if factors need not divide: then each position cuts a range of its own.
    """
    result: dict[int, list[tuple[Spread, int]]] = {}
    outermost: list[tuple[Spread, int]] = []
    axis = len(assignment)
    for fanout in reversed(accelerator.fanouts):
        axis -= len(fanout.axes)
        inside = [
            m
            for m, place in enumerate(places)
            if place.tensor == "inputs" and fanout.name in accelerator.fanouts_outside(place.level.name)
        ]
        for i, side in reversed(list(enumerate(fanout.axes))):
            for d, dim in enumerate(DIMS):
                factor = int(assignment[axis + i, d])
                if factor > 1:
                    above = outermost if imperfect and dim in "NKC" else result.setdefault(max(inside, default=INSIDE), [])
                    above.append((Spread(dim, 1, fanout.name, side.name), factor))
    return result, outermost
