"""Networks that are adapted to a budget: the way there, what it costs, and what comes of runs that are broken off."""

from __future__ import annotations

import functools
import json
import random
import stat
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support import digit_network

from picojoule.atomic_file import replace_file
from picojoule.compress import adapt, adapting, bounds, brief, handover, job, meters, reload, stages
from picojoule.compress.channels import Group
from picojoule.compress.netadapt import Schedule, smallest
from picojoule.compress.widths import Widths
from picojoule.errors import SystemFailure, UsageError
from picojoule.frontends import load_model
from picojoule.jobs import cluster as clusters
from picojoule.runtime import latency_table
from picojoule.search import Exact
from picojoule.train import loop
from picojoule.train.checkpoint import load_tensors, save_tensors

from .conftest import RECIPE

pytest.importorskip("torch_pruning")

QUICK = {
    "budget": "80% macs", "data": "digits", "recipe": replace(RECIPE, peak_rate=4e-3), "steps": 6, "step": 0.08, "grid": 4,
}  # fmt: skip


def ask(folder, **other):
    return adapt(digit_network.trained(), digit_network.EXAMPLE, **QUICK | {"output": folder} | other)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    notes = []
    folder = tmp_path_factory.mktemp("adapted") / "macs"
    return ask(folder, note=notes.append), folder, notes


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """What has been tried by ``adapted`` is not done again by every other test: ONNX files, and layers at other widths."""

    def export(module, example, path):
        path.write_bytes(bytes(4 * sum(p.numel() for p in module.parameters())))

    monkeypatch.setattr(bounds, "export_onnx", export)
    monkeypatch.setattr(job, "export_onnx", export)
    monkeypatch.setattr(job, "measured_ms", lambda path, shape, against: [2.0, 1.0])
    monkeypatch.setattr(job.Job, "hand_over", handed)
    monkeypatch.setattr(adapting, "Widths", lambda module, example, keep: WIDTHS(tuple(keep)))


def handed(self, module):
    handover.flush(module)
    save_tensors(self.stages.folder / handover.WEIGHTS, module.state_dict(), {"settings": self.settings})
    return job.Handed({"weights": handover.WEIGHTS, "onnx": handover.FLOAT}, {}, 0.5)


WIDTHS = functools.cache(lambda keep: Widths(digit_network.trained(), digit_network.EXAMPLE, keep))


def test_every_step_meets_what_it_asked_for_and_the_last_one_the_budget(adapted):
    result, *_ = adapted
    assert result.met and result.used <= result.limit == 0.8 * result.before.macs
    assert result.used == result.after.macs
    assert len(result.steps) > 1
    cost = result.before.macs
    for index, step in enumerate(result.steps):
        asked = max(result.limit, cost - 0.08 * 0.96**index * result.before.macs)
        assert step["targets"] == [pytest.approx(asked)]
        assert step["costs"][0] <= asked
        cost = step["costs"][0]


def test_the_most_accurate_proposal_wins_and_has_the_most_filters_that_meet(adapted):
    result, *_ = adapted
    for step in result.steps:
        assert step["accuracy"] == max(one["accuracy"] for one in step["proposals"])
        assert {one["root"] for one in step["proposals"]} <= {"stem.0", "block.conv1", "down.0"}
    first = next(one for one in result.steps[0]["proposals"] if one["root"] == "block.conv1")
    # A channel of block.conv1 is 1/16 of both convolutions of the block.
    assert first["channels"] == 12


def test_accuracy_survives_and_what_is_exported_is_what_was_adapted(adapted):
    result, folder, _ = adapted
    assert result.accuracy_after > result.accuracy_before - 0.05
    network = load_model(folder / result.files["onnx"], shape={"input": (1, 1, 8, 8)})
    assert network.macs == result.after.macs
    module = reload(digit_network.trained(), digit_network.EXAMPLE, folder=folder)
    tensors, _ = load_tensors(folder / result.files["weights"])
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in tensors.items())
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result.to_data()))


def test_progress_says_how_far_the_budget_is_how_accurate_it_is_and_how_long_it_takes(adapted):
    _, _, notes = adapted
    steps = [note for note in notes if note.startswith("step ")]
    assert "above the budget" in steps[0] and "right" in steps[0] and "min for" in steps[0]
    assert "within the budget" in steps[-1]


def test_filters_of_smallest_norm_go():
    layer = torch.nn.Conv2d(1, 4, 1)
    layer.weight.data = torch.tensor([3.0, -1.0, 2.0, 0.5]).view(4, 1, 1, 1)
    module = torch.nn.Sequential(layer)
    assert smallest(module, Group("0", ("0",), 4), 2) == [1, 3]


class Broken(BaseException):
    """Stands for SIGKILL, which ``tests/cli/test_adapt.py`` sends when slow tests are asked for."""


def test_broken_off_at_random_writes_it_ends_with_the_same_weights(adapted, tmp_path, monkeypatch):
    result, folder, _ = adapted
    draw = random.Random(3)
    broken = 0
    for _ in range(3):
        left = draw.randrange(2, 7)

        def write(path, text):
            nonlocal left, broken
            left -= 1
            if not left:
                broken += 1
                raise Broken
            replace_file(path, text)

        def save(path, tensors, facts, real=brief.save_tensors):
            write(path.with_suffix(".asked"), "")
            real(path, tensors, facts)

        with monkeypatch.context() as patch:
            patch.setattr(stages, "replace_file", write)
            patch.setattr(loop, "replace_file", write)
            patch.setattr(brief, "save_tensors", save)
            try:
                ask(tmp_path / "out")
            except Broken:
                continue
    assert broken >= 2
    again = ask(tmp_path / "out")
    assert [step["removed"] for step in again.steps] == [step["removed"] for step in result.steps]
    assert (tmp_path / "out" / "network.safetensors").read_bytes() == (folder / "network.safetensors").read_bytes()


def test_two_processes_make_the_same_network_as_one(tmp_path):
    pytest.importorskip("joblib")
    results = [ask(tmp_path / str(jobs), jobs=jobs, step=0.3) for jobs in (1, 2)]
    assert len(results[0].steps[0]["proposals"]) > 1
    first, second = ([step["proposals"] for step in result.steps] for result in results)
    assert first == second
    name = results[0].files["weights"]
    assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_cluster_makes_the_same_network_as_one_process(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    done = []

    def counted(*asked, real=clusters.on_cluster):
        for key, answer in real(*asked):
            done.append(key)
            yield key, answer

    monkeypatch.setattr(clusters, "on_cluster", counted)
    here = ask("here", step=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=50)
    with cluster:
        there = ask("there", step=0.3, cluster=cluster.scheduler_address)
    assert done == [one["root"] for step in here.steps for one in step["proposals"]] and len(done) > 1
    assert [step["proposals"] for step in there.steps] == [step["proposals"] for step in here.steps]
    name = here.files["weights"]
    assert Path("there", name).read_bytes() == Path("here", name).read_bytes()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"budget": "3% macs"}, r"below the least that can be reached, 0\.\d+ M MACs \(\d+% of what"),
        ({"budget": "1000 MMACs"}, r"takes 0.378 M MACs, which is within the budget of 1000 MMACs: nothing was changed"),
        ({"budget": "50 kB"}, "not of bytes"),
        ({"budget": "50%", "of": "enrgy"}, "not of 'enrgy'"),
        ({"budget": "50%", "of": "energy"}, "needs a machine that is modelled"),
        ({"budget": "1ms", "hardware": "eyeriss-normalized"}, "has no clock"),
        ({"hardware": ["eyeriss-v1", "eyeriss-v2"]}, "one machine"),
        ({"runner": "bench {onnx}", "hardware": "eyeriss-v1", "budget": "50%"}, "name the hardware 'measured'"),
        ({"keep": ["stem.1"]}, "no layer 'stem.1' with weights"),
        ({"method": "netadpt"}, "unknown method"),
        ({"step": 1.5}, "a step of 1.5"),
        ({"waypoint": "70% macs"}, "70% macs is not on the way to 80% macs"),
        ({"waypoint": "0.4 MMACs"}, "nothing was changed"),
        ({"waypoint": ["90%", "90% macs"]}, "90% macs is named twice"),
        ({"waypoint": ["90%", "90.0%"]}, "90.0% is named twice"),
        ({"budget": "1.2mJ", "hardware": "eyeriss-normalized"}, "counts energy in mac16, not in joules"),
        ({"budget": "3 parsecs"}, "'3 parsecs' is no budget"),
        ({"waypoint": "1ms"}, "a waypoint of latency is not on the way to a budget of macs"),
        ({"waypoint": "90%", "budget": ["80% macs", "70% macs"]}, "on the way to 2 budgets"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_no_folder(tmp_path, other, message):
    with pytest.raises(UsageError, match=message):
        ask(tmp_path / "out", **other)
    assert not (tmp_path / "out").exists()


def test_what_is_refused_leaves_folders_as_they_were(tmp_path):
    (tmp_path / "own").mkdir()
    for name in ("own", "deep/er/folder"):
        with pytest.raises(UsageError, match="below the least") as refused:
            ask(tmp_path / name, budget="3% macs")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert not any((tmp_path / "own").iterdir())
    assert refused.value.hint == "Ask for more, or take a smaller grid."
    with pytest.raises(UsageError) as refused:
        ask(tmp_path / "kept", budget="3% macs", keep=["block.conv2"])
    assert "keep fewer layers" in refused.value.hint


def test_a_waypoint_that_is_no_looser_than_the_budget_is_refused_before_the_network_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "open_job", None)
    with pytest.raises(UsageError, match="40% macs is not on the way"):
        ask(tmp_path / "out", budget="50% macs", waypoint="40% macs")


def test_what_is_kept_changes_neither_filters_nor_inputs(tmp_path):
    result = ask(tmp_path / "out", keep=["block.conv2"], budget="95% macs")
    assert {step["root"] for step in result.steps} == {"down.0"}
    assert {one["root"] for step in result.steps for one in step["proposals"]} == {"down.0"}


def test_a_training_of_ones_own_is_asked_for_a_few_steps(tmp_path):
    asked = []

    def train(module, after_step, steps=None):
        asked.append(steps)

    users = {"data": None, "evaluate": digit_network.accuracy, "calibrate": digit_network.batches}
    result = ask(tmp_path / "out", budget="90% macs", train=train, **users)
    assert set(asked) == {6, None} and asked[-1] is None
    assert result.met
    with pytest.raises(UsageError, match="can't be asked for a few steps"):
        ask(tmp_path / "other", train=lambda module, after_step: None, **users)


def test_several_budgets_are_all_met_and_the_table_adds_up_to_the_estimate(tmp_path):
    result = ask(
        tmp_path / "out", budget=["85% macs", "85%"], hardware="eyeriss-methodology",
        search=Exact(node_limit=50, time_limit_s=None, factors="exact"),
    )  # fmt: skip
    assert result.met
    kinds = {one["kind"]: one for one in result.budgets}
    assert set(kinds) == {"macs", "energy"}
    assert kinds["energy"]["start"] == pytest.approx(result.before.energy, rel=1e-9)
    assert kinds["energy"]["used"] == pytest.approx(result.after.energy, rel=1e-9)
    assert all(one["used"] <= one["limit"] for one in result.budgets)


@pytest.mark.parametrize("method", ["uniform", "morphnet"])
def test_what_it_is_compared_with_meets_the_budget_too(tmp_path, method):
    result = ask(tmp_path / "out", method=method, budget="70% macs")
    assert result.met and result.used > 0.4 * result.limit
    assert result.accuracy_after > 0.8
    assert len(result.steps) > 1, "all groups lose filters"
    module = reload(digit_network.trained(), digit_network.EXAMPLE, folder=tmp_path / "out")
    assert load_model(module, digit_network.EXAMPLE).macs == result.after.macs


def test_reductions_of_a_number_of_iterations_add_up_to_the_budget():
    schedule = Schedule(iterations=10)
    asked = [schedule.reduction(i, 100.0, 60.0) for i in range(10)]
    assert sum(asked) == pytest.approx(40)
    assert asked[1] == pytest.approx(0.96 * asked[0])
    assert Schedule().reduction(0, 100.0, 0.0) == 2.5
    assert Schedule().reduction(1, 100.0, 0.0) == pytest.approx(2.4)
    assert Schedule().reduction(500, 100.0, 0.0) > 0.1, "every budget is come to at last"


RUNNER = """#!/bin/sh
echo x >> {calls}
if [ "$(wc -l < {calls})" -eq "$(cat {fails})" ]; then echo gone >&2; exit 7; fi
echo "{{\\"ms\\": $(( $(wc -c < "$1") / 100 ))}}"
"""


def runner(folder, fails_at):
    """A device on which a network takes as long as its file is large, and that fails once."""
    script, calls, fails = folder / "bench.sh", folder / "calls", folder / "fails"
    calls.write_text("")
    fails.write_text(str(fails_at))
    script.write_text(RUNNER.format(calls=calls, fails=fails))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{script} {{onnx}}", calls


def test_a_runner_that_fails_half_way_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(meters, "CALLS", 1)
    command, calls = runner(tmp_path, 30)
    given = {"hardware": "measured", "runner": command, "budget": "85%", "grid": 8, "step": 0.2}
    with pytest.raises(SystemFailure, match="exit code 7: gone"):
        ask(tmp_path / "out", **given)
    measured = (tmp_path / "out" / "table.journal").read_text().splitlines()
    assert len(measured) > 5
    result = ask(tmp_path / "out", **given)
    assert (tmp_path / "out" / "table.journal").read_text().splitlines()[: len(measured)] == measured
    broken = len(calls.read_text().splitlines())
    assert result.met and result.kind == "measured latency"
    command, calls = runner(tmp_path, 10**9)
    whole = ask(tmp_path / "whole", **given | {"runner": command})
    # The start is asked for again, and the layer whose call failed, with its surroundings.
    assert broken <= len(calls.read_text().splitlines()) + 1 + 2
    assert [step["removed"] for step in whole.steps] == [step["removed"] for step in result.steps]
    for costs, seconds in ((result.before, result.budgets[0]["start"]), (result.after, result.budgets[0]["used"])):
        assert costs.measured_ms == pytest.approx(1e3 * seconds), "the runner's time, not this computer's"
    assert not any("measured time did not" in remark for remark in result.remarks)


def test_what_a_runner_measured_for_a_budget_that_was_refused_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(meters, "CALLS", 1)
    command, calls = runner(tmp_path, 10**9)
    given = {"hardware": "measured", "runner": command, "grid": 8, "step": 0.2}
    with pytest.raises(UsageError, match="below the least") as refused:
        ask(tmp_path / "out", budget="1%", **given)
    assert "What the runner measured stays in" in refused.value.hint
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["table.journal"]
    refused_calls = len(calls.read_text().splitlines())
    assert ask(tmp_path / "out", budget="85%", **given).met
    total = len(calls.read_text().splitlines())
    command, calls = runner(tmp_path, 10**9)
    assert ask(tmp_path / "afresh", budget="85%", **given | {"runner": command}).met
    again = 3  # the network as it came, and the narrowest one in turn with it
    assert total == len(calls.read_text().splitlines()) + again < refused_calls + len(calls.read_text().splitlines())


def test_networks_that_differ_in_late_layers_alone_are_measured_each(tmp_path, monkeypatch):
    """The files of what whole networks take are told apart by the widths of all groups."""
    names = []
    monkeypatch.setattr(adapting, "narrowed", lambda *_: (None, []))
    widths = SimpleNamespace(groups=[SimpleNamespace(root=str(i)) for i in range(60)], start={}, at=lambda channels: channels)
    table = SimpleNamespace(calibrate=lambda network, whole: [sum(whole)])
    offered = [{str(i): 128 - (i == 59) * turn for i in range(60)} for turn in range(2)]
    asked = SimpleNamespace(widths=widths, table=table, grid=1, whole=lambda after: [0.0])
    job_ = SimpleNamespace(module=None, example=None, stages=SimpleNamespace(figures=lambda name, make: names.append(name) or make()))
    left = iter([*offered, offered[-1]])
    adapting._fitted(job_, asked, None, lambda limits: next(left), None)([-1.0])
    assert len(names) == len(set(names)) == 2


class Table:
    """A look-up table of a machine on which a MAC takes a nanosecond."""

    def __init__(self, path):
        pass

    def prepare(self, networks):
        pass

    def predict(self, network):
        layers = {layer.name: layer.macs * 1e-9 for layer in network.layers}
        return latency_table.Prediction(latency_s=0, layers_s=layers, run_s=1e-5, left_out=())


def test_what_networks_take_as_a_whole_counts_whatever_the_table_adds_up_to(tmp_path, monkeypatch):
    """The table knows MACs; run as a whole, a network takes as long as its file is large."""

    def timed(path, shape, against=None, repeats=0):
        return [2.0] if against is None else [2.0, 2.0 * against.stat().st_size / path.stat().st_size]

    monkeypatch.setattr(latency_table, "LatencyTable", Table)
    monkeypatch.setattr(meters, "measured_ms", timed)
    result = ask(tmp_path / "out", budget="1.6ms", hardware="measured", steps=0, waypoint="1.8ms")
    halfway = json.loads((tmp_path / "out" / result.files["1.8ms"]).read_text())
    for found, limit in ((result.to_data(), 1.6e-3), (halfway, 1.8e-3)):
        assert found["met"] and found["limit"] == pytest.approx(limit)
        assert found["used"] == pytest.approx(2e-3 * found["after"]["bytes"] / found["before"]["bytes"], rel=0.01)
        assert limit * 0.8 < found["used"] <= limit
    assert any(step["foretold"][0] != pytest.approx(step["costs"][0], rel=0.01) for step in result.steps)
    assert all(step["foretold"][0] <= step["targets"][0] for step in result.steps)
    uniform = ask(tmp_path / "uniform", budget="1.6ms", hardware="measured", method="uniform")
    assert uniform.met
    assert uniform.used == pytest.approx(2e-3 * uniform.after.bytes / uniform.before.bytes, rel=0.01)


def test_a_waypoint_is_a_network_of_its_own_on_the_same_way(tmp_path):
    result = ask(tmp_path / "out", budget="70% macs", waypoint=["90% macs"], steps=0)
    halfway = json.loads((tmp_path / "out" / "at-90" / "result.json").read_text())
    assert result.files["90% macs"] == "at-90/result.json"
    assert halfway["met"] and halfway["limit"] == pytest.approx(0.9 * halfway["before"]["macs"])
    assert 0 < len(halfway["steps"]) < len(result.steps)
    assert [step["removed"] for step in halfway["steps"]] == [s["removed"] for s in result.steps[: len(halfway["steps"])]]
    alone = ask(tmp_path / "alone", budget="90% macs", steps=0)
    assert [step["removed"] for step in alone.steps] == [step["removed"] for step in halfway["steps"]]
    files = [tmp_path / folder / halfway["files"]["weights"] for folder in ("out/at-90", "alone")]
    first, second = (load_tensors(file)[0] for file in files)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_run_in_the_folder_is_refused_and_the_same_one_is_answered(adapted):
    result, folder, _ = adapted
    again, first = ask(folder).to_data(), result.to_data()
    stubbed = {"files", "accuracy_int8"}  # see ``cheap``
    assert {key: again[key] for key in again.keys() - stubbed} == {key: first[key] for key in first.keys() - stubbed}
    with pytest.raises(UsageError, match="differs in budget"):
        ask(folder, budget="70% macs")
