"""Spatial assignments: over how many positions of which axis every dimension is spread."""

from __future__ import annotations

import functools
import math

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Axis
from picojoule.search.lattice import divisors
from picojoule.workload.nest import DIMS, Nest


def spatial_assignments(nest: Nest, accelerator: Accelerator, frozen: frozenset[str], imperfect: bool) -> np.ndarray:
    """Every way to spread the nest over the axes of all fan-outs.

    Ways that give every fan-out the same factors, split over its axes differently, cost the same: one of them stands
    for all. With imperfect
    factors, a way stands for all that leave as much per position and use more positions of some fan-out, fewer of none.

    Args:
        nest: the layer.
        accelerator: the machine.
        frozen: dimensions that are not spread.
        imperfect: whether factors need not divide their dimension.

    Returns:
        ``[assignment, axis (those of the outer fan-outs first), dimension]``: factors, int64, read-only.
    """
    sizes, sides = tuple(getattr(nest, d) for d in DIMS), tuple(fanout.axes for fanout in accelerator.fanouts)
    return _ways(sizes, sides, frozen, imperfect)


@functools.lru_cache(maxsize=64)
def _ways(
    dims: tuple[int, ...], sides: tuple[tuple[Axis, ...], ...], frozen: frozenset[str], imperfect: bool
) -> np.ndarray:
    """The same for equal layers on equal arrays, which are often asked of several machines in turn."""
    sizes = np.array(dims, dtype=np.int64)
    ways = np.ones((1, 0, len(DIMS)), dtype=np.int64)
    for axes in sides:
        for axis in axes:
            ways = _joined(ways, _axis_ways(axis, sizes, frozen, imperfect)[:, None, :], sizes, imperfect)
    factors = _totals(ways, sides)
    once, _ = _different(factors.reshape(len(ways), -1))
    ways = ways[once[_thrifty(factors[once], sizes)]] if imperfect else ways[once]
    ways.setflags(write=False)
    return ways


def totals(ways: np.ndarray, accelerator: Accelerator) -> np.ndarray:
    """``[assignment, fan-out, dimension]`` positions, of assignments by axis."""
    return _totals(ways, tuple(fanout.axes for fanout in accelerator.fanouts))


def _totals(ways: np.ndarray, sides: tuple[tuple[Axis, ...], ...]) -> np.ndarray:
    factors = np.ones((len(ways), len(sides), len(DIMS)), dtype=np.int64)
    first = 0
    for f, axes in enumerate(sides):
        factors[:, f] = ways[:, first : first + len(axes)].prod(axis=1)
        first += len(axes)
    return factors


def _different(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each different row comes first, in the order of the rows, and which of them every row is."""
    ranges = [int(most) + 1 for most in rows.max(axis=0)]
    if math.prod(ranges) < 2**62:  # as one number each, rows are sorted many times as fast
        places = np.array([math.prod(ranges[i + 1 :]) for i in range(len(ranges))], dtype=np.int64)
        _, once, which = np.unique(rows @ places, return_index=True, return_inverse=True)
    else:
        _, once, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return once, which.reshape(-1)


def _thrifty(totals: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which ways (by fan-out and dimension) have none beside them that leaves as much with fewer positions."""
    left = -(-sizes // totals.prod(axis=1))
    _, group = _different(left)
    flat = totals.reshape(len(totals), -1)
    kept = np.ones(len(totals), dtype=bool)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(members) > 1:
            fewer = (flat[members][None] <= flat[members][:, None]).all(axis=2)
            kept[members] = fewer.sum(axis=1) == 1  # itself
    return np.flatnonzero(kept)


def _joined(left: np.ndarray, right: np.ndarray, sizes: np.ndarray, imperfect: bool) -> np.ndarray:
    """Every pair of ways that fits the dimensions and wastes no position."""
    second = right.prod(axis=1)
    kept = []
    for i in range(len(left)):
        total = left[i].prod(axis=0)[None, :] * second
        if imperfect:
            # No axis could do with fewer positions and leave as much for each.
            everywhere = -(-sizes // total) * total
            axes = np.concatenate([np.broadcast_to(left[i], (len(right), *left[i].shape)), right], axis=1)
            fits = (-(-sizes // (everywhere[:, None, :] // axes)) == axes).all(axis=(1, 2))
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
