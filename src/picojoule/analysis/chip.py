"""What of a machine is on the chip, from the description that a result carries."""

from __future__ import annotations

from picojoule.hardware.accelerator import Accelerator, FanOut


def on_chip_bits(machine: Accelerator) -> int | None:
    """Bits of all storage inside the outermost memory, every instance; None where a size isn't known."""
    total, instances = 0, 1
    for entry in machine.hierarchy[1:]:
        if isinstance(entry, FanOut):
            instances *= entry.size
        elif not entry.latch:
            if entry.capacity_bits is None:
                return None
            total += entry.capacity_bits * instances
    return total


def outermost_is_off_chip(machine: Accelerator) -> bool:
    """Whether what is outermost is a memory beside the chip: one without a size, as DRAM has none."""
    return machine.levels[0].capacity_bits is None
