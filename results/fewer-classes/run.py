"""ResNet-20 for four of CIFAR-10's classes. What is broken off goes on.

    python results/fewer-classes/run.py

It begins with the arm of half the channels in results/compression (E), which knows ten classes. ``picojoule prune --classes`` takes away
more channels by what they matter to the four; then zeros in weights come within budgets of energy. All are tuned
after the dense network's answers for the four classes. Network, images and their parts are those of results/compression: test images
0-1999 choose, 2000-9999 report.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
COMPRESSION = ROOT / "results" / "compression"
sys.path.insert(0, str(COMPRESSION))
import network as subject
from measure import arm

import picojoule
from picojoule.compress import reload
from picojoule.compress.classes import few_classes
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.train.cifar10 import CLASSES

KEPT = "cat,dog,ship,truck"
EXAMPLE = torch.zeros(1, 3, 32, 32)
MACHINE = "eyeriss-methodology"
MACS = "12 MMACs"
"""After ``channels``: three fifths of what it begins with."""
WITHOUT_BLOCK = {"budget": "80e6 pJ", "grid": 32, "keep": ("layer2.0.conv1", "layer2.1.conv1", "layer2.1.conv2", "layer3.1.conv2", "layer3.2.conv2")}
"""For ``block``: it may take away the block at 32 × 32, whose activations cost most, and channels inside the third stage's, and takes both."""
ZEROS = {"zeros-58.8": ("channels", "58.8e6 pJ"), "zeros-75": ("channels", "75e6 pJ"), "block-58.8": ("block", "58.8e6 pJ")}
"""What zeros are put into, and until when, in MACs of 16 bits. 58.8 M is half of the ten-class result (119.7 M), and 2 % less, for other
images have other zeros."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "fewer-classes")
    parser.add_argument("arms", nargs="*", choices=["channels", "block"], default=["channels", "block"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = replace(subject.images(given.shared), names=CLASSES)
    dense = subject.resnet20(given.shared)
    ten = begun(dense)
    four = few_classes(Subject(dense, "ResNet", EXAMPLE), KEPT, data, subject.NORMALISATION)
    teacher = four.subject.module.to(memory_format=torch.channels_last)
    same = {"hardware": MACHINE, "normalisation": subject.NORMALISATION, "note": lambda line: print(line, flush=True)}
    narrow = {
        "channels": {"budget": MACS, "teacher": teacher, "recipe": replace(TUNING, epochs=16, peak_rate=3e-3)},
        # It learns from the network that it begins with, which answers twice as fast as the dense one.
        "block": {**WITHOUT_BLOCK, "recipe": replace(TUNING, epochs=30, peak_rate=3e-3)},
    }  # fmt: skip
    for name in given.arms:
        if not (given.runs / name / "result.json").exists():
            tell(picojoule.prune(
                ten, EXAMPLE, criterion="channels", classes=KEPT, data=data, output=given.runs / name, **narrow[name], **same
            ))  # fmt: skip
    for name, (origin, budget) in ZEROS.items():
        if origin in given.arms and not (given.runs / name / "result.json").exists():
            module = reload(ten, EXAMPLE, folder=given.runs / origin).to(memory_format=torch.channels_last)
            tell(picojoule.prune(
                module, EXAMPLE, budget=budget, data=four.data, output=given.runs / name,
                recipe=TUNING, teacher=teacher, sensitivity_file=given.runs / f"sensitivity-{origin}.json", **same,
            ))  # fmt: skip


def tell(result) -> None:
    print(json.dumps({key: value for key, value in result.to_data().items() if key not in ("settings", "steps")}), flush=True)


def begun(dense: torch.nn.Module) -> torch.nn.Module:
    """The network of ten classes that it begins with."""
    return arm(dense, COMPRESSION / "weights" / "channels-E.npz")[0]


if __name__ == "__main__":
    main()
