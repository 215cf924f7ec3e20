"""All of it on one network: fewer channels and blocks, then zeros within an energy budget at 8 bits, then INT8 with the best calibration.

    python results/compression/together.py --after channels-0.5 --share 0.33

Starts from the channels that channels.py took away. --share is of the energy of the dense network at 8 bits, its zeros not counted.
Broken off and started again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from dataclasses import replace

import network as subject
from int8 import paired

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress import reload
from picojoule.compress.task import TUNING

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = torch.zeros(1, 3, 32, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--after", default="channels-0.5")
    parser.add_argument("--share", type=float, default=0.33)
    parser.add_argument("--machine", default="eyeriss-methodology")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = subject.images(given.shared)
    dense = subject.resnet20(given.shared)
    small = subject.narrowed(dense, given.runs / given.after)
    whole = picojoule.estimate(dense, EXAMPLE, hardware=given.machine, bits=8).energy_pj
    folder = given.runs / f"together-{given.share:g}"
    common = {
        "hardware": given.machine,
        "data": data,
        "normalisation": subject.NORMALISATION,
        "note": lambda line: print(line, flush=True),
    }
    pruned = picojoule.prune(
        small,
        EXAMPLE,
        budget=f"{given.share * whole} pJ",
        bits=8,
        output=folder / "zeros",
        recipe=replace(TUNING, epochs=given.epochs),
        **common,
    )
    last = picojoule.quantize(
        reload(small, EXAMPLE, folder=folder / "zeros"), EXAMPLE, output=folder / "int8", **common
    )
    result = {
        "share_asked": given.share,
        "dense_int8": whole,
        "energy": pruned.after.energy,
        "share": pruned.after.energy / whole,
        "accuracy_channels": pruned.accuracy_before,
        "accuracy_zeros": pruned.accuracy_after,
        "accuracy": last.accuracy_after,
        "energy_of_the_int8_file": last.after.energy,
        "macs": last.after.macs,
        "executed_macs": pruned.after.executed_macs,
    }
    for batch in (1, 64):
        names = ("dense_ms", "ms", "faster")
        times = paired(
            given.runs / given.after / "dense.onnx", folder / "int8" / "int8.onnx", batch, 300 if batch == 1 else 40
        )
        result[f"batch {batch}"] = dict(zip(names, times, strict=True))
    replace_file(folder / "result.json", json.dumps(result))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
