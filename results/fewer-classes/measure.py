"""What the arms of run.py came to: arms.json, ladder.json, their weights and logs.

    python results/fewer-classes/measure.py

ladder.json is a file for picojoule report: dense at 16 bits, INT8, half the channels at 8 bits, four classes at 8 bits.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.train.checkpoint import load_tensors

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMPRESSION = ROOT / "results" / "compression"
MACHINE = "eyeriss-methodology"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "fewer-classes")
    given = parser.parse_args()
    for name in ("weights", "logs"):
        (HERE / name).mkdir(exist_ok=True)
    arms = {}
    for file in sorted(given.runs.glob("*/result.json")):
        folder, name = file.parent, file.parent.name
        told = json.loads(file.read_text())
        eight = picojoule.estimate(
            folder / "float32.onnx", hardware=MACHINE, bits=8, sparsity="measured", data=folder / "samples.npz", shape={"input": (1, 3, 32, 32)}
        )
        arms[name] = {
            key: told[key]
            for key in ("before", "after", "accuracy_before", "accuracy_after", "accuracy_int8", "classes", "met", "used", "limit")
        } | {"energy_8_bits": eight.energy_pj}
        tensors = {key: tensor.half().numpy() for key, tensor in load_tensors(folder / "network.safetensors")[0].items()}
        np.savez_compressed(HERE / "weights" / f"{name}.npz", **tensors)
        logs = sorted(folder.glob("*/log.jsonl"))
        replace_file(HERE / "logs" / f"{name}.jsonl", "".join(log.read_text() for log in logs))
    if not arms:
        sys.exit(f"no arm is finished in {given.runs}")
    replace_file(HERE / "arms.json", json.dumps(arms, indent=1) + "\n")
    if "small" in arms:
        replace_file(HERE / "ladder.json", json.dumps(ladder(arms["small"]), indent=1, ensure_ascii=False) + "\n")


def ladder(small: dict) -> dict:
    """Steps on one machine, energies in its unit."""
    ten = json.loads((COMPRESSION / "arms.json").read_text())
    int8 = json.loads((COMPRESSION / "int8.json").read_text())
    dense, channels = ten["dense"], ten["channels-E"]
    steps = [
        ("dense", dense["accuracy"], dense["energy"][f"{MACHINE}:16"], "16 bits, 10 classes"),
        ("INT8", int8["int8"], dense["energy"][f"{MACHINE}:8"], "8 bits, ONNX Runtime's answers"),
        ("pruned", channels["accuracy"], channels["energy"][f"{MACHINE}:8"], "half the MACs in channels, 8 bits; accuracy in float32"),
        ("4 classes", small["accuracy_int8"], small["energy_8_bits"], "cat, dog, ship, truck, accuracy on these; weights pruned, INT8"),
    ]
    arms = [dict(zip(("name", "accuracy", "energy", "note"), step, strict=True)) for step in steps]
    return {
        "schema": "picojoule/front/1", "model": "ResNet-20", "hardware": MACHINE, "unit": "mac16", "arms": arms,
        "ladder": [arm["name"] for arm in arms],
    }  # fmt: skip


if __name__ == "__main__":
    main()
