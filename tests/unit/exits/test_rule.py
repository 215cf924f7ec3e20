"""Confidences, and the rule of eq. (10), against loops that do what the equations say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from picojoule.errors import InputError, UsageError
from picojoule.exits import Answers, Rule, accuracy_from, achieved, answers, baseline_energy

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 10, 300)
STRENGTH = np.array([0.5, 1.5, 3.0])
LOGITS = RNG.normal(size=(3, 300, 10)) + STRENGTH[:, None, None] * np.eye(10)[LABELS]
EXITS = answers(LOGITS, LABELS)
TRAIN = (0.35, 0.7, 0.95)


def test_confidence_is_the_largest_softmax_output():
    for e in range(3):
        for i in range(0, 300, 37):
            z = [math.exp(v) for v in LOGITS[e, i]]
            assert EXITS.confidence[e, i] == pytest.approx(max(z) / sum(z))
            assert EXITS.right[e, i] == (z.index(max(z)) == LABELS[i])


def test_large_logits_in_half_precision_don_t_overflow():
    logits = np.full((1, 1, 3), -6e4, np.float16)
    logits[0, 0, 1] = 6e4
    assert answers(logits, np.array([1])).confidence.tolist() == [[1.0]]


def test_accuracy_by_minimum_confidence():
    thresholds = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    accuracy, share = accuracy_from(EXITS, thresholds)
    for e in range(3):
        for t, least in enumerate(thresholds):
            kept = [i for i in range(300) if EXITS.confidence[e, i] >= least]
            assert share[e, t] == pytest.approx(len(kept) / 300)
            if kept:
                assert accuracy[e, t] == pytest.approx(np.mean([EXITS.right[e, i] for i in kept]))
            else:
                assert np.isnan(accuracy[e, t])
    assert accuracy[:, 0] == pytest.approx(EXITS.accuracy)


@pytest.mark.parametrize("betas", [(1.0, 1.0), (0.8, 1.1), (1.2, 0.7)])
@pytest.mark.parametrize("desired", [0.0, 0.3, 0.55, 0.8, 1.0])
def test_the_rule_is_equation_10(betas, desired):
    rule = Rule(train_accuracy=TRAIN, beta1=betas[0], beta2=betas[1])
    expected = []
    for i in range(300):
        leaves = 2  # no solution: l = L
        for e in range(3):
            if betas[0] * TRAIN[e] >= desired or EXITS.confidence[e, i] >= betas[1] * desired:
                leaves = e
                break
        expected.append(leaves)
    assert rule.exits(EXITS.confidence, desired).tolist() == expected


def test_what_the_rule_achieves_is_counted_image_by_image():
    rule, energies = Rule(train_accuracy=TRAIN), [1.0, 5.0, 20.0]
    for point in achieved(rule, EXITS, energies, [0.2, 0.6, 0.9]):
        left = rule.exits(EXITS.confidence, point.desired)
        assert point.accuracy == pytest.approx(np.mean([EXITS.right[e, i] for i, e in enumerate(left)]))
        assert point.energy == pytest.approx(np.mean([energies[e] for e in left]))
        assert sum(point.shares) == pytest.approx(1)


def test_wanting_nothing_takes_the_first_exit_and_wanting_the_impossible_the_last():
    rule = Rule(train_accuracy=TRAIN, beta1=0.9, beta2=1.5)
    assert set(rule.exits(EXITS.confidence, 0.0)) == {0}
    assert set(rule.exits(EXITS.confidence, 1.0)) == {2}


def test_the_baseline_is_straight_lines_between_networks_worth_taking():
    accuracies, energies = [0.4, 0.7, 0.65, 0.8], [1.0, 3.0, 4.0, 9.0]
    found = baseline_energy(accuracies, energies, np.array([0.3, 0.4, 0.55, 0.7, 0.75, 0.8, 0.81]))
    assert found[:-1].tolist() == pytest.approx([1.0, 1.0, 2.0, 3.0, 6.0, 9.0]) and np.isnan(found[-1])


@pytest.mark.parametrize(
    ("logits", "labels", "says"),
    [
        (
            np.full((2, 3, 4), np.nan),
            np.zeros(3, int),
            "6 of 6 answers are no finite numbers, the first at exit 0, image 0",
        ),
        (np.zeros((2, 3, 4)), np.zeros(2, int), "the logits are of 3 images"),
        (np.zeros((2, 3, 4)), np.zeros(3), "labels float64"),
        (np.zeros((2, 3, 4)), np.array([0, 1, 4]), r"labels lie in 0 … 3, the logits' classes; got 0 … 4"),
        (np.zeros((3, 4)), np.zeros(3, int), "exits × images × classes"),
        (np.zeros((2, 3, 4), int), np.zeros(3, int), "floats of"),
        (np.zeros((1, 0, 4)), np.zeros(0, int), "no image"),
    ],
)
def test_logits_that_can_t_be_judged_are_refused(logits, labels, says):
    with pytest.raises(InputError, match=says):
        answers(logits, labels)


def test_one_bad_answer_is_named():
    logits = LOGITS.copy()
    logits[1, 42, 3] = np.inf
    with pytest.raises(InputError, match="1 of 900 answers are no finite numbers, the first at exit 1, image 42"):
        answers(logits, LABELS)


@pytest.mark.parametrize(
    ("field", "value"), [("beta1", 0.0), ("beta1", math.nan), ("beta2", -1.0), ("beta2", math.inf)]
)
def test_betas_out_of_range_are_refused(field, value):
    with pytest.raises(UsageError, match=f"{field} is a number above 0") as caught:
        Rule(train_accuracy=TRAIN, **{field: value})
    assert caught.value.where == field


def test_what_doesn_t_fit_the_rule_is_refused():
    with pytest.raises(InputError, match=r"accuracies lie in 0 … 1"):
        Rule(train_accuracy=(0.5, 70.0))
    with pytest.raises(UsageError, match="a desired accuracy"):
        Rule(train_accuracy=TRAIN).exits(EXITS.confidence, 1.1)
    with pytest.raises(InputError, match="3 exits answer, 2 have a training accuracy"):
        Rule(train_accuracy=TRAIN[:2]).exits(EXITS.confidence, 0.5)
    with pytest.raises(InputError, match=r"exits × images, got \(2,\)"):
        Rule(train_accuracy=(0.5, 0.9)).exits(np.array([0.5, 0.9]), 0.5)
    with pytest.raises(InputError, match="3 exits need as many energies, got 2"):
        achieved(Rule(train_accuracy=TRAIN), EXITS, [1, 2], [0.5])
    for energies in ([1, 2, math.nan], [-1, 2, 3]):
        with pytest.raises(InputError, match="an energy is a number from 0"):
            achieved(Rule(train_accuracy=TRAIN), EXITS, energies, [0.5])
    with pytest.raises(InputError, match="a confidence lies in"):
        Answers(confidence=np.array([[1.5]]), right=np.array([[True]]))
