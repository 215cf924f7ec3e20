"""Bits of ResNet-20's weights, layer by layer, chosen for a mean and then learnt; activations stay in float here.

python results/compression/bits.py --mean 4 3.5
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

import picojoule


def main() -> None:
    bench = subject.Bench(
        __doc__, epochs=3, rate=3e-4, options=lambda parser: parser.add_argument("--mean", nargs="+", type=float, default=[4.0])
    )  # fmt: skip
    for mean in bench.given.mean:
        result = picojoule.quantize(
            bench.dense, subject.EXAMPLE, hardware="eyeriss-methodology", mean_bits=mean,
            output=bench.runs / f"bits-{mean:g}", **bench.task,
        )  # fmt: skip
        print(json.dumps({"mean": result.used, "met": result.met, "accuracy": result.accuracy_after}), flush=True)


if __name__ == "__main__":
    main()
