"""Trains the networks of `results/merkel`; what is broken off goes on at the last finished epoch.

    python results/merkel/train.py combined L1 L2 L3 L4 L5 L6 individual

Names: `L1` … `L11` a network alone; `L6w16` one of 16 filters; `combined` the six exits at once; `individual` five
exits on the frozen features of L6 (which must be there). A suffix `-keep` drops 0.2 instead of 0.8 of the classifier's
inputs. On a GPU: `--device cuda`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from picojoule.exits.training import train_combined, train_individual, train_one
from picojoule.train import Recipe, read_cifar10

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "cifar10")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "merkel", help="checkpoints, in a folder a name")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    for field, kind in (("epochs", int), ("seed", int), ("precision", str)):
        parser.add_argument(f"--{field}", type=kind, default=getattr(Recipe(), field))
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    torch.set_default_device(given.device)
    recipe = Recipe(epochs=given.epochs, seed=given.seed, precision=given.precision)
    data = read_cifar10(given.data)
    for name in given.names:
        plain = name.removesuffix("-keep")
        common = {
            "folder": given.runs / name,
            "drop": 0.8 if plain == name else 0.2,
            "note": lambda line, name=name: print(json.dumps({"name": name, **line}), flush=True),
        }
        if plain == "combined":
            train_combined(data, recipe, **common)
        elif plain == "individual":
            train_individual(given.runs / "L6" / "best.safetensors", data, recipe, **common)
        elif match := re.fullmatch(r"L(\d+)(?:w(\d+))?", plain):
            train_one(int(match[1]), data, recipe, width=int(match[2] or 64), **common)
        else:
            sys.exit(f"no network is called {name!r}\n{__doc__}")


if __name__ == "__main__":
    main()
