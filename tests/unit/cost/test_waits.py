"""Cycles of units that skip, by the law, against units that are run step by step: mappings of many shapes, random zeros.

Modelled over simulated cycles, at densities of 0.3 to 1 of either operand: 0.85 to 1.28, 1.01 on average. The furthest above
are units that lie side by side over a map (their windows overlap, so that their work is alike), the furthest below those
with three inputs between two waits.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.skipping_machine import BITS, mapping_of, units_that_skip
from support.skipping_simulator import simulate

from picojoule.cost.energy import compute_cycles
from picojoule.cost.traffic import count_traffic
from picojoule.cost.waits import least_skipping_cycles, unit_fanouts
from picojoule.hardware import load_hardware
from picojoule.mapping.mapping import Mapping, Spread
from picojoule.verification.plan import legal_plan
from picojoule.verification.recount import busy_cycles
from picojoule.verification.waits import least_slowest, units_of
from picojoule.workload.nest import DIMS, Nest

PADDED = Nest(K=8, C=8, P=6, Q=6, R=3, S=3, pad=(1, 1, 1, 1))
DEPTHWISE = Nest(G=32, P=4, Q=8, R=3, S=3, pad=(1, 1, 1, 1))
SHAPES: dict[str, tuple[Nest, str, dict[str, int]]] = {
    "an input meets four weights, nobody waits": (Nest(K=16, C=16, P=4, Q=4), "k4 c4 | P1 Q1 C1 K2 /1", {}),
    "short spads": (Nest(K=16, C=16, P=4, Q=4), "k4 c4 | P1 Q1 C1 K2 /1", {"inputs": 4, "weights": 16}),
    "weights stay for many outputs": (Nest(K=32, C=16, P=4, Q=4), "k8 c4 | C1 P1 Q1 K2 /1", {"inputs": 8, "weights": 64}),
    "channels of outputs outside": (Nest(K=32, C=16, P=4, Q=4), "k8 K2 c4 | C1 P1 Q1 /1", {"inputs": 8}),
    "depthwise, one weight an input": (DEPTHWISE, "g8 | G1 P1 Q1 R1 S1", {"inputs": 9}),
    "depthwise, columns apart": (DEPTHWISE, "q2 g16 | G1 P1 Q1 R1 S1", {"inputs": 16}),
    "neighbours on the map": (PADDED, "k4 p3 q3 | C1 P1 Q1 R1 S1 K2 /1", {"inputs": 16, "weights": 32}),
    "rows of filters apart": (PADDED, "k4 p3 r1 | P1 C1 Q1 S1 K2 /1", {"inputs": 16, "weights": 32}),
    "strides": (Nest(K=8, C=4, P=7, Q=7, R=3, S=3, pad=(1, 1, 1, 1), stride=(2, 2)), "k2 c2 | C1 P1 Q1 R1 S1 K1", {}),
    "three inputs between waits": (Nest(K=64, C=24), "k16 c6 | C1 K2 /1", {"inputs": 3}),
    "a batch outside": (Nest(N=16, K=24, C=12), "n4 k12 | N1 C1 K4 /1", {"inputs": 8, "weights": 48}),
    "a batch inside": (Nest(N=16, K=24, C=12), "n4 k12 | C1 K4 /1 N1", {"inputs": 8, "weights": 48}),
    "what doesn't divide": (Nest(K=12, C=10, P=5, Q=5, R=3, pad=(1, 0, 1, 0)), "c3 P2 k6 q2 | C1 R1 P1 Q1 K1", {"inputs": 12}),
    "few weights": (Nest(K=48, C=8, P=4, Q=4), "K12 k3 | C1 P1 Q1 K1", {"weights": 12}),
    "sums pass by": (Nest(K=16, C=16, P=4, Q=4), "c4 k4 P1 Q1 C1 K1 |", {"inputs": 8}),
}
DENSITIES = ((1.0, 1.0), (0.5, 0.5), (0.3, 0.6), (0.7, 0.3), (1.0, 0.4), (0.3, 1.0), (0.9, 0.9))


def modelled(nest: Nest, mapping: Mapping, weights: float, inputs: float, ahead: dict[str, int]) -> float:
    machine = units_that_skip(nest, weights, inputs, ahead)
    return compute_cycles(nest, machine, mapping, count_traffic(nest, machine, mapping, BITS))


def spread(mapping: Mapping, nest: Nest) -> tuple[dict[str, int], dict[str, int]]:
    """Over units, and within one."""
    apart, within = dict.fromkeys(DIMS, 1), dict.fromkeys(DIMS, 1)
    for node, count in mapping.trips(nest.dims):
        if isinstance(node, Spread):
            (apart if node.fanout == "PE" else within)[node.dim] *= count
    return apart, within


@pytest.mark.parametrize("shape", SHAPES)
def test_random_zeros(shape):
    nest, line, ahead = SHAPES[shape]
    mapping, rng, ratios = mapping_of(line), np.random.default_rng(7), []
    for of_weights, of_inputs in DENSITIES:
        weights = rng.random((nest.G, nest.K, nest.C, nest.R, nest.S)) < of_weights
        inputs = rng.random((nest.N, nest.G, nest.C, nest.input_rows, nest.input_columns)) < of_inputs
        done = simulate(nest, mapping, weights, inputs, units=("PE",), memories=("spad",), ahead=ahead)
        cycles = modelled(nest, mapping, weights.mean(), inputs.mean(), ahead)
        positions = math.prod(n for d in spread(mapping, nest) for n in d.values())
        assert done.cycles * positions >= done.executed
        if (of_weights, of_inputs) == (1.0, 1.0):
            assert done.cycles <= cycles <= 1.06 * done.cycles  # padding in all but the blocks that don't end with a loop
        ratios.append(cycles / done.cycles)
    assert all(0.8 <= ratio <= 1.3 for ratio in ratios), ratios
    assert 0.88 <= sum(ratios) / len(ratios) <= 1.2, ratios


def test_shapes_are_right_on_average():
    ratios = []
    for nest, line, ahead in SHAPES.values():
        mapping, rng = mapping_of(line), np.random.default_rng(11)
        weights = rng.random((nest.G, nest.K, nest.C, nest.R, nest.S)) < 0.5
        inputs = rng.random((nest.N, nest.G, nest.C, nest.input_rows, nest.input_columns)) < 0.5
        done = simulate(nest, mapping, weights, inputs, units=("PE",), memories=("spad",), ahead=ahead)
        ratios.append(modelled(nest, mapping, weights.mean(), inputs.mean(), ahead) / done.cycles)
    assert math.exp(sum(map(math.log, ratios)) / len(ratios)) == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("shape", SHAPES)
def test_zeros_of_weights_and_nothing_else(shape):
    """An input that is looked at takes a cycle."""
    nest, line, ahead = SHAPES[shape]
    mapping = mapping_of(line)
    weights = np.zeros((nest.G, nest.K, nest.C, nest.R, nest.S), dtype=bool)
    inputs = np.ones((nest.N, nest.G, nest.C, nest.input_rows, nest.input_columns), dtype=bool)
    done = simulate(nest, mapping, weights, inputs, units=("PE",), memories=("spad",), ahead=ahead)
    assert done.executed == 0
    assert modelled(nest, mapping, 0.0, 1.0, ahead) == pytest.approx(done.cycles, rel=0.06)
    assert done.cycles > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_first_zero_never_costs_a_cycle_and_no_mapping_beats_its_bound(shape):
    nest, line, ahead = SHAPES[shape]
    mapping = mapping_of(line)
    apart, within = spread(mapping, nest)
    for other in (0.0, 0.3, 0.999, 1.0):
        for densities in ([(d, other) for d in (0.0, 0.2, 0.6, 0.99, 1.0)], [(other, d) for d in (0.0, 0.2, 0.6, 0.99, 1.0)]):
            cycles = [modelled(nest, mapping, *pair, ahead) for pair in densities]
            assert all(few <= more * (1 + 1e-12) for few, more in zip(cycles, cycles[1:], strict=False)), cycles
            for pair, got in zip(densities, cycles, strict=True):
                machine = units_that_skip(nest, *pair, ahead)
                assert least_skipping_cycles(machine, nest, BITS, apart, within) <= got * (1 + 1e-12)
                positions = math.prod([*apart.values(), *within.values()])
                assert got >= nest.macs * machine.timed / positions * (1 - 1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_verification_derives_the_same(shape):
    nest, line, ahead = SHAPES[shape]
    mapping = mapping_of(line)
    apart, within = spread(mapping, nest)
    for pair in ((1.0, 1.0), (0.3, 0.6), (0.01, 0.9), (0.0, 0.4), (0.9, 0.0)):
        machine = units_that_skip(nest, *pair, ahead)
        plan = legal_plan(mapping.to_data(nest.dims), nest, machine, BITS)
        assert busy_cycles(plan, nest, machine) == pytest.approx(modelled(nest, mapping, *pair, ahead), rel=1e-9)
        assert least_slowest(machine, nest, BITS, apart, within) == pytest.approx(
            least_skipping_cycles(machine, nest, BITS, apart, within), rel=1e-9
        )


def test_units_are_the_fan_out_named_and_those_outside():
    machine = load_hardware("simba-like-45nm")
    assert unit_fanouts(machine) == ()
    skips = replace(machine, skipping=("inputs",))
    assert [fanout.name for fanout in unit_fanouts(skips)] == ["PE", "distributed_buffer", "lane"]
    named = replace(skips, units="PE")
    assert [fanout.name for fanout in unit_fanouts(named)] == ["PE"]
    assert units_of(named) == ("PE",)
