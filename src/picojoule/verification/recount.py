"""Every access of a mapping, counted anew from chunks; the law is ``docs/explanation/counting.md``.

The counts of ``cost`` look at every index of a dimension. Here a dimension is a closed form over its chunks, and the
windows of the inputs are sets of rows held in the bits of a number: nothing is shared but the law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from picojoule.hardware.accelerator import Accelerator, Level, Port
from picojoule.verification.chunks import Cut, Part, Parts, Shapes, indices, shapes, sums, visits
from picojoule.verification.plan import Plan
from picojoule.verification.waits import slowest
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

WINDOWS = {"rows": ("P", "R"), "columns": ("Q", "S")}


@dataclass(slots=True)
class Tally:
    """Elements that one level moves for one tensor; ``finished`` of the updates complete an output at its home,
    ``returned`` of the reads of outputs go back inwards."""

    reads: int = 0
    writes: int = 0
    updates: int = 0
    finished: int = 0
    returned: int = 0

    def bits(self, tensor: str, width: Bits) -> dict[str, int]:
        """Bits by direction, zeros among them: inside the machine an output is a partial sum, a finished one has its own
        width."""
        stored = width.stored(tensor)
        return {
            "read": (self.reads - self.returned) * stored,
            "return": self.returned * stored,
            "write": self.writes * stored,
            "update": (self.updates - self.finished) * stored,
            "finish": self.finished * width.of(tensor),
        }

    def energy(self, level: Level, tensor: str, width: Bits) -> float:
        """Energy of all of them at ``level``."""
        return math.fsum(n * level.energy_per_bit(d, tensor) for d, n in self.bits(tensor, width).items() if n)

    def moving(self, level: Level, tensor: str, width: Bits) -> tuple[float, float]:
        """Bits that they move at ``level`` after what zeros spare, and how many of these say where elements belong."""
        moved = {d: n for d, n in self.bits(tensor, width).items() if n}
        if not level.shares:
            return sum(moved.values()), 0.0
        bits = math.fsum(n * level.share(d, tensor).moved for d, n in moved.items())
        return bits, math.fsum(n * level.share(d, tensor).metadata for d, n in moved.items())


Tallies = dict[tuple[str, str], Tally]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """One step on the way of a tensor between a level and what it feeds.

    Attributes:
        tensor: which tensor moves.
        visits: places of the loops in time that repeat the step.
        slide: place of the loop whose iterations keep what they share with the one before; None without.
        child, parent: fan-outs that multiply the inner and the outer end.
        deliveries: fan-outs whose positions the outer end serves one by one (those of ``parent`` among them).
        first: fan-outs of which only one position is looked at: 0, which is never clipped.
    """

    tensor: str
    visits: frozenset[int]
    slide: int | None
    child: frozenset[str]
    parent: frozenset[str]
    deliveries: frozenset[str]
    first: frozenset[str]


def recount(plan: Plan, nest: Nest, machine: Accelerator, *, first_of: str | None = None) -> Tallies:
    """Accesses by level and tensor.

    Args:
        first_of: the name of a level: count only what its busiest instance does.
    """
    first = machine.fanouts_outside(first_of) if first_of else frozenset()
    tallies: Tallies = {(name, tensor): Tally() for tensor in TENSORS for name, _ in plan.path[tensor]}
    for tensor in TENSORS:
        path = plan.path[tensor]
        moves = [_move(plan, machine, tensor, i, first) for i in range(1, len(path) + 1)]
        steps = [
            (tallies[path[i][0], tensor], tallies[path[i + 1][0], tensor] if i + 1 < len(path) else None)
            for i in range(len(path))
        ]
        if tensor == "outputs":
            _count_outputs(plan, nest, moves, steps)
        else:
            for move, (outer, inner) in zip(moves, steps, strict=True):
                sent, received = _operands(plan, nest, move)
                outer.reads += sent
                if inner is not None:
                    inner.writes += received
    return tallies


def compute_cycles(plan: Plan, nest: Nest) -> int:
    """Steps in time of the array position that is never clipped."""

    def part(cut: Cut) -> Part:
        return Part.APART if cut.fanout is None else Part.FIRST

    return math.prod(visits(plan.cuts[d], getattr(nest, d), part) for d in DIMS)


def busy_cycles(plan: Plan, nest: Nest, machine: Accelerator) -> float:
    """Cycles of the compute alone, as the slowest unit needs them."""
    steps = compute_cycles(plan, nest)
    return slowest(plan, nest, machine, steps) if machine.density else steps * machine.timed


def latency_cycles(plan: Plan, nest: Nest, machine: Accelerator, width: Bits) -> float:
    """Compute, or the port that takes longer."""
    cycles = busy_cycles(plan, nest, machine)
    for level in machine.levels:
        if not level.ports:
            continue
        tallies = recount(plan, nest, machine, first_of=level.name)
        for port in level.ports:
            through = 0.0
            for tensor in port.tensors:
                tally = tallies.get((level.name, tensor))
                for direction, n in tally.bits(tensor, width).items() if tally else ():
                    if goes_through(port, direction, tensor):
                        through += n * level.share(direction, tensor).timed
            cycles = max(cycles, through / port.bits_per_cycle)
    return cycles


def goes_through(port: Port, direction: str, tensor: str) -> bool:
    """Whether accesses of a level in this direction take time at one of its ports. Over a link comes what fills the level,
    and goes what leaves it outwards."""
    if tensor not in port.tensors:
        return False
    if port.link:
        return direction == port.direction
    return (direction in ("read", "return")) == (port.direction == "read")


def _move(plan: Plan, machine: Accelerator, tensor: str, inner: int, first: frozenset[str]) -> _Move:
    """The step from ``path[inner - 1]`` to ``path[inner]``, or to the MACs after the last level."""
    path = plan.path[tensor]
    to_macs = inner == len(path)
    child = machine.fanouts_outside(None if to_macs else path[inner][0])
    parent = machine.fanouts_outside(path[inner - 1][0])
    alone = {f.name for f in machine.fanouts if not (f.reduction if tensor == "outputs" else f.multicast)}
    slide = None
    if to_macs:
        repeating = plan.loops
    else:
        above = [loop for loop in plan.loops if loop.place < path[inner][1]]
        fetching = [loop for loop in above if loop.dim in RELEVANT[tensor] and loop.count > 1]
        repeating = [loop for loop in above if fetching and loop.place <= fetching[-1].place]
        if tensor == "inputs" and fetching and fetching[-1].dim in "PQRS":
            slide = fetching[-1].place
    return _Move(
        tensor=tensor,
        visits=frozenset(loop.place for loop in repeating),
        slide=slide,
        child=child - first,
        parent=parent - first,
        deliveries=(parent | (child & alone)) - first,
        first=first,
    )


def _part(move: _Move, arrays: frozenset[str], one: Part = Part.FIRST) -> Parts:
    """What every cut is to a count in which the positions of ``arrays`` are told apart; ``one`` for those of which
    one counts."""

    def part(cut: Cut) -> Part:
        if cut.fanout is None:
            return Part.APART if cut.place in move.visits else Part.UNITED
        if cut.fanout in move.first:
            return one
        return Part.APART if cut.fanout in arrays else Part.UNITED

    return part


def _repeats(plan: Plan, nest: Nest, move: _Move, arrays: frozenset[str]) -> int:
    """How often the dimensions that don't select elements repeat the step."""
    others = [d for d in DIMS if d not in RELEVANT[move.tensor]]
    return math.prod(visits(plan.cuts[d], getattr(nest, d), _part(move, arrays)) for d in others)


def _distinct(plan: Plan, nest: Nest, move: _Move) -> int:
    """Elements that the dimensions without windows select; whatever the cuts, each is met once per repeat."""
    windows = "PQRS" if move.tensor == "inputs" else ""
    chosen = [d for d in RELEVANT[move.tensor] if d not in windows]
    return math.prod(indices(plan.cuts[d], getattr(nest, d), _part(move, frozenset())) for d in chosen)


def _operands(plan: Plan, nest: Nest, move: _Move) -> tuple[int, int]:
    """(elements that the outer end reads, elements that the inner end receives) of weights or inputs."""
    sent = received = _distinct(plan, nest, move)
    sent *= _repeats(plan, nest, move, move.deliveries)
    received *= _repeats(plan, nest, move, move.child)
    if move.tensor == "inputs":
        for axis in WINDOWS:
            out, into = _window(plan, nest, move, axis)
            sent, received = sent * out, received * into
    return sent, received


def _window(plan: Plan, nest: Nest, move: _Move, axis: str) -> tuple[int, int]:
    """The same along the rows or the columns of the inputs, where neighbouring windows overlap.

    Where one instance counts it is the one with most to move along this axis: one in the padding has less.
    """
    outputs, taps, stride, dilation, pad, size = nest.window(axis)
    inside = (1 << size) - 1
    windows, filters = (
        _Side.of(plan.cuts[dim], length, spacing, move)
        for dim, length, spacing in zip(WINDOWS[axis], (outputs, taps), (stride, dilation), strict=True)
    )
    sent: dict[object, int] = {}
    received: dict[object, int] = {}
    for some_windows in windows.by_delivery:
        for some_filters in filters.by_delivery:
            delivered, at = 0, (windows.instance(some_windows[0]), filters.instance(some_filters[0]))
            for p in some_windows:
                for r in some_filters:
                    rows = sums(windows.shapes[p], filters.shapes[r])
                    earlier = (
                        (windows.before(p), r)
                        if windows.slides is not None
                        else (p, filters.before(r))
                        if filters.slides is not None
                        else (None, None)
                    )
                    if None not in earlier:
                        rows &= ~sums(windows.shapes[earlier[0]], filters.shapes[earlier[1]])
                    rows = rows >> pad & inside
                    received[at] = received.get(at, 0) + rows.bit_count()
                    delivered |= rows
            sent[at] = sent.get(at, 0) + delivered.bit_count()
    return max(sent.values()), max(received.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """The windows, or the taps of the filter, as a step tells them apart.

    Attributes:
        shapes: the set of each visit of each position of the inner end.
        by_delivery: the same keys, those together that one delivery of the outer end serves.
        slides: place in the keys of the loop that keeps what it shares with the iteration before; None without.
        instances: places in the keys of the array positions of which one counts.
    """

    shapes: Shapes
    by_delivery: list[list[tuple[int, ...]]]
    slides: int | None
    instances: tuple[int, ...]

    @classmethod
    def of(cls, cuts: Sequence[Cut], size: int, spacing: int, move: _Move) -> _Side:
        part = _part(move, move.child, Part.APART)
        apart = [cut for cut in cuts if part(cut) is Part.APART]
        told = [i for i, cut in enumerate(apart) if cut.fanout is None or cut.fanout in move.deliveries | move.first]
        found = shapes(cuts, size, part, spacing)
        groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for key in found:
            groups.setdefault(tuple(key[i] for i in told), []).append(key)
        slides = next((i for i, cut in enumerate(apart) if cut.place == move.slide), None)
        instances = tuple(i for i, cut in enumerate(apart) if cut.fanout in move.first)
        return cls(shapes=found, by_delivery=list(groups.values()), slides=slides, instances=instances)

    def instance(self, key: tuple[int, ...]) -> tuple[int, ...]:
        """The array positions of a key that tell instances apart of which one counts."""
        return tuple(key[i] for i in self.instances)

    def before(self, key: tuple[int, ...]) -> tuple[int, ...] | None:
        """The visit before this one along the sliding loop; None for its first iteration."""
        at = self.slides
        if at is None or key[at] == 0:
            return None
        return (*key[:at], key[at] - 1, *key[at + 1 :])


def _count_outputs(plan: Plan, nest: Nest, moves: list[_Move], steps: list[tuple[Tally, Tally | None]]) -> None:
    """Partial sums outwards and back: U, V and Z of counting.md, from the home inwards."""
    elements = _distinct(plan, nest, moves[0])
    steps[0][0].finished = elements
    for move, (outer, inner) in zip(moves, steps, strict=True):
        arriving = elements * _repeats(plan, nest, move, move.deliveries)
        outer.updates += arriving
        returning = arriving - elements * _copies(plan, nest, move, move.parent)
        outer.returned += returning
        outer.reads += returning
        if inner is not None:
            leaving = elements * _repeats(plan, nest, move, move.child)
            inner.reads += leaving
            inner.writes += leaving - elements * _copies(plan, nest, move, move.child)


def _copies(plan: Plan, nest: Nest, move: _Move, arrays: frozenset[str]) -> int:
    """Array positions that ever hold one and the same element."""
    return _repeats(plan, nest, replace(move, visits=frozenset()), arrays)
