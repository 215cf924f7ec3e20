"""Adapts the networks by measurement, by MACs and by modelled energy, and by the baselines; what is broken off goes on.

    python results/netadapt/run.py                      # all arms, in this order
    python results/netadapt/run.py measured-0.5 uniform-0.5

All arms of a network share one recipe and differ in budget, hardware and method alone. Of arms that differ in the budget alone
the looser ones begin with the steps of the tightest, which are the same: they are not made twice (``share``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from network import CIFAR10, EXAMPLE, ROOT, mobilenet, resnet20

from picojoule.compress import adapt
from picojoule.compress.task import TUNING
from picojoule.train import read_cifar10
from picojoule.train.datasets import read_dataset

RECIPE = replace(TUNING, epochs=2, batch=64, peak_rate=2e-3, precision="float32")
SCHEDULE = {"step": 0.08, "decay": 0.96, "steps": 50, "judged_on": 1000, "grid": 8}
MACHINE = "eyeriss-v1"

ARMS = {
    **{f"measured-{share}": {"budget": f"{100 * share:g}%", "hardware": "measured"} for share in (0.5, 0.65, 0.8)},
    **{
        f"uniform-{share}": {"budget": f"{100 * share:g}%", "hardware": "measured", "method": "uniform"}
        for share in (0.8, 0.65, 0.5)
    },
    **{f"macs-{share}": {"budget": f"{100 * share:g}% macs", "hardware": "measured"} for share in (0.4, 0.55, 0.7)},
    "morphnet-0.65": {"budget": "65%", "hardware": "measured", "method": "morphnet"},
    **{f"energy-{share}": {"budget": f"{100 * share:g}%", "hardware": MACHINE} for share in (0.5, 0.65)},
    **{f"resnet20-measured-{share}": {"budget": f"{100 * share:g}%", "hardware": "measured"} for share in (0.65,)},
    **{
        f"resnet20-uniform-{share}": {"budget": f"{100 * share:g}%", "hardware": "measured", "method": "uniform"}
        for share in (0.65,)
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="*", metavar="ARM", help=", ".join(ARMS))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "netadapt", help="a folder for each arm")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.arms or ARMS:
        made(name, given.runs, given.jobs)


def made(name: str, runs: Path, jobs: int) -> None:
    """One arm, unless it is there."""
    folder, asked = runs / name, ARMS[name]
    if (folder / "result.json").exists():
        return
    began = (time.perf_counter(), time.process_time())
    if "method" not in asked:
        share(name, runs)
    resnet = name.startswith("resnet20")
    module, _ = resnet20() if resnet else mobilenet()
    data = {"data": read_dataset(CIFAR10, all_seen=True), "normalisation": normalisation_of("resnet20")} if resnet else {"data": read_cifar10(CIFAR10)}
    result = adapt(
        module, EXAMPLE, **asked, **data, **SCHEDULE, recipe=RECIPE, output=folder, jobs=jobs,
        note=lambda text: print(json.dumps({"arm": name, "note": text}), flush=True),
    )  # fmt: skip
    print(
        json.dumps(
            {"arm": name, "met": result.met, "used": result.used, "limit": result.limit, "accuracy": result.accuracy_after,
             "wall_s": time.perf_counter() - began[0], "cpu_s": time.process_time() - began[1]}
        ),
        flush=True,
    )  # fmt: skip


def share(name: str, runs: Path) -> None:
    """Begins an arm with the steps of a tighter one of the same kind, as far as its own budget doesn't cut them short."""
    kind, own = name.rsplit("-", 1)
    folder = runs / name
    tighter = [
        runs / other for other in ARMS if other.rsplit("-", 1)[0] == kind and float(other.rsplit("-", 1)[1]) < float(own)
    ]
    there = [other for other in tighter if (other / "result.json").exists()]
    if folder.exists() or not there:
        return
    source = there[0]
    temporary = folder.with_name(f".{name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    request = json.loads((source / "request.json").read_text())
    request["budget"] = [ARMS[name]["budget"]]
    (temporary / "request.json").write_text(json.dumps(request, indent=1) + "\n")
    for kept in ("start.json", "table.journal", "original.onnx"):
        if (source / kept).exists():
            shutil.copy(source / kept, temporary / kept)
    limit = float(own) * json.loads((source / "start.json").read_text())["start"][0]
    for step in sorted(source.glob("step-*.json")):
        if json.loads(step.read_text())["targets"][0] <= limit:
            break
        shutil.copy(step, temporary / step.name)
        weights = step.with_suffix(".safetensors")
        shutil.copy(weights, temporary / weights.name)
    os.replace(temporary, folder)


def normalisation_of(network: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and deviation of pixels that the published network was trained with; None: those of the training images."""
    if network != "resnet20":
        return None
    return np.float32((0.485, 0.456, 0.406)) * 255, np.float32((0.229, 0.224, 0.225)) * 255


if __name__ == "__main__":
    main()
