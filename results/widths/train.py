"""Trains the network of document 001 at four widths at once, from its published weights, and keeps what every width answers.

    python results/widths/train.py --runs FOLDER

Checkpoints every epoch; what is broken off goes on at the last finished epoch. Writes `logits.npz` (float16, widths ×
exits × images × classes, of the choosing and of the test images).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from network import document_001

from picojoule.exits.slimming import WIDTHS, train_widths
from picojoule.train import Recipe, predict, read_cifar10

HERE = Path(__file__).resolve().parent
RECIPE = Recipe(epochs=3, peak_rate=1e-3, l2=1e-3, augment=True, distil=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data" / "cifar10")
    parser.add_argument("--runs", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--keep", type=Path, default=HERE, help="folder for logits.npz and log.jsonl")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    given = parser.parse_args()
    torch.set_num_threads(1)
    module, example = document_001()
    data = read_cifar10(given.data)

    def note(line: dict) -> None:
        print(json.dumps(line), flush=True)

    networks = train_widths(module, example, data, folder=given.runs, widths=WIDTHS, recipe=replace(RECIPE, epochs=given.epochs), note=note)
    normal = data.normalisation()
    parts = {
        name: np.stack([predict(network, images, normal) for network in networks]).astype(np.float16)
        for name, images in (("choose", data.choose), ("test", data.test))
    }
    np.savez_compressed(given.keep / "logits.npz", **parts)
    (given.keep / "log.jsonl").write_text((given.runs / "log.jsonl").read_text())


if __name__ == "__main__":
    main()
