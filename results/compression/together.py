"""All of it on one network: fewer channels and blocks, zeros within an energy budget at 8 bits, one fine-tuning, INT8.

    python results/compression/together.py --channels 0.73 --share 0.32

--channels is of the MACs, --share of the energy that the dense network takes at 8 bits, its zeros not counted. BatchNorm is re-estimated
with every step. Broken off and started again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject
from channels import export, macs
from int8 import onnx_accuracy, paired

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress.batchnorm import reestimate
from picojoule.compress.channels import shrink
from picojoule.compress.damage import Divergence
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.int8 import best_calibration
from picojoule.compress.layers import Masks
from picojoule.compress.stages import Stages
from picojoule.compress.weights import densities_within, prune_to, sensitivity
from picojoule.frontends import load_zeros
from picojoule.train import Recipe, fit

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = torch.zeros(1, 3, 32, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=float, default=0.73)
    parser.add_argument("--share", type=float, default=0.32)
    parser.add_argument("--machine", default="eyeriss-methodology")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data, dense = subject.images(given.shared), subject.resnet20(given.shared)
    folder = given.runs / f"together-{given.share:g}"
    stages = Stages(
        folder,
        {
            "channels": given.channels,
            "share": given.share,
            "machine": given.machine,
            "epochs": given.epochs,
            "rate": given.rate,
        },
    )
    batches = [subject.normalised(data.train.pixels[i : i + 250]) for i in range(0, 1000, 250)]
    found: list = []

    def channels() -> torch.nn.Module:
        small, steps = shrink(
            dense,
            EXAMPLE,
            cost=macs,
            damage=Divergence(dense, batches),
            budget=given.channels * macs(dense),
            grid=16,
            batches=batches,
            keep=("conv1",),
        )
        found.append(small)
        return [asdict(step) for step in steps]

    steps = stages.figures("channels", channels)
    small = subject.shaped(dense, steps)
    small = stages.weights("small", small, lambda: found[0] if found else narrowed_again(dense, steps, batches))
    machine = picojoule.load_hardware(given.machine)
    whole = picojoule.estimate(dense, EXAMPLE, hardware=machine, bits=8).energy_pj
    network = picojoule.load_model(small, EXAMPLE)
    searched = picojoule.estimate(network, hardware=machine, bits=8)

    def energies_of(module: torch.nn.Module) -> LayerEnergies:
        zeros = load_zeros(
            module, EXAMPLE, network=network, sparsity="measured", data=subject.samples(folder, data)
        ).zeros
        return LayerEnergies(network, machine, searched, zeros)

    grown = stages.figures("sensitivity", lambda: sensitivity(small, batches))
    grown = {name: {float(density): damage for density, damage in row.items()} for name, row in grown.items()}
    energies = energies_of(small)
    densities = stages.figures(
        "densities", lambda: densities_within("energy", given.share * whole, small, energies, grown)
    )

    def pruned() -> torch.nn.Module:
        made = prune_to(small, densities, batches, energies)
        reestimate(made, batches)
        return made

    module = stages.weights("start", subject.shaped(dense, steps), pruned).to(memory_format=torch.channels_last)
    before = subject.accuracy(module, data.test)
    print(json.dumps({"densities": densities, "accuracy_before_tuning": before}), flush=True)
    recipe = Recipe(epochs=given.epochs, peak_rate=given.rate, l2=1e-5, augment=True, distil=0.9)
    fit(
        module,
        data,
        recipe,
        folder=folder,
        normalisation=subject.NORMALISATION,
        teacher=dense,
        after_step=Masks(module),
        note=lambda line: print(
            json.dumps({k: line[k] for k in ("epoch", "loss", "choose_accuracy", "cpu_s")}), flush=True
        ),
    )
    used = energies_of(module).total()
    export(module, folder / "float32.onnx")
    export(dense, folder / "dense.onnx")
    images = [subject.normalised(data.train.pixels[i : i + 100]).contiguous().numpy() for i in range(0, 500, 100)]
    int8 = folder / "int8.onnx"
    scores = best_calibration(folder / "float32.onnx", int8, images, lambda path: onnx_accuracy(path, data.choose))
    result = {
        "steps": steps, "macs": macs(module), "share_asked": given.share, "share": used / whole, "calibrations": scores,
        "accuracy_before_tuning": before, "accuracy_float32": subject.accuracy(module, data.test),
        "accuracy": onnx_accuracy(int8, data.test),
    }  # fmt: skip
    for batch in (1, 64):
        times = paired(folder / "dense.onnx", int8, batch, 300 if batch == 1 else 40)
        result[f"batch {batch}"] = dict(zip(("dense_ms", "ms", "faster"), times, strict=True))
    replace_file(folder / "result.json", json.dumps(result))
    print(json.dumps(result), flush=True)


def narrowed_again(dense: torch.nn.Module, steps: list[dict], batches: list) -> torch.nn.Module:
    """The steps made anew: broken off between them and the weights."""
    from picojoule.compress.channels import less

    small = dense
    for step in steps:
        small = less(small, EXAMPLE, step["root"], step["removed"], dense, batches)
    return small


if __name__ == "__main__":
    main()
