"""What ResNet-20 and the arms of results/compression can do on four classes before anything is trained for them.

    python results/fewer-classes/baseline.py

Their heads lose the other six classes, and nothing else happens. Test images 0-1999 choose temperatures and thresholds, 2000-9999 report.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "results" / "compression"))
import network as subject
from measure import arm

from picojoule.atomic_file import replace_file
from picojoule.compress.classes import few_classes
from picojoule.compress.subject import Subject
from picojoule.train.cifar10 import CLASSES

KEPT = "cat,dog,ship,truck"
EXAMPLE = torch.zeros(1, 3, 32, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = replace(subject.images(given.shared), names=CLASSES)
    # Nothing is trained: reading training images would only take memory.
    data = replace(data, train=data.train.part(0, 1000))
    dense = subject.resnet20(given.shared)
    networks = {"dense": dense}
    for file in sorted((ROOT / "results" / "compression" / "weights").glob("*.npz")):
        if not file.stem.startswith("bits"):
            networks[file.stem] = arm(dense, file)[0]
    path = HERE / "baseline.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for name, network in networks.items():
        if name in found:
            continue
        few = few_classes(Subject(network, name, EXAMPLE), KEPT, data, subject.NORMALISATION)
        told = few.told(few.subject.module, {})
        told["accuracy"].pop("in the end")
        found[name] = {"accuracy": told["accuracy"], "images": told["images"], "others": told["others"][:2]}
        replace_file(path, json.dumps(found, indent=1) + "\n")
        print(name, json.dumps(found[name]["accuracy"]), flush=True)


if __name__ == "__main__":
    main()
