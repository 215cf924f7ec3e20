"""The energy tables that come with picojoule, and how a name or path becomes one.

A table is one YAML file of ``tables/``: prices as published, each with its source and how sure it is. What the rules
make of them is in ``energy_rules``; the keys are explained in ``docs/reference/energy-tables.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import Field

from picojoule.errors import HardwareError, UnknownNameError, UsageError, nearest
from picojoule.hardware import document
from picojoule.hardware.document import FieldPath, Origin
from picojoule.hardware.energy_rules import CERTAINTIES, KINDS, EnergyTable, MacRule, MemoryRule, Point
from picojoule.hardware.schema import UNITS, Energy, Name, Text, Width, Table, _one_of, checked
from picojoule.units import parse_size_bits

_SUFFIXES = (".yaml", ".yml")
Certainty = Annotated[str, _one_of("certainty", CERTAINTIES)]


class PointEntry(Table):
    """A published price of one access."""

    capacity: str = Field(default=None, description="size of the memory; left out where all sizes cost the same")
    bits: int = Field(ge=1, le=65536, description="bits that the access moves")
    read: Energy = Field(gt=0, description="energy of reading them")
    write: Energy = Field(default=None, gt=0, description="energy of writing them; the same as read if left out")
    certainty: Certainty = Field(default=None, description="how sure it is; as the rule says if left out")


class MemoryRuleEntry(Table):
    """Prices of one kind of memory."""

    kind: Annotated[str, _one_of("kind of memory", KINDS)] = Field(description="kind of memory: dram, sram or regfile")
    certainty: Certainty = Field(description="how sure the least certain price is")
    source: Text = Field(description="where the prices come from")
    exponent: float = Field(default=0.0, ge=0, le=2, description="of the size, where there is one price")
    range: list[str] = Field(
        default=None, min_length=2, max_length=2, description="sizes that it is for; those of the prices if left out"
    )
    points: list[PointEntry] = Field(min_length=1, description="published prices, by size")


class MacRuleEntry(Table):
    """Price of a multiply–accumulate."""

    bits: Width = Field(description="the operand width that multiply and add are for")
    multiply: Energy = Field(gt=0, description="energy of one multiplication")
    add: Energy = Field(description="energy of one addition; 0 if multiply covers it")
    widths: list[Width] = Field(min_length=2, max_length=2, description="least and largest operand width of the law")
    certainty: Certainty = Field(description="how sure the prices are")
    source: Text = Field(description="where the prices come from")


class EnergyTableEntry(Table):
    """An energy table."""

    name: Name = Field(description="what the table is called")
    description: Text = Field(default="", description="one sentence on what it is")
    unit: Annotated[str, _one_of("unit", UNITS)] = Field(description="unit of every price: pJ or mac16")
    node_nm: float | None = Field(default=None, gt=0, le=100_000, description="technology node of the prices")
    voltage_v: float | None = Field(default=None, gt=0, le=100, description="supply voltage of the prices")
    source: Text = Field(description="where the table comes from")
    mac: MacRuleEntry = Field(description="price of a multiply–accumulate")
    memories: list[MemoryRuleEntry] = Field(min_length=1, description="a rule for each kind of memory")


def table_names() -> tuple[str, ...]:
    """Names of the built-in energy tables, sorted."""
    files = resources.files(__package__).joinpath("tables").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def load_table(name_or_path: str | Path) -> EnergyTable:
    """The energy table of a YAML file, or a built-in one by name; told apart as in ``load_hardware``.

    Args:
        name_or_path: ``"horowitz-45nm"`` or ``"my-table.yaml"``.

    Raises:
        UnknownNameError: neither a file nor a built-in table.
        HardwareError: the file is missing or holds no sound table; names file, line and field.
        SystemFailure: the system doesn't let us read the file.

    Example:
        >>> load_table("horowitz-45nm").node_nm
        45.0
    """
    name, path = str(name_or_path), Path(name_or_path)
    if isinstance(name_or_path, Path) or name.endswith(_SUFFIXES) or path.name != name:
        return table_from_text(document.read_text(path), str(path))
    if name not in table_names():
        hint = f"{nearest(name, table_names())} Or give the path of a .yaml file."
        raise UnknownNameError(f"no energy table is called {name!r}", where="table", hint=hint)
    text = resources.files(__package__).joinpath("tables", f"{name}.yaml").read_text(encoding="utf-8")
    return table_from_text(text, f"{name}.yaml (built in)")


def table_from_text(text: str, where: str) -> EnergyTable:
    """The energy table in a YAML text; ``where`` names the text in errors.

    Raises:
        HardwareError: the text is no YAML or holds no sound table.
    """
    data, origin = document.parse(text, where)
    entry = checked(lambda: EnergyTableEntry.model_validate(data), (), origin)
    kinds = [rule.kind for rule in entry.memories]
    twice = next((i for i, kind in enumerate(kinds) if kind in kinds[:i]), None)
    if twice is not None:
        raise HardwareError(
            f"a second rule for {kinds[twice]}", where=origin.at("memories", twice), hint="A kind has one rule."
        )
    mac = entry.mac
    if mac.widths[0] > mac.widths[1]:
        raise HardwareError(
            f"widths that end below their beginning: {mac.widths[0]} to {mac.widths[1]} bits",
            where=origin.at("mac", "widths"),
            hint="Write the least width first: [4, 16].",
        )
    return EnergyTable(
        name=entry.name,
        description=entry.description,
        source=entry.source,
        unit=entry.unit,
        node_nm=entry.node_nm,
        voltage_v=entry.voltage_v,
        mac=MacRule(
            bits=mac.bits,
            multiply=mac.multiply,
            add=mac.add,
            least_width=mac.widths[0],
            most_width=mac.widths[1],
            source=mac.source,
            certainty=mac.certainty,
        ),
        memories=tuple(_memory(rule, ("memories", i), origin) for i, rule in enumerate(entry.memories)),
    )


def _memory(entry: MemoryRuleEntry, path: FieldPath, origin: Origin) -> MemoryRule:
    points = tuple(
        Point(
            capacity_bits=None
            if point.capacity is None
            else _bits(point.capacity, origin.at(*path, "points", i, "capacity")),
            bits=point.bits,
            read=point.read,
            write=point.read if point.write is None else point.write,
            certainty=point.certainty or entry.certainty,
        )
        for i, point in enumerate(entry.points)
    )
    sizes = [point.capacity_bits for point in points]
    if (len(points) > 1 or entry.exponent) and None in sizes:
        raise HardwareError(
            "a price without a size, in a rule that goes by size",
            where=origin.at(*path, "points", sizes.index(None), "capacity"),
            hint="Give its capacity.",
        )
    known = [size for size in sizes if size is not None]
    if len(points) > 1 and (entry.exponent or known != sorted(set(known))):
        what = "an exponent beside several prices" if entry.exponent else "sizes that don't rise"
        raise HardwareError(what, where=origin.at(*path), hint="Several prices go by size, the smallest memory first.")
    _check_rising(points, path, origin)
    certain = max(CERTAINTIES.index(point.certainty) for point in points)
    if certain > CERTAINTIES.index(entry.certainty):
        raise HardwareError(
            f"the rule is said to be {entry.certainty!r}, and a price of it is {CERTAINTIES[certain]!r}",
            where=origin.at(*path, "certainty"),
            hint="A rule is as sure as its least certain price.",
        )
    ends = entry.range or []
    least, most = (_bits(end, origin.at(*path, "range")) for end in ends) if ends else (None, None)
    if not ends and known:
        least, most = known[0], known[-1]
    _check_range(least, most, known, path, origin)
    return MemoryRule(
        kind=entry.kind,
        points=points,
        exponent=entry.exponent,
        least_bits=least,
        most_bits=most,
        source=entry.source,
        certainty=entry.certainty,
    )


def _check_rising(points: Sequence[Point], path: FieldPath, origin: Origin) -> None:
    """A larger memory is never cheaper per bit: machines with such prices are refused, too (``plausible``)."""
    for i, (smaller, larger) in enumerate(pairwise(points), 1):
        for direction in ("read", "write"):
            mine, other = larger.per_bit(direction), smaller.per_bit(direction)
            if mine < other * (1 - 1e-9):
                raise HardwareError(
                    f"a larger memory whose {direction} costs less: {mine:.4g} a bit against {other:.4g}",
                    where=origin.at(*path, "points", i),
                    hint="Of two memories of a kind the larger is the dearer per bit: check bits, sizes and prices.",
                )


def _check_range(
    least: int | None, most: int | None, known: Sequence[int], path: FieldPath, origin: Origin
) -> None:
    """The range runs upwards and has every price in it."""
    if least is None or most is None:
        return
    if least > most:
        raise HardwareError(
            "a range that ends below its beginning",
            where=origin.at(*path, "range"),
            hint="Write the smallest size first: [128 bit, 4 KiB].",
        )
    outside = next((i for i, size in enumerate(known) if not least <= size <= most), None)
    if outside is not None:
        raise HardwareError(
            "a price of a size that lies outside the range of its rule",
            where=origin.at(*path, "points", outside, "capacity"),
            hint="Widen the range, or leave the price out.",
        )


def _bits(text: str, where: str) -> int:
    try:
        bits = parse_size_bits(text)
    except UsageError as error:
        raise HardwareError(error.message, where=where, hint=error.hint) from None
    if bits <= 0:
        raise HardwareError(f"a size must be more than 0, got {text!r}", where=where)
    return bits
