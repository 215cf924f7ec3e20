"""``results/energy_complexity``: the fits follow from the points kept there, the points from a search, the claims from both."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from picojoule.hardware import load_hardware
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.study.points import Task, solve
from picojoule.study.spec import read_study
from picojoule.study.validation import SWEEPS
from picojoule.study.validation.fits import fit

FOLDER = Path(__file__).parents[3] / "results" / "energy_complexity"


@pytest.fixture(params=["eyeriss-like-45nm", "simba-like-45nm"])
def kept(request) -> dict[str, Any]:
    if not FOLDER.parent.is_dir():
        pytest.skip("a source distribution has no results/; a checkout has")
    return json.loads((FOLDER / f"{request.param}.json").read_text(encoding="utf-8"))


def test_the_fits_follow_from_the_points(kept):
    for sweep, entry in zip(SWEEPS, kept["sweeps"], strict=True):
        ours = entry["ours"]
        assert tuple(ours["values"]) == sweep.values
        again = fit([sweep.x(value) for value in sweep.values], ours["data"], sweep.power)
        for name in ("r2", "law_r2", "exponent", "residual"):
            assert getattr(again, name) == pytest.approx(ours["fit"][name], rel=1e-9)
    if kept["random"] is not None:
        envelope = kept["random"]["ours"]
        assert fit(envelope["terms"], envelope["data"], 1).law_r2 == pytest.approx(envelope["fit"]["law_r2"], rel=1e-9)


def test_some_of_the_points_are_searched_again(kept):
    machine = load_hardware(kept["hardware"])
    for i, place in ((0, 5), (1, 30), (2, 0), (3, 4)):
        ours, sweep = kept["sweeps"][i]["ours"], SWEEPS[i]
        nest = sweep.layer(ours["values"][place]).nest
        found = search_layer(nest, machine, machine.bits, "energy", Exact(**kept["search"]))
        assert found.status == "PROVED"
        assert found.value == pytest.approx(ours["energy"][place], rel=1e-12)


def test_the_authors_points_are_not_copied(kept):
    assert all(set(entry["theirs"]) == {"fit", "data_share"} for entry in kept["sweeps"])
    if kept["random"] is not None:
        assert set(kept["random"]["theirs"]) == set(kept["random"]["theirs_of_all"]) == {"fit"}


def test_the_claims_are_what_the_files_hold(kept):
    claims = json.loads((FOLDER / "claims.json").read_text(encoding="utf-8"))
    stated = {
        claim["id"].removeprefix(f"energy-complexity.{kept['hardware']}."): claim["value"]
        for claim in claims
        if claim["artefact"] == f"results/energy_complexity/{kept['hardware']}.json"
    }
    held = {f"{e['parameter']}.{name}": e["ours"]["fit"][name] for e in kept["sweeps"] for name in ("r2", "residual")}
    held |= {f"{e['parameter']}.p": e["ours"]["fit"]["p"][e["power"]] for e in kept["sweeps"]}
    duel = kept["duel"]
    held |= {"duel.won": duel["won"], "duel.recounted": duel["recounted_won"], "duel.median": duel["ratios"][1]}
    if kept["random"] is not None:
        held |= {"random.won": kept["random"]["won"], "random.envelope.r2": kept["random"]["ours"]["fit"]["law_r2"]}
    assert stated == held


def test_the_designs_of_codesign_are_what_is_claimed_and_one_is_solved_again():
    folder = FOLDER.parent / "codesign"
    if not folder.is_dir():
        pytest.skip("a source distribution has no results/; a checkout has")
    with (folder / "points.csv").open(encoding="utf-8", newline="") as stream:
        points = [row for row in csv.DictReader(stream) if row["status"] != "FAILED"]
    claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    for claim in claims:
        figure = claim["id"].rpartition(".")[2]
        assert claim["value"] in {float(row[figure]) for row in points}
    study = read_study(folder / "study.yaml")
    row = next(row for row in points if row["network"] == "resnet20-narrow.yaml")
    point = {axis.name: next(v for v in axis.values if str(v) == row[axis.name]) for axis in study.axes}
    ((_, again),) = solve(Task(study, ((row["key"], point),), cache=False))
    assert again.figures["energy_pj"] == pytest.approx(float(row["energy_pj"]), rel=1e-11)
    assert again.figures["accuracy"] == float(row["accuracy"])
