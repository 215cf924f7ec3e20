"""The machine as one layer meets it, derived anew from what a machine declares; the law is ``docs/explanation/counting.md``,
"The machine of a layer"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.verification.least import touched
from picojoule.verification.plan import Refuted
from picojoule.workload.nest import TENSORS, Bits, Nest


def whole_sizes(nest: Nest, bits: Bits) -> dict[str, int]:
    """Bits of the tensors of a nest."""
    return {tensor: touched(nest, tensor) * bits.of(tensor) for tensor in TENSORS}


def settle(machine: Accelerator, nest: Nest | None, bits: Bits, sizes: Mapping[str, int]) -> Accelerator:
    """The machine with its engine, its pace and its homes for one layer.

    Args:
        machine: as declared, tensors that stay at their place already.
        nest: the layer; None where it only moves data.
        bits: widths of its elements.
        sizes: bits of its tensors.
    """
    entries = list(machine.hierarchy)
    for i, entry in enumerate(entries):
        if isinstance(entry, FanOut) and entry.depthwise is not None and nest is not None and _one_by_one(nest):
            entries[i] = FanOut(
                name=entry.name,
                axes=entry.depthwise.axes,
                multicast=entry.multicast,
                reduction=entry.reduction,
                link=entry.link,
            )
    outermost = entries[0]
    assert isinstance(outermost, Level)
    leaving: list[str] = []
    for i, level in enumerate(entries):
        if not isinstance(level, Level):
            continue
        own = [t for t in outermost.spill if t in level.keeps and not _kept_outside(entries[1:i], t)]
        if own:
            alone = not any(t in level.may_keep or _kept_outside(entries[:i], t) for t in level.keeps + level.may_keep)
            kept = _that_fit(own, sizes, level.capacity_bits, alone)
            leaving += [t for t in own if t not in kept]
            entries[i] = _less(level, sum(sizes[t] for t in kept))
    if outermost.spill:
        entries[0] = replace(outermost, keeps=tuple(t for t in TENSORS if t in (*outermost.keeps, *leaving)), spill=())
    pace = machine.timed
    if nest is not None and machine.mac.modes:
        try:
            pace = machine.mac.cycles(bits)
        except HardwareError as error:
            raise Refuted(error.message) from None
    return replace(machine, hierarchy=tuple(entries), timed=pace, pace=pace)


def with_stays(machine: Accelerator, sizes: Mapping[str, int]) -> Accelerator:
    """The machine for a layer of which tensors stay where an engine leaves its results; ``sizes``: their bits.

    Raises:
        Refuted: no engine of the machine leaves results anywhere.
    """
    if not sizes:
        return machine
    at = stays_at(machine)
    if at is None:
        raise Refuted(f"{' and '.join(sizes)} stay on the chip, where the machine leaves nothing")
    entries: list[Level | FanOut] = []
    inside = False
    for entry in machine.hierarchy:
        if isinstance(entry, Level) and entry.name == at:
            inside = True
            entry = _less(entry, sum(sizes.values()))
        elif isinstance(entry, Level) and not inside:
            entry = replace(entry, **{k: _without(getattr(entry, k), sizes) for k in ("keeps", "may_keep", "spill")})
        entries.append(entry)
    return replace(machine, hierarchy=tuple(entries))


def stays_at(machine: Accelerator) -> str | None:
    """The level where the engine for depthwise layers leaves its results."""
    for fanout in machine.fanouts:
        if fanout.depthwise is not None:
            return fanout.depthwise.outputs_stay_at
    return None


def _one_by_one(nest: Nest) -> bool:
    return nest.G > 1 and (nest.K, nest.C) == (1, 1)


def _kept_outside(entries: Sequence[Level | FanOut], tensor: str) -> bool:
    return any(isinstance(entry, Level) and tensor in entry.keeps for entry in entries)


def _that_fit(own: Sequence[str], sizes: Mapping[str, int], capacity: int | None, alone: bool) -> list[str]:
    """Those of ``own`` that live in a memory together: all, or the smallest in half of it."""
    if capacity is None:
        return list(own)
    if sum(sizes[t] for t in own) <= (capacity if alone else capacity // 2):
        return list(own)
    # The largest goes first; of two as large, weights before inputs before outputs.
    by_size = sorted(own, key=lambda t: (sizes[t], -TENSORS.index(t)))
    for count in range(len(own) - 1, -1, -1):
        if sum(sizes[t] for t in by_size[:count]) <= capacity // 2:
            return by_size[:count]
    return []


def _less(level: Level, bits: int) -> Level:
    return level if level.capacity_bits is None else replace(level, capacity_bits=level.capacity_bits - bits)


def _without(tensors: tuple[str, ...], gone: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(t for t in tensors if t not in gone)
