"""A layer that runs several times costs as often, and counts its parameters once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from picojoule.estimation import estimate
from picojoule.hardware import load_hardware
from picojoule.search.policy import Exact
from picojoule.verification import verify
from picojoule.workload import Layer, Nest, Network

MACHINE = replace(load_hardware("eyeriss-like-45nm"), vector_energy=0.25)
ONCE = (
    Layer(name="fc", kind="fc", op="Gemm", nest=Nest(K=12, C=20, N=2), biases=12),
    Layer(name="mul", kind="mul", op="Mul", read_elements=24, written_elements=12, vector_ops=12),
)


def result(times, **more):
    layers = tuple(replace(layer, repeats=times) for layer in ONCE)
    return estimate(Network(name="steps", layers=layers), hardware=MACHINE, cache=False, **more)


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_seven_runs_cost_seven_times(objective):
    one, seven = result(1, objective=objective), result(7, objective=objective)
    assert (seven.macs, seven.params, seven.weight_bytes) == (7 * one.macs, one.params, one.weight_bytes)
    assert seven.dram_bytes == 7 * one.dram_bytes
    for before, after in zip(one.layers, seven.layers, strict=True):
        growth = 49 if objective == "edp" else 7
        assert after.runs == 7
        assert after.energy_pj == pytest.approx(7 * before.energy_pj, rel=1e-12)
        assert [(a.reads, a.updates, a.bits) for a in after.by] == [
            (7 * b.reads, 7 * b.updates, 7 * b.bits) for b in before.by
        ]
        assert [after.value, after.bound] == pytest.approx([growth * before.value, growth * before.bound], rel=1e-12)
        assert after.floor <= growth * before.floor and after.floor_pj <= 7 * before.floor_pj
        assert (after.utilization, after.reuse, after.status) == (before.utilization, before.reuse, "PROVED")
    assert seven.layers[0].latency_cycles == 7 * one.layers[0].latency_cycles
    assert verify(seven).ok


def test_the_floor_is_that_of_the_runs_as_a_batch():
    """Nothing says that weights can't stay: no way to run the steps may undercut the floor."""
    as_batch = Network(name="batch", layers=(replace(ONCE[0], nest=replace(ONCE[0].nest, N=14)),))
    floor = estimate(as_batch, hardware=MACHINE, cache=False).layers[0].floor_pj
    assert result(7).layers[0].floor_pj == pytest.approx(floor, rel=1e-12)


def test_a_gap_stays_what_it_was():
    wide = Network(name="wide", layers=(replace(ONCE[0], nest=Nest(N=7, K=96, C=60), repeats=3),))
    open_ = estimate(wide, hardware="eyeriss-like-45nm", search=Exact(node_limit=1), cache=False)
    assert open_.status == "GAP_OPEN"
    assert verify(open_).ok


def test_layers_of_different_steps_are_not_the_same_row():
    layers = (ONCE[0], replace(ONCE[0], name="again"), replace(ONCE[0], name="steps", repeats=2))
    found = estimate(Network(name="n", layers=layers), hardware="eyeriss-like-45nm", cache=False)
    assert [row.same_as for row in found.layers] == [None, "fc", None]
    assert verify(found).ok


@pytest.mark.parametrize(
    ("runs", "words"), [(2, "macs is 1,440, the nest has 960"), (0, "a layer runs at least once")]
)
def test_other_runs_than_the_counts_tell_are_refuted(runs, words):
    forged = result(3)
    rows = (replace(forged.layers[0], runs=runs), *forged.layers[1:])
    messages = [check.message for check in verify(replace(forged, layers=rows)).failed]
    assert any(words in message for message in messages), messages


def test_a_product_of_activations_has_operands_of_the_inputs_width_and_no_parameters():
    product = Layer(name="qk", kind="matmul", op="MatMul", nest=Nest(G=2, N=4, K=6, C=8))
    found = estimate(
        Network(name="attention", layers=(product,)), hardware="eyeriss-like-45nm", bits="weights=4,inputs=8", batch=3
    )
    (row,) = found.layers
    assert (row.bits["weights"], row.params, row.macs, row.dims["G"]) == (8, 0, 3 * 2 * 4 * 6 * 8, 6)
    assert found.weight_bytes == 0
    assert verify(found).ok
    # Parameters out of which an operand was worked out would be its own; the totals must know them.
    assert not verify(replace(found, layers=(replace(row, params=1),))).ok
