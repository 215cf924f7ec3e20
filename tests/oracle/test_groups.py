"""Bounding assignments in groups changes no answer, and no group's bound is above what a member can reach.

Real layers are large enough for groups; here the thresholds are set so that the tiny layers of the oracle are cut into
groups, too, with folded machines so coarse that most values are joined.
"""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from oracle.random_machines import random_problem

from picojoule.search import best_first
from picojoule.search.groups import Grouping
from picojoule.search.layer import _Search, search_layer
from picojoule.search.policy import Exact

CLOSE = 1e-9


@pytest.mark.parametrize("factors", ["any", "exact"])
@pytest.mark.parametrize(("points", "leaf"), [(10**5, 1), (60, 1), (8, 40)])
def test_groups_change_no_answer(monkeypatch: pytest.MonkeyPatch, factors: str, points: int, leaf: int) -> None:
    policy = Exact(time_limit_s=None, factors=factors)
    grouped = 0
    for seed in range(60):
        problem = random_problem(seed, most_dims=5, most_macs=300)
        arguments = problem.nest, problem.machine, problem.bits, "energy", policy
        plain = search_layer(*arguments)
        with monkeypatch.context() as patch:
            for name, value in (("ONE_BY_ONE", 0), ("LEAF", leaf), ("POINTS", points), ("FINE", points)):
                patch.setattr(best_first, name, value)
            search = _Search(*arguments, None)
            cut = search.run()
        grouped += sum(queue.groups for queue in search.queues) > 4
        assert cut.value == pytest.approx(plain.value, rel=CLOSE), problem
        assert (cut.status, cut.bound) == (plain.status, pytest.approx(plain.bound, rel=CLOSE)), problem
    assert grouped >= 12


@pytest.mark.parametrize("imperfect", [True, False])
def test_no_member_can_do_with_less_than_its_groups_excess(imperfect: bool) -> None:
    """At the start, and at every state and point that a member's own sweep has reached on its way to its optimum."""
    rng = random.Random("groups")
    compared = positive = 0
    for seed in range(150):
        drawn = random_problem(seed, most_dims=5, most_macs=300)
        policy = Exact(time_limit_s=None, factors="any" if imperfect else "exact")
        search = _Search(drawn.nest, drawn.machine, drawn.bits, "energy", policy, None)
        search._set_out()
        problem = search.queues[0].problem
        if len(problem.factors) < 4:
            continue
        grouping = Grouping(problem)
        everything = np.arange(len(problem.factors))
        group, start = grouping.narrowed(everything, None, math.inf, rng.choice((8, 60, 10**5)))
        for _ in range(3):
            members = np.array(sorted(rng.sample(everything.tolist(), rng.randint(1, min(6, len(everything))))))
            smaller, closer = grouping.narrowed(members, group, math.inf, rng.choice((8, 60, 10**5)))
            assert closer >= start * (1 - 1e-5) - 1e-6, drawn
            for a in members.tolist():
                fixed, least = problem.lay_out(a)
                optimum = problem.chain(a, problem.room, math.inf)
                compared += 1
                positive += closer > 0
                if math.isfinite(optimum):
                    assert least + closer <= optimum * (1 + CLOSE) + 1e-6, (drawn, problem.factors[a])
                # With the group's excess to look ahead, the sweep still finds the very same.
                problem.look_ahead(smaller.excess(), smaller.toward)
                assert problem.chain(a, problem.room, math.inf) == optimum, (drawn, problem.factors[a])
                if math.isfinite(optimum):
                    assert problem.chain(a, problem.room, optimum * (1 + 1e-9) + 1e-9) == optimum, drawn
                problem.look_ahead()
    assert compared >= 300
    assert positive >= 30
