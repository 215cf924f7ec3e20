"""The machine as one layer meets it: its engine, its pace, and where its tensors live."""

from __future__ import annotations

import pytest

from picojoule.cost.suited import staying, suited
from picojoule.hardware.describe import accelerator_from_text
from picojoule.workload.nest import Bits, Nest

MACHINE = """\
name: toy
unit: pJ
word_bits: 8
bits: 8
table: {name: t, source: s}
mac: {bits: 8, multiply: 1, add: 0, modes: [{weights: 8, inputs: 8}, {weights: 16, inputs: 16, cycles: 4}]}
hierarchy:
  - level: DRAM
    keeps: [weights]
    spill: [inputs, outputs]
    energy: 100
  - level: SRAM
    keeps: [inputs, outputs]
    capacity: 64 B
    energy: 5
  - fanout: PE
    axes: {x: 4}
    multicast: true
    reduction: true
    depthwise: {axes: {x: {size: 2, dims: [G]}}, outputs_stay_at: SRAM}
"""
TOY = accelerator_from_text(MACHINE, "toy.yaml")
BYTE = Bits(weights=8, inputs=8, outputs=8, psums=32)


def test_a_layer_whose_tensors_fit_never_sees_dram_but_for_weights():
    """32 inputs and 32 outputs fill the 64 bytes exactly; nothing is left for tiles of others, and nothing else is here."""
    machine = suited(TOY, Nest(K=32, C=32), BYTE)
    assert machine.level("DRAM").holds == ("weights",)
    assert machine.level("SRAM").capacity_bits == 0
    assert machine.home("inputs").name == machine.home("outputs").name == "SRAM"


@pytest.mark.parametrize(
    ("nest", "spilled", "left"),
    [
        (Nest(K=33, C=32), "outputs", 32 * 8),  # 65 bytes: the larger goes, the other has half of the memory at most
        (Nest(K=30, C=35), "inputs", 34 * 8),
        (Nest(K=33, C=33), "inputs outputs", 64 * 8),  # of two as large inputs first; 33 bytes are more than half
        (Nest(K=40, C=40), "inputs outputs", 64 * 8),
    ],
)
def test_the_largest_spills(nest, spilled, left):
    machine = suited(TOY, nest, BYTE)
    assert machine.level("DRAM").keeps == ("weights", *spilled.split())
    assert machine.level("SRAM").capacity_bits == left
    assert machine.level("SRAM").keeps == ("inputs", "outputs")


def test_only_depthwise_layers_run_on_the_engine():
    assert suited(TOY, Nest(G=8), BYTE).pes == 2
    for nest in (Nest(K=8), Nest(G=8, K=2), Nest(G=8, C=2)):
        assert suited(TOY, nest, BYTE).pes == 4


def test_the_pace_is_that_of_the_mode():
    assert suited(TOY, Nest(K=8), BYTE).timed == 1
    assert suited(TOY, Nest(K=8), Bits(weights=8, inputs=16, outputs=8, psums=32)).timed == 4


def test_what_is_suited_already_stays_as_it_is():
    once = suited(TOY, Nest(G=8, P=4), BYTE)
    assert suited(once, Nest(G=8, P=4), BYTE) == once


def test_a_tensor_that_stays_is_at_home_there():
    machine = staying(TOY, "SRAM", {"outputs": 80})
    assert machine.level("DRAM").holds == ("weights", "inputs")
    assert machine.home("outputs").name == "SRAM"
    assert machine.level("SRAM").capacity_bits == 64 * 8 - 80
