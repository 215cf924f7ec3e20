"""A study's file: what is wrong in it is told with its line, and what to do."""

from __future__ import annotations

import pytest
from support.small_studies import MACHINE, STUDY, written

from picojoule.errors import StudyError
from picojoule.hardware import load_hardware
from picojoule.study import read_study
from picojoule.study.area import area_mm2
from picojoule.study.axes import axis_of, grid_point, random_point


def test_a_study_is_read(tmp_path):
    study = read_study(written(tmp_path))
    assert (study.name, study.size, study.objectives, study.objective) == ("sizes", 12, ("energy", "latency", "area"), "energy")
    assert [axis.name for axis in study.axes if axis.shared] == ["buffer.capacity", "DRAM.energy"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said", "hint"),
    [
        ("objectives: [energy, latency, area]", "objectives: [energi]", 8, "nothing is called 'energi'", "Did you mean 'energy'?"),
        ("buffer.capacity:", "buffer.capacty:", 6, "the machine has no field 'capacty'", "Did you mean 'capacity'?"),
        ("buffer.capacity:", "bufer.capacity:", 6, "the machine has no field 'bufer'", "Did you mean 'buffer'?"),
        ("1 KiB]", "1 KB?]", 6, "small.yaml with buffer.capacity", ""),
        ("[2, 4]", "[2, 2]", 5, "2 is there twice", "Keep one."),
        ("[2, 4]", "{from: 4}", 5, "a list of values or a range", "from: 4, to: 32"),
        ("area <= 1.5 mm²", "area < 1.5 mm²", 9, "is no constraint", "latency <= 33 ms"),
        ("area <= 1.5 mm²", "area <= 1.5 ms", 9, "unknown unit 'ms'", "mm²"),
        ("machines: [small.yaml]", "machines: [smal.yaml]", 3, "there is no such file", ""),
        ("name: sizes", "nmae: sizes", 1, "nmae", ""),
        ("area: {fixed", "#", 4, "the machine's own area doesn't follow", "State a law"),
        ("objectives: [energy, latency, area]", "objectives: [energy, accuracy]", 8, "nobody says where accuracies come from", "table: FILE.csv"),
        ("{buffer: 0.4}", "{bufer: 0.4}", 10, "no machine has the memory 'bufer'", "Did you mean 'buffer'?"),
        ("{buffer: 0.4}", "{DRAM: 0.1}", 10, "DRAM of small.yaml has no capacity", "Count DRAM in fixed"),
        ("{PE: 0.2}", "{register: 0.2}", 10, "no machine has the array 'register'", "PE"),
        ("networks: [tiny.yaml]", "networks: [resnet19]", 2, "resnet19", "Did you mean"),
        ("networks: [tiny.yaml]", "networks: [tny.yaml]", 2, "tny.yaml", ""),
        ("axes:", "axes:\n  bits: [8, eight]", 5, "eight", "Write 8"),
        ("axes:", "axes:\n  bits: {from: 2, to: 16}", 5, "bits are whole numbers", "whole: true"),
        ("axes:", "axes:\n  batch: [1, 0]", 5, "a batch is a whole number from 1 on, got 0", "batch: [1, 4]"),
        ("axes:", "axes:\n  sparsity: [50%]", 5, "says no share of zeros", "weights=0.3"),
        ("axes:", "axes:\n  fuse: [conv]", 5, "fuse is off, auto, or names", ""),
        ("axes:", "axes:\n  table: [none.yaml]", 5, "none.yaml", ""),
        ("networks: [tiny.yaml]", "networks: ['{width}.yaml']", 2, "{width} is no axis", "under axes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path, old, new, line, said, hint):
    assert old in STUDY
    with pytest.raises(StudyError) as caught:
        read_study(written(tmp_path, STUDY.replace(old, new)))
    assert f"study.yaml:{line}" in caught.value.where
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_latency_needs_a_clock(tmp_path):
    path = written(tmp_path)
    machine = tmp_path / "small.yaml"
    machine.write_text(machine.read_text(encoding="utf-8").replace("clock: 100 MHz", "clock: null"), encoding="utf-8")
    with pytest.raises(StudyError, match="has no clock"):
        read_study(path)


@pytest.mark.parametrize("changed", ["small.yaml", "old/small.yaml"])
def test_machines_of_one_name_are_told_apart_by_their_content(tmp_path, changed):
    text = STUDY.replace("machines: [small.yaml]", "machines: [old/small.yaml, small.yaml]")
    path = written(tmp_path, text)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "small.yaml").write_text(MACHINE.replace("clock: 100 MHz", "clock: 50 MHz"), encoding="utf-8")
    before = read_study(path).digest
    assert read_study(path).digest == before
    machine = tmp_path / changed
    machine.write_text(machine.read_text(encoding="utf-8").replace("0 MHz", "5 MHz"), encoding="utf-8")
    assert read_study(path).digest != before


def test_joules_need_a_machine_in_joules(tmp_path):
    text = STUDY.replace("area <= 1.5 mm²", "energy <= 5 mJ")
    read_study(written(tmp_path, text))
    machine = tmp_path / "small.yaml"
    machine.write_text(machine.read_text(encoding="utf-8").replace("unit: pJ", "unit: mac16"), encoding="utf-8")
    with pytest.raises(StudyError, match="has energies in mac16"):
        read_study(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("energy, area", "small.yaml counts in pJ, other.yaml in mac16"),
        ("edp, area", "small.yaml counts in pJ·s, other.yaml in mac16·cycles"),
        ("latency, area", "other.yaml has energies in mac16"),
        ("cycles, area", ""),
    ],
)
def test_joules_and_relative_units_are_not_compared(tmp_path, asked, said):
    text = STUDY.replace("[small.yaml]", "[small.yaml, other.yaml]").replace("energy, latency, area", asked)
    (tmp_path / "other.yaml").write_text(MACHINE.replace("unit: pJ", "unit: mac16").replace("small", "other"), encoding="utf-8")
    path = written(tmp_path, text)
    if not said:
        assert read_study(path).size == 24
        return
    with pytest.raises(StudyError) as caught:
        read_study(path)
    assert said in caught.value.message and "study.yaml:3" in caught.value.where
    # Machines that one name stands for are told apart, too.
    written(tmp_path, text.replace("[small.yaml, other.yaml]", "['{which}.yaml']").replace("axes:", "axes:\n  which: [small, other]"))
    with pytest.raises(StudyError) as caught:
        read_study(path)
    assert said in caught.value.message


def test_a_memory_without_a_capacity_has_no_area_by_the_kib(tmp_path):
    written(tmp_path)
    machine = load_hardware(str(tmp_path / "small.yaml"))
    assert area_mm2(machine, fixed=1.0, per_position={"PE": 0.5}, per_kib={"buffer": 0.25}) == 1 + 4 * 0.5 + 0.25
    with pytest.raises(StudyError, match="DRAM of small has no capacity"):
        area_mm2(machine, fixed=1.0, per_position={}, per_kib={"DRAM": 0.1})
    # An axis may give it one.
    read_study(written(tmp_path, STUDY.replace("{buffer: 0.4}", "{DRAM: 0.1}").replace("axes:", "axes:\n  DRAM.capacity: [1 MiB]")))


def test_an_area_needs_a_law_or_a_machine_that_states_one(tmp_path):
    text = STUDY[: STUDY.index("area: {")].replace("  PE.axes.x: [2, 4]\n  buffer.capacity: [256 B, 512 B, 1 KiB]\n", "")
    with pytest.raises(StudyError, match="states no area") as caught:
        read_study(written(tmp_path, text))
    assert "study.yaml:3" in caught.value.where


def test_ranges_are_steps_factors_or_open():
    assert axis_of("a", {"from": 4, "to": 10, "step": 2}).values == (4, 6, 8, 10)
    assert axis_of("a", {"from": 1, "to": 8, "factor": 2}).values == (1, 2, 4, 8)
    whole = axis_of("a", {"from": 1, "to": 3, "whole": True})
    assert {random_point([whole], 0, n)["a"] for n in range(40)} == {1, 2, 3}


def test_a_grid_has_every_point_once_and_neighbours_share_their_array(tmp_path):
    study = read_study(written(tmp_path))
    points = [grid_point(study.axes, n) for n in range(12)]
    assert len({tuple(point.items()) for point in points}) == 12
    assert [point["PE.axes.x"] for point in points] == [2] * 6 + [4] * 6
