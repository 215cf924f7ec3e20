"""One layer on machines that differ a little: what is proved of the layer is proved once, and shared.

The best mapping of the layer on the machine at hand is known, and legal on all of the others: what it costs there is where
each search begins. What is left is to prove that nothing is better, and most of that proof is the same on all machines:

    equal arrays    the same spatial assignments. A relaxed machine, whose memories hold what any of the others holds, at the
                    prices of the one at hand, bounds all assignments; ``carried`` takes a bound to other prices
    larger arrays   whatever fits the smaller array is known to cost at least its optimum: only the other assignments are left

Derived in ``docs/explanation/what-ifs.md``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from picojoule.cost.floor import Floor
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.mapping import Mapping
from picojoule.search.assignment import spatial_assignments, totals
from picojoule.search.best_first import BestFirst
from picojoule.search.costed import TIE, Costed, Found, evaluate
from picojoule.search.layer import _rank, _Search
from picojoule.search.policy import Exact
from picojoule.search.problem import Problem
from picojoule.workload.nest import Bits, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """A machine that differs a little from the one at hand.

    Attributes:
        machine: as the layer meets it.
        bits: the widths that the layer then has.
        policy: when its search stops.
        shares: whether the shared proof is made to serve it, too. That pays where not much changes: a relaxed machine that is
            far from all others proves little of them.
    """

    machine: Accelerator
    bits: Bits
    policy: Exact
    shares: bool = True


def search_variations(
    nest: Nest,
    machine: Accelerator,
    bits: Bits,
    mapping: Mapping,
    variations: Sequence[Variation],
    objective: str,
    policy: Exact,
) -> list[Found]:
    """The best mapping of a layer on each of several machines, as ``search_layer`` finds it.

    Args:
        nest, machine, bits: the layer on the machine at hand.
        mapping: the best there; legal on all others.
        variations: machines with the arrays of the one at hand, and the same levels for every tensor; those that aren't so
            are searched each for itself.
        objective: as for ``search_layer``.
        policy: when the shared proof stops.

    Raises:
        KeyboardInterrupt: a search was interrupted.
    """
    searches = [_Varied(nest, one.machine, one.bits, objective, one.policy, mapping) for one in variations]
    left = [search for search in searches if not search.at_floor]
    sharing = [x for x, one in zip(searches, variations, strict=True) if one.shares and not x.at_floor]
    if left:
        relaxed = _Relaxed(nest, roomy_machine(machine, bits, sharing), bits, objective, policy, mapping)
        relaxed.lay_out(left)
        relaxed.prove_for(sharing)
    return [_answer(one, nest, variation, mapping) for one, variation in zip(searches, variations, strict=True)]


def search_from(
    nest: Nest,
    machine: Accelerator,
    bits: Bits,
    mapping: Mapping | Costed,
    objective: str,
    policy: Exact,
    at_least: float = -math.inf,
    least: Floor | None = None,
) -> Found:
    """As ``search_layer``, but beginning with a mapping, which is the answer where nothing better is found.

    ``at_least``: what no mapping of the space is known to be below; the search ends where it gets there. ``least``: the
    layer's floor, if it is known.

    Raises:
        KeyboardInterrupt: the search was interrupted.
    """
    search = _From(nest, machine, bits, objective, policy, mapping, least)
    search.at_least = max(search.at_least, at_least)
    return _uninterrupted(search.run())


def search_larger(
    nest: Nest, machine: Accelerator, larger: Accelerator, bits: Bits, mapping: Mapping, objective: str, policy: Exact
) -> Found:
    """The best mapping of a layer on a machine with larger arrays.

    Args:
        nest, bits: the layer.
        machine, larger: but for the sides of arrays the same.
        mapping: the best on ``machine``, with proof. For energy the layer has one group: several might be spread further on the
            larger arrays.
        objective, policy: as for ``search_layer``, and those of that proof.

    Raises:
        KeyboardInterrupt: the search was interrupted.
    """
    search = _Larger(nest, machine, larger, bits, objective, policy, mapping)
    found = _uninterrupted(search.run())
    # How fast what fits the smaller arrays can be is not asked again.
    return replace(found, fastest=min(found.floor.cycles, found.best.cycles))


def _answer(search: _Varied, nest: Nest, variation: Variation, mapping: Mapping) -> Found:
    if search.apart:
        return search_from(nest, variation.machine, variation.bits, mapping, search.objective, search.policy)
    return _uninterrupted(search.run())


def _uninterrupted(found: Found) -> Found:
    if found.status == "INTERRUPTED":
        raise KeyboardInterrupt
    return found


def search_ways(
    nest: Nest, machine: Accelerator, bits: Bits, mapping: Mapping, ways: np.ndarray, objective: str, policy: Exact
) -> Found:
    """The best of a mapping and of all that spread the layer in certain ways; its ``bound`` holds for these alone.

    Args:
        nest, machine, bits: the layer.
        mapping: a legal one.
        ways: ``[assignment, axis, dimension]`` factors, some of ``spatial_assignments``.
        objective, policy: as for ``search_layer``.
    """
    return _Ways(nest, machine, bits, objective, policy, mapping, ways).run()


class _From(_Search):
    """A search that has a mapping to begin with."""

    def __init__(
        self,
        nest: Nest,
        accelerator: Accelerator,
        bits: Bits,
        objective: str,
        policy: Exact,
        mapping: Mapping | Costed,
        least: Floor | None = None,
    ) -> None:
        super().__init__(nest, accelerator, bits, objective, policy, None, least=least)
        known = isinstance(mapping, Costed)
        self._offer(mapping if known else evaluate(nest, accelerator, bits, mapping))

    def offer(self, costed: Costed) -> None:
        """Takes a mapping to begin with if it is better than the one at hand."""
        self._offer(costed)

    @property
    def at_floor(self) -> bool:
        """Whether that mapping is as good as any can be, in what breaks ties as well."""
        assert self.best is not None
        if self.at_least < self.value * (1 - 2 * TIE):
            return False
        if self.objective == "energy":
            return bool(self.best.cycles <= self.floor.cycles * (1 + TIE))
        return bool(self.best.energy <= self.floor.energy * (1 + TIE))

    def look(self) -> bool:
        return self.at_floor or super().look()

    def _begin_well(self) -> None:
        # There is a good mapping already; where not all is searched, a quick look for a better one pays.
        if self.policy.node_limit is not None and any(queue.large for queue in self.queues):
            self._begin_with_exact_factors()


class _Varied(_From):
    """The search on one of several machines with equal arrays."""

    apart = False
    """Whether nothing is shared with the others."""

    def share(self, base: _Relaxed) -> None:
        """Lays out the parts of the map space as they are on the relaxed machine, at the prices of this one."""
        ways = [{t: [level.name for level in path] for t, path in paths.items()} for paths in self.choices]
        if _arrays(self.accelerator) != _arrays(base.accelerator) or ways != base.levels_of_choices:
            self.apart = True
            return
        self.ways, self.room = base.ways, base.room
        self._set_paces()
        for queue in base.queues:
            problem = queue.problem.on(self.accelerator, self.bits)
            self.cycles.append(self.paces.copy())
            rank = partial(_rank, self.objective, self.compute, self.cycles[-1])
            self.queues.append(BestFirst(problem, self.steps, rank, queue))

    def look(self) -> bool:
        self.started = time.perf_counter()
        if self.at_floor:
            return True
        self._begin_well()
        return self._take_parts()

    def learn(self, base: _Relaxed) -> None:
        """Takes over what was proved on the relaxed machine."""
        for mine, its in zip(self.queues, base.queues, strict=True):
            problem = mine.problem
            problem.proved = np.maximum(problem.proved, carried(its.problem, problem))


class _Relaxed(_From):
    """What no assignment costs less than on a machine that has room for all that any of several machines has room for."""

    def __init__(
        self, nest: Nest, accelerator: Accelerator, bits: Bits, objective: str, policy: Exact, mapping: Mapping
    ) -> None:
        super().__init__(nest, accelerator, bits, objective, policy, mapping)
        self.levels_of_choices = [
            {t: [level.name for level in path] for t, path in paths.items()} for paths in self.choices
        ]
        self.limits: list[np.ndarray] = []

    def lay_out(self, searches: Sequence[_Varied]) -> None:
        """Lays out all parts, for the searches as well."""
        self._check_room()
        self._set_out()
        for search in searches:
            search.share(self)

    def prove_for(self, searches: Sequence[_Varied]) -> None:
        """Bounds all parts as closely as the searches need it, and hands it on to them.

        Raises:
            KeyboardInterrupt: it was interrupted.
        """
        self.started = time.perf_counter()
        sharing = [search for search in searches if not search.apart]
        if self.objective == "latency" or len(sharing) < 2:
            return  # energies bound no latency, and one alone proves what it needs itself
        for n, queue in enumerate(self.queues):
            base, wanted = queue.problem, np.full(len(self.ways), -math.inf)
            for search in sharing:
                # The bound here that is as good as the search's limit there.
                problem = search.queues[n].problem
                limit, scale = search._limits(search.cycles[n]), _scale(base, problem)
                if scale > 0:
                    with np.errstate(invalid="ignore"):
                        needed = base.least + np.maximum(limit - problem.least, 0.0) / scale * (1 + 1e-9)
                    wanted = np.fmax(wanted, needed)
            self.limits.append(wanted)
        self._take_parts()
        for queue in self.queues:
            queue.settle()
        for search in sharing:
            search.learn(self)

    def _limits(self, cycles: np.ndarray) -> np.ndarray:
        return self.limits[next(n for n, mine in enumerate(self.cycles) if mine is cycles)]

    def _settled(self, rank: float) -> bool:
        return False

    def _sweep(self, problem: Problem, order: np.ndarray, cycles: np.ndarray) -> bool:
        reached, limits = 0, self._limits(cycles)
        while reached < len(order):
            if self._out_of_budget():
                return False
            stop = min(reached + self._slice(), len(order))
            reached, cost, constant = problem.sweep(order, reached, stop, limits, self.tally)
            if cost < math.inf:
                a = int(order[reached])
                problem.proved[a] = max(problem.proved[a], cost + constant)
                reached += 1
        return True


class _Ways(_From):
    """The search over some spatial assignments."""

    def __init__(
        self,
        nest: Nest,
        machine: Accelerator,
        bits: Bits,
        objective: str,
        policy: Exact,
        mapping: Mapping,
        ways: np.ndarray,
    ) -> None:
        super().__init__(nest, machine, bits, objective, policy, mapping)
        self.few = ways

    def _all_ways(self, frozen: frozenset[str]) -> np.ndarray:
        return self.few


class _Larger(_From):
    """The search on a machine with larger arrays, over what doesn't fit into the smaller ones."""

    def __init__(
        self,
        nest: Nest,
        smaller: Accelerator,
        larger: Accelerator,
        bits: Bits,
        objective: str,
        policy: Exact,
        mapping: Mapping,
    ) -> None:
        super().__init__(nest, larger, bits, objective, policy, mapping)
        self.smaller = smaller

    def look(self) -> bool:
        if self.at_floor:
            return True
        self._check_room()
        self.new = self._new_ways(frozenset("G") if self.objective == "energy" else frozenset())
        if not len(self.new):
            return True
        self._set_out()
        return self._take_parts()

    def _all_ways(self, frozen: frozenset[str]) -> np.ndarray:
        return self.new

    def _new_ways(self, frozen: frozenset[str]) -> np.ndarray:
        ways = super()._all_ways(frozen)
        known = spatial_assignments(self.nest, self.smaller, frozen, self._imperfect)
        before = {row.tobytes() for row in totals(known, self.smaller)}
        new = [row.tobytes() not in before for row in totals(ways, self.accelerator)]
        return ways[np.array(new, dtype=bool)]

    def _bound(self) -> float:
        # What fits into the smaller array is known to be no better than the mapping to begin with.
        return super()._bound() if self.queues else self.value


def carried(known: Problem, other: Problem) -> np.ndarray:
    """What no mapping of an assignment costs less than at other prices, from what is proved at those of ``known``.

    What an assignment costs is its least and an excess, and every part of the excess goes with one price: if no price falls
    below a share s of the known one, then the excess doesn't either.
    """
    with np.errstate(invalid="ignore"):
        excess = np.maximum(known.proved - known.least, 0.0)
    return other.least + _scale(known, other) * np.where(np.isfinite(excess), excess, 0.0) * (1 - 1e-12)


def _scale(known: Problem, other: Problem) -> float:
    """The share of the known price that no price falls below."""
    before, after = _weights(known), _weights(other)
    paid = before > 0
    return float((after[paid] / before[paid]).min()) if paid.any() else 1.0


def _weights(problem: Problem) -> np.ndarray:
    """Cost of one visit of every keep, at both ends; the same for all assignments."""
    problem.lay_out(0)
    return problem.scratch[3].copy()


def roomy_machine(machine: Accelerator, bits: Bits, searches: Sequence[_Search]) -> Accelerator:
    """The machine with room in every level for whatever fits there on any of the others."""

    def room(level: Level) -> Level:
        if level.usable_bits is None or level.latch:
            return level
        most = level.usable_bits
        for search in searches:
            other = next((x for x in search.accelerator.levels if x.name == level.name), None)
            if other is None or other.usable_bits is None:
                return replace(level, capacity_bits=None)
            wider = max(
                (level.tile_bits(t, bits) / other.tile_bits(t, search.bits) for t in level.holds), default=1.0
            )
            most = max(most, math.ceil(other.usable_bits * max(1.0, wider)) + 1)
        return replace(level, capacity_bits=most * level.buffering)

    hierarchy = tuple(room(entry) if isinstance(entry, Level) else entry for entry in machine.hierarchy)
    return replace(machine, hierarchy=hierarchy)


def _arrays(machine: Accelerator) -> list[object]:
    return [
        entry.name if isinstance(entry, Level) else (entry.name, entry.axes, entry.multicast, entry.reduction)
        for entry in machine.hierarchy
    ]
