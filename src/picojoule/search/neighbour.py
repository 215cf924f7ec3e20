"""A mapping of a similar layer, cut to size: where the search of the next one may begin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Mapping
from picojoule.workload.nest import DIMS, Bits, Nest

FAR = math.log(8)
"""Layers whose sizes differ by more than this, all dimensions together, are no neighbours."""


def neighbour(nest: Nest, known: Iterable[tuple[Nest, Mapping]]) -> tuple[Nest, Mapping] | None:
    """The most similar layer among ``known``: the same filter, stride and dilation, sizes as close as can be."""
    near = [(distance, i, pair) for i, pair in enumerate(known) if (distance := _distance(nest, pair[0])) <= FAR]
    return min(near, key=lambda one: one[:2])[2] if near else None


def fitted(
    mapping: Mapping, of: Nest, nest: Nest, accelerator: Accelerator, bits: Bits
) -> Mapping | None:
    """``mapping`` with every tile in proportion to the other layer's sizes; None if that is no legal mapping of it."""
    sizes, others, last = nest.dims, of.dims, nest.dims
    nodes = []
    for node in mapping.nodes:
        if isinstance(node, Keep):
            nodes.append(node)
            continue
        scaled = -(-node.tile * sizes[node.dim] // others[node.dim]) if node.tile > 1 else 1
        tile = min(last[node.dim], scaled)
        last = {**last, node.dim: tile}
        nodes.append(replace(node, tile=tile))
    result = Mapping(tuple(nodes))
    try:
        check_legal(nest, accelerator, result, bits)
    except MappingError:
        return None
    return result


def _distance(one: Nest, other: Nest) -> float:
    same = ("R", "S", "stride", "dilation", "G")
    if any(getattr(one, key) != getattr(other, key) for key in same):
        return math.inf
    return sum(abs(math.log(getattr(one, d) / getattr(other, d))) for d in DIMS)
