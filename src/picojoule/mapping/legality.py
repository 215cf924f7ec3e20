"""Whether a mapping can run on a machine: every rule by name, with the numbers that break it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from picojoule.errors import MappingError, nearest
from picojoule.hardware.accelerator import Accelerator, Level, TileRule
from picojoule.mapping.indices import Cut, Cuts, cut_dimensions, keep_positions
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest


def check_legal(
    nest: Nest, accelerator: Accelerator, mapping: Mapping, bits: Bits | None = None, *, where: str = "mapping"
) -> None:
    """Raises MappingError naming the first rule of ``docs/explanation/counting.md`` that the mapping breaks."""
    _check_names(accelerator, mapping, where)
    _check_loops_end(nest, mapping, where)
    _check_keeps(accelerator, mapping, where)
    _check_axes(nest, accelerator, mapping, where)
    bits = bits or accelerator.bits
    tiles = tile_bits(nest, accelerator, mapping, bits)
    for level in accelerator.levels:
        if level.latch:
            _check_latch(level, {t: tiles[level.name, t] // bits.stored(t) for t in level.keeps}, where)
        limit = level.usable_bits
        if limit is None:
            continue
        held = {
            t: tiles[level.name, t]
            for t in TENSORS
            if (level.name, t) in tiles and not _is_home(accelerator, mapping, level.name, t)
        }
        if sum(held.values()) > limit:
            parts = " + ".join(f"{t} {b}" for t, b in held.items())
            raise MappingError(f"{level.name} holds {limit} bits, the tiles need {parts} bits", where=where)
    for level, rule, covered, there in broken_rules(nest, accelerator, mapping):
        raise MappingError(
            f"{level.name} wants {rule} in its tiles of {rule.tensor}, the mapping has {covered} of {there}",
            where=where,
            hint=f"Move the keep of {rule.tensor} across loops over {rule.dim}, or cut them otherwise.",
        )


def broken_rules(
    nest: Nest, accelerator: Accelerator, mapping: Mapping
) -> Iterator[tuple[Level, TileRule, int, int]]:
    """Every rule for tiles that the mapping breaks, with the indices that the tile covers and those that it could."""
    if not any(level.tiles for level in accelerator.levels):
        return
    cuts, places = cut_dimensions(nest, mapping), keep_positions(mapping)
    for level in accelerator.levels:
        outside = accelerator.fanouts_outside(level.name)
        for rule in level.tiles:
            if (level.name, rule.tensor) not in places:
                continue
            above, below = _stays_through(cuts, rule.tensor, places[level.name, rule.tensor])
            narrow, wide, there = (_covered(cuts[rule.dim], limit, outside) for limit in (below, above, 0))
            wanted = there if rule.all else min(rule.least or 1, there)
            if wide < wanted:
                yield level, rule, wide, there
            elif rule.most is not None and narrow > rule.most:
                yield level, rule, narrow, there


def _stays_through(cuts: dict[str, Cuts], tensor: str, place: int) -> tuple[float, float]:
    """Between which places of the mapping a keep may be moved without any loop that moves its tile coming across."""
    moving = [c.position for d in RELEVANT[tensor] for c in cuts[d].cuts if isinstance(c.node, Loop)]
    above = max((position + 1 for position in moving if position < place), default=0)
    return above, min((position for position in moving if position > place), default=math.inf)


def _covered(cuts: Cuts, place: float, outside: frozenset[str]) -> int:
    """Indices in the first chunk below ``place`` for one position of the fan-outs outside."""

    def fixed(cut: Cut) -> bool:
        if isinstance(cut.node, Spread):
            return cut.node.fanout in outside
        return cut.position < place

    return int(cuts.first(fixed).sum())


def _check_latch(level: Level, elements: dict[str, int], where: str) -> None:
    for tensor, count in elements.items():
        if count > 1:
            raise MappingError(
                f"the latch {level.name} holds one element of {tensor}, the tile has {count}",
                where=where,
                hint=f"Keep {tensor} there inside the loops over {', '.join(RELEVANT[tensor])}.",
            )


def tile_bits(
    nest: Nest, accelerator: Accelerator, mapping: Mapping, bits: Bits | None = None
) -> dict[tuple[str, str], int]:
    """Space in bits that every ``(level, tensor)`` needs in one instance for its first, unclipped visit."""
    bits = bits or accelerator.bits
    cuts = cut_dimensions(nest, mapping)
    result = {}
    for (level, tensor), place in keep_positions(mapping).items():
        outside = accelerator.fanouts_outside(level)

        def fixed(cut: Cut, place: int = place, outside: frozenset[str] = outside) -> bool:
            if isinstance(cut.node, Spread):
                return cut.node.fanout in outside
            return cut.position < place

        room = accelerator.level(level).tile_bits(tensor, bits)
        result[level, tensor] = _tile_elements(nest, cuts, tensor, fixed) * room
    return result


def _tile_elements(nest: Nest, cuts: dict[str, Cuts], tensor: str, fixed: object) -> int:
    def extent(dim: str) -> int:
        return int(cuts[dim].first(fixed).sum())  # type: ignore[arg-type]

    if tensor == "weights":
        return math.prod(extent(d) for d in "GKCRS")
    if tensor == "outputs":
        return math.prod(extent(d) for d in "NGKPQ")
    elements = math.prod(extent(d) for d in "NGC")
    for outer, inner, axis in (("P", "R", "rows"), ("Q", "S", "columns")):
        elements *= _window_extent(nest, cuts[outer], cuts[inner], axis, fixed)
    return elements


def _window_extent(nest: Nest, outer: Cuts, inner: Cuts, axis: str, fixed: object) -> int:
    """Most rows (columns) that one tile touches. The first visit may lie in the padding, so its neighbours count,
    too."""
    _, _, stride, dilation, _, _ = nest.window(axis)
    first = outer.positions[outer.first(fixed)]  # type: ignore[arg-type]
    taps = inner.positions[inner.first(fixed)]  # type: ignore[arg-type]
    return len({int(p) * stride + int(r) * dilation for p in first for r in taps})


def _is_home(accelerator: Accelerator, mapping: Mapping, level: str, tensor: str) -> bool:
    return accelerator.home(tensor).name == level


def _check_names(accelerator: Accelerator, mapping: Mapping, where: str) -> None:
    levels = {level.name: level for level in accelerator.levels}
    fanouts = {fanout.name: fanout for fanout in accelerator.fanouts}
    for i, node in enumerate(mapping.nodes):
        here = f"{where}[{i}]"
        if isinstance(node, Keep):
            if node.level not in levels:
                raise MappingError(
                    f"no level {node.level!r} in {accelerator.name}", where=here, hint=nearest(node.level, levels)
                )
            level = levels[node.level]
            if node.tensor not in level.keeps + level.may_keep:
                raise MappingError(
                    f"{node.level} does not hold {node.tensor}",
                    where=here,
                    hint=f"It holds {', '.join(level.keeps + level.may_keep)}.",
                )
        elif isinstance(node, Spread):
            if node.fanout not in fanouts:
                raise MappingError(
                    f"no fan-out {node.fanout!r} in {accelerator.name}", where=here, hint=nearest(node.fanout, fanouts)
                )
            axes = {axis.name: axis for axis in fanouts[node.fanout].axes}
            if node.axis not in axes:
                raise MappingError(f"no axis {node.axis!r} in {node.fanout}", where=here, hint=nearest(node.axis, axes))
            if node.dim not in axes[node.axis].dims:
                raise MappingError(
                    f"{node.dim} may not be unrolled along {node.fanout}.{node.axis}",
                    where=here,
                    hint=f"Allowed: {', '.join(axes[node.axis].dims)}.",
                )


def _check_loops_end(nest: Nest, mapping: Mapping, where: str) -> None:
    extent = nest.dims
    for i, node in enumerate(mapping.nodes):
        if isinstance(node, Loop | Spread):
            if node.tile > extent[node.dim]:
                raise MappingError(
                    f"the tile of {node.dim} grows from {extent[node.dim]} to {node.tile}", where=f"{where}[{i}]"
                )
            extent[node.dim] = node.tile
    for dim in DIMS:
        if extent[dim] != 1:
            raise MappingError(
                f"{dim} ends in chunks of {extent[dim]}, a MAC takes one index",
                where=where,
                hint=f"Add a loop over {dim} with tile 1.",
            )


def _check_keeps(accelerator: Accelerator, mapping: Mapping, where: str) -> None:
    seen: dict[tuple[str, str], int] = {}
    for i, node in enumerate(mapping.nodes):
        if isinstance(node, Keep):
            if (node.level, node.tensor) in seen:
                raise MappingError(f"{node.tensor} is kept at {node.level} twice", where=f"{where}[{i}]")
            seen[node.level, node.tensor] = i
    for tensor in TENSORS:
        for level in accelerator.levels:
            if tensor in level.keeps and (level.name, tensor) not in seen:
                raise MappingError(f"{tensor} is not kept at {level.name}, which always holds it", where=where)
        order = [seen[level.name, tensor] for level in accelerator.levels if (level.name, tensor) in seen]
        if order != sorted(order):
            raise MappingError(f"{tensor} is kept at an inner level outside an outer one", where=where)
        above = mapping.nodes[: order[0]]
        if any(isinstance(node, Loop | Spread) for node in above):
            raise MappingError(f"a loop stands above the home of {tensor}", where=where)


def _check_axes(nest: Nest, accelerator: Accelerator, mapping: Mapping, where: str) -> None:
    used: dict[tuple[str, str], int] = {}
    for node, trips in mapping.trips(nest.dims):
        if isinstance(node, Spread):
            used[node.fanout, node.axis] = used.get((node.fanout, node.axis), 1) * trips
    for (fanout, axis), count in used.items():
        size = next(a.size for a in accelerator.fanout(fanout).axes if a.name == axis)
        if count > size:
            raise MappingError(f"{fanout}.{axis} has {size} positions, the mapping spreads over {count}", where=where)
