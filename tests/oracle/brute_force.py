"""The least cost over every mapping of a tiny layer: the oracle for what the search calls the optimum.

The mappings are those of ``map_space.py``; no closed form and no bound of the search is used. Two things keep it
feasible, neither of them clever:

* A tensor's counts and tile sizes don't depend on where the other tensors are kept. So the keeps of the three tensors
  are costed side by side, one call of ``count_traffic`` for one way to keep each, and only then combined: all with all,
  tiles added up level by level.
* For energy, groups are not spread, and their loop is the outermost one, as declared. ``Space.groups_anywhere`` lifts
  that.

``one_by_one`` does without the first; ``test_brute_force.py`` holds the two against each other, and samples against the
executing oracle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from oracle.map_space import (
    DECLARED,
    Across,
    InTime,
    Plan,
    Space,
    all_mappings,
    assignments,
    left_over,
    level_choices,
    loop_orders,
    plans_of,
    skeletons,
    spread_groups,
    whole_mapping,
)

from picojoule.cost.energy import access_energy, direction_bits
from picojoule.cost.traffic import Count, count_traffic
from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.legality import broken_rules, check_legal, tile_bits
from picojoule.mapping.mapping import Mapping
from picojoule.search.costed import evaluate, objective_value
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

Port = tuple[str, str]
"""A level and one of its ports: ``reads`` or ``writes``, with a tensor if it is for that one alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to keep one tensor under given loops: the nodes, and what this tensor alone costs and needs.

    ``allowed`` is False where the tile of a latch is more than one element, or a rule for tiles is broken.
    """

    plan: tuple[Plan, ...]
    energy: float
    tiles: dict[str, int]
    allowed: bool
    loads: dict[Port, float]


@dataclass(slots=True)
class Least:
    """The least value found, the mapping that has it, and how many mappings fit and don't."""

    value: float = math.inf
    mapping: Mapping | None = None
    legal: int = 0
    overfull: int = 0


def brute_force(
    nest: Nest, machine: Accelerator, bits: Bits, objective: str = "energy", space: Space = DECLARED
) -> Least:
    """The least energy, latency or energy × latency over all mappings in ``space``."""
    least = Least()
    compute = nest.macs * machine.mac_energy(bits)
    for levels, across, loops in skeletons(nest, machine, objective, space):
        ways = _ways(nest, machine, bits, levels, across, loops, objective, space)
        energy = compute + _summed([[way.energy for way in mine] for mine in ways])
        fits = _summed([[0 if way.allowed else 1 for way in mine] for mine in ways]) == 0
        for level in machine.levels:
            if level.usable_bits is not None:
                fits &= _summed([[way.tiles.get(level.name, 0) for way in mine] for mine in ways]) <= level.usable_bits
        value = energy
        if objective != "energy":
            steps = float(math.prod(left_over(nest, across)))
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


def brute_front(nest: Nest, machine: Accelerator, bits: Bits, space: Space = DECLARED) -> list[tuple[float, float]]:
    """(cycles, energy) of all mappings that fit and that none beats in both, from the fastest to the dearest in time."""
    points: set[tuple[float, float]] = set()
    compute = nest.macs * machine.mac_energy(bits)
    for levels, across, loops in skeletons(nest, machine, "latency", space):
        ways = _ways(nest, machine, bits, levels, across, loops, "latency", space)
        energy = compute + _summed([[way.energy for way in mine] for mine in ways])
        fits = np.ones(energy.shape, dtype=bool)
        for level in machine.levels:
            if level.usable_bits is not None:
                fits &= _summed([[way.tiles.get(level.name, 0) for way in mine] for mine in ways]) <= level.usable_bits
        cycles = np.full(energy.shape, float(math.prod(left_over(nest, across))))
        for port in _ports(machine):
            cycles = np.maximum(cycles, _summed([[way.loads.get(port, 0.0) for way in mine] for mine in ways]))
        points.update(zip(cycles[fits].tolist(), energy[fits].tolist(), strict=True))
    front: list[tuple[float, float]] = []
    for at, needed in sorted(points):
        if not front or needed < front[-1][1] * (1 - 1e-9):
            front.append((at, needed))
    return front


def one_by_one(
    nest: Nest, machine: Accelerator, bits: Bits, objective: str = "energy", space: Space = DECLARED
) -> Least:
    """The same without any help: every mapping written down whole, tried for legality and costed on its own."""
    least = Least()
    for mapping in all_mappings(nest, machine, objective, space):
        try:
            check_legal(nest, machine, mapping, bits)
        except MappingError as error:
            if not any(word in error.message for word in ("holds", "wants")):
                raise
            least.overfull += 1
            continue
        least.legal += 1
        costed = evaluate(nest, machine, bits, mapping)
        value = objective_value(objective, costed.energy, costed.cycles)
        if value < least.value:
            least.value, least.mapping = value, mapping
    return least


def size_of(nest: Nest, machine: Accelerator, objective: str = "energy", space: Space = DECLARED) -> int:
    """How many calls of ``count_traffic`` a brute force over this case takes, roughly."""
    total = 0
    orders: dict[tuple[int, ...], int] = {}
    for levels in level_choices(machine):
        widest = max(len(path) for path in levels.values()) - 1
        for across in assignments(nest, machine, spread_groups(objective, space), space.imperfect):
            left = left_over(nest, across)
            if left not in orders:
                orders[left] = sum(1 for _ in loop_orders(dict(zip(DIMS, left, strict=True)), space))
            depth = sum(sum(_prime_factors(n)) for n in left)
            places = math.comb(depth + widest, widest)
            total += orders[left] * places * ((depth + 2) ** len(across) if space.spreads_anywhere else 1)
    return total


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
    plans = plans_of(machine, levels, across, loops, space)
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
        broken = {rule.tensor for _, rule, _, _ in broken_rules(nest, machine, mapping)}
        for t, tensor in enumerate(TENSORS):
            if i < len(plans[t]):
                inner = {name: tiles[name, tensor] for name in levels[tensor][1:]}
                allowed = all(n == bits.stored(tensor) or not machine.level(name).latch for name, n in inner.items())
                allowed &= tensor not in broken
                ways[t].append(
                    Way(plan=chosen[t], energy=energy[tensor], tiles=inner, allowed=allowed, loads=loads[tensor])
                )
    return ways


def _ports(machine: Accelerator) -> list[Port]:
    ports = [(level.name, "reads") for level in machine.levels if level.read_bits_per_cycle is not None]
    ports += [(level.name, "writes") for level in machine.levels if level.write_bits_per_cycle is not None]
    ports += [(level.name, way) for level in machine.levels if _wires(level) for way in ("arrivals", "departures")]
    return ports + [
        (level.name, f"{port.direction}s {port.tensors[0]}") for level in machine.levels for port in level.own_ports
    ]


def _loads(machine: Accelerator, count: Count, bits: Bits) -> dict[Port, float]:
    moved = direction_bits(count, bits)
    level = machine.level(count.level)
    loads: dict[Port, float] = {}
    for way, shared in (("read", level.read_bits_per_cycle), ("write", level.write_bits_per_cycle)):
        through = sum(n for d, n in moved.items() if (d in ("read", "return")) == (way == "read"))
        own = [p for p in level.own_ports if p.direction == way and p.tensors == (count.tensor,)]
        if own:
            loads[level.name, f"{way}s {count.tensor}"] = through / own[0].bits_per_cycle
        elif shared is not None:
            loads[level.name, f"{way}s"] = through / shared
    if _wires(level):
        loads[level.name, "arrivals"] = moved.get("write", 0) / _wires(level)
        loads[level.name, "departures"] = moved["read"] / _wires(level) if count.tensor == "outputs" else 0.0
    return loads


def _wires(level: Level) -> float:
    """Bits per cycle of the link to a level; 0 where there is none, or no limit."""
    return (level.link and level.link.bits_per_cycle) or 0.0


def _summed(parts: list[list[float]]) -> np.ndarray:
    """``[weights, inputs, outputs]``: the sum for every combination of ways."""
    a, b, c = (np.array(part) for part in parts)
    return a[:, None, None] + b[None, :, None] + c[None, None, :]


def _prime_factors(n: int) -> list[int]:
    """One entry of 1 per prime factor."""
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(1)
            n //= p
        p += 1
    return found
