"""The networks of which tickets are drawn: convolutions and fully connected layers without BatchNorm, as in the paper, but small."""

from __future__ import annotations

import torch
from torch import nn


def digits(seed: int) -> tuple[nn.Module, torch.Tensor]:
    """For scikit-learn's digits: three convolutions, 16 to 32 channels; 15,712 weights."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    return network, torch.zeros(1, 1, 8, 8)


def cifar10(seed: int) -> tuple[nn.Module, torch.Tensor]:
    """For CIFAR-10, after the paper's Conv-2: two convolutions, the first with stride 2; 205,128 weights."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2048, 96), nn.ReLU(), nn.Linear(96, 10),
    )  # fmt: skip
    return network, torch.zeros(1, 3, 32, 32)


NETWORKS = {"digits": digits, "cifar10": cifar10}
