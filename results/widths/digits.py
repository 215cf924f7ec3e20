"""Depth × width on scikit-learn's digits: a network of three exits, trained, then at four widths with shared weights.

    PYTHONPATH=src:tests python results/widths/digits.py FOLDER

FOLDER is for checkpoints. Writes `digits.npz` (float16 logits, widths × exits × images × classes, of the choosing and of
the test images) and `digits.json` (energies by exit and width on a machine, parameters). About a minute.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from support.digit_network import EXAMPLE, HEADS, ExitDigits

from picojoule.exits.slimming import WIDTHS, train_widths
from picojoule.exits.widths import energies_at
from picojoule.train import Recipe, fit, predict
from picojoule.train.digits import read_digits

HERE = Path(__file__).resolve().parent
MACHINE = "eyeriss-like-45nm"
ALONE = Recipe(epochs=30, batch=64, peak_rate=5e-3, l2=1e-4, precision="float32")
TOGETHER = replace(ALONE, epochs=40, peak_rate=4e-3, l2=1e-5, distil=0.5)


def main() -> None:
    runs = Path(sys.argv[1])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data, module = read_digits(), ExitDigits()
    fit(module, data, ALONE, folder=runs / "alone")
    networks = train_widths(module.eval(), EXAMPLE, data, folder=runs / "widths", widths=WIDTHS, recipe=TOGETHER)
    normal = data.normalisation()
    logits = {
        name: np.stack([predict(one, images, normal) for one in [*networks, module]]).astype(np.float16)
        for name, images in (("choose", data.choose), ("test", data.test))
    }
    np.savez_compressed(HERE / "digits.npz", **logits)
    facts = []
    for width, network in zip(WIDTHS, networks, strict=True):
        energies, unit = energies_at(network, EXAMPLE, hardware=MACHINE, heads=HEADS)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        facts.append(
            {"width": width, "parameters": parameters, "trunk": list(energies.trunk), "heads": list(energies.heads), "unit": unit}
        )
    (HERE / "digits.json").write_text(json.dumps({"machine": MACHINE, "widths": facts}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
