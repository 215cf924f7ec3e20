"""What lies in every memory while a layer runs: tiles against room."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.analysis.eyexam.subject import machine_of, subject
from picojoule.mapping.legality import tile_bits
from picojoule.result import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """The tile of one tensor in one instance of a memory.

    Attributes:
        level, tensor: where, and of what.
        tile_bits: room that the tile takes on its first visit, which none exceeds.
        usable_bits: of the instance: half of it where it is double-buffered; None where it is not limited.
        home: the tensor lives there, so that more than the tile is kept.
    """

    level: str
    tensor: str
    tile_bits: float
    usable_bits: int | None
    home: bool


def occupancy(estimate: Estimate) -> dict[str, tuple[Fill, ...]]:
    """For every layer with a mapping, by its name, the fill of the memories; outermost first.

    Raises:
        ResultFileError: a layer can't have been run as the result says.
    """
    machine = machine_of(estimate)
    found: dict[str, tuple[Fill, ...]] = {}
    for index, row in enumerate(estimate.layers):
        one = subject(estimate, index, machine)
        if one is None:
            continue
        tiles = tile_bits(one.nest, one.machine, one.mapping, one.bits)
        order = {level.name: i for i, level in enumerate(one.machine.levels)}
        found[row.name] = tuple(
            Fill(
                level=level,
                tensor=tensor,
                tile_bits=bits,
                usable_bits=one.machine.level(level).usable_bits,
                home=one.machine.home(tensor).name == level,
            )
            for (level, tensor), bits in sorted(tiles.items(), key=lambda item: order[item[0][0]])
        )
    return found
