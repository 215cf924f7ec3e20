"""The best mapping of one layer: every spatial assignment in turn, the best nest for each by a shortest chain.

``search_layer`` proves what it returns, or says how far the proof got.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NoReturn

import numpy as np

from picojoule.cost.floor import Floor, floor, port_cycles
from picojoule.cost.waits import least_skipping_cycles, unit_fanouts, unit_memories
from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.legality import tile_bits
from picojoule.mapping.mapping import Mapping
from picojoule.search.assignment import spatial_assignments, totals
from picojoule.search.best_first import BestFirst
from picojoule.search.costed import TIE, Costed, Found, Parts, evaluate, objective_value, plain_mapping, unsearched
from picojoule.search.nesting import build_mapping
from picojoule.search.policy import Exact
from picojoule.search.problem import Price, Problem
from picojoule.search.sharing import halves, overfull
from picojoule.search.ties import APART, IN_VAIN, alone, break_ties, group_room
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

GOOD = 1.1
"""A hint this close to the first bound is as good a beginning as a search with exact factors."""
SLICE = 64
"""Assignments between two looks at the clock."""
MANY, PLAINEST = 500, 64
"""Where there are many assignments, so many of the plainest are swept first: those that spread two dimensions at most,
over most of the array. What spreads few dimensions leaves the others whole in time, and their reuse with them."""


def search_layer(
    nest: Nest,
    accelerator: Accelerator,
    bits: Bits,
    objective: str = "energy",
    policy: Exact | None = None,
    on_progress: Callable[[float, float, int], None] | None = None,
    with_parts: bool = False,
    hint: Mapping | None = None,
) -> Found:
    """The best mapping of ``nest`` on ``accelerator`` for ``objective``.

    Args:
        nest, accelerator, bits: the layer, the machine, the widths.
        objective: ``energy``, ``latency`` or ``edp``.
        policy: when to stop.
        on_progress: called now and then with (value, bound, visited).
        with_parts: keep every part of the map space with its bound, for a certificate.
        hint: a legal mapping; the search begins by looking only for better ones. It is never itself the answer, so that a
            proved answer doesn't depend on it.

    Raises:
        HardwareError: not even single elements fit into the machine's memories, or its rules leave no mapping.
    """
    search = _Search(nest, accelerator, bits, objective, policy or Exact(), on_progress, hint)
    found = search.run()
    return replace(found, parts=search.parts()) if with_parts else found


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
    """One search: the best so far, what is proved of every assignment, and the clock.

    An assignment fixes the steps of the compute; what its nests cost follows from the keeps. So a part of the map space, a
    choice of levels with an assignment, is bounded by two figures: ``proved`` of its problem (energy without the MACs), and
    ``cycles``.
    """

    def __init__(
        self,
        nest: Nest,
        accelerator: Accelerator,
        bits: Bits,
        objective: str,
        policy: Exact,
        on_progress: Callable[[float, float, int], None] | None,
        hint: Mapping | None = None,
        least: Floor | None = None,
    ) -> None:
        self.nest, self.accelerator, self.bits = nest, accelerator, bits
        self.objective, self.policy, self.on_progress = objective, policy, on_progress
        self.floor = least or floor(nest, accelerator, bits)
        self.at_least = objective_value(objective, self.floor.energy, self.floor.cycles)
        self.compute = nest.macs * accelerator.mac_energy(bits)
        self.best: Costed | None = None
        self.value = math.inf
        self.better_than = math.inf
        """What the hint has of the objective, and a hair more: while nothing is found, only what is below is of use."""
        if hint is not None:
            costed = evaluate(nest, accelerator, bits, hint)
            self.better_than = objective_value(objective, costed.energy, costed.cycles) * (1 + 1e-6)
        self.fastest = self.floor.cycles
        """What no mapping of the objective's optimum takes less than."""
        self.in_vain = 0
        """Ties looked at since one was faster."""
        self.tally = np.zeros(2, dtype=np.int64)
        self.started, self.told = time.perf_counter(), 0.0
        self.choices = list(_level_choices(accelerator))
        self.queues: list[BestFirst] = []
        self.cycles: list[np.ndarray] = []

    def run(self) -> Found:
        try:
            status = "PROVED" if self.look() else "GAP_OPEN"
            if self.objective == "energy" and self.policy.gap == 0 and self.queues:
                self.fastest = break_ties(self, status == "PROVED")
        except KeyboardInterrupt:
            status = "INTERRUPTED"
            if self.best is None:
                self._offer(unsearched(self.nest, self.bits, self.accelerator, self.objective).best)
        return self._found(status)

    def look(self) -> bool:
        """Goes through the map space; says whether it came to the end of it."""
        self._check_room()
        self._set_out()
        complete = self._take_parts()
        if self.best is None and math.isfinite(self.better_than):
            # The hint beats all of the map space: once more without it.
            self.better_than, self.queues, self.cycles = math.inf, [], []
            self._set_out()
            complete = self._take_parts()
        if self.best is None:
            self._refuse_rules()
        return complete

    def _set_out(self) -> None:
        """Lays out all parts of the map space with their first bounds."""
        # A loop over groups selects elements of every tensor: for energy it may as well be the outermost loop in time.
        frozen = frozenset("G") if self.objective == "energy" else frozenset()
        self.ways = self._all_ways(frozen)
        self.room = group_room(self.nest, self.accelerator, self.ways) if frozen else alone(self.ways)
        self._set_paces()
        for paths in self.choices:
            problem = self._problem(paths, Level.energy_per_bit, self.ways)
            self.cycles.append(self.paces.copy())
            rank = partial(_rank, self.objective, self.compute, self.cycles[-1])
            self.queues.append(BestFirst(problem, self.steps, rank))
        good = self.better_than <= GOOD * self._bound()
        if self._imperfect and not good:
            self._begin_well()

    def _all_ways(self, frozen: frozenset[str]) -> np.ndarray:
        """Every spatial assignment that the search goes through."""
        return spatial_assignments(self.nest, self.accelerator, frozen, self._imperfect)

    def _set_paces(self) -> None:
        """What every assignment takes at least: with groups spread over the positions that it leaves, and as it is."""
        self.steps = self._least_steps(self.ways, alone(self.ways))
        self.paces = self.own_paces = self._least_cycles(self.ways, self.steps, alone(self.ways))
        if (self.room > 1).any():
            self.paces = self._least_cycles(self.ways, self._least_steps(self.ways, self.room), self.room)

    def paces_of(self, ways: np.ndarray) -> np.ndarray:
        """What every assignment takes at least, as it is."""
        return self._least_cycles(ways, self._least_steps(ways, alone(ways)), alone(ways))

    def _least_cycles(self, ways: np.ndarray, steps: np.ndarray, room: np.ndarray) -> np.ndarray:
        """What every assignment takes at least: compute, and compulsory traffic at the ports of the instances that it uses."""
        least = np.maximum(steps, self.floor.cycles)
        for level in self.accelerator.levels:
            outside = self.accelerator.fanouts_outside(level.name)
            axes = [fanout.name in outside for fanout in self.accelerator.fanouts for _ in fanout.axes]
            instances = ways[:, axes].prod(axis=(1, 2)) * room
            least = np.maximum(least, port_cycles(self.nest, self.accelerator, self.bits, level) / instances)
        return least

    def _least_steps(self, ways: np.ndarray, room: np.ndarray) -> np.ndarray:
        """What compute takes at least with every assignment, and groups over ``room`` positions beside: with units that skip
        it depends on the nest, how long."""
        if not self.accelerator.density:
            spread = ways.prod(axis=1)
            spread[:, DIMS.index("G")] *= room
            left = -(-np.array([getattr(self.nest, d) for d in DIMS]) // spread)
            return np.prod(left, axis=1, dtype=np.float64) * self.accelerator.timed
        if (room > 1).any():
            return np.zeros(len(ways))
        axes = sum(len(fanout.axes) for fanout in unit_fanouts(self.accelerator))
        apart, within = ways[:, :axes].prod(axis=1), ways[:, axes:].prod(axis=1)
        different, which = np.unique(np.hstack([apart, within]), axis=0, return_inverse=True)
        least = [
            least_skipping_cycles(
                self.accelerator,
                self.nest,
                self.bits,
                dict(zip(DIMS, row[: len(DIMS)], strict=True)),
                dict(zip(DIMS, row[len(DIMS) :], strict=True)),
            )
            for row in different.tolist()
        ]
        return np.array(least)[which.reshape(-1)]

    @property
    def _imperfect(self) -> bool:
        return self.policy.factors == "any"

    def _begin_well(self) -> None:
        """A good mapping in hand spares the search much: the optimum with exact factors, and whatever is better than it
        where the plainest assignments have their nests."""
        if any(queue.large for queue in self.queues):
            self._begin_with_exact_factors()
        for queue, cycles in zip(self.queues, self.cycles, strict=True):
            if len(queue.alone) >= MANY:
                self._sweep(queue.problem, queue.plainest(PLAINEST), cycles)

    def _begin_with_exact_factors(self) -> None:
        """The optimum of the smaller space, whose search takes a fraction of the time."""
        policy = replace(self.policy, factors="exact", gap=max(self.policy.gap, 0.002))
        smaller = _Search(self.nest, self.accelerator, self.bits, self.objective, policy, None)
        try:
            smaller.look()
        except HardwareError:
            return  # its rules leave no mapping with exact factors
        finally:
            self.tally[0] += smaller.visited
            if smaller.best is not None:  # Ctrl-C may have ended it
                self._offer(smaller.best)

    def _found(self, status: str) -> Found:
        assert self.best is not None
        for queue in self.queues:
            queue.settle()
        bound = min(max(self._bound(), self.at_least), self.value)
        if bound >= self.value * (1 - 2 * TIE):  # once for the tie, once for taking the MACs off and adding them again
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
            visited=self.visited,
            pruned=int(self.tally[1]),
            floor=self.floor,
            fastest=float(min(bound if self.objective == "latency" else self.fastest, self.best.cycles)),
        )

    def parts(self) -> tuple[Parts, ...]:
        """Every part of the map space with what was proved of it; a part into which nothing fits gets twice the value.

        Empty if the search was interrupted before all parts were laid out.
        """
        if len(self.queues) < len(self.choices):
            return ()
        result = []
        for queue in self.queues:
            bounds = queue.rank(queue.problem.proved)
            bounds = np.maximum(np.where(np.isfinite(bounds), bounds, 2 * self.value), self.at_least)
            levels = {t: tuple(level.name for level in path) for t, path in queue.problem.paths.items()}
            result.append(Parts(levels=levels, factors=queue.problem.factors, bounds=bounds))
        return tuple(result)

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

    @property
    def visited(self) -> int:
        """Assignments and groups of them looked at so far."""
        return int(self.tally[0]) + sum(queue.groups for queue in self.queues)

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
            self.on_progress(self.value, min(max(self._bound(), self.at_least), self.value), self.visited)
        limit = self.policy
        over_time = limit.time_limit_s is not None and elapsed > limit.time_limit_s
        over_nodes = limit.node_limit is not None and self.visited >= limit.node_limit
        return self.best is not None and (over_time or over_nodes)

    # Bounds -----------------------------------------------------------------------------------------------------------

    def _goal(self) -> float:
        """Whatever can't get below this needs no look."""
        return self.value * (1 - max(TIE, self.policy.gap))

    def _bound(self) -> float:
        """What no part gets below; mirror images aside, which cost the same. Nothing, until all parts are laid out."""
        if len(self.queues) < len(self.choices):
            return -math.inf
        ranks = (queue.rank(queue.problem.proved)[queue.alone] for queue in self.queues)
        return min((float(rank.min()) for rank in ranks), default=-math.inf)

    def _limits(self, cycles: np.ndarray) -> np.ndarray:
        """What a nest of every assignment must cost less than to be of use, MACs left out."""
        if self.best is None:
            if self.objective == "latency":
                return np.where(cycles < self.better_than, math.inf, -math.inf)
            if self.objective == "edp":
                return _over(self.better_than, cycles) - self.compute
            return np.full(len(cycles), self.better_than - self.compute)
        if self.objective == "energy":
            limits = np.full(len(cycles), self._goal() - self.compute)
            if self.policy.gap == 0 and self.in_vain < IN_VAIN:  # a faster assignment is of use with as little energy
                limits[cycles < self.best.cycles * (1 - TIE)] = self.value * (1 + APART) - self.compute
            return limits
        if self.objective == "edp":
            return _over(self._goal(), cycles) - self.compute
        limits = np.where(cycles < self._goal(), math.inf, -math.inf)
        if self.policy.gap == 0:  # an equally fast assignment may need less energy
            as_fast = np.abs(cycles - self.value) <= TIE * self.value
            limits[as_fast] = self.best.energy * (1 - TIE) - self.compute
        return limits

    def _settled(self, rank: float) -> bool:
        """Whether nothing of this rank and above is of use any more."""
        if self.objective == "energy" and self.policy.gap == 0:
            return rank >= self.value * (1 + APART)
        return rank > self.value * (1 + TIE) or (self.objective != "latency" and rank >= self._goal())

    # The way through --------------------------------------------------------------------------------------------------

    def _take_parts(self) -> bool:
        """Takes the parts of the map space best first; says whether all were looked at or set aside."""
        while True:
            n = min(range(len(self.queues)), key=lambda n: self.queues[n].next_rank)
            queue, problem = self.queues[n], self.queues[n].problem
            if math.isinf(queue.next_rank) or self._settled(queue.next_rank):
                return True
            if self._out_of_budget():
                return False
            batch = queue.take(self._limits(self.cycles[n]))
            if batch is None:
                continue
            if batch.group is not None:
                problem.look_ahead(batch.group.excess(), batch.group.toward)
            done = self._sweep(problem, batch.order, self.cycles[n])
            problem.look_ahead()
            if not done:
                return False

    def _sweep(self, problem: Problem, order: np.ndarray, cycles: np.ndarray) -> bool:
        """Sweeps assignments one by one; says whether all were looked at or set aside."""
        reached = 0
        while reached < len(order):
            if self._out_of_budget():
                return False
            stop = min(reached + self._slice(), len(order))
            reached, cost, constant = problem.sweep(order, reached, stop, self._limits(cycles), self.tally)
            if cost < math.inf:
                a = int(order[reached])
                if self.best is None or self.objective != "energy" or cost + constant + self.compute < self._goal():
                    self._visit(problem, a, cycles)
                elif self.own_paces[a] < self.best.cycles * (1 - TIE):
                    self.visit_tie(problem, a, cycles)
                else:  # it is of use only where groups are spread beside it
                    problem.proved[a] = max(problem.proved[a], cost + constant)
                reached += 1
        return True

    def visit_tie(self, problem: Problem, a: int, cycles: np.ndarray) -> None:
        """The same for one that takes as little energy as the best and may be faster, which its nest needn't be: it may wait for
        a memory."""
        before = self.best
        self._visit(problem, a, cycles)
        self.in_vain = self.in_vain + 1 if self.best is before else 0

    def _slice(self) -> int:
        if self.policy.node_limit is None:
            return SLICE
        return max(1, min(SLICE, self.policy.node_limit - self.visited))

    def _visit(self, problem: Problem, a: int, cycles: np.ndarray) -> None:
        """The best nest of an assignment that may be of use; its bounds become what was proved of it."""
        limit = float(self._limits(cycles)[a])
        way = problem.ways[a]
        energy, mapping = self._solve(problem, a, way, limit)
        problem.proved[a] = energy
        if mapping is None:
            return
        costed = evaluate(self.nest, self.accelerator, self.bits, mapping)
        self._offer(costed)
        if energy + self.compute >= costed.energy * (1 - TIE):
            problem.proved[a] = costed.energy - self.compute
        if self.objective == "energy" or costed.cycles <= cycles[a] * (1 + TIE):
            return
        if costed.slowest == "compute":
            self._offer_longer_stays(problem, way)
        else:
            cycles[a] = max(cycles[a], self._port_bound(problem, way, costed))

    def _port_bound(self, problem: Problem, way: np.ndarray, costed: Costed) -> float:
        """Least time of the port that slowed ``costed`` down, over all nests of this assignment; offers the nest that
        reaches it."""
        price = _port_price(self.accelerator, costed.slowest, way)
        loads = self._problem(problem.paths, price, way[None])
        cycles, mapping = self._solve(loads, 0, way, math.inf)
        if mapping is not None:
            self._offer(evaluate(self.nest, self.accelerator, self.bits, mapping))
        return cycles

    def _offer_longer_stays(self, problem: Problem, way: np.ndarray) -> None:
        """Units that skip lose the less the more weights an input meets in its place: offers the nests that change least
        often the input there, and all that lies in a unit."""
        inside = unit_memories(self.accelerator)
        ends = {t: path[-1] for t, path in problem.paths.items() if path[-1].latch or path[-1].name in inside}
        for rest in (1e-3, 1.0):
            dear = {"inputs": 1.0, "weights": rest, "outputs": rest}

            def price(level: Level, direction: str, tensor: str, dear: dict[str, float] = dear) -> float:
                changes = ends.get(tensor) is level and direction == ("read" if tensor == "outputs" else "write")
                energy = 1e-6 * level.energy_per_bit(direction, tensor)
                return energy + dear[tensor] / self.bits.stored(tensor) if changes else energy

            _, mapping = self._solve(self._problem(problem.paths, price, way[None]), 0, way, math.inf)
            if mapping is not None:
                self._offer(evaluate(self.nest, self.accelerator, self.bits, mapping))

    # One assignment ---------------------------------------------------------------------------------------------------

    def _problem(self, paths: dict[str, tuple[Level, ...]], price: Price, ways: np.ndarray) -> Problem:
        factors = totals(ways, self.accelerator)
        problem = Problem(self.nest, self.accelerator, self.bits, paths, price, factors, imperfect=self._imperfect)
        problem.ways = ways
        return problem

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
            mapping = build_mapping(
                self.nest, self.accelerator, problem.places, homes, way, points, self._imperfect, problem.ceilings()
            )
        return best, mapping

    def _offer(self, costed: Costed) -> None:
        value = objective_value(self.objective, costed.energy, costed.cycles)
        if self.best is None or value < self.value * (1 - TIE):
            self.best, self.value = costed, value
        elif value <= self.value * (1 + TIE):
            faster = costed.cycles < self.best.cycles * (1 - TIE)
            cheaper = costed.energy < self.best.energy
            if faster if self.objective == "energy" else cheaper:
                self.best, self.value = costed, value


def _rank(objective: str, compute: float, cycles: np.ndarray, proved: np.ndarray) -> np.ndarray:
    """What every part of a choice of levels can't get below, of the objective.

    Knows nothing of the search: a search that its own queues hold would keep its tables until the garbage collector comes
    by.
    """
    if objective == "energy":
        return proved + compute
    return cycles.copy() if objective == "latency" else (proved + compute) * cycles


def _over(value: float, cycles: np.ndarray) -> np.ndarray:
    """Energy at which energy × cycles is ``value``; without cycles, of a layer whose inputs are all zeros, there is no limit."""
    return np.divide(value, cycles, out=np.full(len(cycles), math.inf), where=cycles > 0)


def _level_choices(accelerator: Accelerator) -> Iterator[dict[str, tuple[Level, ...]]]:
    """The levels that hold each tensor, for every use of those that may be passed by."""
    optional = [(level.name, t) for level in accelerator.levels for t in level.may_keep]
    for used in itertools.product((True, False), repeat=len(optional)):
        chosen = {pair for pair, use in zip(optional, used, strict=True) if use}
        yield {
            t: tuple(level for level in accelerator.levels if t in level.keeps or (level.name, t) in chosen)
            for t in TENSORS
        }


def _port_price(accelerator: Accelerator, slowest: str, assignment: np.ndarray) -> Price:
    """Cycles of one port per bit moved, over the instances that this assignment uses."""
    name, label = slowest.split(" ", 1)
    level = accelerator.level(name)
    port = next(port for port in level.ports if port.label == label)
    outside, axis, instances = accelerator.fanouts_outside(name), 0, 1
    for fanout in accelerator.fanouts:
        for _ in fanout.axes:
            if fanout.name in outside:
                instances *= int(assignment[axis].prod())
            axis += 1

    def price(at: Level, moved: str, tensor: str) -> float:
        counted = at is level and port.passes(moved, tensor)
        return level.share(moved, tensor).timed / (port.bits_per_cycle * instances) if counted else 0.0

    return price
