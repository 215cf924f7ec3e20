"""What the arms can and cost: weights as float16, arms.json, claims.json, the table in README.md.

    python results/netadapt/measure.py                  arms whose runs are there
    python results/netadapt/measure.py --from-weights   without runs: from weights/ beside this file

Times are paired: the exported network and the one that it came from run in turn, on one thread of ONNX Runtime, batch 1.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from network import CIFAR10, EXAMPLE, HERE, ROOT, mobilenet, resnet20
from run import ARMS, MACHINE, normalisation_of

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress.adapting import SEARCH
from picojoule.compress.channels import without
from picojoule.compress.handover import export_onnx, measured_ms
from picojoule.train import load_tensors, predict, read_cifar10, save_tensors
from picojoule.train.datasets import read_dataset

ROUNDS = 7
COMMAND = "python results/netadapt/measure.py --from-weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "netadapt")
    parser.add_argument("--from-weights", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = HERE / "arms.json"
    arms: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if not given.from_weights:
        keep(given.runs, arms)
    for network in ("mobilenet", "resnet20"):
        named = {name: arms[name] for name in ARMS if name in arms and name.startswith("resnet20") == (network == "resnet20")}
        if named:
            looked_at(network, {network: arms.setdefault(network, {}), **named})
    replace_file(path, json.dumps(arms, indent=1) + "\n")
    claims = claims_of(arms)
    replace_file(HERE / "claims.json", json.dumps(claims, indent=1) + "\n")
    readme = HERE / "README.md"
    text = re.sub(
        r"(<!-- printed by measure.py -->\n).*?(<!-- end -->)",
        lambda match: match[1] + table_of(arms) + match[2],
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    replace_file(readme, text)
    print(table_of(arms))
    for claim in claims:
        print(claim["id"], claim["value"], claim["aim"], claim["verdict"])


def keep(runs: Path, arms: dict[str, Any]) -> None:
    """What a run came to: its steps here, its weights rounded to float16 beside."""
    for name in ARMS:
        result = runs / name / "result.json"
        if not result.exists():
            continue
        found = json.loads(result.read_text())
        tensors, _ = load_tensors(runs / name / found["files"]["weights"])
        halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
        save_tensors(HERE / "weights" / f"{name}.safetensors", halves, {})
        steps = [{key: value for key, value in step.items() if key not in ("proposals", "wall_s")} for step in found["steps"]]
        arms[name] = {"budgets": found["budgets"], "met": found["met"], "method": found["method"], "steps": steps}


def looked_at(network: str, arms: dict[str, dict[str, Any]]) -> None:
    """Accuracy, MACs, modelled energy and paired time of the network and its arms, written into them."""
    module, _ = mobilenet() if network == "mobilenet" else resnet20()
    data = read_cifar10(CIFAR10) if network == "mobilenet" else read_dataset(CIFAR10, all_seen=True)
    normal = normalisation_of(network) or data.normalisation()
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder, "original.onnx")
        export_onnx(module, EXAMPLE, original)
        for name, arm in arms.items():
            made = module
            for step in arm.get("steps", []):
                made = without(made, EXAMPLE, {step["root"]: step["removed"]})
            if "steps" in arm:
                tensors, _ = load_tensors(HERE / "weights" / f"{name}.safetensors")
                made.load_state_dict({key: tensor.to(made.state_dict()[key].dtype) for key, tensor in tensors.items()})
            logits = predict(made.eval(), data.test, normal)[-1]
            arm["accuracy"] = float((logits.argmax(1) == data.test.labels).mean())
            estimate = picojoule.estimate(made, EXAMPLE, hardware=MACHINE, search=SEARCH)
            arm["macs"], arm["energy_pj"] = estimate.macs, estimate.energy_pj
            path = Path(folder, f"{name}.onnx")
            export_onnx(made, EXAMPLE, path)
            pairs = [measured_ms(original, EXAMPLE.shape, against=path) for _ in range(ROUNDS)]
            arm["ms"] = statistics.median(pair[1] for pair in pairs)
            arm["time_ratio"] = statistics.median(new / old for old, new in pairs)


def table_of(arms: dict[str, Any]) -> str:
    """The arms by network and time."""
    lines = ["| arm | accuracy | time | MACs | energy | budget |", "|---|---|---|---|---|---|"]
    for network in ("mobilenet", "resnet20"):
        base = arms.get(network)
        if not base:
            continue
        named = [name for name in ARMS if name in arms and name.startswith("resnet20") == (network == "resnet20")]
        for name in (network, *sorted(named, key=lambda n: arms[n]["time_ratio"], reverse=True)):
            arm = arms[name]
            budget = ", ".join(f"{b['budget']} {b['kind']}" for b in arm.get("budgets", []))
            lines.append(
                f"| {name} | {arm['accuracy']:.2%} | {arm['time_ratio']:.3f} | {arm['macs'] / base['macs']:.3f} |"
                f" {arm['energy_pj'] / base['energy_pj']:.3f} | {budget} |"
            )
    return "\n".join(lines) + "\n"


def at_accuracy(arms: dict[str, Any], kind: str, network: str, accuracy: float, cost: str) -> float | None:
    """The cost at which arms of a kind would be that accurate: on the line between two arms, or the network as it came."""
    named = [name for name in arms if name.rsplit("-", 1)[0] == kind]
    points = sorted((arms[name]["accuracy"], arms[name][cost]) for name in (*named, network))
    for (low, cheap), (high, dear) in zip(points, points[1:], strict=False):
        if low <= accuracy <= high:
            return cheap + (dear - cheap) * (accuracy - low) / (high - low) if high > low else cheap
    return None


def claims_of(arms: dict[str, Any]) -> list[dict[str, Any]]:
    """What the issue asked for, with what was found."""
    claims = []

    def claim(name: str, value: float, unit: str, aim: str, holds: bool) -> None:
        claims.append(
            {"id": f"netadapt.{name}", "value": value, "unit": unit, "aim": aim, "verdict": "holds" if holds else "does not hold",
             "artefact": "results/netadapt/arms.json", "command": COMMAND}
        )  # fmt: skip

    for name, arm in arms.items():
        for budget in arm.get("budgets", []):
            if budget["kind"] == "measured latency" and "macs" not in name:
                share = budget["limit"] / budget["start"]
                value = arm["time_ratio"] / share
                claim(f"{name}.time_of_budget", value, "1", "<= 1.05", value <= 1.05)
    for prefix, network in (("", "mobilenet"), ("resnet20-", "resnet20")):
        for name in [name for name in arms if re.fullmatch(rf"{prefix}(measured|energy)-[\d.]+", name)]:
            cost = "energy_pj" if "energy" in name else "time_ratio"
            for other, aim in (("uniform", 1.3), ("macs", 1.0)):
                theirs = at_accuracy(arms, prefix + other, network, arms[name]["accuracy"], cost)
                if theirs is not None:
                    value = theirs / arms[name][cost]
                    claim(f"{name}.against_{other}", value, "times", f">= {aim}", value >= aim)
    return claims


if __name__ == "__main__":
    main()
