"""A small network for scikit-learn's digits, trained in seconds: what tests of compression make smaller."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch
from torch import nn

from picojoule.train import Recipe, Splits, fit
from picojoule.train.digits import read_digits

EXAMPLE = torch.zeros(1, 1, 8, 8)


class Residual(nn.Module):
    """Two convolutions beside a shortcut; the ReLU behind them is used twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + x)


class DigitNetwork(nn.Module):
    """8 × 8 pixels to 10 digits: 16 channels, one residual block, 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block = Residual(16)
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.down(self.block(self.stem(x))).mean((2, 3)))


@functools.cache
def data() -> Splits:
    return read_digits()


@functools.cache
def _trained() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = DigitNetwork()
    with tempfile.TemporaryDirectory() as folder:
        fit(
            network,
            data(),
            Recipe(epochs=12, batch=64, peak_rate=5e-3, l2=1e-4, precision="float32"),
            folder=Path(folder),
        )
    return network.state_dict()


def trained() -> nn.Module:
    """With the weights of one training a session."""
    network = DigitNetwork()
    network.load_state_dict(_trained())
    return network.eval()


def untrained() -> tuple[nn.Module, torch.Tensor]:
    """For the command line: its weights come from a file."""
    torch.manual_seed(1)
    return DigitNetwork(), EXAMPLE


def accuracy(module: nn.Module) -> float:
    """A user's own way to judge: on 100 images."""
    part = data().test.part(0, 100)
    with torch.no_grad():
        logits = module(_tensors(part.pixels))
    return float((logits.argmax(1).numpy() == part.labels).mean())


def batches() -> list[torch.Tensor]:
    """A user's own inputs to calibrate on."""
    return [_tensors(data().train.pixels[:100])]


def _tensors(pixels: object) -> torch.Tensor:
    mean, deviation = data().normalisation()
    return torch.from_numpy((pixels - mean) / deviation).float().permute(0, 3, 1, 2)


class ExitDigits(nn.Module):
    """The same with a classifier after the stem and one after the block: three exits."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = DigitNetwork()
        self.early, self.middle = nn.Linear(16, 10), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        first = self.trunk.stem(x)
        second = self.trunk.block(first)
        last = self.trunk.head(self.trunk.down(second).mean((2, 3)))
        return [self.early(first.mean((2, 3))), self.middle(second.mean((2, 3))), last]


HEADS = ("early", "middle", "trunk.head")


@functools.cache
def _trained_exits() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = ExitDigits()
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(epochs=8, batch=64, peak_rate=5e-3, l2=1e-4, precision="float32")
        fit(network, data(), recipe, folder=Path(folder))
    return network.state_dict()


def with_exits() -> tuple[nn.Module, torch.Tensor]:
    """Three exits, with the weights of one training a session, and an example."""
    network = ExitDigits()
    network.load_state_dict(_trained_exits())
    return network.eval(), EXAMPLE
