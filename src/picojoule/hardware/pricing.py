"""Energies of a description that names a table in place of stating them."""

from __future__ import annotations

from collections.abc import Sequence

from picojoule.errors import HardwareError, nearest
from picojoule.hardware.accelerator import DIRECTIONS, MacEnergy
from picojoule.hardware.document import Origin
from picojoule.hardware.energy_rules import KINDS, EnergyTable, mac_energy, word_energy
from picojoule.hardware.schema import HierarchyEntry, LevelEntry, MachineEntry
from picojoule.workload.nest import Bits


def table_of(data: object, machine: MachineEntry, origin: Origin) -> EnergyTable | None:
    """The built-in table that a description names in place of name and source."""
    assert isinstance(data, dict), "the schema lets nothing else through"
    if not isinstance(data["table"], str):
        return None
    # A machine that states its energies needs no tables read.
    from picojoule.hardware.tables import load_table, table_names

    name = data["table"]
    if name not in table_names():
        hint = nearest(name, table_names())
        raise HardwareError(f"no energy table is called {name!r}", where=origin.at("table"), hint=hint)
    table = load_table(name)
    if table.unit != machine.unit:
        raise HardwareError(
            f"the unit is {machine.unit}, and the table {table.name} is in {table.unit}",
            where=origin.at("unit"),
            hint=f"Write unit: {table.unit}.",
        )
    return table


def source_of(table: EnergyTable, machine: MachineEntry, entries: Sequence[HierarchyEntry]) -> str:
    """The table's source, and what of the machine is not priced by it."""
    own = [] if machine.mac is None else ["mac"]
    own += [entry.level for entry in entries if isinstance(entry, LevelEntry) and entry.energy is not None]
    return f"{table.source}; from the description: {', '.join(own)}" if own else table.source


def mac_of(machine: MachineEntry, table: EnergyTable | None, origin: Origin) -> MacEnergy:
    """Price of a MAC: that of the description, else of its table."""
    if machine.mac is not None:
        stated = machine.mac
        if stated.widths is not None and stated.widths[0] > stated.widths[1]:
            raise HardwareError(
                f"widths that end below their beginning: {stated.widths[0]} to {stated.widths[1]} bits",
                where=origin.at("mac", "widths"),
                hint="Write the least width first: [4, 16].",
            )
        widths = None if stated.widths is None else (stated.widths[0], stated.widths[1])
        return MacEnergy(bits=stated.bits, multiply=stated.multiply, add=stated.add, widths=widths)
    if table is None:
        raise HardwareError(
            "the key 'mac' is missing: energy of a multiply–accumulate",
            where=origin.at(),
            hint="Add mac: … here, or name a built-in table (table: horowitz-45nm).",
        )
    return mac_energy(
        table,
        Bits(**machine.bits.model_dump()),
        node_nm=machine.node_nm,
        voltage_v=machine.voltage_v,
        extrapolate=machine.extrapolate,
        where=origin.at("table"),
    )


def ruled_energies(
    entry: LevelEntry,
    held: Sequence[str],
    machine: MachineEntry,
    table: EnergyTable | None,
    capacity_bits: int | None,
    word_bits: int,
    where: str,
) -> tuple[tuple[tuple[str, str], float], ...]:
    """Energies of a word of a level that states none, by the rules of the machine's table; ``held`` are its tensors."""
    if table is None:
        raise HardwareError(
            "the key 'energy' is missing: what reading and writing one word costs",
            where=where,
            hint="Add energy: … here, or name a built-in table (table: horowitz-45nm) and the kind of memory.",
        )
    if entry.kind is None:
        raise HardwareError(
            f"the level {entry.level!r} has neither an energy nor a kind",
            where=where,
            hint=f"Add kind: … ({', '.join(KINDS)}), by which {table.name} prices it, or energy: … of its own.",
        )
    price = {
        direction: word_energy(
            table,
            entry.kind,
            direction,
            capacity_bits=capacity_bits,
            word_bits=word_bits,
            node_nm=machine.node_nm,
            voltage_v=machine.voltage_v,
            extrapolate=entry.extrapolate or machine.extrapolate,
            where=where,
        )
        for direction in DIRECTIONS
    }
    return tuple(sorted(((d, t), price[d]) for d in DIRECTIONS for t in held))
