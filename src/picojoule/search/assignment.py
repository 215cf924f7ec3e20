"""Spatial assignments: over how many positions of which axis every dimension is spread."""

from __future__ import annotations

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Axis
from picojoule.search.lattice import divisors
from picojoule.workload.nest import DIMS, Nest


def spatial_assignments(nest: Nest, accelerator: Accelerator, frozen: frozenset[str], imperfect: bool) -> np.ndarray:
    """Every way to spread the nest over the axes of all fan-outs.

    Ways that give every fan-out the same factors, split over its axes differently, cost the same: one of them stands
    for all. With imperfect
    factors, a way stands for all that leave as much per position and use more positions.

    Args:
        nest: the layer.
        accelerator: the machine.
        frozen: dimensions that are not spread.
        imperfect: whether factors need not divide their dimension.

    Returns:
        ``[assignment, axis (those of the outer fan-outs first), dimension]``: factors, int64.
    """
    sizes = np.array([getattr(nest, d) for d in DIMS], dtype=np.int64)
    combined = np.ones((1, 0, len(DIMS)), dtype=np.int64)
    for fanout in accelerator.fanouts:
        ways = np.ones((1, 0, len(DIMS)), dtype=np.int64)
        for axis in fanout.axes:
            choices = _axis_ways(axis, sizes, frozen, imperfect)
            ways = _joined(ways, choices[:, None, :], sizes, imperfect)
        total = ways.prod(axis=1)
        _, once = np.unique(total, axis=0, return_index=True)
        combined = _joined(combined, ways[once], sizes, imperfect)
    return combined


def _joined(left: np.ndarray, right: np.ndarray, sizes: np.ndarray, imperfect: bool) -> np.ndarray:
    """Every pair of ways that fits the dimensions and wastes no position."""
    first, second = left.prod(axis=1), right.prod(axis=1)
    kept = []
    for i, factors in enumerate(first):
        total = factors[None, :] * second
        if imperfect:
            remaining = -(-sizes // total)
            # No side could do with fewer positions and leave as much for each.
            fits = (-(-sizes // (remaining * second)) == factors).all(axis=1) & (
                -(-sizes // (remaining * factors)) == second
            ).all(axis=1)
        else:
            fits = (sizes % total == 0).all(axis=1)
        chosen = np.flatnonzero(fits)
        if chosen.size:
            kept.append(
                np.concatenate([np.broadcast_to(left[i], (chosen.size, *left[i].shape)), right[chosen]], axis=1)
            )
    return np.concatenate(kept)


def _axis_ways(axis: Axis, sizes: np.ndarray, frozen: frozenset[str], imperfect: bool) -> np.ndarray:
    """``[way, dimension]`` with products of at most the axis size."""
    rows = np.ones((1, 0), dtype=np.int64)
    for dim, size in zip(DIMS, sizes, strict=True):
        free = dim in axis.dims and dim not in frozen
        options = [1] if not free else range(1, min(axis.size, int(size)) + 1) if imperfect else divisors(int(size))
        grown = [np.concatenate([rows, np.full((len(rows), 1), d)], axis=1) for d in options if d <= axis.size]
        rows = np.concatenate(grown)
        rows = rows[rows.prod(axis=1) <= axis.size]
    return rows
