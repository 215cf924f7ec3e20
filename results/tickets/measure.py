"""What the tickets that were drawn can do: tickets.json, claims.json, the tables of README.md.

    python results/tickets/measure.py                  # after run.py: copies weights and logs of every finished run here first
    python results/tickets/measure.py --from-weights   # accuracies anew from the weights that lie here
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from networks import NETWORKS
from support.committed_results import claim, halves, write_table

from picojoule.atomic_file import replace_file
from picojoule.compress.tickets.narrow import ChannelTickets
from picojoule.train import predict
from picojoule.train.checkpoint import load_tensors
from picojoule.train.datasets import read_dataset

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMMAND = "python results/tickets/measure.py --from-weights"
DATA, CONTROLS = ("digits", "cifar10"), ("reinitialised", "random mask")
OF = ("dense", "ticket", *CONTROLS)
WITHIN = 0.5
"""Points that a ticket may lose against the whole network."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "tickets")
    parser.add_argument("--from-weights", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.from_weights:
        keep(given.runs)
    found = json.loads((HERE / "tickets.json").read_text())
    images: dict = {}
    for run, told in found.items():
        data = run.partition("-")[0]
        if data not in images:
            images[data] = read_dataset("digits" if data == "digits" else given.shared / "data" / "cifar10")
        again(run, told, images[data])
    replace_file(HERE / "claims.json", json.dumps(claims_of(found), indent=1) + "\n")
    write_table(HERE / "README.md", tables(found))


def keep(runs: Path) -> None:
    """Copies what every finished run came to, its last networks as float16, and its logs."""
    (HERE / "weights").mkdir(exist_ok=True)
    (HERE / "logs").mkdir(exist_ok=True)
    path = HERE / "tickets.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for file in sorted(runs.glob("*/result.json")):
        folder, run = file.parent, file.parent.name
        told = json.loads(file.read_text())["tickets"]
        kind = told["handed_over"]
        last = max(row["round"] for row in told["rows"])
        arrays = {}
        for name, stage in (
            ("dense", "dense"),
            ("ticket", f"{kind}-{last}"),
            ("reinitialised", f"{kind}-reinitialised"),
            ("random mask", f"{kind}-random-mask"),
        ):
            arrays |= {f"{name}/{key}": array for key, array in halves(load_tensors(folder / f"{stage}.safetensors")[0]).items()}
        for key, tensor in load_tensors(folder / f"ticket-{kind}.kept.safetensors")[0].items():
            arrays[f"kept/{key}"] = np.packbits(tensor.numpy()) if kind == "weights" else tensor.numpy()
        np.savez_compressed(HERE / "weights" / f"{run}.npz", **arrays)
        lines = [
            json.dumps({"training": log.parent.name, **json.loads(line)})
            for log in sorted(folder.glob("*/log.jsonl"))
            for line in log.read_text().splitlines()
        ]
        replace_file(HERE / "logs" / f"{run}.jsonl", "\n".join(lines) + "\n")
        found[run] = told
    replace_file(path, json.dumps(dict(sorted(found.items())), indent=1) + "\n")


def again(run: str, told: dict, data) -> None:
    """Holds the accuracies of the last networks against those of the weights that lie here: within one image in a hundred thousand."""
    data_name, seed, kind = run.split("-")[:3]
    with np.load(HERE / "weights" / f"{run}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    rows = {row["what"]: row for row in told["rows"]}
    for what, row in rows.items():
        module, example = NETWORKS[data_name](int(seed))
        state = {
            name.partition("/")[2]: torch.from_numpy(array).float() for name, array in arrays.items() if name.startswith(f"{what}/")
        }
        if kind == "channels" and what != "dense":
            narrow = ChannelTickets(module, example, 4 if data_name == "digits" else 8)
            kept = {name.partition("/")[2]: torch.from_numpy(a) for name, a in arrays.items() if name.startswith("kept/")}
            # Which channels were drawn doesn't matter to the shapes.
            module = narrow.applied(kept, module.state_dict())[0]
        module.load_state_dict(state)
        right = float((predict(module, data.test, data.normalisation())[-1].argmax(1) == data.test.labels).mean())
        assert abs(right - row["accuracy"]) <= 0.002, (run, what, right, row["accuracy"])


def last(told: dict, what: str) -> dict:
    return [row for row in told["rows"] if row["what"] == what][-1]


def ahead(runs: list[dict], of: str) -> list[float]:
    """Of every seed: by how many points the ticket is better."""
    return [100 * (last(told, "ticket")["accuracy"] - last(told, of)["accuracy"]) for told in runs]


def standard_error(values: list[float]) -> float | None:
    """Of their mean; None of one value."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def of_weights(found: dict, data: str) -> list[dict]:
    return [told for run, told in found.items() if run.startswith(f"{data}-") and run.endswith("-weights")]


def claims_of(found: dict) -> list[dict]:
    """A line for every figure that was aimed for, with its verdict."""
    claims = []
    for data in DATA:
        runs = of_weights(found, data)
        share = max(last(told, "ticket")["share"] for told in runs)
        lost = -statistics.mean(ahead(runs, "dense"))
        lines = [("share", share, "of the weights", "<= 0.2", share <= 0.2), ("lost", lost, "points", "<= 0.5", lost <= WITHIN)]
        for control in CONTROLS:
            by = ahead(runs, control)
            lines.append((f"ahead of {control}", statistics.mean(by), "points", "> 0", statistics.mean(by) > 0))
            won = sum(one > 0 for one in by)
            lines.append((f"seeds ahead of {control}", won, f"of {len(runs)}", "all", won == len(runs)))
        claims += [
            claim(f"tickets.{data}.{name}", *line, artefact="results/tickets/tickets.json", command=COMMAND)
            for name, *line in lines
        ]
    return claims


def tables(found: dict) -> str:
    """Markdown: accuracies of every run, what tickets gain and lose over the seeds, then energies by machine."""
    lines = [f"| run | weights left | {' | '.join(OF)} |", "|---|--:|" + "--:|" * len(OF)]
    for run, told in found.items():
        figures = [f"{last(told, what)['accuracy']:.2%}" for what in OF]
        lines.append(f"| {run} | {last(told, 'ticket')['share']:.1%} | " + " | ".join(figures) + " |")
    lines += ["", "| tickets of weights, points | seeds | against dense | against reinitialised | against a random mask |", "|---|--:|--:|--:|--:|"]
    for data in DATA:
        runs = of_weights(found, data)
        figures = []
        for other in ("dense", *CONTROLS):
            by = ahead(runs, other)
            error = standard_error(by)
            figures.append(f"{statistics.mean(by):+.2f}" + ("" if error is None else f" ± {error:.2f}"))
        lines.append(f"| {data} | {len(runs)} | " + " | ".join(figures) + " |")
    lines += ["", f"| recipe, digits, held-out training images | {' | '.join(OF)} |", "|---|" + "--:|" * len(OF)]
    for row in json.loads((HERE / "recipes.json").read_text()):
        lines.append(f"| {row['recipe']} | " + " | ".join(f"{row[what]:.2%}" for what in OF) + " |")
    lines += ["", "| network | machine | zeros | ticket of weights | ticket of channels |", "|---|---|---|--:|--:|"]
    for data in DATA:
        pair = {kind: found[f"{data}-0-{kind}"] for kind in ("weights", "channels")}
        for place, row in enumerate(pair["weights"]["energies"]):
            energies = {kind: told["energies"][place]["energy"] for kind, told in pair.items()}
            shares = [f"{energy[kind] / energy['dense']:.0%}" for kind, energy in energies.items()]
            lines.append(f"| {data} | {row['machine']} | {'spared' if row['minds_zeros'] else 'cost all'} | " + " | ".join(shares) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
