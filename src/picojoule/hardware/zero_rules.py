"""What a description says about zeros, read and held against the rest of the machine.

An access that serves several MACs can't be spared because one of them has a zero: operands may mind each other's zeros only at
the level that feeds the MACs, one access a MAC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.errors import HardwareError, nearest
from picojoule.hardware.accelerator import Accelerator, Compression, Level, ZeroRule
from picojoule.hardware.document import FieldPath, Origin
from picojoule.hardware.schema import (
    CompressionEntry,
    FanOutEntry,
    HierarchyEntry,
    LatchEntry,
    LevelEntry,
    MachineEntry,
)
from picojoule.workload.nest import RELEVANT, TENSORS

OPERANDS = ("weights", "inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class MacZeros:
    """What an ``Accelerator`` says of the MACs, field by field."""

    gating: tuple[str, ...] = ()
    skipping: tuple[str, ...] = ()
    units: str | None = None
    run_ahead: tuple[tuple[str, int], ...] = ()


def mac_zeros(machine: MachineEntry, entries: Sequence[HierarchyEntry], origin: Origin) -> MacZeros:
    """Which zeros spare a MAC, and how far units that skip run ahead of each other.

    Raises:
        HardwareError: operands that there aren't, or units of a machine that skips nothing.
    """
    given = machine.zeros
    if given is None:
        return MacZeros()
    gating, skipping = (_operands(getattr(given, k), origin.at("zeros", k)) for k in ("gating", "skipping"))
    _check_once(gating, skipping, origin.at("zeros"))
    for key in ("units", "run_ahead"):
        if key in given.model_fields_set and not skipping:
            raise HardwareError(
                f"{key} without skipping: units that skip nothing are in step anyway",
                where=origin.at("zeros", key),
                hint="Add skipping: … beside it, or leave it out.",
            )
    names = [entry.fanout for entry in entries if isinstance(entry, FanOutEntry)]
    if given.units is not None and given.units not in names:
        where = origin.at("zeros", "units")
        hint = nearest(given.units, names) if names else "This machine has no fan-outs, so leave units out."
        raise HardwareError(f"no fan-out is called {given.units!r}", where=where, hint=hint)
    ahead = given.run_ahead.model_dump(exclude_none=True) if given.run_ahead else {}
    for tensor in ahead:
        if tensor not in skipping:
            raise HardwareError(
                f"run_ahead of {tensor}, whose zeros skip nothing",
                where=origin.at("zeros", "run_ahead", tensor),
                hint=f"Skipped are zeros in {' and '.join(skipping)}.",
            )
    return MacZeros(gating=gating, skipping=skipping, units=given.units, run_ahead=tuple(sorted(ahead.items())))


def mac_zeros_data(machine: Accelerator) -> dict[str, object]:
    """The same as plain data; empty where no zero spares a MAC."""
    data: dict[str, object] = {k: list(getattr(machine, k)) for k in ("gating", "skipping") if getattr(machine, k)}
    if machine.units is not None:
        data["units"] = machine.units
    if machine.run_ahead:
        data["run_ahead"] = dict(machine.run_ahead)
    return data


def level_zeros(
    entries: Sequence[HierarchyEntry], index: int, path: FieldPath, machine: MachineEntry, origin: Origin
) -> tuple[ZeroRule, ...]:
    """The rules of the level ``entries[index]``, by tensor.

    Raises:
        HardwareError: about a tensor that it doesn't hold, or that can't be as the machine is.
    """
    entry = entries[index]
    assert isinstance(entry, LevelEntry)
    rules = []
    for tensor in (t for t in TENSORS if entry.zeros and t in entry.zeros.model_fields_set):
        where = origin.at(*path, "zeros", tensor)
        given = getattr(entry.zeros, tensor)
        if tensor not in _held(entry):
            hint = f"It holds {', '.join(_held(entry))}."
            message = f"zeros of {tensor}, which the level {entry.level!r} does not hold"
            raise HardwareError(message, where=where, hint=hint)
        gating, skipping = (
            _operands(getattr(given, k), origin.at(*path, "zeros", tensor, k)) for k in ("gating", "skipping")
        )
        _check_once(gating, skipping, where)
        if others := [t for t in gating + skipping if t != tensor]:
            _check_feeds_macs(entries, index, tensor, others, where)
        if missing := [t for t in skipping if machine.zeros is None or t not in machine.zeros.skipping]:
            raise HardwareError(
                f"zeros in {missing[0]} skip accesses of {tensor}, but no MAC",
                where=where,
                hint=f"Add {missing[0]} to skipping under zeros: at the top, or gate the access.",
            )
        compression = None
        if given.compression is not None:
            compression = _compression(given.compression, origin.at(*path, "zeros", tensor, "compression"))
            if tensor in gating + skipping:
                raise HardwareError(
                    f"{tensor} are compressed, so that their own zeros are not there to be gated or skipped",
                    where=where,
                    hint=f"Take {tensor} out of gating and skipping here, or leave out the compression.",
                )
            if tensor == "outputs" and not _is_home(entries, index, tensor):
                raise HardwareError(
                    f"outputs are partial sums in {entry.level!r}, which are compressed nowhere",
                    where=where,
                    hint="Compress them at their home, where they are finished.",
                )
        if gating or skipping or compression:
            rules.append(ZeroRule(tensor=tensor, gating=gating, skipping=skipping, compression=compression))
    return tuple(rules)


def level_zeros_data(level: Level) -> dict[str, dict[str, object]]:
    """The rules of a level as plain data; the inverse of ``level_zeros``."""
    data: dict[str, dict[str, object]] = {}
    for rule in level.zeros:
        data[rule.tensor] = {k: list(getattr(rule, k)) for k in ("gating", "skipping") if getattr(rule, k)}
        if rule.compression is not None:
            data[rule.tensor]["compression"] = _compression_data(rule.compression)
    return data


def _compression_data(compression: Compression) -> dict[str, object]:
    data: dict[str, object] = {"format": compression.format}
    if compression.index_bits:
        data["run_bits"] = compression.index_bits
    if compression.word_bits is not None:
        data["word_bits"] = compression.word_bits
    if compression.address_bits:
        data |= {"address_bits": compression.address_bits, "column": compression.column}
    if compression.raw:
        data["raw"] = True
    if compression.margin is not None:
        data["margin"] = compression.margin
    return data


def _compression(entry: CompressionEntry, where: str) -> Compression:
    """A format with the keys that belong to it and no others."""
    own = {
        "rlc": ("run_bits", "word_bits"),
        "csc": ("run_bits", "word_bits", "address_bits", "column"),
        "bitmap": (),
    }[entry.format]
    for key in ("run_bits", "word_bits", "address_bits", "column"):
        if key in entry.model_fields_set and key not in own:
            hint = f"It takes {', '.join((*own, 'raw', 'margin'))}."
            raise HardwareError(f"{entry.format} has no {key}", where=where, hint=hint)
    if own and entry.run_bits is None:
        raise HardwareError(
            f"{entry.format} has no run_bits: the width of the number of zeros before an element",
            where=where,
            hint="Add run_bits: … here.",
        )
    if (entry.address_bits is None) != (entry.column is None):
        raise HardwareError(
            "address_bits and column belong together: every so many elements there is an address",
            where=where,
            hint="Give both or neither.",
        )
    return Compression(
        format=entry.format,
        index_bits=entry.run_bits or 0,
        word_bits=entry.word_bits,
        address_bits=entry.address_bits or 0,
        column=entry.column or 1,
        raw=entry.raw,
        margin=entry.margin,
    )


def _operands(tensors: list[str], where: str) -> tuple[str, ...]:
    for tensor in tensors:
        if tensor not in OPERANDS:
            raise HardwareError(
                f"zeros in {tensor} spare nothing: they are there only when the MACs are done",
                where=where,
                hint=f"Allowed: {', '.join(OPERANDS)}.",
            )
        if tensors.count(tensor) > 1:
            raise HardwareError(f"{tensor} stand there twice", where=where, hint="Name each once.")
    return tuple(t for t in OPERANDS if t in tensors)


def _check_once(gating: Sequence[str], skipping: Sequence[str], where: str) -> None:
    for tensor in gating:
        if tensor in skipping:
            raise HardwareError(
                f"zeros in {tensor} both gate and skip",
                where=where,
                hint="Skipping spares time and energy, gating energy alone: name one.",
            )


def _check_feeds_macs(
    entries: Sequence[HierarchyEntry], index: int, tensor: str, others: Sequence[str], where: str
) -> None:
    level = entries[index]
    assert isinstance(level, LevelEntry)
    for inner in entries[index + 1 :]:
        if isinstance(inner, FanOutEntry):
            shared = [d for axis in inner.axes.values() if axis.size > 1 for d in axis.dims if d not in RELEVANT[tensor]]
            if shared:
                raise HardwareError(
                    f"zeros in {others[0]} can't spare an access of {tensor} in {level.level!r}: along {shared[0]} it serves "
                    f"several {inner.fanout}s at once",
                    where=where,
                    hint=f"Gate where each MAC has an access of its own, or restrict the dims of {inner.fanout!r}.",
                )
        elif tensor in _held(inner):
            name = inner.latch if isinstance(inner, LatchEntry) else inner.level
            raise HardwareError(
                f"zeros in {others[0]} can't spare an access of {tensor} in {level.level!r}: {name!r} stands before the MACs",
                where=where,
                hint=f"Gate {tensor} in {name!r}." if isinstance(inner, LevelEntry) else "Take the latch out.",
            )
    if tensor == "outputs" and _is_home(entries, index, tensor):
        raise HardwareError(
            f"{level.level!r} is where outputs end: a MAC with a zero can't leave out its last update",
            where=where,
            hint="Gate them at a level further in.",
        )


def _is_home(entries: Sequence[HierarchyEntry], index: int, tensor: str) -> bool:
    return not any(isinstance(e, LevelEntry) and tensor in e.keeps for e in entries[:index])


def _held(entry: LevelEntry | LatchEntry) -> list[str]:
    return entry.keeps if isinstance(entry, LatchEntry) else entry.keeps + entry.may_keep
