"""The search against every mapping there is, where zeros are minded: the optimum stays the optimum."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oracle.brute_force import size_of
from oracle.map_space import DECLARED, IMPERFECT
from oracle.random_machines import random_problem
from oracle.random_zeros import minding, zeros_of
from oracle.test_brute_force import ANY, UNLIMITED, compare

from picojoule.cost.zeros import priced


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
