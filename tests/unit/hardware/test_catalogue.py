"""The built-in machines, and how a name or path is resolved."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from picojoule.errors import UnknownNameError
from picojoule.hardware import catalogue_names, catalogue_text, load_hardware
from picojoule.hardware.accelerator import Level
from picojoule.units import parse_size_bits
from picojoule.workload.nest import DIMS, TENSORS


def test_names():
    assert catalogue_names() == (
        "dpu-v1",
        "dpu-v2",
        "eyeriss-like-45nm",
        "eyeriss-methodology",
        "eyeriss-normalized",
        "eyeriss-v1",
        "eyeriss-v1-scaled",
        "eyeriss-v2",
        "horowitz-arithmetic-45nm",
        "simba",
        "simba-like-45nm",
        "simba-package",
        "tpu-v1",
        "two-level",
    )


@pytest.mark.parametrize("name", catalogue_names())
def test_a_machine_bears_its_name_and_cites_its_source(name):
    machine = load_hardware(name)
    assert machine.name == name
    assert machine.table_name and machine.table_source
    assert catalogue_text(name).startswith("# ")
    assert len(catalogue_text(name).splitlines()) < 90


def test_a_name_nobody_knows():
    with pytest.raises(UnknownNameError) as caught:
        load_hardware("eyeris-normalized")
    assert caught.value.exit_code == 2
    assert caught.value.message == "no machine is called 'eyeris-normalized'"
    assert caught.value.hint.startswith(
        f"Did you mean 'eyeriss-normalized'? Allowed: {', '.join(catalogue_names())}."
    )


def test_a_name_wins_over_a_directory_that_bears_it(tmp_path, monkeypatch):
    (tmp_path / "eyeriss-normalized").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_hardware("eyeriss-normalized").name == "eyeriss-normalized"


@pytest.mark.parametrize("name", ["my.yaml", "my.yml"])
def test_a_file_is_found_by_its_name_in_this_directory(tmp_path, monkeypatch, name):
    (tmp_path / name).write_text(catalogue_text("eyeriss-normalized"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_hardware(name) == load_hardware("eyeriss-normalized")


def test_eyeriss_normalized_is_the_machine_of_the_papers():
    machine = load_hardware("eyeriss-normalized")
    assert machine.unit == "mac16"
    assert [x.name for x in machine.hierarchy] == ["DRAM", "GLB", "PE", "ifmap_spad", "weights_spad", "psum_spad"]
    assert {level.name: level.keeps for level in machine.levels} == {
        "DRAM": TENSORS,
        "GLB": ("inputs", "outputs"),
        "ifmap_spad": ("inputs",),
        "weights_spad": ("weights",),
        "psum_spad": ("outputs",),
    }
    assert [level.capacity_bits for level in machine.levels] == [
        None,
        parse_size_bits("108 KiB"),
        12 * 16,
        224 * 16,
        24 * 16,
    ]
    for level, energy in zip(machine.levels, (200, 6, 1, 1, 1), strict=True):
        assert {value for _, value in level.energy_per_word} == {energy}
        assert (level.word_bits, level.read_bits_per_cycle, level.write_bits_per_cycle) == (16, None, None)
        assert not level.may_keep
    (array,) = machine.fanouts
    assert [(axis.name, axis.size, axis.dims) for axis in array.axes] == [("x", 14, DIMS), ("y", 12, DIMS)]
    assert array.multicast and array.reduction
    assert machine.mac.at(machine.bits) == 1.0
    assert (machine.vector_energy, machine.clock_hz) == (None, None)
    assert {machine.bits.stored(tensor) for tensor in TENSORS} == {16}


def test_eyeriss_like_is_the_published_design():
    machine = load_hardware("eyeriss-like-45nm")
    assert machine.unit == "pJ"
    assert [level.capacity_bits for level in machine.levels] == [None, 16384 * 64, 12 * 16, 192 * 16, 16 * 16]
    assert [level.read_bits_per_cycle for level in machine.levels] == [None, 256, 32, 32, 32]
    assert [level.write_bits_per_cycle for level in machine.levels] == [None, 256, 32, 32, 32]
    assert [level.block_words for level in machine.levels] == [4, 4, 1, 1, 1]
    assert machine.path("weights") == (machine.level("DRAM"), machine.level("weights_spad"))
    assert machine.pes == 168
    assert machine.mac.at(machine.bits) == pytest.approx(8.63 * 0.5**2 + 0.0857 * 0.5, rel=1e-12)


def test_simba_like_is_the_published_design():
    """Energies and constraints are held against its files in tests/references/test_simba_like_table.py."""
    machine = load_hardware("simba-like-45nm")
    assert [x.name for x in machine.hierarchy] == [
        "DRAM", "GlobalBuffer", "PE", "PEInputBuffer", "distributed_buffer", "PEWeightBuffer", "PEAccuBuffer", "lane",
        "PEWeightRegs",
    ]  # fmt: skip
    assert [fanout.size for fanout in machine.fanouts] == [16, 4, 4]
    assert {level.name: level.keeps for level in machine.levels[1:]} == {
        "GlobalBuffer": ("inputs", "outputs"),
        "PEInputBuffer": ("inputs",),
        "PEWeightBuffer": ("weights",),
        "PEAccuBuffer": ("outputs",),
        "PEWeightRegs": ("weights",),
    }
    kib = parse_size_bits("1 KiB")
    assert [level.capacity_bits for level in machine.levels] == [None, 64 * kib, 64 * kib, 32 * kib, 128 * 24, 8]
    assert [machine.bits.stored(tensor) for tensor in TENSORS] == [8, 8, 24]
    accumulator = machine.level("PEAccuBuffer")
    element_pj = accumulator.energy_per_bit("update", "outputs") * machine.bits.stored("outputs")
    assert element_pj == pytest.approx(1.00522, rel=1e-12)
    assert machine.mac.at(machine.bits) == pytest.approx(8.63 * 0.25**2 + 0.0857 * 0.25, rel=1e-12)


def test_eyeriss_methodology_is_eyeriss_normalized_but_for_zeros():
    plain, minding = load_hardware("eyeriss-normalized"), load_hardware("eyeriss-methodology")
    assert tuple(replace(x, zeros=()) if isinstance(x, Level) else x for x in minding.hierarchy) == plain.hierarchy
    assert (minding.mac, minding.bits, minding.unit) == (plain.mac, plain.bits, plain.unit)
    assert (minding.gating, minding.skipping) == (("weights", "inputs"), ())
    dram = minding.level("DRAM").zeros
    assert [rule.tensor for rule in dram] == list(TENSORS)
    assert {(rule.compression.format, rule.compression.index_bits, rule.compression.word_bits) for rule in dram} == {
        ("rlc", 5, 64)
    }
    assert not minding.estimated


def test_eyeriss_v2_has_the_sizes_of_its_paper():
    machine = load_hardware("eyeriss-v2")
    assert machine.estimated
    assert [fanout.size for fanout in machine.fanouts] == [16, 12, 2]
    assert [[axis.size for axis in fanout.axes] for fanout in machine.fanouts] == [[2, 8], [4, 3], [2]]
    assert machine.pes == 384
    kib = parse_size_bits("1 KiB")
    assert machine.level("glb_iact").capacity_bits == 16 * 3 * 1.5 * kib
    assert machine.level("glb_psum").capacity_bits == 16 * 4 * 1.875 * kib
    assert not any("weights" in level.keeps for level in machine.levels if level.name.startswith("glb"))
    sizes = {"iact_spad": 9 * 4 + 16 * 12, "weight_spad": 96 * 2 * 8, "psum_spad": 32 * 20}  # weights without counts
    assert {name: machine.level(name).capacity_bits for name in sizes} == sizes
    assert [getattr(machine.bits, t) for t in ("weights", "inputs", "outputs", "psums")] == [8, 8, 8, 20]
    assert (machine.skipping, machine.units) == (("weights", "inputs"), "PE")
    assert machine.mac.at(machine.bits) == pytest.approx(1.6941 / 4, rel=1e-4)


def test_the_scaled_v1_is_as_large_as_v2():
    v1, v2 = load_hardware("eyeriss-v1-scaled"), load_hardware("eyeriss-v2")
    assert v1.estimated
    assert v1.pes == 192 == v2.pes / 2

    def buffered(machine):
        return sum(level.capacity_bits for level in machine.levels if level.name.startswith("glb"))

    assert buffered(v1) == buffered(v2) == parse_size_bits("192 KiB")
    assert (v1.bits, v1.mac, v1.clock_hz, v1.table_source) == (v2.bits, v2.mac, v2.clock_hz, v2.table_source)
    assert (v1.gating, v1.skipping) == (("inputs",), ())


@pytest.mark.parametrize(
    ("use", "loaded"), [("catalogue_names()", False), ("load_hardware('eyeriss-normalized')", True)]
)
def test_listing_the_machines_is_light_and_loading_one_is_not(use, loaded):
    """The second case shows that the first can fail."""
    imports = "import sys; from picojoule.hardware import catalogue_names, load_hardware"
    code = f"{imports}; {use}; print('pydantic' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(loaded)
