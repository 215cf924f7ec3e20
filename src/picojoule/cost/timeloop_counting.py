"""Counts of a mapping by Timeloop's rules, for replaying its published mappings. Ours stand in ``traffic.py``.

Where Timeloop (NVlabs, 2022-11) counts otherwise than ``docs/explanation/counting.md``:

* a tile is the bounding box of what is touched, and the input is (P−1)·stride + (R−1)·dilation + 1 high: no padding,
  and rows that a large stride skips are moved, too;
* only the first two iterations of a loop are executed, and the second stands for all later ones;
* a tile that moves keeps its overlap with the last one only if it moves along the same axis in the same
  direction as before; a tile that stayed where it was broke that run, a tile fetched whole starts a new one;
* array positions whose input windows overlap share nothing: a read of the parent serves only positions that
  differ in dimensions that don't select elements;
* the first touch of a partial sum fills the buffer, though its parent isn't read; reading a tile to send it
  outwards is free;
* an access moves one word whatever its width, in whole blocks.

The rules about moving tiles are those of Timeloop's nest analysis. Its versions differ in what a tile that stays
put does; ours is what all 97 records of ``references/timeloop/records.json`` agree with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from picojoule.cost.traffic import Count, Traffic
from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.indices import keep_positions
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

_AXES = {
    "weights": {"G": 0, "K": 1, "C": 2, "R": 3, "S": 4},
    "inputs": {"N": 0, "G": 1, "C": 2, "P": 3, "R": 3, "Q": 4, "S": 4},
    "outputs": {"N": 0, "G": 1, "K": 2, "P": 3, "Q": 4},
}
"""The axis of the tensor's box along which a step of each dimension moves it."""

Box = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A loop or spread with more than one trip."""

    position: int
    node: Loop | Spread
    trips: int


def count_timeloop(nest: Nest, accelerator: Accelerator, mapping: Mapping, bits: Bits | None = None) -> Traffic:
    """Counts every access of a mapping as Timeloop does: totals over the instances used.

    ``writes`` are Timeloop's fills.

    Args:
        nest: the layer; its padding is ignored.
        accelerator: the machine.
        mapping: legal on both (see ``mapping.legality``), with exact factors.
        bits: widths of the elements, for ``Count.bits``; the machine's own if not given.

    Raises:
        MappingError: a chunk doesn't divide its dimension, a dimension doesn't end in chunks of 1, or a level is
            kept on the wrong side of a spread.
    """
    bits = bits or accelerator.bits
    steps = _steps(nest, mapping)
    _check_sides(accelerator, mapping)
    places = keep_positions(mapping)
    counts: list[Count] = []
    for tensor in TENSORS:
        path = [level for level in accelerator.levels if (level.name, tensor) in places]
        if not path:
            raise MappingError(f"{tensor} is kept nowhere", where="mapping")
        positions = [places[level.name, tensor] for level in path]
        # What each level receives (None for the home) and, last, what the MACs consume.
        received = [
            _instances(steps, place) * _received(nest, mapping, steps, tensor, place) for place in positions[1:]
        ] + [nest.macs]
        served = [
            total // _shared(accelerator, steps, tensor, outer, inner)
            for total, outer, inner in zip(received, positions, [*positions[1:], len(mapping.nodes)], strict=True)
        ]
        filled = [0, *received[:-1]]
        if tensor == "outputs":
            counts += _outputs(nest, steps, path, positions, served, filled, bits)
        else:
            width = bits.of(tensor)
            counts += [
                Count(level=level.name, tensor=tensor, reads=r, writes=w, updates=0, bits=(r + w) * width)
                for level, r, w in zip(path, served, filled, strict=True)
            ]
    order = {level.name: i for i, level in enumerate(accelerator.levels)}
    counts.sort(key=lambda count: (order[count.level], TENSORS.index(count.tensor)))
    return Traffic(counts=tuple(counts), temporal_steps=math.prod(s.trips for s in steps if isinstance(s.node, Loop)))


def timeloop_energy(
    nest: Nest, accelerator: Accelerator, mapping: Mapping, traffic: Traffic
) -> dict[tuple[str, str], float]:
    """Energy at every ``(level, tensor)`` as Timeloop adds it up, in the unit of the machine's table; without the MACs.

    Each instance pays whole blocks: ceil(words / block_words) × energy of a block, for its reads, writes and
    updates apart. An element is a word, whatever its width.

    Args:
        nest: the layer.
        accelerator: the machine; a block costs ``block_words`` times ``energy_per_word``.
        mapping: the mapping that was counted.
        traffic: its counts, from ``count_timeloop``.
    """
    steps, places = _steps(nest, mapping), keep_positions(mapping)
    energy = {}
    for count in traffic.counts:
        level = accelerator.level(count.level)
        instances = _instances(steps, places[count.level, count.tensor])
        table, block = dict(level.energy_per_word), level.block_words
        energy[count.level, count.tensor] = math.fsum(
            instances * -(-words // (instances * block)) * block * table[direction, count.tensor]
            for direction, words in (("read", count.reads), ("write", count.writes), ("update", count.updates))
            if words
        )
    return energy


def _outputs(
    nest: Nest,
    steps: list[_Step],
    path: list[Level],
    positions: list[int],
    updates: list[int],
    fills: list[int],
    bits: Bits,
) -> list[Count]:
    counts = []
    elements = nest.elements("outputs")
    for i, (level, place) in enumerate(zip(path, positions, strict=True)):
        # Every copy of an element is touched once without being read: spreads over C, R, S make copies.
        firsts = elements * _instances(steps, place, except_dims=RELEVANT["outputs"])
        reads = updates[i] - firsts
        moved = (reads + fills[i] + updates[i]) * bits.psums
        if i == 0:
            moved += elements * (bits.outputs - bits.psums)
        counts.append(
            Count(
                level=level.name,
                tensor="outputs",
                reads=reads,
                writes=fills[i],
                updates=updates[i],
                bits=moved,
                final_updates=elements if i == 0 else 0,
            )
        )
    return counts


def _steps(nest: Nest, mapping: Mapping) -> list[_Step]:
    """The loops and spreads with more than one trip, outermost first."""
    steps, extent = [], nest.dims
    for position, node in enumerate(mapping.nodes):
        if isinstance(node, Keep):
            continue
        if extent[node.dim] % node.tile:
            raise MappingError(
                f"chunks of {node.tile} don't divide the {extent[node.dim]} indices of {node.dim} that arrive here",
                where=f"mapping[{position}]",
                hint='Timeloop\'s counting knows exact factors only; use counting="exact".',
            )
        if extent[node.dim] > node.tile:
            steps.append(_Step(position=position, node=node, trips=extent[node.dim] // node.tile))
        extent[node.dim] = node.tile
    for dim in DIMS:
        if extent[dim] != 1:
            raise MappingError(f"{dim} ends in chunks of {extent[dim]}, a MAC takes one index", where="mapping")
    return steps


def _check_sides(accelerator: Accelerator, mapping: Mapping) -> None:
    """In Timeloop a spread lies below the levels outside its fan-out and above those inside it."""
    for i, node in enumerate(mapping.nodes):
        if not isinstance(node, Spread):
            continue
        for j, other in enumerate(mapping.nodes):
            if isinstance(other, Keep) and (node.fanout in accelerator.fanouts_outside(other.level)) != (i < j):
                side = "inside" if j < i else "outside"
                raise MappingError(
                    f"{other.level} lies {side} the fan-out {node.fanout}, but is kept on the other side of its spread",
                    where=f"mapping[{j}]",
                    hint="Timeloop's counting can't express that; use counting=\"exact\".",
                )


def _instances(steps: list[_Step], place: int, except_dims: frozenset[str] = frozenset()) -> int:
    """Array positions in use outside the node at ``place``, but for those that spreads over ``except_dims`` make."""
    return math.prod(
        s.trips for s in steps if isinstance(s.node, Spread) and s.position < place and s.node.dim not in except_dims
    )


def _shared(accelerator: Accelerator, steps: list[_Step], tensor: str, outer: int, inner: int) -> int:
    """How many array positions one access of the parent serves (for outputs: are added up before it)."""
    ability = "reduction" if tensor == "outputs" else "multicast"
    return math.prod(
        s.trips
        for s in steps
        if isinstance(s.node, Spread)
        and outer < s.position < inner
        and s.node.dim not in RELEVANT[tensor]
        and getattr(accelerator.fanout(s.node.fanout), ability)
    )


def _received(nest: Nest, mapping: Mapping, steps: list[_Step], tensor: str, place: int) -> int:
    """Words that one instance of the level kept at ``place`` receives over the whole nest."""
    extent = nest.dims
    moves: list[tuple[int, Box]] = []
    for node in mapping.nodes[:place]:
        if not isinstance(node, Keep):
            extent[node.dim] = node.tile
    for step in steps:
        if isinstance(step.node, Loop) and step.position < place:
            moves.append((step.trips, _displacement(nest, tensor, step.node)))
    return _moving_box(_box(nest, tensor, extent), tuple(moves))


def _box(nest: Nest, tensor: str, extent: dict[str, int]) -> Box:
    """Sizes of the bounding box of what a range of so many indices per dimension touches."""
    if tensor == "weights":
        return tuple(extent[d] for d in "GKCRS")
    if tensor == "outputs":
        return tuple(extent[d] for d in "NGKPQ")
    rows = (extent["P"] - 1) * nest.stride[0] + (extent["R"] - 1) * nest.dilation[0] + 1
    columns = (extent["Q"] - 1) * nest.stride[1] + (extent["S"] - 1) * nest.dilation[1] + 1
    return extent["N"], extent["G"], extent["C"], rows, columns


def _displacement(nest: Nest, tensor: str, loop: Loop) -> Box:
    """By how much the box moves when the loop goes on by one chunk; all 0 if the tensor doesn't depend on it."""
    by = [0] * 5
    axis = _AXES[tensor].get(loop.dim)
    if axis is not None:
        scale = 1
        if tensor == "inputs":
            scale = {"P": nest.stride[0], "Q": nest.stride[1], "R": nest.dilation[0], "S": nest.dilation[1]}.get(
                loop.dim, 1
            )
        by[axis] = loop.tile * scale
    return tuple(by)


def _moving_box(size: Box, moves: tuple[tuple[int, Box], ...]) -> int:
    """Words fetched by a buffer that holds a box of this size while loops move it.

    Two iterations of every loop are executed, outermost first. What a loop fetches depends only on where the last
    box lies relative to the present one and on the direction of the last move; each such situation is worked out once.

    Args:
        size: of the box along every axis.
        moves: ``(trips, displacement)`` of every loop, outermost first.
    """

    @cache
    def run(depth: int, last: Box | None, run_of: tuple[int, int] | None) -> tuple[int, Box, tuple[int, int] | None]:
        """``(words, last box as seen from here, direction of the run)`` of the loops from ``depth`` inwards."""
        if depth == len(moves):
            words, direction = _fetch(size, last, run_of)
            return words, (0,) * len(size), direction
        trips, by = moves[depth]
        first, last_box, direction = run(depth + 1, last, run_of)
        behind = tuple(a - b for a, b in zip(last_box, by, strict=True))
        second, last_box, direction = run(depth + 1, behind, direction)
        return (
            first + (trips - 1) * second,
            tuple(a + b for a, b in zip(last_box, by, strict=True)),
            direction,
        )

    return run(0, None, None)[0]


_STILL = (-1, 0)
"""The direction of a box that stayed where it was."""


def _fetch(size: Box, last: Box | None, run_of: tuple[int, int] | None) -> tuple[int, tuple[int, int] | None]:
    """``(words fetched, direction)`` of one visit; ``last`` is where the box was before, relative to where it is."""
    whole = math.prod(size)
    if last is None or any(abs(offset) >= extent for offset, extent in zip(last, size, strict=True)):
        return whole, None
    moved = [axis for axis, offset in enumerate(last) if offset]
    if not moved:
        return 0, _STILL
    if len(moved) > 1:
        return whole, None
    axis = moved[0]
    direction = (axis, 1 if last[axis] < 0 else -1)
    if run_of is not None and run_of != direction:
        return whole, None
    return whole // size[axis] * abs(last[axis]), direction
