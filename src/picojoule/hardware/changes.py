"""A machine with one thing changed: a larger buffer, more bandwidth, a longer side of an array, the next DRAM.

What a larger memory costs is the energy table's to say. A machine whose prices come from a built-in table has them from there
again; where a machine states its own, or the table's rule ends before the new size, the price of a word stays as it was, and
``Change.price`` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import DIRECTIONS, Accelerator, Axis, FanOut, Level

if TYPE_CHECKING:
    from picojoule.hardware.energy_rules import EnergyTable

FACTORS = (1.1, 2.0)

DRAMS = (("DDR3", 70.0), ("LPDDR", 40.0), ("GDDR5", 14.0), ("LPDDR4", 8.0), ("HBM2", 3.9))
"""pJ per bit as accelergy-cacti-plug-in has them (found; LPDDR and DDR3 after Malladi et al., ISCA 2012, GDDR5 and HBM2 after
Chatterjee et al., MICRO 2017). The next DRAM is the first that takes less than the machine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing changed on a machine.

    Attributes:
        kind: ``buffer``, ``bandwidth``, ``array`` or ``dram``.
        what: of the machine: a level, its port, the side of an array.
        step: ``+10 %``, ``×2``, or the name of a DRAM.
        before, after: as they stand in a description.
        machine: as changed.
        price: what became of the energies; empty where they have nothing to do with it.
    """

    kind: str
    what: str
    step: str
    before: str
    after: str
    machine: Accelerator
    price: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """What can't be asked of a machine, and why."""

    kind: str
    what: str
    why: str


def changes(machine: Accelerator) -> Iterator[Change | Unchanged]:
    """+10 % and ×2 of every buffer, every bandwidth and every side of an array, and the next DRAM, in this order.

    Whole things stay whole: a side or a number of words that 10 % would leave as it is grows by one.
    """
    for level in machine.levels:
        if level.capacity_bits is not None and not level.latch:
            yield from _buffers(machine, level)
    for level in machine.levels:
        yield from _bandwidths(machine, level)
    for fanout in machine.fanouts:
        if fanout.link is not None and fanout.link.bits_per_cycle is not None:
            yield from _links(machine, fanout)
    for fanout in machine.fanouts:
        yield from _sides(machine, fanout)
    yield _next_dram(machine)


def _buffers(machine: Accelerator, level: Level) -> Iterator[Change]:
    assert level.capacity_bits is not None
    for factor in FACTORS:
        words = max(int(level.capacity_bits * factor) // level.word_bits, level.capacity_bits // level.word_bits + 1)
        capacity = words * level.word_bits
        prices, said = _priced(machine, level, capacity)
        larger = replace(level, capacity_bits=capacity, energy_per_word=prices)
        yield Change(
            kind="buffer", what=level.name, step=_step(factor), before=_size(level.capacity_bits), after=_size(capacity),
            machine=_with(machine, level, larger), price=said,
        )  # fmt: skip


def _priced(machine: Accelerator, level: Level, capacity: int) -> tuple[tuple[tuple[tuple[str, str], float], ...], str]:
    """Energies of a word of the larger memory, and where they come from."""
    table = _table_of(machine, level)
    if level.free:
        return level.energy_per_word, "accesses are free, and stay so"
    if table is None or level.kind is None:
        return level.energy_per_word, "old price: the machine states it, without a law for sizes"
    try:
        after = {d: _word_energy(table, machine, level, d, capacity) for d in DIRECTIONS}
        before = {d: _word_energy(table, machine, level, d, level.capacity_bits) for d in DIRECTIONS}
    except HardwareError as error:
        return level.energy_per_word, f"old price: {error.message}"
    prices = tuple(((d, t), after[d]) for (d, t), _ in level.energy_per_word)
    if after == before:
        return prices, f"{table.name} prices all sizes alike"
    return prices, f"a read costs {after['read'] / before['read'] - 1:+.1%} by {table.name}".replace("%", " %")


def _table_of(machine: Accelerator, level: Level) -> EnergyTable | None:
    """The built-in table that the level's prices come from; None if they are the description's own."""
    from picojoule.hardware.tables import load_table, table_names

    source, _, own = machine.table_source.partition("; from the description: ")
    if machine.table_name not in table_names() or level.name in own.split(", "):
        return None
    table = load_table(machine.table_name)
    return table if table.source == source else None


def _word_energy(
    table: EnergyTable, machine: Accelerator, level: Level, direction: str, capacity: int | None
) -> float:
    from picojoule.hardware.energy_rules import word_energy

    assert level.kind is not None
    return word_energy(
        table, level.kind, direction, capacity_bits=capacity, word_bits=level.word_bits, node_nm=machine.node_nm,
        voltage_v=machine.voltage_v, extrapolate=level.extrapolate or machine.extrapolate, where=level.name,
    )  # fmt: skip


def _bandwidths(machine: Accelerator, level: Level) -> Iterator[Change]:
    for way in ("read", "write"):
        rate = level.read_bits_per_cycle if way == "read" else level.write_bits_per_cycle
        if rate is not None and any(port.direction == way and not port.own and not port.link for port in level.ports):
            for factor in FACTORS:
                wider = replace(level, **{f"{way}_bits_per_cycle": rate * factor})
                yield _faster(_with(machine, level, wider), f"{level.name} {way}s", factor, rate)
    for i, port in enumerate(level.own_ports):
        for factor in FACTORS:
            ports = [*level.own_ports]
            ports[i] = replace(port, bits_per_cycle=port.bits_per_cycle * factor)
            wider = replace(level, own_ports=tuple(ports))
            yield _faster(_with(machine, level, wider), f"{level.name} {port.label}", factor, port.bits_per_cycle)


def _links(machine: Accelerator, fanout: FanOut) -> Iterator[Change]:
    link = fanout.link
    assert link is not None and link.bits_per_cycle is not None
    for factor in FACTORS:
        wider = replace(link, bits_per_cycle=link.bits_per_cycle * factor)

        def with_link(entry: Level | FanOut, wider: object = wider) -> Level | FanOut:
            return replace(entry, link=wider) if entry.link == link else entry

        changed = replace(machine, hierarchy=tuple(with_link(entry) for entry in machine.hierarchy))
        yield _faster(_described(changed), link.name, factor, link.bits_per_cycle)


def _faster(machine: Accelerator, what: str, factor: float, rate: float) -> Change:
    return Change(
        kind="bandwidth", what=what, step=_step(factor), before=f"{rate:.6g} bit/cycle",
        after=f"{rate * factor:.6g} bit/cycle", machine=machine,
    )  # fmt: skip


def _sides(machine: Accelerator, fanout: FanOut) -> Iterator[Change]:
    arrays = [(fanout.name, fanout.axes, "")]
    if fanout.depthwise is not None:
        arrays.append((f"{fanout.name} for depthwise layers,", fanout.depthwise.axes, "depthwise"))
    for name, axes, of in arrays:
        for i, axis in enumerate(axes):
            if not axis.dims or axis.size == 1 and len(axes) == 1 and of:
                continue
            for step, size in _sizes(axis):
                longer = tuple(replace(a, size=size) if n == i else a for n, a in enumerate(axes))
                larger = (
                    replace(fanout, depthwise=replace(fanout.depthwise, axes=longer))
                    if fanout.depthwise is not None and of
                    else replace(fanout, axes=longer)
                )
                yield Change(
                    kind="array", what=f"{name} {axis.name}", step=step, before=str(axis.size), after=str(size),
                    machine=_with(machine, fanout, larger),
                )  # fmt: skip


def _sizes(axis: Axis) -> list[tuple[str, int]]:
    sizes = [(_step(factor), max(int(axis.size * factor), axis.size + 1)) for factor in FACTORS]
    return sizes[1:] if sizes[0][1] == sizes[1][1] else sizes


def _next_dram(machine: Accelerator) -> Change | Unchanged:
    level = machine.levels[0]
    if level.kind != "dram" or machine.unit != "pJ":
        why = "its energies are in multiples of a MAC" if level.kind == "dram" else "the outermost memory is no DRAM"
        return Unchanged(kind="dram", what=level.name, why=why)
    price = max(energy for _, energy in level.energy_per_word) / level.word_bits
    name, next_price = next(((n, pj) for n, pj in DRAMS if pj < price * (1 - 1e-9)), ("", 0.0))
    if not name:
        return Unchanged(
            kind="dram", what=level.name, why=f"it takes {price:.3g} pJ a bit, and none of the list takes less"
        )
    prices = tuple((key, next_price * level.word_bits) for key, _ in level.energy_per_word)
    return Change(
        kind="dram", what=level.name, step=name, before=f"{price:.4g} pJ/bit", after=f"{next_price:.4g} pJ/bit",
        machine=_with(machine, level, replace(level, energy_per_word=prices)), price="its bandwidth stays",
    )  # fmt: skip


def _with(machine: Accelerator, old: Level | FanOut, new: Level | FanOut) -> Accelerator:
    return _described(replace(machine, hierarchy=tuple(new if entry is old else entry for entry in machine.hierarchy)))


def _described(machine: Accelerator) -> Accelerator:
    """The machine with a description that is true of it."""
    from picojoule.hardware.describe import accelerator_to_data

    resolved = json.dumps(accelerator_to_data(machine), ensure_ascii=False, allow_nan=False)
    return replace(machine, resolved=resolved)


def _step(factor: float) -> str:
    return "×2" if factor == 2 else f"+{factor - 1:.0%}".replace("%", " %")


def _size(bits: int) -> str:
    return f"{bits / 8192:.5g} KiB" if bits >= 8192 else f"{bits} bit"


__all__ = ["DRAMS", "Change", "Unchanged", "changes"]
