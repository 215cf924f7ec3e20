"""The ladder of networks made smaller one after the other: on the page, on the terminal, as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

import picojoule
from picojoule.cli.main import main
from picojoule.compress.costs import Costs
from picojoule.compress.result import Compression
from picojoule.errors import ResultFileError
from picojoule.reporting.page.compressions import front_of

BEFORE = Costs(macs=1000, executed_macs=1000.0, energy=4e6, unit="pJ", latency_s=None, bytes=8.0, memory=None)


def made(tmp_path, name, accuracy, energy, **other):
    result = Compression(
        model="net", hardware="eyeriss-v2", method="prune by energy", budget="50%", kind="energy", limit=2e6, used=energy, met=True,
        before=BEFORE, after=replace(BEFORE, energy=energy), accuracy_before=0.92, accuracy_after=accuracy, settings={}, steps=[],
        files={}, remarks=[],
    )  # fmt: skip
    (tmp_path / name).mkdir()
    replace(result, **other).save(tmp_path / name)
    return tmp_path / name / "result.json"


@pytest.fixture
def results(tmp_path):
    four = {"classes": {"kept": [3, 5, 8, 9]}, "accuracy_before": 0.94, "before": replace(BEFORE, energy=3.9e6)}
    return [
        made(tmp_path, "int8", 0.921, 2e6), made(tmp_path, "pruned", 0.91, 1e6), made(tmp_path, "four", 0.93, 5e5, **four),
    ]  # fmt: skip


def test_steps_stand_in_the_order_of_the_files_behind_the_network_as_it_came(results):
    steps = front_of(results).steps
    assert [(step.name, step.energy) for step in steps] == [("as it came", 4e6), ("int8", 2e6), ("pruned", 1e6), ("four", 5e5)]
    assert "4 classes" in steps[-1].note
    turned = [step.name for step in front_of(results[::-1]).steps]
    assert turned == ["as it came", "four", "pruned", "int8"]
    assert front_of(results[:1]).steps == []


def test_the_page_draws_the_ladder_of_several(results):
    page = picojoule.report(results)
    assert 'id="ladder"' in page
    assert "From as it came to four energy falls 8.00 times, to 12.5" in page
    assert "accuracy goes from 92.00% to 93.00%" in page
    assert 'id="ladder"' not in picojoule.report(results[:1])


def test_the_terminal_prints_it_and_json_holds_it(results):
    run = CliRunner()
    ran = run.invoke(main, ["report", *map(str, results), "--format", "table"])
    assert ran.exit_code == 0, ran.output
    assert "8.00 times less energy in 3 steps" in ran.output
    told = json.loads(run.invoke(main, ["report", *map(str, results), "--format", "json"]).output)
    assert [step["accuracy"] for step in told["steps"]] == [0.92, 0.921, 0.91, 0.93]
    alone = run.invoke(main, ["report", str(results[0]), "--format", "table"])
    assert alone.exit_code == 2
    assert "a ladder has two steps or more" in alone.output


def test_a_file_of_arms_may_name_its_ladder(tmp_path):
    path = tmp_path / "front.json"
    arms = [{"name": name, "accuracy": 0.9, "energy": energy} for name, energy in (("dense", 4.0), ("aside", 3.0), ("small", 1.0))]
    told = {"schema": "picojoule/front/1", "model": "net", "hardware": "hw", "unit": "pJ", "arms": arms, "ladder": ["dense", "small"]}
    path.write_text(json.dumps(told))
    assert [step.name for step in front_of([path]).steps] == ["dense", "small"]
    path.write_text(json.dumps(told | {"ladder": ["dense", "smal"]}))
    with pytest.raises(ResultFileError, match="the ladder names 'smal'"):
        front_of([path])
