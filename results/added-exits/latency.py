"""How much of what leaving early saves in MACs it saves in time: ResNet-56 with its exits in ONNX Runtime, on test images.

PYTHONPATH=src:tests python results/added-exits/latency.py frozen [--images 1280] [--keep]

The bundle that `run.py` left is deployed at the operating point that the choosing images give (margin, the network's accuracy less 0.2
points), and runs in turn with the published network alone: one thread, batches of 1 and of 64, the same images. Mean latency, since it is
the mean that MACs promise; a pair in which either was interrupted is left out, if few were. ``--keep`` writes `time.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from run import NORMALISATION, ROOT, published

from picojoule.compress.task import inputs_of
from picojoule.exits import deploy
from picojoule.exits.decision_files import read_energies
from picojoule.frontends import load_model
from picojoule.runtime import Bundle, DriftWarning, Session, export_bundle
from picojoule.runtime.timed_session import Run
from picojoule.train.datasets import read_dataset

HERE = Path(__file__).resolve().parent
AIM, DROP, WARM = 0.85, 0.002, 3


def macs_of(bundle: Bundle) -> np.ndarray:
    """MACs of one sample that leaves at each exit."""
    own = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (stage, model) in enumerate(zip(bundle.manifest.stages, bundle.models, strict=True)):
            path = Path(folder, f"{number}.onnx")
            path.write_bytes(model)
            shapes = {one.name: (1, *one.shape) for one in inputs_to(bundle, stage)}
            own.append(load_model(path, shape=shapes).macs)
    return np.cumsum(own)


def inputs_to(bundle: Bundle, stage: Any) -> list[Any]:
    """The tensors that a stage reads, as the manifest describes them."""
    known = {one.name: one for one in (*bundle.manifest.inputs, *(out for each in bundle.manifest.stages for out in each.outputs))}
    return [known[name] for name in stage.inputs]


def timed(call: Any) -> tuple[Run, Any]:
    own, began = time.thread_time(), time.perf_counter()
    answer = call()
    return Run(time.perf_counter() - began, time.thread_time() - own), answer


def measure(batch: int, whole: Session, staged: Session, macs: np.ndarray, alone: float, x: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Both in turn on all images."""
    pairs, exits, hits = [], [], 0
    for number, first in enumerate(range(0, len(x) - batch + 1, batch)):
        part = x[first : first + batch]
        found: list[Any] = [None, None]
        for which in (0, 1) if number % 2 else (1, 0):
            found[which] = timed(lambda which=which: (whole, staged)[which].run(part))
        answer = found[1][1]
        hits += int((answer.top(1)[0][:, 0] == labels[first : first + batch]).sum())
        if number >= WARM:
            pairs.append((found[0][0], found[1][0], float(macs[answer.exits].mean())))
        exits.append(answer.exits)
    calm = [pair for pair in pairs if not (pair[0].interrupted or pair[1].interrupted)]
    used = calm if 2 * len(calm) > len(pairs) else pairs
    before, after = (float(np.mean([pair[k].seconds for pair in used])) for k in (0, 1))
    saved, promised = 1 - after / before, 1 - float(np.mean([pair[2] for pair in used])) / alone
    shares = np.bincount(np.concatenate(exits), minlength=len(macs)) / len(x)
    row = {
        "batch": batch, "whole_s": before, "exits_s": after, "saved_time": saved, "saved_macs": promised, "of_promised": saved / promised,
        "accuracy": hits / len(x), "leave": shares.tolist(), "pairs": len(used), "of_pairs": len(pairs),
    }  # fmt: skip
    print(
        f"batch {batch:3}   whole {1e3 * before:8.3f} ms   exits {1e3 * after:8.3f} ms   saved {saved:6.1%} of the time,"
        f" {promised:6.1%} of the MACs: {saved / promised:6.1%}   {row['accuracy']:.1%} right   {len(used)} of {len(pairs)} pairs",
        flush=True,
    )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way")
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "added-exits")
    given = parser.parse_args()
    warnings.simplefilter("ignore", DriftWarning)
    torch.set_num_threads(1)
    folder, example = given.runs / f"resnet56-{given.way}", torch.zeros(1, 3, 32, 32)
    data = read_dataset(given.shared / "data" / "cifar10", all_seen=True)
    x, chosen = (inputs_of(part.pixels, NORMALISATION).contiguous().numpy() for part in (data.test.part(0, given.images), data.choose))
    network = published(56, given.shared)
    with np.load(HERE / f"resnet56-{given.way}" / "choose.npz") as arrays:
        target = float((arrays["alone"].argmax(1) == arrays["labels"]).mean()) - DROP
    with tempfile.TemporaryDirectory() as temporary:
        whole = Session(export_bundle(network, Path(temporary, "alone"), example), threads=1)
        deployed = deploy(
            folder / "bundle", Path(temporary, "deployed"), (chosen, data.choose.labels), read_energies(str(folder / "energies.json")),
            target_accuracy=target, rule="margin", ask="best",
        )  # fmt: skip
        staged = Session(deployed, threads=1)
        macs, alone = macs_of(deployed), float(load_model(network, example).macs)
        rows = [measure(batch, whole, staged, macs, alone, x, data.test.labels[: given.images]) for batch in (1, 64)]
    print(f"at least {min(row['of_promised'] for row in rows):.1%} of what MACs promise (aim: {AIM:.0%})")
    if given.keep:
        facts = {"runtime": f"onnxruntime {onnxruntime.__version__}", "images": given.images, "way": given.way, "rows": rows}
        (HERE / "time.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
