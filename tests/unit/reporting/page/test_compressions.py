"""The page about networks made smaller: which are dominated, what is refused, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import picojoule
from picojoule.compress.costs import Costs
from picojoule.compress.result import Compression
from picojoule.errors import ResultFileError, UsageError
from picojoule.reporting.page.compressions import front_of

BEFORE = Costs(
    macs=1000, executed_macs=1000.0, energy=4e6, unit="pJ", latency_s=None, bytes=8.0, memory=None, measured_ms=1.0
)


def result(method, accuracy, energy, **other):
    made = Compression(
        model="net", hardware="eyeriss-v2", method=method, budget="50%", kind="energy", limit=2e6, used=energy, met=energy <= 2e6,
        before=BEFORE, after=replace(BEFORE, energy=energy, executed_macs=500.0), accuracy_before=0.92, accuracy_after=accuracy,
        settings={}, steps=[], files={}, remarks=[],
    )  # fmt: skip
    return replace(made, **other)


ARMS = [result("first", 0.91, 1.5e6), result("beaten", 0.90, 1.6e6), result("small", 0.89, 1e6), result("same energy", 0.905, 1.5e6)]


def test_what_another_undercuts_is_dominated_and_equals_are_not():
    assert front_of(ARMS).dominated == {"beaten", "same energy"}
    assert front_of([ARMS[0], result("twin", 0.91, 1.5e6)]).dominated == frozenset()


def test_the_page_shows_all_arms_and_greys_the_dominated(tmp_path):
    paths = []
    for arm in ARMS:
        folder = tmp_path / arm.method.replace(" ", "-")
        folder.mkdir()
        arm.save(folder)
        paths.append(folder / "result.json")
    page = picojoule.report(paths)
    assert "net made smaller, on eyeriss-v2" in page
    for name in ("as it came", "first", "beaten", "small", "same-energy"):
        assert f">{name}</th>" in page
    dots = [part.split(">")[0] for part in page.split('<b class="dot"')[1:]]
    grey = {dot.split('data-tip="')[1].split(" ·")[0] for dot in dots if "--c:var(--soft)" in dot}
    assert grey == {"beaten", "same-energy"}
    assert len(dots) == 5, "the network as it came stands there once"
    assert "3 of 5 networks are on the front. From as it came to small energy falls to 25" in page
    assert page.count("accuracy by 3.00 points") == 2


def test_results_in_memory_do_as_well():
    assert "missed" in picojoule.report([ARMS[0], result("dear", 0.93, 3e6)])


def test_a_front_file_is_read_and_what_it_lacks_is_named(tmp_path):
    path = tmp_path / "front.json"
    arms = [{"name": "<dense>", "accuracy": 0.92, "energy": 4.0, "macs": None, "measured_ms": None, "note": ""}]
    document = {"schema": "picojoule/front/1", "model": "net", "hardware": "m", "unit": "mac16", "arms": arms}
    path.write_text(json.dumps(document))
    page = picojoule.report(path)
    assert "&lt;dense&gt;" in page and "<dense>" not in page
    for broken in ({"unit": 3}, {"arms": [{**arms[0], "accuracy": "good"}]}, {"arms": [{**arms[0], "accuracy": 92.0}]}):
        path.write_text(json.dumps(document | broken))
        with pytest.raises(ResultFileError):
            picojoule.report(path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"hardware": "eyeriss-methodology"}, "energies of different machines can't stand on one page: 'eyeriss-v2' and"),
        ({"model": "other"}, "energies of different networks"),
        ({"before": replace(BEFORE, unit="mac16")}, "energies of different units"),
        ({"after": replace(BEFORE, energy=None)}, "no energy was modelled for 'net' in 'other'"),
    ],
)
def test_what_can_not_be_compared_is_refused(other, message):
    with pytest.raises(UsageError, match=message):
        picojoule.report([ARMS[0], result("other", 0.9, 1e6, **other)])


def test_estimates_and_explanations_go_elsewhere(tmp_path):
    with pytest.raises(UsageError, match="don't go on one page"):
        picojoule.report([ARMS[0], tmp_path / "estimate.json"])
    with pytest.raises(UsageError, match="an explanation is of an estimate"):
        picojoule.report(ARMS[0], explanation=tmp_path / "e.json")
