"""Adapts the networks by measurement, by MACs and by modelled energy, and by the baselines; what is broken off goes on.

    python results/netadapt/run.py                      # all, in this order
    python results/netadapt/run.py resnet20-measured resnet20-uniform

All runs of a network share one recipe and differ in budgets, hardware and method alone. Each ends at its tightest budget and leaves a network
at each looser one on the way.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from network import CIFAR10, EXAMPLE, ROOT, mobilenet, resnet20

from picojoule.compress import adapt
from picojoule.compress.task import TUNING
from picojoule.search.policy import Exact
from picojoule.train import Splits, read_cifar10
from picojoule.train.datasets import read_dataset

RECIPES = {
    "resnet20": replace(TUNING, epochs=1, batch=64),
    "mobilenet": replace(TUNING, epochs=2, batch=64, peak_rate=1e-3, precision="float32"),
}
SCHEDULE = {"iterations": 10, "steps": 50, "judged_on": 1000, "grid": 8}
MACHINE = "eyeriss-v1"
SEARCH = Exact(factors="exact", time_limit_s=None, node_limit=4000)
"""As far on a busy machine as on an idle one."""

RUNS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "resnet20-uniform": ("uniform", "latency", (0.93, 0.8, 0.65)),
    "resnet20-measured": ("netadapt", "latency", (0.85, 0.7, 0.6)),
    "resnet20-macs": ("netadapt", "macs", (0.75, 0.6)),
    "resnet20-energy": ("netadapt", "energy", (0.75, 0.6)),
    "mobilenet-uniform": ("uniform", "latency", (0.8, 0.65, 0.5)),
    "mobilenet-measured": ("netadapt", "latency", (0.8, 0.65, 0.5)),
    "mobilenet-macs": ("netadapt", "macs", (0.7, 0.5)),
    "mobilenet-energy": ("netadapt", "energy", (0.7, 0.5)),
    "mobilenet-morphnet": ("morphnet", "latency", (0.65,)),
}
"""Method, what the budgets are of, and budgets as shares, the tightest last."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "netadapt", help="a folder for each")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.which or RUNS:
        made(name, given.runs, given.jobs)


def made(name: str, runs: Path, jobs: int) -> None:
    """One run, unless it is there."""
    folder, (method, kind, shares) = runs / name, RUNS[name]
    if (folder / "result.json").exists():
        return
    began = (time.perf_counter(), time.process_time())
    network = name.partition("-")[0]
    module, _ = resnet20() if network == "resnet20" else mobilenet()

    def note(text: str) -> None:
        print(json.dumps({"run": name, "note": text, "cpu_s": round(time.process_time() - began[1])}), flush=True)

    *waypoints, budget = (f"{100 * share:g}% {kind}" for share in shares)
    result = adapt(
        module, EXAMPLE, budget=budget, waypoint=waypoints, method=method, hardware=MACHINE if kind == "energy" else "measured",
        data=images_of(network), normalisation=normalisation_of(network), **SCHEDULE, recipe=RECIPES[network], search=SEARCH,
        output=folder, jobs=jobs, note=note,
    )  # fmt: skip
    print(
        json.dumps(
            {"run": name, "met": result.met, "used": result.used, "limit": result.limit, "accuracy": result.accuracy_after,
             "wall_s": time.perf_counter() - began[0], "cpu_s": time.process_time() - began[1]}
        ),
        flush=True,
    )  # fmt: skip


def images_of(network: str) -> Splits:
    """ResNet-20 has seen all training images: test images 0-1999 choose, 2000-9999 report."""
    return read_dataset(CIFAR10, all_seen=True) if network == "resnet20" else read_cifar10(CIFAR10)


def normalisation_of(network: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and deviation of pixels that the published network was trained with; None: those of the training images."""
    if network != "resnet20":
        return None
    return np.float32((0.485, 0.456, 0.406)) * 255, np.float32((0.229, 0.224, 0.225)) * 255


if __name__ == "__main__":
    main()
