"""Of the mappings that take least energy the fastest: where groups are spread, and what is proved of it.

A search for least energy goes through the spatial assignments that don't spread groups: a loop over groups selects elements of
every tensor, so that it may as well be the outermost loop in time. It does take longer there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.mapping import Mapping, Spread
from picojoule.search.assignment import totals
from picojoule.search.costed import TIE
from picojoule.workload.nest import DIMS, Nest

if TYPE_CHECKING:
    from picojoule.search.layer import _Search
    from picojoule.search.problem import Problem

    Part = tuple[Problem, np.ndarray, np.ndarray]
    """Assignments, the least cycles of each, and the numbers of those that count."""

APART, EQUAL = 3e-9, 2e-9
"""Faster assignments are searched up to so much above the least energy, and those that don't stay below the second are known not
to tie. Both leave room for what ``verify`` allows for rounding."""
SLICE = 64
"""Assignments between two looks at what was found."""
IN_VAIN = 4
"""So many ties that turn out to be no faster end the search for faster ones. Where no nest waits, each is faster than the last."""
G = DIMS.index("G")


def alone(ways: np.ndarray) -> np.ndarray:
    """One position of groups beside each assignment."""
    return np.ones(len(ways), dtype=np.int64)


def group_room(nest: Nest, accelerator: Accelerator, ways: np.ndarray) -> np.ndarray:
    """Over how many positions each assignment leaves groups to be spread, at most."""
    room = alone(ways)
    first = 0
    for fanout in accelerator.fanouts:
        axes = slice(first, first + len(fanout.axes))
        first += len(fanout.axes)
        used = ways[:, axes].prod(axis=(1, 2))
        most = np.prod([axis.size for axis in fanout.axes if "G" in axis.dims], dtype=np.int64)
        room *= np.minimum(fanout.size // used, most)
    return np.minimum(room, nest.G)


def break_ties(search: _Search, complete: bool) -> float:
    """Offers what takes as little energy in less time; what none of it takes less than.

    Args:
        search: for least energy.
        complete: whether it went through all assignments. If not, nothing is proved, and groups are spread only beside what
            the best mapping spreads.
    """
    assert search.best is not None
    parts = [(queue.problem, cycles, queue.alone) for queue, cycles in zip(search.queues, search.cycles, strict=True)]
    if (search.room > 1).any():
        parts = list(_with_groups(search, parts, complete))
    elif not complete:
        return search.floor.cycles
    for problem, cycles, members in parts:
        _look(search, problem, cycles, members)
    ties = [cycles[_tied(search, problem, members)].min(initial=math.inf) for problem, cycles, members in parts]
    return max(min(ties, default=math.inf), search.floor.cycles) if complete else search.floor.cycles


def _with_groups(search: _Search, parts: list[Part], complete: bool) -> Iterator[Part]:
    """The faster assignments that spread groups beside what may tie with the best mapping."""
    assert search.best is not None
    own = _spread_of(search.best.mapping, search.nest, search.accelerator)
    ties = [_tied(search, problem, members) for problem, _, members in parts] if complete else []
    if complete and all(
        cycles[tied].min(initial=math.inf) >= search.best.cycles * (1 - TIE)
        for (_, cycles, _), tied in zip(parts, ties, strict=True)
    ):
        return
    spread = np.concatenate([own[None], *(part[0].factors[tied] for part, tied in zip(parts, ties, strict=False))])
    # What leaves as much with more positions spreads the same dimensions: no other need be looked at.
    idle = frozenset(d for d, most in zip(DIMS, spread.max(axis=(0, 1)), strict=True) if most == 1 and d != "G")
    ways = search._all_ways(idle)
    cycles = search.paces_of(ways)
    faster = cycles < search.best.cycles * (1 - TIE)
    ways, cycles = ways[faster], cycles[faster]
    beside = totals(ways, search.accelerator)
    beside[:, :, G] = 1
    names = [row.tobytes() for row in beside]
    for n, (problem, _, members) in enumerate(parts):
        if complete:
            dear = {problem.factors[a].tobytes() for a in np.setdiff1d(members, ties[n])}
            chosen = [i for i, name in enumerate(names) if name not in dear]
        else:
            chosen = [i for i, name in enumerate(names) if name == own.tobytes()]
        if chosen:
            grouped = search._problem(problem.paths, Level.energy_per_bit, ways[chosen])
            grouped.bounds()
            yield grouped, cycles[chosen], np.arange(len(chosen))


def _look(search: _Search, problem: Problem, cycles: np.ndarray, members: np.ndarray) -> None:
    """Goes through what may tie, the fastest first, until nothing is faster than what was found."""
    assert search.best is not None
    order = _tied(search, problem, members)
    order = order[np.argsort(cycles[order], kind="stable")]
    reached = 0
    while reached < len(order) and search.in_vain < IN_VAIN and cycles[order[reached]] < search.best.cycles * (1 - TIE):
        stop = min(reached + SLICE, len(order))
        reached, cost, _ = problem.sweep(order, reached, stop, search._limits(cycles), search.tally)
        if cost < math.inf:
            search.visit_tie(problem, int(order[reached]), cycles)
            reached += 1


def _tied(search: _Search, problem: Problem, members: np.ndarray) -> np.ndarray:
    """Those that may take as little energy as the best mapping."""
    return members[problem.proved[members] + search.compute <= search.value * (1 + EQUAL)]


def _spread_of(mapping: Mapping, nest: Nest, accelerator: Accelerator) -> np.ndarray:
    """``[fan-out, dimension]`` positions over which a mapping spreads, groups aside."""
    names = [fanout.name for fanout in accelerator.fanouts]
    spread = np.ones((len(names), len(DIMS)), dtype=np.int64)
    for node, count in mapping.trips(nest.dims):
        if isinstance(node, Spread) and node.dim != "G":
            spread[names.index(node.fanout), DIMS.index(node.dim)] *= count
    return spread
