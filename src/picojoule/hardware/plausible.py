"""What the prices of a machine can't be: free without saying so, or cheaper in a larger memory than in a smaller one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import DIRECTIONS, Level
from picojoule.workload.nest import TENSORS


def check_free(level: Level, *, where: str) -> None:
    """A price of 0 stands only at a level that says ``free: true``; a latch is free by nature.

    Raises:
        HardwareError: it costs nothing and doesn't say so.
    """
    if level.free or level.latch:
        return
    for (direction, tensor), price in level.energy_per_word:
        if price == 0:
            raise HardwareError(
                f"the level {level.name!r} has an energy of 0 for {direction} of {tensor}",
                where=where,
                hint="No memory is free. Write free: true beside it if this one is to be, or declare a latch.",
            )


def check_sizes(levels: Sequence[Level], where: Sequence[str]) -> None:
    """Of two memories of a kind the larger one costs at least as much per bit; the outermost is the largest of its kind.

    Args:
        levels: of one machine.
        where: names each of them in errors.

    Raises:
        HardwareError: names the larger memory, and the smaller one that is dearer.
    """
    for larger, place in zip(levels, where, strict=True):
        for smaller in levels:
            if larger.kind is None or larger.kind != smaller.kind or _size(larger) <= _size(smaller):
                continue
            if larger.free or smaller.free:
                continue
            for direction in DIRECTIONS:
                mine, other = _per_bit(larger, direction), _per_bit(smaller, direction)
                if mine is not None and other is not None and mine[1] < other[0] * (1 - 1e-9):
                    raise HardwareError(
                        f"{larger.name!r} is larger than {smaller.name!r}, and its {direction} costs less: "
                        f"{mine[1]:.4g} a bit against {other[0]:.4g}",
                        where=place,
                        hint=f"Of two memories of a kind ({larger.kind}) the larger one is the dearer per bit: check energies, "
                        "word_bits and capacities, or the kinds.",
                    )


def _size(level: Level) -> float:
    return math.inf if level.capacity_bits is None else level.capacity_bits


def _per_bit(level: Level, direction: str) -> tuple[float, float] | None:
    """Least and largest price of a bit over the tensors that the level may hold."""
    held = [tensor for tensor in TENSORS if tensor in level.keeps + level.may_keep]
    prices = [price / level.word_bits for (d, tensor), price in level.energy_per_word if d == direction and tensor in held]
    return (min(prices), max(prices)) if prices else None
