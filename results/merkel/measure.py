"""Turns the checkpoints of `train.py` into what is published: float16 weights, logits of those very weights, logs.

    python results/merkel/measure.py combined individual L1 L2 L3 L4 L5 L6

Into `weights/NAME.safetensors`, `logits/NAME.npz` (`choose` and `test`: float16, exits × images × classes, computed in
float32; `train_confidence` float16 and `train_right` bool, exits × images, computed in the precision of the training)
and `logs/NAME.jsonl`. `labels.npz` holds the labels of choose and test. A training that isn't finished is measured at
its best epoch so far; its log says how far it came. `individual` publishes the weights of its first five heads alone: the
rest is L6.
"""

from __future__ import annotations

import argparse
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np

from picojoule.exits.answers import answers
from picojoule.exits.networks import all_exits, one_exit
from picojoule.exits.training import halve_weights
from picojoule.train import load_tensors, predict, read_cifar10, save_tensors

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def network(name: str):  # noqa: ANN201 - torch is imported late
    """The module that a name of `train.py` stands for."""
    if name.removesuffix("-keep") in ("combined", "individual"):
        return all_exits()
    depth, _, width = name.removesuffix("-keep").removeprefix("L").partition("w")
    return one_exit(int(depth), width=int(width or 64))


def heads_on_l6(halves, l6: Path):  # noqa: ANN001, ANN201
    """The weights that `individual` doesn't share with the published L6; they must share the others to the bit."""
    published, _ = load_tensors(l6)
    if other := [key for key, tensor in published.items() if not (tensor == halves[key]).all()]:
        raise SystemExit(f"individual was trained on another L6 than {l6}: {', '.join(other)} differ")
    return {key: tensor for key, tensor in halves.items() if key not in published}


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """An .npz that NumPy reads as any other, packed by LZMA: 5 % smaller than NumPy's own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "cifar10")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "merkel")
    parser.add_argument("--to", type=Path, default=HERE)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    data = read_cifar10(given.data)
    normal = data.normalisation()
    for folder in ("weights", "logits", "logs"):
        (given.to / folder).mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        given.to / "labels.npz", choose=data.choose.labels.astype(np.uint8), test=data.test.labels.astype(np.uint8)
    )
    for name in given.names:
        started = time.perf_counter()
        module = network(name).to(memory_format=torch.channels_last)
        weights, facts = load_tensors(given.runs / name / "best.safetensors")
        module.load_state_dict(weights)
        halves = halve_weights(module)
        if name == "individual":
            halves = heads_on_l6(halves, given.to / "weights" / "L6.safetensors")
        save_tensors(given.to / "weights" / f"{name}.safetensors", halves, facts)
        trained = answers(
            predict(module, data.train, normal, precision=facts["recipe"]["precision"]),
            data.train.labels,
            where=f"{name}, train",
        )
        logits = {part: predict(module, getattr(data, part), normal).astype(np.float16) for part in ("choose", "test")}
        save_arrays(
            given.to / "logits" / f"{name}.npz",
            **logits,
            train_confidence=trained.confidence.astype(np.float16),
            train_right=trained.right,
        )
        shutil.copyfile(given.runs / name / "log.jsonl", given.to / "logs" / f"{name}.jsonl")
        found = answers(logits["test"], data.test.labels).accuracy
        print(f"{name}: test {' '.join(f'{x:.4f}' for x in found)} · {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
