"""From counts to energy and cycles on a machine."""

from __future__ import annotations

from picojoule.cost.traffic import Count, Traffic, count_traffic
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.mapping import Mapping
from picojoule.workload.nest import Bits, Nest


def direction_bits(count: Count, bits: Bits) -> dict[str, int]:
    """Bits that a count moves in each direction; finished outputs are at output width, the rest as stored."""
    if count.tensor != "outputs":
        width = bits.of(count.tensor)
        return {"read": count.reads * width, "write": count.writes * width, "update": count.updates * width}
    partial = count.updates - count.final_updates
    return {
        "read": count.reads * bits.psums,
        "write": count.writes * bits.psums,
        "update": count.final_updates * bits.outputs + partial * bits.psums,
    }


def access_energy(level: Level, count: Count, bits: Bits) -> float:
    """Energy of all accesses of one level for one tensor, in the unit of the table."""
    moved = direction_bits(count, bits)
    return sum(moved[d] * level.energy_per_bit(d, count.tensor) for d in ("read", "write", "update") if moved[d])


def latency_cycles(
    nest: Nest, accelerator: Accelerator, mapping: Mapping, traffic: Traffic, bits: Bits
) -> tuple[float, str]:
    """``(cycles, what takes them)``: compute at one MAC per cycle and unit, or the port of a level that is slower."""
    cycles, busiest = float(traffic.temporal_steps), "compute"
    for level in accelerator.levels:
        if not level.ports:
            continue
        load = count_traffic(nest, accelerator, mapping, bits, busiest=level.name)
        moved = {count.tensor: direction_bits(count, bits) for count in load.counts if count.level == level.name}
        for port in level.ports:
            through = [n for tensor, by in moved.items() for d, n in by.items() if port.passes(d, tensor)]
            if sum(through) / port.bits_per_cycle > cycles:
                cycles, busiest = sum(through) / port.bits_per_cycle, f"{level.name} {port.label}"
    return cycles, busiest
