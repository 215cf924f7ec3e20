"""Every access of a mapping, counted anew from chunks; the law is ``docs/explanation/counting.md``.

The counts of ``cost`` look at every index of a dimension. Here a dimension is a recursion over chunks in closed form, and
the windows of the inputs are sets of rows held in the bits of a number: nothing is shared but the law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.verification.chunks import Cut, Part, Parts, indices, shapes, sums, visits
from picojoule.verification.plan import Plan
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

WINDOWS = {"rows": ("P", "R"), "columns": ("Q", "S")}


@dataclass(slots=True)
class Tally:
    """Elements that one level moves for one tensor; ``finished`` of the updates complete an output at its home."""

    reads: int = 0
    writes: int = 0
    updates: int = 0
    finished: int = 0

    def bits(self, tensor: str, width: Bits) -> dict[str, int]:
        """Bits by direction: inside the machine an output is a partial sum, a finished one has its own width."""
        stored = width.stored(tensor)
        finished = self.finished * (width.outputs - width.psums)
        return {"read": self.reads * stored, "write": self.writes * stored, "update": self.updates * stored + finished}

    def energy(self, level: Level, tensor: str, width: Bits) -> float:
        """Energy of all of them at ``level``."""
        return math.fsum(n * level.energy_per_bit(d, tensor) for d, n in self.bits(tensor, width).items() if n)


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
        first: fan-outs of which only position 0 is looked at.
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
        first_of: the name of a level: count only what concerns its instance at position 0 of every array.
    """
    first = machine.fanouts_outside(first_of) if first_of else frozenset()
    tallies: Tallies = {(name, tensor): Tally() for tensor in TENSORS for name, _ in plan.path[tensor]}
    for tensor in TENSORS:
        path = plan.path[tensor]
        moves = [_move(plan, machine, tensor, i, first) for i in range(1, len(path) + 1)]
        steps = [(tallies[path[i][0], tensor], tallies[path[i + 1][0], tensor] if i + 1 < len(path) else None) for i in range(len(path))]
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


def latency_cycles(plan: Plan, nest: Nest, machine: Accelerator, width: Bits) -> float:
    """Compute, or the port that takes longer."""
    cycles = float(compute_cycles(plan, nest))
    for level in machine.levels:
        if level.read_bits_per_cycle is None and level.write_bits_per_cycle is None:
            continue
        tallies = recount(plan, nest, machine, first_of=level.name)
        moved = [tally.bits(tensor, width) for (name, tensor), tally in tallies.items() if name == level.name]
        if level.read_bits_per_cycle is not None:
            cycles = max(cycles, sum(m["read"] for m in moved) / level.read_bits_per_cycle)
        if level.write_bits_per_cycle is not None:
            cycles = max(cycles, sum(m["write"] + m["update"] for m in moved) / level.write_bits_per_cycle)
    return cycles


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


def _part(move: _Move, arrays: frozenset[str]) -> Parts:
    """What every cut is to a count in which the positions of ``arrays`` are told apart."""

    def part(cut: Cut) -> Part:
        if cut.fanout is None:
            return Part.APART if cut.place in move.visits else Part.UNITED
        if cut.fanout in move.first:
            return Part.FIRST
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
    """The same along the rows or the columns of the inputs, where neighbouring windows overlap."""
    outer, inner = WINDOWS[axis]
    outputs, taps, stride, dilation, pad, size = nest.window(axis)
    inside = (1 << size) - 1
    part = _part(move, move.child)
    p_cuts, r_cuts = plan.cuts[outer], plan.cuts[inner]
    touched = {
        (p, r): (sums(windows, filters) >> pad) & inside
        for p, windows in shapes(p_cuts, outputs, part, stride).items()
        for r, filters in shapes(r_cuts, taps, part, dilation).items()
    }
    apart = [[cut for cut in cuts if part(cut) is Part.APART] for cuts in (p_cuts, r_cuts)]
    served = [[cut.fanout is None or cut.fanout in move.deliveries for cut in cuts] for cuts in apart]
    sliding = [next((i for i, cut in enumerate(cuts) if cut.place == move.slide), None) for cuts in apart]
    received = 0
    sent: dict[tuple[tuple[int, ...], ...], int] = {}
    for key, rows in touched.items():
        before = _before(key, sliding)
        fresh = rows & ~touched[before] if before else rows
        received += fresh.bit_count()
        delivery = tuple(tuple(n for n, kept in zip(k, keep, strict=True) if kept) for k, keep in zip(key, served, strict=True))
        sent[delivery] = sent.get(delivery, 0) | fresh
    return sum(rows.bit_count() for rows in sent.values()), received


def _before(key: tuple[tuple[int, ...], tuple[int, ...]], sliding: list[int | None]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The visit before this one along the sliding loop; None for its first iteration and where nothing slides."""
    for half, at in enumerate(sliding):
        if at is not None and key[half][at] > 0:
            chunks = key[half]
            earlier = (*chunks[:at], chunks[at] - 1, *chunks[at + 1 :])
            return (earlier, key[1]) if half == 0 else (key[0], earlier)
    return None


def _count_outputs(plan: Plan, nest: Nest, moves: list[_Move], steps: list[tuple[Tally, Tally | None]]) -> None:
    """Partial sums outwards and back: the table of V, G, U, Z in counting.md, from the home inwards."""
    elements = _distinct(plan, nest, moves[0])
    from_nothing = elements
    steps[0][0].finished = elements
    for move, (outer, inner) in zip(moves, steps, strict=True):
        copies = elements * _repeats(plan, nest, move, move.child)
        merged = elements * _repeats(plan, nest, move, move.parent)
        arriving = elements * _repeats(plan, nest, move, move.deliveries)
        outer.updates += arriving
        outer.reads += arriving - from_nothing
        if inner is not None:
            inner.writes += merged - from_nothing
            inner.reads += copies
        from_nothing = copies - (merged - from_nothing)
