"""Prunes the weights of ResNet-20 to energy budgets, by each criterion, fine-tunes all by one recipe, and notes what they come to.

    python results/compression/prune.py --machine eyeriss-methodology --criteria energy macs magnitude --budgets 0.5 0.45 0.4

A budget is a share of the energy of the dense network with its own zeros of activations at the same bits. What is broken off goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.layers import Masks, zero_shares
from picojoule.compress.weights import densities_within, prune_to, sensitivity
from picojoule.frontends import load_zeros
from picojoule.train import Recipe, fit

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = torch.zeros(1, 3, 32, 32)
MEASURED = 128
"""Choosing images on which zeros of activations are measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", default="eyeriss-methodology")
    parser.add_argument("--criteria", nargs="+", default=["energy", "macs", "magnitude"])
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.5])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = subject.images(given.shared)
    dense = subject.resnet20(given.shared)
    given.runs.mkdir(parents=True, exist_ok=True)
    npz = given.runs / "choosing.npz"
    np.savez(npz, input=subject.normalised(data.choose.pixels[:MEASURED]).contiguous().numpy())
    machine = picojoule.load_hardware(given.machine)
    net = picojoule.load_model(dense, EXAMPLE)

    def energies_of(module, estimate):
        zeros = load_zeros(module, EXAMPLE, network=net, sparsity="measured", data=npz).zeros
        return LayerEnergies(net, machine, estimate, zeros)

    searched = picojoule.estimate(net, hardware=machine)
    energies = energies_of(dense, searched)
    whole = energies.total()
    print(
        f"dense: {searched.energy_pj:.4g} {machine.unit} without its zeros, {whole:.4g} with those of activations;"
        f" accuracy {subject.accuracy(dense, data.test):.4f}",
        flush=True,
    )
    batches = [subject.normalised(data.train.pixels[i : i + 250]) for i in range(0, 1000, 250)]
    path = given.runs / "sensitivity.json"
    if path.exists():
        grown = {n: {float(d): v for d, v in row.items()} for n, row in json.loads(path.read_text()).items()}
    else:
        grown = sensitivity(dense, batches)
        replace_file(path, json.dumps(grown))
    recipe = Recipe(epochs=given.epochs, peak_rate=given.rate, l2=1e-5, augment=True, distil=0.9)
    for budget in given.budgets:
        for criterion in given.criteria:
            name = f"{given.machine}-{criterion}-{budget:g}"
            done = given.runs / name / "result.json"
            if done.exists():
                print(done.read_text(), flush=True)
                continue
            densities = densities_within(criterion, budget * whole, dense, energies, grown)
            if densities is None:
                print(f"{name}: out of reach", flush=True)
                continue
            pruned = prune_to(dense, densities, batches, energies)
            before = subject.accuracy(pruned, data.test)
            fit(
                pruned,
                data,
                recipe,
                folder=given.runs / name,
                normalisation=subject.NORMALISATION,
                teacher=dense,
                after_step=Masks(pruned),
                note=lambda line: print(
                    json.dumps({k: line[k] for k in ("epoch", "loss", "train_accuracy", "choose_accuracy", "cpu_s")}),
                    flush=True,
                ),
            )
            after = energies_of(pruned, searched)
            shares = zero_shares(pruned)
            result = {
                "name": name,
                "criterion": criterion,
                "machine": given.machine,
                "budget": budget,
                "densities": densities,
                "zeros": 1
                - sum(float((p != 0).sum()) for n, p in pruned.named_parameters() if p.ndim > 1)
                / sum(p.numel() for n, p in pruned.named_parameters() if p.ndim > 1),
                "zero_shares": shares,
                "accuracy_before_tuning": before,
                "accuracy": subject.accuracy(pruned, data.test),
                "accuracy_choosing": subject.accuracy(pruned, data.choose),
                "energy": after.total(),
                "of_dense": after.total() / whole,
                "of_dense_without_zeros": after.total() / searched.energy_pj,
            }
            replace_file(done, json.dumps(result))
            print(json.dumps({k: v for k, v in result.items() if k not in ("densities", "zero_shares")}), flush=True)


if __name__ == "__main__":
    main()
