"""Results on a machine with homes that spill, modes, an engine, a link and parameters: they verify with their certificate,
and whoever changes a figure is caught."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

import picojoule
from picojoule.errors import HardwareError, UsageError
from picojoule.hardware.describe import accelerator_from_text
from picojoule.result import content_hash
from picojoule.verification import verify_document
from picojoule.workload import Layer, Nest, Network
from picojoule.workload.data_flow import DataFlow, Given

MACHINE = """\
name: toy
unit: pJ
clock: 100 MHz
word_bits: 8
bits: {weights: 8, inputs: 8, outputs: 8, psums: 16}
table: {name: t, source: s}
mac: {bits: 8, multiply: 1, add: 0, modes: [{weights: 8, inputs: 8}, {weights: 16, inputs: 16, cycles: 4}]}
parameters: {columns: 4}
hierarchy:
  - level: DRAM
    keeps: [weights]
    spill: [inputs, outputs]
    energy: 100
    bandwidth: 16 bit/cycle
  - level: SRAM
    keeps: [inputs, outputs]
    capacity: 128 B
    energy: 5
  - fanout: PE
    axes: {x: {size: $columns, dims: [K, C, P]}}
    multicast: true
    reduction: true
    depthwise: {axes: {x: {size: 2, dims: [G]}}, outputs_stay_at: SRAM}
    link: {name: wires, energy: 2, word_bits: 8, bandwidth: 4 bit/cycle}
  - level: registers
    keeps: [weights, inputs, outputs]
    capacity: 12 B
    energy: 1
"""
TOY = accelerator_from_text(MACHINE, "toy.yaml")
EXACT = picojoule.Exact(time_limit_s=None, factors="exact")


def network() -> Network:
    """A convolution that spills, a depthwise one whose results stay, its reader, and a pooling."""
    layers = (
        Layer(name="wide", kind="conv", nest=Nest(K=12, C=3, P=4, Q=4, R=3, S=3, pad=(1, 1, 1, 1))),
        Layer(name="deep", kind="conv", nest=Nest(G=12, P=2, Q=2, R=2, S=2, stride=(2, 2))),
        Layer(name="point", kind="conv", nest=Nest(K=12, C=12, P=2, Q=2)),
        Layer(name="again", kind="conv", nest=Nest(K=12, C=12, P=2, Q=2)),
        Layer(name="pool", kind="pool", read_elements=48, written_elements=12, vector_ops=48),
    )
    flow = DataFlow(
        reads=(("image",), ("wide",), ("deep",), ("point",), ("again",)), given=(Given(name="image", elements=48),)
    )
    return Network(name="net", layers=layers, flow=flow)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> tuple[picojoule.Estimate, object]:
    certificate = tmp_path_factory.mktemp("machines") / "proof.json"
    found = picojoule.estimate(
        network(), hardware=TOY, objective="latency", fps=1000, search=EXACT, certificate=certificate, front=True
    )
    return found, certificate


@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_other_objectives_verify_too(objective, tmp_path):
    certificate = tmp_path / "proof.json"
    found = picojoule.estimate(network(), hardware=TOY, objective=objective, search=EXACT, certificate=certificate)
    outcome = picojoule.verify(found, certificate=certificate, sample=None)
    assert outcome.ok, outcome.failed
    assert all(row.floor <= row.bound <= row.value for row in found.layers)


def test_it_verifies_down_to_every_part(result):
    found, certificate = result
    outcome = picojoule.verify(found, certificate=certificate, sample=None)
    assert outcome.ok, outcome.failed
    assert found.hardware["parameters"] == {"columns": 4}
    assert found.front


def test_tensors_live_where_the_law_says(result):
    rows = {row.name: row for row in result[0].layers}
    at_dram = {name: {a.tensor for a in row.by if a.level == "DRAM"} for name, row in rows.items()}
    # 192 outputs don't fit in 128 B, and are the largest; the engine's 48 stay for their reader, whose own are as many.
    assert at_dram == {
        "wide": {"weights", "outputs"},
        "deep": {"weights", "inputs"},
        "point": {"weights"},
        "again": {"weights"},
        "pool": set(),
    }
    assert {name: row.stays for name, row in rows.items() if row.stays} == {"deep": ("outputs",), "point": ("inputs",)}
    assert rows["again"].same_as is None, "its inputs don't stay, so that it meets another machine than its twin"


def test_the_link_has_rows_of_its_own(result):
    row = result[0].layers[0]
    by = {(access.level, access.tensor): access for access in row.by}
    for tensor in ("weights", "inputs"):
        filled = by["registers", tensor].writes
        assert (by["wires", tensor].writes, by["wires", tensor].energy_pj) == (filled, pytest.approx(2 * filled))
    assert by["wires", "outputs"].reads >= row.dims["K"] * 16


def test_a_depthwise_layer_is_as_fast_as_its_engine(result):
    row = result[0].layers[1]
    assert row.compute_cycles == row.macs / 2
    assert row.utilization == row.macs / 2 / row.latency_cycles


def test_wide_operands_take_the_cycles_of_their_mode():
    wide = picojoule.estimate(network(), hardware=TOY, bits={"inputs": 16}, objective="latency", search=EXACT)
    narrow = picojoule.estimate(network(), hardware=TOY, objective="latency", search=EXACT)
    assert wide.layers[1].compute_cycles == 4 * narrow.layers[1].compute_cycles
    with pytest.raises(HardwareError) as caught:
        picojoule.estimate(network(), hardware=TOY, bits={"inputs": 24})
    assert caught.value.where == "toy: wide"


def test_power_is_energy_times_rate(result):
    found = result[0]
    assert found.power_w == pytest.approx(found.energy_pj * 1e-12 * 1000)
    assert found.fps == 1000
    for fps in (0, -1, float("inf"), float("nan"), True, "fast"):
        with pytest.raises(UsageError):
            picojoule.estimate(network(), hardware=TOY, fps=fps)
    with pytest.raises(UsageError) as caught:
        picojoule.estimate(network(), hardware="eyeriss-normalized", fps=30)
    assert "not joules" in caught.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("power_w", 1.0),
        ("fps", 2000),
        ("layers.1.stays", []),
        ("layers.2.stays", ["inputs", "outputs"]),
        ("layers.0.compute_cycles", 1.0),
        ("layers.0.latency_cycles", 1.0),
        ("hardware.hierarchy.0.spill", ["inputs"]),
        ("hardware.hierarchy.2.link.energy", 0.3),
        ("hardware.hierarchy.2.link.bandwidth", "1.0 bit/cycle"),
        ("hardware.hierarchy.2.depthwise.axes.x.size", 4),
        ("hardware.mac.modes.0.cycles", 2.0),
    ],
)
def test_a_changed_figure_is_caught_though_the_hash_is_mended(result, key, value):
    document = copy.deepcopy(result[0].to_data())
    assert verify_document(document).ok
    *path, last = key.split(".")
    target = document
    for step in path:
        target = target[int(step)] if isinstance(target, list) else target[step]
    assert target[last] != value
    target[last] = value
    document["provenance"]["content_hash"] = content_hash(document)
    try:
        assert not verify_document(document).ok
    except picojoule.errors.PicojouleError:
        pass


def test_results_stay_only_for_readers_who_can_use_them():
    """Of what is handed back, or read by a pooling, or too large, nothing stays."""
    whole = network()
    assert whole.flow is not None
    handed_back = replace(whole, flow=replace(whole.flow, outputs=("deep",)))
    reads = (("image",), ("wide",), ("deep",), ("point",), ("deep",))
    read_by_pool = replace(whole, flow=replace(whole.flow, reads=reads))
    deep = replace(whole.layers[1], nest=Nest(G=12, P=3, Q=2, R=2, S=2))
    too_large = replace(whole, layers=(whole.layers[0], deep, *whole.layers[2:]))
    for other in (handed_back, read_by_pool, too_large):
        found = picojoule.estimate(other, hardware=TOY, search=EXACT)
        assert not any(row.stays for row in found.layers)
        assert picojoule.verify(found).ok
