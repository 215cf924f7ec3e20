"""ResNet-20 for four of CIFAR-10's classes: fewer weights, fewer channels, and both one after the other. What is broken off goes on.

    python results/fewer-classes/run.py weights channels both

The network, its images and its weights are those of results/compression: test images 0-1999 choose, 2000-9999 report.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "results" / "compression"))
import network as subject

import picojoule
from picojoule.compress import reload
from picojoule.compress.classes import few_classes
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.train.cifar10 import CLASSES

KEPT = "cat,dog,ship,truck"
EXAMPLE = torch.zeros(1, 3, 32, 32)
ARMS = {
    "weights": {"criterion": "energy", "budget": "72%"},
    "channels": {"criterion": "channels", "budget": "26%", "of": "macs", "grid": 8, "keep": ("linear",)},
    "both": {"criterion": "energy", "budget": "60%"},
}
RECIPES = {
    "weights": TUNING,
    "channels": replace(TUNING, epochs=8, peak_rate=3e-3),
    "both": replace(TUNING, epochs=8, peak_rate=1.5e-3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="+", choices=ARMS)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "fewer-classes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = replace(subject.images(given.shared), names=CLASSES)
    dense = subject.resnet20(given.shared)
    for arm in given.arms:
        model, few = dense, {"classes": KEPT}
        if arm == "both":
            # What the channels' arm handed over is a network of four classes already.
            kept = few_classes(Subject(dense, "ResNet", EXAMPLE), KEPT, data, subject.NORMALISATION)
            model, few = reload(dense, EXAMPLE, folder=given.runs / "channels"), {}
        result = picojoule.prune(
            model.to(memory_format=torch.channels_last),
            EXAMPLE,
            hardware="eyeriss-methodology",
            data=kept.data if arm == "both" else data,
            normalisation=subject.NORMALISATION,
            output=given.runs / arm,
            recipe=RECIPES[arm],
            note=lambda line: print(line, flush=True),
            **ARMS[arm],
            **few,
        )
        told = {key: value for key, value in result.to_data().items() if key not in ("settings", "steps")}
        print(arm, json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
