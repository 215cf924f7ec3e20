"""Temperatures, combining, and rules of confidence."""

from __future__ import annotations

import numpy as np
import pytest

from picojoule.errors import InputError, UsageError
from picojoule.exits import RULES, cross_fitted, fit_scorer
from picojoule.exits.choice_model import fit_weights, log_softmax


def made_up(images=3000, temperature=(2.0, 0.5), seed=0):
    """Logits whose softmax at the temperature is the probability of the label, exactly."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(2, images, 4)) * np.array([1.0, 2.0])[:, None, None]
    both = log_softmax(true.sum(0))
    labels = (np.exp(both).cumsum(1) > rng.random((images, 1))).argmax(1)
    return true * np.reshape(temperature, (2, 1, 1)), labels


def test_the_temperature_that_made_the_labels_is_found():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(1, 20000, 5)) * 2
    labels = (np.exp(log_softmax(true[0])).cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert fit_scorer(true * 3, labels).temperatures == pytest.approx((3.0,), rel=0.03)


def test_combining_finds_the_weights_that_made_the_labels():
    logits, labels = made_up(20000)
    scorer = fit_scorer(logits, labels, combine=True)
    assert scorer.combined and scorer.temperatures is None
    assert scorer.weights[1] == pytest.approx((0.5, 2.0), rel=0.06)
    apart = fit_scorer(logits, labels)
    right = [(s.read(logits).predicted[1] == labels).mean() for s in (scorer, apart)]
    assert right[0] > right[1] + 0.01


def test_rules_by_hand():
    logits = np.log(np.array([[[0.5, 0.25, 0.25], [0.4, 0.4, 0.2]]]))
    labels = np.array([0, 2])
    entropy = -(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25)) / np.log(3)
    from picojoule.exits import Scorer

    for rule, expected in (("max", (0.5, 0.4)), ("margin", (0.25, 0.0)), ("entropy", (1 - entropy, None))):
        score = Scorer(rule=rule, weights=((1.0,),)).read(logits).score[0]
        for found, wanted in zip(score, expected, strict=True):
            assert wanted is None or found == pytest.approx(wanted)
    assert labels.shape == (2,)


def test_the_learned_score_is_low_where_going_on_helps():
    logits, labels = made_up()
    scored = fit_scorer(logits, labels, rule="learned").read(logits)
    gain = (scored.predicted[1] == labels).astype(int) - (scored.predicted[0] == labels)
    order = np.argsort(scored.score[0])
    assert gain[order[:1000]].mean() > gain[order[-1000:]].mean() + 0.2
    # The score is the expected gain: ½ − gain/2, right on average.
    assert (1 - 2 * scored.score[0]).mean() == pytest.approx(gain.mean(), abs=0.01)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("combine", [False, True])
def test_scores_lie_in_0_1_and_folds_see_only_the_others(rule, combine):
    logits, labels = made_up(400)
    scored = cross_fitted(logits, labels, rule=rule, combine=combine, folds=4)
    assert scored.score.min() >= 0 and scored.score.max() <= 1
    # An image's own label has no part in its score.
    changed = labels.copy()
    changed[7] = (labels[7] + 1) % 4
    again = cross_fitted(logits, changed, rule=rule, combine=combine, folds=4)
    assert (again.score[:, 7] == scored.score[:, 7]).all()


def test_newton_meets_the_gradient():
    rng = np.random.default_rng(5)
    x, labels = rng.normal(size=(500, 3, 4)), rng.integers(0, 3, 500)
    w = fit_weights(x, labels, start=np.zeros(4), ridge=0.0)
    p = np.exp(log_softmax(x @ w))
    slope = np.einsum("nc,ncd->d", p, x) - x[np.arange(500), labels].sum(0)
    assert np.abs(slope).max() < 1e-3


def test_data_that_separate_the_classes_have_a_finite_fit():
    logits = np.array([[[5.0, 0.0], [0.0, 5.0]] * 20])
    assert np.isfinite(fit_scorer(logits, np.array([0, 1] * 20), rule="learned").weights).all()


def test_what_cannot_be_fitted():
    logits, labels = made_up(20)
    with pytest.raises(UsageError, match="no confidence rule is called 'maximum'"):
        fit_scorer(logits, labels, rule="maximum")
    with pytest.raises(InputError, match="right the less often, the surer it is"):
        fit_scorer(np.array([[[3.0, 0.0]] * 10]), np.ones(10, dtype=int))
    with pytest.raises(InputError, match="no image to fit to"):
        fit_scorer(logits[:, :0], labels[:0])
    with pytest.raises(InputError, match="2 exits were fitted, these logits are of 1"):
        fit_scorer(logits, labels).read(logits[:1])
    with pytest.raises(InputError, match="3 images are too few"):
        cross_fitted(logits[:, :3], labels[:3])
