"""The fixture ``energy_budget``, in a pytest of its own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support import sample_estimates

import picojoule
from picojoule.result_file import write_result

INSTALLED = any(one.name == "picojoule" for one in importlib.metadata.entry_points(group="pytest11"))
SOURCE = str(Path(picojoule.__file__).parents[1])


TESTS = """\
def test_kept(energy_budget):
    assert energy_budget('before.json', max_energy='1 mJ').ok

def test_missed(energy_budget):
    energy_budget('before.json', max_energy='0.5 mJ', max_area='1 mm2')

def test_unknown(energy_budget):
    energy_budget('before.json', min_accuracy=0.9)

def test_grown(energy_budget):
    energy_budget.against('before.json', 'after.json')

def test_grown_a_little(energy_budget):
    assert not energy_budget.against('before.json', 'after.json', fail_on='energy:+6%').failed
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Folder and output of a pytest that ran ``TESTS`` on two results."""
    folder = tmp_path_factory.mktemp("budget")
    base = sample_estimates.estimate(clock_hz=2e8)
    write_result(base, folder / "before.json")
    write_result(replace(base, energy_pj=base.energy_pj * 1.05), folder / "after.json")
    (folder / "test_it.py").write_text(TESTS, encoding="utf-8")
    plugin = () if INSTALLED else ("-p", "picojoule.pytest_plugin")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "no:cacheprovider",
        *plugin,
        "--rootdir",
        ".",
        "--junit-xml",
        "report.xml",
    ]
    environment = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False, env=environment
    )
    assert done.returncode == 1, done.stdout
    return folder, done.stdout


def test_budgets_that_are_kept_and_missed(ran):
    _, text = ran
    passed, failed = (
        {line.rpartition("::")[2].split()[0] for line in text.splitlines() if line.startswith(f"{how} ")}
        for how in ("PASSED", "FAILED")
    )
    assert passed == {"test_kept", "test_grown_a_little"}
    assert failed == {"test_missed", "test_unknown", "test_grown"}


def test_the_verdict_is_shown_and_no_traceback(ran):
    _, text = ran
    assert "no: energy missed at the step energy and power; 1 later one not evaluated" in text
    assert "1.75× the limit" in text
    assert "cannot tell: the result doesn't say enough about accuracy" in text
    assert "energy of B is +5 % against A: the limit is +2 %" in text
    assert "def __call__" not in text and "def against" not in text


def test_the_figures_are_in_the_report(ran):
    folder, _ = ran
    report = (folder / "report.xml").read_text(encoding="utf-8")
    assert f'name="energy_pj_per_inference" value="{sample_estimates.estimate().energy_pj}"' in report


def test_loading_the_plugin_is_light():
    code = "import picojoule.pytest_plugin, sys; print(*sorted({'numpy', 'numba', 'onnx', 'torch', 'pydantic', 'rich'} & set(sys.modules)))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ).stdout
    assert told.strip() == ""
