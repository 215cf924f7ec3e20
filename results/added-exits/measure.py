"""What exits added to a published ResNet save: thresholds chosen on test images 0-1999, measured on 2000-9999.

python results/added-exits/measure.py           on standard output
python results/added-exits/measure.py --keep    into README.md, its figures into claims.json

Reads the logits and energies that `run.py` kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from picojoule.errors import InputError
from picojoule.exits import Decision, decide
from picojoule.exits.decision_files import read_energies

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from support.committed_results import write_table  # noqa: E402

HERE = Path(__file__).resolve().parent
COMMAND = "python results/added-exits/measure.py"
DROP, DRAWS = 0.002, 200
TARGETS = {"": DROP, "careful": 0.0}
"""What may be lost on the choosing images: what may be lost on the test images, or nothing, since what is chosen on few images flatters."""
WAYS = (("margin", False), ("margin", True), ("learned", False), ("learned", True))

Labelled = tuple[np.ndarray, np.ndarray]


def read(folder: Path, part: str) -> Labelled:
    """Logits, exits × images × classes, and labels."""
    with np.load(folder / f"{part}.npz") as arrays:
        return arrays["logits"].astype(np.float32), arrays["labels"].astype(np.int64)


def right_alone(folder: Path, part: str) -> np.ndarray:
    """Of each image: whether the published network is right."""
    with np.load(folder / f"{part}.npz") as arrays:
        return arrays["alone"].argmax(1) == arrays["labels"]


def outcomes(decision: Decision, logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each image: whether it is right, and its energy."""
    policy = decision.policy
    left, predicted = policy.apply(logits)
    taken = np.zeros(len(logits))
    taken[list(policy.asked)] = policy.energies.leaving(policy.asked)
    return predicted == labels, taken[left]


def report(folder: Path, ways: Sequence[tuple[str, bool]] = WAYS) -> tuple[list[str], list[dict[str, object]]]:
    """The tables of one network, as lines of Markdown, and the claims."""
    energies = read_energies(str(folder / "energies.json"))
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    names = [one["name"] for one in result["exits"]]
    choose, test = read(folder, "choose"), read(folder, "test")
    alone = energies.leaving([len(names) - 1])[0]
    right = {part: (logits.argmax(2) == labels).mean(1) for part, (logits, labels) in (("choose", choose), ("test", test))}
    before = {part: right_alone(folder, part) for part in ("choose", "test")}
    lines = [
        f"**{folder.name}**: alone {alone / 1e6:.1f} µJ an inference on {result['hardware']}, {before['test'].mean():.2%} right.",
        "",
        "| exit after | head | energy when left there | its head | right, were all to leave |",
        "|---|---|---|---|---|",
    ]
    for index, one in enumerate(result["exits"]):
        lines.append(
            f"| {one['name']} | {one['head'] or 'the network’s own'} | {energies.leaving()[index] / alone:.1%} |"
            f" {energies.heads[index] / alone:.1%} | {right['test'][index]:.2%} |"
        )
    claims: list[dict[str, object]] = []
    for careful, drop in TARGETS.items():
        wanted = float(before["choose"].mean()) - drop
        lines += [
            "",
            f"Target on the choosing images: the network alone less {100 * drop:.1f} points, {wanted:.2%};"
            f" on the test images less {100 * DROP:.1f} points: {before['test'].mean() - DROP:.2%}.",
            "",
            "| rule | combined | exits asked | energy, choosing | test accuracy | energy, test | leave at each exit | on the curve |",
            "|---|---|---|---|---|---|---|---|",
        ]
        found: dict[tuple[str, bool], Decision] = {}
        for rule, combine in ways:
            try:
                decision = decide(*choose, energies, target_accuracy=wanted, rule=rule, combine=combine, ask="best")
            except InputError:
                continue  # combined answers don't reach it
            found[rule, combine] = decision
            measured = decision.policy.measure(*test)
            curve = [setting.policy.measure(*test) for setting in decision.front[:: max(1, len(decision.front) // 60)]]
            reached = min((m.energy for m in curve if m.accuracy >= before["test"].mean() - DROP), default=alone)
            lines.append(
                f"| {rule} | {'yes' if combine else 'no'} | {', '.join(names[e] for e in decision.policy.asked)} |"
                f" {decision.setting.energy / alone:.1%} | {measured.accuracy:.2%} | {measured.energy / alone:.1%} |"
                f" {' '.join(f'{share:.0%}' for share in measured.shares)} | {reached / alone:.1%} |"
            )
        if not found:
            lines.append("| none reaches it | | | | | | | |")
            continue
        way = min(found, key=lambda one: found[one].setting.energy)
        line, figures = outcome(found[way], test, before["test"], alone, f"{way[0]}{' combined' if way[1] else ''}")
        lines += ["", line]
        claims += [
            {
                "id": ".".join(part for part in ("added", folder.name, careful, name) if part), "value": value, "unit": unit,
                "tolerance": 1e-6, "kind": "exact", "artefact": f"results/added-exits/{folder.name}/test.npz", "command": COMMAND,
            }
            for name, value, unit in figures
        ]  # fmt: skip
    return lines, claims


def outcome(
    decision: Decision, test: Labelled, before: np.ndarray, alone: float, named: str
) -> tuple[str, tuple[tuple[str, float, str], ...]]:
    """What a setting comes to on the test images, beside the network alone, and how far that scatters."""
    hit, taken = outcomes(decision, *test)
    draws = np.random.default_rng(0).integers(0, len(hit), (DRAWS, len(hit)))
    lost = np.quantile(100 * (before[draws].mean(1) - hit[draws].mean(1)), [0.05, 0.95])
    times, spread = alone / taken.mean(), np.quantile(alone / taken[draws].mean(1), [0.05, 0.95])
    line = (
        f"Least on the choosing images: {named}. On the test images it takes {times:.2f} times less energy"
        f" than the network alone ({spread[0]:.2f} to {spread[1]:.2f} over images drawn anew, 90 %) and loses"
        f" {100 * (before.mean() - hit.mean()):.2f} points ({lost[0]:.2f} to {lost[1]:.2f})."
    )
    return line, (
        ("times", float(times), "times less energy"),
        ("accuracy", 100 * float(hit.mean()), "%"),
        ("alone", 100 * float(before.mean()), "%"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    lines: list[str] = []
    claims: list[dict[str, object]] = []
    for folder in sorted(path.parent for path in HERE.glob("*/result.json")):
        table, figures = report(folder)
        lines += [*([""] if lines else []), *table]
        claims += figures
    for row in json.loads((HERE / "time.json").read_text(encoding="utf-8"))["rows"]:
        claims.append(
            {
                "id": f"time.added.batch-{row['batch']}", "value": row["of_promised"], "unit": "of what MACs promise", "tolerance": 0.05,
                "kind": "timing", "artefact": "results/added-exits/time.json", "command": "python results/added-exits/latency.py frozen --keep",
            }
        )  # fmt: skip
    text = "\n".join(lines)
    print(text)
    if given.keep:
        write_table(HERE / "README.md", text)
        (HERE / "claims.json").write_text(json.dumps(claims, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
