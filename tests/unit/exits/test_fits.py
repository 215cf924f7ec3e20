"""Laws: they recover what made the points, and A* is where the cost is least."""

from __future__ import annotations

import math

import numpy as np
import pytest

from picojoule.errors import InputError, UsageError
from picojoule.exits import Candidate, Fit, alpha_of, choose, fit

ACCURACIES = np.array([0.37, 0.63, 0.70, 0.74, 0.77, 0.80])
EXPONENTIAL = Fit(law="exponential", a=2e-6, b=16.4, r_squared=1.0, monotone=True)
RATIONAL = Fit(law="rational", a=0.08, b=1.18, r_squared=1.0, monotone=True)


@pytest.mark.parametrize("law", [EXPONENTIAL, RATIONAL], ids=["exponential", "rational"])
@pytest.mark.parametrize("unit", [1.0, 9.5e7])
def test_a_fit_recovers_the_law_that_made_the_points(law, unit):
    found = fit(law.law, ACCURACIES, unit * law.at(ACCURACIES))
    assert found.a == pytest.approx(law.a * unit, rel=1e-5) and found.b == pytest.approx(law.b, rel=1e-6)
    assert found.r_squared == pytest.approx(1) and found.monotone


@pytest.mark.parametrize("law", ["exponential", "rational"])
def test_a_fit_is_the_least_of_squares_in_its_neighbourhood(law):
    energies = EXPONENTIAL.at(ACCURACIES) * np.array([1.3, 0.8, 1.1, 0.9, 1.05, 1.0])
    found = fit(law, ACCURACIES, energies)

    def loss(a: float, b: float) -> float:
        at = Fit(law=law, a=a, b=b, r_squared=1.0, monotone=True).at(ACCURACIES)
        return float(((at - energies) ** 2).sum())

    least = loss(found.a, found.b)
    assert 0 < found.r_squared < 1
    for step in (1 - 1e-3, 1 + 1e-3):
        assert loss(found.a * step, found.b) > least and loss(found.a, found.b * step) > least


@pytest.mark.parametrize("law", [EXPONENTIAL, RATIONAL], ids=["exponential", "rational"])
@pytest.mark.parametrize("alpha", [0.05, 0.3, 0.6, 0.9])
def test_a_star_is_where_the_cost_is_least(law, alpha):
    star = law.stationary(alpha)
    grid = np.linspace(star - 0.02, star + 0.02, 401)
    cost = alpha * law.at(grid) + (1 - alpha) * (1 - grid)
    assert abs(grid[cost.argmin()] - star) < 2e-4


def test_a_star_is_that_of_equations_7_and_9():
    law = EXPONENTIAL
    assert law.stationary(0.3) == pytest.approx(math.log(0.7 / (0.3 * law.a * law.b)) / law.b)
    gamma, ratio = 3.0, 0.4
    by_9 = math.log((gamma - 1) * ratio / (law.a * law.b)) / law.b
    assert law.stationary(alpha_of(gamma, ratio)) == pytest.approx(by_9)


def test_a_star_is_clipped_to_what_can_be_reached_and_rounded_to_the_nearest():
    reachable = ACCURACIES.tolist()
    for alpha, printed, clipped, nearest in [
        (0.0, math.inf, 0.80, 5),
        (1.0, -math.inf, 0.37, 0),
        (1e-4, None, 0.80, 5),
    ]:
        best = EXPONENTIAL.optimum(alpha, reachable)
        assert (best.accuracy, best.nearest) == (clipped, nearest)
        assert printed is None or best.printed == printed
    assert alpha_of(1.0, 5.0) == 1.0  # γ = 1: a bad decision costs nothing more
    inside = EXPONENTIAL.optimum(0.5, reachable)
    assert inside.accuracy == inside.printed == pytest.approx(0.630, abs=2e-3) and inside.nearest == 1


def test_a_curve_that_bends_the_other_way_has_its_optimum_at_an_end():
    """b < 0: a log-like curve, whose stationary point is the dearest accuracy."""
    bent = Fit(law="rational", a=1.0, b=-3.0, r_squared=1.0, monotone=True)
    best = bent.optimum(0.6, [0.2, 0.4, 0.6, 0.9])
    grid = np.linspace(0.2, 0.9, 1001)
    cost = 0.6 * bent.at(grid) + 0.4 * (1 - grid)
    assert best.accuracy == pytest.approx(grid[cost.argmin()])


def test_a_table_that_is_not_monotone_is_fitted_and_says_so():
    assert not fit("exponential", [0.4, 0.6, 0.7, 0.69], [0.1, 0.3, 0.7, 1.0]).monotone
    nets = [Candidate(name=n, energy=e, accuracy=a) for n, e, a in [("A", 1, 0.4), ("B", 3, 0.7), ("C", 9, 0.69)]]
    choice = choose(nets, alpha=0.3, fit="exponential")
    assert choice.fit is not None and len(choice.notes) == 1 and "C takes more energy than B" in choice.notes[0]


@pytest.mark.parametrize(
    ("law", "accuracies", "energies", "error", "says"),
    [
        ("cubic", [0.1, 0.2], [1, 2], UsageError, "no law is called 'cubic'"),
        ("exponential", [0.5, 0.5], [1, 2], InputError, "two different accuracies, got 1"),
        ("exponential", [0.5, 0.6], [1], InputError, "as many energies as accuracies"),
        ("exponential", [0.5, math.nan], [1, 2], InputError, "all of them numbers"),
        ("exponential", [0.5, 0.6], [0, 1], InputError, "two energies above 0"),
        ("rational", [0.5, 0.6], [0, 0], InputError, "an energy above 0"),
        ("rational", [-0.5, 0.0], [1, 2], InputError, "an accuracy above 0"),
        ("exponential", [0.4, 0.5], [1, 1e308], InputError, "too steep to be computed"),
        ("exponential", [0.5, 0.5001], [1, 1e300], InputError, "no curve was found that fits"),
    ],
)
def test_what_can_t_be_fitted_is_refused(law, accuracies, energies, error, says):
    with pytest.raises(error, match=says):
        fit(law, accuracies, energies)


def test_choosing_weighs_energy_against_accuracy():
    nets = [Candidate(name=n, energy=e, accuracy=a) for n, e, a in [("A", 1, 0.4), ("B", 3, 0.7), ("C", 10, 0.8)]]
    picked = [choose(nets, alpha=alpha).best for alpha in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert picked == [2, 2, 1, 0, 0]
    by_gamma = choose(nets, gamma=3, energy_ratio=0.5)
    assert by_gamma.alpha == 0.5 and by_gamma.best == 1
    assert by_gamma.expected is not None and by_gamma.best == int(np.argmin(by_gamma.expected))


def test_equal_costs_go_to_the_cheaper():
    nets = [Candidate(name=n, energy=e, accuracy=0.5) for n, e in [("dear", 2), ("cheap", 1)]]
    assert choose(nets, alpha=0.0).best == 1


def test_of_equal_energies_none_is_said_to_take_more():
    nets = [Candidate(name=n, energy=e, accuracy=a) for n, e, a in [("A", 1, 0.5), ("B", 1, 0.4), ("C", 2, 0.3)]]
    equal, more = choose(nets, alpha=0.5).notes
    assert equal.startswith("not monotone: B takes no less energy than A and is no more accurate (0.4 after 0.5)")
    assert more.startswith("not monotone: C takes more energy than B and is no more accurate (0.3 after 0.4)")


@pytest.mark.parametrize(
    "given", [{}, {"alpha": 0.5, "gamma": 2}, {"gamma": 2}, {"energy_ratio": 1}, {"alpha": 0.5, "energy_ratio": 1}]
)
def test_one_way_to_alpha_is_needed(given):
    with pytest.raises(UsageError, match="either α is needed, or γ"):
        choose([Candidate(name="A", energy=1, accuracy=0.5)], **given)


def test_there_must_be_something_to_choose():
    with pytest.raises(InputError, match="no network"):
        choose([], alpha=0.5)
    with pytest.raises(InputError, match="E_Dmax is 0"):
        choose([Candidate(name="A", energy=0, accuracy=0.5)], alpha=0.5)
