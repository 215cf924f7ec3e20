"""MACs of random networks, against the counter that PyTorch has of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from support.flop_counter import counted
from support.random_modules import modules
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from picojoule.errors import ModelError
from picojoule.frontends import load_model
from picojoule.workload import Network


def read(module: nn.Module, example: torch.Tensor) -> Network | None:
    """The network, or None if it multiplies nothing."""
    try:
        return load_model(module, example)
    except ModelError as error:
        if "nothing to cost" in error.message:
            return None
        raise


@settings(max_examples=200)
@given(modules())
def test_macs_are_half_the_flops(drawn):
    module, example = drawn
    network = read(module, example)
    assert (network.macs if network else 0) == counted(module, example)
    if network is None:
        return
    assert network.not_costed == ()
    # Every parameter counts once, those of a BatchNorm, which folds, apart.
    folded = {
        id(p)
        for part in module.modules()
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)
        for p in part.parameters()
    }
    assert network.params == sum(p.numel() for p in module.parameters() if id(p) not in folded)
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)


class WithVector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(4, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.matrix @ x


def test_a_vector_is_a_matrix_here_and_nothing_to_the_counter_of_pytorch():
    module, example = WithVector(), torch.zeros(6)
    assert (load_model(module, example).macs, counted(module, example)) == (24, 0)


def test_a_bilinear_form_is_two_products_and_nothing_to_the_counter_of_pytorch():
    module, example = nn.Bilinear(4, 5, 6), (torch.zeros(3, 4), torch.zeros(3, 5))
    with FlopCounterMode(display=False) as counter:
        module(*example)
    assert (load_model(module, example).macs, counter.get_total_flops()) == (3 * 6 * 4 * 5 + 3 * 6 * 5, 0)


def test_a_causal_mask_saves_nothing_to_the_counter_either():
    class Causal(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(x, x, x, is_causal=True)

    module, example = Causal(), torch.zeros(2, 4, 6, 8)
    assert load_model(module, example).macs == counted(module, example) == 2 * (2 * 4) * 6 * 6 * 8


def test_the_counter_sees_a_difference():
    """So that the property can't hold because both sides are zero."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert counted(module, torch.zeros(1, 3, 8, 8)) == load_model(module, torch.zeros(1, 3, 8, 8)).macs == 4 * 27 * 36
