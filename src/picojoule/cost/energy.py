"""From counts to energy and cycles on a machine."""

from __future__ import annotations

import math
from collections.abc import Iterator

from picojoule.cost.traffic import Count, Traffic, count_traffic
from picojoule.cost.waits import skipping_cycles
from picojoule.hardware.accelerator import Accelerator, Level, Link, Port
from picojoule.mapping.mapping import Mapping
from picojoule.workload.nest import Bits, Nest


def direction_bits(count: Count, bits: Bits) -> dict[str, int]:
    """Bits of the elements that a count moves in each direction, zeros included; finished outputs are at output width,
    the rest as stored."""
    if count.tensor != "outputs":
        width = bits.of(count.tensor)
        return {"read": count.reads * width, "write": count.writes * width, "update": count.updates * width}
    return {
        "read": (count.reads - count.returned) * bits.psums,
        "return": count.returned * bits.psums,
        "write": count.writes * bits.psums,
        "update": (count.updates - count.final_updates) * bits.psums,
        "finish": count.final_updates * bits.outputs,
    }


def access_energy(level: Level, count: Count, bits: Bits) -> float:
    """Energy of all accesses of one level for one tensor, in the unit of the table."""
    moved = direction_bits(count, bits)
    return math.fsum(n * level.energy_per_bit(d, count.tensor) for d, n in moved.items() if n)


def moved_bits(level: Level, count: Count, bits: Bits) -> tuple[int | float, float]:
    """``(bits, metadata)`` that the accesses of one level for one tensor move, less what zeros spare; the second is part of
    the first."""
    moved = direction_bits(count, bits)
    if not level.shares:
        return sum(moved.values()), 0.0
    shares = [(n, level.share(d, count.tensor)) for d, n in moved.items() if n]
    return math.fsum(n * share.moved for n, share in shares), math.fsum(n * share.metadata for n, share in shares)


def link_bits(level: Level, count: Count, bits: Bits) -> int | float:
    """Bits that come over the link of a level or leave over it, less what zeros spare; 0 where no link leads to it."""
    crossing = {} if level.link is None else _crossing(level.link, count, bits)
    if not level.shares:
        return sum(crossing.values())
    return math.fsum(n * level.share(d, count.tensor).moved for d, n in crossing.items())


def link_metadata_bits(level: Level, count: Count, bits: Bits) -> float:
    """Of these bits, what says where elements belong."""
    crossing = {} if level.link is None else _crossing(level.link, count, bits)
    return math.fsum(n * level.share(d, count.tensor).metadata for d, n in crossing.items())


def _crossing(link: Link, count: Count, bits: Bits) -> dict[str, int]:
    return {d: n for d, n in direction_bits(count, bits).items() if d in link.crossings(count.tensor) and n}


def latency_cycles(
    nest: Nest, accelerator: Accelerator, mapping: Mapping, traffic: Traffic, bits: Bits
) -> tuple[float, str]:
    """``(cycles, what takes them)``: compute at one MAC per cycle and unit, or the port of a level that is slower."""
    cycles, busiest = compute_cycles(nest, accelerator, mapping, traffic), "compute"
    for level, port, through in port_loads(nest, accelerator, mapping, bits):
        if through / port.bits_per_cycle > cycles:
            cycles, busiest = through / port.bits_per_cycle, f"{level.name} {port.label}"
    return cycles, busiest


def port_loads(
    nest: Nest, accelerator: Accelerator, mapping: Mapping, bits: Bits
) -> Iterator[tuple[Level, Port, float]]:
    """Every port with the bits that pass through that of the busiest instance of its level, less those whose time zeros
    spare."""
    for level in accelerator.levels:
        if not level.ports:
            continue
        load = count_traffic(nest, accelerator, mapping, bits, busiest=level.name)
        moved = [
            (direction, count.tensor, n * level.share(direction, count.tensor).timed)
            for count in load.counts
            if count.level == level.name
            for direction, n in direction_bits(count, bits).items()
        ]
        for port in level.ports:
            yield level, port, sum(n for direction, tensor, n in moved if port.passes(direction, tensor))


def compute_cycles(nest: Nest, accelerator: Accelerator, mapping: Mapping, traffic: Traffic) -> float:
    """Cycles of the busiest MAC unit, had it never to wait for a memory."""
    if not accelerator.density:
        return traffic.temporal_steps * accelerator.timed
    return skipping_cycles(accelerator, nest, mapping, traffic.temporal_steps)
