"""`results/exit-decisions`: what it says is what the logits of `results/merkel` give."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from picojoule.exits import ExitEnergies, decide, exit_energies

RESULTS = Path(__file__).parents[2] / "results" / "exit-decisions"


@pytest.fixture(scope="module")
def measure():
    spec = importlib.util.spec_from_file_location("exit_decisions_measure", RESULTS / "measure.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def claims():
    return {row["id"]: row["value"] for row in json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))}


def test_energies_are_those_of_the_document(measure):
    assert list(measure.energies().leaving()) == exit_energies(6, heads_passed=True)
    data = json.loads((RESULTS / "eyeriss-like-45nm.json").read_text(encoding="utf-8"))
    # Read from DRAM for one image, the classifiers' weights cost more than a third of all.
    parts = ExitEnergies(trunk=tuple(data["trunk"]), heads=tuple(data["heads"]))
    assert sum(parts.heads) / parts.leaving()[-1] > 0.3


def test_times_stand_in_the_page_as_they_were_measured(measure, claims):
    lines, timings = measure.timed()
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert all(line in page for line in lines)
    assert all(claims[row["id"]] == row["value"] for row in timings) and len(timings) == 6


def test_the_headline_and_the_guarantee(measure, claims):
    evidence = measure.read()
    rule, combine = measure.HEADLINE
    found = decide(
        evidence.choose, evidence.choose_labels, measure.energies(), rule=rule, combine=combine,
        target_accuracy=measure.target(evidence.choose, evidence.choose_labels),
    )  # fmt: skip
    test = found.policy.measure(evidence.test, evidence.test_labels)
    assert 100 * test.accuracy == pytest.approx(claims["decide.accuracy"], abs=0.02)
    assert 100 * (1 - test.energy / measure.MOST) == pytest.approx(claims["decide.saved"], abs=0.05)
    assert test.accuracy >= measure.target(evidence.test, evidence.test_labels)
    right, taken = measure.outcomes(found, evidence)
    for images in measure.HELD:
        missed = measure.missed(right, taken, images, 0.75, batch=True)[0]
        assert missed == pytest.approx(claims[f"decide.missed.0.75.{images}.batch"], abs=1)
        assert missed <= 100 * measure.DELTA
