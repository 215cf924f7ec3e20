"""How much of what leaving early saves in MACs it saves in time: document 001's network in ONNX Runtime, on test images.

The published weights (`results/merkel/weights`) as a bundle of six stages, at the operating point that the choosing
images give for the best fixed exit less 0.2 points (margin, exits combined), against the six layers alone in one
session. Both answer the same images, in turn; one thread; batches of 1 and of 64. Mean latency, since it is the mean
that MACs promise; a pair in which either was interrupted is left out, if few were. Run it from the checkout beside the
data: ``python benchmarks/exits.py [IMAGES] [--keep]``; ``--keep`` writes `results/exit-decisions/time.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.exits import ExitEnergies, all_exits, decide, depth_macs, operation_of
from picojoule.exits.deciding import settings_of
from picojoule.exits.deploying import thinned
from picojoule.exits.macs import backbone_macs, exit_macs
from picojoule.runtime import Bundle, DriftWarning, Session, export_bundle
from picojoule.runtime.bundle_merging import merged
from picojoule.runtime.timed_session import Run
from picojoule.train import load_tensors, read_cifar10

ROOT = Path(__file__).resolve().parents[1]
MERKEL = ROOT / "results" / "merkel"
KEPT = ROOT / "results" / "exit-decisions" / "time.json"
EXITS, DROP, AIM = 6, 0.002, 0.85
COMMON = {"rule": "margin", "combine": True}
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


def chosen() -> tuple[np.ndarray, np.ndarray, float]:
    """Logits and labels of the choosing images, and the target."""
    with np.load(MERKEL / "logits" / "combined.npz") as logits, np.load(MERKEL / "labels.npz") as labels:
        choose, right = logits["choose"].astype(np.float32), labels["choose"].astype(np.int64)
    return choose, right, float((choose.argmax(2) == right).mean(1).max()) - DROP


def in_macs() -> ExitEnergies:
    """MACs of each exit's trunk and head."""
    trunk = np.diff([0, *(backbone_macs(e) for e in range(EXITS))])
    return ExitEnergies(trunk=tuple(trunk.tolist()), heads=tuple(exit_macs(e) for e in range(EXITS)))


def in_time(whole: Session, staged: Session, x: np.ndarray) -> ExitEnergies:
    """Seconds of each exit's trunk, its share of the six layers by MACs, and of its head, what its stage takes beyond it."""
    def other() -> Any:  # between two calls, so that no weights lie in a near cache that wouldn't in use
        return whole.run(x)

    whole_s = _quickest(lambda: whole.run(x), lambda: staged.run(x))
    stages = staged._stages
    held = staged._all(stages, x)
    taken = [_quickest(lambda stage=stage: stage.run(held, stage.outputs), other) for stage in stages]
    way = _quickest(lambda: staged.run(x, alpha=1.0), other)  # all leave at the first: its stage, and what deciding takes
    macs = np.array(in_macs().trunk) / backbone_macs(EXITS - 1)
    heads = [max(0.0, t - share * whole_s) + max(0.0, way - taken[0]) for t, share in zip(taken, macs, strict=True)]
    return ExitEnergies(trunk=tuple((macs * whole_s).tolist()), heads=tuple(heads))


def best(energies: ExitEnergies) -> tuple[int, ...]:
    """The exits to ask for the least of these energies at the target."""
    choose, right, target = chosen()
    return decide(choose, right, energies, target_accuracy=target, ask="best", levels=16, **COMMON).policy.asked


def best_alone(energies: ExitEnergies) -> tuple[int, ...]:
    """The same with one exit before the last."""
    choose, right, target = chosen()
    found = []
    for e in range(EXITS - 1):
        settings, _, _ = settings_of(choose, right, energies, (e, EXITS - 1), **COMMON)
        found.append((next(one.energy for one in settings if one.accuracy >= target), (e, EXITS - 1)))
    return min(found)[1]


def operating(bundle: Bundle, asked: tuple[int, ...], energies: ExitEnergies | None = None) -> tuple[Bundle, tuple[int, ...]]:
    """The bundle with operating points, the one for the target its default, and the exits that it asks.

    ``energies`` choose thresholds, by default MACs; those that answers tell are MACs, written as picojoules.
    """
    choose, right, target = chosen()
    settings, _, _ = settings_of(choose, right, energies or in_macs(), asked, **COMMON)
    settings = [replace(one, policy=replace(one.policy, energies=in_macs())) for one in settings]
    setting = next(one for one in settings if one.accuracy >= target)
    kept = [one for one in settings if one is setting or one in thinned(settings, 31)]
    points = replace(operation_of(kept, (choose, right)), default=[one is setting for one in kept].index(True))
    less = merged(bundle, asked)
    return replace(less, manifest=replace(less.manifest, operation=points)), asked


def _quickest(call: Any, between: Any, repeats: int = 15) -> float:
    """The median of the quicker half, with a call of ``between`` before each."""
    times = sorted((between(), timed(call)[0].seconds)[1] for _ in range(repeats))
    return times[repeats // 4]


def timed(call: Any) -> tuple[Run, Any]:
    own, began = time.thread_time(), time.perf_counter()
    answer = call()
    return Run(time.perf_counter() - began, time.thread_time() - own), answer


def measure(
    batch: int, asked: tuple[int, ...], whole: Session, staged: Session, x: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """Prints a line; what is saved in time, and in MACs."""
    pairs, hits, warm = [], 0, 3
    for number, first in enumerate(range(0, len(x) - batch + 1, batch)):
        part = x[first : first + batch]
        order = (0, 1) if number % 2 else (1, 0)
        calls = (lambda part=part: whole.run(part), lambda part=part: staged.run(part))
        found: list[Any] = [None, None]
        for which in order:
            found[which] = timed(calls[which])
        hits += int((found[1][1].top(1)[0][:, 0] == labels[first : first + batch]).sum())
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
        f" {promised:6.1%} of the MACs: {saved / promised:6.1%}   {hits / len(x):.1%} right   {len(used)} of {len(pairs)} pairs"
        f" (processor time of all: {own / promised:6.1%})",
        flush=True,
    )
    return {
        "batch": batch, "asked": list(asked), "whole_s": before, "exits_s": after, "saved_time": saved,
        "saved_macs": promised, "of_promised": saved / promised, "pairs": len(used), "of_pairs": len(pairs),
    }  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore", DriftWarning)
    if not DATA.is_dir():
        print(f"skipped: there is no {DATA}")
        return
    import onnxruntime
    import torch

    torch.set_num_threads(1)
    numbers = [int(one) for one in sys.argv[1:] if one != "--keep"]
    count = numbers[0] if numbers else 1280
    data = read_cifar10(DATA)
    mean, deviation = (np.array(one) for one in data.normalisation())
    pixels = data.test.pixels[:count]
    labels = data.test.labels[:count]
    x = ((pixels - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2).copy()
    net, example = network(), torch.zeros(1, 3, 32, 32)
    with tempfile.TemporaryDirectory() as folder:
        bundle = export_bundle(net, Path(folder) / "exits", example)
        whole = Session(export_bundle(alone(net), Path(folder) / "alone", example), threads=1)
    print(f"onnxruntime {onnxruntime.__version__}, 1 thread, {count} test images")
    every, asked = operating(bundle, tuple(range(EXITS)))
    staged = Session(every, threads=1)
    rows = []
    for batch in (1, 64):
        seconds = in_time(whole, staged, x[:batch])
        print(f"all exits asked: {', '.join(map(str, asked))}")
        rows.append({"which": "all", **measure(batch, asked, whole, staged, x, labels)})
        for which, exits in (("best", best(seconds)), ("one", best_alone(seconds))):
            print(f"{which} by measured time: {', '.join(map(str, exits))}")
            session = Session(operating(bundle, exits, seconds)[0], threads=1)
            rows.append({"which": which, **measure(batch, exits, whole, session, x, labels)})
    print(f"at least {min(row['of_promised'] for row in rows if row['which'] == 'best'):.1%} of what MACs promise (aim: {AIM:.0%})")
    if "--keep" in sys.argv:
        facts = {"runtime": f"onnxruntime {onnxruntime.__version__}", "images": count, "rows": rows}
        KEPT.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
