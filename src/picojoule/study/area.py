"""The area of a machine whose fields are changed: what a study states of its parts, in proportion to their sizes."""

from __future__ import annotations

from collections.abc import Mapping

from picojoule.errors import StudyError
from picojoule.hardware.accelerator import Accelerator, FanOut, Level

AREA_KEYS = ("fixed", "per_position", "per_KiB")
_KIB = 8 * 1024


def area_mm2(
    machine: Accelerator, *, fixed: float, per_position: Mapping[str, float], per_kib: Mapping[str, float]
) -> float:
    """Area by the law of a study.

    Args:
        machine: of which the area is asked.
        fixed: of what doesn't change with sizes.
        per_position: of every position of an array, by the name of the array.
        per_kib: of every KiB of a memory in all its instances, by the name of the memory.

    Raises:
        StudyError: a memory of ``per_kib`` has no capacity.
    """
    total, instances = fixed, 1
    for entry in machine.hierarchy:
        if isinstance(entry, FanOut):
            instances *= entry.size
            total += per_position.get(entry.name, 0.0) * instances
        elif isinstance(entry, Level) and entry.name in per_kib:
            if entry.capacity_bits is None:
                raise StudyError(f"{entry.name} of {machine.name} has no capacity, and so no area by the KiB", where="area.per_KiB")
            total += per_kib[entry.name] * instances * entry.capacity_bits / _KIB
    return total
