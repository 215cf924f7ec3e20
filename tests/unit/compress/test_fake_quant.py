"""Weights on grids of few bits: which values they take, what gradients pass, what stays zero."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from picojoule.compress.fake_quant import attach, best_scales, levels, rounded, settle
from picojoule.errors import UsageError


def test_grids_are_symmetric_about_zero():
    assert [levels(bits) for bits in range(2, 9)] == [1, 3, 7, 15, 31, 63, 127]


@pytest.mark.parametrize("bits", [1, 9, 2.5, True])
def test_other_widths_are_refused(bits):
    with pytest.raises(UsageError, match="2 to 8 bits"):
        levels(bits)


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_lie_on_the_grid_of_their_filter(bits):
    weight = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    values, scale = rounded(weight, bits), best_scales(weight, bits)
    steps = values / scale
    assert steps.round().sub(steps).abs().max() < 1e-4
    assert steps.abs().max() <= levels(bits) + 1e-4
    for filter_ in values:
        assert len(filter_.unique()) <= 2**bits - 1


def test_the_scale_is_at_least_as_good_as_that_of_the_largest_weight():
    weight = torch.randn(8, 50, generator=torch.Generator().manual_seed(0))
    top = levels(3)
    plain = weight.abs().amax(1, keepdim=True) / top
    unclipped = ((weight / plain).round().clamp(-top, top) * plain - weight).square().sum(1)
    assert bool(((rounded(weight, 3) - weight).square().sum(1) <= unclipped + 1e-6).all())


def test_gradients_pass_to_weights_inside_the_grid_and_to_scales():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 4, bias=False))
    attach(module, {"0": 3})
    module(torch.randn(16, 6)).square().sum().backward()
    held = module[0].parametrizations.weight
    assert held.original.grad.abs().sum() > 0
    assert held[0].scale.grad.abs().sum() > 0


def test_settled_weights_compute_the_same_and_zeros_stay():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    module[0].weight.data[0, 0] = 0
    attach(module, {"0": 4, "2": 2})
    x = torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        before = module(x)
        scales = settle(module)
        after = module(x)
    assert torch.equal(before, after)
    assert set(scales) == {"0", "2"}
    assert set(module.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert bool((module[0].weight[0, 0] == 0).all())
