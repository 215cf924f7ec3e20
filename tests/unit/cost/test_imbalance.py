"""Load imbalance against units that skip real zeros step by step, with random zeros; the check of results derives it anew."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.skipping_simulator import simulate

from picojoule.cost.imbalance import largest, pace, unit_fanouts
from picojoule.hardware import load_hardware
from picojoule.verification.imbalance import moments, timed_share, units_of
from picojoule.workload.nest import DIMS, Nest

PLAIN = load_hardware("eyeriss-normalized")


def skipping(density: dict[str, float], ahead: dict[str, int]):
    operands = tuple(density)
    return replace(
        PLAIN,
        skipping=operands,
        run_ahead=tuple(sorted(ahead.items())),
        density=tuple(density.items()),
        timed=math.prod(density.values()),
    )


@pytest.mark.parametrize(("weights", "inputs"), [(1, 0.4), (0.4, 1), (0.35, 0.5), (0.7, 0.7), (0.9, 0.9)])
@pytest.mark.parametrize(
    ("units", "block", "taps", "lanes"),
    [
        ((4, 3, 4), (12, 4), 3, 1),
        ((4, 3, 4), (12, 4), 3, 2),
        ((1, 1, 12), (16, 4), 3, 2),
        ((12, 1, 1), (4, 4), 1, 1),
        ((1, 12, 1), (16, 4), 1, 4),
    ],
)
def test_random_zeros(weights, inputs, units, block, taps, lanes):
    drawn = np.random.default_rng(7)
    some_weights = drawn.random((48, 48, taps, taps)) < weights
    some_inputs = drawn.random((48, 2 + taps - 1, 24 + taps - 1)) < inputs
    done = simulate(some_weights, some_inputs, units=units, block=block, lanes=lanes)
    count = math.prod(units)
    assert done.executed / (done.dense * count) == pytest.approx(some_weights.mean() * some_inputs.mean(), rel=0.05)
    machine = skipping(
        {"weights": some_weights.mean(), "inputs": some_inputs.mean()},
        {"weights": math.prod(block) * taps**2, "inputs": block[1] * taps**2},
    )
    nest = Nest(K=48, C=48, P=2, Q=24, R=taps, S=taps)
    modelled = pace(machine, nest, dict(zip("KCQ", units, strict=True)), lanes)
    assert modelled == pytest.approx(done.cycles * lanes / done.dense, rel=0.1)


def test_the_bounds_of_what_can_be():
    nest = Nest(K=64, C=64, P=8, Q=8)
    ahead = {"weights": 64, "inputs": 4}
    assert pace(skipping({"inputs": 1.0}, {}), nest, {"K": 8}, 1) == 1.0
    assert pace(skipping({"inputs": 0.5}, {}), nest, {"K": 8}, 1) == 0.5  # all have the same inputs
    assert pace(skipping({"inputs": 0.5}, {"inputs": 1}), nest, {"C": 64}, 1) == 1.0  # never longer than without skipping
    assert pace(skipping({"inputs": 0.0}, {"inputs": 1}), nest, {"C": 64}, 1) == 0.0
    both = skipping({"weights": 0.5, "inputs": 0.5}, ahead)
    alone = pace(both, nest, {}, 1)
    assert alone == pytest.approx(0.25, rel=1e-4)  # 16 weights an input: one in 65,536 has none
    assert alone < pace(both, nest, {"K": 2}, 1) < pace(both, nest, {"K": 8}, 1) < pace(both, nest, {"K": 8, "C": 4}, 1) <= 1
    assert pace(both, nest, {}, 2) > 1.05 * alone  # of an odd number of nonzeros one lane has none


def test_an_input_takes_a_cycle_whatever_its_weights():
    machine = skipping({"weights": 0.01, "inputs": 1.0}, {"weights": 64, "inputs": 16})
    assert pace(machine, Nest(K=64, C=64, P=8, Q=8), {}, 4) == pytest.approx(1.0, rel=0.02)


def test_units_are_the_fan_out_named_and_those_outside():
    machine = replace(load_hardware("simba-like-45nm"), skipping=("inputs",))
    assert [fanout.name for fanout in unit_fanouts(machine)] == ["PE", "distributed_buffer", "lane"]
    named = replace(machine, units="PE")
    assert [fanout.name for fanout in unit_fanouts(named)] == ["PE"]
    assert units_of(named) == ("PE",)
    assert unit_fanouts(PLAIN) == ()


@pytest.mark.parametrize("count", [1, 2, 12, 192, 65536])
def test_the_largest_of_normal_numbers(count):
    drawn = np.random.default_rng(count).standard_normal((2000, min(count, 192))).max(axis=1)
    assert moments(count) == pytest.approx((largest(count).mean, largest(count).variance), abs=1e-9)
    if count <= 192:
        assert largest(count).mean == pytest.approx(drawn.mean(), abs=0.06)


@pytest.mark.parametrize("seed", range(30))
def test_verification_derives_the_same(seed):
    drawn = np.random.default_rng(seed)
    density = {t: float(drawn.choice([0.0, 1.0, drawn.random()])) for t in ("weights", "inputs")}
    ahead = {t: int(drawn.integers(1, 200)) for t in density if drawn.random() < 0.5}
    machine = skipping(density, ahead)
    nest = Nest(**{d: int(drawn.integers(1, 20)) for d in DIMS})
    spread = {d: int(drawn.integers(1, 5)) for d in DIMS}
    lanes = int(drawn.integers(1, 5))
    assert timed_share(machine, nest, spread, lanes) == pytest.approx(pace(machine, nest, spread, lanes), rel=1e-9)
