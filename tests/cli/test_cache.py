"""``picojoule cache``, and what ``picojoule estimate`` takes from the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import picojoule
from picojoule.cli import cache as verb
from picojoule.result_file import read_result
from picojoule.search import many
from picojoule.verification import verify

SAVED = "tiny.eyeriss-normalized.json"
RUN = {f"provenance.{key}" for key in ("wall_s", "cpu_s", "content_hash", "command", "search.from_cache")}


@pytest.fixture
def kept(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache; it doesn't exist yet."""
    place = tmp_path_factory.mktemp("home") / "cache"
    monkeypatch.setenv("PICOJOULE_CACHE_DIR", str(place))
    return place


@pytest.fixture
def estimate(run):
    """``picojoule estimate`` of two small layers, without a clock: a layer that a limit cuts short isn't kept."""
    return lambda *more: run("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized", "--time-limit", "none", *more)


def figures(data: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of a result by its place, but for those that say how the run went."""
    if isinstance(data, dict | list):
        parts = data.items() if isinstance(data, dict) else enumerate(data)
        below = [figures(value, f"{path}.{key}".strip(".")) for key, value in parts]
        return {place: leaf for part in below for place, leaf in part.items()}
    return {} if path in RUN else {path: data}


@pytest.mark.parametrize("more", [(), ("--objective", "latency"), ("--gap", "20%")], ids=str)
def test_the_second_run_has_the_figures_of_the_first(estimate, kept, folder, more):
    fresh = json.loads(estimate("--format", "json", "--no-cache", *more).stdout)
    assert not kept.exists()
    cold = json.loads(estimate("--format", "json", *more).stdout)
    warm = json.loads(estimate("--format", "json", *more).stdout)
    assert [x["provenance"]["search"]["from_cache"] for x in (fresh, cold, warm)] == [0, 0, 2]
    assert figures(warm) == figures(cold) == figures(fresh)
    assert len(figures(warm)) > 200
    assert verify(folder / SAVED).ok
    assert read_result(folder / SAVED).to_data() == warm


def test_a_made_up_number_of_layers_from_the_cache_is_refused(estimate, kept, folder):
    estimate()
    result = read_result(folder / SAVED)
    assert verify(result).ok
    for made_up in (3, -1, 0.5, True, "all", None):
        result.provenance["search"]["from_cache"] = made_up
        assert "totals" in {check.name for check in verify(result).failed}, made_up


def test_no_cache_neither_reads_nor_writes(estimate, kept, monkeypatch):
    estimate()
    before = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    searched, real = [], many.search_layer
    monkeypatch.setattr(many, "search_layer", lambda *given: searched.append(given) or real(*given))
    estimate()
    assert searched == []
    estimate("--no-cache")
    assert len(searched) == 2
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == before


def test_detail_says_what_came_from_the_cache(estimate, kept):
    assert "from the cache" not in estimate("-v").stdout
    assert "2 layers from the cache" in estimate("-v").stdout
    assert "from the cache" not in estimate().stdout


def test_two_runs_at_once_share_the_cache(kept, command):
    arguments = ("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized", "--format", "json", "--no-save", "--time-limit", "none")
    both = [json.loads(process.communicate(timeout=120)[0]) for process in [command(*arguments), command(*arguments)]]
    assert figures(both[0]) == figures(both[1])
    assert len(list(kept.iterdir())) == 2
    third = json.loads(command(*arguments).communicate(timeout=120)[0])
    assert third["provenance"]["search"]["from_cache"] == 2


def test_an_empty_cache(run, kept):
    ran = run("cache", "list")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["cache", "empty", "·", str(kept)]
    assert json.loads(run("cache", "list", "--format", "json").stdout) == {
        "path": str(kept), "bytes": 0, "entries": [], "studies": {"answers": 0, "bytes": 0},
    }  # fmt: skip
    assert run("cache", "clear").stdout == f"removed 0 results from {kept}\n"
    assert not kept.exists()


def test_list_in_a_table(estimate, run, kept):
    estimate()
    estimate("--objective", "edp", "--gap", "5%", "--factors", "exact")
    lines = run("cache", "list").stdout.splitlines()
    assert lines[0].split() == ["machine", "objective", "gap", "factors", "layers", "size", "newest"]
    rows = {" ".join(line.split()[:6]) for line in lines[1:3]}
    assert rows == {"eyeriss-normalized energy 0 % any 2", "eyeriss-normalized edp 5.0 % exact 2"}
    assert lines[4].split()[:4] == ["cache", "4", "results,", lines[4].split()[3]]
    assert len(lines) == 5


def test_list_tells_of_what_is_of_no_use(estimate, run, kept, monkeypatch):
    estimate()
    sorted(kept.iterdir())[0].write_text("{", encoding="utf-8")
    said = " ".join(run("cache", "list").stdout.split())
    assert "damaged 1 result: never used" in said
    monkeypatch.setattr("picojoule.search.cache.__version__", "99")
    said = " ".join(run("cache", "list").stdout.split())
    assert "other 1 result of another version or source: never used" in said
    assert "machine" not in said


def test_list_in_json(estimate, run, kept):
    estimate()
    document = json.loads(run("cache", "list", "--format", "json").stdout)
    assert document["path"] == str(kept)
    sizes = [path.stat().st_size for path in kept.iterdir()]
    assert document["bytes"] == sum(sizes) == sum(entry["bytes"] for entry in document["entries"])
    assert {f"{entry['key']}.json" for entry in document["entries"]} == {path.name for path in kept.iterdir()}
    assert all(entry["usable"] for entry in document["entries"])
    by_layer = {entry["asked"]["nest"]["K"]: entry for entry in document["entries"]}
    assert set(by_layer) == {16, 10}
    assert by_layer[16]["asked"]["machine"] == "eyeriss-normalized"
    assert by_layer[16]["asked"]["nest"]["pad"] == [1, 1, 1, 1]
    assert by_layer[16]["found"]["status"] == "PROVED"
    assert "mapping" not in by_layer[16]["found"]
    (kept / document["entries"][0]["key"]).with_suffix(".json").write_text("", encoding="utf-8")
    damaged = json.loads(run("cache", "list", "--format", "json").stdout)["entries"][0]
    assert (damaged["usable"], damaged["asked"], damaged["found"]) == (False, None, None)


def test_clear(estimate, run, kept):
    estimate()
    (kept / "mine.txt").write_text("mine", encoding="utf-8")
    ran = run("cache", "clear")
    assert (ran.exit_code, ran.stdout) == (0, f"removed 2 results from {kept}\n")
    assert [path.name for path in kept.iterdir()] == ["mine.txt"]
    assert json.loads(estimate("--format", "json").stdout)["provenance"]["search"]["from_cache"] == 0
    document = json.loads(run("cache", "clear", "--format", "json").stdout)
    assert (document["path"], document["removed"]) == (str(kept), 2)
    assert document["bytes"] > 0


def test_path(run, kept):
    ran = run("cache", "path")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{kept}\n", "")
    document = json.loads(run("cache", "path", "--format", "json").stdout)
    assert document == {"path": str(kept), "usable": True, "problem": None}
    assert not kept.exists()


def test_path_says_if_the_folder_cannot_be_used(estimate, run, kept):
    kept.write_text("mine", encoding="utf-8")
    ran = run("cache", "path")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{kept}\n", f" nothing is kept: {kept} is not a folder\n")
    document = json.loads(run("cache", "path", "--format", "json").stdout)
    assert (document["usable"], document["problem"]) == (False, f"{kept} is not a folder")
    ran = estimate("--no-save")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert kept.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("arguments", [("list",), ("clear",), ("path",)])
def test_without_a_home(run, monkeypatch, arguments):
    monkeypatch.setattr("picojoule.search.cache.cache_folder", lambda: None)
    ran = run("cache", *arguments)
    assert ran.exit_code == 4
    assert "no home folder" in ran.stderr and "PICOJOULE_CACHE_DIR" in ran.stderr
    assert verb.command.name == "cache"


@pytest.mark.parametrize(("code", "heavy"), [("", False), ("import numba", True)], ids=["list", "the test can fail"])
def test_a_look_into_the_cache_does_not_load_the_compiler(estimate, kept, code, heavy):
    estimate()
    source = f"""
import sys
{code}
sys.argv = ["picojoule", "cache", "list"]
from picojoule.cli.main import main
try:
    main()
finally:
    print("LOADED", "numba" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(picojoule.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, env=environment)
    assert "2 results" in ran.stdout
    assert ran.stdout.splitlines()[-1] == f"LOADED {heavy}"
