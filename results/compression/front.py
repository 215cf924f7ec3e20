"""Criteria for zeros against one another at several energy budgets: before any fine-tuning, and after one epoch of it.

    python results/compression/front.py --budgets 0.72 0.6 0.55

Budgets are shares of the dense network's energy with its own zeros of activations, on eyeriss-methodology at 16 bits. Every arm has the same
sensitivities, least squares, images, seed and epoch; they differ by ``criterion`` alone. The results lie in ``runs/compression/front``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.layers import Masks
from picojoule.compress.stages import Stages
from picojoule.compress.weights import densities_within, prune_to, sensitivity
from picojoule.frontends import load_zeros
from picojoule.result_file import estimate_from_data
from picojoule.train import save_tensors

MACHINE = "eyeriss-methodology"
CRITERIA = ("energy", "magnitude", "macs")


def main() -> None:
    bench = subject.Bench(
        __doc__, epochs=1, rate=1e-3,
        options=lambda parser: parser.add_argument("--budgets", nargs="+", type=float, default=[0.72, 0.6, 0.55]),
    )  # fmt: skip
    dense, machine = bench.dense, picojoule.load_hardware(MACHINE)
    stages = Stages(bench.runs / "front", {"epochs": bench.given.epochs, "rate": bench.given.rate})
    samples = subject.samples(stages.folder, bench.data)
    net = picojoule.load_model(dense, subject.EXAMPLE)
    data = stages.figures("dense", lambda: picojoule.estimate(net, hardware=machine).to_data())
    searched = estimate_from_data(data, where="dense")

    def energies_of(module: torch.nn.Module) -> LayerEnergies:
        zeros = load_zeros(module, subject.EXAMPLE, network=net, sparsity="measured", data=samples).zeros
        return LayerEnergies(net, machine, searched, zeros)

    energies = energies_of(dense)
    whole = energies.total()
    kept = stages.figures("sensitivity", lambda: sensitivity(dense, bench.batches[:2]))
    grown = {name: {float(density): damage for density, damage in row.items()} for name, row in kept.items()}
    for budget in bench.given.budgets:
        for criterion in CRITERIA:
            folder = stages.folder / f"{criterion}-{budget:g}"
            if (folder / "result.json").exists():
                continue
            densities = densities_within(criterion, budget * whole, dense, energies, grown)
            if densities is None:
                print(f"{folder.name}: out of reach", flush=True)
                continue
            start = stages.weights(
                f"start-{folder.name}", subject.resnet20(bench.given.shared),
                lambda d=densities: prune_to(dense, d, bench.batches[:2], energies),
            )  # fmt: skip
            told = {"criterion": criterion, "budget": budget, "densities": densities}
            told["before"] = {"accuracy": subject.accuracy(start, bench.data.test), "energy": energies_of(start).total()}
            bench.tune(start, folder / "tuning", Masks(start))
            told["after"] = {"accuracy": subject.accuracy(start, bench.data.test), "energy": energies_of(start).total()}
            save_tensors(folder / "network.safetensors", start.state_dict(), {})
            replace_file(folder / "result.json", json.dumps(told | {"dense": whole}, indent=1) + "\n")
            print(json.dumps({k: v for k, v in told.items() if k != "densities"}), flush=True)


if __name__ == "__main__":
    main()
