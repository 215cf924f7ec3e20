"""Zeros in the activations of a trained, pruned SqueezeNet on a real photo, against the means over seven photos."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from support.squeezenet import photo, trained
from support.torch_files import save_pt2
from torch import nn

import picojoule
from picojoule.frontends import load_model, load_zeros

SQUEEZE = (0.16, 0.43, 0.43, 0.28, 0.52, 0.68, 0.58, 0.57)
EXPAND = (0.10, 0.06, 0.27, 0.18, 0.22, 0.29, 0.32, 0.25)
MEANS = {
    "conv1": 0.006,
    **{f"fire{index}.squeeze": share for index, share in enumerate(SQUEEZE, start=2)},
    **{f"fire{index}.{end}": share for index, share in enumerate(EXPAND, start=2) for end in ("e1", "e3")},
    "conv10": 0.87,
}
"""Shares of zeros in the inputs of the convolutions, means over seven photos: shared/README.md, data/weights."""

PHOTO_TO_PHOTO = 0.15


@pytest.fixture(scope="module")
def module(shared: Path) -> nn.Module:
    return trained(shared)


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "photo.npz"
    np.savez(path, x=photo(shared))
    return path


@pytest.fixture(scope="module")
def onnx_file(module: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "squeezenet.onnx"
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(1, 3, 227, 227),), dynamo=True, verbose=False).save(path)
    return path


@pytest.fixture(scope="module")
def measured(module: nn.Module, data: Path) -> picojoule.Estimate:
    return picojoule.estimate(
        module, torch.zeros(1, 3, 227, 227), hardware="eyeriss-normalized", sparsity="measured", data=data,
        search=picojoule.Exact(node_limit=1), cache=False,
    )  # fmt: skip


def test_the_network_sees_what_is_on_the_photo(module, shared):
    """Grace Hopper in her uniform: collar and tie first, and the uniform itself among the first fifteen of a
    thousand."""
    with torch.no_grad():
        scores = module(torch.from_numpy(photo(shared))).flatten()
    labels = (shared / "data" / "weights" / "imagenet_labels_1001.txt").read_text(encoding="utf-8").splitlines()[1:]
    likely = [labels[index] for index in scores.topk(15).indices]
    assert set(likely[:2]) == {"bow tie, bow-tie, bowtie", "suit, suit of clothes"}
    assert "military uniform" in likely


def test_a_third_of_the_weights_is_left(measured):
    weights = {row.name: row.zeros["weights"] for row in measured.layers if row.dims}
    elements = {row.name: row.params for row in measured.layers if row.dims}
    pruned = sum(weights[name] * elements[name] for name in weights) / sum(elements.values())
    assert pruned == pytest.approx(0.666, abs=0.01)


@pytest.mark.parametrize("layer", MEANS)
def test_inputs_have_about_as_many_zeros_as_on_seven_photos(measured, layer):
    rows = {row.name: row for row in measured.layers}
    assert abs(rows[layer].zeros["inputs"] - MEANS[layer]) <= PHOTO_TO_PHOTO


def test_every_share_is_that_of_a_count_by_hand(module, shared, measured):
    """Hooks on the modules see the same tensors as the measurement, and numpy counts in them."""
    seen: dict[str, dict[str, float]] = {}

    def hook(name: str):
        def look(layer: nn.Conv2d, given: tuple[torch.Tensor], made: torch.Tensor) -> None:
            arrays = {"weights": layer.weight.detach(), "inputs": given[0], "outputs": made.clamp(min=0)}
            seen[name] = {key: float(np.mean(array.numpy() == 0)) for key, array in arrays.items()}

        return look

    handles = [part.register_forward_hook(hook(n)) for n, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    with torch.no_grad():
        module(torch.from_numpy(photo(shared)))
    for handle in handles:
        handle.remove()
    assert len(seen) == 26
    for name, shares in seen.items():
        found = next(row.zeros for row in measured.layers if row.name == name)
        assert found == pytest.approx(shares, abs=1e-12), name


def test_onnxruntime_measures_the_same(measured, onnx_file, data):
    found = load_zeros(onnx_file, network=load_model(onnx_file), sparsity="measured", data=data)
    assert found.samples == 1
    for row in measured.layers:
        if row.dims:
            # The two add up in another order: a sum close to zero may come out on either side of it.
            assert found.zeros[row.name] == pytest.approx(row.zeros, abs=2e-4), row.name


def test_a_file_of_the_program_measures_the_same(module, measured, data, tmp_path):
    path = save_pt2(module, (torch.zeros(1, 3, 227, 227),), tmp_path / "squeezenet.pt2")
    found = load_zeros(path, network=load_model(path), sparsity="measured", data=data)
    assert found.samples == 1
    assert found.zeros == {row.name: dict(row.zeros) for row in measured.layers}


def test_the_result_says_on_how_many_samples_and_verifies(measured):
    assert measured.provenance["samples"] == 1
    assert measured.sparsity == "measured"
    assert picojoule.verify(measured).ok
