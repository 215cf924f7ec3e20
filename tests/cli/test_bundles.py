"""``picojoule export --to bundle`` and ``picojoule run``: from a model file to answers, and what they refuse."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import PIL.Image
import pytest
from support import onnx_exits


@pytest.fixture
def model(folder):
    return onnx_exits.saved(folder / "net.onnx", onnx_exits.exits()).name


@pytest.fixture
def bundle(run, folder, model):
    (folder / "labels.txt").write_text("cat\ndog\nfrog\nship\n")
    more = ("--labels", "labels.txt", "--preprocess", "unit", "--confidence", "0.8")
    ran = run("export", model, "--to", "bundle", "-o", "net.bundle", *more)
    assert ran.exit_code == 0, ran.stderr
    return "net.bundle"


@pytest.fixture
def images(folder):
    (folder / "images").mkdir()
    for number, picture in enumerate(np.random.default_rng(0).integers(0, 256, (25, 9, 8, 3), dtype=np.uint8)):
        PIL.Image.fromarray(picture).save(folder / "images" / f"{number:02}.png")
    return "images"


@pytest.fixture
def arrays(folder):
    np.savez(folder / "data.npz", image=onnx_exits.images(40), labels=np.arange(40) % 4)
    return "data.npz"


def test_export_tells_of_the_stages_and_of_the_parity(run, model, folder):
    ran = run("export", model, "--to", "bundle", "-o", "b", "--confidence", "0.5")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("net · image float32 n×3×6×6") and lines[0].endswith("4 classes")
    assert [line.split()[0] for line in lines[2:5]] == ["stage0.onnx", "stage1.onnx", "stage2.onnx"]
    assert "map0 n×3×6×6" in lines[2] and "exit0 (logits ≥ 0.5)" in lines[2]
    assert "8 random inputs" in ran.stdout
    assert "wrote b" in ran.stderr and "next       picojoule run b" in ran.stdout
    assert sorted(file.name for file in (folder / "b").iterdir()) == ["manifest.json", *(f"stage{n}.onnx" for n in range(3))]


def test_export_as_json_is_the_manifest(run, model, folder):
    ran = run("export", model, "--to", "bundle", "-o", "b", "--exits", "none", "--scores", "none", "--seed", "3", "--format", "json")
    data = json.loads(ran.stdout)
    assert data["manifest"] == json.loads((folder / "b" / "manifest.json").read_text())
    assert len(data["manifest"]["stages"]) == 1 and data["manifest"]["seed"] == 3


def test_images_are_run_and_shown(run, bundle, images):
    ran = run("run", bundle, "--input", images, "--batch", "4", "--top-k", "2", "--threads", "1")
    assert ran.exit_code == 0, ran.stderr
    text = ran.stdout
    assert text.startswith("net · 25 samples") and "3 stages" in text and "1 thread" in text
    assert "00.png" in text and "19.png" in text and "20.png" not in text and "… 5 more" in text
    assert "top 2" in text and "top 3" not in text
    assert "7 batches of 4" in text and "median" in text and "█" in text
    assert "rule: confidence ≥ 0.8" in text


def test_every_form_says_the_same(run, bundle, arrays):
    data = json.loads(run("run", bundle, "--input", arrays, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(run("run", bundle, "--input", arrays, "--format", "csv").stdout)))
    assert data["schema"] == "picojoule/run/1" and len(data["samples"]) == 40 and len(rows) == 160
    assert [row["label"] for row in rows[:4]] == [entry["label"] for entry in data["samples"][0]["top"]]
    assert float(rows[0]["probability"]) == data["samples"][0]["top"][0]["probability"]
    right = [sample["top"][0]["class"] == sample["right"] for sample in data["samples"]]
    assert data["accuracy"] == sum(right) / 40
    assert sum(data["exits"]) == pytest.approx(1) and min(data["exits"]) > 0
    assert data["exits"][0] == sum(sample["exit"] == 0 for sample in data["samples"]) / 40
    assert sum(one["batches"] for one in data["latency"]["histogram"]) == data["latency"]["batches"] == 2
    shown = run("run", bundle, "--input", arrays).stdout
    assert f"accuracy   {100 * data['accuracy']:.2f} % of 40 labels" in shown


def test_confidence_moves_the_exits(run, bundle, arrays):
    shares = [
        json.loads(run("run", bundle, "--input", arrays, "--confidence", c, "--format", "json").stdout)["exits"]
        for c in ("0", "0.9", "1")
    ]
    assert shares[0] == [1, 0, 0]
    assert 1 > shares[1][0] > shares[2][0]


def test_outputs_are_written_as_they_are(run, folder, bundle, arrays):
    assert run("run", bundle, "--input", arrays, "--outputs", "out.npz", "--batch", "7").exit_code == 0
    with np.load(folder / "out.npz") as found:
        assert found["exit2"].shape == (40, 4) and set(found["exits"].tolist()) == {0, 1, 2}
    again = run("run", bundle, "--input", arrays, "--outputs", "out.npz")
    assert (again.exit_code, again.stdout) == (2, "") and "exists" in again.stderr
    assert run("run", bundle, "--input", arrays, "--outputs", arrays, "--force").exit_code == 2


def test_a_bundle_that_does_not_classify(run, folder, model, arrays):
    np.savez(folder / "x.npz", image=onnx_exits.images(3))
    run("export", model, "--to", "bundle", "-o", "b", "--scores", "none", "--exits", "none")
    ran = run("run", "b", "--input", "x.npz")
    assert ran.exit_code == 0 and "top 1" not in ran.stdout and "median" in ran.stdout
    rows = run("run", "b", "--input", "x.npz", "--format", "csv").stdout.splitlines()
    assert rows == ["input,exit,rank,class,label,probability,energy_pj", "0,0,,,,,", "1,0,,,,,", "2,0,,,,,"]


def test_tampered_bundles_are_refused(run, folder, bundle, arrays):
    path = folder / bundle / "stage1.onnx"
    path.write_bytes(path.read_bytes()[:-5])
    ran = run("run", bundle, "--input", arrays)
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert ran.stderr.startswith("error: net.bundle/stage1.onnx: the file is cut off")
    told = json.loads(run("run", bundle, "--input", arrays, "--format", "json").stdout)["error"]
    assert (told["code"], told["where"]) == ("bundle", "net.bundle/stage1.onnx")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("run", "none", "--input", "data.npz"), 2, "there is no such folder"),
        (("run", "net.bundle", "--input", "none.npz"), 2, "there is no file or folder 'none.npz'"),
        (("run", "net.bundle", "--input", "."), 3, "there is no image in this folder"),
        (("run", "net.bundle", "--input", "net.onnx"), 3, "its arrays can't be read"),
        (("run", "net.bundle", "--input", "data.npz", "--confidence", "2"), 2, "a confidence lies in 0 … 1"),
        (("run", "net.bundle", "--input", "data.npz", "--batch", "0"), 2, "--batch"),
        (("run", "."), 2, "--input"),
        (("export", "none.onnx", "--to", "bundle", "-o", "x"), 2, "there is no model file 'none.onnx'"),
        (("export", "data.npz", "--to", "bundle", "-o", "x"), 3, "not a readable ONNX model"),
        (("export", "net.onnx", "--to", "bundle", "-o", "net.bundle"), 2, "net.bundle exists"),
        (("export", "net.onnx", "--to", "bundle", "-o", "data.npz", "--force"), 2, "file"),
        (("export", "net.onnx", "--to", "bundle", "-o", "no/where"), 2, "there is no folder"),
        (("export", "net.onnx", "--to", "bundle", "-o", "x", "--preprocess", "imagnet"), 2, "Did you mean 'imagenet'"),
        (("export", "net.onnx", "--to", "bundle", "-o", "x", "--tolerance", "-1"), 2, "a tolerance is a number from 0, got -1"),
    ],
)  # fmt: skip
def test_what_is_refused(run, folder, bundle, arrays, arguments, code, word):
    before = sorted(entry.name for entry in folder.iterdir())
    ran = run(*arguments)
    assert (ran.exit_code, ran.stdout) == (code, ""), ran.stderr
    assert word in ran.stderr
    assert sorted(entry.name for entry in folder.iterdir()) == before


def test_force_replaces_a_bundle(run, folder, bundle, model):
    assert run("export", model, "--to", "bundle", "-o", bundle, "--force", "--exits", "none").exit_code == 0
    assert sorted(file.name for file in (folder / bundle).iterdir()) == ["manifest.json", "model.onnx"]
