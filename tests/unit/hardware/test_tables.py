"""The built-in energy tables: what they say, for which sizes, and what a machine without energies gets from them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from picojoule.errors import HardwareError, UnknownNameError
from picojoule.hardware.describe import accelerator_from_text
from picojoule.hardware.energy_rules import CERTAINTIES, KINDS, mac_energy, scaling_factor, word_energy
from picojoule.hardware.tables import (
    EnergyTableEntry,
    MacRuleEntry,
    MemoryRuleEntry,
    PointEntry,
    load_table,
    table_from_text,
    table_names,
)
from picojoule.units import parse_size_bits
from picojoule.workload.nest import Bits

KIB = parse_size_bits("1 KiB")

TABLE = """\
name: toy
unit: pJ
source: invented
mac: {bits: 16, multiply: 1, add: 0, widths: [8, 16], certainty: derived, source: invented}
memories:
  - kind: sram
    certainty: derived
    source: invented
    points:
      - {capacity: 1 KiB, bits: 64, read: 8, write: 9}
      - {capacity: 4 KiB, bits: 64, read: 16}
"""


def test_names():
    assert table_names() == (
        "accelergy-45nm", "eyeriss-chip-65nm", "eyeriss-normalized-65nm", "eyeriss-normalized-65nm-pj", "horowitz-45nm",
    )  # fmt: skip


@pytest.mark.parametrize("name", table_names())
def test_a_table_bears_its_name_and_every_rule_cites_its_source(name):
    table = load_table(name)
    assert table.name == name
    assert table.source and table.node_nm
    assert {rule.kind for rule in table.memories} == set(KINDS)
    for rule in (table.mac, *table.memories):
        assert rule.source
        assert rule.certainty in CERTAINTIES


@pytest.mark.parametrize("name", table_names())
@pytest.mark.parametrize("direction", ["read", "write", "update"])
def test_a_larger_memory_of_a_kind_is_never_cheaper_per_bit(name, direction):
    """So that no machine priced by a table is refused for it."""
    for rule in load_table(name).memories:
        sizes = [2**n + odd for n in range(4, 25) for odd in (0, 2 ** (n - 1))]
        prices = [rule.energy_per_bit(direction, size) for size in sizes if rule.covers(size)]
        assert all(one <= next_one * (1 + 1e-12) for one, next_one in itertools.pairwise(prices))


@pytest.mark.parametrize(
    ("name", "kind", "capacity", "bits", "energy"),
    [
        ("horowitz-45nm", "sram", 8 * KIB, 64, 10.0),
        ("horowitz-45nm", "sram", 32 * KIB, 64, 20.0),
        ("horowitz-45nm", "sram", 1024 * KIB, 64, 100.0),
        ("horowitz-45nm", "sram", 16 * KIB, 64, 200**0.5),
        ("horowitz-45nm", "regfile", 2 * KIB, 64, 5.0),
        ("horowitz-45nm", "dram", None, 64, 1300.0),
        ("accelergy-45nm", "dram", None, 64, 512.0),
        ("accelergy-45nm", "regfile", 12 * 16, 16, 0.23632),
        ("accelergy-45nm", "regfile", 192 * 16, 16, 1.58552),
        ("accelergy-45nm", "regfile", 64 * KIB, 8, 12.14834),
        ("eyeriss-normalized-65nm", "sram", 108 * KIB, 16, 6.0),
        ("eyeriss-normalized-65nm", "regfile", 224 * 16, 16, 1.0),
        ("eyeriss-chip-65nm", "dram", None, 16, 460.0),
    ],
)
def test_published_prices(name, kind, capacity, bits, energy):
    got = word_energy(load_table(name), kind, "read", capacity_bits=capacity, word_bits=bits)
    assert got == pytest.approx(energy, rel=1e-12)


def test_what_nobody_has_seen_in_the_paper_is_marked():
    memories = {rule.kind: rule for rule in load_table("horowitz-45nm").memories}
    assert [point.certainty for point in memories["sram"].points] == ["found", *["memory, unverified"] * 2]
    assert {rule.certainty for rule in memories.values()} == {"memory, unverified"}


@pytest.mark.parametrize(
    ("weights", "inputs", "picojoule"),
    [(16, 16, 2.20035), (8, 8, 0.5608), (8, 16, 8.63 * 8 * 16 / 1024 + 0.0857 / 2), (16, 8, 8.63 / 8 + 0.0857 / 2)],
)
def test_the_law_of_the_multiplier(weights, inputs, picojoule):
    bits = Bits(weights=weights, inputs=inputs, outputs=16, psums=16)
    assert mac_energy(load_table("accelergy-45nm"), bits).at(bits) == pytest.approx(picojoule, rel=1e-12)


def test_the_normalised_table_in_picojoules_is_the_normalised_table():
    relative, absolute = load_table("eyeriss-normalized-65nm"), load_table("eyeriss-normalized-65nm-pj")
    mac16 = (0.05 + 0.9) * (65 / 45) / 0.81
    assert absolute.mac.multiply == pytest.approx(mac16 * relative.mac.multiply, rel=1e-12)
    for mine, theirs in zip(absolute.memories, relative.memories, strict=True):
        assert mine.points[0].read == pytest.approx(mac16 * theirs.points[0].read, rel=1e-12)


# Ranges


@pytest.mark.parametrize(
    ("kind", "capacity", "range_"),
    [
        ("sram", 63 * KIB, "from 64 KiB to 128 KiB"),
        ("regfile", 64, "from 192 bit to 64 KiB"),
    ],
)
def test_outside_its_range_a_rule_says_nothing(kind, capacity, range_):
    table = load_table("accelergy-45nm")
    with pytest.raises(HardwareError) as caught:
        word_energy(table, kind, "read", capacity_bits=capacity, word_bits=16, where="chip.yaml:9")
    assert f"the rule of accelergy-45nm for {kind} is for sizes" in caught.value.message
    assert range_ in caught.value.message
    assert (caught.value.where, "extrapolate: true" in caught.value.hint) == ("chip.yaml:9", True)


@pytest.mark.parametrize("extrapolate", [False, True])
def test_a_law_of_the_size_asks_an_unlimited_memory_for_its_capacity_at_once(extrapolate):
    with pytest.raises(HardwareError, match="for sram goes by size, and this memory is unlimited") as caught:
        word_energy(
            load_table("accelergy-45nm"), "sram", "read", capacity_bits=None, word_bits=16, extrapolate=extrapolate
        )
    assert caught.value.hint == "Give its capacity; the rule is for sizes from 64 KiB to 128 KiB."


def test_one_price_for_all_sizes_of_a_range_holds_beyond_it_by_extrapolation():
    table = load_table("eyeriss-chip-65nm")
    with pytest.raises(HardwareError, match="and this memory is unlimited") as caught:
        word_energy(table, "sram", "read", capacity_bits=None, word_bits=16)
    assert "Give its capacity. Write extrapolate: true" in caught.value.hint
    assert word_energy(table, "sram", "read", capacity_bits=None, word_bits=16, extrapolate=True) == 15


def test_a_law_goes_on_as_it_ended():
    table = table_from_text(TABLE, "toy.yaml")
    energies = [
        word_energy(table, "sram", "read", capacity_bits=size, word_bits=64, extrapolate=True)
        for size in (KIB // 4, KIB, 2 * KIB, 4 * KIB, 16 * KIB)
    ]
    assert energies == pytest.approx([4.0, 8.0, 128**0.5, 16.0, 32.0], rel=1e-12)


def test_an_unlimited_memory_has_no_price_by_size():
    with pytest.raises(HardwareError, match="goes by size, and this memory is unlimited"):
        word_energy(table_from_text(TABLE, "t"), "sram", "read", capacity_bits=None, word_bits=8, extrapolate=True)


def test_a_kind_without_a_rule_is_not_free():
    with pytest.raises(HardwareError, match="the table toy has no rule for dram"):
        word_energy(table_from_text(TABLE, "toy.yaml"), "dram", "read", capacity_bits=None, word_bits=8)


def test_operands_outside_the_range_of_the_multiplier():
    bits = Bits(weights=16, inputs=4, outputs=16, psums=16)
    with pytest.raises(HardwareError, match="operands of 8 to 32 bits, and inputs have 4"):
        mac_energy(load_table("accelergy-45nm"), bits)
    energy = mac_energy(load_table("accelergy-45nm"), bits, extrapolate=True)
    assert energy.at(bits) == pytest.approx(8.63 * 64 / 1024 + 0.0857 / 2, rel=1e-12)


# Node and voltage


def test_nodes_and_voltages_scale_as_cnnergy_does():
    assert scaling_factor(load_table("horowitz-45nm"), 65, 1.0) == pytest.approx(65 / 45 / 0.81, rel=1e-12)
    assert scaling_factor(load_table("horowitz-45nm"), None, None) == 1.0
    assert scaling_factor(load_table("horowitz-45nm"), 45, 0.9) == 1.0


def test_dram_is_another_chip_and_does_not_scale():
    table = load_table("horowitz-45nm")
    asked = {"word_bits": 64, "node_nm": 65, "voltage_v": 1.0}
    assert word_energy(table, "dram", "read", capacity_bits=None, **asked) == 1300
    sram = word_energy(table, "sram", "read", capacity_bits=8 * KIB, **asked)
    assert sram == pytest.approx(10 * 65 / 45 / 0.81, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "node_nm", "voltage_v", "message"),
    [
        ("horowitz-45nm", 28, None, "energies are scaled between 45 and 65 nm, and the machine has 28 nm"),
        ("horowitz-45nm", None, 5.0, "energies are scaled between 0.9 and 1 V, and the machine has 5 V"),
        ("horowitz-45nm", 65, 0.1, "energies are scaled between 0.9 and 1 V, and the machine has 0.1 V"),
        ("eyeriss-normalized-65nm", 45, None, "is in units of mac16: it can't be scaled to a node of 45"),
        ("accelergy-45nm", None, 1.0, "doesn't say its voltage: it can't be scaled to a voltage of 1"),
    ],
)
def test_what_cannot_be_scaled(name, node_nm, voltage_v, message):
    with pytest.raises(HardwareError) as caught:
        scaling_factor(load_table(name), node_nm, voltage_v)
    assert message in caught.value.message


def test_beyond_the_law_by_extrapolation():
    assert scaling_factor(load_table("horowitz-45nm"), 28, None, extrapolate=True) == 28 / 45
    assert scaling_factor(load_table("horowitz-45nm"), None, 1.8, extrapolate=True) == pytest.approx(4, rel=1e-12)


def test_a_table_of_another_node_is_not_scaled_by_a_law_that_does_not_reach_it():
    table = table_from_text(TABLE.replace("source: invented\nmac", "node_nm: 28\nsource: invented\nmac"), "toy.yaml")
    with pytest.raises(HardwareError, match="between 45 and 65 nm, and the table toy has 28 nm"):
        scaling_factor(table, 45, None)
    assert scaling_factor(table, 28, None) == 1


# A machine that names a table

MACHINE = """\
name: ruled
unit: pJ
word_bits: 16
bits: 16
table: accelergy-45nm
hierarchy:
  - level: DRAM
    kind: dram
    keeps: [weights, inputs, outputs]
  - level: GLB
    kind: sram
    keeps: [inputs, outputs]
    capacity: 108 KiB
  - level: spad
    kind: regfile
    keeps: [weights]
    capacity: 224 words
"""


def test_a_machine_without_energies_takes_those_of_its_table():
    machine = accelerator_from_text(MACHINE, "ruled.yaml")
    assert machine.level("DRAM").energy_per_bit("read", "weights") == 8.0
    assert 74.1442 / 64 > machine.level("GLB").energy_per_bit("read", "inputs") > 167.0908 / 256
    assert machine.mac.at(machine.bits) == pytest.approx(2.20035)
    assert (machine.table_name, machine.node_nm) == ("accelergy-45nm", 45)
    assert machine.table_source == load_table("accelergy-45nm").source


def test_what_a_machine_prices_itself_is_told():
    machine = accelerator_from_text(MACHINE.replace("108 KiB", "108 KiB\n    energy: 7"), "ruled.yaml")
    assert machine.level("GLB").energy_per_bit("read", "inputs") == 7 / 16
    assert machine.table_source.endswith("; from the description: GLB")


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("108 KiB", "200 KiB", ":10: hierarchy[1]", "for sizes from 64 KiB to 128 KiB, and this memory is 200 KiB"),
        ("    kind: sram\n", "", ":10: hierarchy[1]", "the level 'GLB' has neither an energy nor a kind"),
        ("bits: 16\ntable", "bits: 4\ntable", ":5: table", "operands of 8 to 32 bits, and weights have 4"),
        ("unit: pJ", "unit: pJ\nnode_nm: 28", ":11: hierarchy[1]", "between 45 and 65 nm, and the machine has 28 nm"),
    ],
)
def test_a_machine_outside_the_rules_is_refused_unless_it_extrapolates(old, new, where, message):
    text = MACHINE.replace(old, new)
    with pytest.raises(HardwareError) as caught:
        accelerator_from_text(text, "ruled.yaml")
    assert message in caught.value.message
    if "neither" not in message:
        assert accelerator_from_text(f"extrapolate: true\n{text}", "ruled.yaml").extrapolate


def test_a_description_reads_no_file_for_its_table(tmp_path, monkeypatch):
    """Descriptions come from strangers: only built-in tables can be named in them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(TABLE, encoding="utf-8")
    with pytest.raises(HardwareError, match="no energy table is called './own.yaml'"):
        accelerator_from_text(MACHINE.replace("accelergy-45nm", "./own.yaml"), "ruled.yaml")


def test_one_level_may_extrapolate_alone():
    text = MACHINE.replace("108 KiB", "256 KiB\n    extrapolate: true")
    energy = accelerator_from_text(text, "ruled.yaml").level("GLB").energy_per_bit("read", "inputs")
    assert energy == pytest.approx((74.1442 / 64) ** 2 / (167.0908 / 256), rel=1e-12)
    with pytest.raises(HardwareError, match="for regfile"):
        accelerator_from_text(text.replace("224 words", "9 words"), "ruled.yaml")


# Files


def test_a_table_nobody_knows():
    with pytest.raises(UnknownNameError) as caught:
        load_table("horovitz-45nm")
    assert caught.value.hint.startswith("Did you mean 'horowitz-45nm'? Allowed: accelergy-45nm, ")


def test_a_table_of_ones_own(tmp_path):
    (tmp_path / "own.yaml").write_text(TABLE, encoding="utf-8")
    assert load_table(tmp_path / "own.yaml") == load_table(str(tmp_path / "own.yaml")) == table_from_text(TABLE, "t")


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("kind: sram", "kind: rom", ":6: memories[0].kind", "unknown kind of memory 'rom'"),
        ("    source: invented\n", "", ":6: memories[0]", "the key 'source' is missing"),
        ("certainty: derived\n", "certainty: sure\n", ":7: memories[0].certainty", "unknown certainty 'sure'"),
        ("read: 16", "read: 0", ":11: memories[0].points[1].read", "must be greater than 0"),
        ("4 KiB", "1 KiB", ":6: memories[0]", "sizes that don't rise"),
        ("4 KiB", "4 furlongs", ":11: memories[0].points[1].capacity", "'4 furlongs' is not a memory size"),
        ("capacity: 4 KiB, ", "", ":11: memories[0].points[1]", "a price without a size"),
        ("read: 16", 'read: 16, certainty: "memory, unverified"', ":7: memories[0].certainty", "'memory, unverified'"),
        ("    points", "    exponent: 0.5\n    points", ":6: memories[0]", "an exponent beside several prices"),
        ("name: toy", "nmae: toy", ":1: nmae", "unknown key 'nmae'"),
        ("read: 16", "read: 7", ":11: memories[0].points[1]", "whose read costs less: 0.1094 a bit against 0.125"),
        ("read: 16", "read: 16, write: 8", ":11: memories[0].points[1]", "whose write costs less: 0.125 a bit"),
        ("widths: [8, 16]", "widths: [16, 8]", ":4: mac.widths", "below their beginning: 16 to 8 bits"),
        ("    points", "    range: [4 KiB, 1 KiB]\n    points", ":9: memories[0].range", "ends below its beginning"),
        ("    points", "    range: [2 KiB, 4 KiB]\n    points", ":11: memories[0].points[0]", "outside the range"),
    ],
)
def test_a_table_that_is_refused(old, new, where, message):
    assert old in TABLE
    with pytest.raises(HardwareError) as caught:
        table_from_text(TABLE.replace(old, new, 1), "toy.yaml")
    assert message in caught.value.message
    assert caught.value.where.startswith(f"toy.yaml{where}")


def test_a_second_rule_for_a_kind_is_refused():
    rule = TABLE.partition("memories:\n")[2]
    with pytest.raises(HardwareError, match="a second rule for sram"):
        table_from_text(TABLE + rule, "toy.yaml")


# The page

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "energy-tables.md").read_text(encoding="utf-8")


def test_the_page_names_every_table_and_every_key():
    assert [name for name in table_names() if f"| `{name}` |" not in PAGE] == []
    keys = PAGE.partition("## A table of your own")[2]
    entries = (EnergyTableEntry, MacRuleEntry, MemoryRuleEntry, PointEntry)
    assert [key for entry in entries for key in entry.model_fields if not re.search(rf"\b{key}\b", keys)] == []


def test_the_table_on_the_page_loads():
    table = table_from_text(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0], "our-28nm.yaml")
    assert word_energy(table, "regfile", "read", capacity_bits=KIB * 4, word_bits=16) == 0.4
