"""Energies of a description that names a table in place of stating them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from picojoule.errors import HardwareError, nearest
from picojoule.hardware.accelerator import DIRECTIONS
from picojoule.hardware.document import Origin
from picojoule.hardware.energy_rules import KINDS, EnergyTable, mac_energy, word_energy
from picojoule.hardware.mac import MacEnergy, MacMode
from picojoule.hardware.schema import HierarchyEntry, LevelEntry, MacEntry, MachineEntry
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
    own = ["mac"] if machine.mac is not None and machine.mac.model_fields_set - {"modes"} else []
    own += [entry.level for entry in entries if isinstance(entry, LevelEntry) and entry.energy is not None]
    return f"{table.source}; from the description: {', '.join(own)}" if own else table.source


def mac_of(machine: MachineEntry, table: EnergyTable | None, origin: Origin) -> MacEnergy:
    """Price of a MAC: that of the description, else of its table."""
    modes = _modes(machine, origin)
    own = () if machine.mac is None else machine.mac.model_fields_set & {"bits", "multiply", "add", "widths"}
    if machine.mac is not None and own:
        for key in ("bits", "multiply", "add"):
            if key not in own:
                raise HardwareError(
                    f"the key {key!r} is missing: {type(machine.mac).model_fields[key].description}",
                    where=origin.at("mac"),
                    hint=f"Add {key}: … here.",
                )
        stated = machine.mac
        return MacEnergy(
            bits=stated.bits, multiply=stated.multiply, add=stated.add, widths=_widths(stated, origin), modes=modes
        )
    if table is None:
        raise HardwareError(
            "the key 'mac' is missing: energy of a multiply–accumulate",
            where=origin.at(),
            hint="Add mac: … here, or name a built-in table (table: horowitz-45nm).",
        )
    by_table = mac_energy(
        table,
        Bits(**machine.bits.model_dump()),
        node_nm=machine.node_nm,
        voltage_v=machine.voltage_v,
        extrapolate=machine.extrapolate,
        where=origin.at("table"),
    )
    return replace(by_table, modes=modes)


def _widths(stated: MacEntry, origin: Origin) -> tuple[int, int] | None:
    if stated.widths is None:
        return None
    least, most = stated.widths
    if least > most:
        raise HardwareError(
            f"widths that end below their beginning: {least} to {most} bits",
            where=origin.at("mac", "widths"),
            hint="Write the least width first: [4, 16].",
        )
    return least, most


def _modes(machine: MachineEntry, origin: Origin) -> tuple[MacMode, ...]:
    entries = [] if machine.mac is None else machine.mac.modes
    for i, entry in enumerate(entries):
        if (entry.multiply is None) != (entry.add is None):
            raise HardwareError(
                "multiply and add belong together",
                where=origin.at("mac", "modes", i),
                hint="Give both, or neither for the law of widths.",
            )
    modes = tuple(MacMode(**entry.model_dump()) for entry in entries)
    bits = Bits(**machine.bits.model_dump())
    if modes and not any(mode.fits(bits) for mode in modes):
        raise HardwareError(
            f"no mode takes the machine's own widths: weights of {bits.weights} and inputs of {bits.inputs} bits",
            where=origin.at("mac", "modes"),
            hint="Add a mode at least as wide, or make bits narrower.",
        )
    return modes


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
