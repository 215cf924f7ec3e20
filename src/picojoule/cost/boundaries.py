"""Communication at the boundaries of a machine: what must pass because the storage inside holds so little.

Derived in ``docs/explanation/bounds.md``. A boundary lies below a level, and everything inside it, of all instances
together, counts as one memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from picojoule.cost.communication import communication_cost
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.workload.nest import TENSORS, Bits, Nest

Place = tuple[str, str, str]
"""A share of the compulsory energy: tensor, level, and ``read``, ``write``, ``update`` or ``anchor``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """One boundary of a machine.

    Attributes:
        outside: how many levels lie outside.
        room_bits: of all storage inside.
        widths: least bits that an element takes inside, by tensor.
        prices: least energy of an arrival, by tensor.
        charged: where compulsory energy may be that of the same accesses.
    """

    outside: int
    room_bits: int
    widths: dict[str, float]
    prices: dict[str, float]
    charged: tuple[Place, ...]

    def least_energy(self, nest: Nest) -> float:
        """What the arrivals cost at least; 0 if some of them are free."""
        return communication_cost(nest, self.room_bits, self.widths, self.prices)


def beyond_compulsory(nest: Nest, accelerator: Accelerator, bits: Bits, compulsory: dict[Place, float]) -> float:
    """Energy that the boundaries need beyond what is compulsory: the most that boundaries apart from each other add.

    Args:
        nest, accelerator, bits: the layer on its machine.
        compulsory: the shares of the compulsory energy.
    """
    levels = accelerator.levels
    best = [0.0] * (len(levels) + 1)  # by the innermost boundary that counts
    for boundary in boundaries(accelerator, bits):
        own = boundary.least_energy(nest) - math.fsum(compulsory[place] for place in boundary.charged)
        if own <= 0:
            continue
        before = max(
            (best[outer] for outer in range(boundary.outside) if _apart(levels[outer : boundary.outside], outer)),
            default=0.0,
        )
        best[boundary.outside] = before + own
    return max(best)


def _apart(between: tuple[Level, ...], outer: int) -> bool:
    """Whether no access is one of both boundaries: every tensor is always held in between (or there is no outer one)."""
    return outer == 0 or all(any(tensor in level.keeps for level in between) for tensor in TENSORS)


def boundaries(accelerator: Accelerator, bits: Bits) -> list[Boundary]:
    """All boundaries that every tensor crosses and inside which storage is limited, the outermost first."""
    found = []
    for outside in range(1, len(accelerator.levels) + 1):
        room = _room_bits(accelerator, bits, outside)
        crossed = all(any(t in level.keeps for level in accelerator.levels[:outside]) for t in TENSORS)
        if room is None or not crossed:
            continue
        prices, charged = {}, []
        for tensor in TENSORS:
            parents, children = _sides(accelerator, tensor, outside)
            prices[tensor] = _price(accelerator, bits, tensor, parents, children)
            charged += _charged(accelerator, tensor, parents[0], children)
        found.append(
            Boundary(
                outside=outside,
                room_bits=room,
                widths={t: _width(accelerator, bits, t, outside) for t in TENSORS},
                prices=prices,
                charged=tuple(charged),
            )
        )
    return found


def _room_bits(accelerator: Accelerator, bits: Bits, outside: int) -> int | None:
    """Of all instances of all levels inside; what has no level there that always holds it may lie in the MAC units."""
    inside, room = accelerator.levels[outside:], 0
    for level in inside:
        instances = math.prod(accelerator.fanout(name).size for name in accelerator.fanouts_outside(level.name))
        if level.latch:
            room += instances * sum(bits.stored(t) for t in TENSORS if t in level.keeps + level.may_keep)
        elif level.capacity_bits is None:
            return None
        else:
            room += instances * level.capacity_bits
    in_macs = [t for t in TENSORS if not any(t in level.keeps for level in inside)]
    return room + accelerator.pes * sum(bits.stored(t) for t in in_macs)


def _width(accelerator: Accelerator, bits: Bits, tensor: str, outside: int) -> float:
    """Compressed tiles take less than the elements' own bits."""
    inside = accelerator.levels[outside:]
    return min([bits.stored(tensor), *(level.tile_bits(tensor, bits) for level in inside)])


def _sides(accelerator: Accelerator, tensor: str, outside: int) -> tuple[list[Level], list[Level]]:
    """Levels that an arrival may come from, the one that always holds the tensor first, and those that it may go to.

    Where no level inside always holds the tensor it may go straight to the MACs: then there are none.
    """
    levels = accelerator.levels
    last = max(i for i in range(outside) if tensor in levels[i].keeps)
    parents = [levels[last], *(level for level in levels[last + 1 : outside] if tensor in level.may_keep)]
    first = next((i for i in range(outside, len(levels)) if tensor in levels[i].keeps), None)
    if first is None:
        return parents, []
    return parents, [*(level for level in levels[outside:first] if tensor in level.may_keep), levels[first]]


def _price(accelerator: Accelerator, bits: Bits, tensor: str, parents: list[Level], children: list[Level]) -> float:
    if tensor == "outputs":

        # What leaves was begun or came back. The last update of an output at its home is the finished one.
        updates = [bits.psums * level.energy_per_bit("update", "outputs") for level in parents]
        home = accelerator.home("outputs")
        if home in parents:
            updates.append(bits.outputs * home.energy_per_bit("finish", "outputs"))
        return min(updates)
    read = min(level.energy_per_bit("read", tensor) for level in parents)
    write = min((level.energy_per_bit("write", tensor) for level in children), default=0.0)
    return bits.of(tensor) * (read + write)


def _charged(accelerator: Accelerator, tensor: str, parent: Level, children: list[Level]) -> list[Place]:
    direction = "update" if tensor == "outputs" else "read"
    path = accelerator.path(tensor)
    places = [(tensor, parent.name, "anchor")] if parent is path[-1] else []
    if parent is not path[-1] or (tensor == "outputs" and parent is path[0]):
        places.append((tensor, parent.name, direction))
    if tensor != "outputs" and children:
        places.append((tensor, children[-1].name, "write"))
    return places
