"""What the arms can and cost: weights as float16 (what has one axis as float32), arms.json, claims.json, the table in README.md.

    python results/netadapt/measure.py                  what the runs that are there and that arms.json lacks have measured
    python results/netadapt/measure.py --from-weights   without runs, all anew: from weights/ beside this file

Times are paired: the exported network and the one that it came from run in turn, on one thread of ONNX Runtime, batch 1.
Modelled energy is worked out with ``--energy``: that takes minutes for each network.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from network import EXAMPLE, HERE, ROOT, mobilenet, resnet20
from run import MACHINE, RUNS, SEARCH, images_of, normalisation_of

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress.channels import without
from picojoule.compress.costs import network_of
from picojoule.compress.handover import export_onnx, measured_ms
from picojoule.train import load_tensors, predict, save_tensors

ROUNDS = 5
NETWORKS = ("resnet20", "mobilenet")
COMMAND = "python results/netadapt/measure.py --from-weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "netadapt")
    parser.add_argument("--from-weights", action="store_true")
    parser.add_argument("--energy", action="store_true", help=f"on {MACHINE}, too, of arms that lack it")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = HERE / "arms.json"
    arms: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if not given.from_weights:
        keep(given.runs, arms)
    else:
        for network in NETWORKS:
            looked_at(network, {name: arm for name, arm in arms.items() if of(name) == network}, given.energy)
    replace_file(path, "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(arm)}" for name, arm in arms.items()) + "\n}\n")
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


def of(name: str) -> str:
    """The network of an arm."""
    return name.partition("-")[0]


def keep(runs: Path, arms: dict[str, Any]) -> None:
    """What runs have come to: steps here, weights rounded to float16 beside."""
    for run, (_, _, shares) in RUNS.items():
        for share in shares:
            if f"{run}-{share}" in arms:
                continue
            places = [runs / run, *(runs / run).glob(f"at-{100 * share:g}*")]
            for folder in (place for place in places if (place / "result.json").exists()):
                found = json.loads((folder / "result.json").read_text())
                if found["budget"].startswith(f"{100 * share:g}%"):
                    arms[f"{run}-{share}"] = kept(folder, found, f"{run}-{share}")
                    before = found["before"]
                    arms.setdefault(
                        of(run), {"accuracy": found["accuracy_before"], "macs": before["macs"], "ms": before["measured_ms"], "time_ratio": 1.0}
                    )  # fmt: skip


def kept(folder: Path, found: dict[str, Any], name: str) -> dict[str, Any]:
    """One of them."""
    tensors, _ = load_tensors(folder / found["files"]["weights"])
    # What BatchNorm divides by may be too small for float16.
    halves = {key: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor for key, tensor in tensors.items()}
    save_tensors(HERE / "weights" / f"{name}.safetensors", halves, {})
    steps = [
        {key: step[key] for key in ("root", "before", "channels", "removed", "foretold", "costs", "accuracy") if key in step}
        for step in found["steps"]
    ]
    tuned = [json.loads(line) for line in (folder / "tuning" / "log.jsonl").read_text().splitlines()]
    return {
        "accuracy": found["accuracy_after"], "macs": found["after"]["macs"], "ms": found["after"]["measured_ms"],
        "time_ratio": found["after"]["measured_ms"] / found["before"]["measured_ms"], "budgets": found["budgets"],
        "met": found["met"], "method": found["method"], "recipe": found["settings"]["recipe"],
        "tuning_cpu_s": sum(line["cpu_s"] for line in tuned), "steps": steps,
    }  # fmt: skip


def looked_at(network: str, arms: dict[str, dict[str, Any]], energy: bool) -> None:
    """Accuracy, MACs and paired time of the network and its arms, written into them."""
    module, _ = mobilenet() if network == "mobilenet" else resnet20()
    data = images_of(network)
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
            arm["macs"] = network_of(made, EXAMPLE).macs
            if energy and "energy_pj" not in arm:
                arm["energy_pj"] = picojoule.estimate(made, EXAMPLE, hardware=MACHINE, search=SEARCH).energy_pj
            path = Path(folder, f"{name}.onnx")
            export_onnx(made, EXAMPLE, path)
            pairs = [measured_ms(original, EXAMPLE.shape, against=path) for _ in range(ROUNDS)]
            arm["ms"] = statistics.median(pair[1] for pair in pairs)
            arm["time_ratio"] = statistics.median(new / old for old, new in pairs)


def table_of(arms: dict[str, Any]) -> str:
    """The arms by network and time."""
    lines = ["| arm | accuracy | time | MACs | energy | budget |", "|---|---|---|---|---|---|"]
    for network in NETWORKS:
        base = arms[network]
        named = [name for name in arms if of(name) == network and name != network]
        for name in (network, *sorted(named, key=lambda n: arms[n]["time_ratio"], reverse=True)):
            arm = arms[name]
            budget = ", ".join(
                b["budget"] if b["kind"].split()[-1] in b["budget"] else f"{b['budget']} {b['kind']}" for b in arm.get("budgets", [])
            )
            energy = f"{arm['energy_pj'] / base['energy_pj']:.3f}" if "energy_pj" in arm and "energy_pj" in base else "–"
            lines.append(
                f"| {name} | {arm['accuracy']:.2%} | {arm['time_ratio']:.3f} | {arm['macs'] / base['macs']:.3f} | {energy} | {budget} |"
            )
    return "\n".join(lines) + "\n"


def at_accuracy(arms: dict[str, Any], run: str, accuracy: float, cost: str) -> float | None:
    """What a network of a run would cost at that accuracy: on the line between two of them, or one and the network as it came."""
    named = [name for name in arms if name.rpartition("-")[0] == run and cost in arms[name]]
    points = sorted((arms[name]["accuracy"], arms[name][cost]) for name in (*named, of(run)) if named)
    for (low, cheap), (high, dear) in itertools.pairwise(points):
        if low <= accuracy <= high:
            return cheap + (dear - cheap) * (accuracy - low) / (high - low) if high > low else cheap
    return None


def claims_of(arms: dict[str, Any]) -> list[dict[str, Any]]:
    """What was asked for, with what was found."""
    claims = []

    def claim(name: str, value: float, unit: str, aim: str, holds: bool) -> None:
        claims.append(
            {"id": f"netadapt.{name}", "value": value, "unit": unit, "aim": aim, "verdict": "holds" if holds else "does not hold",
             "kind": "sampled" if "-energy-" in name else "timing", "tolerance": 1e-3,
             "artefact": "results/netadapt/arms.json", "command": COMMAND}
        )  # fmt: skip

    for name, arm in arms.items():
        for budget in arm.get("budgets", []):
            if budget["kind"] == "measured latency":
                value = arm["time_ratio"] * budget["start"] / budget["limit"]
                claim(f"{name}.time_of_budget", value, "1", "<= 1.05", value <= 1.05)
    for name in [name for name in arms if re.fullmatch(r"\w+-(measured|energy|macs)-[\d.]+", name)]:
        cost = "energy_pj" if "energy" in name else "time_ratio"
        for other, aim in (("uniform", 1.3), ("macs", 1.0)):
            theirs = at_accuracy(arms, f"{of(name)}-{other}", arms[name]["accuracy"], cost)
            if theirs is not None and other not in name:
                value = theirs / arms[name][cost]
                claim(f"{name}.against_{other}", value, "times", f">= {aim}", value >= aim)
    there = json.loads((HERE / "kills.json").read_text())
    for name, value, unit, aim in (
        ("kills.identical", there["kills"]["kills"] * there["kills"]["identical"], "times killed, the same bits", ">= 5"),
        ("processes.faster", there["processes"]["faster"] * there["processes"]["identical"], "times", ">= 1.6"),
    ):
        claims.append(
            {"id": f"netadapt.{name}", "value": value, "unit": unit, "aim": aim, "verdict": "holds" if value >= float(aim[3:]) else "does not hold",
             "kind": "timing", "tolerance": 0.1, "artefact": "results/netadapt/kills.json",
             "command": f"python results/netadapt/kills.py {name.partition('.')[0]}"}
        )  # fmt: skip
    return claims


if __name__ == "__main__":
    main()
