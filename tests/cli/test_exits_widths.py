"""``picojoule exits widths``: what it prints, what it leaves, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support import digit_network

import picojoule
from picojoule.errors import ResultFileError
from picojoule.runtime import Dial, Session

COMMAND = ("exits", "widths", "support.digit_network:with_exits", "--data", "digits", "--hardware", "eyeriss-like-45nm", "--folder", "wide")


@pytest.fixture(autouse=True)
def factories(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[1])])


def test_digits_from_training_to_bundles_and_a_page(run, folder):
    ran = run(
        *COMMAND, "--heads", "early,middle,trunk.head", "--widths", "0.5,1", "--epochs", "3", "--rate", "0.004",
        "--levels", "6", "--combine", "--format", "json", "-o", "dials.json",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.stderr
    assert "epoch 3 of 3" in ran.stderr and "width 0.5: energies\n" in ran.stderr and "width 0.5: weights and bundle" in ran.stderr
    data = json.loads((folder / "dials.json").read_text())
    narrow, whole = data["widths"]
    assert data["schema"] == "picojoule/dials/1" and data["unit"] == "pJ" and (narrow["width"], whole["width"]) == (0.5, 1.0)
    assert sum(narrow["energies"]["trunk"]) < sum(whole["energies"]["trunk"]) / 1.5
    assert data["full"]["energy"] == pytest.approx(sum(whole["energies"]["trunk"]))
    assert narrow["parameters"] < whole["parameters"] / 2
    assert {point["width"] for point in data["fronts"]["depth"]} == {1.0} and len(data["fronts"]["width"]) <= 2
    # The bundle of a width answers as its figures say.
    images = digit_network.data().test
    session = Session(folder / "wide" / "width-0.5" / "bundle")
    exits = session.every_exit(session.prepare(images.pixels))
    alone = (exits[2][0].argmax(1) == images.labels).mean()
    point = next((p for p in data["fronts"]["width"] if p["width"] == 0.5), None)
    assert point is None or point["test"]["accuracy"] == pytest.approx(alone, abs=1e-9)
    assert (folder / "wide" / "width-1" / "network.safetensors").exists()
    dial = Dial([folder / "wide" / f"width-{width}" / "bundle" for width in ("0.5", "1")], threads=1)
    operations = [one.manifest.operation for one in dial.sessions]
    assert operations[1].energies_j[-1] == pytest.approx(1e-12 * (sum(whole["energies"]["trunk"]) + sum(whole["energies"]["heads"])))
    frugal, best = (dial.run(session.prepare(images.pixels[:50]), alpha=alpha) for alpha in (1.0, 0.0))
    assert frugal[0] == 0 and frugal[1].energy_pj.mean() < best[1].energy_pj.mean()
    page = picojoule.report(folder / "dials.json")
    assert "Width and depth: 2 widths, 3 exits" in page and "exits alone" in page
    del data["fronts"]["depth"]
    (folder / "dials.json").write_text(json.dumps(data))
    with pytest.raises(ResultFileError, match="a front is missing or damaged"):
        picojoule.report(folder / "dials.json")


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--widths", "0.5;1"), 2, "'0.5;1' are no numbers"),
        (("--widths", "0.5,0.9", "--heads", "early,middle,trunk.head"), 2, "rise and end with 1"),
        ((), 2, "the network has 3 exits, 0 heads are named"),
        (("--target-accuracy", "90"), 2, "a target accuracy"),
    ],
)
def test_what_is_refused(run, more, code, said):
    ran = run(*COMMAND, *more)
    assert ran.exit_code == code and said in ran.stderr
