"""The (energy, latency) front against every mapping there is, on tiny layers and random machines."""

from __future__ import annotations

import pytest
from oracle.brute_force import brute_front, size_of
from oracle.map_space import DECLARED, IMPERFECT
from oracle.random_machines import random_problem

from picojoule.mapping.legality import check_legal
from picojoule.search.costed import evaluate
from picojoule.search.front import search_front
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact

CLOSE = 1e-9


@pytest.mark.parametrize("factors", ["exact", "any"])
@pytest.mark.parametrize("first", range(0, 800, 200))
def test_the_front_lies_between_its_points_and_its_corners(first: int, factors: str) -> None:
    space = DECLARED if factors == "exact" else IMPERFECT
    proved = several = tried = fastest = known = 0
    for seed in range(first, first + 200):
        problem = random_problem(seed, bandwidths=seed % 2 == 1)
        nest, machine, bits = problem.nest, problem.machine, problem.bits
        if size_of(nest, machine, "latency", space) > 60:
            continue
        tried += 1
        front = search_front(nest, machine, bits, Exact(time_limit_s=None, factors=factors))
        every = brute_front(nest, machine, bits, space)
        points = [(point.cycles, point.energy) for point in front.points]
        for point in front.points:
            check_legal(nest, machine, point.mapping, bits)
            again = evaluate(nest, machine, bits, point.mapping)
            assert (again.cycles, again.energy) == (point.cycles, point.energy)
        assert all(c < d and e > f for (c, e), (d, f) in zip(points, points[1:], strict=False)), problem
        # No mapping lies below all corners, and no point below every mapping.
        for cycles, energy in every:
            assert any(c <= cycles * (1 + CLOSE) and e <= energy * (1 + CLOSE) for c, e in front.corners), problem
        for cycles, energy in points:
            assert any(c <= cycles * (1 + CLOSE) and e <= energy * (1 + CLOSE) for c, e in every), problem
        least = search_layer(nest, machine, bits, "energy", Exact(time_limit_s=None, factors=factors))
        assert least.value == pytest.approx(every[-1][1], rel=CLOSE), problem
        assert least.fastest <= every[-1][0] * (1 + CLOSE), problem
        assert least.best.cycles >= every[-1][0] * (1 - CLOSE), problem
        fastest += least.best.cycles <= every[-1][0] * (1 + CLOSE)
        known += least.fastest == least.best.cycles
        if front.status == "PROVED":
            proved += 1
            several += len(every) > 1
            assert len(points) == len(every), problem
            assert points == [pytest.approx(pair, rel=CLOSE) for pair in every], problem
    assert tried >= 10
    assert proved >= 0.6 * tried
    assert several >= (1 if first < 400 else 0)
    # Of the mappings of least energy the search has the fastest, but where one waits for a memory and another doesn't.
    assert fastest >= 0.95 * tried
    assert known >= 0.6 * tried
