"""Bits of ResNet-20's weights, layer by layer, chosen for a mean and then learnt; activations stay in float here.

python results/compression/bits.py --mean 4 3.5
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

from picojoule.atomic_file import replace_file
from picojoule.compress.bits import bits_within_mean, sensitivity_to_bits
from picojoule.compress.fake_quant import attach, settle
from picojoule.compress.layers import weighted
from picojoule.train import Recipe, fit

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mean", nargs="+", type=float, default=[4.0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = subject.images(given.shared)
    dense = subject.resnet20(given.shared)
    path = given.runs / "sensitivity-bits.json"
    if path.exists():
        grown = {n: {int(d): v for d, v in row.items()} for n, row in json.loads(path.read_text()).items()}
    else:
        grown = sensitivity_to_bits(
            dense, [subject.normalised(data.train.pixels[i : i + 250]) for i in range(0, 1000, 250)]
        )
        replace_file(path, json.dumps(grown))
    counts = {name: layer.weight.numel() for name, layer in weighted(dense).items()}
    recipe = Recipe(epochs=given.epochs, peak_rate=given.rate, l2=1e-5, augment=True, distil=0.9)
    for mean in given.mean:
        bits = bits_within_mean(mean, dense, grown)
        coarse = copy.deepcopy(dense)
        attach(coarse, bits)
        before = subject.accuracy(coarse, data.test)
        folder = given.runs / f"bits-{mean:g}"
        fit(
            coarse,
            data,
            recipe,
            folder=folder,
            normalisation=subject.NORMALISATION,
            teacher=dense,
            note=lambda line: print(
                json.dumps({k: line[k] for k in ("epoch", "loss", "train_accuracy", "choose_accuracy", "cpu_s")}),
                flush=True,
            ),
        )
        settle(coarse)
        different = {
            name: int(max(len(torch.unique(row)) for row in layer.weight)) for name, layer in weighted(coarse).items()
        }
        result = {
            "mean_asked": mean,
            "bits": bits,
            "mean": sum(counts[n] * bits[n] for n in bits) / sum(counts.values()),
            "most_values_in_a_filter": different,
            "accuracy_before_tuning": before,
            "accuracy": subject.accuracy(coarse, data.test),
            "accuracy_choosing": subject.accuracy(coarse, data.choose),
        }
        replace_file(folder / "result.json", json.dumps(result))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
