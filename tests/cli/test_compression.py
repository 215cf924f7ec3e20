"""``picojoule prune`` and ``quantize`` on the digits; killed at random moments they end with the same bits."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import digit_network

from picojoule.train.checkpoint import save_tensors

SUPPORT = Path(__file__).parents[1]
USERS = ("--evaluate", "support.digit_network:accuracy", "--calibrate", "support.digit_network:batches")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "digits.safetensors"
    save_tensors(path, digit_network.trained().state_dict(), {})
    return path


def prune(weights, out, *more):
    return (
        "prune", "support.digit_network:untrained", "--weights", weights, "--hardware", "eyeriss-methodology", "--folder",
        out, *more,
    )  # fmt: skip


def test_prune_prints_before_and_after_and_writes_the_network(run, weights, folder):
    ran = run(*prune(weights, "out", "--budget", "60%", *USERS))
    assert ran.exit_code == 0, ran.output
    for word in ("MACs executed", "energy, modelled", "time, measured", "accuracy", "met", "points"):
        assert word in ran.stdout
    result = json.loads((folder / "out" / "result.json").read_text())
    assert result["met"] and result["used"] <= result["limit"]
    again = run(*prune(weights, "out", "--budget", "60%", *USERS, "--format", "json"))
    assert json.loads(again.stdout) == result
    refused = run(*prune(weights, "out", "--budget", "55%", *USERS))
    assert refused.exit_code == 2
    assert "another job lies here; it differs in budget" in refused.stderr


def test_a_budget_out_of_reach_exits_with_1_and_saves_the_smallest(run, weights, folder):
    ran = run(*prune(weights, "out", "--budget", "3%", *USERS))
    assert ran.exit_code == 1
    assert "missed" in ran.stdout
    assert (folder / "out" / "network.safetensors").exists()


def test_accuracy_may_end_it_and_results_go_on_one_page(run, weights, folder):
    first = run(*prune(weights, "a", "--lose", "3", "--budget", "85%", "--sensitivity", "s.json", *USERS))
    assert first.exit_code == 0, first.output
    assert "accuracy, INT8" in first.stdout
    second = run(*prune(weights, "b", "--budget", "70%", "--sensitivity", "s.json", *USERS))
    assert second.exit_code == 0, second.output
    assert run("report", "a/result.json", "b/result.json", "-o", "front.html").exit_code == 0
    page = (folder / "front.html").read_text(encoding="utf-8")
    assert "Accuracy against energy" in page and page.count('<b class="dot"') == 3
    assert run("report", "a/result.json", "s.json").exit_code == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--budget", "much", *USERS), "is no budget"),
        (("--budget", "60%"), "without data"),
        (USERS, "a budget, or points to lose, is needed"),
        (("--budget", "60%", "--data", "nowhere"), "there is no folder 'nowhere'"),
        (("--budget", "60%", "--data", "digits", "--normalise", "1/0"), "no mean and deviation"),
        (("--budget", "60%", "--criterion", "enrgy", *USERS), "unknown criterion"),
        (("--budget", "60%", "--evaluate", "support.digit_network:acuracy", *USERS[2:]), "acuracy"),
    ],
)
def test_bad_requests_exit_with_2_and_say_why(run, weights, more, message):
    ran = run(*prune(weights, "out", *more))
    assert ran.exit_code == 2
    assert message in ran.stderr


def _started(arguments, where):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(SUPPORT.parent / "src")]),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "picojoule", *map(str, arguments)], cwd=where, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _digests(folder):
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("network.safetensors",)}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL needs POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, 12])
def test_killed_at_random_moments_it_ends_with_the_same_weights(weights, tmp_path, kills):
    def job(name):
        return prune(weights, tmp_path / name, "--budget", "60%", "--data", "digits", "--epochs", 3)

    assert _started(job("undisturbed"), tmp_path).wait(600) == 0
    files = sum(1 for _ in (tmp_path / "undisturbed").rglob("*"))
    draw = random.Random(kills)
    killed = 0
    for _ in range(kills):
        # Moments are told by what lies in the folder: seconds differ from machine to machine.
        moment, folder = draw.randrange(1, files), tmp_path / "killed"
        process = _started(job("killed"), tmp_path)
        while process.poll() is None and sum(1 for _ in folder.rglob("*")) < moment:
            time.sleep(0.02)
        time.sleep(draw.random() * 0.3)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed
    assert _started(job("killed"), tmp_path).wait(600) == 0
    assert _digests(tmp_path / "killed") == _digests(tmp_path / "undisturbed")
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("undisturbed", "killed"))
    assert first["accuracy_after"] == second["accuracy_after"]
    assert first["steps"] == second["steps"]
