"""Reads the mapping text that Timeloop prints (v0.3 and v0.4) as one of our mappings.

Such a text lists storage levels, outermost first, each with the tensors it keeps in brackets and the loops
below it; ``(Spatial-X)`` and ``(Spatial-Y)`` loops run across the array::

    shared_glb [ Inputs:11577 (11577) Outputs:38720 (38720) ]
    ---------------------------------------------------------
    |     for Q in [0:55)
    |       for M in [0:4) (Spatial-X)

Timeloop's M is our K; N C P Q R S are the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping as Table
from dataclasses import dataclass

from picojoule.errors import MappingError, nearest
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import DIMS

_HEADER = re.compile(r"([A-Za-z_]\w*)\s*\[(.*)\]$")
_KEPT = re.compile(r"([A-Za-z_]\w*)\s*:\s*\d+(?:\s*\(\d+\))?")
_LOOP = re.compile(r"for\s+(\w+)\s+in\s+\[\s*0\s*:\s*(\d{1,18})\s*(,\s*\d+\s*)?\)\s*(?:\((Spatial(?:-([XY]))?)\))?$")
_TENSORS = {"Weights": "weights", "Inputs": "inputs", "Outputs": "outputs"}
_LETTERS = {"N": "N", "G": "G", "M": "K", "C": "C", "P": "P", "Q": "Q", "R": "R", "S": "S"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    line: int
    level: str
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """``spatial`` is None for a loop in time, else the side of the array: X, Y, or "" where the text doesn't say."""

    line: int
    letter: str
    count: int
    spatial: str | None


def parse_timeloop_mapping(
    text: str,
    accelerator: Accelerator,
    *,
    level_names: Table[str, str] | None = None,
    depthwise: bool = False,
    where: str = "mapping",
) -> tuple[Mapping, dict[str, int]]:
    """The mapping in ``text``, and the size of every dimension that its loops add up to.

    A level of the text that keeps nothing (a dummy) is skipped. A spatial loop spreads over the fan-out that lies
    between the levels of ``accelerator`` above and below it: X over the axis named x, Y over y, or over the only
    axis there is.

    Args:
        text: as Timeloop prints it.
        accelerator: the machine whose levels and fan-outs the mapping names.
        level_names: Timeloop's name of a level → ours, where they differ.
        depthwise: the channel loops, over M or over C, stand for groups.
        where: the file, for messages.

    Raises:
        MappingError: names the line that is malformed, or doesn't fit the machine.
    """
    entries = _entries(text, level_names or {}, accelerator, where)
    if depthwise:
        _check_depthwise(entries, where)
    letters = {**_LETTERS, "M": "G", "C": "G"} if depthwise else _LETTERS
    dims = dict.fromkeys(DIMS, 1)
    # Timeloop knows no latches: they hold the operands of the MAC at hand.
    named = {entry.level for entry in entries if isinstance(entry, _Header)}
    latches = [level for level in accelerator.levels if level.latch and level.name not in named]
    nodes: list[Node] = [Keep(level.name, tensor) for level in reversed(latches) for tensor in reversed(level.keeps)]
    for i in reversed(range(len(entries))):
        entry = entries[i]
        if isinstance(entry, _Header):
            nodes += [Keep(entry.level, tensor) for tensor in reversed(entry.tensors)]
        elif entry.count > 1:
            dim = letters[entry.letter]
            inner = dims[dim]
            dims[dim] *= entry.count
            if entry.spatial is None:
                nodes.append(Loop(dim, inner))
            else:
                fanout, axis = _axis(entries, i, accelerator, where)
                nodes.append(Spread(dim, inner, fanout, axis))
    return Mapping(tuple(reversed(nodes))), dims


def looks_like_timeloop(text: str) -> bool:
    """Whether some line of ``text`` is a level or a loop as Timeloop prints them."""
    return any(_HEADER.match(line) or _LOOP.match(line) for line in map(_stripped, text.splitlines()))


def _stripped(line: str) -> str:
    return line.strip().removeprefix("|").strip()


def _entries(text: str, level_names: Table[str, str], accelerator: Accelerator, where: str) -> list[_Header | _Loop]:
    levels = {level.name: level for level in accelerator.levels}
    entries: list[_Header | _Loop] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line, here = _stripped(raw), f"{where}, line {number}"
        if not line or set(line) == {"-"} or re.fullmatch(r"<<\s*Compute\s*>>", line):
            continue
        if match := _HEADER.match(line):
            name, inside = match.groups()
            if _KEPT.sub("", inside).strip():
                raise MappingError(
                    f"can't read the tensors in {raw.strip()[:80]!r}",
                    where=here,
                    hint="They look like [ Inputs:928 (928) Outputs:784 (784) ].",
                )
            kept = _KEPT.findall(inside)
            for tensor in kept:
                if tensor not in _TENSORS:
                    raise MappingError(f"unknown tensor {tensor!r}", where=here, hint=nearest(tensor, _TENSORS))
            level = level_names.get(name, name)
            if level in levels:
                for tensor in kept:
                    if _TENSORS[tensor] not in levels[level].keeps + levels[level].may_keep:
                        raise MappingError(
                            f"{level} of {accelerator.name} does not hold {_TENSORS[tensor]}",
                            where=here,
                            hint=f"It holds {', '.join(levels[level].keeps + levels[level].may_keep)}.",
                        )
            elif kept:
                raise MappingError(f"no level {level!r} in {accelerator.name}", where=here, hint=nearest(level, levels))
            entries.append(_Header(line=number, level=level, tensors=tuple(_TENSORS[t] for t in kept)))
        elif match := _LOOP.match(line):
            letter, count, remainder, spatial, side = match.groups()
            if letter not in _LETTERS:
                raise MappingError(f"unknown dimension {letter!r}", where=here, hint=nearest(letter, _LETTERS))
            if remainder:
                raise MappingError(
                    f"{line!r} ends in a remainder", where=here, hint="Only exact factors can be read: for Q in [0:14)."
                )
            if int(count) < 1:
                raise MappingError(f"{line!r} never runs; a loop has at least 1 iteration", where=here)
            if not entries:
                raise MappingError(f"the loop {line!r} stands above the first level", where=here)
            direction = (side or "") if spatial else None
            entries.append(_Loop(line=number, letter=letter, count=int(count), spatial=direction))
        else:
            raise MappingError(
                f"{raw.strip()[:80]!r} is neither a level nor a loop",
                where=here,
                hint="A level looks like 'DRAM [ Weights:288 (288) ]', a loop like '| for Q in [0:14) (Spatial-X)'.",
            )
    if not entries:
        raise MappingError("the mapping is empty", where=where)
    return entries


def _check_depthwise(entries: list[_Header | _Loop], where: str) -> None:
    sizes = {m: math.prod(e.count for e in entries if isinstance(e, _Loop) and e.letter == m) for m in "MCG"}
    if sum(size > 1 for size in sizes.values()) > 1:
        raise MappingError(
            f"a depthwise layer has its channels on M or on C, the loops have M {sizes['M']} and C {sizes['C']}",
            where=where,
        )


def _axis(entries: list[_Header | _Loop], i: int, accelerator: Accelerator, where: str) -> tuple[str, str]:
    """Fan-out and axis of the spatial loop that is entry ``i``."""
    loop = entries[i]
    assert isinstance(loop, _Loop)
    levels = {level.name for level in accelerator.levels}
    above = [e.level for e in entries[:i] if isinstance(e, _Header) and e.level in levels]
    below = [e.level for e in entries[i:] if isinstance(e, _Header) and e.level in levels]
    here = f"{where}, line {loop.line}"
    if not above:
        raise MappingError("a spatial loop stands above the first level that the machine has", where=here)
    inside = accelerator.fanouts_outside(below[0] if below else None)
    between = inside - accelerator.fanouts_outside(above[-1])
    places = [(f.name, axis.name) for f in accelerator.fanouts if f.name in between for axis in f.axes]
    if not places:
        raise MappingError(
            f"{accelerator.name} has no fan-out between {above[-1]} and {below[0] if below else 'the MACs'}",
            where=here,
            hint=f"It has {', '.join(f.name for f in accelerator.fanouts) or 'none'}.",
        )
    side = (loop.spatial or "X").lower()
    named = [place for place in places if place[1] == side]
    if named:
        return named[0]
    return places[0] if side == "x" else places[-1]
