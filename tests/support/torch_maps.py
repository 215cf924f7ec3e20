"""Built-in networks that end in maps, a detector and a segmenter, and plain perceptrons, as PyTorch modules.

Like `torch_networks`, they share no code with `picojoule.workload.builtin`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Twice(nn.Sequential):
    """Two unpadded convolutions, as every level of U-Net has them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(inputs, outputs, 3), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(outputs, outputs, 3), nn.ReLU()


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = (1, 64, 128, 256, 512)
        self.down = nn.ModuleList(Twice(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.bottom = Twice(512, 1024)
        self.upconv = nn.ModuleList(nn.ConvTranspose2d(2 * b, b, 2, 2) for b in reversed(widths[1:]))
        self.up = nn.ModuleList(Twice(2 * b, b) for b in reversed(widths[1:]))
        self.out = nn.Conv2d(64, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level in self.down:
            skips.append(level(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for upconv, level, skip in zip(self.upconv, self.up, reversed(skips), strict=True):
            x = upconv(x)
            edge = (skip.shape[-1] - x.shape[-1]) // 2
            middle = slice(edge, edge + x.shape[-1])
            x = level(torch.cat([skip[..., middle, middle], x], 1))
        return self.out(x)


class Unit(nn.Sequential):
    """Darknet's convolution with BatchNorm and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1))


class Shortcut(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow, self.wide = Unit(width, width // 2, 1), Unit(width // 2, width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wide(self.narrow(x)) + x


class Head(nn.Module):
    """Five convolutions to the branch, two more to the map of predictions."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            Unit(inputs, width, 1), Unit(width, 2 * width, 3), Unit(2 * width, width, 1), Unit(width, 2 * width, 3),
            Unit(2 * width, width, 1),
        )  # fmt: skip
        self.last, self.predictions = Unit(width, 2 * width, 3), nn.Conv2d(2 * width, 255, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        branch = self.trunk(x)
        return branch, self.predictions(self.last(branch))


class YoloV3(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, 32, 3)
        self.stages = nn.ModuleList(
            nn.Sequential(Unit(width // 2, width, 3, 2), *(Shortcut(width) for _ in range(count)))
            for width, count in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
        )
        self.heads = nn.ModuleList([Head(1024, 512), Head(768, 256), Head(384, 128)])
        self.before = nn.ModuleList([Unit(512, 256, 1), Unit(256, 128, 1)])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x, ends = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            ends.append(x)
        x, large = self.heads[0](x)
        maps = [large]
        for narrow, head, skip in zip(self.before, list(self.heads)[1:], (ends[3], ends[2]), strict=True):
            x, found = head(torch.cat([F.interpolate(narrow(x), scale_factor=2.0), skip], 1))
            maps.append(found)
        return maps


def perceptron() -> nn.Module:
    return nn.Sequential(*(part for _ in range(5) for part in (nn.Linear(2000, 2000), nn.ReLU())))


def merkel(depth: int) -> nn.Module:
    """Unpadded 3 × 3 convolutions of 64 filters, then one matrix."""
    parts: list[nn.Module] = []
    for index in range(depth - 1):
        parts += [nn.Conv2d(64 if index else 3, 64, 3), nn.ReLU()]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear((64 if parts else 3) * (34 - 2 * depth) ** 2, 10))
