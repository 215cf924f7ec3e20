"""What must pass the boundaries of a machine beyond what is compulsory, derived anew from ``docs/explanation/bounds.md``.

Where the main path solves for the sides of a brick, this tries all ways in which sides can be at their limits; where it
halves, this cuts in three; and it adds up boundaries by trying all sets of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.workload.nest import TENSORS, Bits, Nest

Shares = dict[tuple[str, str, str], float]
"""Compulsory energy by tensor, level and what it is for: reads, writes, updates, or all that the innermost level does."""


def beyond(nest: Nest, machine: Accelerator, bits: Bits, shares: Shares, macs: int) -> float:
    """Energy that communication adds to the floor.

    Args:
        nest, machine, bits: the layer on its machine.
        shares: of the compulsory energy.
        macs: those that take an input, of all groups.
    """
    if macs == 0 or (nest.C, nest.K) == (1, 1):
        return 0.0
    gains = {}
    for cut in range(1, len(machine.levels) + 1):
        gain = _gain(nest, machine, bits, shares, macs // nest.G, cut)
        if gain > 0:
            gains[cut] = gain
    sets = (chosen for n in range(len(gains) + 1) for chosen in itertools.combinations(sorted(gains), n))
    return max(math.fsum(gains[cut] for cut in chosen) for chosen in sets if _disjoint(machine, chosen))


def _disjoint(machine: Accelerator, cuts: tuple[int, ...]) -> bool:
    return all(
        any(tensor in level.keeps for level in machine.levels[outer:inner])
        for outer, inner in itertools.pairwise(cuts)
        for tensor in TENSORS
    )


def _gain(nest: Nest, machine: Accelerator, bits: Bits, shares: Shares, macs: int, cut: int) -> float:
    outer, inner = machine.levels[:cut], machine.levels[cut:]
    room = _held_bits(machine, inner, bits)
    if room is None or any(machine.home(tensor) not in outer for tensor in TENSORS):
        return 0.0
    prices, counted = [], 0.0
    for tensor in TENSORS:
        source = [level for level in outer if tensor in level.keeps][-1]
        sources = [source, *(level for level in outer[outer.index(source) :] if tensor in level.may_keep)]
        fixed = [level for level in inner if tensor in level.keeps][:1]
        if tensor == "outputs":
            home = machine.home(tensor)
            ways = [bits.psums * level.energy_per_bit("update", tensor) for level in sources]
            ways += [bits.outputs * home.energy_per_bit("finish", tensor) for level in sources if level is home]
            prices.append(min(ways))
            counted += shares.get((tensor, source.name, "update"), 0.0) + shares.get((tensor, source.name, "all"), 0.0)
            continue
        price = min(level.energy_per_bit("read", tensor) for level in sources)
        counted += shares.get((tensor, source.name, "read"), 0.0) + shares.get((tensor, source.name, "all"), 0.0)
        if fixed:
            takers = [*fixed, *(level for level in inner[: inner.index(fixed[0])] if tensor in level.may_keep)]
            price += min(level.energy_per_bit("write", tensor) for level in takers)
            counted += shares[tensor, fixed[0].name, "write"]
        prices.append(bits.of(tensor) * price)
    if 0 in prices:
        return 0.0
    widths = [min(level.tile_bits(t, bits) for level in (*inner, machine.home(t))) for t in TENSORS]
    arriving = 0.0
    for dearest in {price / width for price, width in zip(prices, widths, strict=True)}:
        weights = [min(price, dearest * width) for price, width in zip(prices, widths, strict=True)]
        arriving = max(arriving, _arriving(nest, macs, dearest * room, dict(zip(TENSORS, weights, strict=True))))
    return nest.G * arriving - counted


def _held_bits(machine: Accelerator, inner: tuple[Level, ...], bits: Bits) -> int | None:
    total = 0
    for level in inner:
        held = level.capacity_bits
        if level.latch:
            held = sum(bits.stored(tensor) for tensor in {*level.keeps, *level.may_keep})
        if held is None:
            return None
        for fanout in machine.fanouts_outside(level.name):
            held *= machine.fanout(fanout).size
        total += held
    always = {tensor for level in inner for tensor in level.keeps}
    return total + machine.pes * sum(bits.stored(tensor) for tensor in TENSORS if tensor not in always)


def _arriving(nest: Nest, macs: int, room: float, charged: dict[str, float]) -> float:
    """What the arrivals of one group are charged, if what fits inside is worth ``room``; 0 if the room is ample."""
    reuse = 1
    for axis in ("rows", "columns"):
        _, taps, stride, dilation, _, _ = nest.window(axis)
        reuse *= math.ceil(taps * math.gcd(stride, dilation) / stride)
    limits = (nest.K, nest.N * nest.P * nest.Q, nest.C * nest.R * nest.S)
    weights = (charged["inputs"] / reuse, charged["weights"], charged["outputs"])

    def arriving(stretches: int) -> float:
        brick = macs / stretches
        least = brick * min(_terms(brick, limits, weights))
        return room + stretches * (least - room - max(charged.values()))

    low, high = 1, macs
    while high - low > 2:
        third = (high - low) // 3
        if arriving(low + third) < arriving(high - third):
            low += third
        else:
            high -= third
    return max(0.0, *(arriving(n) for n in range(low, high + 1)))


def _terms(brick: float, limits: tuple[int, ...], weights: tuple[float, ...]) -> Iterator[float]:
    """Charges for each MAC of a brick, for all choices of sides at their limits that leave the others within theirs."""
    for full in itertools.product((False, True), repeat=3):
        left, total = brick, 0.0
        for side in (i for i in range(3) if full[i]):
            left /= limits[side]
            total += weights[side] / limits[side]
        free = [i for i in range(3) if not full[i]]
        if not free:
            if left >= 1 - 1e-9:
                yield total
            continue
        alike = (math.prod(weights[i] for i in free) / left) ** (1 / len(free))
        if all(weights[i] / alike <= limits[i] * (1 + 1e-12) for i in free):
            yield total + len(free) * alike
