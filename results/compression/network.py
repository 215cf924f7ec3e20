"""ResNet-20 for CIFAR-10 with the weights of akamaster/pytorch_resnet_cifar10 (BSD-2), and the images that it may see.

The published weights saw all training images, so the images that choose come from the test set: 0-1999 choose, 2000-9999 report.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import picojoule
from picojoule.compress.channels import without, without_block
from picojoule.train import Recipe, Splits, fit, predict, read_cifar10

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from support.torch_networks import resnet_cifar  # noqa: E402 - the tests' own ResNets

CHOOSING = 2000
EXAMPLE = torch.zeros(1, 3, 32, 32)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALISATION = (np.float32(MEAN) * 255, np.float32(DEVIATION) * 255)


class Bench:
    """What every arm begins with: options, images, the dense network, one recipe.

    Args:
        doc: of the script.
        epochs, rate: of fine-tuning, unless the command line names others.
        options: adds the script's own to the parser.
    """

    def __init__(
        self, doc: str | None, *, epochs: int = 6, rate: float = 1e-3,
        options: Callable[[argparse.ArgumentParser], object] = lambda _: None,
    ) -> None:  # fmt: skip
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        options(parser)
        parser.add_argument("--epochs", type=int, default=epochs)
        parser.add_argument("--rate", type=float, default=rate)
        add_places(parser)
        self.given = parser.parse_args()
        self.runs: Path = self.given.runs
        self.runs.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        self.dense = resnet20(self.given.shared)
        self.recipe = Recipe(
            epochs=self.given.epochs, peak_rate=self.given.rate, l2=1e-5, augment=True, distil=0.9
        )  # fmt: skip

    @property
    def task(self) -> dict:
        """What ``prune`` and ``quantize`` take alike in all arms: images, recipe, and where notes go, standard error."""
        return {
            "data": self.given.shared / "data" / "cifar10", "all_seen": True, "normalisation": NORMALISATION, "recipe": self.recipe,
            "note": lambda line: print(line, file=sys.stderr, flush=True),
        }  # fmt: skip

    @functools.cached_property
    def data(self) -> Splits:
        return images(self.given.shared)

    @functools.cached_property
    def batches(self) -> list[torch.Tensor]:
        """1,000 training images to weigh layers by and to solve them on."""
        return [normalised(self.data.train.pixels[i : i + 250]) for i in range(0, 1000, 250)]

    def tune(
        self, module: nn.Module, folder: Path, after_step: Callable[[nn.Module], None] | None = None,
        data: Splits | None = None, recipe: Recipe | None = None,
    ) -> dict:  # fmt: skip
        """Trains after the dense network, in place; what was broken off in that folder goes on. Returns the log's line of the weights."""
        for parameter in module.parameters():
            parameter.requires_grad_(True)
        keys = ("epoch", "loss", "train_accuracy", "choose_accuracy", "cpu_s")
        return fit(
            module, data or self.data, recipe or self.recipe, folder=folder, normalisation=NORMALISATION, teacher=self.dense,
            after_step=after_step, note=lambda line: print(json.dumps({key: line[key] for key in keys}), flush=True),
        )  # fmt: skip


def add_places(parser: argparse.ArgumentParser) -> None:
    """Gives a script the options that say where images and runs lie."""
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")


def paired(dense: Path, own: Path, batch: int) -> dict[str, float]:
    """Milliseconds of two ONNX files on one thread, run in turn, and how much faster the second is."""
    found = picojoule.measure(own, against=dense, batch=batch, runs=300 if batch == 1 else 40)
    return {
        "dense_ms": found.against.latency_s.median * 1e3, "ms": found.network.latency_s.median * 1e3,
        "faster": found.ratio.median,
    }  # fmt: skip


def resnet20(shared: Path) -> nn.Module:
    """With the published weights, for evaluation."""
    network = resnet_cifar(20)
    with np.load(shared / "data" / "weights" / "resnet20-12fca82f.npz") as arrays:
        state = {name: torch.from_numpy(arrays[name].copy()) for name in arrays.files}
    missing = network.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all("num_batches" in name for name in missing.missing_keys), missing
    return network.to(memory_format=torch.channels_last).eval()


def shaped(dense: nn.Module, steps: list[dict]) -> nn.Module:
    """The network without the channels and blocks that went in those steps."""
    small = dense
    for step in steps:
        gone = step["removed"]
        small = without(small, EXAMPLE, {step["root"]: gone}) if gone else without_block(small, step["root"])
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
