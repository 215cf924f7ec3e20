"""What the prices of a description can't be: 0 without saying so, or lower in a larger memory than in a smaller one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import DIRECTIONS, Accelerator, Level
from picojoule.hardware.document import Origin
from picojoule.workload.nest import TENSORS

_DEARER = "the larger one is the dearer per bit: check energies, word_bits and capacities, or the kinds."


def check_prices(machine: Accelerator, origin: Origin) -> None:
    """Refuses a price of 0 where no ``free: true`` stands, and a larger memory of a kind that is cheaper per bit.

    A latch is free by nature; levels that say no ``kind`` are not compared.

    Raises:
        HardwareError: names the level and what is wrong with its energies.
    """
    own = [(machine.mac.multiply, machine.mac.add), *((mode.multiply, mode.add) for mode in machine.mac.modes)]
    if any(multiply == 0 and add == 0 for multiply, add in own):
        raise HardwareError("a MAC that costs nothing", where=origin.at("mac"), hint="No multiplication is free.")
    levels = [
        (entry, origin.at("hierarchy", i, "energy"))
        for i, entry in enumerate(machine.hierarchy)
        if isinstance(entry, Level) and not entry.latch and not entry.free
    ]
    for level, where in levels:
        _check_not_free(level, where)
        for other, _ in levels:
            if level.kind is not None and level.kind == other.kind and _size(level) > _size(other):
                _check_dearer(level, other, where)


def _check_not_free(level: Level, where: str) -> None:
    for (direction, tensor), price in level.energy_per_word:
        if price == 0:
            raise HardwareError(
                f"the level {level.name!r} has an energy of 0 for {direction} of {tensor}",
                where=where,
                hint="No memory is free. Write free: true beside it if this one is to be, or declare a latch.",
            )


def _check_dearer(larger: Level, smaller: Level, where: str) -> None:
    for direction in DIRECTIONS:
        for mine, other, of in _pairs(_per_bit(larger, direction), _per_bit(smaller, direction)):
            if mine < other * (1 - 1e-9):
                raise HardwareError(
                    f"{larger.name!r} is larger than {smaller.name!r}, and its {direction}{of} costs less: "
                    f"{mine:.4g} a bit against {other:.4g}",
                    where=where,
                    hint=f"Of two memories of a kind ({larger.kind}) {_DEARER}",
                )


def _pairs(larger: dict[str, float], smaller: dict[str, float]) -> Iterator[tuple[float, float, str]]:
    """Prices that stand against each other: tensor by tensor; where the two share none, the cheapest of either."""
    shared = [tensor for tensor in larger if tensor in smaller]
    if not shared:
        yield min(larger.values()), min(smaller.values()), ""
    for tensor in shared:
        yield larger[tensor], smaller[tensor], "" if len({*larger.values()}) == 1 else f" of {tensor}"


def _size(level: Level) -> float:
    return math.inf if level.capacity_bits is None else level.capacity_bits


def _per_bit(level: Level, direction: str) -> dict[str, float]:
    alone = replace(level, link=None)
    return {t: alone.energy_per_bit(direction, t) for t in TENSORS if t in level.holds}
