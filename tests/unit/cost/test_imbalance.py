"""The law of load imbalance by itself: its limits, its properties, and that the check of results derives the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from picojoule.cost.imbalance import Block, Nonzero, Units, largest, least_paced, paced
from picojoule.verification.imbalance import Skips, least_share, moments, share

DENSITIES = (0.0, 0.001, 0.02, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 0.97, 0.999, 1.0)
ONE = Units(both=1, weights=1, inputs=1, lanes=1)
BLOCK = Block(rounds=4, columns=4, inputs=4, visits=4)


def of(weights: float, inputs: float, looks: bool = True) -> Nonzero:
    return Nonzero(weights=weights, inputs=inputs, looks=looks)


def drawn(seed: int) -> tuple[Units, Block, bool]:
    """Units and a block of any shape: columns × outputs of a column × visits of an input."""
    rng = np.random.default_rng(seed)
    units = Units(
        both=int(rng.choice([1, 2, 12, 192])),
        weights=int(rng.choice([1, 2, 4, 64])),
        inputs=int(rng.choice([1, 2, 8, 128])),
        lanes=int(rng.choice([1, 2, 3, 8])),
    )
    channels, outputs, again = (int(rng.choice(n)) for n in ([1, 2, 9, 60], [1, 3, 20], [1, 2, 5]))
    block = Block(
        rounds=int(rng.choice([1, 2, 3, 16, 300])),
        columns=channels * again,
        inputs=channels * outputs,
        visits=channels * outputs * again,
    )
    return units, block, bool(rng.random() < 0.8)


@pytest.mark.parametrize("seed", range(40))
def test_more_zeros_never_cost_a_cycle_and_dense_is_dense(seed):
    units, block, looks = drawn(seed)
    for other in (0.05, 0.5, 0.9, 1.0):
        for shares in (
            [paced(of(d, other, looks), units, block) for d in DENSITIES],
            [paced(of(other, d, looks), units, block) for d in DENSITIES],
        ):
            assert all(few <= more + 1e-12 for few, more in zip(shares, shares[1:], strict=False)), shares
            assert shares[-1] <= 1
    assert paced(of(1.0, 1.0, looks), units, block) == 1.0


@pytest.mark.parametrize("seed", range(40))
def test_no_fewer_than_the_macs_that_are_left_and_than_the_least_of_all_blocks(seed):
    units, block, looks = drawn(seed)
    weights = int(block.columns * block.rounds * units.lanes)
    for w in DENSITIES:
        for i in DENSITIES:
            got = paced(of(w, i, looks), units, block)
            assert got >= w * i * (1 - 1e-12)
            least = least_paced(of(w, i, looks), units, rounds=block.rounds + 3, weights=weights + 5, inputs=block.inputs + 1)
            assert w * i * (1 - 1e-12) <= least <= got + 1e-12


def test_the_limits():
    assert paced(of(1.0, 0.5), ONE, BLOCK) == 0.5
    assert paced(of(0.5, 0.0), ONE, BLOCK) == 0.0
    # Without a nonzero weight an input that is looked at takes its cycle all the same, one of four.
    assert paced(of(0.0, 0.5), ONE, BLOCK) == 0.125
    assert paced(of(0.0, 0.5), ONE, replace(BLOCK, rounds=1)) == 0.5
    assert paced(of(0.0, 1.0, looks=False), ONE, BLOCK) == 0.0
    # An input that meets a single weight saves nothing by its zero.
    assert paced(of(0.3, 0.5), ONE, replace(BLOCK, rounds=1)) == pytest.approx(0.5)
    assert paced(of(0.3, 1.0, looks=False), ONE, replace(BLOCK, rounds=1)) == pytest.approx(0.3, rel=1e-3)
    # Units that share inputs, or weights, differ by the other operand alone.
    assert paced(of(1.0, 0.5), replace(ONE, weights=64), BLOCK) == 0.5
    assert paced(of(0.5, 1.0), replace(ONE, inputs=64), BLOCK) == pytest.approx(paced(of(0.5, 1.0), ONE, BLOCK))
    assert paced(of(0.5, 0.5), replace(ONE, both=2), BLOCK) < paced(of(0.5, 0.5), replace(ONE, both=8), BLOCK)
    # Of an odd number of nonzeros one lane has none.
    assert paced(of(0.5, 1.0), replace(ONE, lanes=2), replace(BLOCK, rounds=8)) > 0.51


@pytest.mark.parametrize("count", [1, 2, 12, 192, 65536])
def test_the_largest_of_normal_numbers(count):
    some = np.random.default_rng(count).standard_normal((2000, min(count, 192))).max(axis=1)
    assert moments(count) == pytest.approx((largest(count).mean, largest(count).variance), abs=1e-9)
    if count <= 192:
        assert largest(count).mean == pytest.approx(some.mean(), abs=0.06)


@pytest.mark.parametrize("seed", range(40))
def test_verification_derives_the_same(seed):
    units, block, looks = drawn(seed)
    rng = np.random.default_rng(seed)
    weights, inputs = (float(rng.choice([0.0, 1.0, rng.random(), rng.random()])) for _ in range(2))
    if not looks:
        inputs = 1.0
    skips = Skips(
        weights=weights,
        inputs=inputs,
        of_inputs=looks,
        both=units.both,
        apart_in_weights=units.weights,
        apart_in_inputs=units.inputs,
        lanes=units.lanes,
    )
    law = of(weights, inputs, looks)
    assert share(skips, block.rounds, block.columns, block.inputs, block.visits) == pytest.approx(
        paced(law, units, block), rel=1e-9
    )
    elements = int(block.columns * units.lanes * min(block.rounds, 40))
    assert least_share(skips, min(block.rounds, 40), elements, int(block.inputs)) == pytest.approx(
        least_paced(law, units, rounds=min(block.rounds, 40), weights=elements, inputs=block.inputs), rel=1e-9
    )
