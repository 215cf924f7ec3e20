"""The search against every mapping there is, where zeros are minded: the optimum stays the optimum."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oracle.brute_force import one_by_one, size_of
from oracle.map_space import DECLARED, IMPERFECT
from oracle.random_machines import random_problem
from oracle.random_zeros import minding, zeros_of
from oracle.test_brute_force import ANY, UNLIMITED, compare

from picojoule.cost.waits import unit_fanouts
from picojoule.cost.zeros import priced
from picojoule.search.layer import search_layer


@pytest.mark.parametrize(("policy", "space", "seeds"), [(UNLIMITED, DECLARED, 150), (ANY, IMPERFECT, 100)])
def test_the_search_finds_the_least_energy_with_zeros(policy, space, seeds):
    drawn = [random_problem(seed) for seed in range(3000, 3000 + seeds)]
    minded = [
        replace(p, machine=priced(minding(p), p.nest, p.bits, zeros_of(p.seed)))
        for p in drawn
        if size_of(p.nest, p.machine, "energy", space) <= 200
    ]
    spared = [problem for problem in minded if any(level.shares for level in problem.machine.levels)]
    assert len(spared) >= seeds // 8
    assert sum(bool(level.room_bits) for problem in spared for level in problem.machine.levels) >= 5
    solved = [compare(problem, "energy", policy) for problem in spared]
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.9 * len(solved)


@pytest.mark.parametrize("objective", ["latency", "edp"])
@pytest.mark.parametrize(("policy", "space", "seeds"), [(UNLIMITED, DECLARED, 320), (ANY, IMPERFECT, 120)])
def test_no_mapping_beats_the_bound_where_units_skip(objective, policy, space, seeds):
    """Every mapping is written down and costed as a whole: with units that skip, how long it takes depends on its loops."""
    proved, lost, shaded = 0, [], 0
    for seed in range(4000, 4000 + seeds):
        problem = random_problem(seed, bandwidths=seed % 2 == 0)
        if size_of(problem.nest, problem.machine, objective, space) > 60:
            continue
        machine = priced(minding(problem), problem.nest, problem.bits, zeros_of(problem.seed))
        if not machine.density or not unit_fanouts(machine):
            continue
        found = search_layer(problem.nest, machine, problem.bits, objective, policy)
        least = one_by_one(problem.nest, machine, problem.bits, objective, space)
        slack = 1e-9 * least.value
        assert found.bound <= least.value + slack, problem
        assert found.status != "PROVED" or found.value <= least.value + slack, problem
        lost.append(found.value / least.value if least.value else 1.0)
        proved += found.status == "PROVED"
        shaded += machine.timed not in (0.0, 1.0)
    assert len(lost) >= seeds // 16
    assert shaded >= len(lost) // 4
    assert proved >= 0.5 * len(lost)
    # The bound knows no loops, and the search tries few of their orders for the sake of time.
    assert max(lost) <= 1.35, max(lost)
    assert sum(lost) / len(lost) <= 1.02
