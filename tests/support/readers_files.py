"""The files that readers of a page are taken to have, where its commands need some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support import onnx_exits
from support.small_onnx import small_network

NETWORKS = '''
import torch
from torch import nn


class Early(nn.Module):
    """Three exits."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.heads = nn.ModuleList(nn.Linear(3, 10) for _ in range(3))

    def forward(self, x):
        exits = []
        for conv, head in zip(self.convs, self.heads):
            x = torch.relu(conv(x))
            exits.append(head(x.mean((2, 3))))
        return tuple(exits)


def resnet20():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3600, 10)), torch.zeros(1, 3, 32, 32)


def early():
    return Early(), torch.zeros(1, 3, 32, 32)
'''


def measured(folder: Path) -> None:
    """Two networks, and a command that stands for a board."""
    small_network(folder / "net.onnx")
    small_network(folder / "pruned.onnx", channels=8)
    board = folder / "bench-on-board"
    board.write_text("#!/bin/sh\necho '{\"ms\": 12.3, \"joules\": 0.045}'\n")
    board.chmod(0o755)


def adaptive(folder: Path) -> None:
    """A bundle with exits, and images with labels."""
    onnx_exits.adaptive(folder)


def shipped(folder: Path) -> None:
    """Networks of the reader's own, class names, preprocessing, and images."""
    import PIL.Image

    (folder / "mynets.py").write_text(NETWORKS)
    (folder / "classes.txt").write_text("".join(f"class {index}\n" for index in range(10)))
    (folder / "cifar.json").write_text('{"resize": [32, 32], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}')
    random = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for index in range(2):
        PIL.Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / "photos" / f"{index}.png")
    np.savez(folder / "test.npz", images=random.normal(size=(9, 3, 32, 32)).astype(np.float32))


DIGITS = '''
import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + x)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block = Residual(16)
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.down(self.block(self.stem(x))).mean((2, 3)))


def small():
    return Small(), torch.zeros(1, 1, 8, 8)
'''


def residual(folder: Path) -> None:
    """A trained residual network of the reader's own, for scikit-learn's digits."""
    from support import digit_network

    from picojoule.train import save_tensors

    (folder / "mymodels.py").write_text(DIGITS)
    save_tensors(folder / "small.safetensors", digit_network.trained().state_dict(), {})
