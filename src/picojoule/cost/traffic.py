"""How often every memory is read, written and updated under a mapping: exact counts.

Follows ``docs/explanation/counting.md``. The dimensions of a nest are cut independently of one another, so a count is a
product over dimensions (over the pairs P, R and Q, S for inputs, whose windows overlap); each factor is
counted along its own axis by looking at every index once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.indices import Cut, Cuts, cut_dimensions, distinct, keep_positions
from picojoule.mapping.mapping import Loop, Mapping, Spread
from picojoule.workload.nest import RELEVANT, TENSORS, Bits, Nest

WINDOWS = (("P", "R", "rows"), ("Q", "S", "columns"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Accesses of one level for one tensor, in elements, over all instances; ``bits`` is what they move.

    ``final_updates`` of the updates deliver a finished output (at output width), the others a partial sum;
    ``returned`` of the reads of outputs send a running sum back inwards, the others send it outwards.
    """

    level: str
    tensor: str
    reads: int
    writes: int
    updates: int
    bits: int
    final_updates: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """All counts of a mapping, levels outermost first, and the steps its loops take in time."""

    counts: tuple[Count, ...]
    temporal_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boundary:
    """Between a parent level and its child for one tensor: what repeats a fetch, and which array positions differ."""

    tensor: str
    fetch_position: int
    slides: bool
    outside_child: frozenset[str]
    outside_parent: frozenset[str]
    not_shared: frozenset[str]

    def repeats(self, cut: Cut) -> bool:
        return isinstance(cut.node, Loop) and cut.position <= self.fetch_position

    def per_child(self, cut: Cut) -> bool:
        return self.repeats(cut) or (isinstance(cut.node, Spread) and cut.node.fanout in self.outside_child)

    def copies(self, cut: Cut) -> bool:
        return isinstance(cut.node, Spread) and cut.node.fanout in self.outside_child

    def per_parent(self, cut: Cut) -> bool:
        return self.repeats(cut) or (isinstance(cut.node, Spread) and cut.node.fanout in self.outside_parent)

    def per_delivery(self, cut: Cut) -> bool:
        return self.per_parent(cut) or (isinstance(cut.node, Spread) and cut.node.fanout in self.not_shared)


def count_traffic(
    nest: Nest, accelerator: Accelerator, mapping: Mapping, bits: Bits | None = None, busiest: str | None = None
) -> Traffic:
    """Counts every access of a legal mapping.

    Args:
        nest: the layer.
        accelerator: the machine.
        mapping: legal on both (see ``mapping.legality``); each tensor is kept at the levels that the mapping names.
        bits: widths of the elements; the machine's own if not given.
        busiest: a level name: count only what one instance does, for the load on a port: along every dimension that
            with most to do.
    """
    bits = bits or accelerator.bits
    cuts = whole = cut_dimensions(nest, mapping)
    one_of = accelerator.fanouts_outside(busiest) if busiest is not None else frozenset()
    if busiest is not None:
        cuts = _first_instance(cuts, one_of)
    places = keep_positions(mapping)
    counts = []
    for tensor in TENSORS:
        path = [level for level in accelerator.levels if (level.name, tensor) in places]
        if tensor == "outputs":
            counts += _outputs(nest, accelerator, cuts, places, path, bits)
        else:
            counts += _operands(nest, accelerator, cuts, whole, one_of, places, path, tensor, bits)
    order = {level.name: i for i, level in enumerate(accelerator.levels)}
    counts.sort(key=lambda count: (order[count.level], TENSORS.index(count.tensor)))
    return Traffic(counts=tuple(counts), temporal_steps=temporal_steps(cuts))


def temporal_steps(cuts: dict[str, Cuts]) -> int:
    """Steps in time: per dimension those of the array position that is never clipped, multiplied."""
    steps = 1
    for axis in cuts.values():
        here = axis.first(lambda cut: isinstance(cut.node, Spread))
        steps *= distinct(axis.key(lambda cut: isinstance(cut.node, Loop))[here])
    return steps


def _operands(
    nest: Nest,
    accelerator: Accelerator,
    cuts: dict[str, Cuts],
    whole: dict[str, Cuts],
    one_of: frozenset[str],
    places: dict[tuple[str, str], int],
    path: list[Level],
    tensor: str,
    bits: Bits,
) -> list[Count]:
    reads, writes = [0] * len(path), [0] * len(path)
    for i in range(len(path)):
        child = path[i + 1] if i + 1 < len(path) else None
        boundary = _boundary(accelerator, cuts, places, tensor, path[i], child)
        delivered, received = 1, 1
        if tensor == "inputs":
            for outer, inner, axis in WINDOWS:
                sent, got = _window(nest, whole[outer], whole[inner], axis, boundary, one_of)
                delivered, received = delivered * sent, received * got
        for dim, axis_cuts in cuts.items():
            if dim in "PQRS" and tensor == "inputs":
                continue
            if dim in RELEVANT[tensor]:
                delivered, received = delivered * _indices(axis_cuts), received * _indices(axis_cuts)
            else:
                delivered *= _visits(axis_cuts, boundary.per_delivery)
                received *= _visits(axis_cuts, boundary.per_child)
        reads[i] = delivered
        if child is not None:
            writes[i + 1] = received
    width = bits.of(tensor)
    return [
        Count(level=level.name, tensor=tensor, reads=r, writes=w, updates=0, bits=(r + w) * width)
        for level, r, w in zip(path, reads, writes, strict=True)
    ]


def _outputs(
    nest: Nest,
    accelerator: Accelerator,
    cuts: dict[str, Cuts],
    places: dict[tuple[str, str], int],
    path: list[Level],
    bits: Bits,
) -> list[Count]:
    elements = math.prod(_indices(cuts[d]) for d in "NGKPQ")
    counts = []
    visits = touched = elements
    fills = 0
    for i, level in enumerate(path):
        child = path[i + 1] if i + 1 < len(path) else None
        boundary = _boundary(accelerator, cuts, places, "outputs", level, child)
        updates = elements * math.prod(_visits(cuts[d], boundary.per_delivery) for d in "CRS")
        reads = (visits if i else 0) + updates - touched
        if i == 0:
            moved = reads * bits.psums + elements * bits.outputs + (updates - elements) * bits.psums
        else:
            moved = (reads + fills + updates) * bits.psums
        counts.append(
            Count(
                level=level.name,
                tensor="outputs",
                reads=reads,
                writes=fills,
                updates=updates,
                bits=moved,
                final_updates=elements if i == 0 else 0,
                returned=updates - touched,
            )
        )
        visits = elements * math.prod(_visits(cuts[d], boundary.per_child) for d in "CRS")
        touched = elements * math.prod(_visits(cuts[d], boundary.copies) for d in "CRS")
        fills = visits - touched
    return counts


def _boundary(
    accelerator: Accelerator,
    cuts: dict[str, Cuts],
    places: dict[tuple[str, str], int],
    tensor: str,
    parent: Level,
    child: Level | None,
) -> _Boundary:
    outside_child = accelerator.fanouts_outside(child.name if child else None)
    outside_parent = accelerator.fanouts_outside(parent.name)
    shares = "reduction" if tensor == "outputs" else "multicast"
    not_shared = frozenset(n for n in outside_child - outside_parent if not getattr(accelerator.fanout(n), shares))
    fetch, slides = -1, False
    if child is None:
        fetch = max((c.position for axis in cuts.values() for c in axis.cuts), default=-1)
    else:
        place = places[child.name, tensor]
        for dim in RELEVANT[tensor]:
            for cut in cuts[dim].cuts:
                if isinstance(cut.node, Loop) and fetch < cut.position < place:
                    fetch, slides = cut.position, tensor == "inputs" and dim in "PQRS"
    return _Boundary(
        tensor=tensor,
        fetch_position=fetch,
        slides=slides,
        outside_child=outside_child,
        outside_parent=outside_parent,
        not_shared=not_shared,
    )


def _indices(cuts: Cuts) -> int:
    """Every index of a relevant dimension is fetched exactly once per repetition, whatever the cuts."""
    return cuts.size


def _visits(cuts: Cuts, wanted: Callable[[Cut], bool]) -> int:
    """How often loops over an irrelevant dimension repeat a fetch, over the positions that take part."""
    return distinct(cuts.key(wanted))


def _window(
    nest: Nest, outer: Cuts, inner: Cuts, axis: str, boundary: _Boundary, one_of: frozenset[str]
) -> tuple[int, int]:
    """(elements the parent sends, elements the children receive) along the rows or the columns of an input.

    Of the fan-outs in ``one_of`` only the position with most to move counts: one in the padding has less than others.
    """
    _, _, stride, dilation, pad, size = nest.window(axis)
    positions = outer.positions[:, None] * stride + inner.positions[None, :] * dilation - pad
    inside = (positions >= 0) & (positions < size)
    slot = positions[inside]
    codes = _paired(outer, inner, boundary.per_child)[inside]
    parents = _paired(outer, inner, boundary.per_delivery)[inside]
    fetched, where = np.unique(codes * size + slot, return_index=True)
    parents = parents[where] * size + slot[where]
    sliding = _sliding_cut(outer, inner, boundary)
    if sliding is not None:
        axis_cuts, cut = sliding
        along = np.broadcast_to(cut.counter[:, None] if axis_cuts is outer else cut.counter[None, :], positions.shape)[
            inside
        ][where]
        weight = _weight(outer, inner, boundary.per_child, cut)
        held = np.isin(fetched - weight * size, fetched) & (along > 0)
        fetched, parents = fetched[~held], parents[~held]
    if not one_of:
        return distinct(parents), int(fetched.size)
    instances = _paired(outer, inner, lambda cut: isinstance(cut.node, Spread) and cut.node.fanout in one_of)[inside][
        where
    ]
    if sliding is not None:
        instances = instances[~held]
    _, once = np.unique(parents, return_index=True)
    return int(np.bincount(instances[once]).max(initial=0)), int(np.bincount(instances).max(initial=0))


def _sliding_cut(outer: Cuts, inner: Cuts, boundary: _Boundary) -> tuple[Cuts, Cut] | None:
    if boundary.slides:
        for axis in (outer, inner):
            for cut in axis.cuts:
                if cut.position == boundary.fetch_position:
                    return axis, cut
    return None


def _paired(outer: Cuts, inner: Cuts, wanted: Callable[[Cut], bool]) -> np.ndarray:
    """One number per pair of indices that tells apart the chunks of the wanted loops over both dimensions."""
    span = math.prod(c.trips for c in inner.cuts if wanted(c))
    return outer.key(wanted)[:, None] * span + inner.key(wanted)[None, :]


def _weight(outer: Cuts, inner: Cuts, wanted: Callable[[Cut], bool], cut: Cut) -> int:
    """By how much the paired number grows when ``cut`` moves on by one chunk."""
    ordered = [c for c in outer.cuts if wanted(c)] + [c for c in inner.cuts if wanted(c)]
    after = ordered[next(i for i, c in enumerate(ordered) if c is cut) + 1 :]
    return math.prod(c.trips for c in after)


def _first_instance(cuts: dict[str, Cuts], outside: frozenset[str]) -> dict[str, Cuts]:
    """Only the indices that the first position of every fan-out in ``outside`` works on."""
    return {
        dim: axis.select(axis.first(lambda cut: isinstance(cut.node, Spread) and cut.node.fanout in outside))
        for dim, axis in cuts.items()
    }
