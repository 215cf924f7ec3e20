"""ResNet-20 for CIFAR-10 with the weights of akamaster/pytorch_resnet_cifar10 (BSD-2), and the images that it may see.

The published weights saw all training images, so the images that choose come from the test set: 0-1999 choose, 2000-9999 report.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from picojoule.compress.channels import without, without_block
from picojoule.train import Splits, predict, read_cifar10

CHOOSING = 2000
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALISATION = (np.float32(MEAN) * 255, np.float32(DEVIATION) * 255)


class Block(nn.Module):
    """Where the shape changes, the shortcut skips pixels and has zeros for the new channels (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.more = stride, (outputs - inputs) // 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        return F.relu(y + x)


class ResNet(nn.Module):
    """He et al., CVPR 2016, §4.2, of 6n + 2 layers."""

    def __init__(self, depth: int = 20) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        inputs = 16
        for stage, width in enumerate((16, 32, 64), start=1):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(Block(inputs, width, 2 if stage > 1 and block == 0 else 1))
                inputs = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def resnet20(shared: Path) -> nn.Module:
    """With the published weights, for evaluation."""
    network = ResNet()
    with np.load(shared / "data" / "weights" / "resnet20-12fca82f.npz") as arrays:
        state = {name: torch.from_numpy(arrays[name].copy()) for name in arrays.files}
    missing = network.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all("num_batches" in name for name in missing.missing_keys), missing
    return network.to(memory_format=torch.channels_last).eval()


def shaped(dense: nn.Module, steps: list[dict]) -> nn.Module:
    """The network without the channels and blocks that went in those steps."""
    small, example = dense, torch.zeros(1, 3, 32, 32)
    for step in steps:
        gone = step["removed"]
        small = without(small, example, {step["root"]: gone}) if gone else without_block(small, step["root"])
    return small


def samples(folder: Path, data: Splits, count: int = 128) -> Path:
    """The first choosing images as a file, to measure zeros of activations on."""
    path = folder / "samples.npz"
    np.savez(path, input=normalised(data.choose.pixels[:count]).contiguous().numpy())
    return path


def images(shared: Path) -> Splits:
    """Training images 0-44999 train, test images 0-1999 choose, 2000-9999 report."""
    splits = read_cifar10(shared / "data" / "cifar10")
    test = splits.test
    return Splits(train=splits.train, choose=test.part(0, CHOOSING), test=test.part(CHOOSING, len(test)))


def normalised(pixels: np.ndarray) -> torch.Tensor:
    """Images as the network takes them: N × 3 × 32 × 32, channels last in memory."""
    mean, deviation = NORMALISATION
    return torch.from_numpy((pixels - mean) / deviation).permute(0, 3, 1, 2)


def accuracy(network: nn.Module, part: object) -> float:
    """Share of images classified right, in float32."""
    logits = predict(network, part, NORMALISATION)
    return float((logits[0].argmax(1) == part.labels).mean())


def loss(network: nn.Module, part: object) -> float:
    """Mean cross entropy, in bfloat16: to compare networks, not to report."""
    logits = predict(network, part, NORMALISATION, precision="bfloat16")[0]
    return float(F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(part.labels)))
