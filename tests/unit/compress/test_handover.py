"""What a compression hands over runs, and is what was in memory."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from support import digit_network

from picojoule.compress import handover, prune, reload, task
from picojoule.compress.handover import as_module, export_onnx
from picojoule.errors import SystemFailure
from picojoule.runtime import Session

from .conftest import RECIPE


def test_the_bundle_answers_images_as_the_network_does(pruned):
    result, folder, _ = pruned
    images = digit_network.data().test
    session = Session(folder / result.files["bundle"], threads=1)
    answer = session.run(session.prepare(images.pixels)).outputs[0]
    module = reload(digit_network.trained(), digit_network.EXAMPLE, folder=folder)
    mean, deviation = digit_network.data().normalisation()
    with torch.no_grad():
        wanted = module(torch.from_numpy((images.pixels - mean) / deviation).float().permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(answer, wanted, atol=1e-3)
    assert float((answer.argmax(1) == images.labels).mean()) == pytest.approx(result.accuracy_after)


def test_int8_is_written_of_every_network_with_its_own_accuracy(pruned, narrow, mixed_bits):
    images = digit_network.data().test
    for result, folder, *_ in (pruned, narrow, mixed_bits):
        network = as_module(folder / result.files["int8"])
        mean, deviation = digit_network.data().normalisation()
        with torch.no_grad():
            logits = network(torch.from_numpy((images.pixels - mean) / deviation).float().permute(0, 3, 1, 2))
        assert result.accuracy_int8 == pytest.approx(float((logits.argmax(1).numpy() == images.labels).mean()))
        assert result.accuracy_int8 > result.accuracy_after - 0.05


def test_an_onnx_file_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    original = handover._session

    class Off:
        def __init__(self, path):
            self.session = original(path)

        def run(self, names, feed):
            return [out + 0.1 * abs(out).max() for out in self.session.run(names, feed)]

    monkeypatch.setattr(handover, "_session", Off)
    with pytest.raises(SystemFailure, match="differ by 1.0e-01 of the largest"):
        export_onnx(digit_network.trained(), digit_network.EXAMPLE, tmp_path / "net.onnx")


def test_the_onnx_file_names_modules_and_nobodys_folders(tmp_path):
    export_onnx(digit_network.trained(), digit_network.EXAMPLE, tmp_path / "net.onnx")
    content = (tmp_path / "net.onnx").read_bytes()
    assert b"site-packages" not in content and digit_network.__file__.encode() not in content
    keys = {entry.key for node in onnx.load(tmp_path / "net.onnx").graph.node for entry in node.metadata_props}
    assert "pkg.torch.onnx.name_scopes" in keys


def test_weights_that_are_read_back_otherwise_are_refused(tmp_path, monkeypatch):
    def wrong(path):
        tensors, facts = load(path)
        return {name: tensor + 1 for name, tensor in tensors.items()}, facts

    load = handover.load_tensors
    monkeypatch.setattr(handover, "load_tensors", wrong)
    with pytest.raises(SystemFailure, match="weights read back differ"):
        handover.hand_over(digit_network.trained(), digit_network.EXAMPLE, tmp_path, {})


def test_denormals_of_dead_filters_are_zeros_in_every_file(tmp_path):
    module = digit_network.trained()
    alive = module.down[0].weight[1].clone()
    module.down[0].weight.data[0] = 1e-39
    module.down[1].running_var[0] = 1e-44
    handover.hand_over(module, digit_network.EXAMPLE, tmp_path, {})
    assert not module.down[0].weight[0].any() and torch.equal(module.down[0].weight[1], alive)
    for path in (tmp_path / "float32.onnx", tmp_path / "bundle" / "model.onnx"):
        tensors = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer]
        values = np.abs(np.concatenate([t.ravel() for t in tensors if t.dtype == np.float32]))
        assert len(values) > 1000 and not ((values > 0) & (values < 1e-30)).any()


def test_a_teacher_of_ones_own_is_learnt_from(tmp_path, monkeypatch):
    seen = []

    def fit(module, data, recipe, *, teacher, **_):
        seen.append(teacher)
        raise Stopped

    class Stopped(Exception):
        pass

    monkeypatch.setattr(task, "fit", fit)
    teacher = digit_network.DigitNetwork()
    for given, folder in ((teacher, "own"), (None, "default")):
        with pytest.raises(Stopped):
            prune(
                digit_network.trained(), digit_network.EXAMPLE, hardware="eyeriss-methodology", budget="60%", data="digits",
                teacher=given, recipe=RECIPE, output=tmp_path / folder, sensitivity_file=tmp_path / "s.json",
            )  # fmt: skip
    assert seen[0] is teacher
    assert torch.equal(seen[1].head.weight, digit_network.trained().head.weight)


def test_the_bundle_may_differ_by_as_much_as_the_onnx_file_beside_it(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(handover, "export_bundle", lambda *_, **other: asked.update(other))
    handover.hand_over(digit_network.trained(), digit_network.EXAMPLE, tmp_path, {}, None)
    assert asked["tolerance"] == handover.PARITY
