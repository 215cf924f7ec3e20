"""Element types of eight bits in PyTorch programs are the widths of their layers, dequantized in code or by kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.torch_files import save_pt2
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from picojoule.frontends import load_model, load_zeros
from picojoule.workload import ModelBits

FLOAT8 = torch.float8_e4m3fn


class Stored(nn.Module):
    """Weights of an element type, and the scale and zero that make numbers of them."""

    def __init__(self, kind: torch.dtype, *shape: int) -> None:
        super().__init__()
        self.register_buffer("stored", torch.arange(-3, 3).repeat(24)[: shape[0] * shape[1]].view(shape).to(kind))
        self.scale, self.zero = nn.Buffer(torch.ones(shape[0], 1)), nn.Buffer(torch.zeros(shape[0], 1))


class Dequantized(Stored):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.stored.float() * self.scale)


class Shifted(Stored):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, (self.stored.float() - self.zero) * self.scale)


class ScaledAfterwards(Stored):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.stored.float()) * self.scale.T


@pytest.mark.parametrize("kind", [FLOAT8, torch.float8_e5m2, torch.int8, torch.int16])
@pytest.mark.parametrize("how", [Dequantized, Shifted, ScaledAfterwards])
def test_weights_have_the_width_in_which_they_lie(how, kind, tmp_path):
    module, example = how(kind, 6, 8).eval(), torch.zeros(2, 8)
    path = save_pt2(module, (example,), tmp_path / "net.pt2")
    for network in (load_model(module, example), load_model(path)):
        (layer,) = network.layers
        assert layer.bits == ModelBits(weights=torch.empty(0, dtype=kind).element_size() * 8)
        assert network.params == 48
    if how is not Shifted:  # nobody knows beforehand that its shift is none
        zeros = load_zeros(path, network=network, sparsity="given").zeros
        assert zeros[layer.name] == {"weights": pytest.approx(1 / 6)}


def test_half_precision_says_nothing_about_a_machine():
    module = nn.Linear(8, 8, dtype=torch.bfloat16)
    assert [x.bits for x in load_model(module, torch.zeros(1, 8, dtype=torch.bfloat16)).layers] == [None]


def test_activations_that_are_stored_in_eight_bits():
    class Narrowing(Stored):
        def __init__(self) -> None:
            super().__init__(FLOAT8, 6, 8)
            self.first = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(F.relu(self.first(x)).to(FLOAT8).float(), self.stored.float() * self.scale)

    first, second = load_model(Narrowing().eval(), torch.zeros(2, 8)).layers
    assert (first.bits, second.bits) == (ModelBits(outputs=8), ModelBits(weights=8, inputs=8))


def test_zeros_are_those_of_the_narrow_numbers(tmp_path):
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8, 16)
            self.register_buffer("stored", torch.ones(16, 8, dtype=torch.int8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch._int_mm(F.relu(self.first(x)).to(torch.int8), self.stored)

    torch.manual_seed(0)
    module, x = Whole().eval(), torch.randn(32, 8)
    path, data = save_pt2(module, (x,), tmp_path / "net.pt2"), tmp_path / "data.npz"
    np.savez(data, x=x.numpy())
    written = F.relu(module.first(x))
    share = (written.to(torch.int8) == 0).sum().item() / written.numel()
    assert share > (written == 0).sum().item() / written.numel() + 0.3  # most are below 1
    program = torch.export.export(module, (x,))
    for model in (path, program):
        zeros = load_zeros(model, network=load_model(model), sparsity="measured", data=data).zeros
        assert zeros["first"]["outputs"] == zeros["int_mm"]["inputs"] == share


def test_a_mask_is_no_scale(tmp_path):
    """Nobody knows its zeros without a run."""

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.register_buffer("mask", torch.tensor([[0.0], [1.0], [0.0], [1.0]]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, self.fc.weight * self.mask)

    path, data = save_pt2(Masked().eval(), (torch.ones(1, 4),), tmp_path / "net.pt2"), tmp_path / "data.npz"
    np.savez(data, x=np.ones((1, 4), np.float32))
    network = load_model(path)
    (given,) = load_zeros(path, network=network, sparsity="given").zeros.values()
    (measured,) = load_zeros(path, network=network, sparsity="measured", data=data).zeros.values()
    assert ("weights" in given, measured["weights"]) == (False, 0.5)


def test_an_image_of_bytes():
    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x.float())

    (layer,) = load_model(Pixels().eval(), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).layers
    assert layer.bits == ModelBits(inputs=8)


def test_a_product_with_scales():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("stored", torch.zeros(16, 16).to(FLOAT8))
            self.one, self.bias = nn.Buffer(torch.ones(())), nn.Parameter(torch.zeros(16, dtype=torch.bfloat16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            turned = self.stored.t()
            return torch._scaled_mm(x.to(FLOAT8), turned, self.one, self.one, self.bias, out_dtype=torch.bfloat16)

    module, example = Scaled().eval(), torch.zeros(32, 16)
    network = load_model(module, example)
    (layer,) = network.layers
    assert (layer.bits, network.params) == (ModelBits(weights=8, inputs=8), 16 * 16 + 16)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(example)
    assert network.macs == counter.get_total_flops() // 2 == 32 * 16 * 16


def test_a_product_of_whole_numbers():
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("stored", torch.zeros(16, 8, dtype=torch.int8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch._int_mm(x, self.stored)

    network = load_model(Whole().eval(), torch.zeros(32, 16, dtype=torch.int8))
    (layer,) = network.layers
    assert (layer.bits, network.macs) == (ModelBits(weights=8, inputs=8), 32 * 16 * 8)
