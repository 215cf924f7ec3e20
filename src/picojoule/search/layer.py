"""The best mapping of one layer: every spatial assignment in turn, the best nest for each by a shortest chain.

``search_layer`` proves what it returns, or says how far the proof got.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import numpy as np

from picojoule.cost.floor import floor
from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.legality import tile_bits
from picojoule.mapping.mapping import Mapping
from picojoule.search.assignment import spatial_assignments
from picojoule.search.costed import TIE, Costed, Found, evaluate, objective_value, plain_mapping, unsearched
from picojoule.search.nesting import build_mapping
from picojoule.search.policy import Exact
from picojoule.search.problem import Price, Problem
from picojoule.search.sharing import halves, overfull
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

SLICE = 64
"""Assignments between two looks at the clock."""


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
        HardwareError: not even single elements fit into the machine's memories, or its rules leave no mapping.
    """
    return _Search(nest, accelerator, bits, objective, policy or Exact(), on_progress).run()


def first_legal(nest: Nest, accelerator: Accelerator, bits: Bits, objective: str = "energy") -> Costed:
    """The first mapping that a search comes across, however good.

    Raises:
        HardwareError: as for ``search_layer``.
    """
    search = _Search(nest, accelerator, bits, objective, Exact(node_limit=1), None)
    search.look()
    assert search.best is not None
    return search.best


class _Search:
    """One search: the best so far, the bound so far, and the clock.

    For the objective energy the assignments are swept in the order of a lower bound on their energy. For latency and
    the energy–delay product an
    assignment fixes the steps of the compute, and they are visited one by one in the order of what that makes of the
    floor.
    """

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
        self.at_least = objective_value(objective, self.floor.energy, self.floor.cycles)
        self.compute = nest.macs * accelerator.mac.at(bits)
        self.best: Costed | None = None
        self.value = math.inf
        self.bound = math.inf  # least of what was proved for the assignments looked at or set aside
        self.tally = np.zeros(2, dtype=np.int64)
        self.started, self.told = time.perf_counter(), 0.0

    def run(self) -> Found:
        try:
            status = "PROVED" if self.look() else "GAP_OPEN"
        except KeyboardInterrupt:
            status, self.bound = "INTERRUPTED", -math.inf
            if self.best is None:
                self._offer(unsearched(self.nest, self.bits, self.accelerator, self.objective).best)
        return self._found(status)

    def look(self) -> bool:
        """Goes through the spatial assignments; says whether it came to the end of them."""
        self._check_room()
        # A loop over groups selects elements of every tensor: for energy it may as well be the outermost loop
        # in time.
        frozen = frozenset("G") if self.objective == "energy" else frozenset()
        ways = spatial_assignments(self.nest, self.accelerator, frozen, imperfect=False)
        choices = list(_level_choices(self.accelerator))
        complete = (self._by_energy if self.objective == "energy" else self._by_time)(ways, choices)
        if self.best is None:
            self._refuse_rules()
        return complete

    def _found(self, status: str) -> Found:
        assert self.best is not None
        bound = min(max(self.bound, self.at_least), self.value)
        if bound >= self.value * (1 - TIE):
            bound = self.value
            status = "INTERRUPTED" if status == "INTERRUPTED" else "PROVED"  # who interrupts wants the rest to stop, too
        elif status == "PROVED":
            status = "GAP_OPEN"
        bound_energy = bound if self.objective == "energy" else min(self.floor.energy, self.best.energy)
        return Found(
            best=self.best,
            value=self.value,
            bound=bound,
            bound_energy=bound_energy,
            status=status,
            visited=int(self.tally[0]),
            pruned=int(self.tally[1]),
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

    def _refuse_rules(self) -> NoReturn:
        rules = [
            f"{level.name} ({', '.join(f'{rule.tensor} {rule}' for rule in level.tiles)})"
            for level in self.accelerator.levels
            if level.tiles
        ]
        raise HardwareError(
            f"no mapping obeys the rules for tiles of {' and '.join(rules)} and fits into the memories",
            where=self.accelerator.name,
            hint="Loosen a rule, let an array take more dimensions, or make a memory larger. "
            "Every tile is one group (G = 1) unless groups are spread, which the search doesn't do for energy.",
        )

    def _out_of_budget(self) -> bool:
        elapsed = time.perf_counter() - self.started
        if self.on_progress and self.best and elapsed - self.told > 0.1:
            self.told = elapsed
            self.on_progress(self.value, min(max(self.bound, self.at_least), self.value), int(self.tally[0]))
        limit = self.policy
        over_time = limit.time_limit_s is not None and elapsed > limit.time_limit_s
        over_nodes = limit.node_limit is not None and self.tally[0] >= limit.node_limit
        return self.best is not None and (over_time or over_nodes)

    def _goal(self) -> float:
        """Whatever can't get below this needs no look."""
        return self.value * (1 - max(TIE, self.policy.gap))

    # Energy -----------------------------------------------------------------------------------------------------------

    def _by_energy(self, ways: np.ndarray, choices: list[dict[str, tuple[Level, ...]]]) -> bool:
        """Sweeps all assignments for every choice of levels; says whether all were looked at."""
        problems = [self._problem(paths, Level.energy_per_bit, ways) for paths in choices]
        least = [problem.bounds() + self.compute for problem in problems]
        # Where bounds are equal, the assignment that takes fewer steps comes first.
        steps = np.prod(-(-np.array([getattr(self.nest, d) for d in DIMS]) // ways.prod(axis=1)), axis=1)
        orders = [np.lexsort((steps, bounds)) for bounds in least]
        reached = [0] * len(problems)
        complete = True
        for n in sorted(range(len(problems)), key=lambda n: float(least[n].min())):
            problem, order, bounds = problems[n], orders[n], least[n]
            while reached[n] < len(order):
                if self._out_of_budget():
                    complete = False
                    break
                if bounds[order[reached[n]]] >= self._goal():
                    self.tally[1] += len(order) - reached[n]
                    reached[n] = len(order)
                    self.bound = min(self.bound, self._goal())
                    break
                stop = min(reached[n] + self._slice(), len(order))
                limit = self._goal() - self.compute
                at, cost, constant = problem.sweep(order, reached[n], stop, limit, self.tally)
                reached[n] = at
                if cost < math.inf:
                    self._solve_energy(problem, int(order[at]), ways[order[at]])
                    reached[n] = at + 1
        for n, order in enumerate(orders):
            if reached[n] < len(order):
                self.bound = min(self.bound, float(least[n][order[reached[n]]]))
        self.bound = min(self.bound, self.value if self.policy.gap == 0 else self._goal())
        return complete

    def _slice(self) -> int:
        if self.policy.node_limit is None:
            return SLICE
        return max(1, min(SLICE, self.policy.node_limit - int(self.tally[0])))

    def _solve_energy(self, problem: Problem, assignment: int, way: np.ndarray) -> None:
        """The best nest of an assignment that may beat the best so far; the bound falls to what it can't get below."""
        energy, mapping = self._solve(problem, assignment, way, self._goal() - self.compute)
        if mapping is None:
            self.bound = min(self.bound, self._goal())
            return
        costed = evaluate(self.nest, self.accelerator, self.bits, mapping)
        self._offer(costed)
        proved = energy + self.compute
        self.bound = min(self.bound, costed.energy if proved >= costed.energy * (1 - TIE) else proved)

    # Latency and the energy–delay product -----------------------------------------------------------------------------

    def _by_time(self, ways: np.ndarray, choices: list[dict[str, tuple[Level, ...]]]) -> bool:
        sizes = np.array([getattr(self.nest, d) for d in DIMS])
        steps = np.prod(sizes // ways.prod(axis=1), axis=1, dtype=np.float64)
        fastest = np.maximum(steps, self.floor.cycles)
        problems = [self._problem(paths, Level.energy_per_bit, ways) for paths in choices]
        energies = np.min([problem.bounds() for problem in problems], axis=0) + self.compute
        least = fastest if self.objective == "latency" else energies * fastest
        for a in np.lexsort((energies, least)):
            if self.best is not None and self._settled(float(least[a])):
                self.tally[1] += 1
                self.bound = min(self.bound, max(float(least[a]), self._goal()))
                continue
            if self._out_of_budget():
                self.bound = min(self.bound, float(least[a]))
                return False
            for problem in problems:
                self._visit(problem, int(a), ways[a], float(steps[a]))
        return True

    def _settled(self, least: float) -> bool:
        if self.objective == "latency" and self.policy.gap == 0:
            return least > self.value * (1 + TIE)  # an equally fast assignment may need less energy
        return least >= self._goal()

    def _visit(self, problem: Problem, a: int, way: np.ndarray, steps: float) -> None:
        assert self.best is not None or self.value == math.inf
        self.tally[0] += 1
        cycles = max(steps, self.floor.cycles)
        limit = self.value / cycles if self.objective == "edp" else math.inf
        if self.objective == "latency" and self.best is not None and self.best.cycles <= cycles:
            limit = self.best.energy  # as fast as can be already: only less energy would be better
        energy, mapping = self._solve(problem, a, way, limit - self.compute)
        if mapping is None:
            self.bound = min(self.bound, self.value)
            return
        costed = evaluate(self.nest, self.accelerator, self.bits, mapping)
        self._offer(costed)
        if costed.cycles > cycles * (1 + TIE):
            cycles = max(cycles, self._port_bound(problem, way, costed))
        self.bound = min(self.bound, objective_value(self.objective, min(energy + self.compute, costed.energy), cycles))

    def _port_bound(self, problem: Problem, way: np.ndarray, costed: Costed) -> float:
        """Least time of the port that slowed ``costed`` down, over all nests of this assignment; offers the nest that
        reaches it."""
        price = _port_price(self.accelerator, costed.slowest, way)
        loads = self._problem(problem.paths, price, way[None])
        cycles, mapping = self._solve(loads, 0, way, math.inf)
        if mapping is not None:
            self._offer(evaluate(self.nest, self.accelerator, self.bits, mapping))
        return cycles

    # One assignment ---------------------------------------------------------------------------------------------------

    def _problem(self, paths: dict[str, tuple[Level, ...]], price: Price, ways: np.ndarray) -> Problem:
        factors = np.ones((len(ways), len(self.accelerator.fanouts), len(DIMS)), dtype=np.int64)
        axis = 0
        for f, fanout in enumerate(self.accelerator.fanouts):
            factors[:, f] = ways[:, axis : axis + len(fanout.axes)].prod(axis=1)
            axis += len(fanout.axes)
        return Problem(self.nest, self.accelerator, self.bits, paths, price, factors, imperfect=False)

    def _solve(self, problem: Problem, a: int, way: np.ndarray, limit: float) -> tuple[float, Mapping | None]:
        """``(least cost, mapping)`` below ``limit``; the cost leaves out the MACs; no mapping if there is none
        below."""
        homes = {t: problem.paths[t][0].name for t in TENSORS}
        best, mapping = limit, None
        constant, _ = problem.lay_out(a)
        stack = [(problem.room, np.zeros(len(problem.places)))]
        while stack:
            room, used_at_least = stack.pop()
            bar = best - constant
            cost = problem.chain(a, room, bar - TIE * abs(bar) if math.isfinite(bar) else bar)
            if not math.isfinite(cost):
                continue
            points = problem.points(a, room)
            split = overfull(problem, problem.tile_sizes(a, points))
            if split is not None:
                stack += halves(problem, room, used_at_least, *split)
                continue
            best = cost + constant
            mapping = build_mapping(self.nest, self.accelerator, problem.places, homes, way, points, problem.ceilings())
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


def _port_price(accelerator: Accelerator, port: str, assignment: np.ndarray) -> Price:
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
