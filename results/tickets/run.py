"""Draws tickets of one network and trains their controls; what is broken off goes on.

    python results/tickets/run.py digits --seed 0
    python results/tickets/run.py cifar10 --kind weights
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from networks import NETWORKS

import picojoule
from picojoule.compress.lottery import BESIDE, KINDS, Lottery
from picojoule.train import Recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {
    "digits": {"epochs": 30, "batch": 32, "peak_rate": 3e-3, "l2": 1e-5, "precision": "float32"},
    "cifar10": {"epochs": 6, "batch": 128, "peak_rate": 2e-3, "l2": 1e-5},
}
EACH_ROUND = {"digits": 0.4153, "cifar10": 0.5528}
"""To 20 % in three rounds, and in two."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, default="weights")
    parser.add_argument("--share", default="20%")
    parser.add_argument("--rewind", type=int, default=0)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "tickets")
    given = parser.parse_args()
    torch.set_num_threads(1)
    name = f"{given.network}-{given.seed}-{given.kind}" + (f"-rewind-{given.rewind}" if given.rewind else "")
    model, example = NETWORKS[given.network](given.seed)
    result = picojoule.prune(
        model,
        example,
        hardware="eyeriss-v2",
        budget=given.share,
        criterion="lottery",
        grid=4 if given.network == "digits" else 8,
        data="digits" if given.network == "digits" else given.shared / "data" / "cifar10",
        output=given.runs / name,
        recipe=Recipe(**RECIPES[given.network], seed=given.seed),
        # Machines are priced once, not for every seed.
        lottery=Lottery(
            rewind=given.rewind,
            each_round=EACH_ROUND[given.network],
            kinds=(given.kind,),
            beside=BESIDE if given.seed == 0 else (),
        ),
        note=lambda line: print(line, flush=True),
    )
    print(json.dumps(result.tickets), flush=True)


if __name__ == "__main__":
    main()
