"""The choice of least damage within a budget, against trying every combination."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from picojoule.compress.knapsack import Choice, choose

numbers = st.floats(0, 100, allow_nan=False).map(lambda x: round(x, 2))
layers = st.lists(st.lists(st.builds(Choice, numbers, numbers), min_size=1, max_size=4), min_size=1, max_size=4)


@given(layers, st.floats(0, 250))
def test_no_combination_within_the_budget_does_less_damage(rows, budget):
    choices = {f"layer{i}": row for i, row in enumerate(rows)}
    sums = [
        (sum(c.cost for c in combination), sum(c.damage for c in combination))
        for combination in itertools.product(*rows)
    ]
    within = [damage for cost, damage in sums if cost <= budget]
    chosen = choose(choices, budget)
    if chosen is None:
        assert not [1 for cost, _ in sums if cost <= budget * (1 - 1e-9)]
        return
    assert list(chosen) == list(choices)
    cost = sum(choices[name][index].cost for name, index in chosen.items())
    damage = sum(choices[name][index].damage for name, index in chosen.items())
    assert cost <= budget * (1 + 1e-9)
    assert damage <= min(within, default=damage) + 1e-9


def test_of_equal_damages_the_cheaper_is_taken():
    assert choose({"a": [Choice(3, 1), Choice(2, 1)], "b": [Choice(1, 0)]}, 10) == {"a": 1, "b": 0}
