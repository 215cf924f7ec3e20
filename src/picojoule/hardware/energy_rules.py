"""Energy of one access by rules: kind of memory, size, width, technology node. Pure: files are read by ``tables``.

    memory      a bit's price goes with the size of the memory, an access's with its bits  ``MemoryRule``
    multiplier  with the product of the operand widths; the adder with the wider one        ``MacRule``
    scaling     with the node, and with the square of the voltage                            ``scaling_factor``

Between two published sizes the price of a bit is a straight line in logarithms; from a single one it goes by
``exponent`` (0: the same at every size; 0.5: the square root, as caches go in Horowitz, ISSCC 2014). Energies are in
the unit of the table (``pJ`` or ``mac16``), sizes in bits. Outside the range that a rule was made for there is an
error, unless ``extrapolate``: then the law goes on as it ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from picojoule.errors import HardwareError
from picojoule.hardware.mac import MacEnergy
from picojoule.workload.nest import Bits

KINDS = ("dram", "sram", "regfile")
"""Kinds of memory that tables have rules for."""

CERTAINTIES = ("source", "found", "derived", "memory, corroborated", "memory, unverified")
"""How sure a figure is: read in the source; found in public material; computed from such; recalled, and every sum that
can be checked agrees; recalled, and seen nowhere."""

NODE_RANGE_NM = (45.0, 65.0)
VOLTAGE_RANGE_V = (0.9, 1.0)
"""Between these nodes and voltages CNNergy scales its energies; no other source of the tables scales any."""

_EXTRAPOLATE = "Write extrapolate: true in the machine's description to have the rule go on outside."


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A published price.

    Attributes:
        capacity_bits: size of the memory; None where the price is one for all sizes.
        bits: moved by the access.
        read, write: energy of the access.
        certainty: one of ``CERTAINTIES``.
    """

    capacity_bits: int | None
    bits: int
    read: float
    write: float
    certainty: str

    def per_bit(self, direction: str) -> float:
        """Energy of a bit; an update is a write."""
        return (self.read if direction == "read" else self.write) / self.bits


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRule:
    """Prices of one kind of memory.

    Attributes:
        kind: one of ``KINDS``.
        points: published prices, by size.
        exponent: of the size, where there is a single point.
        least_bits, most_bits: sizes that the rule is for; None is no limit.
        source: of the prices, and ``certainty``: of the least certain.
    """

    kind: str
    points: tuple[Point, ...]
    exponent: float = 0.0
    least_bits: int | None
    most_bits: int | None
    source: str
    certainty: str

    def covers(self, capacity_bits: int | None) -> bool:
        """Whether the rule is for memories of this size; an unlimited one is larger than any."""
        size = math.inf if capacity_bits is None else capacity_bits
        return (self.least_bits or 0) <= size <= (math.inf if self.most_bits is None else self.most_bits)

    def energy_per_bit(self, direction: str, capacity_bits: int | None) -> float:
        """Energy of moving one bit in or out of a memory of this size, whether or not the rule covers it.

        Example:
            >>> point = Point(capacity_bits=65536, bits=64, read=10.0, write=10.0, certainty="found")
            >>> rule = MemoryRule(
            ...     kind="sram",
            ...     points=(point,),
            ...     exponent=0.5,
            ...     least_bits=None,
            ...     most_bits=None,
            ...     source="",
            ...     certainty="found",
            ... )
            >>> 64 * rule.energy_per_bit("read", 4 * 65536)
            20.0
        """
        first = self.points[0]
        if len(self.points) == 1:
            if not self.exponent or first.capacity_bits is None:
                return first.per_bit(direction)
            return first.per_bit(direction) * (_size(capacity_bits) / first.capacity_bits) ** self.exponent
        size = _size(capacity_bits)
        right = next((i for i, p in enumerate(self.points) if i and size <= _size(p.capacity_bits)), None)
        low, high = self.points[-2:] if right is None else self.points[right - 1 : right + 1]
        for point in (low, high):
            if size == point.capacity_bits:
                return point.per_bit(direction)
        least = _size(low.capacity_bits)
        share = math.log(size / least) / math.log(_size(high.capacity_bits) / least)
        return low.per_bit(direction) * (high.per_bit(direction) / low.per_bit(direction)) ** share


@dataclass(frozen=True, slots=True, kw_only=True)
class MacRule:
    """Price of a multiply–accumulate: ``multiply · (weights · inputs) / bits² + add · max(weights, inputs) / bits``.

    Attributes:
        bits, multiply, add: as in ``MacEnergy``, whose law it is.
        least_width, most_width: of the operands that the law is known for.
        source, certainty: of the two prices.
    """

    bits: int
    multiply: float
    add: float
    least_width: int
    most_width: int
    source: str
    certainty: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTable:
    """Rules of one origin.

    Attributes:
        name, source: stand in every result.
        unit: ``pJ`` or ``mac16``, of every price.
        node_nm, voltage_v: that the prices are for; None is not known.
        mac: price of a multiply–accumulate.
        memories: at most one rule of a kind.
    """

    name: str
    description: str
    source: str
    unit: str
    node_nm: float | None
    voltage_v: float | None
    mac: MacRule
    memories: tuple[MemoryRule, ...]

    def memory(self, kind: str, *, where: str) -> MemoryRule:
        """The rule of a kind.

        Raises:
            HardwareError: the table has none; nothing is taken to be free.
        """
        for rule in self.memories:
            if rule.kind == kind:
                return rule
        raise HardwareError(
            f"the table {self.name} has no rule for {kind}",
            where=where,
            hint=f"It has rules for {', '.join(rule.kind for rule in self.memories)}; take another table.",
        )


def word_energy(
    table: EnergyTable,
    kind: str,
    direction: str,
    *,
    capacity_bits: int | None,
    word_bits: int,
    node_nm: float | None = None,
    voltage_v: float | None = None,
    extrapolate: bool = False,
    where: str = "",
) -> float:
    """Energy of one word read from or written to a memory, in the unit of the table.

    Args:
        table: whose rules hold.
        kind: ``dram``, ``sram`` or ``regfile``.
        direction: ``read``, ``write`` or ``update``.
        capacity_bits: of one instance; None is unlimited.
        word_bits: moved; the price is linear in them.
        node_nm, voltage_v: of the machine; those of the table if None. DRAM does not scale: it is another chip.
        extrapolate: go on outside the range of a rule.
        where: names the memory in errors.

    Raises:
        HardwareError: no rule, or outside its range without ``extrapolate``.
    """
    rule = table.memory(kind, where=where)
    if capacity_bits is None and (len(rule.points) > 1 or rule.exponent):
        raise HardwareError(
            f"the rule of {table.name} for {kind} goes by size, and this memory is unlimited",
            where=where,
            hint=f"Give its capacity; the rule is for sizes {_range(rule)}.",
        )
    if not rule.covers(capacity_bits) and not extrapolate:
        has = "unlimited" if capacity_bits is None else _told(capacity_bits)
        raise HardwareError(
            f"the rule of {table.name} for {kind} is for sizes {_range(rule)}, and this memory is {has}",
            where=where,
            hint=f"Give its capacity. {_EXTRAPOLATE}" if capacity_bits is None else _EXTRAPOLATE,
        )
    factor = 1.0
    if kind != "dram":
        factor = scaling_factor(table, node_nm, voltage_v, extrapolate=extrapolate, where=where)
    return rule.energy_per_bit(direction, capacity_bits) * word_bits * factor


def mac_energy(
    table: EnergyTable,
    bits: Bits,
    *,
    node_nm: float | None = None,
    voltage_v: float | None = None,
    extrapolate: bool = False,
    where: str = "",
) -> MacEnergy:
    """Price of a MAC by the rule of the table.

    Args:
        table: whose rule holds.
        bits: widths that the machine works at by default: they must lie in the range of the rule.
        node_nm, voltage_v, extrapolate, where: as for ``word_energy``.

    Raises:
        HardwareError: outside the range without ``extrapolate``.
    """
    rule = table.mac
    for tensor in ("weights", "inputs"):
        width = bits.of(tensor)
        if not rule.least_width <= width <= rule.most_width and not extrapolate:
            raise HardwareError(
                f"the MAC of {table.name} is for operands of {rule.least_width} to {rule.most_width} bits, "
                f"and {tensor} have {width}",
                where=where,
                hint=_EXTRAPOLATE,
            )
    factor = scaling_factor(table, node_nm, voltage_v, extrapolate=extrapolate, where=where)
    widths = rule.least_width, rule.most_width
    return MacEnergy(bits=rule.bits, multiply=rule.multiply * factor, add=rule.add * factor, widths=widths)


def scaling_factor(
    table: EnergyTable, node_nm: float | None, voltage_v: float | None, *, extrapolate: bool = False, where: str = ""
) -> float:
    """What energies of the table's node and voltage are multiplied with: ``(node/node₀) · (V/V₀)²``.

    The law is CNNergy's, which takes Horowitz' 45 nm and 0.9 V to 65 nm and 1 V by ``(65/45) / 0.81``; range
    45 … 65 nm, 0.9 … 1 V.

    Raises:
        HardwareError: outside the range without ``extrapolate``, a table in relative units, or one that doesn't say its
            own node or voltage.
    """
    factor = 1.0
    for what, asked, own, (least, most), unit, power in (
        ("node", node_nm, table.node_nm, NODE_RANGE_NM, "nm", 1),
        ("voltage", voltage_v, table.voltage_v, VOLTAGE_RANGE_V, "V", 2),
    ):
        if asked is None or asked == own:
            continue
        if table.unit != "pJ" or own is None:
            why = f"is in units of {table.unit}" if table.unit != "pJ" else f"doesn't say its {what}"
            raise HardwareError(
                f"the table {table.name} {why}: it can't be scaled to a {what} of {asked:g}",
                where=where,
                hint=f"Leave the {what} out, or take another table.",
            )
        for end, whose in ((asked, "the machine"), (own, f"the table {table.name}")):
            if not least <= end <= most and not extrapolate:
                raise HardwareError(
                    f"energies are scaled between {least:g} and {most:g} {unit}, and {whose} has {end:g} {unit}",
                    where=where,
                    hint=_EXTRAPOLATE,
                )
        factor *= (asked / own) ** power
    return factor


def _size(capacity_bits: int | None) -> int:
    assert capacity_bits is not None, "word_energy lets no unlimited memory through to a law that goes by size"
    return capacity_bits


def _range(rule: MemoryRule) -> str:
    if rule.most_bits is None:
        return f"from {_told(rule.least_bits or 0)} on"
    return f"from {_told(rule.least_bits or 0)} to {_told(rule.most_bits)}"


def _told(bits: int) -> str:
    return f"{bits / 8192:g} KiB" if bits >= 8192 else f"{bits} bit"
