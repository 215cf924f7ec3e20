"""A machine as Timeloop sees it: every element, partial sums too, is one word at every level."""

from __future__ import annotations

from dataclasses import replace

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.workload.nest import Bits


def in_words(machine: Accelerator) -> Accelerator:
    """The same machine with elements of the width of the weights everywhere; a word costs what it cost, and a level holds
    as many.

    A machine whose elements all have that width already is returned as it is.
    """
    width = machine.bits.weights
    hierarchy = tuple(_in_words(entry, width) if isinstance(entry, Level) else entry for entry in machine.hierarchy)
    bits = Bits(weights=width, inputs=width, outputs=width, psums=width)
    if hierarchy == machine.hierarchy and bits == machine.bits:
        return machine
    return replace(machine, hierarchy=hierarchy, bits=bits)


def _in_words(level: Level, width: int) -> Level:
    if level.word_bits == width:
        return level
    capacity = None if level.capacity_bits is None else level.capacity_bits // level.word_bits * width
    return replace(level, word_bits=width, capacity_bits=capacity)
