"""Width and depth together: a front that neither dial alone beats, from logits by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import digit_network

from picojoule.errors import InputError, UsageError
from picojoule.exits import AtWidth, ExitEnergies, decide, deploying, dials, slimming, widen, widths
from picojoule.runtime import Dial


def made_widths(exits=3):
    """Three widths of a network: each doubles the energy and knows more."""
    rng = np.random.default_rng(0)
    labels, test_labels = rng.integers(0, 4, 600), rng.integers(0, 4, 900)
    found = []
    for number, width in enumerate((0.25, 0.5, 1.0)):
        strength = np.reshape([1.0, 2.0, 3.0][-exits:], (exits, 1, 1)) * (0.5 + 0.25 * number)

        def logits(labels, strength=strength):
            return strength * np.eye(4)[labels] + rng.normal(size=(exits, len(labels), 4)) * 0.7

        energies = ExitEnergies(trunk=(2.0**number,) * exits, heads=(0.1,) * exits)
        found.append(AtWidth(width=width, energies=energies, choosing=logits(labels), test=logits(test_labels)))
    return found, labels, test_labels


def test_both_dials_are_never_worse_than_one():
    widths, labels, test_labels = made_widths()
    found = dials(widths, labels, test_labels, combine=True, levels=8)
    for name in ("depth", "width"):
        for point in getattr(found, name):
            best = found.cheapest("both", point.setting.accuracy)
            assert best is not None and best.setting.energy <= point.setting.energy
    assert {point.width for point in found.both} == {0, 1, 2} and {point.width for point in found.depth} == {2}
    energies = [point.setting.energy for point in found.both]
    accuracies = [point.setting.accuracy for point in found.both]
    assert energies == sorted(energies) and accuracies == sorted(accuracies)
    assert found.full == pytest.approx(12.1)
    target = found.accuracy - 0.05
    by_decide = decide(widths[-1].choosing, labels, widths[-1].energies, target_accuracy=target, rule="margin", combine=True, levels=8)
    assert found.cheapest("depth", target).setting.energy <= by_decide.setting.energy


def test_a_network_of_one_exit_has_its_widths_alone():
    widths, labels, test_labels = made_widths(exits=1)
    found = dials(widths, labels, test_labels)
    assert [p.width for p in found.both] == [p.width for p in found.width] and len(found.depth) == 1
    for point in found.both:
        right = (widths[point.width].test[0].argmax(1) == test_labels).mean()
        assert point.tested.accuracy == pytest.approx(right) and point.tested.energy == pytest.approx(2.0**point.width + 0.1)


def test_what_dials_refuse():
    widths, labels, test_labels = made_widths()
    with pytest.raises(InputError, match="there is no width"):
        dials([], labels, test_labels)
    with pytest.raises(InputError, match="same exits at every width, got 3, 1"):
        dials([widths[0], made_widths(exits=1)[0][1]], labels, test_labels)
    with pytest.raises(InputError):
        dials(widths, labels[:-1], test_labels)


def test_heads_must_be_those_of_the_exits(tmp_path):
    module, example = digit_network.with_exits()
    common = {"data": digit_network.data(), "hardware": "eyeriss-like-45nm", "output": tmp_path}
    with pytest.raises(UsageError, match="the network has 3 exits, 1 heads are named"):
        widen(module, example, heads=["early"], **common)
    with pytest.raises(UsageError, match="one exit needs no heads"):
        widen(digit_network.trained(), example, heads=["head"], **common)


class Broken(Exception):
    """Stands for a training that is broken off."""


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("weights", {"model": digit_network.DigitNetwork()}),
        ("data", {"data": replace(digit_network.data(), choose=digit_network.data().test)}),
        ("normalisation", {"normalisation": (np.float32([0]), np.float32([255]))}),
        ("recipe", {"recipe": replace(slimming.TUNING, epochs=2)}),
        ("widths", {"widths": (0.25, 1)}),
    ],
)
def test_a_folder_with_another_training_is_refused(tmp_path, monkeypatch, key, change):
    def train(*_, **__):
        raise Broken

    monkeypatch.setattr(slimming, "train_widths", train)
    asked = {"data": digit_network.data(), "hardware": "eyeriss-like-45nm", "output": tmp_path / "wide", "widths": (0.5, 1)}
    network = {"model": digit_network.untrained()[0]}
    for _ in range(2):
        with pytest.raises(Broken):
            widen(example_input=digit_network.EXAMPLE, **network, **asked)
    with pytest.raises(UsageError, match=f"another job lies here; it differs in .*{key}"):
        widen(example_input=digit_network.EXAMPLE, **network | asked | change)


def test_widths_of_a_network_of_one_exit_can_be_dialled(tmp_path, monkeypatch):
    monkeypatch.setattr(slimming, "train_widths", lambda *_, **__: [digit_network.trained(), digit_network.trained()])
    data = digit_network.data()
    found, _ = widen(
        digit_network.trained(), digit_network.EXAMPLE, data=data, hardware="eyeriss-like-45nm", output=tmp_path / "wide", widths=(0.5, 1)
    )
    dial = Dial([tmp_path / "wide" / f"width-{width}" / "bundle" for width in ("0.5", "1")], threads=1)
    for session, at in zip(dial.sessions, found.widths, strict=True):
        assert [one.name for one in session.manifest.inputs] == ["input"] and session.manifest.provenance["source"] == "DigitNetwork"
        (point,) = session.manifest.operation.points
        assert point.energy_j == pytest.approx(1e-12 * at.energies.leaving()[0]) and point.accuracy == pytest.approx(found.accuracy)
    _, answer = dial.run(dial.sessions[0].prepare(data.test.pixels), alpha=0.5)
    assert (answer.top(1)[0][:, 0] == data.test.labels).mean() == pytest.approx(found.tested)


def test_bundles_of_two_machines_never_lie_beside_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(slimming, "train_widths", lambda *_, **__: [digit_network.trained(), digit_network.trained()])
    priced = []

    def energies_at(*_, hardware, **__):
        priced.append(hardware.name)
        return ExitEnergies(trunk=(float(len(priced)),), heads=(0.0,)), "pJ"

    def ask(hardware):
        widen(digit_network.trained(), digit_network.EXAMPLE, data=digit_network.data(), hardware=hardware, output=tmp_path, widths=(0.5, 1))

    def broken(*_, **__):
        raise Broken

    monkeypatch.setattr(widths, "energies_at", energies_at)
    for _ in range(2):
        ask("eyeriss-like-45nm")
    assert priced == ["eyeriss-like-45nm"] * 2, "asked again, nothing is priced again"
    monkeypatch.setattr(deploying, "deploy", broken)
    with pytest.raises(Broken):
        ask("simba-like-45nm")
    assert priced[2:] == ["simba-like-45nm"] * 2
    assert not (tmp_path / "width-1" / "bundle").exists()


def test_widths_that_make_no_sense_leave_no_folder(tmp_path):
    asked = {"data": digit_network.data(), "hardware": "eyeriss-like-45nm", "output": tmp_path / "wide"}
    with pytest.raises(UsageError, match="rise and end with 1"):
        widen(digit_network.DigitNetwork(), digit_network.EXAMPLE, widths=(1, 0.5), **asked)
    assert not (tmp_path / "wide").exists()
