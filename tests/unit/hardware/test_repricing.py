"""A machine at the prices of another table."""

from __future__ import annotations

import dataclasses

import pytest

from picojoule.errors import HardwareError
from picojoule.hardware import accelerator_from_data, accelerator_to_data, catalogue_names, load_hardware
from picojoule.hardware.accelerator import Level, operand_latch
from picojoule.hardware.repricing import reprice
from picojoule.hardware.tables import load_table, table_names


def test_the_design_that_a_table_was_published_with_keeps_its_prices():
    """Point for point: the rules of accelergy-45nm go through every price of eyeriss_like."""
    before = load_hardware("eyeriss-like-45nm")
    after = reprice(before, load_table("accelergy-45nm"))
    for one, other in zip(before.levels, after.levels, strict=True):
        assert dict(other.energy_per_word) == pytest.approx(dict(one.energy_per_word), rel=1e-12)
    assert after.mac.at(after.bits) == pytest.approx(before.mac.at(before.bits), rel=1e-12)


def test_eyeriss_normalized_keeps_its_prices_under_its_table():
    before = load_hardware("eyeriss-normalized")
    after = reprice(before, load_table("eyeriss-normalized-65nm"))
    assert (after.hierarchy, after.table_name) == (before.hierarchy, before.table_name)
    assert after.mac == dataclasses.replace(before.mac, widths=(8, 16))


@pytest.mark.parametrize("table", table_names())
@pytest.mark.parametrize("name", ["eyeriss-like-45nm", "eyeriss-normalized"])
def test_only_prices_change(name, table):
    before, prices = load_hardware(name), load_table(table)
    after = reprice(before, prices)
    assert (after.unit, after.node_nm, after.table_name) == (prices.unit, prices.node_nm, prices.name)
    for same in ("name", "pes", "bits", "clock_hz"):
        assert getattr(after, same) == getattr(before, same)
    for one, other in zip(before.levels, after.levels, strict=True):
        assert dataclasses.replace(other, energy_per_word=one.energy_per_word) == one
    assert accelerator_from_data(accelerator_to_data(after), "again") == after


def test_every_level_of_the_catalogue_says_its_kind():
    assert all(level.kind for name in catalogue_names() for level in load_hardware(name).levels if not level.latch)


def test_a_table_may_extrapolate_where_the_machine_lets_it():
    registers = reprice(load_hardware("simba-like-45nm"), load_table("accelergy-45nm")).level("PEWeightRegs")
    assert 0 < registers.energy_per_bit("read", "weights") < 0.23632 / 16
    with pytest.raises(HardwareError, match="sram is for sizes from 100 KiB to 1024 KiB, and this memory is 64 KiB"):
        reprice(load_hardware("simba-like-45nm"), load_table("eyeriss-normalized-65nm"))


def test_a_level_of_no_kind_is_refused():
    machine = load_hardware("eyeriss-normalized")
    levels = [dataclasses.replace(x, kind=None) if x.name == "GLB" else x for x in machine.hierarchy]
    with pytest.raises(HardwareError) as caught:
        reprice(dataclasses.replace(machine, hierarchy=tuple(levels)), load_table("horowitz-45nm"))
    assert caught.value.where == "eyeriss-normalized: GLB"
    assert caught.value.message == "the level 'GLB' doesn't say which kind of memory it is"
    assert "Add kind: … (dram, sram, regfile)" in caught.value.hint


def test_latches_and_what_is_free_stay_free():
    machine = load_hardware("eyeriss-normalized")

    def free(entry):
        if not isinstance(entry, Level) or entry.name != "psum_spad":
            return entry
        prices = tuple((key, 0.0) for key, _ in entry.energy_per_word)
        return dataclasses.replace(entry, free=True, energy_per_word=prices)

    hierarchy = (*map(free, machine.hierarchy), operand_latch("latch", ("weights",)))
    priced = reprice(dataclasses.replace(machine, hierarchy=hierarchy), load_table("horowitz-45nm"))
    for name, tensor in (("psum_spad", "outputs"), ("latch", "weights")):
        assert priced.level(name).energy_per_bit("read", tensor) == 0.0
    assert priced.level("ifmap_spad").energy_per_bit("read", "inputs") > 0
