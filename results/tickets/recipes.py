"""By which recipe the digits' tickets are drawn: chosen on images that train, before any that report are looked at.

    python results/tickets/recipes.py

The 1,200 images that train fall into five parts of 240. For each, another seed (100-104, none of those that report) trains on the other
four, chooses the epoch on the 200 choosing images, and answers the 240. The recipe with the most right answers of tickets (not: with the
smallest loss against the whole network, which a bad one would have) is taken. recipes.json; what is broken off goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from networks import digits
from run import EACH_ROUND, RECIPES

from picojoule.atomic_file import replace_file
from picojoule.compress.layers import weight_count
from picojoule.compress.stages import Stages
from picojoule.compress.task import task_of_images
from picojoule.compress.tickets.masks import WeightTickets
from picojoule.compress.tickets.search import find, first
from picojoule.train import Recipe
from picojoule.train.digits import read_digits
from picojoule.train.images import Images, Splits

HERE = Path(__file__).resolve().parent
FOLDS, SHARE = 5, 0.2
CANDIDATES = {
    "15 epochs": {},
    "15 epochs, rewound 1": {"rewound": 1},
    "30 epochs, rewound 3": {"epochs": 30, "rewound": 3},
    "30 epochs": {"epochs": 30},
    "30 epochs, rewound 1": {"epochs": 30, "rewound": 1},
}
"""Rewound to the weights after so many epochs. By the first the five seeds that report had once been run, and had lost 0.504 points."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=HERE.parents[1] / "runs" / "tickets-recipes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, asked in CANDIDATES.items():
        folds = [drawn(given.runs / f"{name}-{fold}".replace(" ", "_").replace(",", ""), fold, **asked) for fold in range(FOLDS)]
        rows.append({"recipe": name} | {what: float(np.mean([fold[what] for fold in folds])) for what in folds[0]})
        print(json.dumps(rows[-1]), flush=True)
    rows.sort(key=lambda row: -row["ticket"])
    replace_file(HERE / "recipes.json", json.dumps(rows, indent=1) + "\n")


def drawn(
    folder: Path, fold: int, *, epochs: int = 15, rewound: int = 0
) -> dict[str, float]:
    """Accuracies on one part of the training images of the network, ticket and controls that the others trained."""
    data = parts(fold)
    recipe = Recipe(**{**RECIPES["digits"], "epochs": epochs}, seed=100 + fold)
    stages = Stages(folder, {"recipe": repr(recipe), "rewound": rewound, "each": EACH_ROUND["digits"]})
    rewind = rewound * (len(data.train) // recipe.batch)
    module, _ = digits(recipe.seed)
    untrained = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    task = task_of_images(data, recipe)
    dense, weights, row = first(module, task, stages, rewind)
    ticket = find(
        WeightTickets(dense), dense, weights, untrained, task=task, stages=stages, least=SHARE, each=EACH_ROUND["digits"], rewind=rewind,
        within=lambda one: weight_count(one) <= SHARE * weight_count(dense), seed=recipe.seed, note=lambda _: None,
    )  # fmt: skip
    return {one.what: one.accuracy for one in (row, *ticket.rows)}


def parts(fold: int) -> Splits:
    """The digits with a fifth of the training images in the place of those that report."""
    data = read_digits()
    inside = np.arange(len(data.train)) % FOLDS == fold
    train, held = (Images(pixels=data.train.pixels[which], labels=data.train.labels[which]) for which in (~inside, inside))
    return replace(data, train=train, test=held)


if __name__ == "__main__":
    main()
