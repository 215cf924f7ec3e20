"""The guarantee: exact tails, the fixed sequence, how many samples would do, and that it holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from picojoule.errors import InputError, UsageError
from picojoule.exits import guaranteed, lower_bound, p_value, samples_needed
from picojoule.exits.guarantee import check_apart


@pytest.mark.parametrize("images", [1, 7, 100, 5000])
@pytest.mark.parametrize("target", [0.01, 0.5, 0.779, 0.999])
def test_p_values_are_scipy_s(images, target):
    for right in {0, images // 2, int(images * target), images - 1, images}:
        assert p_value(right, images, target) == pytest.approx(binom.sf(right - 1, images, target), rel=1e-8, abs=1e-14)


def test_the_lower_bound_is_where_the_test_turns():
    bound = lower_bound(790, 1000, 0.1)
    assert p_value(790, 1000, bound - 1e-9) <= 0.1 < p_value(790, 1000, bound + 1e-9)


@pytest.mark.parametrize(("accuracy", "target", "delta"), [(1.0, 0.9, 0.1), (0.8, 0.78, 0.1), (0.8, 0.799, 0.05)])
def test_so_many_samples_do(accuracy, target, delta):
    needed = samples_needed(accuracy, target, delta)
    assert p_value(int(accuracy * needed + 1e-9), needed, target) <= delta
    few = needed // 2
    assert p_value(int(accuracy * few + 1e-9), few, target) > delta


def test_no_number_of_samples_guarantees_more_than_there_is():
    assert samples_needed(0.7, 0.7, 0.1) is None
    assert samples_needed(0.7 + 1e-5, 0.7, 0.1) == pytest.approx(1.2816**2 * 0.21 / 1e-10, rel=0.01)


def test_the_sequence_ends_at_the_first_failure():
    found = guaranteed([95, 80, 95], 100, target=0.88, delta=0.1)
    assert (found.index, found.tested) == (0, 2)


def test_what_cannot_be_guaranteed_says_how_many_samples_would_do():
    with pytest.raises(InputError, match="can't be guaranteed with δ = 0.1 by 100 samples") as caught:
        guaranteed([80], 100, target=0.78, delta=0.1)
    assert f"About {samples_needed(0.8, 0.78, 0.1)} samples would do" in caught.value.hint
    with pytest.raises(InputError) as caught:
        guaranteed([70], 100, target=0.78, delta=0.1)
    assert "no number of samples would do" in caught.value.hint
    with pytest.raises(InputError, match="calibration set is empty") as caught:
        guaranteed([], 0, target=0.9, delta=0.1)
    assert "22 samples are needed" in caught.value.hint
    with pytest.raises(InputError, match="an accuracy of 0.78 on the next 500 images, in the long run 0.80829 can"):
        guaranteed([78], 100, target=0.78, delta=0.1, next_images=500)
    with pytest.raises(UsageError, match="Divide percentages"):
        guaranteed([1], 1, target=78, delta=0.1)
    with pytest.raises(UsageError, match="δ lies between 0 and 1"):
        guaranteed([1], 1, target=0.5, delta=0)


def test_calibration_samples_are_others_than_those_that_choose():
    rng = np.random.default_rng(0)
    choosing, others = rng.normal(size=(100, 3)), rng.normal(size=(200, 3))
    check_apart(choosing, others, "held.npz")
    check_apart(choosing, np.concatenate([others, choosing[:3]]), "held.npz")  # data sets hold some twice
    with pytest.raises(InputError, match="10 of 210 calibration samples are among those that choose"):
        check_apart(choosing, np.concatenate([others, choosing[:10]]), "held.npz")
    few = rng.integers(0, 2, size=(500, 2))
    check_apart(few[:250], few[250:], "held.npz")  # four different samples: equal ones may well be others


def test_the_next_images_hold_the_target_too():
    rng = np.random.default_rng(0)
    true, coming = np.linspace(0.95, 0.7, 51), 400
    missed = loose = taken = 0
    for _ in range(1000):
        luck, new = np.sort(rng.random(400)), np.sort(rng.random(coming))
        hits, later = np.searchsorted(luck, true).tolist(), np.searchsorted(new, true)
        found = guaranteed(hits, 400, target=0.8, delta=0.1, next_images=coming)
        missed += later[found.index] < 0.8 * coming
        loose += later[guaranteed(hits, 400, target=0.8, delta=0.1).index] < 0.8 * coming
        taken += true[found.index]
    # The long run's guarantee is none for a batch; nor is the batch's bought by asking for everything.
    assert missed <= 100 < loose and taken / 1000 < 0.9
    with pytest.raises(UsageError, match="at least 1, got 0"):
        guaranteed([9], 10, target=0.8, delta=0.1, next_images=0)


def test_the_target_is_missed_no_more_often_than_stated():
    """Settings of known accuracy, from the most to the least accurate; images drawn anew 2000 times."""
    rng = np.random.default_rng(0)
    true = np.linspace(0.9, 0.7, 41)
    for images, delta in ((200, 0.1), (1000, 0.2)):
        missed = 0
        for _ in range(2000):
            # Nested: who is answered right by a cheap setting is by all dearer ones, as neighbours nearly are.
            luck = np.sort(rng.random(images))
            hits = np.searchsorted(luck, true).tolist()
            if p_value(hits[0], images, 0.8) <= delta:
                found = guaranteed(hits, images, target=0.8, delta=delta)
                missed += true[found.index] < 0.8 - 1e-12
        assert missed / 2000 <= delta + 0.02
        assert missed > 0  # it isn't only cautious
