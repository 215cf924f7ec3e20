"""Thresholds chosen together: the search finds what trying every combination finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from picojoule.errors import InputError, UsageError
from picojoule.exits import best_thresholds, front as front_module, leaving
from picojoule.exits.front import grid


def every_combination(score, right, energies, levels):
    """(right answers, energy) of all settings that no other beats, by trying all."""
    least: dict[int, float] = {}
    for thresholds in itertools.product(*(grid(own, levels) for own in score[:-1])):
        left = leaving(score, thresholds)
        hits = int(right[left, np.arange(score.shape[1])].sum())
        least[hits] = min(least.get(hits, np.inf), float(np.asarray(energies)[left].sum()))
    found = []
    for hits in sorted(least, reverse=True):
        if not found or least[hits] < found[-1][1] - 1e-9:
            found.append((hits, least[hits]))
    return found[::-1]


def made_up(rng, exits, images):
    score = rng.random((exits, images)).round(int(rng.integers(1, 3)))
    right = rng.random((exits, images)) < 0.4 + 0.1 * np.arange(exits)[:, None]
    return score, right, np.cumsum(rng.integers(0, 5, exits)).astype(float)


@pytest.mark.parametrize("table", [1, 10, 100, 1 << 18])
def test_the_front_is_that_of_brute_force(monkeypatch, table):
    monkeypatch.setattr(front_module, "TABLE", table)
    rng = np.random.default_rng(table)
    for _ in range(40):
        exits, images, levels = int(rng.integers(2, 5)), int(rng.integers(1, 25)), int(rng.integers(2, 8))
        score, right, energies = made_up(rng, exits, images)
        found = best_thresholds(score, right, energies, levels=levels)
        assert [(round(p.accuracy * images), pytest.approx(p.energy * images)) for p in found.points] == (
            every_combination(score, right, energies, levels)
        )
        for point in found.points:
            left = leaving(score, point.thresholds)
            assert point.energy == pytest.approx(energies[left].mean())
            assert point.accuracy == pytest.approx(right[left, np.arange(images)].mean())
        assert found.counted <= found.combinations


def test_with_levels_enough_every_score_is_tried():
    rng = np.random.default_rng(1)
    score, right = rng.random((2, 12)), rng.random((2, 12)) < 0.5
    found = best_thresholds(score, right, [1, 3])
    assert found.every_score == (True,) and found.levels == (13,)
    # No other threshold at all does better: between two scores all thresholds are alike.
    for threshold in np.linspace(0, 1.01, 1000):
        left = leaving(score, [threshold])
        accuracy, energy = right[left, np.arange(12)].mean(), np.array([1, 3])[left].mean()
        assert found.cheapest(accuracy).energy <= energy + 1e-12
    assert best_thresholds(score, right, [1, 3], levels=5).every_score == (False,)


def test_branches_that_cannot_win_are_left_out():
    rng = np.random.default_rng(2)
    score, right = rng.random((4, 60)), np.ones((4, 60), dtype=bool)
    found = best_thresholds(score, right, [1, 2, 3, 4], levels=64)
    # Every answer is right at once, so nothing beats leaving at once.
    assert [point.energy for point in found.points] == [1.0] and found.counted < found.combinations / 10


def test_a_least_accuracy_cuts_the_front_only_below():
    rng = np.random.default_rng(3)
    score, right, energies = made_up(rng, 3, 40)
    whole = best_thresholds(score, right, energies, levels=6)
    part = best_thresholds(score, right, energies, levels=6, least_accuracy=0.55)
    assert part.points == tuple(p for p in whole.points if p.accuracy >= 0.55)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"energies": [2, 1]}, InputError, "exit 1 takes 1, less than exit 0 with 2"),
        ({"energies": [1]}, InputError, "2 exits need as many energies, got 1"),
        ({"energies": [1, np.nan]}, InputError, "an energy is a number from 0"),
        ({"levels": 1}, UsageError, "at least 2 levels"),
        ({"score": np.full((2, 3), 1.5)}, InputError, "scores lie in 0 … 1"),
        ({"score": np.zeros((2, 0)), "right": np.zeros((2, 0), dtype=bool)}, InputError, "no image"),
    ],
)
def test_what_cannot_be_searched(change, error, says):
    given = {"score": np.zeros((2, 3)), "right": np.zeros((2, 3), dtype=bool), "energies": [1, 2], "levels": 3} | change
    with pytest.raises(error, match=says):
        best_thresholds(given["score"], given["right"], given["energies"], levels=given["levels"])
