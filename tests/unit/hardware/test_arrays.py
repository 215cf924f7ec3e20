"""Engines, links, modes and homes that spill: what a description may say of them, and what is refused."""

from __future__ import annotations

import pytest

from picojoule.errors import HardwareError
from picojoule.hardware import Accelerator, accelerator_from_data, accelerator_to_data
from picojoule.hardware.describe import accelerator_from_text
from picojoule.workload.nest import Bits

GOOD = """\
name: toy
unit: pJ
clock: 200 MHz
word_bits: 8
bits: 8
table: {name: t, source: s}
mac:
  bits: 8
  multiply: 1
  add: 0.5
  modes:
    - {weights: 8, inputs: 8}
    - {weights: 8, inputs: 16, cycles: 2}
    - {weights: 16, inputs: 16, cycles: 4, multiply: 3, add: 0.25}
hierarchy:
  - level: DRAM
    keeps: [weights]
    spill: [inputs, outputs]
    energy: 100
  - level: SRAM
    keeps: [inputs, outputs]
    capacity: 1 KiB
    energy: 5
  - fanout: PE
    axes: {x: 4}
    multicast: true
    reduction: true
    depthwise:
      axes: {x: {size: 2, dims: [G]}}
      outputs_stay_at: SRAM
    link: {name: wires, energy: 8, word_bits: 16, bandwidth: 1 word/4 cycles}
  - level: registers
    keeps: [weights, inputs, outputs]
    capacity: 16 words
    energy: 1
    bandwidth: {write: 1 word/256 cycles}
"""


def made(old: str = "", new: str = "") -> Accelerator:
    assert old in GOOD
    return accelerator_from_text(GOOD.replace(old, new, 1) if old else GOOD, "toy.yaml")


def test_what_it_becomes():
    machine = made()
    pe, registers = machine.fanout("PE"), machine.level("registers")
    assert pe.depthwise is not None
    assert [(axis.size, axis.dims) for axis in pe.depthwise.axes] == [(2, ("G",))]
    assert pe.depthwise.outputs_stay_at == "SRAM"
    assert machine.level("DRAM").spill == ("inputs", "outputs")
    assert machine.level("SRAM").link is None
    assert registers.link is not None
    assert (registers.link.energy_per_bit, registers.link.bits_per_cycle) == (0.5, 4)
    assert registers.write_bits_per_cycle == 8 / 256
    assert {port.label: port.bits_per_cycle for port in registers.ports} == {
        "writes": 8 / 256, "arrivals": 4, "departures": 4
    }  # fmt: skip
    assert accelerator_from_data(accelerator_to_data(machine), "r.json") == machine


def test_a_link_is_paid_by_what_fills_the_memory_behind_it_and_by_sums_that_leave():
    registers = made().level("registers")
    per_bit = {(d, t): registers.energy_per_bit(d, t) for d in ("read", "write", "update") for t in ("inputs", "outputs")}
    assert per_bit == {
        ("read", "inputs"): 1 / 8, ("write", "inputs"): 1 / 8 + 0.5, ("update", "inputs"): 1 / 8,
        ("read", "outputs"): 1 / 8 + 0.5, ("write", "outputs"): 1 / 8 + 0.5, ("update", "outputs"): 1 / 8,
    }  # fmt: skip
    assert registers.energy_per_bit("return", "outputs") == 1 / 8


@pytest.mark.parametrize(
    ("weights", "inputs", "cycles", "energy"),
    [
        (8, 8, 1, 1.5),
        (4, 8, 1, 0.5 + 0.5),
        (8, 16, 2, 2 + 1),
        (16, 8, 4, 1.5 + 0.25),
        (16, 16, 4, 3.25),
    ],
)
def test_the_first_mode_that_fits(weights, inputs, cycles, energy):
    mac, bits = made().mac, Bits(weights=weights, inputs=inputs, outputs=8, psums=32)
    assert mac.cycles(bits) == cycles
    assert mac.at(bits) == pytest.approx(energy)


def test_wider_than_every_mode():
    with pytest.raises(HardwareError) as caught:
        made().mac.cycles(Bits(weights=8, inputs=32, outputs=8, psums=32))
    assert "8 × 8 or 8 × 16 or 16 × 16 bits" in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("outputs_stay_at: SRAM", "outputs_stay_at: SRAN", "no level is called 'SRAN'"),
        ("outputs_stay_at: SRAM", "outputs_stay_at: registers", "results can't stay at 'registers': there are several"),
        ("outputs_stay_at: SRAM", "outputs_stay_at: DRAM", "results can't stay at 'DRAM': it keeps no inputs and outputs"),
        ("keeps: [weights, inputs, outputs]", "keeps: [weights, outputs]", "no memory right behind the link keeps inputs"),
        ("name: wires", "name: SRAM", "the name 'SRAM' is taken"),
        ("1 word/4 cycles", "1 word/4 s", "'1 word/4 s' is not a bandwidth"),
        ("capacity: 1 KiB\n    energy: 5", "energy: 5", "inputs spill into 'DRAM', and their home 'SRAM' has no capacity"),
        ("spill: [inputs, outputs]", "spill: [inputs]", "outputs"),
        ("cycles: 4, multiply: 3, add: 0.25", "cycles: 4, multiply: 3", "multiply and add belong together"),
        ("bits: 8\ntable", "bits: 32\ntable", "no mode takes the machine's own widths"),
        ("multiply: 1\n  add: 0.5", "multiply: 1", "the key 'add' is missing"),
    ],
)
def test_what_is_refused(old, new, message):
    with pytest.raises(HardwareError) as caught:
        made(old, new)
    assert caught.value.message.startswith(message) or message in caught.value.message
    assert caught.value.where.startswith("toy.yaml:")
    assert caught.value.hint
