"""The layers of the experiments are those that the authors measured."""

from __future__ import annotations

import pytest

from picojoule.study.validation.sweeps import BASE, SWEEPS, Convolution

BY_PARAMETER = {sweep.parameter: sweep for sweep in SWEEPS}


def test_there_are_124_points_and_the_base_layer_is_on_every_sweep():
    assert sum(len(sweep.values) for sweep in SWEEPS) == 124
    for sweep in SWEEPS:
        assert BASE in [sweep.layer(value) for value in sweep.values]


@pytest.mark.parametrize(
    ("parameter", "outputs"), [("r", [57, 56, 56, 55, 55]), ("s", [214, 108, 72, 55, 44]), ("d", [55] * 64)]
)
def test_outputs_are_those_of_the_authors(parameter, outputs):
    sweep = BY_PARAMETER[parameter]
    assert [sweep.layer(value).m for value in sweep.values] == outputs


def test_the_nest_multiplies_as_often_as_the_document_says():
    layer = Convolution(d=172, q=211, n=100, r=3, s=2)
    assert (layer.m, layer.nest.macs) == (50, 172 * 211 * 50**2 * 3**2)
    assert layer.nest.macs / layer.term == pytest.approx(1, abs=1e-12)
    assert BASE.nest.macs == 70_276_800
    assert BASE.term / BASE.nest.macs == pytest.approx((224 / 55 / 4) ** 2)


def test_the_stride_is_fitted_by_its_inverse():
    assert [BY_PARAMETER["s"].x(value) for value in (1, 2, 4)] == [1, 0.5, 0.25]
    assert BY_PARAMETER["n"].x(56) == 56
