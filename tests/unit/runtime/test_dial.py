"""Bundles side by side: which of them a call takes, and at which point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import onnx_exits

from picojoule.errors import BundleError, UsageError
from picojoule.runtime import Dial, Session, export_bundle
from picojoule.runtime.operation import OperatingPoint, Operation


def operation(energies, points):
    return Operation(
        rule="margin",
        weights=((1.0,), (0.0, 1.0), (0.0, 0.0, 1.0)),
        energies_j=energies,
        points=tuple(
            OperatingPoint(thresholds=(threshold, threshold), accuracy=a, at_least=None, energy_j=e, left=(10, 0, 0))
            for threshold, a, e in points
        ),
        default=0,
        images=10,
        held_out=False,
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dial")
    return export_bundle(onnx_exits.saved(folder / "net.onnx", onnx_exits.exits()), folder / "plain")


@pytest.fixture(scope="module")
def dial(plain):
    narrow = operation((1e-6, 2e-6, 3e-6), [(0.1, 0.5, 1e-6), (0.5, 0.6, 2e-6), (0.9, 0.65, 3e-6)])
    wide = operation((2e-6, 6e-6, 1e-5), [(0.1, 0.55, 2e-6), (0.5, 0.7, 5e-6), (0.9, 0.8, 1e-5)])
    return Dial([replace(plain, manifest=replace(plain.manifest, operation=one)) for one in (narrow, wide)], threads=1)


def test_the_bundle_and_the_point_are_those_that_suit(dial):
    assert dial.choose(target_accuracy=0.6) == (0, 1) and dial.choose(target_accuracy=0.66) == (1, 1)
    assert dial.choose(energy_budget_j=2.5e-6) == (0, 1) and dial.choose(energy_budget_j=1) == (1, 2)
    assert dial.choose(alpha=1.0) == (0, 0) and dial.choose(alpha=0.0) == (1, 2)
    # α counts energy against the dearest of all bundles: against its own, the narrow one would take its cheapest point.
    points = [(n, k, p) for n, s in enumerate(dial.sessions) for k, p in enumerate(s.manifest.operation.points)]
    for alpha in np.linspace(0, 1, 21):
        costs = {(n, k): alpha * p.energy_j / 1e-5 + (1 - alpha) * (1 - p.accuracy) for n, k, p in points}
        assert costs[dial.choose(alpha=alpha)] == pytest.approx(min(costs.values()))


def test_a_call_runs_what_was_chosen(dial):
    x = onnx_exits.images(12)
    for wish in ({"alpha": 0.9}, {"target_accuracy": 0.75}, {"energy_budget_j": 5e-6}):
        bundle, answer = dial.run(x, **wish)
        assert (bundle, answer.point) == dial.choose(**wish)
        want = dial.sessions[bundle].run(x, energy_budget_j=dial.sessions[bundle].manifest.operation.points[answer.point].energy_j)
        assert answer.exits.tolist() == want.exits.tolist()


def test_what_was_chosen_runs_though_calibration_found_a_cheaper_point_more_accurate(plain):
    base = operation((1e-6, 2e-6, 3e-6), [(0.1, 0.98, 1e-6), (0.5, 0.97, 2e-6)])
    cheap, sure = base.points
    calibrated = replace(base, delta=0.1, points=(replace(cheap, at_least=0.9), replace(sure, at_least=0.961)))
    dial = Dial([replace(plain, manifest=replace(plain.manifest, operation=calibrated))], threads=1)
    assert dial.choose(target_accuracy=0.96) == (0, 1)
    bundle, answer = dial.run(onnx_exits.images(4), target_accuracy=0.96)
    assert (bundle, answer.point) == (0, 1)


def test_a_session_runs_the_point_of_a_number(dial):
    x, session = onnx_exits.images(12), dial.sessions[0]
    assert session.run(x, point=2).point == 2
    for point in (3, -1, True, 1.0):
        with pytest.raises(UsageError, match="operating points are numbered from 0 to 2"):
            session.run(x, point=point)
    with pytest.raises(UsageError, match="an operating point is named, and something else"):
        session.run(x, point=0, alpha=0.5)


@pytest.mark.parametrize("wish", ["alpha", "target_accuracy", "energy_budget_j"])
def test_what_is_no_number_is_refused_in_words(dial, wish):
    for value in ("0.3", True, [0.3]):
        with pytest.raises(UsageError, match="a number is needed, got"):
            dial.run(onnx_exits.images(2), **{wish: value})
    assert dial.choose(alpha=np.float32(1)) == (0, 0)


def test_a_bundle_shows_its_facts_not_its_bytes(plain):
    assert len(plain.models[0]) > 1000 > len(repr(replace(plain, manifest=None)))


def test_what_a_dial_refuses(dial, plain, tmp_path):
    with pytest.raises(UsageError, match="no operating point is so accurate"):
        dial.choose(target_accuracy=0.95)
    with pytest.raises(UsageError, match="takes so little: the cheapest takes about 2.001 µJ an inference"):
        dial.choose(energy_budget_j=1e-9)
    with pytest.raises(UsageError, match="α, a target accuracy or a budget chooses"):
        dial.run(onnx_exits.images(2))
    with pytest.raises(UsageError, match="no bundle to choose from"):
        Dial([])
    with pytest.raises(UsageError, match="has no operating points"):
        Dial([plain])
    other = export_bundle(onnx_exits.saved(tmp_path / "net.onnx", onnx_exits.exits(channels=4)), tmp_path / "other")
    first = dial.sessions[0].bundle
    with pytest.raises(BundleError, match="takes or answers something else"):
        Dial([first, replace(other, manifest=replace(other.manifest, operation=first.manifest.operation))])
    assert isinstance(dial.sessions[0], Session)
