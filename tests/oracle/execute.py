"""Runs a mapping step by step and counts what moves: the oracle for every closed form.

Nothing here is clever. The nest is walked one temporal step at a time with all array positions in step; memories are
dictionaries that hold numbers; a fetch copies numbers out of the parent's dictionary and fails if they are not there.
Partial sums travel as values, so what is read back and what starts from nothing follows from what the memories hold,
not from the formulas of ``docs/explanation/counting.md`` (the tests check those against it). At the end the home
of the outputs must hold the convolution. Meant for layers of at most a few thousand MACs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol

from oracle.program import (
    Element,
    Holder,
    NotRunnable,
    Position,
    Step,
    Time,
    check_axes,
    coordinates,
    element,
    path,
    walk,
)
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.mapping import Mapping, Spread
from picojoule.workload.nest import DIMS, TENSORS, Nest

Tiles = dict[Position, set[Element]]  # what each instance touches in one visit; no entry: it is idle
Contents = dict[Position, dict[Element, int]]  # what the memory of each instance holds


class Count(Protocol):
    """A row of counts by whoever claims to know them."""

    level: str
    tensor: str
    reads: int
    writes: int
    updates: int
    bits: int


@dataclass(slots=True)
class Tally:
    """Elements read, written and updated at one level for one tensor."""

    reads: int = 0
    writes: int = 0
    updates: int = 0


@dataclass(slots=True)
class OutputFlow:
    """The letters of counting.md for one holder of the outputs, as they were observed."""

    visits: int = 0  # V
    updates: int = 0  # U: what the parent receives
    first_touches: int = 0  # Z
    received: int = 0  # what the holder writes when running sums come back


@dataclass(slots=True)
class Execution:
    """What running a mapping did.

    Attributes:
        counts: ``(level, tensor) → (reads, writes, updates)``, in elements.
        bits: ``(level, tensor) → bits moved`` by all three.
        instance_bits: ``(level, tensor) → {instance: bits moved}``.
        capacity_bits: ``(level, tensor) → bits`` of the first instance's first tile, padding counted in.
        largest_tile_bits: the same of the largest tile that any instance ever holds, without padding.
        steps: temporal steps; cycles at one MAC per cycle and PE.
        macs: nest indices executed, one entry per MAC.
        outputs: element → value in the home at the end.
        flows: the output letters from the home inwards; the last entry is the MACs'.
    """

    counts: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    bits: dict[tuple[str, str], int] = field(default_factory=dict)
    instance_bits: dict[tuple[str, str], dict[Position, int]] = field(default_factory=dict)
    capacity_bits: dict[tuple[str, str], int] = field(default_factory=dict)
    largest_tile_bits: dict[tuple[str, str], int] = field(default_factory=dict)
    steps: int = 0
    macs: list[Element] = field(default_factory=list)
    outputs: dict[Element, int] = field(default_factory=dict)
    flows: list[OutputFlow] = field(default_factory=list)


def execute(nest: Nest, accelerator: Accelerator, mapping: Mapping) -> Execution:
    """Run ``mapping`` and count.

    Raises:
        NotRunnable: the mapping is malformed or not legal (capacities aside), or it reads a value that is not there.
    """
    check_axes(nest, accelerator, mapping)
    holders = {tensor: path(nest, accelerator, mapping, tensor) for tensor in TENSORS}
    steps = list(walk(nest, mapping))
    weights = Operands(nest, accelerator, mapping, holders["weights"], steps)
    inputs = Operands(nest, accelerator, mapping, holders["inputs"], steps)
    outputs = PartialSums(nest, accelerator, mapping, holders["outputs"], steps)
    for time, busy in steps:
        for tensor in (weights, inputs, outputs):
            tensor.advance(time)
        for position, index in busy:
            factor = inputs.contents[-1][position].get(element(nest, "inputs", index), 0)  # padding is zero
            weight = weights.contents[-1][position][element(nest, "weights", index)]
            outputs.add(position, element(nest, "outputs", index), weight * factor)
    outputs.finish()

    done = Execution(steps=len(steps), flows=outputs.flows, outputs=outputs.contents[0][()])
    done.macs = [tuple(index[d] for d in DIMS) for _, busy in steps for _, index in busy]
    for tensor in (weights, inputs, outputs):
        for depth, holder in enumerate(tensor.holders[:-1]):
            key = holder.level, holder.tensor
            tallies = tensor.tallies[depth].values()
            done.counts[key] = tuple(sum(getattr(t, way) for t in tallies) for way in ("reads", "writes", "updates"))
            instances = {instance for visit in tensor.tiles[depth].values() for instance in visit}
            done.instance_bits[key] = {instance: tensor.bits(depth, instance) for instance in sorted(instances)}
            done.bits[key] = sum(done.instance_bits[key].values())
            width = accelerator.bits.stored(holder.tensor)
            done.capacity_bits[key] = len(space_needed(nest, holder, steps)) * width
            largest = max(len(tile) for visit in tensor.tiles[depth].values() for tile in visit.values())
            done.largest_tile_bits[key] = largest * width
    return done


def disagreements(executed: Execution, rows: Iterable[Count], temporal_steps: int) -> list[str]:
    """Where a claimed count differs from the executed one, a line each; empty if they agree.

    Args:
        rows: one per level and tensor kept there; the order is free.
    """
    claimed = {(row.level, row.tensor): (row.reads, row.writes, row.updates, row.bits) for row in rows}
    ran = {key: (*counts, executed.bits[key]) for key, counts in executed.counts.items()}
    lines = [
        f"{level} {tensor}: ran {ran.get((level, tensor))}, claimed {claimed.get((level, tensor))} "
        "(reads, writes, updates, bits)"
        for level, tensor in sorted(ran.keys() | claimed.keys())
        if ran.get((level, tensor)) != claimed.get((level, tensor))
    ]
    if temporal_steps != executed.steps:
        lines.append(f"temporal steps: ran {executed.steps}, claimed {temporal_steps}")
    return lines


class Movement:
    """What weights, inputs and outputs have in common: memories, and visits that begin and end.

    Lists run over the holders, the home first and the MACs last. One object serves one run.
    """

    def __init__(
        self, nest: Nest, accelerator: Accelerator, mapping: Mapping, holders: list[Holder], steps: list[Step]
    ) -> None:
        self.nest = nest
        self.accelerator = accelerator
        self.holders = holders
        self.spreads = [node for node in mapping.nodes if isinstance(node, Spread)]
        self.tiles = [tiles_by_visit(nest, holder, steps) for holder in holders]
        self.contents: list[Contents] = [{} for _ in holders]
        self.visits: list[Time | None] = [None for _ in holders]
        self.tallies: list[dict[Position, Tally]] = [defaultdict(Tally) for _ in holders]

    def advance(self, time: Time) -> None:
        """End the visits that are over at this step, innermost first; begin the new ones, outermost first."""
        new_visits = [time[: holder.visit_loops] for holder in self.holders]
        moved = [depth for depth, visit in enumerate(new_visits) if visit != self.visits[depth]]
        for depth in reversed(moved):
            if self.visits[depth] is not None:
                self.end(depth, self.tiles[depth][self.visits[depth]])
        for depth in moved:
            old, self.visits[depth] = self.visits[depth], new_visits[depth]
            self.begin(depth, self.tiles[depth][new_visits[depth]], old)

    def begin(self, depth: int, tiles: Tiles, previous: Time | None) -> None:
        """The tiles of a visit arrive; ``previous`` is the visit before it."""
        raise NotImplementedError

    def end(self, depth: int, tiles: Tiles) -> None:
        """The visit is over."""
        raise NotImplementedError

    def parent_of(self, depth: int, instance: Position) -> Position:
        """The instance of the parent that this instance hangs on."""
        seen = dict(zip(self.holders[depth].outside, instance, strict=True))
        return tuple(seen[i] for i in self.holders[depth - 1].outside)

    def place_without(self, depth: int, instance: Position, ability: str) -> Position:
        """Where an instance sits along the fan-outs, between it and its parent, that lack ``ability``."""
        between = set(self.holders[depth].outside) - set(self.holders[depth - 1].outside)
        lacking = [i for i in sorted(between) if not getattr(self.accelerator.fanout(self.spreads[i].fanout), ability)]
        seen = dict(zip(self.holders[depth].outside, instance, strict=True))
        return tuple(seen[i] for i in lacking)

    def bits(self, depth: int, instance: Position) -> int:
        """Bits moved in and out of one instance of a holder."""
        tally = self.tallies[depth][instance]
        width = self.accelerator.bits.stored(self.holders[depth].tensor)
        return (tally.reads + tally.writes + tally.updates) * width


class Operands(Movement):
    """Weights or inputs on their way from their home to the MACs."""

    def begin(self, depth: int, tiles: Tiles, previous: Time | None) -> None:
        holder = self.holders[depth]
        old, self.contents[depth] = self.contents[depth], {instance: {} for instance in tiles}
        if depth == 0:
            self.contents[0][()] = {e: value(holder.tensor, e) for tile in tiles.values() for e in tile}
            return
        deliveries = set()
        for instance, tile in tiles.items():
            if still_there(holder, previous, self.visits[depth]):
                kept = {e: v for e, v in old.get(instance, {}).items() if e in tile}
                self.contents[depth][instance].update(kept)
            parent = self.parent_of(depth, instance)
            for e in tile - self.contents[depth][instance].keys():
                if e not in self.contents[depth - 1][parent]:
                    raise NotRunnable(f"{holder.level} fetches {holder.tensor} {e}, which its parent does not hold")
                self.contents[depth][instance][e] = self.contents[depth - 1][parent][e]
                self.tallies[depth][instance].writes += 1
                deliveries.add((parent, self.place_without(depth, instance, "multicast"), e))
        for parent, _, _ in deliveries:
            self.tallies[depth - 1][parent].reads += 1

    def end(self, depth: int, tiles: Tiles) -> None:
        """Operands are not changed, so nothing goes back."""


class PartialSums(Movement):
    """Outputs on their way between the MACs and their home, in both directions.

    A memory has no entry for an element whose running sum is elsewhere or has not begun. Adding to
    no entry costs an update alone; adding to an entry must read it first.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.flows = [OutputFlow() for _ in self.holders]
        self.held_before: list[set[tuple[Position, Element]]] = [set() for _ in self.holders]
        self.home_updates: dict[Element, int] = defaultdict(int)

    def begin(self, depth: int, tiles: Tiles, previous: Time | None) -> None:
        self.contents[depth] = {instance: {} for instance in tiles}
        copies: dict[tuple[Position, Element], list[Position]] = defaultdict(list)
        for instance, tile in tiles.items():
            for e in tile:
                self.flows[depth].visits += 1
                copies[self.parent_of(depth, instance) if depth else (), e].append(instance)
        for (parent, e), instances in copies.items():
            receivers = takes_back(instances, e, self.held_before[depth])
            if depth and receivers:
                self.send_back(depth, parent, e, receivers)
            for instance in instances:
                self.flows[depth].first_touches += (instance, e) not in self.held_before[depth]
                self.held_before[depth].add((instance, e))

    def send_back(self, depth: int, parent: Position, e: Element, receivers: list[Position]) -> None:
        """The running sum goes in: to one copy the number, to the others zero, over the same wires."""
        if e not in self.contents[depth - 1][parent]:
            raise NotRunnable(f"{self.holders[depth].level} waits for outputs {e}, which its parent does not hold")
        running_sum = self.contents[depth - 1][parent].pop(e)
        self.tallies[depth - 1][parent].reads += 1
        for instance in receivers:
            self.contents[depth][instance][e] = running_sum if instance == receivers[0] else 0
            self.tallies[depth][instance].writes += 1
            self.flows[depth].received += 1

    def add(self, position: Position, e: Element, product_: int) -> None:
        """One MAC adds to the sum it was handed, or starts one."""
        register = self.contents[-1][position]
        register[e] = register.get(e, 0) + product_

    def end(self, depth: int, tiles: Tiles) -> None:
        if depth == 0:
            return
        arriving: dict[tuple[Position, Position, Element], int] = defaultdict(int)
        for instance, tile in tiles.items():
            for e in tile:
                if e not in self.contents[depth][instance]:
                    raise NotRunnable(f"{self.holders[depth].level} lost the sum of outputs {e}")
                self.tallies[depth][instance].reads += 1
                place = self.parent_of(depth, instance), self.place_without(depth, instance, "reduction")
                arriving[*place, e] += self.contents[depth][instance].pop(e)
        for (parent, _, e), amount in arriving.items():
            memory = self.contents[depth - 1][parent]
            if e in memory:
                self.tallies[depth - 1][parent].reads += 1
            memory[e] = memory.get(e, 0) + amount
            self.tallies[depth - 1][parent].updates += 1
            self.flows[depth].updates += 1
            if depth == 1:
                self.home_updates[e] += 1

    def finish(self) -> None:
        """The program is over, and with it every visit."""
        for depth in reversed(range(len(self.holders))):
            self.end(depth, self.tiles[depth][self.visits[depth]])

    def bits(self, depth: int, instance: Position) -> int:
        if depth:
            return super().bits(depth, instance)
        widths = self.accelerator.bits
        updates = sum((times - 1) * widths.psums + widths.outputs for times in self.home_updates.values())
        return self.tallies[0][instance].reads * widths.psums + updates


def tiles_by_visit(nest: Nest, holder: Holder, steps: Iterable[Step]) -> dict[Time, Tiles]:
    """For every visit of a holder, in order, the elements that each busy instance touches in it."""
    tiles: dict[Time, Tiles] = {}
    for time, busy in steps:
        visit = tiles.setdefault(time[: holder.visit_loops], {})
        for position, index in busy:
            tile = visit.setdefault(tuple(position[i] for i in holder.outside), set())
            touched = element(nest, holder.tensor, index)
            if touched is not None:
                tile.add(touched)
    return tiles


def still_there(holder: Holder, previous: Time | None, now: Time) -> bool:
    """Whether the tile of the visit before is the one of the previous iteration of a sliding fetch loop."""
    return holder.slides and now[-1] > 0 and previous == (*now[:-1], now[-1] - 1)


def takes_back(instances: list[Position], e: Element, held_before: set[tuple[Position, Element]]) -> list[Position]:
    """The copies in a visit that are written when it begins: those that have held the element before."""
    return [instance for instance in instances if (instance, e) in held_before]


def space_needed(nest: Nest, holder: Holder, steps: list[Step]) -> set[Element]:
    """What the first instance touches in its first visit if the padding were elements like all others."""
    first_time, first_busy = steps[0]
    visit, instance = first_time[: holder.visit_loops], tuple(first_busy[0][0][i] for i in holder.outside)
    return {
        coordinates(nest, holder.tensor, index)
        for time, busy in steps
        for position, index in busy
        if time[: holder.visit_loops] == visit and tuple(position[i] for i in holder.outside) == instance
    }


def value(tensor: str, where: Element) -> int:
    """A number for an element, small and different for neighbours, so that mixed-up elements show."""
    mixed = 17 if tensor == "weights" else 29
    for coordinate in where:
        mixed = (mixed * 31 + coordinate * 7 + 3) % 101
    return mixed - 50


def convolve(nest: Nest) -> dict[Element, int]:
    """The outputs of the layer, straight from its definition."""
    total: dict[Element, int] = defaultdict(int)
    for indices in product(*(range(size) for size in nest.dims.values())):
        index = dict(zip(DIMS, indices, strict=True))
        taken = element(nest, "inputs", index)
        factor = 0 if taken is None else value("inputs", taken)
        total[element(nest, "outputs", index)] += value("weights", element(nest, "weights", index)) * factor
    return dict(total)
