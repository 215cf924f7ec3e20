"""Scores, thresholds and guarantee together; energies of exits by parts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from picojoule.errors import InputError, UnknownNameError, UsageError
from picojoule.exits import ExitEnergies, decide, energies_of_exits, energies_of_heads, estimate_exits
from picojoule.search import Exact

ENERGIES = ExitEnergies(trunk=(1.0, 4.0, 10.0), heads=(0.1, 0.5, 2.0))


def made_up(images, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, images)
    strengths = np.reshape([1.0, 2.0, 3.0], (3, 1, 1))
    return strengths * np.eye(3)[labels] + rng.normal(size=(3, images, 3)), labels


def test_a_policy_does_what_the_decision_says():
    logits, labels = made_up(1000)
    found = decide(logits, labels, ENERGIES, target_accuracy=0.9, levels=20)
    assert found.delta is None and found.setting.accuracy >= 0.9
    left, predicted = found.policy.apply(logits)
    measured = found.policy.measure(logits, labels)
    assert measured.accuracy == (predicted == labels).mean()
    assert measured.energy == pytest.approx(np.array(ENERGIES.leaving())[left].mean())
    assert measured.energy == pytest.approx(found.setting.energy, rel=0.05)
    assert measured.shares == pytest.approx(np.bincount(left, minlength=3) / 1000)
    cheaper = [one for one in found.front if one.energy < found.setting.energy]
    assert all(one.accuracy < 0.9 for one in cheaper)


def test_the_best_exits_to_ask_are_no_dearer_and_heads_left_out_cost_nothing():
    logits, labels = made_up(1000)
    dear = ExitEnergies(trunk=(1.0, 4.0, 10.0), heads=(0.1, 12.0, 2.0))
    every = decide(logits, labels, dear, target_accuracy=0.9, levels=20)
    best = decide(logits, labels, dear, target_accuracy=0.9, levels=20, ask="best")
    assert best.setting.energy < every.setting.energy and best.policy.asked == (0, 2)
    measured = best.policy.measure(logits, labels)
    assert measured.shares[1] == 0
    assert measured.energy == pytest.approx(measured.shares[0] * 1.1 + measured.shares[2] * 17.1)
    # Per accuracy, too: every set that is tried is in the front.
    for point in every.front:
        assert min(one.energy for one in best.front if one.accuracy >= point.accuracy) <= point.energy + 1e-12


def test_with_a_guarantee_the_calibration_images_decide_how_far_to_go():
    logits, labels = made_up(1000)
    held = made_up(1000, seed=1)
    free = decide(logits, labels, ENERGIES, target_accuracy=0.88, levels=20)
    sure = decide(logits, labels, ENERGIES, target_accuracy=0.88, levels=20, calibration=held)
    assert sure.delta == 0.1 and sure.at_least >= 0.88 and sure.calibrated.accuracy > 0.88
    assert sure.setting.energy > free.setting.energy
    assert sure.policy.measure(*held).accuracy == pytest.approx(sure.calibrated.accuracy)
    assert sure.policy.measure(*made_up(20000, seed=2)).accuracy >= 0.88


@pytest.mark.parametrize("rule", ["margin", "learned"])
def test_what_a_manifest_can_say(rule):
    logits, labels = made_up(300)
    exits = decide(logits, labels, ENERGIES, target_accuracy=0.85, levels=10).manifest_exits
    assert len(exits) == 3 and exits[-1]["threshold"] is None
    assert all(math.isfinite(one["temperature"]) and one["temperature"] > 0 for one in exits)
    assert all(one["threshold"] is None or 0 <= one["threshold"] <= 1 for one in exits)
    assert decide(logits, labels, ENERGIES, target_accuracy=0.85, levels=10, rule=rule).manifest_exits is None
    assert decide(logits, labels, ENERGIES, target_accuracy=0.85, levels=10, combine=True).manifest_exits is None


def test_bad_input():
    logits, labels = made_up(200)
    with pytest.raises(InputError, match="the calibration set is empty"):
        decide(logits, labels, ENERGIES, target_accuracy=0.8, calibration=(logits[:, :0], labels[:0]))
    held, wrong = made_up(100, seed=1)
    with pytest.raises(InputError, match="labels lie in") as caught:
        decide(logits, labels, ENERGIES, target_accuracy=0.8, calibration=(held, wrong + 9), calibration_where="held.npz")
    assert caught.value.where == "held.npz: labels"
    with pytest.raises(InputError, match="200 of 200 calibration samples are among those that choose"):
        decide(logits, labels, ENERGIES, target_accuracy=0.8, calibration=(logits, labels))
    with pytest.raises(InputError, match="can't be guaranteed"):
        decide(logits, labels, ENERGIES, target_accuracy=0.99, calibration=made_up(100, seed=1), levels=5)
    with pytest.raises(InputError, match="no setting reaches an accuracy of 0.999"):
        decide(logits, labels, ENERGIES, target_accuracy=0.999, levels=5)
    with pytest.raises(InputError, match="3 exits answer, 2 have an energy"):
        decide(logits, labels, [1, 2], target_accuracy=0.8)
    with pytest.raises(UsageError, match="'all' or 'best'"):
        decide(logits, labels, ENERGIES, target_accuracy=0.8, ask="some")
    with pytest.raises(UsageError, match="512 sets, 128"):
        decide(np.tile(logits[:1], (10, 1, 1)), labels, list(range(10)), target_accuracy=0.8, ask="best")


@pytest.fixture(scope="module")
def estimated():
    return estimate_exits("eyeriss-normalized", depth=3, search=Exact(time_limit_s=None, factors="exact"))


def test_energies_of_an_estimate_by_parts(estimated):
    parts = energies_of_heads(estimated, ["softmax0", "softmax1", "softmax2"])
    assert parts.leaving() == pytest.approx(energies_of_exits(estimated, heads_passed=True))
    alone = energies_of_exits(estimated, heads_passed=False)
    assert [parts.leaving([e])[0] for e in range(3)] == pytest.approx(alone)


def test_heads_that_are_none(estimated):
    with pytest.raises(UnknownNameError, match="no layer 'fc9'"):
        energies_of_heads(estimated, ["softmax0", "fc9"])
    with pytest.raises(InputError, match="'conv1' is no last exit: another one needs it"):
        energies_of_heads(estimated, ["softmax2", "conv1"])
    blind = replace(estimated, layers=tuple(replace(layer, reads=None) for layer in estimated.layers))
    with pytest.raises(InputError, match="doesn't say what 'softmax1' reads"):
        energies_of_heads(blind, ["softmax0", "softmax1"][1:])


@pytest.mark.parametrize("seed", [-1, 0.5, "1", True])
def test_a_seed_that_is_none_is_refused_in_words(seed):
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="seed: a whole number from 0 is needed, got"):
        decide(rng.normal(size=(2, 50, 3)), rng.integers(0, 3, 50), [1, 2], target_accuracy=0.2, seed=seed)


@pytest.mark.parametrize("target", ["0.9", True, None])
def test_a_target_that_is_no_number_is_refused_in_words(target):
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="a target accuracy is a number, got"):
        decide(rng.normal(size=(2, 50, 3)), rng.integers(0, 3, 50), [1, 2], target_accuracy=target)
