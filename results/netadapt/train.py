"""Trains the MobileNetV1 on training images 0-44999, in two cycles; what is broken off goes on at the last finished epoch.

    python results/netadapt/train.py
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from network import CIFAR10, HERE, ROOT, MobileNet

from picojoule.train import Recipe, fit, read_cifar10
from picojoule.train.checkpoint import save_tensors

FIRST = Recipe(epochs=18, batch=128, peak_rate=5e-3, l2=1e-5, augment=True, precision="float32", seed=0)
SECOND = replace(FIRST, epochs=10, peak_rate=4e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "netadapt", help="checkpoints")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(FIRST.seed)
    module = MobileNet().to(memory_format=torch.channels_last)
    data = read_cifar10(CIFAR10)
    for name, recipe in (("mobilenet", FIRST), ("mobilenet-second", SECOND)):
        best = fit(module, data, recipe, folder=given.runs / name, note=lambda line: print(json.dumps(line), flush=True))
    kept = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in module.state_dict().items()}
    (HERE / "weights").mkdir(exist_ok=True)
    save_tensors(HERE / "weights" / "mobilenet.safetensors", kept, {"log": best})


if __name__ == "__main__":
    main()
