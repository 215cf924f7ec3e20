"""Fronts, volumes and effects, against what can be worked out by hand."""

from __future__ import annotations

import pytest

from picojoule.study.fronts import Sensitivity, hypervolume, nondominated, signed
from picojoule.study.points import Record


def record(key: str) -> Record:
    return Record(key=key, point={}, figures={}, failed="", cpu_s=0.0)


def test_what_nothing_beats_is_kept_in_any_order():
    values = [(3.0, 1.0), (1.0, 3.0), (2.0, 2.0), (2.0, 3.0), (3.0, 3.0), (2.0, 2.0)]
    for order in (values, values[::-1]):
        front = nondominated((value, record(str(n))) for n, value in enumerate(order))
        assert [value for value, _ in front] == [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]


def test_accuracy_is_to_be_large():
    assert signed((2.0, 0.9), ("energy", "accuracy")) == (2.0, -0.9)


@pytest.mark.parametrize(
    ("points", "worst", "volume"),
    [
        ([(1.0,)], (3.0,), 2.0),
        ([(1.0, 2.0), (2.0, 1.0)], (3.0, 3.0), 3.0),
        ([(1.0, 1.0), (2.0, 2.0)], (3.0, 3.0), 4.0),
        ([(0.0, 0.0, 0.0)], (2.0, 3.0, 4.0), 24.0),
        ([(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)], (2.0, 2.0, 2.0), 4.0),
        ([(4.0, 0.0)], (3.0, 3.0), 0.0),
    ],
)
def test_volumes(points, worst, volume):
    assert hypervolume(points, worst) == pytest.approx(volume)


def test_effects_sum_to_one_where_axes_act_apart():
    sums = Sensitivity(["a", "b"], ["energy"])
    for a in (1, 2, 4):
        for b in (1, 3):
            sums.add({"a": a, "b": b}, [float(a * b)])
    effects = {one.axis: one for one in sums.effects()}
    assert effects["a"].share + effects["b"].share == pytest.approx(1)
    assert effects["a"].means[0][1] == pytest.approx(3**0.5)
