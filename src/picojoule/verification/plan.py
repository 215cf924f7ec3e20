"""The mapping of a result, read from its plain data and held against the rules of ``docs/explanation/counting.md``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from picojoule.hardware.accelerator import Accelerator, Axis
from picojoule.verification.chunks import Cut, Part, indices, shapes, sums
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

MAX_SIZE = 2**32
MAX_WINDOW = 2**17
MAX_MACS = 2**100
MAX_NODES = 1000
"""What a re-count takes on: sizes of a dimension and of a row or column of the input, MACs, nodes of a mapping."""


class Refuted(Exception):
    """Something in a result is wrong; the message says what, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A mapping in two readings: what cuts each dimension, and where each tensor is kept.

    Attributes:
        cuts: by loop letter, outermost first.
        path: by tensor, (level, place of the keep in the mapping), outermost first; the MACs come after the last.
    """

    cuts: dict[str, tuple[Cut, ...]]
    path: dict[str, tuple[tuple[str, int], ...]]

    @property
    def loops(self) -> list[Cut]:
        """All loops in time, outermost first."""
        return sorted((c for cuts in self.cuts.values() for c in cuts if c.fanout is None), key=lambda c: c.place)

    @property
    def spreads(self) -> list[Cut]:
        """All loops over array positions, outermost first."""
        return sorted((c for cuts in self.cuts.values() for c in cuts if c.fanout is not None), key=lambda c: c.place)


def legal_plan(mapping: list[dict[str, Any]], nest: Nest, machine: Accelerator, bits: Bits) -> Plan:
    """Reads a mapping and checks every rule for it.

    Raises:
        Refuted: names the first rule that is broken.
    """
    check_sizes(nest)
    plan = _read(mapping, nest)
    _check_keeps(plan, machine)
    _check_arrays(plan, machine)
    _check_room(plan, nest, machine, bits)
    _check_tiles(plan, nest, machine)
    return plan


def check_sizes(nest: Nest) -> None:
    """Raises ``Refuted`` if the nest is larger than a re-count takes on."""
    for dim, size in nest.dims.items():
        if size > MAX_SIZE:
            raise Refuted(f"{dim} = {size} is larger than a re-count takes on ({MAX_SIZE})")
    for axis in ("rows", "columns"):
        outputs, taps, stride, dilation, _, _ = nest.window(axis)
        reach = (outputs - 1) * stride + (taps - 1) * dilation + 1
        if max(reach, outputs * taps // 32) > MAX_WINDOW:
            raise Refuted(f"inputs of {reach} {axis} are larger than a re-count takes on ({MAX_WINDOW})")
    if nest.macs > MAX_MACS:
        raise Refuted(f"{nest.macs} MACs are more than a re-count takes on ({MAX_MACS})")


def _read(mapping: list[dict[str, Any]], nest: Nest) -> Plan:
    if len(mapping) > MAX_NODES:
        raise Refuted(f"a mapping of {len(mapping)} nodes is longer than a re-count takes on ({MAX_NODES})")
    cuts: dict[str, list[Cut]] = {d: [] for d in DIMS}
    path: dict[str, list[tuple[str, int]]] = {t: [] for t in TENSORS}
    left = dict(nest.dims)
    for place, node in enumerate(mapping):
        if set(node) == {"keep", "at"}:
            if node["keep"] not in TENSORS or not isinstance(node["at"], str):
                raise Refuted(f"node {place} keeps {node['keep']!r} at {node['at']!r}")
            path[node["keep"]].append((node["at"], place))
            continue
        cut = _cut(place, node)
        if cut.tile > left[cut.dim]:
            raise Refuted(f"node {place} cuts {left[cut.dim]} of {cut.dim} into chunks of {cut.tile}")
        count = -(-left[cut.dim] // cut.tile)
        if cut.count != count:
            raise Refuted(
                f"node {place} says {cut.count} chunks, {left[cut.dim]} of {cut.dim} in {cut.tile}s is {count}"
            )
        left[cut.dim] = cut.tile
        cuts[cut.dim].append(cut)
    for dim, size in left.items():
        if size != 1:
            raise Refuted(f"{dim} ends in chunks of {size}, a MAC takes one index")
    return Plan(cuts={d: tuple(c) for d, c in cuts.items()}, path={t: tuple(p) for t, p in path.items()})


def _cut(place: int, node: dict[str, Any]) -> Cut:
    if set(node) == {"for", "tile", "count"}:
        dim, fanout, axis = node["for"], None, None
    elif set(node) == {"spread", "tile", "count", "fanout", "axis"}:
        dim, fanout, axis = node["spread"], node["fanout"], node["axis"]
        if not isinstance(fanout, str) or not isinstance(axis, str):
            raise Refuted(f"node {place} spreads over {fanout!r}, {axis!r}")
    else:
        raise Refuted(f"node {place} has the keys {sorted(node)}")
    if dim not in DIMS:
        raise Refuted(f"node {place} cuts an unknown dimension {dim!r}")
    for key in ("tile", "count"):
        if type(node[key]) is not int or node[key] < 1:
            raise Refuted(f"node {place} has {key} {node[key]!r}")
    return Cut(place, dim, node["tile"], node["count"], fanout, axis)


def _check_keeps(plan: Plan, machine: Accelerator) -> None:
    order = {level.name: i for i, level in enumerate(machine.levels)}
    first_cut = min((c.place for cuts in plan.cuts.values() for c in cuts if c.count > 1), default=math.inf)
    for tensor, path in plan.path.items():
        names = [name for name, _ in path]
        for name in names:
            if name not in order:
                raise Refuted(f"{tensor} are kept at {name!r}, which the machine doesn't have")
            if tensor not in machine.level(name).keeps + machine.level(name).may_keep:
                raise Refuted(f"{tensor} are kept at {name}, which doesn't hold them")
        if any(order[a] >= order[b] for a, b in zip(names, names[1:], strict=False)):
            raise Refuted(f"{tensor} are kept at {', '.join(names)}: twice, or an inner level outside an outer one")
        missing = [level.name for level in machine.levels if tensor in level.keeps and level.name not in names]
        if missing:
            raise Refuted(f"{tensor} are not kept at {missing[0]}, which always keeps them")
        if names[0] != machine.home(tensor).name or path[0][1] > first_cut:
            raise Refuted(f"the home of {tensor} doesn't stand on top of the nest")


def _check_arrays(plan: Plan, machine: Accelerator) -> None:
    axes: dict[tuple[str | None, str | None], Axis] = {(f.name, a.name): a for f in machine.fanouts for a in f.axes}
    used = dict.fromkeys(axes, 1)
    for cut in plan.spreads:
        key = cut.fanout, cut.axis
        if key not in axes:
            raise Refuted(f"node {cut.place} spreads over {cut.fanout}.{cut.axis}, which the machine doesn't have")
        if cut.dim not in axes[key].dims:
            allowed = ", ".join(axes[key].dims)
            raise Refuted(f"node {cut.place} spreads {cut.dim} over {cut.fanout}.{cut.axis}, which takes {allowed}")
        used[key] *= cut.count
    for (fanout, axis), count in used.items():
        if count > axes[fanout, axis].size:
            raise Refuted(f"{fanout}.{axis} has {axes[fanout, axis].size} positions, the mapping spreads over {count}")


def _check_room(plan: Plan, nest: Nest, machine: Accelerator, bits: Bits) -> None:
    for level in machine.levels:
        if level.latch:
            for tensor, path in plan.path.items():
                for name, place in path:
                    if name == level.name and (n := tile_elements(plan, nest, machine, tensor, name, place)) > 1:
                        raise Refuted(f"the latch {name} holds one element of {tensor}, the tile has {n}")
        if level.usable_bits is None:
            continue
        need = 0
        for tensor, path in plan.path.items():
            for name, place in path[1:]:
                if name == level.name:
                    room = level.tile_bits(tensor, bits)
                    need += tile_elements(plan, nest, machine, tensor, name, place) * room
        if need > level.usable_bits:
            raise Refuted(f"the tiles in {level.name} take {need} bits, it has {level.usable_bits}")


def _check_tiles(plan: Plan, nest: Nest, machine: Accelerator) -> None:
    """The rules that levels have for their tiles.

    A keep is as good as anywhere else between the two loops that move its tile.
    """
    for level in machine.levels:
        for rule in level.tiles:
            place = dict(plan.path[rule.tensor]).get(level.name)
            if place is None:
                continue
            moving = [loop.place for loop in plan.loops if loop.dim in RELEVANT[rule.tensor] and loop.count > 1]
            up = max((p for p in moving if p < place), default=-1)
            down = min((p for p in moving if p > place), default=MAX_NODES)
            most, least = (_reach(plan, nest, machine, level.name, rule.dim, p) for p in (up + 1, down))
            whole = _reach(plan, nest, machine, level.name, rule.dim, 0)
            short = most < (whole if rule.all else min(whole, rule.least or 0))
            if short or (rule.most or whole) < least:
                got = most if short else least
                raise Refuted(f"the tile of {rule.tensor} in {level.name} has {got} of {rule.dim}, the rule is {rule}")


def _reach(plan: Plan, nest: Nest, machine: Accelerator, level: str, dim: str, place: int) -> int:
    """Indices of a dimension that one instance of a level meets below a place of the mapping, before any is cut off."""
    outside = machine.fanouts_outside(level)

    def part(cut: Cut) -> Part:
        fixed = cut.place < place if cut.fanout is None else cut.fanout in outside
        return Part.FIRST if fixed else Part.UNITED

    return indices(plan.cuts[dim], getattr(nest, dim), part)


def tile_elements(plan: Plan, nest: Nest, machine: Accelerator, tensor: str, level: str, place: int) -> int:
    """Elements of the largest tile of ``tensor`` that one instance of ``level`` holds, padding included."""
    outside = machine.fanouts_outside(level)

    def part(cut: Cut) -> Part:
        fixed = cut.place < place if cut.fanout is None else cut.fanout in outside
        return Part.FIRST if fixed else Part.UNITED

    windows = ("P", "Q", "R", "S") if tensor == "inputs" else ()
    elements = math.prod(indices(plan.cuts[d], getattr(nest, d), part) for d in RELEVANT[tensor] if d not in windows)
    if tensor == "inputs":
        for outer, inner, axis in (("P", "R", "rows"), ("Q", "S", "columns")):
            outputs, taps, stride, dilation, _, _ = nest.window(axis)
            elements *= sums(
                shapes(plan.cuts[outer], outputs, part, stride)[()], shapes(plan.cuts[inner], taps, part, dilation)[()]
            ).bit_count()
    return elements
