"""``picojoule explain``: forms of output, one layer, and what is refused."""

from __future__ import annotations

import csv
import io
import json

import pytest


@pytest.fixture
def saved(estimate):
    """The result file of ``tiny.yaml``."""
    assert estimate("-q", "--factors", "exact", "--save", "tiny.json").exit_code == 0
    return "tiny.json"


def test_a_line_for_each_layer(run, saved):
    ran = run("explain", saved)
    assert (ran.exit_code, ran.stderr) == (0, "")
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert [line[0] for line in lines if line and line[0] in ("conv1", "fc")] == ["conv1", "fc"]
    assert "bandwidth" in ran.stdout and "most lost at" in ran.stdout


def test_all_about_one_layer(run, saved):
    ran = run("explain", saved, "conv1")
    for step in ("1 layer shape", "2 dataflow", "3 number of PEs", "4 physical array", "5 storage", "6 average bandwidth", "7 varying access", "chosen mapping"):
        assert step in ran.stdout
    for word in ("saturation", "roofline", "communication per compute", "compute per communication", "reuse"):
        assert word in ran.stdout
    assert "\n fc" not in ran.stdout
    assert run("explain", saved, "-v").stdout.count("1 layer shape") == 2


def test_json_and_csv_say_the_same_in_full(run, saved):
    document = json.loads(run("explain", saved, "--format", "json").stdout)
    assert document["schema"] == "picojoule/explanation/1"
    rows = list(csv.DictReader(io.StringIO(run("explain", saved, "--format", "csv").stdout)))
    assert len(rows) == 16
    by_json = [step["macs_per_cycle"] for layer in document["layers"] for step in layer["steps"]]
    assert [float(row["macs_per_cycle"]) for row in rows] == by_json
    result = json.loads((run("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized", "--factors", "exact", "--format", "json", "--no-save")).stdout)
    for layer, one in zip(document["layers"], result["layers"], strict=True):
        assert layer["steps"][-1]["macs_per_cycle"] == one["macs"] / one["latency_cycles"]


def test_markdown_and_files(run, saved, folder):
    on_stdout = run("explain", saved, "--format", "md").stdout
    assert on_stdout.startswith("## tiny on eyeriss-normalized\n")
    assert run("explain", saved, "--format", "md", "-o", "out.md").stdout == ""
    assert (folder / "out.md").read_text(encoding="utf-8") == on_stdout


def test_what_is_not_there_is_2_and_a_broken_file_is_3(run, saved, folder):
    ran = run("explain", saved, "conv2")
    assert ran.exit_code == 2
    assert "no layer 'conv2' in tiny" in ran.stderr and "conv1" in ran.stderr
    assert run("explain", "none.json").exit_code == 2
    assert run("explain", saved, "--time-limit", "soon").exit_code == 2
    (folder / "broken.json").write_text("{")
    ran = run("explain", "broken.json", "--format", "json")
    assert ran.exit_code == 3
    assert json.loads(ran.stdout)["error"]["code"] == "result_file"


def test_what_each_picojoule_buys_is_shown_where_there_is_a_front(run, estimate, saved, folder):
    assert "bought per" not in run("explain", saved).stdout
    assert json.loads(run("explain", saved, "--format", "json").stdout)["front"] is None
    assert estimate("-q", "--factors", "exact", "--front", "--save", "fronts.json").exit_code == 0
    assert "cycles bought per" in run("explain", "fronts.json").stdout
    assert "cycles bought per" in run("explain", "fronts.json", "conv1").stdout
    document = json.loads(run("explain", "fronts.json", "--format", "json").stdout)
    saved_front = json.loads((folder / "fronts.json").read_text(encoding="utf-8"))["front"]
    assert [point["energy_pj"] for point in document["front"]] == [point["energy_pj"] for point in saved_front]


def test_fronts_stand_in_every_form(run, estimate, saved, folder):
    assert estimate("-q", "--factors", "exact", "--front", "--save", "fronts.json").exit_code == 0
    result = json.loads((folder / "fronts.json").read_text(encoding="utf-8"))
    points = len(result["front"])
    assert points > 1
    for ran in (run("explain", "fronts.json", "--format", "csv"), estimate("--factors", "exact", "--front", "--no-save", "--format", "csv")):
        steps, *fronts = ran.stdout.split("\n\n")
        assert "front_of" not in steps
        rows = [row for row in csv.DictReader(io.StringIO(fronts[0])) if row["front_of"] == "tiny"]
        assert [float(row["energy_pj"]) for row in rows] == [point["energy_pj"] for point in result["front"]]
        assert [float(row["latency_cycles"]) for row in rows] == [point["latency_cycles"] for point in result["front"]]
    page = run("explain", "fronts.json", "--format", "md").stdout
    assert "### What each mac16 buys: tiny" in page and "### What each mac16 buys: conv1" in page
    page = estimate("--factors", "exact", "--front", "--no-save", "--format", "md").stdout
    assert "### Front of tiny" in page
    assert len(page.split("### Front of tiny")[1].split("###")[0].strip().splitlines()) == points + 2
    assert "front" not in run("explain", saved, "--format", "csv").stdout


def test_what_ifs_are_ranked_in_every_form(run, saved):
    assert json.loads(run("explain", saved, "--format", "json").stdout)["what_ifs"] is None
    document = json.loads(run("explain", saved, "--what-ifs", "full", "--format", "json").stdout)
    found = document["what_ifs"]
    assert {one["kind"] for one in found} == {"buffer", "array", "bits", "batch"}
    assert [one["pays"] for one in found] == sorted((one["pays"] for one in found), reverse=True)
    assert [(one["kind"], one["why"]) for one in document["not_asked"]] == [("dram", "its energies are in multiples of a MAC")]
    rows = list(csv.DictReader(io.StringIO(run("explain", saved, "--what-ifs", "full", "--format", "csv").stdout.split("\n\n")[1])))
    assert [float(row["pays"]) for row in rows] == [one["pays"] for one in found]
    shown = run("explain", saved, "--what-ifs", "quick")
    assert (shown.exit_code, shown.stderr) == (0, "")
    for text in ("energy pays", "no difference", "not asked", "prices all sizes alike", "batch"):
        assert text in shown.stdout
    page = run("explain", saved, "--what-ifs", "quick", "--format", "md").stdout
    assert "### What would pay" in page and "| weights" in page


def test_what_ifs_of_one_layer_and_their_progress(run, saved):
    whole = json.loads(run("explain", saved, "--what-ifs", "full", "--format", "json").stdout)["what_ifs"]
    layers = [json.loads(run("explain", saved, name, "--what-ifs", "full", "--format", "json").stdout)["what_ifs"] for name in ("conv1", "fc")]
    for one in whole:
        parts = [next(x for x in found if (x["what"], x["step"]) == (one["what"], one["step"])) for found in layers]
        assert sum(part["value"] for part in parts) == pytest.approx(one["value"], rel=1e-12)
    told = run("explain", saved, "--what-ifs", "quick", "-v").stderr
    assert "so far" in told and "pays" in told


def test_what_ifs_that_there_are_none_of(run, saved):
    assert run("explain", saved, "--what-ifs", "all").exit_code == 2
