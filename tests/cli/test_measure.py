"""``picojoule measure``, ``doctor`` and ``hardware fit`` as a user runs them."""

from __future__ import annotations

import json
import sys

import pytest
from support.small_onnx import small_network
from support.synthetic_gpu import by_its_table, record


@pytest.fixture
def small(folder):
    return small_network(folder / "small.onnx").name


def test_measure_shows_nodes_and_writes_a_file(run, small, folder):
    ran = run("measure", small, "--runs", 3)
    assert ran.exit_code == 0
    for word in ("small.onnx", "median", "quartiles", "first", "memory", "energy"):
        assert word in ran.stdout
    assert "wrote small.onnx.measured.json" in ran.stderr
    data = json.loads((folder / "small.onnx.measured.json").read_text())
    assert data["schema"] == "picojoule/measurement/1" and len(data["network"]["latencies_s"]) == 3
    assert data["network"]["energy"]["joules"] is None or data["network"]["energy"]["counter"]


def test_json_is_one_document_and_equals_the_file(run, small, folder):
    ran = run("measure", small, "--runs", 2, "--format", "json", "--save", "m.json")
    assert json.loads(ran.stdout) == json.loads((folder / "m.json").read_text())


def test_two_models_and_no_file(run, small, folder):
    small_network(folder / "other.onnx", channels=32)
    ran = run("measure", small, "--against", "other.onnx", "--runs", 3, "--no-save")
    assert ran.exit_code == 0
    assert "ratio" in ran.stdout and "other.onnx takes" in ran.stdout and "pairs" in ran.stdout
    assert not list(folder.glob("*.json"))


def runner(folder, good, then):
    script = folder / "bench.py"
    script.write_text(
        f"import pathlib, sys\nc = pathlib.Path('count')\nn = int(c.read_text()) + 1 if c.exists() else 1\nc.write_text(str(n))\n"
        f"if n > {good}:\n    {then}\nprint('{{\"ms\": 2.5}}')\n"
    )
    return f"{sys.executable} {script} {{onnx}}"


@pytest.mark.parametrize(("then", "code"), [("sys.exit('board is gone')", 4), ("sys.exit(print('garbage'))", 3)])
def test_a_runner_that_fails_halfway_keeps_what_it_gave(run, small, folder, then, code):
    ran = run("measure", small, "--runner", runner(folder, 2, then))
    assert ran.exit_code == code
    assert "2.50" in ran.stdout
    assert "2 measured before are kept in small.onnx.measured.json." in ran.stderr
    data = json.loads((folder / "small.onnx.measured.json").read_text())
    assert data["network"]["latencies_s"] == [0.0025, 0.0025]
    assert data["failed"]["exit_code"] == str(code)


def test_in_json_a_failure_is_the_one_document(run, small, folder):
    ran = run("measure", small, "--runner", runner(folder, 1, "sys.exit(1)"), "--format", "json")
    assert ran.exit_code == 4
    assert json.loads(ran.stdout)["error"]["code"] == "system"


def test_a_runner_that_fails_at_once_writes_nothing(run, small, folder):
    ran = run("measure", small, "--runner", runner(folder, 0, "sys.exit(1)"))
    assert ran.exit_code == 4 and ran.stdout == ""
    assert not (folder / "small.onnx.measured.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("measure", "resnet18"), "resnet18 is a built-in network"),
        (("measure", "none.onnx"), "there is no file 'none.onnx'"),
        (("measure", "small.onnx", "--runner", "bench"), "doesn't say where the file goes"),
        (("measure", "small.onnx", "--threads", "999"), "999 threads"),
        (("measure", "small.onnx", "--save", "small.onnx"), "--save would replace the input small.onnx"),
        (("measure", "small.onnx", "--save", "a.json", "--no-save"), "contradict"),
    ],
)
def test_a_wrong_command_line(run, small, arguments, words):
    ran = run(*arguments)
    assert ran.exit_code == 2 and words in ran.stderr


def test_doctor(run):
    ran = run("doctor")
    assert ran.exit_code == 0
    for word in ("latency", "energy", "threads", "memory", "table", "onnxruntime", "[measure]"):
        assert word in ran.stdout
    data = json.loads(run("doctor", "--format", "json").stdout)
    assert {check["name"] for check in data["checks"]} >= {"latency", "energy"}


def test_hardware_fit(run, folder):
    record(folder / "gpu.json", by_its_table, noise=0.0)
    ran = run("hardware", "fit", "gpu.json")
    assert ran.exit_code == 0
    for word in ("synthetic", "120", "float16", "1 500 GB/s".replace(" ", ""), "resnet50", "not fitted to"):
        assert word in ran.stdout.replace("\N{THIN SPACE}", "").replace("1500 GB/s", "1500GB/s"), word
    data = json.loads(run("hardware", "fit", "gpu.json", "--format", "json").stdout)
    assert data["schema"] == "picojoule/device-table/1" and data["arithmetic"]["float16"][
        "pj_per_mac"
    ] == pytest.approx(0.35)


def test_hardware_fit_of_something_else(run, folder):
    (folder / "gpu.json").write_text("{}")
    ran = run("hardware", "fit", "gpu.json")
    assert ran.exit_code == 3 and "schema" in ran.stderr
