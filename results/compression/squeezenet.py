"""What the zeros of SqueezeNet v1.0 (Deep Compression, 66.6 % of its weights) save: energy against the same network with none.

    python results/compression/squeezenet.py

Nothing is trained: weights and photo are those of shared/data. Zeros of activations are measured on that photo.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import picojoule
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.layers import weighted, zero_shares
from picojoule.frontends import load_zeros

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from support.squeezenet import SIZE, photo, trained  # noqa: E402 - the tests' own reader of these weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", nargs="+", default=["eyeriss-methodology", "eyeriss-v2"])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    given = parser.parse_args()
    torch.set_num_threads(1)
    module, example = trained(given.shared), torch.zeros(1, 3, SIZE, SIZE)
    network = picojoule.load_model(module, example)
    weights = sum(layer.weight.numel() for layer in weighted(module).values())
    shares = zero_shares(module)
    result = {"zeros": sum(shares[name] * layer.weight.numel() for name, layer in weighted(module).items()) / weights}
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "photo.npz"
        np.savez(samples, input=photo(given.shared))
        zeros = load_zeros(module, example, network=network, sparsity="measured", data=samples).zeros
    activations = {
        name: {tensor: share for tensor, share in row.items() if tensor != "weights"} for name, row in zeros.items()
    }
    for name in given.machines:
        machine = picojoule.load_hardware(name)
        dense = picojoule.estimate(network, hardware=machine)
        prices = [LayerEnergies(network, machine, dense, known).total() for known in ({}, activations, zeros)]
        result[name] = {
            "dense": prices[0], "zeros of activations": prices[0] / prices[1], "all zeros": prices[0] / prices[2],
            "zeros of weights beside those of activations": prices[1] / prices[2],
        }  # fmt: skip
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
