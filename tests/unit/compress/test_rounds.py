"""Pruning round after round for as long as accuracy holds."""

from __future__ import annotations

import itertools
import json

import pytest
from support import digit_network

from picojoule.compress import prune, reload, weights
from picojoule.compress.layers import zero_shares
from picojoule.compress.rounds import loses_at_most
from picojoule.errors import InputError
from picojoule.reporting.compressions import compression_text


def accuracy_of_zeros(module):
    """Falls by half a point for every 10 % of zeros in the largest layer: rounds then end where a test can tell."""
    shares = zero_shares(module)
    return 1 - round(0.05 * shares["down.0"], 3) if shares else 0.9  # what runs an ONNX file has no layers


@pytest.fixture(scope="module")
def sensitivity(tmp_path_factory):
    return tmp_path_factory.mktemp("sensitivity") / "digits.json"


@pytest.fixture(scope="module")
def rounds(sensitivity, tmp_path_factory):
    """Untrained rounds, down to 4 points: the result, its folder, and how to ask again."""

    def ask(folder, **other):
        arguments = {
            "hardware": "eyeriss-methodology", "lose": 4.0, "evaluate": accuracy_of_zeros, "calibrate": digit_network.batches,
            "sensitivity_file": sensitivity, "output": folder,
        }  # fmt: skip
        return prune(digit_network.trained(), digit_network.EXAMPLE, **arguments | other)

    folder = tmp_path_factory.mktemp("rounds") / "out"
    return ask(folder), folder, ask


def test_rounds_go_on_while_accuracy_holds_and_the_last_that_held_is_handed_over(rounds):
    result, folder, _ = rounds
    accepted = [step["accepted"] for step in result.steps]
    assert accepted == [True] * (len(accepted) - 1) + [False]
    assert len(accepted) > 2
    used = [step["used"] for step in result.steps]
    assert used == sorted(used, reverse=True)
    assert all(after <= 0.91 * before for before, after in itertools.pairwise(used))
    assert result.steps[-1]["accuracy_choosing"] < 0.96 <= result.steps[-2]["accuracy_choosing"]
    kept = zero_shares(reload(digit_network.trained(), digit_network.EXAMPLE, folder=folder))["down.0"]
    assert kept == pytest.approx(1 - result.steps[-2]["densities"]["down.0"], abs=0.01)
    assert (result.kind, result.limit) == ("points", 4.0)
    assert result.used == pytest.approx(100 * (1 - result.steps[-2]["accuracy_choosing"]))
    assert result.met and result.after.energy < result.before.energy


def test_each_round_prunes_what_the_round_before_left(rounds):
    _, folder, _ = rounds
    from picojoule.train.checkpoint import load_tensors

    first, second = (load_tensors(folder / f"start-{turn}.safetensors")[0]["down.0.weight"] for turn in (0, 1))
    assert ((first == 0) <= (second == 0)).all()
    assert (second == 0).sum() > (first == 0).sum()


def test_a_budget_ends_the_rounds_where_accuracy_allows_more(rounds, tmp_path):
    _, _, ask = rounds
    result = ask(tmp_path / "met", lose=50.0, budget="85%")
    assert result.met and result.kind == "energy"
    assert 0 <= result.undershoot < 0.05
    assert all(step["accepted"] for step in result.steps)
    missed = ask(tmp_path / "missed", lose=0.0, budget="50%")
    assert not missed.met
    assert missed.after.energy == missed.before.energy
    assert any("Already the first round lost more" in remark for remark in missed.remarks)


@pytest.mark.parametrize(
    ("points", "after", "holds"),
    [(1.0, 0.96, True), (1.0, 0.9595, False), (0.1, 0.969, True), (0.05, 0.9695, True), (0.0, 0.97, True), (0.0, 0.9695, False)],
)
def test_points_lost_are_compared_as_people_reckon_them(points, after, holds):
    assert loses_at_most(points, 0.97, after) is holds


def test_a_first_round_that_loses_too_much_is_no_success(rounds, tmp_path):
    _, _, ask = rounds
    result = ask(tmp_path / "out", lose=0.0)
    assert not result.met and result.after.energy == result.before.energy
    assert "missed: nothing could be pruned" in compression_text(result, width=120, color=False)


def test_asked_again_it_answers_from_the_folder(rounds, monkeypatch):
    result, folder, ask = rounds
    monkeypatch.setattr(weights, "prune_to", None)
    assert ask(folder).to_data() == result.to_data()


def test_sensitivities_are_measured_once_for_all_runs_on_a_network(rounds, sensitivity, tmp_path, monkeypatch):
    _, _, ask = rounds
    monkeypatch.setattr(weights, "sensitivity", None)
    assert ask(tmp_path / "other", lose=50.0, budget="85%", criterion="macs").met
    other = json.loads(sensitivity.read_text()) | {"weights": "another"}
    for content, message in ((json.dumps(other), "of another network"), ("[]", "no sensitivities can be read")):
        path = tmp_path / "other.json"
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            ask(tmp_path / "refused", sensitivity_file=path)
