"""What run.py came to, after channels and with zeros: arms.json, claims.json, ladder.json and the table of README.md.

    python results/fewer-classes/measure.py                  # copies weights (float16) and logs of every finished run here; measures those not in arms.json
    python results/fewer-classes/measure.py --from-weights   # all anew, from the weights that lie here

ladder.json is a file for picojoule report: dense at 16 bits, INT8, pruned, four classes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMPRESSION = ROOT / "results" / "compression"
sys.path[:0] = [str(COMPRESSION), str(HERE), str(ROOT / "tests")]
import network as subject
from prices import Prices
from run import EXAMPLE, KEPT, ZEROS, begun
from support.committed_results import claim, halves, write_table

from picojoule.atomic_file import replace_file
from picojoule.compress.classes import FewClasses, few_classes, sliced
from picojoule.compress.costs import network_of
from picojoule.compress.subject import Subject
from picojoule.train import predict
from picojoule.train.checkpoint import load_tensors
from picojoule.train.cifar10 import CLASSES

COMMAND = "python results/fewer-classes/measure.py --from-weights"
TEN = "together-0.327"
"""The ten-class result: channels, zeros and INT8 as well, the least energy of results/compression."""
ARMS = {"channels": "channels", "block": "block", **{name: origin for name, (origin, _) in ZEROS.items()}}
"""The folders of run.py, and which of them lost the channels."""
PRICES = ("eyeriss-methodology:16", "eyeriss-methodology:8", "eyeriss-v2:8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "fewer-classes")
    parser.add_argument("--from-weights", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.from_weights:
        keep(given.runs)
    data = replace(subject.images(given.shared), names=CLASSES)
    # Nothing is trained here.
    data = replace(data, train=data.train.part(0, 1000))
    dense = subject.resnet20(given.shared)
    whole = few_classes(Subject(dense, "ResNet-20", EXAMPLE), KEPT, data, subject.NORMALISATION)
    folder = tempfile.TemporaryDirectory()
    prices = Prices(subject.samples(Path(folder.name), whole.data))
    files = {name: file for name in ARMS if (file := HERE / "weights" / f"{name}.npz").exists()}
    arms = json.loads((HERE / "arms.json").read_text()) if (HERE / "arms.json").exists() and not given.from_weights else {}
    arms = {name: arms.get(name) or measured(file, dense, whole, prices) for name, file in files.items()}
    ten = json.loads((COMPRESSION / "arms.json").read_text())
    replace_file(HERE / "arms.json", json.dumps(arms, indent=1) + "\n")
    replace_file(HERE / "claims.json", json.dumps(claims_of(arms, ten), indent=1) + "\n")
    replace_file(HERE / "ladder.json", json.dumps(ladder(at_the_loss_of_ten(arms, ten), ten), indent=1, ensure_ascii=False) + "\n")
    write_table(HERE / "README.md", tables(arms, ten))


def keep(runs: Path) -> None:
    """Copies weights and logs here, with the channels that went and what can't be had from weights: what ONNX Runtime answered and took."""
    for name in ("weights", "logs"):
        (HERE / name).mkdir(exist_ok=True)
    for name, origin in ARMS.items():
        folder = runs / name
        if not (folder / "result.json").exists():
            continue
        told = json.loads((folder / "result.json").read_text())
        facts = {key: told[key] for key in ("accuracy_int8", "budget", "limit", "used", "met")}
        facts["steps"] = json.loads((runs / origin / "result.json").read_text())["steps"]
        facts["ms"] = {when: told[when]["measured_ms"] for when in ("before", "after")}
        tensors = halves(load_tensors(folder / "network.safetensors")[0])
        np.savez_compressed(HERE / "weights" / f"{name}.npz", facts=np.array(json.dumps(facts)), **tensors)
        logs = sorted(folder.glob("tuning*/log.jsonl"))
        replace_file(HERE / "logs" / f"{name}.jsonl", "".join(log.read_text() for log in logs))


def measured(file: Path, dense: torch.nn.Module, whole: FewClasses, prices: Prices) -> dict:
    """An arm: what it does on images of the four classes and of others, beside the dense network, and its energies."""
    with np.load(file) as arrays:
        facts = json.loads(str(arrays["facts"]))
        state = {name: torch.from_numpy(arrays[name]).float() for name in arrays.files if name != "facts"}
    module = subject.shaped(sliced(begun(dense), whole.head, whole.kept), facts.pop("steps"))
    missing = module.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all("num_batches" in name for name in missing.missing_keys), missing
    told = whole.told(module, {})
    test = whole.data.test
    right = [predict(one, test, subject.NORMALISATION)[-1].argmax(1) == test.labels for one in (whole.subject.module, module)]
    lost = right[0].astype(float) - right[1]
    return {
        **facts,
        "images": told["images"],
        "accuracy": told["accuracy"],
        "lost": {"points": 100 * float(lost.mean()), "standard_error": 100 * float(lost.std() / len(lost) ** 0.5)},
        "others": told["others"],
        **prices.of(module, network_of(module, EXAMPLE)),
    }


def points_of_ten(ten: dict) -> float:
    """What the ten-class result loses, float32."""
    return 100 * (ten["dense"]["accuracy"] - ten[TEN]["accuracy"])


def at_the_loss_of_ten(arms: dict, ten: dict) -> dict:
    """The arm of least energy that loses no more than the ten-class result."""
    good = [row for row in arms.values() if row["lost"]["points"] <= points_of_ten(ten)]
    return min(good, key=lambda row: row["energy"][PRICES[0]])


def claims_of(arms: dict, ten: dict) -> list[dict]:
    """Energy against the ten-class result, and that no more is lost."""
    lost_of_ten = points_of_ten(ten)
    claims = []
    for name, row in arms.items():
        lines = [("lost", row["lost"]["points"], "points", f"<= {lost_of_ten:.3f}, as {TEN} of ten classes", row["lost"]["points"] <= lost_of_ten)]
        for price in PRICES:
            ratio = ten[TEN]["energy"][price] / row["energy"][price]
            lines.append((f"{price}.less_than_{TEN}", ratio, "x less", ">= 2", ratio >= 2))
        for found in row["others"]:
            for rate in ("kept_rejected", "others_accepted"):
                lines.append((f"{found['network']}.{rate}", found[rate], "of the images", "none", None))
        claims += [
            claim(f"fewer-classes.{name}.{what}", *line, artefact="results/fewer-classes/arms.json", command=COMMAND)
            for what, *line in lines
        ]
    return claims


def tables(arms: dict, ten: dict) -> str:
    """Markdown: energies and losses beside the ten-class result, then what images of other classes meet."""
    lines = [f"| network | accuracy | lost | {' | '.join(PRICES)} |", "|---|--:|--:|" + "--:|" * len(PRICES)]

    def row(name: str, accuracy: float, lost: str, energy: dict, base: dict) -> str:
        figures = [f"{energy[price] / 1e6:.1f} M, {energy[price] / base[price]:.3f}" for price in PRICES]
        return f"| {name} | {accuracy:.2%} | {lost} | " + " | ".join(figures) + " |"

    base, own = ten["dense"]["energy"], ten[TEN]
    lost = points_of_ten(ten)
    first = next(iter(arms.values()))
    lines += [
        row("ten classes, dense", ten["dense"]["accuracy"], "", base, base),
        row(f"ten classes, {TEN}", own["accuracy"], f"{lost:.2f}", own["energy"], base),
        row("four classes, dense", first["accuracy"]["the new head"], "", base, base),
    ]
    for name, arm in arms.items():
        told = f"{arm['lost']['points']:.2f} ± {arm['lost']['standard_error']:.2f}"
        lines.append(row(f"four classes, {name}", arm["accuracy"]["in the end"], told, arm["energy"], base))
    lines += ["", "| arm | network | kept classes rejected | others accepted | AUROC |", "|---|---|--:|--:|--:|"]
    for name, arm in arms.items():
        for found in arm["others"]:
            auroc = "" if found["auroc"] is None else f"{found['auroc']:.3f}"
            lines.append(f"| {name} | {found['network']} | {found['kept_rejected']:.1%} | {found['others_accepted']:.1%} | {auroc} |")
    return "\n".join(lines)


def ladder(few: dict, ten: dict) -> dict:
    """Steps on one machine, energies in its unit."""
    int8 = json.loads((COMPRESSION / "int8.json").read_text())["int8"]
    wide, narrow = PRICES[:2]
    dense, pruned = ten["dense"], ten[TEN]
    steps = [
        ("dense", dense["accuracy"], dense["energy"][wide], "16 bits, 10 classes"),
        ("INT8", int8, dense["energy"][narrow], "8 bits, 10 classes"),
        ("pruned", pruned["accuracy_int8"], pruned["energy"][narrow], "half the MACs in channels, zeros in weights, INT8, 10 classes"),
        ("4 classes", few["accuracy_int8"], few["energy"][narrow], f"cat, dog, ship, truck, accuracy on these (dense: {few['accuracy']['the new head']:.2%}); INT8"),
    ]  # fmt: skip
    arms = [dict(zip(("name", "accuracy", "energy", "note"), step, strict=True)) for step in steps]
    return {
        "schema": "picojoule/front/1", "model": "ResNet-20", "hardware": wide.partition(":")[0], "unit": "mac16", "arms": arms,
        "ladder": [arm["name"] for arm in arms],
    }  # fmt: skip


if __name__ == "__main__":
    main()
