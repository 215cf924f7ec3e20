"""A machine at the prices of another energy table: the same memories and arrays, other energies."""

from __future__ import annotations

import dataclasses
import json

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import DIRECTIONS, Accelerator, Level
from picojoule.hardware.describe import accelerator_to_data
from picojoule.hardware.energy_rules import KINDS, EnergyTable, mac_energy, word_energy
from picojoule.hardware.mac import MacEnergy


def reprice(machine: Accelerator, table: EnergyTable) -> Accelerator:
    """The machine with every energy from the table, as if it were built in the node of the table.

    Latches stay free, and levels that say ``free: true``. Element-wise operations have no price afterwards: no table
    has one.

    Args:
        machine: every level of it must say its ``kind``.
        table: with a rule for each of these kinds.

    Raises:
        HardwareError: a level that says no ``kind``; a kind that the table has no rule for; a size or width outside the
            range of a rule on a machine that doesn't say ``extrapolate: true``.

    Example:
        >>> from picojoule.hardware import load_hardware
        >>> from picojoule.hardware.tables import load_table
        >>> reprice(load_hardware("eyeriss-like-45nm"), load_table("eyeriss-normalized-65nm")).unit
        'mac16'
    """
    priced = dataclasses.replace(
        machine,
        hierarchy=tuple(
            _repriced(entry, machine, table) if isinstance(entry, Level) else entry for entry in machine.hierarchy
        ),
        mac=_mac(machine, table),
        vector_energy=None,
        unit=table.unit,
        node_nm=table.node_nm,
        voltage_v=table.voltage_v,
        table_name=table.name,
        table_source=table.source,
    )
    resolved = json.dumps(accelerator_to_data(priced), ensure_ascii=False, allow_nan=False)
    return dataclasses.replace(priced, resolved=resolved)


def _mac(machine: Accelerator, table: EnergyTable) -> MacEnergy:
    """The table's MAC; the widths that the machine works at stay, what it said of their energies doesn't."""
    priced = mac_energy(table, machine.bits, extrapolate=machine.extrapolate, where=f"{machine.name}: mac")
    modes = tuple(dataclasses.replace(mode, multiply=None, add=None) for mode in machine.mac.modes)
    return dataclasses.replace(priced, modes=modes)


def _repriced(level: Level, machine: Accelerator, table: EnergyTable) -> Level:
    if level.latch or level.free:
        return level
    where = f"{machine.name}: {level.name}"
    if level.kind is None:
        raise HardwareError(
            f"the level {level.name!r} doesn't say which kind of memory it is",
            where=where,
            hint=f"Add kind: … ({', '.join(KINDS)}) to the machine's description; a table prices by kind.",
        )
    price = {
        direction: word_energy(
            table,
            level.kind,
            direction,
            capacity_bits=level.capacity_bits,
            word_bits=level.word_bits,
            extrapolate=level.extrapolate or machine.extrapolate,
            where=where,
        )
        for direction in DIRECTIONS
    }
    prices = tuple(((direction, tensor), price[direction]) for (direction, tensor), _ in level.energy_per_word)
    return dataclasses.replace(level, energy_per_word=prices)
