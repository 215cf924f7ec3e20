"""Exits on a published ResNet for CIFAR-10, its backbone frozen or trained along: trains them and keeps what `measure.py` reads.

PYTHONPATH=src:tests python results/added-exits/run.py frozen          (some 45 minutes of one core; what was broken off goes on)
PYTHONPATH=src:tests python results/added-exits/run.py trained         (some 80)

The weights are those of akamaster/pytorch_resnet_cifar10 (BSD-2). They saw all training images, so the images that choose come from the
test set: 0-1999 choose, 2000-9999 report.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from support.torch_networks import resnet_cifar
from torch import nn

from picojoule.exits import add
from picojoule.train import Recipe, predict
from picojoule.train.datasets import read_dataset

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = {20: "resnet20-12fca82f.npz", 56: "resnet56-4bfd9763.npz"}
MACHINE = "eyeriss-like-45nm"
WAYS = {
    "frozen": {
        "at": "layer1.1,layer2.1", "head_energy": 0.08,
        "recipe": Recipe(epochs=30, peak_rate=3e-3, l2=1e-4, augment=True, distil=0.0),
    },
    "trained": {
        "at": "layer1.2,layer1.7,layer2.2", "head_energy": 0.05, "train_backbone": True,
        "recipe": Recipe(epochs=14, peak_rate=1e-3, l2=1e-5, augment=True, distil=0.9),
    },
}  # fmt: skip
"""Places, the share of energy that a head may take, and how they are trained."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALISATION = (np.float32(MEAN) * 255, np.float32(DEVIATION) * 255)


def published(depth: int, shared: Path) -> nn.Module:
    """The ResNet with its published weights, for evaluation."""
    network = resnet_cifar(depth)
    with np.load(shared / "data" / "weights" / FILES[depth]) as arrays:
        state = {name: torch.from_numpy(arrays[name].copy()) for name in arrays.files}
    missing = network.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all("num_batches" in name for name in missing.missing_keys), missing
    return network.to(memory_format=torch.channels_last).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--depth", type=int, choices=sorted(FILES), default=56)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "added-exits")
    given = parser.parse_args()
    torch.set_num_threads(1)
    name = f"resnet{given.depth}-{given.way}"
    folder, kept = given.runs / name, HERE / name
    network, data = published(given.depth, given.shared), read_dataset(given.shared / "data" / "cifar10", all_seen=True)
    found = add(
        network, torch.zeros(1, 3, 32, 32), hardware=MACHINE, data=data, normalisation=NORMALISATION, output=folder,
        note=lambda line: print(line, flush=True), **WAYS[given.way],
    )  # fmt: skip
    kept.mkdir(exist_ok=True)
    for part, images in (("choose", data.choose), ("test", data.test)):
        alone = predict(network, images, NORMALISATION)[-1].astype(np.float16)
        with np.load(folder / f"{part}.npz") as arrays:
            np.savez_compressed(
                kept / f"{part}.npz", logits=arrays["logits"].astype(np.float16), labels=arrays["labels"].astype(np.uint8), alone=alone
            )
    for file, content in (
        ("energies.json", json.loads((folder / "energies.json").read_text())),
        ("result.json", {**found.to_data(), "folder": f"runs/added-exits/{name}"}),
        ("log.json", [json.loads(line) for line in (folder / "training" / "log.jsonl").read_text().splitlines()]),
    ):
        (kept / file).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{found.saved:.1%} saved at {found.test.accuracy:.2%}, alone {found.accuracy_alone:.2%}")


if __name__ == "__main__":
    main()
