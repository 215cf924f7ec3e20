"""The map space of ``docs/explanation/map-space.md``, written out: every mapping of a layer on a machine, node by node.

Every choice of the levels that may be passed by, every factor of every dimension on every axis, every order of every
split into loops in time, every place of every keep, every place of the spreads. Only spreads over more than one
position and loops of more than one trip are written down.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What is enumerated beyond the declared space of exact factors: spreads at every place, groups spread and looped
    over anywhere; ``imperfect``: the declared space in which factors need not divide."""

    spreads_anywhere: bool = False
    groups_anywhere: bool = False
    imperfect: bool = False


DECLARED = Space()
IMPERFECT = Space(imperfect=True)


@dataclass(frozen=True, slots=True)
class InTime:
    """A loop in time over the extents of ``dim`` per array position, from ``extent`` down to ``tile``."""

    dim: str
    extent: int
    tile: int


@dataclass(frozen=True, slots=True)
class Across:
    """``factor`` positions along an axis for ``dim``."""

    dim: str
    factor: int
    fanout: str
    axis: str


Plan = InTime | Across | Keep


def all_mappings(nest: Nest, machine: Accelerator, objective: str, space: Space = DECLARED) -> Iterator[Mapping]:
    """Every mapping of the space, those too that are too large for some level."""
    for levels, across, loops in skeletons(nest, machine, objective, space):
        for chosen in itertools.product(*plans_of(machine, levels, across, loops, space)):
            yield whole_mapping(machine, levels, list(chosen))


def sampled_mapping(
    rng: random.Random, nest: Nest, machine: Accelerator, objective: str, space: Space = DECLARED
) -> Mapping:
    """Any mapping of the space, legal or too large for some level."""
    levels, across, loops = rng.choice(list(skeletons(nest, machine, objective, space)))
    return whole_mapping(
        machine, levels, [rng.choice(plans) for plans in plans_of(machine, levels, across, loops, space)]
    )


# The pieces of the space ----------------------------------------------------------------------------------------------


def skeletons(
    nest: Nest, machine: Accelerator, objective: str, space: Space
) -> Iterator[tuple[dict[str, tuple[str, ...]], tuple[Across, ...], tuple[InTime, ...]]]:
    """Every choice of levels with every spatial assignment with every order of loops."""
    for levels in level_choices(machine):
        for across in assignments(nest, machine, spread_groups(objective, space), space.imperfect):
            left = dict(zip(DIMS, left_over(nest, across), strict=True))
            for loops in loop_orders(left, space, chunk_sizes(left, across, space)):
                yield levels, across, loops


def spread_groups(objective: str, space: Space) -> bool:
    """Whether groups are spread: not for energy, as declared."""
    return objective != "energy" or space.groups_anywhere


def level_choices(machine: Accelerator) -> Iterator[dict[str, tuple[str, ...]]]:
    """Names of the levels that hold each tensor, outermost first, for every use of those that may be passed by."""
    optional = [(level.name, tensor) for level in machine.levels for tensor in level.may_keep]
    for size in range(len(optional) + 1):
        for used in itertools.combinations(optional, size):
            yield {
                t: tuple(level.name for level in machine.levels if t in level.keeps or (level.name, t) in used)
                for t in TENSORS
            }


def assignments(
    nest: Nest, machine: Accelerator, groups: bool, imperfect: bool = False
) -> Iterator[tuple[Across, ...]]:
    """Every factor of every dimension on every axis, as long as the axes and the dimensions allow it.

    With imperfect factors those are left out of which some position would get nothing.
    """
    slots = [(d, f.name, axis) for f in machine.fanouts for axis in f.axes for d in axis.dims if groups or d != "G"]

    def extend(chosen: tuple[Across, ...], rest: list[tuple[str, str, object]]) -> Iterator[tuple[Across, ...]]:
        if not rest:
            yield chosen
            return
        dim, fanout, axis = rest[0]
        taken = math.prod(a.factor for a in chosen if a.dim == dim)
        used = math.prod(a.factor for a in chosen if (a.fanout, a.axis) == (fanout, axis.name))
        for factor in range(1, min(axis.size // used, -(-nest.dims[dim] // taken)) + 1):
            if imperfect or nest.dims[dim] % (taken * factor) == 0:
                more = (Across(dim, factor, fanout, axis.name),) if factor > 1 else ()
                yield from extend(chosen + more, rest[1:])

    for across in extend((), slots):
        if not imperfect or _no_position_idles(nest, across):
            yield across


def _no_position_idles(nest: Nest, across: tuple[Across, ...]) -> bool:
    left = dict(zip(DIMS, left_over(nest, across), strict=True))
    total = {d: math.prod(a.factor for a in across if a.dim == d) for d in DIMS}
    return all(-(-nest.dims[a.dim] // (left[a.dim] * (total[a.dim] // a.factor))) == a.factor for a in across)


def chunk_sizes(left: dict[str, int], across: tuple[Across, ...], space: Space) -> dict[str, set[int]]:
    """What a chunk of each dimension may be: a divisor, or with imperfect factors ⌈n/k⌉, too.

    Where a dimension that slides is spread, its chunks divide.
    """
    spread = {a.dim for a in across}
    sizes = {d: {t for t in range(1, n + 1) if n % t == 0} for d, n in left.items()}
    for d, n in left.items():
        if space.imperfect and not (d in "PQRS" and d in spread):
            sizes[d] |= {-(-n // k) for k in range(1, n + 1)}
    return sizes


def loop_orders(
    left: dict[str, int], space: Space, sizes: dict[str, set[int]] | None = None
) -> Iterator[tuple[InTime, ...]]:
    """Every list of loops, outermost first, that takes every dimension from ``left`` to 1 in chunks of ``sizes``: each
    divides the one above it, or is the first below ``left``."""
    sizes = chunk_sizes(left, (), space) if sizes is None else sizes
    if left["G"] > 1 and not space.groups_anywhere:
        for loops in loop_orders({**left, "G": 1}, space, sizes):
            yield (InTime("G", left["G"], 1), *loops)
        return
    if all(n == 1 for n in left.values()):
        yield ()
        return
    for dim, extent in left.items():
        for tile in range(1, extent):
            if tile in sizes[dim] and (extent % tile == 0 or extent == max(sizes[dim])):
                for inner in loop_orders({**left, dim: tile}, space, sizes):
                    yield (InTime(dim, extent, tile), *inner)


def plans_of(
    machine: Accelerator,
    levels: dict[str, tuple[str, ...]],
    across: tuple[Across, ...],
    loops: tuple[InTime, ...],
    space: Space,
) -> list[list[tuple[Plan, ...]]]:
    """Every way to keep weights, inputs (with the spreads), outputs under these loops."""
    plans = [list(kept(levels, tensor, loops)) for tensor in TENSORS]
    plans[1] = [placed for plan in plans[1] for placed in with_spreads(machine, levels, plan, across, space)]
    return plans


def kept(levels: dict[str, tuple[str, ...]], tensor: str, loops: tuple[InTime, ...]) -> Iterator[tuple[Plan, ...]]:
    """The loops with the keeps of one tensor at every place, inner levels inside outer ones; the home on top."""
    home, *inner = levels[tensor]
    for slots in itertools.combinations_with_replacement(range(len(loops) + 1), len(inner)):
        plan: list[Plan] = [Keep(home, tensor)]
        for slot in range(len(loops) + 1):
            plan += [Keep(name, tensor) for name, at in zip(inner, slots, strict=True) if at == slot]
            plan += loops[slot : slot + 1]
        yield tuple(plan)


def with_spreads(
    machine: Accelerator,
    levels: dict[str, tuple[str, ...]],
    plan: tuple[Plan, ...],
    across: tuple[Across, ...],
    space: Space,
) -> Iterator[tuple[Plan, ...]]:
    """A plan of the inputs with the spreads where they may stand."""
    if space.spreads_anywhere:
        for slots in itertools.product(range(len(plan) + 1), repeat=len(across)):
            yield _inserted(plan, [(slot, [node]) for slot, node in zip(slots, across, strict=True)])
        return
    options: list[list[tuple[int, list[Across]]]] = []
    outside = [node for node in across if space.imperfect and node.dim in "NKC"]
    if outside:
        options.append([(1, outside)])  # directly below the home
    for fanout in machine.fanouts:
        mine = [node for node in across if node.fanout == fanout.name and node not in outside]
        if mine:
            options.append([(slot, mine) for slot in _spread_slots(machine, levels, plan, fanout.name)])
    for chosen in itertools.product(*options):
        yield _inserted(plan, list(chosen))


def _spread_slots(
    machine: Accelerator, levels: dict[str, tuple[str, ...]], plan: tuple[Plan, ...], fanout: str
) -> list[int]:
    """Directly above the outermost keep of inputs inside the fan-out, and above the loop that it slides along."""
    inside = [name for name in levels["inputs"][1:] if fanout in machine.fanouts_outside(name)]
    if not inside:
        return [len(plan)]
    place = plan.index(Keep(inside[0], "inputs"))
    relevant = [i for i in range(place) if isinstance(plan[i], InTime) and plan[i].dim in RELEVANT["inputs"]]
    if relevant and plan[relevant[-1]].dim in "PQRS":
        fetch = relevant[-1]
        if not any(isinstance(node, Keep) for node in plan[fetch:place]):
            return [place, fetch]
    return [place]


def _inserted(plan: tuple[Plan, ...], spreads: list[tuple[int, list[Across]]]) -> tuple[Plan, ...]:
    result: list[Plan] = []
    for i in range(len(plan) + 1):
        for slot, nodes in spreads:
            if slot == i:
                result += nodes
        result += plan[i : i + 1]
    return tuple(result)


def left_over(nest: Nest, across: tuple[Across, ...]) -> tuple[int, ...]:
    """Extents per array position, in the order of the loop letters."""
    return tuple(-(-size // math.prod(a.factor for a in across if a.dim == d)) for d, size in nest.dims.items())


# From plans to mappings -----------------------------------------------------------------------------------------------


def whole_mapping(machine: Accelerator, levels: dict[str, tuple[str, ...]], chosen: list[tuple[Plan, ...]]) -> Mapping:
    """The mapping that keeps every tensor as its own plan says.

    All plans have the same loops; that of the inputs has the spreads.
    """
    plan: list[Plan] = []
    rests = [list(reversed(mine)) for mine in chosen]
    while any(rests):
        for rest, tensor in zip(rests, TENSORS, strict=True):
            while rest and not isinstance(rest[-1], InTime):
                node = rest.pop()
                plan.insert(0 if node == Keep(levels[tensor][0], tensor) else len(plan), node)
        if any(rests):
            plan.append(rests[0][-1])
            for rest in rests:
                rest.pop()
    return Mapping(_nodes(plan))


def _nodes(plan: list[Plan]) -> tuple[Node, ...]:
    """Chunk sizes from extents per array position: spreads inside a node widen what its chunk covers."""
    time, space = dict.fromkeys(DIMS, 1), dict.fromkeys(DIMS, 1)
    nodes: list[Node] = []
    for node in reversed(plan):
        match node:
            case InTime(dim, extent, tile):
                nodes.append(Loop(dim, tile * space[dim]))
                time[dim] = extent
            case Across(dim, factor, fanout, axis):
                nodes.append(Spread(dim, time[dim] * space[dim], fanout, axis))
                space[dim] *= factor
            case Keep():
                nodes.append(node)
    return tuple(reversed(nodes))
