"""Pruned layers solved anew, against numpy's least squares on the same patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from picojoule.compress import reconstruction
from picojoule.compress.layers import weighted
from picojoule.compress.reconstruction import moments, prune_layer


def _inputs(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def exact(monkeypatch):
    """Without the ridge, and on all positions, the answer is the textbook's."""
    monkeypatch.setattr(reconstruction, "RIDGE", 0.0)
    monkeypatch.setattr(reconstruction, "POSITIONS", 10**6)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(6, 4), (200, 6)),
        (nn.Conv2d(3, 4, 3, padding=1), (8, 3, 6, 6)),
        (nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False), (8, 4, 9, 9)),
        (nn.Conv2d(3, 4, 3, padding="same", dilation=2), (8, 3, 6, 6)),
        (nn.Conv2d(4, 4, 3, groups=4), (8, 4, 8, 8)),
    ],
)
def test_kept_weights_are_those_of_least_squares(layer, shape):
    torch.manual_seed(0)
    module = nn.Sequential(layer)
    x = _inputs(*shape)
    found = moments(module, module, "0", [x[: len(x) // 2], x[len(x) // 2 :]])
    solved = prune_layer(layer.weight, 0.5, found).detach()
    assert int((solved != 0).sum()) == round(0.5 * solved.numel())
    with torch.no_grad():
        bare = torch.zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach()
        y = layer(x)
    if isinstance(layer, nn.Linear):
        patches, outputs, groups = x.numpy()[None], (y - bare).numpy()[None], 1
    else:
        groups, kernel = layer.groups, layer.kernel_size
        padding = reconstruction._padding(layer)
        columns = nn.functional.unfold(x, kernel, layer.dilation, padding, layer.stride)
        patches = columns.view(len(x), groups, -1, columns.shape[2]).permute(1, 0, 3, 2).flatten(1, 2).numpy()
        outputs = (y - bare.view(-1, 1, 1)).flatten(2).view(len(x), groups, -1, columns.shape[2])
        outputs = outputs.permute(1, 0, 3, 2).flatten(1, 2).numpy()
    flat = solved.reshape(groups, -1, patches.shape[2]).numpy()
    for g in range(groups):
        for k in range(flat.shape[1]):
            alive = flat[g, k] != 0
            if alive.any():
                best = np.linalg.lstsq(patches[g][:, alive].astype(float), outputs[g][:, k].astype(float), rcond=None)[
                    0
                ]
                assert flat[g, k, alive] == pytest.approx(best, rel=1e-3, abs=1e-4)


def test_solving_comes_nearer_to_the_outputs_than_leaving_the_weights():
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    # Channels that resemble one another, as those of images do: one can stand in for another.
    module, x = nn.Sequential(layer), _inputs(16, 8, 8, 8) + 2 * _inputs(16, 1, 8, 8)
    whole = layer.weight.detach().clone()
    with torch.no_grad():
        aim = module(x)
    solved = prune_layer(whole, 0.4, moments(module, module, "0", [x]))
    errors = []
    for weight in (solved, torch.where(solved != 0, whole, 0.0)):
        layer.weight.data = weight
        with torch.no_grad():
            errors.append(float((module(x) - aim).square().mean()))
    assert errors[0] < 0.95 * errors[1]


def test_weights_that_are_gone_stay_gone():
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(8, 8)), _inputs(64, 8)
    first = prune_layer(module[0].weight, 0.5, moments(module, module, "0", [x]))
    again = prune_layer(first, 0.4, moments(module, module, "0", [x]))
    assert not (again[first == 0] != 0).any()
    assert int((again != 0).sum()) == round(0.4 * 64)


def test_a_layer_of_a_shared_module_is_named_once():
    shared = nn.Linear(4, 4)
    assert list(weighted(nn.ModuleDict({"a": shared, "b": shared}))) == ["a"]
