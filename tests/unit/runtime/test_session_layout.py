"""Stages optimised together: the same answers, maps handed on as kernels keep them, and scores inside of the stages."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from support import onnx_exits

from picojoule.errors import MissingExtraError
from picojoule.runtime import Session, export_bundle
from picojoule.runtime.operation import OperatingPoint, Operation
from picojoule.runtime.scoring import log_softmax, score, weighted
from picojoule.runtime.session_answer import logits_of
from picojoule.runtime.session_layout import FEW_ROWS, optimised


def exported(folder, **more):
    return export_bundle(onnx_exits.saved(folder / "net.onnx", onnx_exits.exits(**more)), folder / "bundle")


@pytest.mark.parametrize("channels", [3, 16, 20])
def test_stages_optimised_together_answer_as_their_files(tmp_path, channels):
    """20 channels don't fill the runtime's blocks, 3 aren't put into blocks at all."""
    bundle, x = exported(tmp_path, channels=channels), onnx_exits.images(7, channels=channels)
    session = Session(bundle)
    want = session.every_tensor(x)
    for number, (found,) in enumerate(session.every_exit(x)):
        np.testing.assert_allclose(found, want[f"exit{number}"], rtol=1e-5, atol=1e-4)
    assert {"map0", "map1"} <= set(want)


def test_maps_stay_in_the_kernels_layout_and_weights_follow_them(tmp_path):
    pieces = optimised(exported(tmp_path, channels=16))
    kinds = [[node.op_type for node in piece.model.graph.node] for piece in pieces]
    if not any(node.domain.endswith("nchwc") for piece in pieces for node in piece.model.graph.node):
        pytest.skip("this processor's kernels keep maps channels first")
    assert all("ReorderOutput" not in one for one in kinds)
    assert all("ReorderInput" not in one for one in kinds[1:])
    heads = [node for piece in pieces for node in piece.model.graph.node if node.op_type == "Gemm"]
    assert len(heads) == 3
    # Weights of few rows are inputs with a default: no constants, which would be packed.
    assert onnx_exits.CLASSES <= FEW_ROWS
    assert all(any(one.name == head.input[1] for one in piece.model.graph.input) for piece, head in zip(pieces, heads, strict=True))


def test_one_stage_and_a_fixed_batch_run_as_their_files_have_them(tmp_path):
    assert optimised(exported(tmp_path, batch=4)) is None
    plain = export_bundle(onnx_exits.saved(tmp_path / "one.onnx", onnx_exits.exits(1)), tmp_path / "one")
    assert optimised(plain) is None


def operation(rule, exits, seed=0, threshold=0.4):
    rng = np.random.default_rng(seed)
    features = 1 + min(3, onnx_exits.CLASSES) + 1
    rows = [rng.normal(size=(2, features + (2 if e else 0))) for e in range(exits - 1)]
    return Operation(
        rule=rule,
        weights=tuple(tuple(rng.uniform(0.2, 1.5, e + 1).tolist()) for e in range(exits)),
        coefficients=tuple(tuple(map(tuple, one.tolist())) for one in rows) if rule == "learned" else None,
        energies_j=tuple(1e-6 * (e + 1) for e in range(exits)),
        points=(OperatingPoint(thresholds=(threshold,) * (exits - 1), accuracy=0.5, at_least=None, energy_j=1e-6, left=(1,) + (0,) * (exits - 1)),),
        default=0, images=1, held_out=False,
    )  # fmt: skip


@pytest.mark.parametrize("rule", ["max", "margin", "entropy", "learned"])
@pytest.mark.parametrize(("probabilities", "opset"), [(False, 17), (True, 17), (False, 12)])
def test_scores_inside_of_stages_are_those_of_numpy(tmp_path, rule, probabilities, opset):
    made = onnx_exits.exits(probabilities=probabilities)
    made.opset_import[0].version = opset
    bundle = export_bundle(onnx_exits.saved(tmp_path / "net.onnx", made), tmp_path / "bundle")
    points = operation(rule, 3)
    session = Session(replace(bundle, manifest=replace(bundle.manifest, operation=points)))
    x = onnx_exits.images(9)
    held = session._all(session._stages, x)
    passed = []
    for number, (stage, exit_) in enumerate(zip(session._stages, bundle.manifest.exits, strict=True)):
        held.update(zip(stage.outputs, stage.run(held, stage.outputs), strict=True))
        passed.append(log_softmax(logits_of(held[f"exit{number}"], exit_)))
        logp = weighted(points.weights[number], passed)
        np.testing.assert_allclose(held[stage.probabilities], np.exp(logp), atol=1e-6)
        if stage.score is not None:
            coefficients = None if points.coefficients is None else points.coefficients[number]
            np.testing.assert_allclose(held[stage.score], score(rule, logp, passed, coefficients), atol=1e-6)
    assert session._stages[-1].score is None


@pytest.mark.parametrize(("batch", "opset"), [(4, 17), ("batch", 9)])
def test_points_run_where_stages_stay_as_their_files_have_them(tmp_path, batch, opset):
    made = onnx_exits.exits(batch=batch)
    made.opset_import[0].version = opset
    bundle = export_bundle(onnx_exits.saved(tmp_path / "net.onnx", made), tmp_path / "bundle")
    session = Session(replace(bundle, manifest=replace(bundle.manifest, operation=operation("margin", 3, threshold=0.97))))
    x = onnx_exits.images(21)
    together, alone = session.run(x), [session.run(x[n : n + 1]) for n in range(21)]
    assert together.exits.tolist() == [one.exits[0] for one in alone] and len(set(together.exits.tolist())) > 1
    np.testing.assert_allclose(together.probabilities, np.concatenate([one.probabilities for one in alone]), atol=1e-5)


def test_without_onnx_stages_run_as_their_files_have_them_and_operating_points_say_what_is_missing(tmp_path, monkeypatch):
    bundle, x = exported(tmp_path, channels=16), onnx_exits.images(7, channels=16)
    want = [found for (found,) in Session(bundle).every_exit(x)]
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "onnx" else there(name, *more))
    for (found,), known in zip(Session(bundle).every_exit(x), want, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-5)
    pointed = replace(bundle, manifest=replace(bundle.manifest, operation=operation("max", len(want))))
    with pytest.raises(MissingExtraError, match="which takes onnx"):
        Session(pointed)
