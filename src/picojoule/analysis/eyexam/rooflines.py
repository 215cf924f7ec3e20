"""Rooflines: what the ports allow in MACs per cycle, and what DRAM costs in energy per MAC."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.analysis.eyexam.steps import Step
from picojoule.analysis.eyexam.subject import Subject
from picojoule.cost.energy import port_loads


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What one port allows under the chosen mapping.

    Attributes:
        level, port: of the machine.
        macs_per_bit: MACs of the layer per bit through the port of the busiest instance.
        bits_per_cycle: of one instance.
        macs_per_cycle: the product of both.
    """

    level: str
    port: str
    macs_per_bit: float
    bits_per_cycle: float
    macs_per_cycle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """The roofline of a layer, as it is usually drawn and tightened.

    Attributes:
        peak_macs_per_cycle: of the whole array at the widths of the layer.
        usual_macs_per_cycle: the peak, or what the outermost memory allows where that is less.
        tightened_macs_per_cycle: step 5 of Eyexam, or what the slowest of all ports allows.
        achieved_macs_per_cycle: by the chosen mapping.
        ceilings: of every port that moves anything, the lowest first.
    """

    peak_macs_per_cycle: float
    usual_macs_per_cycle: float
    tightened_macs_per_cycle: float
    achieved_macs_per_cycle: float
    ceilings: tuple[Ceiling, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRoofline:
    """Energy per MAC against MACs per DRAM bit: on-chip energy, and DRAM's over the intensity. In the unit of the table.

    Attributes:
        pj_per_mac: of the chosen mapping: ``on_chip_pj_per_mac + pj_per_dram_bit / macs_per_dram_bit``.
        on_chip_pj_per_mac: all that is not the outermost memory.
        pj_per_dram_bit: energy at the outermost memory over the bits that it moves.
        macs_per_dram_bit: None where nothing passes there.
        balance_macs_per_dram_bit: where both halves are alike; with fewer MACs per bit DRAM takes more than all else.
        compulsory_macs_per_dram_bit: if every tensor at home there passed once.
        floor_pj_per_mac: no mapping needs less.
    """

    pj_per_mac: float
    on_chip_pj_per_mac: float
    pj_per_dram_bit: float | None
    macs_per_dram_bit: float | None
    balance_macs_per_dram_bit: float | None
    compulsory_macs_per_dram_bit: float | None
    floor_pj_per_mac: float


def roofline(subject: Subject, examined: tuple[Step, ...]) -> Roofline:
    """The roofline of a layer whose Eyexam is known."""
    nest, machine = subject.nest, subject.machine
    ceilings = [
        Ceiling(
            level=level.name,
            port=port.label,
            macs_per_bit=nest.macs / through,
            bits_per_cycle=port.bits_per_cycle,
            macs_per_cycle=nest.macs / through * port.bits_per_cycle,
        )
        for level, port, through in port_loads(nest, machine, subject.mapping, subject.bits)
        if through
    ]
    ceilings.sort(key=lambda ceiling: ceiling.macs_per_cycle)
    peak = machine.pes / machine.timed
    outermost = [c.macs_per_cycle for c in ceilings if c.level == machine.levels[0].name]
    return Roofline(
        peak_macs_per_cycle=peak,
        usual_macs_per_cycle=min([peak, *outermost]),
        tightened_macs_per_cycle=min([examined[4].macs_per_cycle, *(c.macs_per_cycle for c in ceilings)]),
        achieved_macs_per_cycle=nest.macs / subject.cycles,
        ceilings=tuple(ceilings),
    )


def energy_roofline(subject: Subject) -> EnergyRoofline:
    """The energy roofline of a layer."""
    row, machine = subject.row, subject.machine
    outermost = machine.levels[0]
    dram = [access for access in row.by if access.level == outermost.name]
    energy, moved = sum(access.energy_pj for access in dram), sum(access.bits for access in dram)
    on_chip = (row.energy_pj - energy) / row.macs
    price = energy / moved if moved else None
    least = sum(subject.nest.elements(t) * subject.bits.of(t) for t in outermost.keeps) * row.runs
    return EnergyRoofline(
        pj_per_mac=row.energy_pj / row.macs,
        on_chip_pj_per_mac=on_chip,
        pj_per_dram_bit=price,
        macs_per_dram_bit=row.macs / moved if moved else None,
        balance_macs_per_dram_bit=price / on_chip if price is not None and on_chip > 0 else None,
        compulsory_macs_per_dram_bit=row.macs / least if least else None,
        floor_pj_per_mac=row.floor_pj / row.macs,
    )
