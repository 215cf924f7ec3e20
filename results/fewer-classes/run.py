"""ResNet-20 for four of CIFAR-10's classes. What is broken off goes on.

    python results/fewer-classes/run.py small weights

``small`` begins with the arm of half the channels in results/compression, which knows ten classes, and takes 55 % of its energy away in
weights; ``weights`` begins with the dense network. Both learn from the dense network's answers for the four classes. Network, images and
their parts are those of results/compression: test images 0-1999 choose, 2000-9999 report.
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
from picojoule.compress.classes import few_classes
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.train.cifar10 import CLASSES

KEPT = "cat,dog,ship,truck"
EXAMPLE = torch.zeros(1, 3, 32, 32)
ARMS = {"small": "45%", "weights": "72%"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="+", choices=ARMS)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "fewer-classes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = replace(subject.images(given.shared), names=CLASSES)
    dense = subject.resnet20(given.shared)
    teacher = few_classes(Subject(dense, "ResNet", EXAMPLE), KEPT, data, subject.NORMALISATION).subject.module
    for name in given.arms:
        model = arm(dense, COMPRESSION / "weights" / "channels-E.npz")[0] if name == "small" else dense
        result = picojoule.prune(
            model,
            EXAMPLE,
            hardware="eyeriss-methodology",
            budget=ARMS[name],
            classes=KEPT,
            data=data,
            normalisation=subject.NORMALISATION,
            teacher=teacher.to(memory_format=torch.channels_last),
            recipe=replace(TUNING, epochs=8, peak_rate=1.5e-3) if name == "small" else TUNING,
            output=given.runs / name,
            note=lambda line: print(line, flush=True),
        )
        told = {key: value for key, value in result.to_data().items() if key not in ("settings", "steps")}
        print(name, json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
