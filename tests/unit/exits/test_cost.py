"""The cost of a decision, and the MACs that it rests on."""

from __future__ import annotations

import math

import pytest

from picojoule.errors import InputError, UsageError
from picojoule.exits import Candidate, alpha_of, decision_cost, depth_macs, exit_energies, expected_energy
from picojoule.exits.macs import conv_macs, fc_macs
from picojoule.workload import builtin_network
from picojoule.workload.builtin.merkel import merkel, merkel_exits


def test_the_document_s_equations_count_what_the_nests_count():
    assert conv_macs(32, 32, 3, 3, 3, 64) == 30 * 30 * 27 * 64
    assert fc_macs(3072, 10) == 30_720
    for depth in range(1, 12):
        assert depth_macs(depth) == builtin_network(f"merkel:L{depth}").macs
    for width in (1, 7, 64):
        assert depth_macs(6, width) == 29_140 * width + 22_680 * width**2 == merkel(6, width).macs


def test_exits_with_and_without_the_heads_on_the_way():
    free, charged = exit_energies(heads_passed=False), exit_energies(heads_passed=True)
    assert free == [depth_macs(depth) for depth in range(1, 7)]
    assert charged[0] == free[0] and charged[-1] == 96_672_000 == merkel_exits(6).macs
    assert charged[-1] / free[-1] == pytest.approx(1.020, abs=5e-4)


def test_one_network_with_six_exits_has_fewer_parameters_than_six_networks():
    exits, six = merkel_exits(6).params, sum(merkel(depth).params for depth in range(1, 7))
    assert (exits, six) == (2_369_084, 2_597_820)
    assert round(100 * (1 - exits / six), 2) == 8.80


def test_minimising_the_cost_for_alpha_of_gamma_is_minimising_the_expected_energy():
    """Eq. (8) over E_Dmax is an affine function of eq. (5) at α = 1/(1 + (γ − 1)·E_X/E_Dmax): one order of networks."""
    points = [(0.1, 0.4), (0.3, 0.7), (0.6, 0.8), (1.0, 0.81)]
    for gamma in (1.0, 1.5, 4.0):
        for ratio in (0.0, 0.2, 3.0):
            alpha = alpha_of(gamma, ratio)
            for energy, accuracy in points:
                expected = expected_energy(energy, accuracy, ratio, gamma)
                assert decision_cost(alpha, energy, accuracy) == pytest.approx(alpha * (expected - ratio), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda: decision_cost(-0.1, 0.5, 0.5), "alpha"),
        (lambda: decision_cost(1.1, 0.5, 0.5), "alpha"),
        (lambda: decision_cost(math.nan, 0.5, 0.5), "alpha"),
        (lambda: alpha_of(0.99, 1), "gamma"),
        (lambda: alpha_of(math.inf, 1), "gamma"),
        (lambda: alpha_of(2, -1), "energy_ratio"),
        (lambda: alpha_of(1e308, 1e308), "energy_ratio"),
        (lambda: expected_energy(1, 1.5, 1, 2), "accuracy"),
        (lambda: expected_energy(1, 0.5, -1, 2), "execution_energy"),
        (lambda: expected_energy(1, 0.5, 1, 0.5), "gamma"),
        (lambda: depth_macs(0), "depth"),
        (lambda: depth_macs(12), "depth"),
        (lambda: exit_energies(0, heads_passed=True), "depth"),
        (lambda: depth_macs(6, 0), "depth"),
    ],
)
def test_what_is_out_of_range_is_refused(call, where):
    with pytest.raises(UsageError) as caught:
        call()
    assert caught.value.where == where


@pytest.mark.parametrize(("energy", "accuracy"), [(-1, 0.5), (math.nan, 0.5), (1, 1.5), (1, math.nan), (1, -0.1)])
def test_a_candidate_is_checked_at_birth(energy, accuracy):
    with pytest.raises(InputError, match="net"):
        try:
            Candidate(name="net", energy=energy, accuracy=accuracy)
        except InputError as error:
            raise InputError(str(error)) from None


def test_percentages_are_recognised():
    with pytest.raises(InputError) as caught:
        Candidate(name="net", energy=1, accuracy=72.0)
    assert "Divide percentages by 100" in caught.value.hint


@pytest.mark.parametrize(("depth", "filters"), [(0, 64), (12, 64), (6, 0), (6, 65)])
def test_networks_that_the_document_doesn_t_have(depth, filters):
    with pytest.raises(ValueError, match="depth must be|filters"):
        merkel(depth, filters)
    with pytest.raises(ValueError, match="depth must be|filters"):
        merkel_exits(depth, filters)
