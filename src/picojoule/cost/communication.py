"""How little a layer can move in and out of a memory of limited size, whatever the order of its MACs.

Derived in ``docs/explanation/bounds.md``. Cut a run into stretches in which little arrives in the memory: the MACs of a
stretch find few different elements, and the inequality of Loomis and Whitney says how many MACs so many elements can
have in common. So many stretches are needed at least.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from picojoule.workload.nest import Nest


def window_reuse(nest: Nest) -> int:
    """Most MACs in which one input meets one output channel: ρ = ⌈R·g/s⌉ · ⌈S·g/s⌉, g = gcd(stride s, dilation)."""
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
    """Weights and inputs in once, outputs out once: elements of all three tensors.

    Weights that meet only padding are among them: MACs on padding are executed, as the machines here do.
    """
    return nest.elements("weights") + nest.elements("inputs") + nest.elements("outputs")


def least_accesses(nest: Nest, room: int) -> int:
    """Elements that must pass between a memory of ``room`` elements and what lies outside, reads and writes together.

    Holds for every order of the MACs and any use of the memory, each MAC done once, those on padding too: who leaves these
    out may spare the weights that meet nothing else.

    Args:
        nest: the layer.
        room: elements that the memory holds, of all tensors together.
    """
    return max(compulsory_accesses(nest), communication_accesses(nest, room))


def communication_accesses(nest: Nest, room: int) -> int:
    """The part of ``least_accesses`` that comes of the room being limited; 0 where it says nothing (depthwise layers)."""
    group = Group.of(nest, inputs=1, weights=1, outputs=1)
    if group is None:
        return 0

    def arrivals(stretches: int) -> float:
        return group.needed(group.macs / stretches) * (1 - 1e-12) - room

    # Arrivals are whole. As many stretches as leave room for these; one stretch more would leave less.
    stretches = where_most(lambda n: n * arrivals(n), group.macs)
    each = math.floor(arrivals(stretches))
    stretches = bisect_left(range(stretches, group.macs), True, key=lambda n: arrivals(n + 1) < each) + stretches
    return nest.G * max(0, room + stretches * each)


def communication_cost(nest: Nest, room_bits: int, widths: dict[str, float], prices: dict[str, float]) -> float:
    """Least that all arrivals in a memory cost: operands that are fetched, sums that are begun or return.

    Args:
        nest: the layer.
        room_bits: that the memory holds.
        widths: bits that an element takes in the memory, by tensor.
        prices: of an arrival, by tensor.
    """
    if min(*widths.values(), *prices.values()) <= 0:
        return 0.0
    rates = {prices[tensor] / width for tensor, width in widths.items()}
    return max(_cost_at_rate(nest, room_bits * rate, widths, prices, rate) for rate in rates)


def _cost_at_rate(nest: Nest, room: float, widths: dict[str, float], prices: dict[str, float], rate: float) -> float:
    """With no arrival charged more than ``rate`` per bit, so that what the memory holds is worth ``room`` at most."""
    charged = {tensor: min(prices[tensor], rate * width) for tensor, width in widths.items()}
    group = Group.of(nest, **charged)
    if group is None:
        return 0.0
    # A stretch ends at a sum of charges that an arrival may straddle: it finds one element more than the sum says.
    straddling = max(charged.values())

    def cost(stretches: int) -> float:
        return room + stretches * (group.needed(group.macs / stretches) - room - straddling)

    return nest.G * max(0.0, cost(where_most(cost, group.macs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group of a layer as a brick of MACs: output channels × output places × places of a filter.

    Attributes:
        macs: those that meet an input.
        sides: for each side of the brick how long it is, and what the elements of the tensor that doesn't have this side
            weigh, for each MAC of a brick whose side is 1.
    """

    macs: int
    sides: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, nest: Nest, *, inputs: float, weights: float, outputs: float) -> Group | None:
        """None for depthwise layers, whose inputs each meet one channel only, and where all MACs lie in the padding."""
        macs = real_macs(nest) // nest.G
        if macs == 0 or (nest.C == 1 and nest.K == 1):
            return None
        sides = (
            (nest.K, inputs / window_reuse(nest)),
            (nest.N * nest.P * nest.Q, weights),
            (nest.C * nest.R * nest.S, outputs),
        )
        return cls(macs=macs, sides=sides)

    def needed(self, macs: float) -> float:
        """Least weight of different elements that ``macs`` MACs can have in common: macs · (α/k + β/j + γ/l) with
        k·j·l = macs, each side within its limit and otherwise all three terms alike."""
        left, full = float(macs), 0.0
        sides = sorted((limit / weight, limit, weight) for limit, weight in self.sides)
        for i, (_, limit, weight) in enumerate(sides):
            free = sides[i:]
            alike = (math.prod(side[2] for side in free) / left) ** (1 / len(free))
            if weight / alike <= limit:
                return macs * (full + len(free) * alike)
            left /= limit
            full += weight / limit
        return macs * full


def where_most(value: Callable[[int], float], last: int) -> int:
    """Where a concave function of 1 … ``last`` is largest."""
    return 1 + bisect_left(range(1, last), True, key=lambda n: value(n) >= value(n + 1))
