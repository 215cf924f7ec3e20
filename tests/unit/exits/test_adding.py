"""Exits added to the small network of digits: what lies in the folder does what the result says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import digit_network

from picojoule.errors import InputError, UsageError
from picojoule.exits import ExitEnergies, add, load_added
from picojoule.exits.decision_files import read_energies, read_logits
from picojoule.hardware import load_hardware
from picojoule.runtime import Session
from picojoule.train import predict

ASKED = {"hardware": "eyeriss-like-45nm", "data": "digits", "head_energy": 0.1, "lose": 1.0}
FILES = ["bundle", "choose.npz", "energies.json", "network.onnx", "network.safetensors", "result.json", "test.npz"]


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    folder = tmp_path_factory.mktemp("added")
    found = add(digit_network.trained(), digit_network.EXAMPLE, output=folder / "out", recipe={"epochs": 25}, **ASKED)
    return found, folder / "out"


def test_exits_that_auto_takes_save_energy_on_images_that_chose_nothing(added):
    found, _ = added
    assert found.exits[-1].name == "last" and found.exits[-1].accuracy == found.accuracy_alone > 0.98
    assert {probe.place for probe in found.probes if probe.rank} == {one.name for one in found.exits[:-1]}
    assert found.saved > 0.2 and found.test.accuracy > found.accuracy_alone - 0.04
    for one in found.exits[:-1]:
        assert one.head_energy <= 0.1 * found.alone and one.accuracy > 0.6
    assert found.exits[-1].energy == pytest.approx(found.alone + sum(one.head_energy for one in found.exits), rel=0.02)


def test_the_files_say_what_the_result_says(added):
    found, folder = added
    assert all((folder / name).exists() for name in FILES) and set(found.files.values()) == set(FILES)
    energies = read_energies(str(folder / "energies.json"))
    assert isinstance(energies, ExitEnergies)
    assert energies.leaving() == pytest.approx([one.energy for one in found.exits])
    logits, labels = read_logits(folder / "test.npz")
    assert (logits.argmax(2) == labels).mean(1) == pytest.approx([one.accuracy for one in found.exits])
    assert json.loads((folder / "result.json").read_text())["saved"] == found.saved
    data = digit_network.data()
    network = load_added(digit_network.DigitNetwork(), digit_network.EXAMPLE, folder=folder)
    again = predict(network, data.test, data.normalisation())
    assert np.abs(again - logits).max() < 1e-3
    alone = predict(digit_network.trained(), data.test, data.normalisation())
    assert np.abs(again[-1] - alone[0]).max() < 1e-4
    with np.load(folder / "test.npz") as file:
        pixels = file["input"][:20]
    answers = Session(folder / "bundle").every_exit(digit_network._tensors(pixels).numpy())
    assert np.abs(np.stack([one[0] for one in answers]) - logits[:, :20]).max() < 1e-3


def test_what_is_done_is_not_done_again(added, monkeypatch):
    found, folder = added

    def refuse(*_, **__):
        raise AssertionError("trained or estimated anew")

    monkeypatch.setattr("picojoule.exits.adding.few_steps", refuse)
    monkeypatch.setattr("picojoule.exits.adding.estimate_uninterrupted", refuse)
    monkeypatch.setattr("picojoule.exits.places.estimate_uninterrupted", refuse)
    monkeypatch.setattr("picojoule.train.loop._epoch", refuse)
    monkeypatch.setattr("picojoule.exits.adding._write", lambda *_: found.files)
    again = add(digit_network.trained(), digit_network.EXAMPLE, output=folder, recipe={"epochs": 25}, **ASKED)
    assert again == found


EYERISS, DATA = load_hardware("eyeriss-like-45nm"), digit_network.data()


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("lose", {"lose": 2.0}),
        ("machine", {"hardware": replace(EYERISS, mac=replace(EYERISS.mac, multiply=2 * EYERISS.mac.multiply))}),
        ("data", {"data": replace(DATA, test=DATA.test.part(0, 100))}),
        ("normalisation", {"normalisation": (np.float32([50]), np.float32([100]))}),
    ],
)
def test_a_finished_folder_is_not_overwritten_by_another_job(added, key, change):
    found, folder = added
    before = (folder / "result.json").read_bytes()
    with pytest.raises(UsageError, match=f"another job lies here; it differs in {key}\n"):
        add(digit_network.trained(), digit_network.EXAMPLE, output=folder, recipe={"epochs": 25}, **{**ASKED, **change})
    assert (folder / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"at": "down", "head_energy": 0.9}, UsageError, "no exit after 'down' can save"),
        ({"head_energy": 0.0}, UsageError, "a share of the network's energy lies between 0 and 1, got 0.0"),
        ({"most": 0}, UsageError, "at least 1 exit is added"),
        ({"lose": -1.0}, UsageError, "points of accuracy from 0"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, change, kind, message):
    with pytest.raises(kind, match=message):
        add(digit_network.trained(), digit_network.EXAMPLE, output=tmp_path / "out", **{**ASKED, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: replace(data, train=data.train.part(0, 60)), "60 images train, at least 100 are needed"),
        (lambda data: replace(data, choose=data.choose.part(0, 0)), "0 images choose, at least 50 are needed"),
        (lambda data: replace(data, test=replace(data.test, labels=data.test.labels + 3)), "tells 10 classes apart, labels lie in 3 … 12"),
        (lambda data: replace(data, train=replace(data.train, pixels=data.train.pixels[:, :6])), "takes 1 × 8 × 8, images have 1 × 6 × 8"),
    ],
)
def test_data_that_do_not_do(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        add(digit_network.trained(), digit_network.EXAMPLE, output=tmp_path / "out", **{**ASKED, "data": change(digit_network.data())})
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_network(added):
    with pytest.raises(InputError, match="the exits are those of another network"):
        load_added(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10)),
                   digit_network.EXAMPLE, folder=added[1])  # fmt: skip
