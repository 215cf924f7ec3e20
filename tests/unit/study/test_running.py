"""Studies run: every point an estimate, here, over processes or on a cluster; what is kept is not done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.small_studies import NETWORK, STUDY, written

import picojoule
from picojoule.errors import StudyError, UsageError
from picojoule.study import Record, estimate_point, read_points, read_study, run_study, summary
from picojoule.study.guided import Guide
from picojoule.study.running import _left


def kept(place: Path) -> dict[str, dict]:
    """Figures of all points by their number."""
    return {r.key: r.figures for r in read_points(str(place))[1]}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("PICOJOULE_CACHE_DIR", str(tmp_path / "cache"))
    return read_study(written(tmp_path))


def test_every_point_is_the_estimate_of_its_machine(study, tmp_path):
    ran = run_study(study, storage=str(tmp_path / "s.db"), cache=False)
    assert (ran.done, ran.failed, ran.interrupted) == (12, 0, False)
    for record in read_points(str(tmp_path / "s.db"))[1]:
        alone = estimate_point(study, record.point, cache=False)
        assert record.figures["energy_pj"] == pytest.approx(alone.energy_pj, rel=1e-11)
        assert record.figures["bound_pj"] == pytest.approx(alone.bound_pj, rel=1e-11)
        assert record.figures["area_mm2"] == alone.area_mm2
    found = summary(str(tmp_path / "s.db"))
    assert (found.points, found.failed, found.size) == (12, 0, 12)
    assert found.infeasible == sum(f["area_mm2"] > 1.5 for f in kept(tmp_path / "s.db").values()) > 0
    assert all(found.value(record, "area") <= 1.5 for record in found.front)
    least = min(f["energy_pj"] for f in kept(tmp_path / "s.db").values() if f["area_mm2"] <= 1.5)
    assert found.best["energy"].figures["energy_pj"] == least


def test_a_second_run_goes_on_and_processes_change_nothing(study, tmp_path):
    run_study(study, storage=str(tmp_path / "a.db"), points=7)
    again = run_study(study, storage=str(tmp_path / "a.db"), jobs=2)
    assert (again.done, again.recalled) == (12, 7)
    run_study(study, storage=str(tmp_path / "b.db"), cache=False)
    figures = [{key: f["energy_pj"] for key, f in kept(tmp_path / name).items()} for name in ("a.db", "b.db")]
    assert figures[0] == figures[1]


def test_another_study_of_the_name_is_refused(study, tmp_path):
    run_study(study, storage=str(tmp_path / "s.db"), points=1)
    other = read_study(written(tmp_path, STUDY.replace("[2, 4]", "[2, 8]")))
    with pytest.raises(StudyError, match="is kept there with other axes"):
        run_study(other, storage=str(tmp_path / "s.db"))
    # The same file of the study, another network in the file that it names.
    written(tmp_path)
    (tmp_path / "tiny.yaml").write_text(NETWORK.replace("K: 8", "K: 9"), encoding="utf-8")
    with pytest.raises(StudyError, match="is kept there with other axes"):
        run_study(read_study(tmp_path / "study.yaml"), storage=str(tmp_path / "s.db"))


def test_a_point_that_fails_says_why_and_the_others_go_on(tmp_path):
    study = read_study(written(tmp_path, STUDY.replace("[256 B, 512 B, 1 KiB]", "[2 B, 1 KiB]")))
    ran = run_study(study, storage=str(tmp_path / "s.db"), cache=False)
    found = summary(str(tmp_path / "s.db"))
    assert (ran.done, ran.failed, found.failed) == (8, 4, 4)
    assert "buffer has 16 usable bits" in next(iter(found.reasons))


def test_a_guided_search_goes_on_where_it_was_and_names_no_point_twice(study, tmp_path):
    with pytest.raises(UsageError, match="needs a number of points"):
        run_study(study, storage=str(tmp_path / "s.db"), search="guided")
    run_study(study, storage=str(tmp_path / "s.db"), search="guided", points=5, seed=3)
    ran = run_study(study, storage=str(tmp_path / "s.db"), search="guided", points=8, seed=3)
    records = list(read_points(str(tmp_path / "s.db"))[1])
    assert (ran.recalled, ran.done, len(records)) == (5, 8, 8)
    assert len({tuple(record.point.items()) for record in records}) == 8


def test_numbers_that_a_killed_search_left_out_are_given_to_nobody(study):
    guide = Guide(study, "tpe", 0)
    for number, x in ((0, 2), (3, 4)):
        point = {"PE.axes.x": x, "buffer.capacity": "1 KiB", "DRAM.energy": 32}
        guide.learn(Record(key=f"tpe-0/{number}", point=point, figures=None, failed="why", cpu_s=0.0))
    assert [key for key, _ in guide.ask(3)] == ["tpe-0/4", "tpe-0/5", "tpe-0/6"]


def test_accuracies_come_from_a_table(tmp_path):
    text = STUDY.replace("axes:\n", "axes:\n  bits: [4, 8]\n").replace("latency, area]", "accuracy]").replace("area <= 1.5 mm²", "accuracy >= 90%")
    (tmp_path / "acc.csv").write_text("bits,accuracy\n4,0.85\n8,0.91\n", encoding="utf-8")
    study = read_study(written(tmp_path, text + "accuracy: {table: acc.csv}\n"))
    run_study(study, storage=str(tmp_path / "s.db"), cache=False, points=24)
    found = summary(str(tmp_path / "s.db"))
    assert found.infeasible == 12
    assert {record.point["bits"] for record in found.front} == {8}


def test_the_time_left_is_told_when_enough_points_tell_it():
    assert _left(0.0, 1, 999) is None  # compiling is done, and nothing else is known
    assert _left(5.0, 32, 968) is None  # these share their work: the first of them bore it
    assert _left(64.0, 33, 967) == 2.0 * 967
    assert _left(4.0, 2, 2) is None
    assert _left(4.0, 3, 1) == 2.0


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_run_goes_on_with_what_it_kept(study, tmp_path):
    text = STUDY.replace("[2, 4]", "[2, 3, 4, 5, 6, 7, 8]")
    path = written(tmp_path, text)
    place = tmp_path / "s.db"
    paths = os.pathsep.join([str(Path(picojoule.__file__).parents[1])])
    command = [sys.executable, "-m", "picojoule", "study", "run", str(path), "--storage", str(place), "--no-cache"]
    running = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while running.poll() is None and _count(place) < 6:
            time.sleep(0.02)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    before = kept(place)
    assert len(before) >= 6
    ran = run_study(read_study(path), storage=str(place), cache=False)
    assert ran.recalled == len(before)
    assert (ran.done, len(kept(place))) == (42, 42)
    assert {key: kept(place)[key] for key in before} == before


def _count(place: Path) -> int:
    import sqlite3

    if not place.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as found:
            return found.execute("select count(*) from trials").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
