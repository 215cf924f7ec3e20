"""What a machine description may say: the keys of the YAML, their kinds and their limits.

Only what one field can tell by itself is checked here; how fields agree is checked in ``describe``. The
description of a field stands in the message when it is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from picojoule.errors import HardwareError, nearest
from picojoule.hardware.accelerator import FORMATS
from picojoule.hardware.document import FieldPath, Origin
from picojoule.hardware.energy_rules import KINDS
from picojoule.workload.nest import DIMS, TENSORS

UNITS = ("pJ", "mac16")
T = TypeVar("T")
TILE_LIMIT = re.compile(r"\s*(?:all|(<=|>=)\s*(\d{1,10}))\s*")
MAX_TILE = 2**32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _refuse(message: str, hint: str = "", key: str = "") -> PydanticCustomError:
    """An error in our own words; ``key`` is the field inside the present one that it is about."""
    return PydanticCustomError("picojoule", "{message}", {"message": message, "hint": hint, "key": key})


def short(value: object) -> str:
    """A value as messages show it: what it is, cut to one line."""
    if isinstance(value, dict | list):
        return f"a {'table' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _one_of(what: str, allowed: Iterable[str]) -> AfterValidator:
    names = tuple(allowed)

    def check(value: str) -> str:
        if value not in names:
            raise _refuse(f"unknown {what} {value!r}", nearest(value, names))
        return value

    return AfterValidator(check)


def _is_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise _refuse(
            f"{short(value)} can't be a name",
            "A name is up to 64 letters, digits, '.', '_' and '-', the first of them a letter or digit.",
        )
    return value


def _one_line(value: str) -> str:
    text = " ".join(value.split())
    if not text.isprintable():
        raise _refuse(f"{short(value)} holds characters that can't be printed", "Use plain text.")
    return text


def _each(*keys: str, kinds: tuple[type, ...] = (int, float), example: str = "") -> BeforeValidator:
    """One value in place of a table stands for every one of ``keys``; ``example`` is one, for a value that is neither."""

    def expand(value: object) -> object:
        if example and not isinstance(value, (*kinds, dict)) and value is not None:
            raise _refuse(f"expected {example}, or a table; got {short(value)}")
        return dict.fromkeys(keys, value) if isinstance(value, kinds) else value

    return BeforeValidator(expand)


Name = Annotated[str, AfterValidator(_is_name)]
Text = Annotated[str, AfterValidator(_one_line)]
Energy = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Width = Annotated[int, Field(ge=1, le=64)]
Tensor = Annotated[str, _one_of("tensor", TENSORS)]
Dim = Annotated[str, _one_of("dimension", DIMS)]


class Table(BaseModel):
    """A table of keys: an unknown one is reported first, since it explains why another seems to be missing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            raise _refuse(f"expected a table with the keys {', '.join(cls.model_fields)}; got {short(data)}")
        for key in data:
            if key not in cls.model_fields:
                raise _refuse(f"unknown key {key!r}", nearest(str(key), cls.model_fields), key=str(key))
        return data


class BitsEntry(Table):
    """Width of an element of each tensor, in bits; one number stands for all four."""

    weights: Width = Field(description="bits of a weight")
    inputs: Width = Field(description="bits of an input")
    outputs: Width = Field(description="bits of a finished output")
    psums: Width = Field(description="bits of a partial sum")


class TableEntry(Table):
    """Which energy table this is, and where it was published or how it was obtained."""

    name: Text = Field(description="what the energy table is called")
    source: Text = Field(description="where the energies come from")


class MacModeEntry(Table):
    """How a MAC unit works on operands up to a width."""

    weights: Width = Field(description="bits of the widest weight")
    inputs: Width = Field(description="bits of the widest input")
    cycles: float = Field(
        default=1.0, gt=0, le=1e6, allow_inf_nan=False, description="cycles that a MAC takes"
    )
    multiply: Energy = Field(default=None, description="energy of one multiplication at just these widths")
    add: Energy = Field(default=None, description="energy of one addition at just these widths")


class MacEntry(Table):
    """Energy of one multiply–accumulate at a width, split so that it can be scaled to others."""

    bits: Width = Field(default=None, description="the operand width that multiply and add are for")
    multiply: Energy = Field(
        default=None, description="energy of one multiplication; scales with the product of the operand widths"
    )
    add: Energy = Field(
        default=None, description="energy of one addition; scales with the wider operand; 0 if multiply covers it"
    )
    widths: list[Width] = Field(
        default=None, min_length=2, max_length=2, description="least and largest operand width that this scales to"
    )
    modes: list[MacModeEntry] = Field(
        default=[], max_length=16, description="widths that a MAC unit works at, the first that fits being used"
    )


class DirectionEntry(Table):
    """Energies of one word for one tensor."""

    read: Energy = Field(description="energy of reading one word")
    write: Energy = Field(description="energy of writing one word")
    update: Energy = Field(
        default=None, description="energy of writing one word of partial sums; the same as write if left out"
    )


class EnergyEntry(Table):
    """Energies of one word for all tensors, for single tensors, or both; one number stands for read and write."""

    read: Energy = Field(default=None, description="energy of reading one word")
    write: Energy = Field(default=None, description="energy of writing one word")
    update: Energy = Field(
        default=None, description="energy of writing one word of partial sums; the same as write if left out"
    )
    weights: DirectionEntry = Field(default=None, description="energies for weights alone")
    inputs: DirectionEntry = Field(default=None, description="energies for inputs alone")
    outputs: DirectionEntry = Field(default=None, description="energies for outputs alone")


class PortsEntry(Table):
    """Bandwidth of the ports of one tensor; one text stands for both; a port left out is unlimited."""

    read: str = Field(default=None, description="bandwidth of the tensor's read port")
    write: str = Field(default=None, description="bandwidth of the tensor's write port")


OwnPorts = Annotated[PortsEntry, _each("read", "write", kinds=(str,))]


class BandwidthEntry(Table):
    """Bandwidth of the ports of one instance; one text stands for both; a port left out is unlimited.

    A tensor may have ports of its own; the others share the rest.
    """

    read: str = Field(default=None, description="bandwidth of the read port")
    write: str = Field(default=None, description="bandwidth of the write port")
    weights: OwnPorts = Field(default=None, description="bandwidth of ports for weights alone")
    inputs: OwnPorts = Field(default=None, description="bandwidth of ports for inputs alone")
    outputs: OwnPorts = Field(default=None, description="bandwidth of ports for outputs alone")


def _tile_limits(value: object) -> object:
    """One rule or a list of them: every one a number, ``all``, ``<= n`` or ``>= n``."""
    for one in value if isinstance(value, list) and value else [value]:
        number = isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= MAX_TILE
        match = TILE_LIMIT.fullmatch(one) if isinstance(one, str) else None
        if not number and (match is None or (match[2] and not 1 <= int(match[2]) <= MAX_TILE)):
            raise _refuse(
                f"{short(one)} is no rule for a tile",
                'Write a number (exactly so many indices), "<= 16", ">= 4", all, or a list of these.',
            )
    return value


TileLimits = Annotated[Any, AfterValidator(_tile_limits)]


class TileEntry(Table):
    """How much of each dimension the tiles of one tensor cover."""

    N: TileLimits = Field(default=None, description="batch")
    G: TileLimits = Field(default=None, description="groups")
    K: TileLimits = Field(default=None, description="output channels")
    C: TileLimits = Field(default=None, description="input channels")
    P: TileLimits = Field(default=None, description="output rows")
    Q: TileLimits = Field(default=None, description="output columns")
    R: TileLimits = Field(default=None, description="filter rows")
    S: TileLimits = Field(default=None, description="filter columns")


class TilesEntry(Table):
    """Rules for the tiles of a level, by tensor."""

    weights: TileEntry = Field(default=None, description="rules for the tiles of weights")
    inputs: TileEntry = Field(default=None, description="rules for the tiles of inputs")
    outputs: TileEntry = Field(default=None, description="rules for the tiles of outputs")


class CompressionEntry(Table):
    """How a tensor is stored without its zeros."""

    format: Annotated[str, _one_of("format", FORMATS)] = Field(
        description="rlc (run lengths), csc (compressed sparse columns) or bitmap"
    )
    run_bits: int = Field(default=None, ge=1, le=32, description="width of the number of zeros before an element")
    word_bits: int = Field(default=None, ge=1, le=65536, description="entries are packed into words of so many bits")
    address_bits: int = Field(default=None, ge=1, le=64, description="width of the address of a column")
    column: int = Field(default=None, ge=1, le=2**32, description="elements of a column, for which there is an address")
    raw: bool = Field(default=False, description="true where zeros are stored if that takes less")
    margin: float = Field(
        default=None, ge=1, le=1000, allow_inf_nan=False, description="room of a tile, as a multiple of its average size"
    )


class OperandZerosEntry(Table):
    """What zeros spare in accesses of one tensor."""

    gating: list[Tensor] = Field(default=[], description="operands whose zeros spare the energy of an access")
    skipping: list[Tensor] = Field(default=[], description="operands whose zeros spare its energy and its time")
    compression: CompressionEntry = Field(default=None, description="how it is stored without its zeros")


class LevelZerosEntry(Table):
    """What zeros spare at a level, by tensor."""

    weights: OperandZerosEntry = Field(default=None, description="in accesses of weights")
    inputs: OperandZerosEntry = Field(default=None, description="in accesses of inputs")
    outputs: OperandZerosEntry = Field(default=None, description="in accesses of outputs")


class RunAheadEntry(Table):
    """Elements that a unit works through before it waits for the others."""

    weights: int = Field(default=None, ge=1, description="weights between two waits")
    inputs: int = Field(default=None, ge=1, description="inputs between two waits")


class MacZerosEntry(Table):
    """Which zeros spare a MAC."""

    gating: list[Tensor] = Field(default=[], description="operands whose zeros spare the energy of a MAC")
    skipping: list[Tensor] = Field(default=[], description="operands whose zeros spare its energy and its time")
    units: Name = Field(default=None, description="fan-out whose positions skip on their own; the innermost if left out")
    run_ahead: RunAheadEntry = Field(
        default=None, description="elements of operands after which units wait for each other; a whole layer if left out"
    )


class LevelEntry(Table):
    """A memory."""

    level: Name = Field(description="name of the memory")
    keeps: list[Tensor] = Field(default=[], description="tensors that always live here")
    may_keep: list[Tensor] = Field(
        default=[], description="tensors that live here or pass it by, as the mapping chooses"
    )
    capacity: Any = Field(default=None, description="size of one instance; unlimited if left out")
    word_bits: int = Field(default=None, ge=1, le=65536, description="width of the word that the energies are for")
    energy: Annotated[EnergyEntry, _each("read", "write", example="a number of at least 0")] = Field(
        default=None, description="what reading and writing one word costs, where the machine's table doesn't say"
    )
    kind: Annotated[str, _one_of("kind of memory", KINDS)] = Field(
        default=None, description="kind of memory: dram, sram or regfile; energy tables price by it"
    )
    free: bool = Field(default=False, description="true where an energy is 0 and that is meant")
    extrapolate: bool = Field(default=False, description="true lets a table price it outside the range of its rule")
    bandwidth: Annotated[BandwidthEntry, _each("read", "write", kinds=(str,), example='a text with a unit like "32 B/cycle"')] = Field(
        default=None, description="bandwidth of one instance; unlimited if left out"
    )
    clock: str = Field(default=None, description="clock of the ports, if it is not that of the machine")
    block_words: int = Field(default=1, ge=1, le=65536, description="words moved by one physical access")
    buffering: int = Field(default=1, ge=1, le=2, description="2 where one half is filled while the other is in use")
    tiles: TilesEntry = Field(default=None, description="what the tiles here must cover; free if left out")
    zeros: LevelZerosEntry = Field(default=None, description="what zeros spare here; nothing if left out")
    spill: list[Tensor] = Field(
        default=[], description="tensors whose home is further in, and that come here where they don't fit there"
    )


class LatchEntry(Table):
    """One element of each of its tensors, held for nothing: what stands before it is read when an operand changes."""

    latch: Name = Field(description="name of the latch")
    keeps: list[Tensor] = Field(description="tensors of which it holds one element each")


class AxisEntry(Table):
    """One side of an array; one number stands for its size."""

    size: int = Field(ge=1, le=1_000_000, description="positions along the axis")
    dims: list[Dim] = Field(
        default=list(DIMS), min_length=1, description="dimensions that may be unrolled along it; all if left out"
    )


class EngineEntry(Table):
    """Another array in place of that of a fan-out, for layers of one kind."""

    axes: dict[Name, Annotated[AxisEntry, _each("size", kinds=(int,))]] = Field(
        min_length=1, max_length=8, description="sides of the array with their sizes"
    )
    outputs_stay_at: Name = Field(
        default=None, description="level where its results stay for the layers that read them, if they fit"
    )


class LinkEntry(Table):
    """The wires between the memory outside an array and each of its positions."""

    name: Name = Field(description="what results call it")
    energy: Energy = Field(description="energy of one word that gets to one position, or leaves it")
    word_bits: int = Field(ge=1, le=65536, description="width of the word that the energy is for")
    bandwidth: str = Field(default=None, description="bandwidth to one position, and from it; unlimited if left out")


class FanOutEntry(Table):
    """A point where the machine branches into an array."""

    fanout: Name = Field(description="what one position of the array is called")
    axes: dict[Name, Annotated[AxisEntry, _each("size", kinds=(int,))]] = Field(
        min_length=1, max_length=8, description="sides of the array with their sizes"
    )
    multicast: bool = Field(description="whether one read of the memory outside can serve many positions")
    reduction: bool = Field(description="whether partial sums of many positions are added up on their way out")
    depthwise: EngineEntry = Field(default=None, description="the array that depthwise layers run on instead")
    link: LinkEntry = Field(default=None, description="the wires to each position; not modelled if left out")


def _of_a_table(value: object) -> object:
    """The name of a built-in table in place of name and source; ``describe`` puts in the source."""
    return {"name": value, "source": ""} if isinstance(value, str) else value


class MachineEntry(Table):
    """A machine description."""

    name: Name = Field(description="what the machine is called")
    description: Text = Field(default="", description="one sentence on what it is")
    unit: Annotated[str, _one_of("unit", UNITS)] = Field(
        description="unit of every energy: pJ, or mac16 for multiples of a 16-bit MAC"
    )
    node_nm: float | None = Field(default=None, gt=0, le=100_000, allow_inf_nan=False, description="technology node")
    voltage_v: float | None = Field(default=None, gt=0, le=100, allow_inf_nan=False, description="supply voltage")
    clock: str | None = Field(default=None, description="clock frequency; without it there are cycles but no seconds")
    fastest_clock: str = Field(default=None, description="clock frequency that the machine can't exceed; any if left out")
    macs_per_dsp: int | None = Field(
        default=None, ge=1, le=1024, description="MACs that a DSP of programmable logic does in a cycle of the machine"
    )
    area_mm2: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False, description="silicon area")
    word_bits: int = Field(default=None, ge=1, le=65536, description="width of a word where a level doesn't say")
    bits: Annotated[BitsEntry, _each(*TENSORS, "psums", kinds=(int,))] = Field(
        description="widths of weights, inputs, outputs and psums where neither user nor model gives them"
    )
    table: Annotated[TableEntry, BeforeValidator(_of_a_table)] = Field(
        description="name and source of the energy table, or the name of a built-in one"
    )
    extrapolate: bool = Field(default=False, description="true lets the table price outside the ranges of its rules")
    estimated: bool = Field(
        default=False, description="true where nobody published energies of this machine, and rules stand in for them"
    )
    zeros: MacZerosEntry = Field(default=None, description="which zeros spare a MAC; none if left out")
    mac: MacEntry = Field(default=None, description="energy of a multiply–accumulate, where the table doesn't say")
    vector: Energy | None = Field(
        default=None, description="energy of one element-wise operation; not modelled if left out"
    )
    parameters: dict[Name, int | float | str] = Field(
        default={}, max_length=64, description="values for what is written as $name elsewhere"
    )
    variants: dict[Name, Any] = Field(
        default={}, max_length=64, description="named sets of parameters, chosen as MACHINE:VARIANT"
    )
    hierarchy: list[Any] = Field(min_length=1, description="levels, latches and fan-outs, outermost first")


HierarchyEntry = LevelEntry | LatchEntry | FanOutEntry


def machine_entry(data: object, origin: Origin) -> tuple[MachineEntry, tuple[HierarchyEntry, ...]]:
    """The description field by field, and its hierarchy entry by entry.

    Raises:
        HardwareError: a key unknown or missing, a value of the wrong kind or outside its limits.
    """
    machine = checked(lambda: MachineEntry.model_validate(data), (), origin)
    return machine, tuple(_hierarchy_entry(entry, i, origin) for i, entry in enumerate(machine.hierarchy))


def _hierarchy_entry(entry: object, i: int, origin: Origin) -> HierarchyEntry:
    path: FieldPath = ("hierarchy", i)
    kinds: dict[str, type[LevelEntry] | type[LatchEntry] | type[FanOutEntry]] = {
        "level": LevelEntry,
        "latch": LatchEntry,
        "fanout": FanOutEntry,
    }
    given = [kind for kind in kinds if isinstance(entry, dict) and kind in entry]
    if len(given) != 1:
        keys = [str(key) for key in entry] if isinstance(entry, dict) else []
        got = f"one with the keys {', '.join(keys[:12])}" if keys else short(entry)
        hint = (
            nearest(keys[0], kinds)
            if keys and not given
            else "Write '- level: GLB' for a memory, '- fanout: PE' for an array, '- latch: operands' for a latch."
        )
        raise HardwareError(
            f"an entry of the hierarchy is a level, a latch or a fanout; got {got}", where=origin.at(*path), hint=hint
        )
    return checked(lambda: kinds[given[0]].model_validate(entry), path, origin)


def checked(validate: Callable[[], T], path: FieldPath, origin: Origin) -> T:
    """What ``validate`` returns; pydantic's complaint becomes ours, with file, line and field.

    Raises:
        HardwareError: a key unknown or missing, a value of the wrong kind or outside its limits.
    """
    try:
        return validate()
    except ValidationError as error:
        # One error at a time, the topmost in the file: the ones below are often its consequences.
        faults = [_explain(details, path) for details in error.errors()]
        where, message, hint = min(faults, key=lambda fault: origin.line(fault[0]) or 0)
        raise HardwareError(message, where=origin.at(*where), hint=hint) from None


def _explain(details: ErrorDetails, path: FieldPath) -> tuple[FieldPath, str, str]:
    """Field, message and hint of one of pydantic's errors."""
    where = (*path, *details["loc"])
    context = details.get("ctx", {})
    if details["type"] == "picojoule":
        return (*where, context["key"]) if context["key"] else where, context["message"], context["hint"]
    if details["type"] == "missing":
        key = str(where[-1])
        meaning = _DESCRIPTIONS.get(key, "see docs/reference/energy-tables.md")
        return where[:-1], f"the key {key!r} is missing: {meaning}", f"Add {key}: … here."
    if details["type"] == "string_type" and where[-1] in ("clock", "fastest_clock"):
        hint = 'Write a number above 0 and a unit, such as "200 MHz".'
        return where, f"{short(details['input'])} is not a frequency", hint
    rule = re.sub(r"^\w+ should", "must", details["msg"].partition(",")[0])
    return where, f"{rule}, got {short(details['input'])}", ""


_DESCRIPTIONS = {
    key: field.description
    for table in (
        MachineEntry,
        BitsEntry,
        TableEntry,
        MacEntry,
        LatchEntry,
        LevelEntry,
        FanOutEntry,
        AxisEntry,
        DirectionEntry,
    )
    for key, field in table.model_fields.items()
}
