"""Fan-outs of a description: their axes, the engine that takes other layers, and the links to their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from picojoule.errors import HardwareError, nearest
from picojoule.hardware.accelerator import Axis, Engine, FanOut, Level, Link
from picojoule.hardware.document import FieldPath, Origin
from picojoule.hardware.quantities import parse_bits_per_cycle
from picojoule.hardware.schema import AxisEntry, FanOutEntry, HierarchyEntry, LatchEntry, LevelEntry
from picojoule.workload.nest import TENSORS


def fanout(
    entries: Sequence[HierarchyEntry], index: int, clock_hz: float | None, path: FieldPath, origin: Origin
) -> FanOut:
    """The fan-out ``entries[index]``.

    Raises:
        HardwareError: its engine keeps results where they can't stay, or its link has no memory behind it.
    """
    entry = entries[index]
    assert isinstance(entry, FanOutEntry)
    engine = link = None
    if entry.depthwise is not None:
        stays = entry.depthwise.outputs_stay_at
        if stays is not None:
            _check_stay(stays, entries, index, origin.at(*path, "depthwise", "outputs_stay_at"))
        engine = Engine(axes=_axes(entry.depthwise.axes), outputs_stay_at=stays)
    if entry.link is not None:
        _check_link(entries, index, origin.at(*path, "link"))
        rate = None
        if entry.link.bandwidth is not None:
            where = origin.at(*path, "link", "bandwidth")
            rate = parse_bits_per_cycle(entry.link.bandwidth, entry.link.word_bits, clock_hz, 1.0, where)
        price = entry.link.energy / entry.link.word_bits
        link = Link(name=entry.link.name, energy_per_bit=price, bits_per_cycle=rate)
    return FanOut(
        name=entry.fanout,
        axes=_axes(entry.axes),
        multicast=entry.multicast,
        reduction=entry.reduction,
        depthwise=engine,
        link=link,
    )


def fanout_data(array: FanOut) -> dict[str, object]:
    """The fan-out as plain data, with the keys of the YAML."""
    data: dict[str, object] = {
        "fanout": array.name,
        "axes": _axes_data(array.axes),
        "multicast": array.multicast,
        "reduction": array.reduction,
    }
    if array.depthwise is not None:
        engine: dict[str, object] = {"axes": _axes_data(array.depthwise.axes)}
        if array.depthwise.outputs_stay_at is not None:
            engine["outputs_stay_at"] = array.depthwise.outputs_stay_at
        data["depthwise"] = engine
    if array.link is not None:
        link: dict[str, object] = {"name": array.link.name, "energy": array.link.energy_per_bit, "word_bits": 1}
        if array.link.bits_per_cycle is not None:
            link["bandwidth"] = f"{float(array.link.bits_per_cycle)!r} bit/cycle"
        data["link"] = link
    return data


def links_behind(hierarchy: Sequence[Level | FanOut]) -> list[Link | None]:
    """For every entry the link over which it is filled; None for what no link leads to."""
    links: list[Link | None] = []
    link = None
    for entry in hierarchy:
        link = entry.link if isinstance(entry, FanOut) else link
        links.append(link if isinstance(entry, Level) else None)
    return links


def _axes(entries: Mapping[str, AxisEntry]) -> tuple[Axis, ...]:
    return tuple(Axis(name=name, size=axis.size, dims=tuple(axis.dims)) for name, axis in entries.items())


def _axes_data(axes: Sequence[Axis]) -> dict[str, object]:
    return {axis.name: {"size": axis.size, "dims": list(axis.dims)} for axis in axes}


def _check_stay(name: str, entries: Sequence[HierarchyEntry], index: int, where: str) -> None:
    """Results can stay in a memory of which there is one, and in which inputs and outputs live for a while anyway."""
    levels = {entry.level: i for i, entry in enumerate(entries) if isinstance(entry, LevelEntry)}
    if name not in levels:
        raise HardwareError(f"no level is called {name!r}", where=where, hint=nearest(name, levels))
    at = levels[name]
    entry = entries[at]
    assert isinstance(entry, LevelEntry)
    if any(isinstance(other, FanOutEntry) for other in entries[:at]) or at > index:
        raise HardwareError(
            f"results can't stay at {name!r}: there are several of it, one for each position of an array",
            where=where,
            hint="Name a level outside every fan-out.",
        )
    missing = [t for t in ("inputs", "outputs") if t not in entry.keeps]
    if missing or entry.capacity is None:
        lacks = f"keeps no {' and '.join(missing)}" if missing else "has no capacity"
        raise HardwareError(
            f"results can't stay at {name!r}: it {lacks}",
            where=where,
            hint="The level has a capacity and keeps inputs and outputs, so that the next layer finds them there.",
        )


def _check_link(entries: Sequence[HierarchyEntry], index: int, where: str) -> None:
    """Every tensor must come to rest between the link and the next array: what fills that memory crosses the link."""
    for tensor in TENSORS:
        for entry in entries[index + 1 :]:
            if isinstance(entry, FanOutEntry) or (isinstance(entry, LatchEntry) and tensor in entry.keeps):
                break
            if isinstance(entry, LevelEntry) and tensor in entry.keeps:
                break
        else:
            entry = None
        if not (isinstance(entry, LevelEntry) and tensor in entry.keeps):
            raise HardwareError(
                f"no memory right behind the link keeps {tensor}",
                where=where,
                hint=f"What crosses a link is counted where it is stored: let a level between this fan-out and the next "
                f"keep {tensor}, or leave the link out.",
            )
