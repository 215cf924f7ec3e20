"""The machine as one layer meets it: its engine, the pace of its MACs, and where its tensors live.

What is decided here follows from the layer alone (``docs/explanation/counting.md``, "The machine of a layer"), never from a
mapping: the search and its bounds see a plain machine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.workload.nest import TENSORS, Bits, Nest

Sizes = Mapping[str, int]
"""Bits of whole tensors, by name."""


def suited(machine: Accelerator, nest: Nest | None, bits: Bits, sizes: Sizes | None = None) -> Accelerator:
    """The machine for one layer; of a machine that is suited already, itself.

    Args:
        machine: as described.
        nest: the layer; None for one that only moves data.
        bits: widths of its elements.
        sizes: of its tensors; those of the nest if not given.

    Raises:
        HardwareError: no mode of the MACs is as wide as the operands.
    """
    if sizes is None and nest is not None:
        sizes = {tensor: nest.elements(tensor) * bits.of(tensor) for tensor in TENSORS}
    if nest is not None and nest.depthwise and any(array.depthwise for array in machine.fanouts):
        machine = replace(machine, hierarchy=tuple(_depthwise(entry) for entry in machine.hierarchy))
    if machine.levels[0].spill and sizes is not None:
        machine = _settled(machine, sizes)
    if nest is None or not machine.mac.modes:
        return machine
    pace = machine.mac.cycles(bits)
    return replace(machine, timed=pace, pace=pace)


def staying(machine: Accelerator, at: str, sizes: Sizes) -> Accelerator:
    """The machine for a layer of which some tensors stay at a level, and don't go home.

    Args:
        machine: as described.
        at: the level.
        sizes: bits of each tensor that stays, of which the level has less room for others.
    """
    return at_home_in(machine, at, tuple(sizes), sum(sizes.values()))


@functools.lru_cache(maxsize=1024)
def at_home_in(machine: Accelerator, at: str, tensors: tuple[str, ...], taken_bits: int) -> Accelerator:
    """The machine for a layer of which some tensors live at a level that has less room for others.

    Args:
        machine: as described.
        at: the level.
        tensors: that live there.
        taken_bits: of the level's capacity.
    """
    level = machine.level(at)
    further_out = machine.levels[: machine.levels.index(level)]
    moved = {
        outer.name: replace(
            outer,
            keeps=tuple(t for t in outer.keeps if t not in tensors),
            may_keep=tuple(t for t in outer.may_keep if t not in tensors),
            spill=tuple(t for t in outer.spill if t not in tensors),
        )
        for outer in further_out
    }
    moved[at] = _with_less_room(
        replace(
            level,
            keeps=(*level.keeps, *(t for t in TENSORS if t in tensors and t not in level.keeps)),
            may_keep=tuple(t for t in level.may_keep if t not in tensors),
        ),
        taken_bits,
    )
    return _with_levels(machine, moved)


def room_to_stay(level: Level, shared: bool) -> int | None:
    """Bits that whole tensors may take where they live for the time of a layer: half of them, if tiles of others need room
    there, too; None is unlimited."""
    if level.capacity_bits is None:
        return None
    return level.capacity_bits // 2 if shared else level.capacity_bits


def _depthwise(entry: Level | FanOut) -> Level | FanOut:
    if isinstance(entry, Level) or entry.depthwise is None:
        return entry
    return replace(entry, axes=entry.depthwise.axes, depthwise=None)


def _settled(machine: Accelerator, sizes: Sizes) -> Accelerator:
    """Every tensor at its home if those that have theirs there fit together; else the largest spill, one by one."""
    outermost = machine.levels[0]
    levels: dict[str, Level] = {}
    spilled: set[str] = set()
    for level in machine.levels:
        at_home = {t for t in outermost.spill if machine.home(t) is level}
        if not at_home:
            continue
        shared = any(machine.home(tensor) is not level for tensor in level.holds)
        for tensor in sorted(at_home, key=lambda t: (-sizes[t], TENSORS.index(t))):
            room = room_to_stay(level, shared)
            if room is None or sum(sizes[t] for t in at_home) <= room:
                break
            at_home.remove(tensor)
            spilled.add(tensor)
            shared = True
        levels[level.name] = _with_less_room(level, sum(sizes[t] for t in at_home))
    keeps = tuple(t for t in TENSORS if t in spilled or t in outermost.keeps)
    levels[outermost.name] = replace(outermost, keeps=keeps, spill=())
    return _with_levels(machine, levels)


def _with_less_room(level: Level, taken_bits: int) -> Level:
    return level if level.capacity_bits is None else replace(level, capacity_bits=level.capacity_bits - taken_bits)


def _with_levels(machine: Accelerator, levels: Mapping[str, Level]) -> Accelerator:
    hierarchy = tuple(levels.get(x.name, x) if isinstance(x, Level) else x for x in machine.hierarchy)
    return replace(machine, hierarchy=hierarchy)
