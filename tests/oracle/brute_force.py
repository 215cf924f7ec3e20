"""Every mapping of a tiny layer, one by one: the oracle for what the search calls the optimum.

The space is written down as ``docs/explanation/map-space.md`` declares it, as lists of nodes: every choice of levels that may be passed by, every factor of every
dimension on every axis, every order of every split into loops in time, every place of every keep, every place of the spreads. No closed form and no bound of the
search is used. Three things keep it feasible, none of them clever:

* A tensor's counts and tile sizes don't depend on where the other tensors are kept. So the keeps of the three tensors are costed side by side, one call of
  ``count_traffic`` for one way to keep each, and only then combined: all with all, tiles added up level by level.
* For energy, groups are not spread. ``groups_anywhere`` lifts that, and the rule that their loop is the outermost one.
* Only spreads of more than one position and loops of more than one trip are written down.

``one_by_one`` does without the first of them; ``test_brute_force.py`` holds the two against each other, and samples against the executing oracle.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from picojoule.cost.energy import access_energy, direction_bits
from picojoule.cost.traffic import count_traffic
from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import check_legal, tile_bits
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.search.layer import evaluate, objective_value
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

Port = tuple[str, str]
"""A level and the direction of one of its ports, ``reads`` or ``writes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What is enumerated beyond the declared space: spreads at every place, groups spread and looped over anywhere."""

    spreads_anywhere: bool = False
    groups_anywhere: bool = False


DECLARED = Space()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to keep one tensor under given loops: the nodes, and what this tensor alone costs and needs."""

    plan: tuple[Plan, ...]
    energy: float
    tiles: dict[str, int]
    loads: dict[Port, float]


@dataclass(slots=True)
class Least:
    """The least value found, the mapping that has it, and how many mappings fit and don't."""

    value: float = math.inf
    mapping: Mapping | None = None
    legal: int = 0
    overfull: int = 0


def brute_force(nest: Nest, machine: Accelerator, bits: Bits, objective: str = "energy", space: Space = DECLARED) -> Least:
    """The least energy, latency or energy × latency over all mappings in ``space``."""
    least = Least()
    compute = nest.macs * machine.mac.at(bits)
    for levels, across, loops in skeletons(nest, machine, objective, space):
        ways = _ways(nest, machine, bits, levels, across, loops, objective, space)
        energy = compute + _summed([[way.energy for way in mine] for mine in ways])
        fits = np.ones(energy.shape, dtype=bool)
        for level in machine.levels:
            if level.usable_bits is not None:
                fits &= _summed([[way.tiles.get(level.name, 0) for way in mine] for mine in ways]) <= level.usable_bits
        value = energy
        if objective != "energy":
            steps = float(math.prod(loop.extent // loop.tile for loop in loops))
            cycles = np.full(energy.shape, steps)
            for port in _ports(machine):
                cycles = np.maximum(cycles, _summed([[way.loads.get(port, 0.0) for way in mine] for mine in ways]))
            value = cycles if objective == "latency" else energy * cycles
        least.legal += int(fits.sum())
        least.overfull += int((~fits).sum())
        value = np.where(fits, value, math.inf)
        best = np.unravel_index(int(value.argmin()), value.shape)
        if value[best] < least.value:
            least.value = float(value[best])
            chosen = [ways[t][i].plan for t, i in enumerate(best)]
            least.mapping = whole_mapping(machine, levels, chosen)
    return least


def one_by_one(nest: Nest, machine: Accelerator, bits: Bits, objective: str = "energy", space: Space = DECLARED) -> Least:
    """The same without any help: every mapping written down whole, tried for legality and costed on its own."""
    least = Least()
    for mapping in all_mappings(nest, machine, objective, space):
        try:
            check_legal(nest, machine, mapping, bits)
        except MappingError as error:
            if "holds" not in error.message:
                raise
            least.overfull += 1
            continue
        least.legal += 1
        costed = evaluate(nest, machine, bits, mapping)
        value = objective_value(objective, costed.energy, costed.cycles)
        if value < least.value:
            least.value, least.mapping = value, mapping
    return least


def all_mappings(nest: Nest, machine: Accelerator, objective: str, space: Space = DECLARED) -> Iterator[Mapping]:
    """Every mapping of the space, those too that are too large for some level."""
    for levels, across, loops in skeletons(nest, machine, objective, space):
        for chosen in itertools.product(*_plans(machine, levels, across, loops, space)):
            yield whole_mapping(machine, levels, list(chosen))


def size_of(nest: Nest, machine: Accelerator, objective: str = "energy", space: Space = DECLARED) -> int:
    """How many calls of ``count_traffic`` a brute force over this case takes, roughly."""
    total = 0
    orders: dict[tuple[int, ...], int] = {}
    for levels in level_choices(machine):
        widest = max(len(path) for path in levels.values()) - 1
        for across in assignments(nest, machine, spread_groups(objective, space)):
            left = _left(nest, across)
            if left not in orders:
                orders[left] = sum(1 for _ in loop_orders(dict(zip(DIMS, left, strict=True)), space))
            depth = sum(sum(_prime_factors(n)) for n in left)
            places = math.comb(depth + widest, widest)
            total += orders[left] * places * ((depth + 2) ** len(across) if space.spreads_anywhere else 1)
    return total


def sampled_mapping(rng: random.Random, nest: Nest, machine: Accelerator, objective: str, space: Space = DECLARED) -> Mapping:
    """Any mapping of the space, legal or too large for some level."""
    levels, across, loops = rng.choice(list(skeletons(nest, machine, objective, space)))
    return whole_mapping(machine, levels, [rng.choice(plans) for plans in _plans(machine, levels, across, loops, space)])


# The pieces of the space ----------------------------------------------------------------------------------------------


def skeletons(
    nest: Nest, machine: Accelerator, objective: str, space: Space
) -> Iterator[tuple[dict[str, tuple[str, ...]], tuple[Across, ...], tuple[InTime, ...]]]:
    """Every choice of levels with every spatial assignment with every order of loops."""
    for levels in level_choices(machine):
        for across in assignments(nest, machine, spread_groups(objective, space)):
            left = dict(zip(DIMS, _left(nest, across), strict=True))
            for loops in loop_orders(left, space):
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


def assignments(nest: Nest, machine: Accelerator, groups: bool) -> Iterator[tuple[Across, ...]]:
    """Every factor of every dimension on every axis, as long as the axes and the dimensions allow it."""
    slots = [(d, f.name, axis) for f in machine.fanouts for axis in f.axes for d in axis.dims if groups or d != "G"]

    def extend(chosen: tuple[Across, ...], rest: list[tuple[str, str, object]]) -> Iterator[tuple[Across, ...]]:
        if not rest:
            yield chosen
            return
        dim, fanout, axis = rest[0]
        taken = math.prod(a.factor for a in chosen if a.dim == dim)
        used = math.prod(a.factor for a in chosen if (a.fanout, a.axis) == (fanout, axis.name))
        for factor in range(1, axis.size // used + 1):
            if nest.dims[dim] % (taken * factor) == 0:
                more = (Across(dim, factor, fanout, axis.name),) if factor > 1 else ()
                yield from extend(chosen + more, rest[1:])

    yield from extend((), slots)


def loop_orders(left: dict[str, int], space: Space) -> Iterator[tuple[InTime, ...]]:
    """Every list of loops, outermost first, that takes every dimension from ``left`` to 1 in divisors."""
    if left["G"] > 1 and not space.groups_anywhere:
        for loops in loop_orders({**left, "G": 1}, space):
            yield (InTime("G", left["G"], 1), *loops)
        return
    if all(n == 1 for n in left.values()):
        yield ()
        return
    for dim, extent in left.items():
        for tile in range(1, extent):
            if extent % tile == 0:
                for inner in loop_orders({**left, dim: tile}, space):
                    yield (InTime(dim, extent, tile), *inner)


def _plans(
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
    for fanout in machine.fanouts:
        mine = [node for node in across if node.fanout == fanout.name]
        if mine:
            options.append([(slot, mine) for slot in _spread_slots(machine, levels, plan, fanout.name)])
    for chosen in itertools.product(*options):
        yield _inserted(plan, list(chosen))


def _spread_slots(
    machine: Accelerator, levels: dict[str, tuple[str, ...]], plan: tuple[Plan, ...], fanout: str
) -> list[int]:
    """Directly above the outermost keep of inputs inside the fan-out, and directly above the loop along which that tile slides."""
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


# From plans to mappings -----------------------------------------------------------------------------------------------


def whole_mapping(machine: Accelerator, levels: dict[str, tuple[str, ...]], chosen: list[tuple[Plan, ...]]) -> Mapping:
    """The mapping that keeps every tensor as its own plan says; all plans have the same loops, that of the inputs the spreads."""
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
    """Chunk sizes from extents per array position: what a node's chunk covers is what the spreads inside widen it to."""
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


# What a plan costs ----------------------------------------------------------------------------------------------------


def _ways(
    nest: Nest,
    machine: Accelerator,
    bits: Bits,
    levels: dict[str, tuple[str, ...]],
    across: tuple[Across, ...],
    loops: tuple[InTime, ...],
    objective: str,
    space: Space,
) -> list[list[Way]]:
    """Every way to keep weights, inputs, outputs under these loops, each costed once."""
    plans = _plans(machine, levels, across, loops, space)
    ways: list[list[Way]] = [[], [], []]
    for i in range(max(map(len, plans))):
        chosen = [mine[min(i, len(mine) - 1)] for mine in plans]
        mapping = whole_mapping(machine, levels, chosen)
        energy = dict.fromkeys(TENSORS, 0.0)
        loads: dict[str, dict[Port, float]] = {t: {} for t in TENSORS}
        for count in count_traffic(nest, machine, mapping, bits).counts:
            energy[count.tensor] += access_energy(machine.level(count.level), count, bits)
        for level, _ in _ports(machine) if objective != "energy" else ():
            for count in count_traffic(nest, machine, mapping, bits, busiest=level).counts:
                if count.level == level:
                    loads[count.tensor].update(_loads(machine, count, bits))
        tiles = tile_bits(nest, machine, mapping, bits)
        for t, tensor in enumerate(TENSORS):
            if i < len(plans[t]):
                inner = {name: tiles[name, tensor] for name in levels[tensor][1:]}
                ways[t].append(Way(plan=chosen[t], energy=energy[tensor], tiles=inner, loads=loads[tensor]))
    return ways


def _ports(machine: Accelerator) -> list[Port]:
    ports = [(level.name, "reads") for level in machine.levels if level.read_bits_per_cycle is not None]
    return ports + [(level.name, "writes") for level in machine.levels if level.write_bits_per_cycle is not None]


def _loads(machine: Accelerator, count: object, bits: Bits) -> dict[Port, float]:
    moved = direction_bits(count, bits)  # type: ignore[arg-type]
    level = machine.level(count.level)  # type: ignore[attr-defined]
    loads: dict[Port, float] = {}
    if level.read_bits_per_cycle is not None:
        loads[level.name, "reads"] = moved["read"] / level.read_bits_per_cycle
    if level.write_bits_per_cycle is not None:
        loads[level.name, "writes"] = (moved["write"] + moved["update"]) / level.write_bits_per_cycle
    return loads


def _summed(parts: list[list[float]]) -> np.ndarray:
    """``[weights, inputs, outputs]``: the sum for every combination of ways."""
    a, b, c = (np.array(part) for part in parts)
    return a[:, None, None] + b[None, :, None] + c[None, None, :]


def _left(nest: Nest, across: tuple[Across, ...]) -> tuple[int, ...]:
    """Extents per array position, in the order of the loop letters."""
    return tuple(size // math.prod(a.factor for a in across if a.dim == d) for d, size in nest.dims.items())


def _prime_factors(n: int) -> list[int]:
    """One entry of 1 per prime factor."""
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(1)
            n //= p
        p += 1
    return found
