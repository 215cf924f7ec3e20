"""``picojoule exits add`` on the command line, what it hands on to ``decide`` and ``deploy``, and what it refuses."""

from __future__ import annotations

import json
import math

import pytest
from support import readers_files

import picojoule
from picojoule.errors import ResultFileError

DIGITS = ("--data", "digits", "--hardware", "eyeriss-like-45nm", "--weights", "small.safetensors")


@pytest.fixture
def network(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    readers_files.residual(folder)
    return folder


def test_added_exits_go_into_decide_and_deploy(run, network):
    made = run(
        "exits", "add", "mymodels:small", *DIGITS, "--at", "stem,block", "--head-energy", "10%", "--epochs", "8", "--lose", "2",
        "--train-backbone", "--folder", "early", "--format", "json",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    found = json.loads(made.stdout)
    assert any("the backbone was trained, too" in note for note in found["notes"])
    assert found["schema"] == "picojoule/added-exits/1" and [one["name"] for one in found["exits"]] == ["stem", "block", "last"]
    assert "epoch 8 of 8" in made.stderr and "exits after stem" in made.stderr
    energies = ("--energies", "early/energies.json")
    decided = run("exits", "decide", "early/choose.npz", *energies, "--target-accuracy", "0.95", "--test", "early/test.npz", "--format", "json")
    assert decided.exit_code == 0, decided.stderr
    assert json.loads(decided.stdout)["test"]["energy"] < found["exits"][-1]["energy"]
    # What it says is lost is what was chosen by, and the command that it names comes to the same.
    assert found["choosing"]["accuracy"] >= found["target_accuracy"]
    assert found["target_accuracy"] == pytest.approx(found["exits"][-1]["accuracy_choosing"] - 0.02)
    target = math.floor(found["target_accuracy"] * 1e4) / 1e4
    again = run(
        "exits", "decide", "early/choose.npz", *energies, "--target-accuracy", f"{target:.4f}", "--rule", "margin", "--ask", "best",
        *(("--combine",) if found["combined"] else ()), "--test", "early/test.npz", "--format", "json",
    )  # fmt: skip
    decision = json.loads(again.stdout)
    assert decision["choosing"] == {name: found["choosing"][name] for name in ("accuracy", "energy")}
    assert decision["test"] == found["test"] and decision["curve"] == found["decision"]["curve"]
    page = picojoule.report(network / "early" / "result.json")
    assert "When to leave: 3 exits, rule margin" in page and f"{100 * found['test']['accuracy']:.1f}" in page
    (network / "old.json").write_text(json.dumps({name: value for name, value in found.items() if name != "decision"}))
    with pytest.raises(ResultFileError, match="it holds no decision that a report could draw"):
        picojoule.report(network / "old.json")
    deployed = run("exits", "deploy", "early/bundle", "--choosing", "early/choose.npz", *energies, "-o", "adaptive.bundle")
    assert deployed.exit_code == 0, deployed.stderr
    ran = run("run", "adaptive.bundle", "--input", "early/test.npz", "--alpha", "0.5", "--format", "json")
    assert ran.exit_code == 0, ran.stderr
    assert json.loads(ran.stdout)["accuracy"] > 0.5


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--at", "block.conv1"), 3, "it can't be cut after 'block.conv1', where 2 tensors cross: stem_2 and block_conv1"),
        (("--at", "head"), 2, "behind 'head' there is no layer left that an exit could save"),
        (("--at", "blok"), 2, "Did you mean 'block'?"),
        (("--at", ","), 2, "no place is named"),
        (("--normalise", "200/20"), 2, "pixels go from 0 to 1 here, got '200/20' Divide those of pixels from 0 to 255 by 255."),
    ],
)
def test_a_place_or_normalisation_that_is_none(run, network, more, code, message):
    ran = run("exits", "add", "mymodels:small", *DIGITS, *more, "--folder", "early")
    assert ran.exit_code == code and message in " ".join(ran.stderr.split())
    assert not (network / "early").exists()
