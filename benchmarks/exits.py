"""How much of what leaving early saves in MACs it saves in time: document 001's network in ONNX Runtime, on test images.

The published weights (`results/merkel/weights`) as a bundle of six stages, at the operating point that the choosing
images give for the best fixed exit less 0.2 points (margin, exits combined), against the six layers alone in one
session. Both answer the same images, in turn; one thread; batches of 1 and of 64. Mean latency, since it is the mean
that MACs promise; a pair in which either was interrupted is left out, if few were. Run it from the checkout beside the
data: ``python benchmarks/exits.py [IMAGES]``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.exits import ExitEnergies, all_exits, decide, depth_macs, operation_of
from picojoule.exits.deploying import thinned
from picojoule.exits.macs import backbone_macs, exit_macs
from picojoule.runtime import Session, export_bundle
from picojoule.runtime.timed_session import Run
from picojoule.train import load_tensors, read_cifar10

ROOT = Path(__file__).resolve().parents[1]
MERKEL = ROOT / "results" / "merkel"
EXITS, DROP, AIM = 6, 0.002, 0.85
DATA = ROOT.parent / "shared" / "data" / "cifar10"


def network() -> Any:
    """The six exits with their weights."""
    net = all_exits(EXITS)
    weights, _ = load_tensors(MERKEL / "weights" / "combined.safetensors")
    net.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return net.eval()


def alone(net: Any) -> Any:
    """Its six layers with the last classifier alone."""
    import torch

    class Alone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs, self.head = net.convs, net.heads[str(EXITS - 1)]

        def forward(self, x: Any) -> Any:
            for conv in self.convs:
                x = conv(x).relu()
            return self.head(x.permute(0, 2, 3, 1).flatten(1))

    return Alone().eval()


def operation() -> Any:
    """Operating points by the choosing images' logits; energies are MACs, written as picojoules."""
    with np.load(MERKEL / "logits" / "combined.npz") as logits, np.load(MERKEL / "labels.npz") as labels:
        choose, right = logits["choose"].astype(np.float32), labels["choose"].astype(np.int64)
    trunk = np.diff([0, *(backbone_macs(e) for e in range(EXITS))])
    parts = ExitEnergies(trunk=tuple(trunk.tolist()), heads=tuple(exit_macs(e) for e in range(EXITS)))
    target = float((choose.argmax(2) == right).mean(1).max()) - DROP
    found = decide(choose, right, parts, target_accuracy=target, rule="margin", combine=True)
    settings = thinned(found.front, 31)
    if found.setting not in settings:
        settings = sorted([*settings, found.setting], key=lambda one: one.energy)
    return replace(operation_of(settings, (choose, right)), default=settings.index(found.setting))


def timed(call: Any) -> tuple[Run, Any]:
    own, began = time.thread_time(), time.perf_counter()
    answer = call()
    return Run(time.perf_counter() - began, time.thread_time() - own), answer


def measure(batch: int, whole: Session, staged: Session, x: np.ndarray) -> float:
    """Prints a line; what is saved in time over what is saved in MACs."""
    pairs, macs, warm = [], 0.0, 3
    for number, first in enumerate(range(0, len(x) - batch + 1, batch)):
        part = x[first : first + batch]
        order = (0, 1) if number % 2 else (1, 0)
        calls = (lambda part=part: whole.run(part), lambda part=part: staged.run(part))
        found: list[Any] = [None, None]
        for which in order:
            found[which] = timed(calls[which])
        if number >= warm:
            pairs.append((found[0][0], found[1][0], float(found[1][1].energy_pj.mean())))
    calm = [pair for pair in pairs if not (pair[0].interrupted or pair[1].interrupted)]
    used = calm if 2 * len(calm) > len(pairs) else pairs
    before, after = (float(np.mean([pair[k].seconds for pair in used])) for k in (0, 1))
    own = 1 - sum(p[1].own_s for p in pairs) / sum(p[0].own_s for p in pairs)
    macs = float(np.mean([pair[2] for pair in used]))
    saved, promised = 1 - after / before, 1 - macs / depth_macs(EXITS)
    print(
        f"batch {batch:3}   whole {1e3 * before:8.3f} ms   exits {1e3 * after:8.3f} ms   saved {saved:6.1%} of the time,"
        f" {promised:6.1%} of the MACs: {saved / promised:6.1%}   {len(used)} of {len(pairs)} pairs"
        f" (processor time of all: {own / promised:6.1%})",
        flush=True,
    )
    return saved / promised


def main() -> None:
    if not DATA.is_dir():
        print(f"skipped: there is no {DATA}")
        return
    import onnxruntime
    import torch

    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1280
    data = read_cifar10(DATA)
    mean, deviation = (np.array(one) for one in data.normalisation())
    pixels = data.test.pixels[:count]
    x = ((pixels - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2).copy()
    net, example = network(), torch.zeros(1, 3, 32, 32)
    with tempfile.TemporaryDirectory() as folder:
        bundle = export_bundle(net, Path(folder) / "exits", example)
        whole = Session(export_bundle(alone(net), Path(folder) / "alone", example), threads=1)
    staged = Session(replace(bundle, manifest=replace(bundle.manifest, operation=operation())), threads=1)
    answers = [staged.run(x[n : n + 64]) for n in range(0, count, 64)]
    classes = np.concatenate([one.top(1)[0][:, 0] for one in answers])
    right = (classes == data.test.labels[:count]).mean()
    print(f"onnxruntime {onnxruntime.__version__}, 1 thread, {count} test images, {right:.1%} right")
    worst = min(measure(batch, whole, staged, x) for batch in (1, 64))
    print(f"at least {worst:.1%} of what MACs promise (aim: {AIM:.0%})")


if __name__ == "__main__":
    main()
