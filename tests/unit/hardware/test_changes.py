"""A machine with one thing changed: what changes, what it then costs, and what can't be asked."""

from __future__ import annotations

import pytest

from picojoule.hardware import accelerator_from_data, accelerator_to_data, load_hardware
from picojoule.hardware.changes import DRAMS, Change, Unchanged, changes


def found(name: str) -> dict[tuple[str, str], Change]:
    return {(one.what, one.step): one for one in changes(load_hardware(name)) if isinstance(one, Change)}


def test_a_larger_memory_costs_what_the_table_says_of_one_described_so() -> None:
    change = found("dpu-v2")["block_ram", "×2"]
    described = load_hardware("dpu-v2:memory=2294 KiB").level("block_ram")
    assert change.machine.level("block_ram") == described
    assert change.price == "a read costs +38.0 % by horowitz-45nm"
    assert (change.before, change.after) == ("1147 KiB", "2294 KiB")


@pytest.mark.parametrize(
    ("machine", "level", "price"),
    [
        ("eyeriss-like-45nm", "shared_glb", "old price: the machine states it, without a law for sizes"),
        ("eyeriss-v1", "GLB", "eyeriss-normalized-65nm-pj prices all sizes alike"),
        (
            "eyeriss-v1",
            "weights_spad",
            "old price: the rule of eyeriss-normalized-65nm-pj for regfile is for sizes from 16 bit to 4096 bit, and this memory is 7168 bit",
        ),
    ],
)
def test_where_no_law_is_known_the_price_stays_and_that_is_said(machine: str, level: str, price: str) -> None:
    change = found(machine)[level, "×2"]
    assert change.price == price
    before = load_hardware(machine).level(level)
    assert change.machine.level(level).energy_per_word == before.energy_per_word
    assert change.machine.level(level).capacity_bits == 2 * (before.capacity_bits or 0)


def test_whole_things_stay_whole_and_grow() -> None:
    eyeriss = found("eyeriss-v1")
    assert (eyeriss["PE y", "+10 %"].after, eyeriss["PE y", "×2"].after) == ("13", "24")
    assert eyeriss["ifmap_spad", "+10 %"].after == "208 bit"  # 13.2 words of 16 bits
    assert found("tpu-v1")["weight", "+10 %"].after == "40 bit"  # 4.4 words of 8 bits, one more at least


def test_the_next_dram_is_the_first_that_takes_less() -> None:
    for machine, name in (("eyeriss-v1", "GDDR5"), ("eyeriss-like-45nm", "HBM2")):
        change = found(machine)["DRAM", name]
        dram = change.machine.level("DRAM")
        assert {price / dram.word_bits for _, price in dram.energy_per_word} == {dict(DRAMS)[name]}
    none = [one for one in changes(load_hardware("eyeriss-normalized")) if isinstance(one, Unchanged)]
    assert [one.why for one in none] == ["its energies are in multiples of a MAC"]


@pytest.mark.parametrize("name", ["eyeriss-v2", "simba-package", "dpu-v1", "tpu-v1"])
def test_every_changed_machine_is_described_as_it_is(name: str) -> None:
    for change in found(name).values():
        again = accelerator_from_data(accelerator_to_data(change.machine), "changed")
        assert again.hierarchy == change.machine.hierarchy
        assert again.resolved == change.machine.resolved


def test_every_port_is_asked_for_alone() -> None:
    before, change = load_hardware("eyeriss-v1"), found("eyeriss-v1")["GLB reads of outputs", "×2"]
    rates = {port.label: port.bits_per_cycle for port in change.machine.level("GLB").ports}
    assert rates == {p.label: p.bits_per_cycle * (2 if p.label == "reads of outputs" else 1) for p in before.level("GLB").ports}
