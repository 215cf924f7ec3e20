"""``picojoule study``: run, look, export, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import time

import pytest
from support.small_studies import STUDY, written

from picojoule.study import read_study
from picojoule.study.storage import Store

FEW = STUDY.replace("[256 B, 512 B, 1 KiB]", "[256 B, 1 KiB]").replace("[32, 64]", "[64]")


def test_a_study_from_run_to_page(run, folder):
    written(folder, FEW)
    solved = run("study", "run", "study.yaml", "--no-cache")
    assert solved.exit_code == 0, solved.output
    assert "4 of 4 points" in solved.stdout
    assert "next: picojoule study best study.db" in solved.stderr
    again = json.loads(run("study", "run", "study.yaml", "--format", "json").stdout)
    shown = json.loads(run("study", "show", "study.db", "--format", "json").stdout)
    assert again == shown
    assert (shown["points"], shown["size"], shown["failed"]) == (4, 4, 0)
    front = list(csv.DictReader(io.StringIO(run("study", "front", "study.db", "--format", "csv").stdout)))
    assert [row["key"] for row in front] == [one["key"] for one in shown["front"]]
    best = run("study", "best", "study.db")
    assert best.exit_code == 0 and "best energy" in best.stdout and "buffer.capacity = " in best.stdout
    assert run("study", "report", "study.db", "-o", "page.html").exit_code == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "What no other design beats" in page and "What each axis does" in page
    assert 'src="http' not in page and 'href="http' not in page
    assert run("study", "export", "study.db", "points.csv").exit_code == 0
    rows = list(csv.DictReader(io.StringIO((folder / "points.csv").read_text(encoding="utf-8"))))
    assert run("study", "export", "study.db", "points.parquet").exit_code == 0
    parquet = pytest.importorskip("pyarrow.parquet").read_table(folder / "points.parquet").to_pylist()
    assert [float(row["energy_pj"]) for row in rows] == [row["energy_pj"] for row in parquet]
    assert {row["buffer.capacity"] for row in parquet} == {"256 B", "1 KiB"}


def test_the_answer_is_no_where_no_point_keeps_the_constraints(run, folder):
    written(folder, FEW.replace("area <= 1.5 mm²", "energy <= 1 nJ"))
    solved = run("study", "run", "study.yaml")
    assert solved.exit_code == 1
    assert "4 of 4 points are kept in study.db, but no point keeps all constraints" in solved.stderr
    best = run("study", "best", "study.db")
    assert best.exit_code == 1 and "no point keeps all constraints" in best.stdout


def test_the_answer_is_no_where_no_point_can_be_estimated(run, folder):
    written(folder, FEW.replace("[256 B, 1 KiB]", "[2 B]"))
    solved = run("study", "run", "study.yaml", "--format", "json")
    assert (solved.exit_code, json.loads(solved.stdout)["failed"]) == (1, 2)
    assert "2 of 2 points are kept in study.db, but no point could be estimated" in solved.stderr
    assert "no point could be estimated" in run("study", "show", "study.db").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "study.yaml", "--search", "gird"), 2, "Did you mean 'grid'?"),
        (("run", "study.yaml", "--search", "random"), 2, "needs a number of points"),
        (("run", "study.yaml", "--search", "guided", "--points", "2", "--sampler", "nsga"), 2, "Did you mean 'nsga2'?"),
        (("run", "study.yaml", "--cluster", "nowhere"), 2, "no scheduler answers"),
        (("run", "study.yaml", "--storage", "no/such/s.db"), 2, "there is no folder"),
        (("run", "study.yaml", "--storage", "tiny.yaml"), 3, "no SQLite file"),
        (("run", "bad.yaml"), 3, "bad.yaml:8"),
        (("show", "no.db"), 2, "there is no file"),
        (("show", "study.db", "--study", "size"), 2, "Did you mean 'sizes'?"),
        (("export", "study.db", "x.xlsx"), 2, "neither .parquet nor .csv"),
        (("report", "study.db", "-o", "study.yaml"), 2, "study.yaml exists"),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_to_do(run, folder, arguments, code, said):
    Store("study.db", read_study(written(folder, FEW))).close()
    (folder / "bad.yaml").write_text(FEW.replace("[energy, latency, area]", "[power]"), encoding="utf-8")
    result = run("study", *arguments)
    assert result.exit_code == code, result.output
    assert said in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_a_study_that_can_be_read(run, command, folder, jobs):
    written(folder, STUDY.replace("[2, 4]", "{from: 2, to: 40, step: 1}"))
    running = command("study", "run", "study.yaml", "--no-cache", "--jobs", jobs, start_new_session=True)
    place = folder / "study.db"
    while running.poll() is None and not _points(place):
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: all processes hear it
    _, told = running.communicate(timeout=120)
    assert running.returncode == 130, told
    assert "the same command goes on from there" in told
    shown = json.loads(run("study", "show", "study.db", "--format", "json").stdout)
    assert 0 < shown["points"] == _points(place) < 234


def test_a_log_is_told_now_and_then(run, folder):
    written(folder, FEW)
    told = run("study", "run", "study.yaml").stderr
    assert "1 of 4 points" in told
    assert "2 of 4 points" not in told
    (folder / "study.db").unlink()
    every = run("study", "run", "study.yaml", "-v").stderr
    assert [f"{n} of 4 points" in every for n in (1, 2, 3, 4)] == [True] * 4
    assert sum("left" in line for line in every.splitlines()) == 2


def _points(place) -> int:
    try:
        with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as found:
            return found.execute("select count(*) from trials").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
