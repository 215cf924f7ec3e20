"""Following α over a trace: choices, switches and idle parameters, counted by hand."""

from __future__ import annotations

import pytest

from picojoule.errors import InputError, UsageError
from picojoule.exits import Candidate, follow, one_network, separate_networks

WAYS = [Candidate(name=n, energy=e, accuracy=a) for n, e, a in [("A", 0, 0.5), ("B", 5, 0.7), ("C", 10, 0.8)]]
TRACE = [1.0, 1.0, 0.0, 0.2, 1.0]
"""α = 1: only energy counts, A. α = 0: only accuracy, C. α = 0.2: costs .40, .34, .36, B."""


def test_separate_networks():
    found = follow(separate_networks(WAYS, [10, 20, 30]), TRACE)
    assert found.choices == (0, 0, 2, 1, 0)
    assert (found.params, found.switches) == (60, 3)
    assert found.switched_in_params == 30 + 20 + 10
    assert found.mean_idle_params == (50 + 50 + 30 + 40 + 50) / 5
    assert found.energy == 0 + 0 + 10 + 5 + 0
    assert found.mean_accuracy == pytest.approx((0.5 + 0.5 + 0.8 + 0.7 + 0.5) / 5)
    assert found.mean_cost == pytest.approx((0 + 0 + 0.2 + 0.34 + 0) / 5)


def test_one_network_keeps_what_the_exits_share():
    found = follow(one_network(WAYS, convs=[7, 8], heads=[1, 2, 3]), TRACE)
    assert found.choices == (0, 0, 2, 1, 0) and found.params == 21
    # A → C: both convolutions and head C; C → B: head B; B → A: head A
    assert found.switched_in_params == (7 + 8 + 3) + 2 + 1
    assert found.mean_idle_params == pytest.approx((20 + 20 + 3 + 12 + 20) / 5)


def test_systems_are_compared_under_one_greatest_energy():
    """With E_Dmax = 5 energy counts double."""
    assert follow(separate_networks(WAYS, [1, 1, 1]), [0.2], energy_max=5).choices == (0,)


def test_what_can_t_be_followed_is_refused():
    system = separate_networks(WAYS, [10, 20, 30])
    with pytest.raises(UsageError, match="α lies in 0 … 1, got 1.5"):
        follow(system, [0.5, 1.5])
    with pytest.raises(InputError, match="no step"):
        follow(system, [])
    with pytest.raises(InputError, match="above 0"):
        follow(system, [0.5], energy_max=0)
    with pytest.raises(InputError, match="3 heads and 2 convolutions"):
        one_network(WAYS, convs=[7], heads=[1, 2, 3])


def test_networks_of_one_name_would_be_one_block():
    with pytest.raises(InputError, match="1 different names and 2 counts"):
        separate_networks([WAYS[0], WAYS[0]], [10, 20])
    with pytest.raises(InputError, match="3 different names and 2 counts"):
        separate_networks(WAYS, [10, 20])
