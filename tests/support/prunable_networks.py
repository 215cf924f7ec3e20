"""Networks whose layers must lose channels together, each for another reason."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

EXAMPLE = torch.zeros(1, 3, 8, 8)


class Depthwise(nn.Module):
    """A depthwise filter goes with the channel that it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
        self.depthwise, self.project = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(F.relu6(self.depthwise(F.relu6(self.norm(self.expand(x)))))).mean((2, 3))


class Grouped(nn.Module):
    """Groups of filters stay of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.grouped, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(F.relu(self.grouped(F.relu(self.first(x))))).mean((2, 3))


class Shared(nn.Module):
    """One layer called twice, with one ReLU that is used twice, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.relu(self.again(self.relu(self.again(self.first(x)))))).mean((2, 3))


class Concatenated(nn.Module):
    """Two branches side by side, behind them a fully connected layer over channels and pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 12, 1)
        self.fire, self.head = nn.Conv2d(20, 6, 1), nn.Linear(6 * 16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.fire(torch.cat([self.left(x), self.right(x)], 1)))
        return self.head(F.max_pool2d(x, 2).flatten(1))


class Residual(nn.Module):
    """Both sides of a sum lose the same channels; in the block, one ReLU is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.inner, self.outer = nn.Conv2d(8, 12, 3, padding=1), nn.Conv2d(12, 8, 3, padding=1)
        self.norm, self.relu, self.head = nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(self.relu(self.norm(self.outer(self.relu(self.inner(x)))) + x)).mean((2, 3))
