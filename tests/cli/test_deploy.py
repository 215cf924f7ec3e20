"""``picojoule exits deploy`` and ``picojoule run`` at operating points: from samples to answers, and what they refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import onnx_exits


@pytest.fixture
def data(folder):
    onnx_exits.adaptive(folder)
    np.savez(folder / "flat.npz", image=np.float32(0.02) * onnx_exits.images(300, seed=4))
    return folder


DEPLOY = ("exits", "deploy", "net.bundle", "--choosing", "choosing.npz", "--energies", "1e6,4e6,1e7", "--levels", "8")


def test_deploy_then_run_at_each_wish(run, data):
    made = run(*DEPLOY, "--calibration", "held.npz", "--target-accuracy", "0.7", "--combine", "-o", "adaptive.bundle")
    assert made.exit_code == 0, made.stderr
    assert "calibrated on 900 samples held out" in made.stdout and "each guarantee with confidence 0.9" in made.stdout
    assert "picojoule run adaptive.bundle --input IMAGES --alpha 0.3" in made.stdout
    points = json.loads((data / "adaptive.bundle" / "manifest.json").read_text())["operation"]["points"]
    energies = {}
    for wish in (("--alpha", "0.3"), ("--alpha", "0.9"), ("--target-accuracy", "0.7"), ("--energy-budget", "5uJ")):
        ran = run("run", "adaptive.bundle", "--input", "new.npz", *wish, "--format", "json")
        assert ran.exit_code == 0, ran.stderr
        found = json.loads(ran.stdout)
        assert found["drift"] is None and ran.stderr == ""
        assert found["point"]["thresholds"] in [point["thresholds"] for point in points]
        assert found["energy_pj"] * 1e-12 == pytest.approx(found["point"]["energy_j"], rel=0.15)
        assert found["accuracy"] == pytest.approx(found["point"]["accuracy"], abs=0.08)
        energies[wish] = found["energy_pj"]
    assert energies["--alpha", "0.9"] < energies["--alpha", "0.3"]
    assert energies["--energy-budget", "5uJ"] < 5.5e6
    table = run("run", "adaptive.bundle", "--input", "new.npz", "--target-accuracy", "0.7").stdout
    assert "for target accuracy 0.7" in table and "guaranteed" in table and "margin combined, point" in table


def test_a_change_is_told(run, data):
    assert run(*DEPLOY, "--calibration", "held.npz", "-o", "adaptive.bundle").exit_code == 0
    ran = run("run", "adaptive.bundle", "--input", "flat.npz", "--alpha", "0.3")
    assert ran.exit_code == 0
    assert "samples leave elsewhere than at calibration" in ran.stdout and "beware: samples leave elsewhere" in ran.stderr
    assert "false alarm has a chance of 0.001" in " ".join(ran.stdout.split())
    as_json = json.loads(run("run", "adaptive.bundle", "--input", "flat.npz", "--alpha", "0.3", "--format", "json").stdout)
    assert as_json["drift"]["after"] <= 300 and sum(as_json["drift"]["found"]) == pytest.approx(1)


def test_int8_stages(run, data):
    made = run(*DEPLOY, "--int8", "-o", "small.bundle", "--format", "json")
    assert made.exit_code == 0, made.stderr
    manifest = json.loads(made.stdout)["manifest"]
    assert manifest["quantization"]["calibrated_on"] == 512 and min(manifest["quantization"]["agreement"]) > 0.9
    assert manifest["operation"]["delta"] is None
    assert run("run", "small.bundle", "--input", "new.npz", "--target-accuracy", "0.6").exit_code == 0


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ((*DEPLOY, "-o", "net.bundle"), 2, "exists"),
        ((*DEPLOY,), 2, "goes into a folder"),
        ((*DEPLOY, "--target-accuracy", "0.99", "-o", "b"), 3, "no operating point is so accurate"),
        ((*DEPLOY[:3], "--choosing", "flat.npz", "--energies", "1,2,3", "-o", "b"), 3, "there are no labels"),
        ((*DEPLOY[:5], "--energies", "1,2", "-o", "b"), 3, "3 exits answer, 2 have an energy"),
        (("run", "net.bundle", "--input", "new.npz", "--alpha", "0.3"), 2, "no operating points to choose from"),
        (("run", "net.bundle", "--input", "new.npz", "--alpha", "0.3", "--target-accuracy", "0.7"), 2, "one of them"),
        (("run", "net.bundle", "--input", "new.npz", "--energy-budget", "lots"), 2, "not an energy"),
    ],
)  # fmt: skip
def test_what_is_refused(run, data, command, code, said):
    ran = run(*command)
    assert ran.exit_code == code and said in ran.stderr, ran.stderr
