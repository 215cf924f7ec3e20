"""Trained networks on real images: what a bundle answers is what PyTorch answers, exit by exit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.torch_networks import resnet_cifar

from picojoule.exits import all_exits
from picojoule.runtime import Confidence, Session, export_bundle
from picojoule.runtime.manifest import Preprocessing
from picojoule.train import load_tensors
from picojoule.train.cifar10 import CLASSES, _checked, _cut

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MERKEL = Path(__file__).parents[3] / "results" / "merkel"


@pytest.fixture(scope="module")
def test_images(shared):
    folder = shared / "data" / "cifar10"
    with np.load(folder / "labels.npz") as labels:
        return _cut(_checked(folder, "sheet5.webp")), labels["y_test"]


def test_resnet20_of_cifar10_classifies_as_pytorch_does(shared, test_images, tmp_path):
    """On the first 256 test images; on all 10,000 it is 91.73 % for both (docs/how-to/ship-a-bundle.md)."""
    pixels, labels = (part[:256] for part in test_images)
    net = resnet_cifar(20).eval()
    with np.load(shared / "data" / "weights" / "resnet20-12fca82f.npz") as weights:
        net.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
    how = Preprocessing(resize=(32, 32), mean=MEAN, std=STD)
    bundle = export_bundle(net, tmp_path / "b", torch.zeros(1, 3, 32, 32), labels=CLASSES, preprocess=how)
    assert bundle.manifest.parity.max_abs_difference[0] < 1e-4
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        want = net(x).numpy()
    session = Session(tmp_path / "b", threads=1)
    answers = [session.run(session.prepare(pixels[n : n + 64])) for n in range(0, 256, 64)]
    found = np.concatenate([answer.outputs[0] for answer in answers])
    np.testing.assert_allclose(found, want, atol=1e-3)
    classes = np.concatenate([answer.top(1)[0][:, 0] for answer in answers])
    assert classes.tolist() == want.argmax(1).tolist()
    assert 0.9 < (classes == labels).mean() < 0.94


def test_merkel_s_trained_exits_decide_as_their_logits_do(test_images, tmp_path):
    """The network of results/merkel on 120 test images: exits and answers of the stages against those of its logits."""
    if not (MERKEL / "weights" / "combined.safetensors").is_file():
        pytest.skip("results/ lies beside the tests in a checkout only")
    net = all_exits(6)
    weights, _ = load_tensors(MERKEL / "weights" / "combined.safetensors")
    net.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    net.eval()
    pixels, labels = (part[:120] for part in test_images)
    # Mean and deviation of the training images, 0 to 1, as the network was trained.
    mean, deviation = np.array((0.4914, 0.4822, 0.4465)), np.array((0.2470, 0.2435, 0.2616))
    x = ((pixels / 255 - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2).copy()
    bundle = export_bundle(net, tmp_path / "b", torch.zeros(1, 3, 32, 32))
    assert [len(stage.inputs) for stage in bundle.manifest.stages] == [1] * 6
    with torch.no_grad():
        logits = torch.stack(net(torch.from_numpy(x))).numpy()
    sure = np.exp(logits - logits.max(2, keepdims=True))
    sure = (sure / sure.sum(2, keepdims=True)).max(2)
    limits = (0.9, 0.85, 0.8, 0.8, 0.8)
    near = np.abs(sure[:5] - np.array(limits)[:, None]).min()
    assert near > 1e-5, "a confidence lies at its threshold: rounding would decide"
    want = (sure >= np.array([*limits, 0])[:, None]).argmax(0)
    answer = Session(bundle).run(x, policy=Confidence(limits))
    assert answer.exits.tolist() == want.tolist() and len(set(want.tolist())) >= 4
    np.testing.assert_allclose(answer.outputs[0], logits[want, np.arange(120)], atol=1e-3)
    assert (answer.top(1)[0][:, 0] == labels).mean() > 0.65
