"""Families of machines: parameters, their variants, and what can be wrong with both."""

from __future__ import annotations

import pytest

from picojoule.errors import HardwareError, PicojouleError, UsageError
from picojoule.hardware import Accelerator, accelerator_to_data, load_hardware
from picojoule.hardware.describe import accelerator_from_data, accelerator_from_text

FAMILY = """\
name: family
unit: pJ
word_bits: 8
bits: 8
table: {name: t, source: s}
mac: {bits: 8, multiply: 1, add: 0}
parameters: {rows: 16, memory: 64 KiB, price: 2.5}
variants:
  small: {rows: 4, memory: 8 KiB}
hierarchy:
  - level: DRAM
    keeps: [weights, inputs, outputs]
    energy: 100
  - level: SRAM
    keeps: [inputs]
    capacity: $memory
    energy: $price
  - fanout: PE
    axes: {x: $rows, y: $rows/2}
    multicast: true
    reduction: true
"""


def made(chosen: str = "", text: str = FAMILY) -> Accelerator:
    return accelerator_from_text(text, "family.yaml", chosen)


def sizes(machine: Accelerator) -> tuple[int | None, list[int], float]:
    sram = machine.level("SRAM")
    return sram.capacity_bits, [axis.size for axis in machine.fanout("PE").axes], sram.energy_per_bit("read", "inputs")


@pytest.mark.parametrize(
    ("chosen", "name", "expected"),
    [
        ("", "family", (64 * 8192, [16, 8], 2.5 / 8)),
        ("small", "family-small", (8 * 8192, [4, 2], 2.5 / 8)),
        ("small, memory=1 MiB", "family-small-memory-1-MiB", (1024 * 8192, [4, 2], 2.5 / 8)),
        ("price=0.5,rows=6", "family-price-0.5-rows-6", (64 * 8192, [6, 3], 0.5 / 8)),
    ],
)
def test_a_member_of_the_family(chosen, name, expected):
    machine = made(chosen)
    assert (machine.name, sizes(machine)) == (name, expected)
    assert "variants" not in accelerator_to_data(machine)
    assert accelerator_from_data(accelerator_to_data(machine), "r.json") == machine


def test_settings_are_read_behind_a_colon(tmp_path, monkeypatch):
    (tmp_path / "family.yaml").write_text(FAMILY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_hardware("family.yaml:small,rows=8") == accelerator_from_text(FAMILY, "family.yaml", "small,rows=8")
    assert load_hardware("family.yaml") == made()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("smal", "family.yaml has no variant 'smal'"),
        ("row=3", "family.yaml has no parameter 'row'"),
        ("rows=", "the parameter 'rows' is set to nothing"),
        ("small,,rows=8", "of family.yaml nothing is chosen in ''"),
        ("=3", "of family.yaml nothing is chosen in '=3'"),
    ],
)
def test_a_choice_that_there_is_not(chosen, message):
    with pytest.raises(UsageError) as caught:
        made(chosen)
    assert caught.value.message == message
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("$price", "$prise", "$prise has no value"),
        ("rows: 16", "rows: 15", "$rows is 15, which 2 doesn't divide"),
        ("rows: 16", "rows: many", "$rows is 'many': no number to be computed with"),
        ("{rows: 4,", "{row: 4,", "there is no parameter 'row'"),
        ("rows: 16", "rows: [16]", "a parameter is a number or a text, got a list of 1"),
    ],
)
def test_a_family_that_is_not_sound(old, new, message):
    with pytest.raises(HardwareError) as caught:
        made(text=FAMILY.replace(old, new, 1))
    assert caught.value.message == message
    assert caught.value.where.startswith("family.yaml:")


def test_a_colon_alone_chooses_nothing():
    with pytest.raises(UsageError) as caught:
        load_hardware("dpu-v2:")
    assert caught.value.message == "nothing is chosen behind the colon"


def test_a_machine_without_parameters_takes_none():
    with pytest.raises(PicojouleError) as caught:
        load_hardware("eyeriss-v1:large")
    assert caught.value.message.endswith("has no variant 'large'")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("B512,B800", "both B512 and B800 are chosen, with different input_channels"),
        ("clock=100 MHz,clock=200 MHz", "both clock=100 MHz and clock=200 MHz are chosen"),
        ("bandwidth=inf", "'bandwidth' is set to inf, which is no finite number"),
        ("bandwidth=0", 'expected a text with a unit like "32 B/cycle", or a table; got 0'),
        ("pixels=-1", "axes.pixel.size: must be greater than or equal to 1, got -1"),
        ("pixels=7", "$pixels is 7, which 2 doesn't divide"),
    ],
)
def test_choices_that_contradict_each_other_or_cannot_be(chosen, said):
    with pytest.raises(PicojouleError) as error:
        load_hardware(f"dpu-v2:{chosen}")
    assert said in str(error.value)


def test_a_setting_may_change_a_variant_wherever_it_stands_and_a_variant_may_stand_twice():
    assert dict(load_hardware("dpu-v2:B512,memory=2 MiB").parameters)["memory"] == "2 MiB"
    assert load_hardware("dpu-v2:B512,B512").pes == load_hardware("dpu-v2:B512").pes
    with pytest.raises(PicojouleError, match="no finite number"):
        load_hardware("horowitz-arithmetic-45nm:dram=inf")
