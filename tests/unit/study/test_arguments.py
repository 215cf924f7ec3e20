"""Axes that are arguments of ``estimate``, samples at random, and accuracies that a function answers."""

from __future__ import annotations

import pytest
from support.small_studies import MACHINE, STUDY, written

from picojoule import estimate
from picojoule.errors import StudyError, UsageError
from picojoule.estimation.several import estimates
from picojoule.frontends import load_model
from picojoule.hardware import load_hardware
from picojoule.study import read_points, read_study, run_study, summary

AXES = STUDY[STUDY.index("  PE.axes.x") : STUDY.index("objectives")]
PLAIN = STUDY.replace("[energy, latency, area]", "[energy]").replace("constraints: [area <= 1.5 mm²]\n", "")
PRICED = MACHINE.replace("level: DRAM", "level: DRAM\n    kind: dram").replace("level: buffer", "level: buffer\n    kind: sram")
PRICED = PRICED.replace("level: register", "level: register\n    kind: regfile").replace("    energy: 0.1\n", "    energy: 0.1\nzeros: {gating: [inputs]}\n")


def solved(folder, axes, *, machine=PRICED, **asked):
    """Figures of every point, as the study of these axes has them."""
    path = written(folder, PLAIN.replace(AXES, axes))
    (folder / "small.yaml").write_text(machine, encoding="utf-8")
    ran = run_study(read_study(path), storage=str(folder / "s.db"), cache=False, **asked)
    assert ran.failed == 0
    return list(read_points(str(folder / "s.db"))[1])


@pytest.mark.parametrize(
    ("axis", "values", "arguments"),
    [
        ("sparsity", '["inputs=0.5", "inputs=0.9"]', ({"sparsity": "inputs=0.5"}, {"sparsity": "inputs=0.9"})),
        ("batch", "[1, 4]", ({"batch": 1}, {"batch": 4})),
        # YAML reads a bare off as false.
        ("fuse", "[off, conv+next]", ({"fuse": "off"}, {"fuse": "conv+next"})),
    ],
)
def test_each_point_is_the_estimate_with_that_argument(tmp_path, monkeypatch, axis, values, arguments):
    monkeypatch.setattr("support.small_studies.NETWORK", CHAIN)
    records = solved(tmp_path, f"  {axis}: {values}\n")
    assert len(records) == len(arguments)
    policy = read_study(tmp_path / "study.yaml").search
    for record, given in zip(records, arguments, strict=True):
        alone = estimate(tmp_path / "tiny.yaml", hardware=tmp_path / "small.yaml", search=policy, cache=False, **given)
        assert record.figures["energy_pj"] == pytest.approx(alone.energy_pj, rel=1e-11)
        assert record.figures["bound_pj"] == pytest.approx(alone.bound_pj, rel=1e-11)
    energies = {record.figures["energy_pj_per_inference"] for record in records}
    assert len(energies) == len(arguments), "the axis does something"


CHAIN = """\
name: tiny
layers:
  - {name: conv, K: 8, C: 4, P: 6, Q: 6, R: 3, S: 3}
  - {name: next, K: 4, C: 8, P: 6, Q: 6}
"""


def test_a_table_is_looked_for_beside_the_study_and_decides_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    for name, dram in (("own", "200"), ("dear", "400")):
        (tmp_path / f"{name}.yaml").write_text(TABLE.replace("200", dram), encoding="utf-8")
    records = solved(tmp_path, "  table: [own.yaml, dear.yaml]\n")
    for record, name in zip(records, ("own.yaml", "dear.yaml"), strict=True):
        alone = estimate(tmp_path / "tiny.yaml", hardware=tmp_path / "small.yaml", table=tmp_path / name, cache=False)
        assert record.figures["energy_pj"] == pytest.approx(alone.energy_pj, rel=1e-11)
    assert records[0].figures["energy_pj"] < records[1].figures["energy_pj"]
    (tmp_path / "own.yaml").write_text(TABLE.replace("200", "300"), encoding="utf-8")
    with pytest.raises(StudyError, match="is kept there with other axes"):
        run_study(read_study(tmp_path / "study.yaml"), storage=str(tmp_path / "s.db"), cache=False)


def test_a_sample_is_that_of_its_seed_and_goes_on(tmp_path):
    study = read_study(written(tmp_path))
    drawn = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_study(study, storage=str(tmp_path / f"{name}.db"), search="random", points=5, seed=seed)
        drawn[name] = {record.key: record.figures["energy_pj"] for record in read_points(str(tmp_path / f"{name}.db"))[1]}
    assert drawn["a"] == drawn["b"] and drawn["a"].keys() != drawn["c"].keys()
    ran = run_study(study, storage=str(tmp_path / "a.db"), search="random", points=12)
    assert (ran.done, ran.recalled) == (12, 5), "a grid has no more, each once"


def test_a_range_without_steps_is_drawn_from(tmp_path):
    axes = "  DRAM.energy: {from: 32.0, to: 64.0}\n  PE.axes.x: {from: 2, to: 4, whole: true}\n"
    text = PLAIN.replace(AXES, axes)
    run_study(read_study(written(tmp_path, text)), storage=str(tmp_path / "s.db"), search="random", points=6, seed=2)
    points = [record.point for record in read_points(str(tmp_path / "s.db"))[1]]
    assert len({point["DRAM.energy"] for point in points}) == 6
    assert all(32 <= point["DRAM.energy"] <= 64 and point["PE.axes.x"] in (2, 3, 4) for point in points)


TABLE = """\
name: own
unit: pJ
source: invented
mac: {bits: 8, multiply: 0.3, add: 0.03, widths: [8, 32], certainty: found, source: invented}
memories:
  - {kind: dram, certainty: found, source: invented, points: [{bits: 64, read: 200, certainty: found}]}
  - {kind: sram, certainty: found, source: invented, range: [64 bit, 64 KiB], points: [{capacity: 8 KiB, bits: 64, read: 10, certainty: found}], exponent: 0.5}
  - {kind: regfile, certainty: found, source: invented, range: [8 bit, 64 KiB], points: [{capacity: 8 KiB, bits: 64, read: 10, certainty: found}], exponent: 0.5}
"""


FUNCTIONS = """\
def of_point(point):
    return 0.5 + point["PE.axes.x"] / 10

def of_nobody(point):
    return 97
"""


def test_accuracies_come_from_a_function(tmp_path, monkeypatch):
    (tmp_path / "accuracies_of_a_test.py").write_text(FUNCTIONS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    text = PLAIN.replace("[energy]", "[energy, accuracy]")
    study = read_study(written(tmp_path, text + "accuracy: {function: accuracies_of_a_test:of_point}\n"))
    run_study(study, storage=str(tmp_path / "s.db"), cache=False)
    records = list(read_points(str(tmp_path / "s.db"))[1])
    assert {record.point["PE.axes.x"]: record.figures["accuracy"] for record in records} == {2: 0.7, 4: 0.9}
    assert summary(str(tmp_path / "s.db")).best["accuracy"].point["PE.axes.x"] == 4
    wrong = read_study(written(tmp_path, text + "accuracy: {function: accuracies_of_a_test:of_nobody}\n"))
    assert run_study(wrong, storage=str(tmp_path / "w.db"), cache=False, points=1).failed == 1
    assert "answers 97, no share from 0 to 1" in next(iter(summary(str(tmp_path / "w.db")).reasons))


def test_bits_that_are_none_are_told_of_every_machine(tmp_path):
    written(tmp_path)
    machine = load_hardware(str(tmp_path / "small.yaml"))
    told = list(estimates(load_model(str(tmp_path / "tiny.yaml")), [machine, machine], bits="wide"))
    assert [n for n, _ in told] == [0, 1]
    assert all(isinstance(error, UsageError) and error.where == "bits" for _, error in told)
