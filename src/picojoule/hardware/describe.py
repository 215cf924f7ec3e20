"""A machine description → ``Accelerator``, and back to plain data.

The YAML of ``docs/how-to/describe-your-machine.md`` and the JSON inside a result file are the same data and
pass through the same checks; the only difference is that the fields of a file have line numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from picojoule.errors import HardwareError
from picojoule.hardware import document
from picojoule.hardware.accelerator import (
    DIRECTIONS,
    Accelerator,
    Level,
    Port,
    TileRule,
    operand_latch,
)
from picojoule.hardware.arrays import fanout, fanout_data, links_behind
from picojoule.hardware.document import FieldPath, Origin
from picojoule.hardware.energy_rules import EnergyTable
from picojoule.hardware.mac import MacMode
from picojoule.hardware.parameters import fill_in
from picojoule.hardware.plausible import check_prices
from picojoule.hardware.pricing import mac_of, ruled_energies, source_of, table_of
from picojoule.hardware.quantities import parse_bits_per_cycle, parse_capacity_bits, parse_hertz
from picojoule.hardware.schema import (
    TILE_LIMIT,
    FanOutEntry,
    HierarchyEntry,
    LatchEntry,
    LevelEntry,
    MachineEntry,
    machine_entry,
)
from picojoule.hardware.zero_rules import level_zeros, level_zeros_data, mac_zeros, mac_zeros_data
from picojoule.workload.nest import DIMS, TENSORS, Bits

RESERVED = ("mac", "vector", "leakage", "none")
"""Names that stand beside those of the levels in results."""


def accelerator_from_file(path: Path, chosen: str = "") -> Accelerator:
    """The machine that a YAML file describes; ``chosen`` as for ``accelerator_from_text``.

    Raises:
        HardwareError: the file is missing, is no YAML, or describes no sound machine; names file, line and field.
        SystemFailure: the system doesn't let us read the file.
    """
    return accelerator_from_text(document.read_text(path), str(path), chosen)


def accelerator_from_text(text: str, where: str, chosen: str = "") -> Accelerator:
    """The machine that a YAML text describes.

    Args:
        text: the description.
        where: names the text in errors.
        chosen: variants and settings of its parameters, separated by commas: ``"B512,memory=2 MiB"``.

    Raises:
        HardwareError: the text is no YAML or describes no sound machine.
        UsageError: ``chosen`` names what the description doesn't have.
    """
    data, origin = document.parse(text, where)
    accelerator = _accelerator(data, origin, chosen)
    check_prices(accelerator, origin)
    return accelerator


def accelerator_from_data(data: dict[str, object], where: str) -> Accelerator:
    """The machine that plain data describes: the inverse of ``accelerator_to_data``.

    A machine that a program has changed may have prices that a description may not (``plausible``): what a capacity
    does by itself is a question that sweeps ask.

    Args:
        data: what the YAML says, as tables, lists, text and numbers.
        where: names the source in errors, say ``resnet18.json: hardware``.

    Raises:
        HardwareError: the data describes no sound machine.
    """
    return _accelerator(data, Origin(where))


def accelerator_from_plain(data: object, origin: Origin, chosen: str = "") -> Accelerator:
    """The machine that plain data of a description describes, its parameters filled in; prices are taken as they are.

    Args:
        data: as ``document.parse`` gives it, perhaps changed.
        origin: names its source in errors.
        chosen: variants and settings of its parameters.

    Raises:
        HardwareError: the data describes no sound machine.
        UsageError: ``chosen`` names what the description doesn't have.
    """
    return _accelerator(data, origin, chosen)


def accelerator_to_data(accelerator: Accelerator) -> dict[str, object]:
    """The machine as plain data with the keys of the YAML, every default written out and every number exact.

    Energies of tensors that a level doesn't hold are left out: nothing can use them.

    Args:
        accelerator: the machine.
    """
    bits, mac = accelerator.bits, accelerator.mac
    data: dict[str, object] = {
        "name": accelerator.name,
        "description": accelerator.description,
        "unit": accelerator.unit,
    }
    data["node_nm"] = accelerator.node_nm
    if accelerator.voltage_v is not None:
        data["voltage_v"] = accelerator.voltage_v
    if accelerator.extrapolate:
        data["extrapolate"] = True
    if accelerator.estimated:
        data["estimated"] = True
    data["clock"] = None if accelerator.clock_hz is None else f"{accelerator.clock_hz!r} Hz"
    data["area_mm2"] = accelerator.area_mm2
    if accelerator.macs_per_dsp is not None:
        data["macs_per_dsp"] = accelerator.macs_per_dsp
    if accelerator.parameters:
        data["parameters"] = dict(accelerator.parameters)
    data["bits"] = {"weights": bits.weights, "inputs": bits.inputs, "outputs": bits.outputs, "psums": bits.psums}
    data["table"] = {"name": accelerator.table_name, "source": accelerator.table_source}
    price: dict[str, object] = {"bits": mac.bits, "multiply": mac.multiply, "add": mac.add}
    if mac.widths is not None:
        price["widths"] = list(mac.widths)
    if mac.modes:
        price["modes"] = [_mode_data(mode) for mode in mac.modes]
    data["mac"] = price
    data["vector"] = accelerator.vector_energy
    if minding := mac_zeros_data(accelerator):
        data["zeros"] = minding
    data["hierarchy"] = [_level_data(x) if isinstance(x, Level) else fanout_data(x) for x in accelerator.hierarchy]
    return data


def _mode_data(mode: MacMode) -> dict[str, object]:
    own = {} if mode.multiply is None else {"multiply": mode.multiply, "add": mode.add}
    return {"weights": mode.weights, "inputs": mode.inputs, "cycles": mode.cycles, **own}


def _level_data(level: Level) -> dict[str, object]:
    if level.latch:
        return {"latch": level.name, "keeps": list(level.keeps)}
    data: dict[str, object] = {"level": level.name, "keeps": list(level.keeps), "may_keep": list(level.may_keep)}
    if level.capacity_bits is not None:
        data["capacity"] = f"{level.capacity_bits} bit"
    data["word_bits"] = level.word_bits
    price = dict(level.energy_per_word)
    by_tensor = {t: {d: price[d, t] for d in DIRECTIONS} for t in TENSORS if t in level.holds}
    first, *others = by_tensor.values()
    data["energy"] = first if all(other == first for other in others) else by_tensor
    ports = {"read": level.read_bits_per_cycle, "write": level.write_bits_per_cycle}
    bandwidth: dict[str, Any] = {port: _rate_text(rate) for port, rate in ports.items() if rate is not None}
    for port in level.own_ports:
        bandwidth.setdefault(port.tensors[0], {})[port.direction] = _rate_text(port.bits_per_cycle)
    data["bandwidth"] = bandwidth
    data["block_words"], data["buffering"] = level.block_words, level.buffering
    if level.tiles:
        data["tiles"] = _tiles_data(level.tiles)
    if level.spill:
        data["spill"] = list(level.spill)
    if level.zeros:
        data["zeros"] = level_zeros_data(level)
    if level.kind is not None:
        data["kind"] = level.kind
    if level.free:
        data["free"] = True
    if level.extrapolate:
        data["extrapolate"] = True
    return data


def _rate_text(bits_per_cycle: float) -> str:
    return f"{float(bits_per_cycle)!r} bit/cycle"


def _tiles_data(rules: Sequence[TileRule]) -> dict[str, dict[str, object]]:
    data: dict[str, dict[str, object]] = {}
    for rule in rules:
        dims = data.setdefault(rule.tensor, {})
        here = [r.value for r in rules if (r.tensor, r.dim) == (rule.tensor, rule.dim)]
        dims[rule.dim] = here[0] if len(here) == 1 else here
    return data


def _clock_hz(machine: MachineEntry, origin: Origin) -> float | None:
    clock = None if machine.clock is None else parse_hertz(machine.clock, origin.at("clock"))
    if clock is not None and machine.fastest_clock is not None:
        if clock > parse_hertz(machine.fastest_clock, origin.at("fastest_clock")):
            raise HardwareError(
                f"a clock of {machine.clock}, and the machine reaches {machine.fastest_clock}",
                where=origin.at("clock"),
                hint=f"Choose one of at most {machine.fastest_clock}.",
            )
    return clock


def _accelerator(data: object, origin: Origin, chosen: str = "") -> Accelerator:
    machine, entries = machine_entry(fill_in(data, chosen, origin), origin)
    table = table_of(data, machine, origin)
    clock_hz = _clock_hz(machine, origin)
    _check_names(entries, origin)
    _check_homes(entries, origin)
    _check_latches(entries, origin)
    zeros = mac_zeros(machine, entries, origin)
    hierarchy = tuple(
        fanout(entries, i, clock_hz, ("hierarchy", i), origin)
        if isinstance(entry, FanOutEntry)
        else operand_latch(entry.latch, _in_order(entry.keeps))
        if isinstance(entry, LatchEntry)
        else replace(
            _level(entry, machine, table, clock_hz, ("hierarchy", i), origin),
            zeros=level_zeros(entries, i, ("hierarchy", i), machine, origin),
        )
        for i, entry in enumerate(entries)
    )
    accelerator = Accelerator(
        name=machine.name,
        description=machine.description,
        hierarchy=tuple(
            entry if link is None or not isinstance(entry, Level) or entry.latch else replace(entry, link=link)
            for entry, link in zip(hierarchy, links_behind(hierarchy), strict=True)
        ),
        unit=machine.unit,
        bits=Bits(**machine.bits.model_dump()),
        mac=mac_of(machine, table, origin),
        vector_energy=machine.vector,
        clock_hz=clock_hz,
        node_nm=table.node_nm if table and machine.node_nm is None else machine.node_nm,
        voltage_v=table.voltage_v if table and machine.voltage_v is None else machine.voltage_v,
        area_mm2=machine.area_mm2,
        macs_per_dsp=machine.macs_per_dsp,
        extrapolate=machine.extrapolate,
        estimated=machine.estimated,
        gating=zeros.gating,
        skipping=zeros.skipping,
        units=zeros.units,
        run_ahead=zeros.run_ahead,
        parameters=tuple(machine.parameters.items()),
        table_name=machine.table.name,
        table_source=source_of(table, machine, entries) if table else machine.table.source,
    )
    resolved = json.dumps(accelerator_to_data(accelerator), ensure_ascii=False, allow_nan=False)
    return replace(accelerator, resolved=resolved)


def _check_names(entries: Sequence[HierarchyEntry], origin: Origin) -> None:
    seen: dict[str, int] = {}
    for i, entry in enumerate(entries):
        key = next(iter(type(entry).model_fields))  # level, latch or fanout: the key that says what it is
        name, where = getattr(entry, key), origin.at("hierarchy", i, key)
        if name.lower() in RESERVED:
            hint = f"Results use {', '.join(RESERVED)} for what isn't a memory; choose another name."
            raise HardwareError(f"the name {name!r} is reserved", where=where, hint=hint)
        if name in seen:
            raise HardwareError(
                f"the name {name!r} is taken by hierarchy[{seen[name]}]", where=where, hint="Choose another name."
            )
        seen[name] = i
    for i, entry in enumerate(entries):
        link = entry.link if isinstance(entry, FanOutEntry) else None
        if link is not None and (link.name in seen or link.name.lower() in RESERVED):
            where = origin.at("hierarchy", i, "link", "name")
            raise HardwareError(f"the name {link.name!r} is taken", where=where, hint="Choose another name.")
        if link is not None:
            seen[link.name] = i


def _check_homes(entries: Sequence[HierarchyEntry], origin: Origin) -> None:
    """The outermost entry is a memory that keeps every tensor, and no level contradicts itself."""
    outermost = entries[0]
    if not isinstance(outermost, LevelEntry):
        hint = "Put a level before it: weights and inputs start there, outputs end there."
        what = f"latch {outermost.latch!r}" if isinstance(outermost, LatchEntry) else f"fan-out {outermost.fanout!r}"
        raise HardwareError(f"the {what} has no memory outside it", where=origin.at("hierarchy", 0), hint=hint)
    levels = [(i, entry) for i, entry in enumerate(entries) if isinstance(entry, LevelEntry)]
    for i, level in levels:
        held = level.keeps + level.may_keep
        where = origin.at("hierarchy", i, "may_keep" if level.may_keep else "keeps")
        if not held:
            hint = f"List the tensors it keeps ({', '.join(TENSORS)}), or remove the level."
            raise HardwareError(f"the level {level.level!r} keeps no tensor", where=where, hint=hint)
        twice = next((tensor for tensor in TENSORS if held.count(tensor) > 1), None)
        if twice:
            hint = "A tensor is either always kept (keeps) or as the mapping chooses (may_keep)."
            raise HardwareError(f"the level {level.level!r} lists {twice} twice", where=where, hint=hint)
    for i, level in levels:
        _check_spill(level, entries, i, origin)
    for tensor in TENSORS:
        if tensor in outermost.keeps + outermost.spill:
            continue
        holders = [level.level for _, level in levels if tensor in level.keeps + level.may_keep]
        found = f"of the levels only {', '.join(holders)} can hold them" if holders else "no level holds them"
        raise HardwareError(
            f"{tensor} are stranded: the outermost level {outermost.level!r} does not keep them, and {found}",
            where=origin.at("hierarchy", 0, "keeps"),
            hint=f"Add {tensor} to keeps of {outermost.level!r}: weights and inputs start there, outputs end there.",
        )


def _check_spill(level: LevelEntry, entries: Sequence[HierarchyEntry], index: int, origin: Origin) -> None:
    """What spills into the outermost level has its home in a memory of which there is one, with a capacity."""
    where = origin.at("hierarchy", index, "spill")
    if level.spill and index:
        raise HardwareError(
            f"{level.level!r} takes what spills, and is not the outermost level",
            where=where,
            hint=f"Tensors spill into {getattr(entries[0], 'level', 'the outermost level')!r}.",
        )
    for tensor in level.spill:
        if tensor in level.keeps + level.may_keep or level.spill.count(tensor) > 1:
            raise HardwareError(
                f"the level {level.level!r} lists {tensor} twice", where=where, hint="It is either kept here, or spills."
            )
        homes = [entry for entry in entries if isinstance(entry, LevelEntry) and tensor in entry.keeps]
        arrays = [i for i, entry in enumerate(entries) if isinstance(entry, FanOutEntry)]
        if not homes or (arrays and entries.index(homes[0]) > arrays[0]) or homes[0].capacity is None:
            lacks = "has no capacity" if homes and homes[0].capacity is None else "lies inside an array"
            raise HardwareError(
                f"{tensor} spill into {level.level!r}, "
                + (f"and their home {homes[0].level!r} {lacks}" if homes else "and no level further in keeps them"),
                where=where,
                hint=f"Let a level with a capacity, outside every fan-out, keep {tensor}.",
            )


def _check_latches(entries: Sequence[HierarchyEntry], origin: Origin) -> None:
    """What a latch holds goes straight to the MACs: nothing inside it may hold the same tensor."""
    for i, latch in enumerate(entries):
        if not isinstance(latch, LatchEntry):
            continue
        where = origin.at("hierarchy", i, "keeps")
        if not latch.keeps:
            hint = f"List the tensors it keeps ({', '.join(TENSORS)}), or remove the latch."
            raise HardwareError(f"the latch {latch.latch!r} keeps no tensor", where=where, hint=hint)
        for tensor in latch.keeps:
            if latch.keeps.count(tensor) > 1:
                raise HardwareError(
                    f"the latch {latch.latch!r} lists {tensor} twice", where=where, hint="It holds one element of each."
                )
            for inner in entries[i + 1 :]:
                if not isinstance(inner, FanOutEntry) and tensor in _held(inner):
                    name = inner.latch if isinstance(inner, LatchEntry) else inner.level
                    raise HardwareError(
                        f"the latch {latch.latch!r} keeps {tensor}, and so does {name!r} inside it",
                        where=where,
                        hint=f"A latch feeds the MACs: put it inside {name!r}, or take {tensor} out of one of the two.",
                    )


def _held(entry: LevelEntry | LatchEntry) -> list[str]:
    return entry.keeps if isinstance(entry, LatchEntry) else entry.keeps + entry.may_keep


def _in_order(tensors: list[str]) -> tuple[str, ...]:
    return tuple(t for t in TENSORS if t in tensors)


def _level(
    entry: LevelEntry,
    machine: MachineEntry,
    table: EnergyTable | None,
    clock_hz: float | None,
    path: FieldPath,
    origin: Origin,
) -> Level:
    word_bits = entry.word_bits or machine.word_bits
    if word_bits is None:
        raise HardwareError(
            f"the level {entry.level!r} has no word_bits: the width of the word that its energies are for",
            where=origin.at(*path),
            hint="Add word_bits here, or once at the top of the description for every level.",
        )
    size = None
    if "capacity" in entry.model_fields_set:
        size = parse_capacity_bits(entry.capacity, word_bits, origin.at(*path, "capacity"))
    rates, own_ports = _ports(entry, word_bits, clock_hz, path, origin)
    return Level(
        name=entry.level,
        keeps=_in_order(entry.keeps),
        may_keep=_in_order(entry.may_keep),
        capacity_bits=size,
        word_bits=word_bits,
        energy_per_word=_energies(entry, path, origin)
        if entry.energy is not None
        else ruled_energies(entry, _held(entry) + entry.spill, machine, table, size, word_bits, origin.at(*path)),
        read_bits_per_cycle=rates.get("read"),
        write_bits_per_cycle=rates.get("write"),
        own_ports=own_ports,
        block_words=entry.block_words,
        buffering=entry.buffering,
        tiles=_tile_rules(entry, path, origin),
        spill=_in_order(entry.spill),
        kind=entry.kind,
        free=entry.free,
        extrapolate=entry.extrapolate,
    )


def _ports(
    entry: LevelEntry, word_bits: int, clock_hz: float | None, path: FieldPath, origin: Origin
) -> tuple[dict[str, float], tuple[Port, ...]]:
    """Bits per cycle of the machine through the shared ports by direction, and the ports of single tensors."""
    where = (*path, "bandwidth")
    per_cycle = 1.0
    if entry.clock is not None:
        ticks = parse_hertz(entry.clock, origin.at(*path, "clock"))
        if clock_hz is None:
            message = f"the level {entry.level!r} has a clock of its own, and the machine has none"
            raise HardwareError(message, where=origin.at(*path, "clock"), hint='Add clock: "200 MHz" at the top.')
        per_cycle = ticks / clock_hz

    def rate(text: str, *key: str) -> float:
        return parse_bits_per_cycle(text, word_bits, clock_hz, per_cycle, origin.at(*where, *key))

    given = entry.bandwidth.model_dump(exclude_none=True) if entry.bandwidth else {}
    shared = {way: rate(given[way], way) for way in ("read", "write") if way in given}
    own = []
    for tensor in (t for t in TENSORS if t in given):
        if tensor not in _held(entry):
            message = f"a bandwidth for {tensor}, which the level {entry.level!r} does not hold"
            raise HardwareError(message, where=origin.at(*where, tensor), hint=f"It holds {', '.join(_held(entry))}.")
        for way, text in given[tensor].items():
            bits_per_cycle = rate(text, tensor, way)
            own.append(Port(direction=way, tensors=(tensor,), bits_per_cycle=bits_per_cycle, own=True))
    return shared, tuple(own)


def _tile_rules(entry: LevelEntry, path: FieldPath, origin: Origin) -> tuple[TileRule, ...]:
    rules: list[TileRule] = []
    given = {t: getattr(entry.tiles, t) for t in TENSORS if t in entry.tiles.model_fields_set} if entry.tiles else {}
    for tensor, dims in given.items():
        where = origin.at(*path, "tiles", tensor)
        if tensor not in _held(entry):
            raise HardwareError(
                f"rules for tiles of {tensor}, which the level {entry.level!r} does not hold",
                where=where,
                hint=f"It holds {', '.join(_held(entry))}.",
            )
        if path == ("hierarchy", 0):
            raise HardwareError(
                f"rules for tiles of {tensor} at their home {entry.level!r}, where a tile is all there is",
                where=where,
                hint="Give them at a level further in.",
            )
        for dim in (d for d in DIMS if d in dims.model_fields_set):
            limits = getattr(dims, dim)
            rules += [_tile_rule(tensor, dim, one) for one in (limits if isinstance(limits, list) else [limits])]
    return tuple(rules)


def _tile_rule(tensor: str, dim: str, limit: int | str) -> TileRule:
    if isinstance(limit, int):
        return TileRule(tensor=tensor, dim=dim, least=limit, most=limit)
    match = TILE_LIMIT.fullmatch(limit)
    assert match is not None, "the schema lets nothing else through"
    sign, number = match.groups()
    if sign is None:
        return TileRule(tensor=tensor, dim=dim, all=True)
    return TileRule(tensor=tensor, dim=dim, **{"least" if sign == ">=" else "most": int(number)})


def _energies(entry: LevelEntry, path: FieldPath, origin: Origin) -> tuple[tuple[tuple[str, str], float], ...]:
    held = entry.keeps + entry.may_keep + entry.spill
    prices: dict[tuple[str, str], float] = {}
    for tensor in TENSORS:
        alone = getattr(entry.energy, tensor)
        if alone is not None and tensor not in held:
            hint = f"It holds {', '.join(held)}."
            message = f"an energy for {tensor}, which the level {entry.level!r} does not hold"
            raise HardwareError(message, where=origin.at(*path, "energy", tensor), hint=hint)
        if tensor not in held:
            continue
        given = entry.energy if alone is None else alone
        for direction in ("read", "write"):
            if getattr(given, direction) is None:
                raise HardwareError(
                    f"the level {entry.level!r} has no {direction} energy for {tensor}",
                    where=origin.at(*path, "energy"),
                    hint=f"Add {direction}: … ; nothing is taken to be free: "
                    "where it is, write 0, and free: true beside it.",
                )
            prices[direction, tensor] = getattr(given, direction)
        prices["update", tensor] = prices["write", tensor] if given.update is None else given.update
    return tuple(sorted(prices.items()))
