"""What a description may say about zeros, and what it is told where it can't be."""

from __future__ import annotations

import pytest

from picojoule.errors import HardwareError
from picojoule.hardware.describe import accelerator_from_data, accelerator_from_text, accelerator_to_data

HEAD = """\
name: minding
unit: pJ
word_bits: 8
bits: 8
table: {name: t, source: s}
mac: {bits: 8, multiply: 1, add: 0}
estimated: true
zeros: {gating: [inputs], skipping: [weights], units: PE, run_ahead: {weights: 64}}
hierarchy:
  - level: DRAM
    keeps: [weights, inputs, outputs]
    energy: 100
    zeros:
      weights: {compression: {format: csc, run_bits: 4, address_bits: 7, column: 32, raw: true}}
      outputs: {compression: {format: rlc, run_bits: 5, word_bits: 64}}
  - level: GLB
    keeps: [inputs, outputs]
    energy: 5
    zeros: {inputs: {compression: {format: bitmap, margin: 1.5}}}
  - fanout: PE
    axes: {x: {size: 4, dims: [K]}, y: {size: 1, dims: [C]}}
    multicast: true
    reduction: true
"""
SPADS = """\
  - level: spads
    keeps: [weights, outputs]
    energy: 1
    zeros:
      weights: {gating: [inputs]}
      outputs: {gating: [inputs], skipping: [weights]}
"""


def test_everything_that_it_may_say_survives_the_way_to_data_and_back():
    machine = accelerator_from_text(HEAD + SPADS, "m.yaml")
    assert (machine.gating, machine.skipping, machine.estimated) == (("inputs",), ("weights",), True)
    assert (machine.units, machine.run_ahead) == ("PE", (("weights", 64),))
    data = accelerator_to_data(machine)
    assert data["estimated"] is True
    assert data["hierarchy"][0]["zeros"]["weights"] == {
        "compression": {"format": "csc", "run_bits": 4, "address_bits": 7, "column": 32, "raw": True}
    }
    again = accelerator_from_data(data, "data")
    assert again.hierarchy == machine.hierarchy
    assert accelerator_to_data(again) == data


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gating: [inputs], skipping: [weights], u", "gating: [outputs], skipping: [weights], u", "zeros in outputs spare nothing"),
        ("skipping: [weights], u", "skipping: [inputs], u", "both gate and skip"),
        ("format: bitmap", "format: bitmapp", "unknown format 'bitmapp'"),
        ("format: bitmap, ", "format: bitmap, run_bits: 3, ", "bitmap has no run_bits"),
        ("run_bits: 5, word_bits: 64", "word_bits: 64", "rlc has no run_bits"),
        (", column: 32", "", "address_bits and column belong together"),
        ("margin: 1.5", "margin: 0.5", "greater than or equal to 1"),
        ("zeros: {inputs: {comp", "zeros: {weights: {comp", "zeros of weights, which the level 'GLB' does not hold"),
        ("    zeros: {inputs: {compression: {format: bitmap, margin: 1.5}}}",
         "    zeros: {outputs: {compression: {format: bitmap}}}", "outputs are partial sums in 'GLB'"),
        ("    zeros: {inputs: {compression: {format: bitmap, margin: 1.5}}}",
         "    zeros: {inputs: {gating: [inputs], compression: {format: bitmap}}}", "not there to be gated"),
        ("    zeros: {inputs: {compression: {format: bitmap, margin: 1.5}}}",
         "    zeros: {inputs: {skipping: [weights]}}", "along K it serves several PEs at once"),
        ("      weights: {gating: [inputs]}\n", "      weights: {skipping: [inputs]}\n", "but no MAC"),
        ("      weights: {comp", "      inputs: {gating: [weights]}\n      weights: {comp", "'GLB' stands before the MACs"),
        ("zeros: {gating: [inputs], s", "zeros: {gating: inputs, s", "must be a valid list"),
        ("margin: 1.5", "margins: 1.5", "unknown key 'margins'"),
        ("units: PE", "units: PEs", "no fan-out is called 'PEs'"),
        ("{weights: 64}", "{inputs: 64}", "run_ahead of inputs, whose zeros skip nothing"),
        ("skipping: [weights], ", "", "units without skipping"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(old, new, said):
    text = HEAD + SPADS
    assert old in text
    with pytest.raises(HardwareError) as error:
        accelerator_from_text(text.replace(old, new, 1), "m.yaml")
    assert said in str(error.value)
    assert "m.yaml" in str(error.value)


def test_a_latch_stands_between_an_access_and_the_macs():
    with pytest.raises(HardwareError, match="'operands' stands before the MACs"):
        accelerator_from_text(HEAD + SPADS + "  - latch: operands\n    keeps: [weights]\n", "m.yaml")


def test_outputs_at_home_can_not_be_gated():
    glb, fanout = HEAD.index("  - level: GLB"), HEAD.index("  - fanout")
    alone = (HEAD[:glb] + HEAD[fanout:]).replace("outputs: {comp", "outputs: {gating: [inputs], comp")
    with pytest.raises(HardwareError, match="where outputs end"):
        accelerator_from_text(alone, "m.yaml")


def test_units_of_a_machine_without_fan_outs():
    text = HEAD[: HEAD.index("  - level: GLB")]
    with pytest.raises(HardwareError) as error:
        accelerator_from_text(text, "m.yaml")
    assert "no fan-out is called 'PE'" in str(error.value)
    assert error.value.hint == "This machine has no fan-outs, so leave units out."
