"""Prunes the weights of ResNet-20 to energy budgets, by each criterion, and fine-tunes all by one recipe.

    python results/compression/prune.py --machine eyeriss-methodology --criteria energy macs magnitude --budgets 0.72

A budget is a share of the energy of the dense network with its own zeros of activations at the same bits. What is broken off goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

import picojoule


def main() -> None:
    def options(parser) -> None:
        parser.add_argument("--machine", default="eyeriss-methodology")
        parser.add_argument("--criteria", nargs="+", default=["energy", "macs", "magnitude"])
        parser.add_argument("--budgets", nargs="+", type=float, default=[0.72])

    bench = subject.Bench(__doc__, epochs=6, rate=1e-3, options=options)
    given = bench.given
    for budget in given.budgets:
        for criterion in given.criteria:
            result = picojoule.prune(
                bench.dense, subject.EXAMPLE, hardware=given.machine, budget=f"{100 * budget:g}%", criterion=criterion,
                output=bench.runs / f"{given.machine}-{criterion}-{budget:g}",
                sensitivity_file=bench.runs / "sensitivity.json", **bench.task,
            )  # fmt: skip
            print(json.dumps({
                "criterion": criterion, "budget": budget, "energy": result.used, "met": result.met,
                "accuracy": result.accuracy_after, "accuracy_int8": result.accuracy_int8,
            }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
