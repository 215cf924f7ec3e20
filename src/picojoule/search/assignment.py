"""Spatial assignments: over how many positions of which axis every dimension is spread, in exact factors."""

from __future__ import annotations

import itertools

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Axis, FanOut
from picojoule.workload.nest import DIMS, Nest


def divisors(n: int) -> list[int]:
    """All divisors of n, ascending."""
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def spatial_assignments(nest: Nest, accelerator: Accelerator, frozen: frozenset[str]) -> np.ndarray:
    """Every way to spread the nest over the fan-outs in exact factors.

    Two ways that give every fan-out the same factors, split over its axes differently, cost the same: one of them stands for both.

    Args:
        nest: the layer.
        accelerator: the machine.
        frozen: dimensions that are not spread.

    Returns:
        ``[assignment, axis of any fan-out in order, dimension]``: factors, int64.
    """
    sizes = np.array([getattr(nest, d) for d in DIMS])
    combined = np.ones((1, 0, len(DIMS)), dtype=np.int64)
    product = np.ones((1, len(DIMS)), dtype=np.int64)
    for fanout in accelerator.fanouts:
        ways = _fanout_ways(fanout, nest, frozen)
        total = ways.prod(axis=1)
        left, right = np.divmod(np.arange(len(product) * len(ways)), len(ways))
        joint = product[left] * total[right]
        fits = (sizes % joint == 0).all(axis=1)
        left, right = left[fits], right[fits]
        combined = np.concatenate([combined[left], ways[right]], axis=1)
        product = joint[fits]
    return combined


def _fanout_ways(fanout: FanOut, nest: Nest, frozen: frozenset[str]) -> np.ndarray:
    """``[way, axis, dimension]``, one for every distinct product over the axes."""
    sizes = np.array([getattr(nest, d) for d in DIMS])
    ways = np.ones((1, 0, len(DIMS)), dtype=np.int64)
    for axis in fanout.axes:
        choices = _axis_ways(axis, nest, frozen)
        left, right = np.divmod(np.arange(len(ways) * len(choices)), len(choices))
        total = ways.prod(axis=1)[left] * choices[right]
        fits = (sizes % total == 0).all(axis=1)
        left, right, total = left[fits], right[fits], total[fits]
        _, once = np.unique(total, axis=0, return_index=True)
        ways = np.concatenate([ways[left[once]], choices[right[once]][:, None, :]], axis=1)
    return ways


def _axis_ways(axis: Axis, nest: Nest, frozen: frozenset[str]) -> np.ndarray:
    options = [
        [d for d in divisors(getattr(nest, dim)) if d <= axis.size] if dim in axis.dims and dim not in frozen else [1]
        for dim in DIMS
    ]
    rows = [factors for factors in itertools.product(*options) if np.prod(factors) <= axis.size]
    return np.array(rows, dtype=np.int64)
