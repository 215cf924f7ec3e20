"""The lower envelope, the draw, and the machine as Timeloop sees it."""

from __future__ import annotations

import pytest

from picojoule.hardware import load_hardware
from picojoule.study.validation.envelope import WINDOW, compare_random, draw, lower_envelope
from picojoule.study.validation.points import Point
from picojoule.study.validation.reference import Measured
from picojoule.study.validation.sweeps import Convolution
from picojoule.study.validation.words import in_words


def test_the_envelope_takes_the_least_of_each_ten_neighbours():
    terms = [float(i) for i in range(1, 61)]
    data = [2 * t + 5 + (0 if i % WINDOW == 3 else 50) for i, t in enumerate(terms)]
    order = sorted(range(60), key=lambda i: i * 7 % 60)
    found = lower_envelope([terms[i] for i in order], [data[i] for i in order])
    assert found.terms == (4, 14, 24, 34, 44, 54)
    assert found.data == tuple(2 * t + 5 for t in found.terms)
    assert found.fit.law == pytest.approx((5, 2))


LAYERS = [
    Measured(layer=Convolution(d=d, q=8, n=64, r=3, s=1), energy_pj=30.0 * d, mac_pj=10.0 * d, data_pj=20.0 * d)
    for d in range(1, 101)
]


def test_a_draw_is_by_seed_and_keeps_the_order():
    assert draw(LAYERS, None, 0) == draw(LAYERS, 100, 0) == LAYERS
    some = draw(LAYERS, 50, 1)
    assert some == draw(LAYERS, 50, 1) != draw(LAYERS, 50, 2)
    assert [one.layer.d for one in some] == sorted({one.layer.d for one in some}) and len(some) == 50


def test_layers_that_cost_us_more_are_not_won():
    energies = [31.0 if one.layer.d % 4 == 0 else 15.0 for one in LAYERS]
    points = [
        Point(energy=e * one.layer.d, bound=1.0, macs=10.0 * one.layer.d, status="PROVED")
        for e, one in zip(energies, LAYERS, strict=True)
    ]
    found = compare_random(LAYERS, LAYERS, points, 0)
    assert (found.drawn, found.of, found.won, found.unproved) == (100, 100, 75, 0)
    assert found.ratios == pytest.approx((30 / 31, 2.0, 2.0))
    assert found.theirs == found.theirs_of_all


def test_in_words_a_partial_sum_is_one_word_everywhere():
    machine = load_hardware("simba-like-45nm")
    words = in_words(machine)
    assert (words.bits.psums, machine.bits.psums) == (8, 24)
    inner, outer = words.level("PEAccuBuffer"), machine.level("PEAccuBuffer")
    assert (inner.word_bits, inner.capacity_bits, outer.capacity_bits) == (8, 128 * 8, 128 * 24)
    assert inner.energy_per_word == outer.energy_per_word
    assert words.level("GlobalBuffer") == machine.level("GlobalBuffer")
    eyeriss = load_hardware("eyeriss-like-45nm")
    assert in_words(eyeriss) is eyeriss
