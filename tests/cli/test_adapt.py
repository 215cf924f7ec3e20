"""``picojoule adapt`` on the digits; killed at random moments it ends with the same bits."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time

import pytest
from support import digit_network

from picojoule.train.checkpoint import save_tensors

from .test_compression import _started

pytest.importorskip("torch_pruning")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "digits.safetensors"
    save_tensors(path, digit_network.trained().state_dict(), {})
    return path


def adapt(weights, out, *more):
    return (
        "adapt", "support.digit_network:untrained", "--weights", weights, "--folder", out, "--grid", 4, "--step", 0.15,
        "--data", "digits", "--epochs", 1, *more,
    )  # fmt: skip


def test_adapt_prints_its_steps_and_writes_network_result_and_page(run, weights, folder):
    ran = run(*adapt(weights, "out", "--budget", "80% macs", "--steps", 5))
    assert ran.exit_code == 0, ran.output
    for word in ("met", "step", "filters", "of budget", "proposals", "accuracy"):
        assert word in ran.stdout
    assert "above the budget" in ran.stderr or "within the budget" in ran.stderr
    result = json.loads((folder / "out" / "result.json").read_text())
    assert result["met"] and result["steps"]
    page = run("report", "out/result.json", "-o", "adapted.html")
    assert page.exit_code == 0, page.output
    shown = (folder / "adapted.html").read_text()
    assert "Accuracy against macs, step by step" in shown and result["steps"][0]["root"] in shown
    result["steps"][0].pop("costs")
    (folder / "damaged.json").write_text(json.dumps(result))
    refused = run("report", "damaged.json", "-o", "damaged.html")
    assert refused.exit_code == 3
    assert "a step or budget is not as" in refused.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--budget", "2% macs"), "below the least that can be reached"),
        (("--budget", "1 GMACs"), "nothing was changed"),
        (("--budget", "50%", "--runner", "bench"), "doesn't say where the file goes"),
        (("--budget", "50% macs", "--keep", "stem"), "no layer 'stem' with weights"),
    ],
)
def test_bad_requests_exit_with_2_say_why_and_leave_nothing(run, weights, folder, more, message):
    ran = run(*adapt(weights, "out", *more))
    assert ran.exit_code == 2, ran.output
    assert message in ran.stderr
    assert not (folder / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL needs POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, 5])
def test_killed_at_random_moments_it_ends_with_the_same_weights(weights, tmp_path, kills):
    def job(name):
        return adapt(weights, tmp_path / name, "--budget", "60% macs", "--steps", 20)

    began = time.monotonic()
    assert _started(job("undisturbed"), tmp_path).wait(600) == 0
    took = time.monotonic() - began
    draw = random.Random(kills)
    killed = 0
    while killed < kills:
        process = _started(job("killed"), tmp_path)
        time.sleep(took * draw.uniform(0.2, 0.9))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        killed += 1
    assert killed
    assert _started(job("killed"), tmp_path).wait(600) == 0
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("undisturbed", "killed"))
    assert first["steps"] != [] and [s["removed"] for s in first["steps"]] == [s["removed"] for s in second["steps"]]
    assert first["accuracy_after"] == second["accuracy_after"]
    digests = {
        hashlib.sha256((tmp_path / name / "network.safetensors").read_bytes()).hexdigest() for name in ("undisturbed", "killed")
    }
    assert len(digests) == 1
