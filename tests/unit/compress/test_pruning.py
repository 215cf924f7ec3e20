"""Networks that are pruned within a budget: what they cost, what they can, and what lies in the folder."""

from __future__ import annotations

import json
import random

import pytest
import torch
from support import digit_network

from picojoule.atomic_file import replace_file
from picojoule.compress import job, prune, reload, stages, weights
from picojoule.compress.costs import STEADY
from picojoule.compress.job import Handed, Job
from picojoule.compress.layers import zero_shares
from picojoule.compress.stages import digest
from picojoule.errors import InputError, UsageError
from picojoule.frontends import load_model
from picojoule.result_file import read_result
from picojoule.search.policy import Exact
from picojoule.train import loop
from picojoule.train.checkpoint import load_tensors

from .conftest import RECIPE


def ask(folder, **other):
    arguments = {
        "hardware": "eyeriss-methodology", "budget": "60%", "evaluate": digit_network.accuracy,
        "calibrate": digit_network.batches, "output": folder,
    }  # fmt: skip
    return prune(digit_network.trained(), digit_network.EXAMPLE, **arguments | other)


def test_zeros_bring_it_within_the_budget(pruned):
    result, folder, _ = pruned
    assert result.met
    assert result.used <= result.limit == pytest.approx(0.6 * result.before.energy)
    assert result.used == result.after.energy
    assert 0 <= result.undershoot < 0.1
    assert result.after.macs == result.before.macs
    assert result.after.executed_macs < 0.8 * result.before.executed_macs
    assert result.accuracy_after > result.accuracy_before - 0.05 > 0.8
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result.to_data()))


def test_the_estimate_that_the_energy_is_of_is_handed_over(pruned):
    result, folder, _ = pruned
    found = read_result(folder / result.files["estimate"])
    assert found.energy_pj == result.after.energy
    assert all(layer.mapping for layer in found.layers if layer.macs)


def test_macs_energy_and_time_stand_side_by_side_and_say_which_improved(pruned):
    result, *_ = pruned
    for costs in (result.before, result.after):
        assert costs.macs and costs.energy and costs.measured_ms
    assert any("improved" in remark and "did not" in remark for remark in result.remarks)


def test_what_is_reloaded_is_what_was_in_memory(pruned, narrow):
    for result, folder, *_ in (pruned, narrow):
        module = reload(digit_network.trained(), digit_network.EXAMPLE, folder=folder)
        tensors, facts = load_tensors(folder / result.files["weights"])
        assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in tensors.items())
        assert set(tensors) == set(module.state_dict())
        assert facts["settings"]["criterion"] in ("energy", "channels")
        again = load_model(folder / result.files["onnx"], shape={"input": (1, 1, 8, 8)})
        assert sum(layer.nest.macs * layer.repeats for layer in again.layers if layer.nest) == result.after.macs


def test_nothing_in_the_folder_is_a_pickle(pruned, narrow, eight_bits, mixed_bits):
    for _, folder, *_ in (pruned, narrow, eight_bits, mixed_bits):
        for path in folder.rglob("*"):
            assert path.suffix in {"", ".json", ".jsonl", ".safetensors", ".onnx", ".npz"}, path
            # A safetensors file begins with the length of its head, whose first byte may be any; the head is JSON.
            content = b"" if path.is_dir() else path.read_bytes()
            assert content[:1] != b"\x80" or content[8:9] == b"{", path


def test_zeros_are_as_many_as_were_chosen_and_stay_while_it_is_tuned(pruned):
    result, folder, _ = pruned
    shares = zero_shares(reload(digit_network.trained(), digit_network.EXAMPLE, folder=folder))
    densities = result.steps[-1]["densities"]
    assert min(densities.values()) < 1
    for name, density in densities.items():
        assert shares[name] == pytest.approx(1 - density, abs=0.02)


def test_asked_again_it_answers_from_the_folder(pruned, monkeypatch):
    result, folder, again = pruned
    monkeypatch.setattr(weights, "prune_to", None)
    monkeypatch.setattr(weights, "sensitivity", None)
    before = (folder / "network.safetensors").read_bytes()
    assert again(folder).to_data() == result.to_data()
    assert (folder / "network.safetensors").read_bytes() == before


class Broken(BaseException):
    """Stands for SIGKILL, which ``tests/cli/test_compression.py`` sends when slow tests are asked for."""


def test_broken_off_at_random_writes_it_ends_with_the_same_weights(pruned, tmp_path, monkeypatch):
    result, folder, again = pruned
    draw = random.Random(11)
    for _ in range(3):
        left = draw.randrange(1, 4)

        def write(path, text):
            nonlocal left
            left -= 1
            if not left:
                raise Broken
            replace_file(path, text)

        with monkeypatch.context() as patch, pytest.raises(Broken):
            patch.setattr(stages, "replace_file", write)
            patch.setattr(loop, "replace_file", write)
            again(tmp_path / "out")
    assert again(tmp_path / "out").steps == result.steps
    for name in ("network.safetensors", "start-0.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_another_request_for_the_folder_is_refused(pruned):
    _, folder, again = pruned
    with pytest.raises(UsageError, match="another job lies here; it differs in budget, criterion"):
        again(folder, budget="50%", criterion="magnitude")


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        ask(tmp_path)


def test_a_budget_out_of_reach_leaves_the_smallest_that_was_found(tmp_path):
    result = ask(tmp_path / "out", budget="5%")
    assert not result.met
    assert result.undershoot < 0
    assert result.used > result.limit
    assert (tmp_path / "out" / result.files["weights"]).exists()
    assert result.steps[-1]["densities"]["down.0"] == min(weights.DENSITIES)


def test_a_search_that_is_cut_short_at_the_end_does_not_lift_it_above_the_budget(tmp_path, monkeypatch):
    searched, calls = job.modelled, []

    def cut_short(*arguments, **other):
        calls.append(other)
        search = STEADY if len(calls) == 1 else Exact(factors="any", time_limit_s=None, node_limit=1)
        return searched(*arguments, search=search, **other)

    monkeypatch.setattr(job, "modelled", cut_short)
    monkeypatch.setattr(Job, "hand_over", lambda *_: Handed({"weights": "", "onnx": ""}, {}, 0.0))
    monkeypatch.setattr(Job, "timed", lambda job, before, after, onnx: (before, after))
    result = ask(tmp_path / "out", train=lambda *_, **__: None)
    assert result.met
    assert result.used == pytest.approx(result.steps[-1]["used"], rel=1e-9)


def test_a_budget_of_channels_that_is_met_already_changes_nothing(tmp_path):
    pytest.importorskip("torch_pruning")

    def train(*_, **__):
        raise AssertionError("there is nothing to tune")

    result = ask(tmp_path / "out", budget="100%", of="macs", criterion="channels", train=train)
    assert result.met and not result.steps
    assert result.accuracy_after == result.accuracy_before


def test_channels_are_taken_until_the_tuned_network_is_within_its_energy(tmp_path, monkeypatch):
    pytest.importorskip("torch_pruning")
    monkeypatch.setattr(Job, "hand_over", lambda *_: Handed({"weights": "", "onnx": ""}, {}, 0.0))
    monkeypatch.setattr(Job, "timed", lambda job, before, after, onnx: (before, after))
    turns = []

    def train(module, *, after_step):
        """Tuning after which fewer activations are zero."""
        turns.append(module)
        if len(turns) == 1:
            for norm in (child for child in module.modules() if isinstance(child, torch.nn.BatchNorm2d)):
                norm.bias.data += 1.0

    result = ask(tmp_path / "out", budget="95%", criterion="channels", grid=2, train=train)
    assert len(turns) == 2, "the first tuning lifts it above the budget"
    assert result.met and result.used <= result.limit


def test_channels_come_on_the_grid_and_within_the_budget(narrow):
    result, folder = narrow
    assert result.met
    assert result.after.macs <= 0.9 * result.before.macs
    module = reload(digit_network.trained(), digit_network.EXAMPLE, folder=folder)
    assert module.stem[0].out_channels % 4 == module.down[0].out_channels % 4 == 0
    assert module.stem[0].out_channels == 16, "kept layers share their channels with it"


def test_arms_differ_by_their_criterion_and_in_nothing_else(tmp_path, monkeypatch):
    seen, chosen = {}, {}
    original = weights.prune_to

    def recorded(module, densities, batches, energies):
        seen[criterion] += ["pruned", digest(module), [float(b.double().sum()) for b in batches], energies.total()]
        chosen[criterion] = densities
        return original(module, densities, batches, energies)

    def train(module, *, after_step):
        seen[criterion].append("trained")

    monkeypatch.setattr(weights, "prune_to", recorded)
    monkeypatch.setattr(Job, "hand_over", lambda *_: Handed({"weights": "", "onnx": ""}, {}, 0.0))
    monkeypatch.setattr(Job, "timed", lambda job, before, after, onnx: (before, after))
    settings = {}
    for criterion in weights.CRITERIA:
        seen[criterion] = []
        # Far enough above what zeros can reach that no arm needs a second round.
        result = ask(tmp_path / criterion, criterion=criterion, budget="70%", train=train, recipe=RECIPE)
        settings[criterion] = {k: v for k, v in result.settings.items() if k != "criterion"}
        seen[criterion] = seen[criterion][:5]
    assert all(value == settings["energy"] for value in settings.values())
    assert all(value == seen["energy"] for value in seen.values())
    assert seen["energy"][-1] == "trained"
    assert len({json.dumps(densities) for densities in chosen.values()}) == len(weights.CRITERIA)


def test_users_callables_train_judge_and_calibrate(tmp_path):
    calls = []

    def train(module, *, after_step):
        calls.append("train")
        for layer in module.modules():
            if hasattr(layer, "weight"):
                layer.weight.data += 0.001
        after_step(module)

    def evaluate(module):
        calls.append("evaluate")
        return digit_network.accuracy(module)

    result = ask(tmp_path / "out", train=train, evaluate=evaluate)
    assert {"train", "evaluate"} == set(calls)
    shares = zero_shares(reload(digit_network.trained(), digit_network.EXAMPLE, folder=tmp_path / "out"))
    assert max(shares.values()) > 0.3, "what the user's training moved was blanked again"
    assert result.accuracy_before == digit_network.accuracy(digit_network.trained())


def test_the_callers_network_stays_as_it_is(pruned):
    assert digest(digit_network.trained()) == pruned[0].settings["weights"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"criterion": "energie"}, "unknown criterion 'energie'"),
        ({"budget": "1.2mJ"}, "eyeriss-methodology counts energy in mac16, not in joules"),
        ({"budget": "20 MMACs"}, "zeros in weights are chosen within an energy budget, not one of macs"),
        ({"hardware": "eyeriss-like-45nm"}, "eyeriss-like-45nm saves nothing by zeros"),
        ({"budget": "a little"}, "'a little' is no budget"),
        ({"of": "power"}, "a budget can't be of 'power'"),
        ({"keep": ["hed"]}, "no layer 'hed'"),
        ({"criterion": "channels", "keep": ["hed"]}, "no layer 'hed'"),
        ({"criterion": "channels", "grid": 0}, "multiples of at least 1"),
        ({"budget": None}, "a budget, or points to lose, is needed"),
        ({"lose": -1}, "from 0 to 100 points can be lost, got -1"),
        ({"criterion": "channels", "lose": 1}, "channels go to a budget"),
        ({"evaluate": None}, "without data evaluate must be given"),
        ({"data": "digits"}, "not both"),
        ({"evaluate": lambda module: 87.0}, "a share from 0 to 1, got 87.0"),
    ],
)
def test_bad_requests_are_refused_in_words(tmp_path, other, message):
    with pytest.raises(UsageError, match=message):
        ask(tmp_path / "out", **other)


def test_networks_that_can_not_be_changed_are_refused(tmp_path):
    for model, example, message in (
        ("mobilenet_v2", None, "is no package.module:factory"),
        (torch.nn.Linear(2, 2), None, "an example input is needed"),
        (digit_network.data, digit_network.EXAMPLE, "an nn.Module is needed"),
    ):
        with pytest.raises(UsageError, match=message):
            prune(
                model, example, hardware="eyeriss-v2", budget="60%", evaluate=digit_network.accuracy,
                calibrate=digit_network.batches, output=tmp_path / "out",
            )  # fmt: skip


def test_what_is_no_result_is_not_reloaded(pruned, tmp_path):
    with pytest.raises(InputError, match="no result can be read"):
        reload(digit_network.trained(), digit_network.EXAMPLE, folder=tmp_path)
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(InputError, match="no result of prune or quantize"):
        reload(digit_network.trained(), digit_network.EXAMPLE, folder=tmp_path)
    with pytest.raises(InputError, match="weights are those of another network"):
        reload(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3)), digit_network.EXAMPLE, folder=pruned[1])
