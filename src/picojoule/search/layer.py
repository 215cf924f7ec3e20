"""The best mapping of one layer: every spatial assignment in turn, the best nest for each by a shortest chain.

``search_layer`` proves what it returns, or says how far the proof got.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from picojoule.cost.energy import access_energy, latency_cycles
from picojoule.cost.floor import Floor, floor
from picojoule.cost.traffic import Traffic, count_traffic
from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.legality import tile_bits
from picojoule.mapping.mapping import Keep, Loop, Mapping
from picojoule.search.assignment import spatial_assignments
from picojoule.search.chain import shortest_chain, trace
from picojoule.search.nesting import build_mapping
from picojoule.search.policy import Exact
from picojoule.search.problem import Problem
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

TIE = 1e-12
"""Costs closer than this, relatively, count as equal: the order of additions may differ that much."""

SPACE = (
    "exact factors of every dimension; any dimensions on any array axis; a tile boundary of its own for every tensor and level; every loop order; bypass as the machine allows"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """A mapping with what it costs: energy in the table's unit, latency in cycles, and what takes that time."""

    mapping: Mapping
    traffic: Traffic
    energy: float
    cycles: float
    slowest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search of one layer came to.

    Attributes:
        best: the best mapping found.
        value, bound: of the objective; no mapping in the space beats ``bound``.
        bound_energy: no mapping in the space needs less energy; equals the floor's where energy was not the objective.
        status: ``PROVED``, ``GAP_OPEN`` or ``INTERRUPTED``.
        visited, pruned: spatial assignments solved, and set aside by a bound.
    """

    best: Costed
    value: float
    bound: float
    bound_energy: float
    status: str
    visited: int
    pruned: int
    floor: Floor


def evaluate(nest: Nest, accelerator: Accelerator, bits: Bits, mapping: Mapping) -> Costed:
    """What a legal mapping costs."""
    traffic = count_traffic(nest, accelerator, mapping, bits)
    parts = [access_energy(accelerator.level(count.level), count, bits) for count in traffic.counts]
    energy = math.fsum([*parts, nest.macs * accelerator.mac.at(bits)])
    cycles, slowest = latency_cycles(nest, accelerator, mapping, traffic, bits)
    return Costed(mapping=mapping, traffic=traffic, energy=energy, cycles=cycles, slowest=slowest)


def objective_value(objective: str, energy: float, cycles: float) -> float:
    """Energy, cycles, or their product for ``edp``."""
    return {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]


def plain_mapping(nest: Nest, accelerator: Accelerator) -> Mapping:
    """One MAC at a time, every tile a single element: it fits wherever anything fits."""
    keeps = [Keep(level.name, t) for level in accelerator.levels for t in level.keeps]
    homes = [keep for keep in keeps if accelerator.home(keep.tensor).name == keep.level]
    loops = [Loop(d, 1) for d in DIMS if getattr(nest, d) > 1]
    return Mapping((*homes, *loops, *(keep for keep in keeps if keep not in homes)))


def unsearched(nest: Nest, bits: Bits, accelerator: Accelerator, objective: str) -> Found:
    """A layer that the search never came to: the plain mapping, with the floor as its bound."""
    best = evaluate(nest, accelerator, bits, plain_mapping(nest, accelerator))
    least = floor(nest, accelerator, bits)
    value = objective_value(objective, best.energy, best.cycles)
    return Found(
        best=best,
        value=value,
        bound=min(objective_value(objective, least.energy, least.cycles), value),
        bound_energy=min(least.energy, best.energy),
        status="INTERRUPTED",
        visited=0,
        pruned=0,
        floor=least,
    )


def search_layer(
    nest: Nest,
    accelerator: Accelerator,
    bits: Bits,
    objective: str = "energy",
    policy: Exact | None = None,
    on_progress: Callable[[float, float, int], None] | None = None,
) -> Found:
    """The best mapping of ``nest`` on ``accelerator`` for ``objective``.

    Args:
        nest, accelerator, bits: the layer, the machine, the widths.
        objective: ``energy``, ``latency`` or ``edp``.
        policy: when to stop.
        on_progress: called now and then with (value, bound, visited).

    Raises:
        HardwareError: not even single elements fit into the machine's memories.
    """
    return _Search(nest, accelerator, bits, objective, policy or Exact(), on_progress).run()


class _Search:
    """One search: the best so far, the bound so far, and the clock."""

    def __init__(
        self,
        nest: Nest,
        accelerator: Accelerator,
        bits: Bits,
        objective: str,
        policy: Exact,
        on_progress: Callable[[float, float, int], None] | None,
    ) -> None:
        self.nest, self.accelerator, self.bits = nest, accelerator, bits
        self.objective, self.policy, self.on_progress = objective, policy, on_progress
        self.floor = floor(nest, accelerator, bits)
        self.compute = nest.macs * accelerator.mac.at(bits)
        self.best: Costed | None = None
        self.value = math.inf
        self.bound = math.inf  # least of what was proved for the assignments looked at
        self.visited = self.pruned = 0
        self.table = np.empty((1, 1))
        self.problems: dict[tuple[object, ...], Problem] = {}

    def run(self) -> Found:
        started, told, status = time.perf_counter(), 0.0, "PROVED"
        try:
            self._check_room()
            for paths, assignment, least in self._assignments():
                goal = max(least, objective_value(self.objective, self.floor.energy, self.floor.cycles))
                if self._settled(goal):
                    # Assignments come by rising bound where bounds differ, so all that follow are settled, too.
                    self.pruned += self.left
                    self.bound = min(self.bound, max(goal, self.value * (1 - self.policy.gap)))
                    break
                self.left -= 1
                elapsed = time.perf_counter() - started
                if self.best is not None and self._out_of_budget(elapsed):
                    self.bound = min(self.bound, goal)
                    status = "GAP_OPEN"
                    break
                self._visit(paths, assignment)
                if self.on_progress and elapsed - told > 0.1:
                    told = elapsed
                    self.on_progress(self.value, min(goal, self.value), self.visited)
        except KeyboardInterrupt:
            status, self.bound = "INTERRUPTED", -math.inf
            if self.best is None:
                self._offer(evaluate(self.nest, self.accelerator, self.bits, plain_mapping(self.nest, self.accelerator)))
        return self._found(status)

    def _found(self, status: str) -> Found:
        assert self.best is not None
        at_least = objective_value(self.objective, self.floor.energy, self.floor.cycles)
        bound = min(max(self.bound, at_least), self.value)
        if bound >= self.value * (1 - TIE):
            bound, status = self.value, "PROVED"
        elif status == "PROVED":
            status = "GAP_OPEN"
        bound_energy = bound if self.objective == "energy" else min(self.floor.energy, self.best.energy)
        return Found(
            best=self.best,
            value=self.value,
            bound=bound,
            bound_energy=bound_energy,
            status=status,
            visited=self.visited,
            pruned=self.pruned,
            floor=self.floor,
        )

    def _check_room(self) -> None:
        tiles = tile_bits(self.nest, self.accelerator, plain_mapping(self.nest, self.accelerator), self.bits)
        for level in self.accelerator.levels:
            held = {t: tiles[level.name, t] for t in level.keeps if self.accelerator.home(t) is not level}
            if level.usable_bits is not None and sum(held.values()) > level.usable_bits:
                raise HardwareError(
                    f"{level.name} has {level.usable_bits} usable bits, one element of {' and '.join(held)} needs {sum(held.values())}",
                    where=self.accelerator.name,
                    hint="Use narrower elements (--bits) or a larger memory.",
                )

    # The order in which assignments are looked at ------------------------------------------------------------------

    def _assignments(self) -> Iterator[tuple[dict[str, tuple[Level, ...]], np.ndarray, float]]:
        """Every choice of levels with every spatial assignment, and a bound on it; bounds rise."""
        # A loop over groups selects elements of every tensor: for energy it may as well be the outermost loop in time.
        frozen = frozenset("G") if self.objective == "energy" else frozenset()
        ways = spatial_assignments(self.nest, self.accelerator, frozen)
        factors = ways.prod(axis=1)
        steps = np.prod(np.array([getattr(self.nest, d) for d in DIMS]) // factors, axis=1, dtype=np.float64)
        if self.objective == "energy":
            least = np.full(len(ways), self.floor.energy)
        elif self.objective == "latency":
            least = np.maximum(steps, self.floor.cycles)
        else:
            least = self.floor.energy * np.maximum(steps, self.floor.cycles)
        choices = list(_level_choices(self.accelerator))
        self.left = len(ways) * len(choices)
        for index in np.lexsort((steps, least)):
            for paths in choices:
                yield paths, ways[index], float(least[index])

    def _settled(self, least: float) -> bool:
        if self.best is None:
            return False
        if self.objective == "latency":
            return least > self.value * (1 + TIE) or (self.policy.gap > 0 and least >= self.value * (1 - self.policy.gap))
        return least >= self.value * (1 - max(TIE, self.policy.gap))

    def _out_of_budget(self, elapsed: float) -> bool:
        limit = self.policy
        over_time = limit.time_limit_s is not None and elapsed > limit.time_limit_s
        return over_time or (limit.node_limit is not None and self.visited >= limit.node_limit)

    # One assignment ---------------------------------------------------------------------------------------------------

    def _visit(self, paths: dict[str, tuple[Level, ...]], assignment: np.ndarray) -> None:
        self.visited += 1
        steps = math.prod(getattr(self.nest, d) // int(assignment[:, i].prod()) for i, d in enumerate(DIMS))
        energy_problem = self._problem(paths, "energy", None)
        limit = {"energy": self.value, "edp": self.value / steps, "latency": math.inf}[self.objective]
        if self.objective == "latency" and self.best is not None and self.best.cycles <= max(steps, self.floor.cycles):
            limit = self.best.energy  # as fast as can be already: only less energy would be better
        energy, mapping = self._solve(energy_problem, assignment, limit - self.compute)
        if mapping is None:
            self.pruned += 1
            self.bound = min(self.bound, self.value)
            return
        costed = evaluate(self.nest, self.accelerator, self.bits, mapping)
        self._offer(costed)
        energy = min(energy + self.compute, costed.energy)
        if self.objective == "energy":
            self.bound = min(self.bound, energy if energy < costed.energy * (1 - TIE) else costed.energy)
            return
        cycles = max(float(steps), self.floor.cycles)
        if costed.cycles > cycles * (1 + TIE):
            cycles = max(cycles, self._port_bound(paths, assignment, costed))
        self.bound = min(self.bound, objective_value(self.objective, energy, cycles))

    def _port_bound(self, paths: dict[str, tuple[Level, ...]], assignment: np.ndarray, costed: Costed) -> float:
        """Least time of the port that slowed ``costed`` down, over all nests of this assignment; offers the nest that reaches it."""
        problem = self._problem(paths, costed.slowest, assignment)
        cycles, mapping = self._solve(problem, assignment, math.inf)
        if mapping is not None:
            self._offer(evaluate(self.nest, self.accelerator, self.bits, mapping))
        return cycles

    def _problem(self, paths: dict[str, tuple[Level, ...]], goal: str, assignment: np.ndarray | None) -> Problem:
        factors = () if assignment is None else tuple(assignment.ravel().tolist())
        key = (goal, factors, *(level.name for t in TENSORS for level in paths[t]))
        if key not in self.problems:
            price = Level.energy_per_bit
            if goal != "energy":
                assert assignment is not None
                price = _port_price(self.accelerator, goal, assignment)
            problem = Problem(self.nest, self.accelerator, self.bits, paths, price)
            if goal != "energy":
                return problem
            self.problems[key] = problem
        return self.problems[key]

    def _solve(self, problem: Problem, assignment: np.ndarray, limit: float) -> tuple[float, Mapping | None]:
        """``(least cost, mapping)`` below ``limit``; the cost leaves out the MACs; no mapping if there is none below."""
        full = [place.level.usable_bits for place in problem.places]
        room = np.array([math.inf if bits is None else float(bits) for bits in full])
        best, mapping = limit, None
        stack = [(room, np.zeros(len(room)))]
        while stack:
            room, used_at_least = stack.pop()
            chain = problem.chain(assignment, room)
            points = int(np.prod(chain.count))
            states = int(np.prod(problem.keeps + 1))
            if self.table.shape[0] < states or self.table.shape[1] < points:
                self.table = np.empty((states, points))
            bar = best - chain.constant
            cost = shortest_chain(*chain.arrays, bar - TIE * abs(bar) if math.isfinite(bar) else bar, self.table)
            if not math.isfinite(cost):
                continue
            found = np.full((len(problem.places), 10), -1, dtype=np.int64)
            trace(*chain.arrays[:12], self.table, found)
            split = _overfull(problem, chain.arrays, found, used_at_least)
            if split is not None:
                for smaller, larger in _halves(problem, room, used_at_least, *split):
                    stack.append((smaller, larger))
                continue
            homes = {t: problem.paths[t][0].name for t in TENSORS}
            best = cost + chain.constant
            mapping = build_mapping(
                self.nest, self.accelerator, problem.places, homes, assignment, chain.extents, found
            )
        return best, mapping

    def _offer(self, costed: Costed) -> None:
        value = objective_value(self.objective, costed.energy, costed.cycles)
        better = value < self.value * (1 - TIE)
        cheaper = value <= self.value * (1 + TIE) and self.best is not None and costed.energy < self.best.energy
        if self.best is None or better or (self.objective != "energy" and cheaper):
            self.best, self.value = costed, value


def _level_choices(accelerator: Accelerator) -> Iterator[dict[str, tuple[Level, ...]]]:
    """The levels that hold each tensor, for every use of those that may be passed by."""
    optional = [(level.name, t) for level in accelerator.levels for t in level.may_keep]
    for used in itertools.product((True, False), repeat=len(optional)):
        chosen = {pair for pair, use in zip(optional, used, strict=True) if use}
        yield {
            t: tuple(level for level in accelerator.levels if t in level.keeps or (level.name, t) in chosen)
            for t in TENSORS
        }


def _port_price(accelerator: Accelerator, port: str, assignment: np.ndarray) -> Callable[[Level, str, str], float]:
    """Cycles of one port per bit moved, over the instances that this assignment uses."""
    name, direction = port.rsplit(" ", 1)
    level = accelerator.level(name)
    outside, axis, instances = accelerator.fanouts_outside(name), 0, 1
    for fanout in accelerator.fanouts:
        for _ in fanout.axes:
            if fanout.name in outside:
                instances *= int(assignment[axis].prod())
            axis += 1
    rate = level.read_bits_per_cycle if direction == "reads" else level.write_bits_per_cycle
    assert rate is not None

    def price(at: Level, moved: str, tensor: str) -> float:
        counted = at is level and (moved == "read") == (direction == "reads")
        return 1.0 / (rate * instances) if counted else 0.0

    return price


def _overfull(
    problem: Problem, arrays: tuple[object, ...], found: np.ndarray, used_at_least: np.ndarray
) -> tuple[list[int], list[float]] | None:
    """The places of the first level whose tiles don't fit together, and the bits of each; None if all fit."""
    size_along, size_rows, size_columns = arrays[13], arrays[14], arrays[15]
    for level in {place.level.name: place.level for place in problem.places}.values():
        mine = [m for m, place in enumerate(problem.places) if place.level is level]
        if level.usable_bits is None or len(mine) < 2:
            continue
        used = [_tile(found[m], m, size_along, size_rows, size_columns) for m in mine]
        if sum(used) > level.usable_bits:
            return mine, used
    return None


def _tile(point: np.ndarray, m: int, along: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    size = along[m, 0, point[0]] * along[m, 1, point[1]] * along[m, 2, point[2]]
    return float(size * rows[m, point[3], point[5]] * columns[m, point[4], point[6]])


def _halves(
    problem: Problem, room: np.ndarray, used_at_least: np.ndarray, mine: list[int], used: list[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two rooms that cover every way to share the level without the one that overfills it.

    One place is chosen and its tile is either at most k bits, or larger: then the others have so much less.
    """
    cap = problem.places[mine[0]].level.usable_bits
    assert cap is not None
    chosen = max(range(len(mine)), key=lambda i: used[i] - used_at_least[mine[i]])
    m = mine[chosen]
    others = sum(max(used[i], used_at_least[mine[i]]) for i in range(len(mine)) if i != chosen)
    k = math.floor((max(cap - others, used_at_least[m]) + used[chosen] - 1) / 2)
    small = room.copy()
    small[m] = k
    least = used_at_least.copy()
    least[m] = k + 1
    rest = room.copy()
    for i in mine:
        if i != m:
            rest[i] = min(rest[i], cap - sum(least[j] for j in mine if j != i))
    return [(small, used_at_least), (rest, least)]
