"""A MobileNetV1 for CIFAR-10, and where the other network and the images are.

The 13 pairs of depthwise and pointwise layers of Howard et al., 2017, at 3/8 of their channels. Images have 32 pixels a side and not 224:
the first layer takes every pixel, and three layers in place of four skip every other one after it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import nn

from picojoule.train.checkpoint import load_tensors

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHARED = Path(os.environ.get("PICOJOULE_SHARED", ROOT.parent / "shared"))
CIFAR10 = SHARED / "data" / "cifar10"
EXAMPLE = torch.zeros(1, 3, 32, 32)

STEM = 32
BLOCKS = ((64, 2), (128, 1), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 1), (1024, 1))
"""Channels and stride of each pair of layers, before the multiplier."""
WIDTH = 0.375


class MobileNet(nn.Module):
    """The network at a width multiplier; counts of channels are multiples of 8."""

    def __init__(self, width: float = WIDTH) -> None:
        super().__init__()

        def of(channels: int) -> int:
            return max(8, round(channels * width / 8) * 8)

        self.stem = _layer(3, of(STEM), 3)
        inputs, blocks = of(STEM), []
        for channels, stride in BLOCKS:
            blocks.append(
                nn.Sequential(_layer(inputs, inputs, 3, stride, inputs), _layer(inputs, of(channels), 1))
            )
            inputs = of(channels)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def _layer(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def mobilenet() -> tuple[nn.Module, torch.Tensor]:
    """The network as ``train.py`` left it, and an example input."""
    module = MobileNet()
    tensors, _ = load_tensors(HERE / "weights" / "mobilenet.safetensors")
    module.load_state_dict({name: tensor.to(module.state_dict()[name].dtype) for name, tensor in tensors.items()})
    return module.eval(), EXAMPLE


def resnet20() -> tuple[nn.Module, torch.Tensor]:
    """The published ResNet-20, as ``results/compression`` has it."""
    sys.path.insert(0, str(ROOT / "results" / "compression"))
    import importlib.util

    spec = importlib.util.spec_from_file_location("resnet", ROOT / "results" / "compression" / "network.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made.resnet20(SHARED).eval(), EXAMPLE
