"""A result on a machine that minds zeros: it verifies with its certificate, and whoever changes a figure is caught."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

import picojoule
from picojoule.hardware.describe import accelerator_from_text
from picojoule.result import content_hash
from picojoule.verification import verify_document
from picojoule.workload import Layer, Nest, Network, Zeros

MACHINE = """\
name: minding
unit: pJ
word_bits: 8
bits: {weights: 8, inputs: 8, outputs: 8, psums: 20}
table: {name: t, source: s}
mac: {bits: 8, multiply: 1, add: 0}
vector: 0.5
zeros: {gating: [weights], skipping: [inputs], units: PE, run_ahead: {inputs: 4}}
hierarchy:
  - level: DRAM
    keeps: [weights, inputs, outputs]
    energy: 100
    bandwidth: 64 bit/cycle
    zeros:
      weights: {compression: {format: csc, run_bits: 4, address_bits: 7, column: 32}}
      inputs: {compression: {format: rlc, run_bits: 4, raw: true}}
      outputs: {compression: {format: bitmap}}
  - level: GLB
    keeps: [inputs, outputs]
    capacity: 512 B
    energy: 5
    zeros: {inputs: {compression: {format: bitmap, margin: 1.2}}}
  - fanout: PE
    axes: {x: {size: 4, dims: [K, C, P]}}
    multicast: true
    reduction: true
  - level: spads
    keeps: [weights, outputs]
    capacity: 64 B
    energy: 1
    zeros:
      weights: {skipping: [inputs]}
      outputs: {skipping: [inputs], gating: [weights]}
  - fanout: lane
    axes: {k: {size: 2, dims: [K]}}
    multicast: true
    reduction: true
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> tuple[picojoule.Estimate, object]:
    machine = accelerator_from_text(MACHINE, "m.yaml")
    nest = Nest(K=6, C=4, P=4, Q=4, R=3, S=3, pad=(1, 1, 1, 1))
    zeros = Zeros(weights=0.6, inputs=0.3, outputs=0.5)
    network = Network(
        name="net",
        layers=(
            Layer(name="a", kind="conv", nest=nest, zeros=zeros),
            Layer(name="again", kind="conv", nest=nest, zeros=zeros),
            Layer(name="fewer", kind="conv", nest=nest, zeros=replace(zeros, inputs=0.1)),
            Layer(name="pool", kind="pool", read_elements=96, written_elements=24, vector_ops=96, zeros=zeros),
        ),
    )
    certificate = tmp_path_factory.mktemp("zeros") / "proof.json"
    policy = picojoule.Exact(time_limit_s=None, factors="exact")
    found = picojoule.estimate(
        network, hardware=machine, sparsity="given", objective="latency", search=policy, certificate=certificate
    )
    return found, certificate


def test_it_verifies_down_to_every_part(result):
    found, certificate = result
    outcome = picojoule.verify(found, certificate=certificate, sample=None)
    assert outcome.ok, outcome.failed
    assert [row.same_as for row in found.layers] == [None, "a", None, None]
    assert any(check.name == "effect of zeros" for check in outcome.checks)
    assert found.table["estimated"] is False


def test_the_rows_say_what_zeros_spare(result):
    row = result[0].layers[0]
    by = {(access.level, access.tensor): access for access in row.by}
    weights = by["DRAM", "weights"]
    assert weights.energy_pj < weights.raw_pj
    assert 0 < weights.metadata_bits < weights.bits < 8 * weights.reads
    assert by["mac", "none"].energy_pj == pytest.approx(by["mac", "none"].raw_pj * 0.4 * 0.7 * (100 / 144))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("zeros.inputs", 0.31),
        ("zeros_effect.dense_pj", 1.0),
        ("zeros_effect.break_even_density", 0.01),
        ("zeros_effect.break_even_density", 0.999),
        ("zeros_effect", None),
        ("by.0.metadata_bits", 0.0),
        ("by.0.raw_pj", None),
        ("by.0.bits", 7),
        ("latency_cycles", 1.0),
        ("utilization", 0.5),
    ],
)
def test_a_changed_figure_is_caught_though_the_hash_is_mended(result, key, value):
    document = copy.deepcopy(result[0].to_data())
    assert verify_document(document).ok
    *path, last = key.split(".")
    target = document["layers"][0]
    for step in path:
        target = target[int(step)] if isinstance(target, list) else target[step]
    assert target[last] != value
    target[last] = value
    document["provenance"]["content_hash"] = content_hash(document)
    assert not verify_document(document).ok


def test_the_machine_in_the_file_decides(result):
    """Without a rule the same figures don't hold."""
    document = copy.deepcopy(result[0].to_data())
    del document["hardware"]["hierarchy"][0]["zeros"]["weights"]
    document["provenance"]["content_hash"] = content_hash(document)
    assert not verify_document(document).ok
