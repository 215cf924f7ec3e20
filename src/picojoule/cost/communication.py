"""How little a layer can move in and out of a memory of limited size, whatever the order of its MACs.

Derived in ``docs/explanation/bounds.md``. In a stretch of T accesses the MACs find at most S + T different elements: S
that lay in the memory when it began and T that came since. The inequality of Loomis and Whitney says how many MACs so
many elements can have in common; so many stretches are needed at least.
"""

from __future__ import annotations

import math

import numpy as np

from picojoule.workload.nest import Nest

_STRETCHES = 240
"""Lengths of a stretch that are tried; each gives a bound, the largest counts."""


def window_reuse(nest: Nest) -> int:
    """Most MACs in which one input meets one output channel: ⌈R·g/s⌉ · ⌈S·g/s⌉, g = gcd(stride s, dilation)."""
    reuse = 1
    for axis in ("rows", "columns"):
        _, taps, stride, dilation, _, _ = nest.window(axis)
        reuse *= -(-taps * math.gcd(stride, dilation) // stride)
    return reuse


def real_macs(nest: Nest) -> int:
    """MACs whose input lies inside the map; those in the padding need no input."""
    macs = nest.N * nest.G * nest.K * nest.C
    for axis in ("rows", "columns"):
        outputs, taps, stride, dilation, pad, size = nest.window(axis)
        macs *= sum(1 for p in range(outputs) for r in range(taps) if 0 <= p * stride + r * dilation - pad < size)
    return macs


def compulsory_accesses(nest: Nest) -> int:
    """Weights and inputs in once, outputs out once: elements of all three tensors."""
    return nest.elements("weights") + nest.elements("inputs") + nest.elements("outputs")


def least_accesses(nest: Nest, room: int) -> int:
    """Elements that must pass between a memory of ``room`` elements and what lies outside, reads and writes together.

    Holds for every order of the MACs and any use of the memory, with operands fetched before and partial sums returned.

    Args:
        nest: the layer.
        room: elements that the memory holds, of all tensors together.
    """
    return max(compulsory_accesses(nest), communication_accesses(nest, room))


def communication_accesses(nest: Nest, room: int) -> int:
    """The part of ``least_accesses`` that comes of the room being limited; 0 for depthwise layers, where it says nothing."""
    macs, least = real_macs(nest), 0
    if macs == 0 or (nest.C == 1 and nest.K == 1):
        return 0
    longest = 4.0 * compulsory_accesses(nest)
    for stretch in np.unique(np.geomspace(1, max(longest, 2), _STRETCHES).astype(np.int64)).tolist():
        # The first stretch is longer by what the memory holds: it found nothing there.
        stretches = math.ceil(macs / most_macs(nest, room + stretch)) - 1
        if stretches > 0:
            least = max(least, room + stretch * stretches + 1)
    return least


def most_macs(nest: Nest, elements: float) -> float:
    """Most MACs that ``elements`` different elements of the three tensors can have in common.

    √(ρ·x·w·y) for x inputs, w weights and y outputs of one group, with x + w + y = ``elements`` and none more than there
    are. Groups share nothing: each gets the share that serves it best.
    """
    limits = [nest.elements(tensor) / nest.G for tensor in ("weights", "inputs", "outputs")]
    if nest.G == 1:
        return _of_one_group(nest, limits, elements)
    whole = sum(limits)
    sizes = np.minimum(np.geomspace(1, max(min(whole, elements), 2), 200), min(whole, elements))
    # Between two sizes no group has more MACs than at the larger, per element of the smaller.
    rate = max(
        _of_one_group(nest, limits, larger) / smaller
        for smaller, larger in zip(sizes[:-1], sizes[1:], strict=True)
    )
    return min(elements * rate, float(real_macs(nest)))


def _of_one_group(nest: Nest, limits: list[float], elements: float) -> float:
    """The largest product under the limits: those that run into theirs stop, the rest share what is left alike."""
    product, left, rest = 1.0, float(elements), sorted(limits)
    for index, limit in enumerate(rest):
        share = left / (len(rest) - index)
        taken = min(limit, share)
        product *= taken
        left -= taken
    return min(math.sqrt(window_reuse(nest) * product), real_macs(nest) / nest.G)
