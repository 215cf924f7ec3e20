"""Extents in time, and which stands above which."""

from __future__ import annotations

from math import ceil

import pytest

from picojoule.search.lattice import ceilings, divisors, lattice

NUMBERS = [1, 2, 3, 4, 7, 12, 13, 36, 97, 224]


@pytest.mark.parametrize("n", NUMBERS)
def test_divisors_and_ceilings_are_all_there_are(n: int) -> None:
    assert divisors(n) == [d for d in range(1, n + 1) if n % d == 0]
    assert ceilings(n) == sorted({ceil(n / k) for k in range(1, n + 1)})


def test_a_lattice_by_hand() -> None:
    exact = lattice(6, False)
    assert exact.values.tolist() == [1, 2, 3, 6]
    assert exact.below == ((), (0,), (0,), (1, 2))
    imperfect = lattice(7, True)
    assert imperfect.values.tolist() == [1, 2, 3, 4, 7]
    # 7 stands above all, 4 above 2 and 1, 3 above 1 alone.
    assert imperfect.below == ((), (0,), (0,), (1,), (2, 3))


@pytest.mark.parametrize("imperfect", [False, True])
@pytest.mark.parametrize("n", NUMBERS)
def test_going_down_in_steps_reaches_all_that_stands_below(n: int, imperfect: bool) -> None:
    one = lattice(n, imperfect)
    reached: list[set[int]] = []
    for i, steps in enumerate(one.below):
        assert all(one.under[j, i] for j in steps)
        reached.append(set().union(*({j} | reached[j] for j in steps)))
    for i in range(len(one.values)):
        assert reached[i] == {j for j in range(len(one.values)) if one.under[j, i]}
    assert reached[-1] == set(range(len(one.values) - 1))
