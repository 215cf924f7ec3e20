"""Depth × width from the logits that lie here: what both dials save together, and each alone (margin, exits combined).

python results/widths/measure.py           on standard output
python results/widths/measure.py --keep    what is printed into README.md, its figures into claims.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from picojoule.exits import AtWidth, Dials, ExitEnergies, dials
from picojoule.reporting.dials import FRONTS
from picojoule.train.digits import read_digits

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from support.committed_results import write_table  # noqa: E402

HERE = Path(__file__).resolve().parent
DROPS = (0.0, 0.01, 0.02)
"""Accuracy that may be lost on the choosing images, against the widest network's last exit."""
LEVELS = 40


def digits() -> tuple[Dials, float]:
    """The dials on the digits, and the test accuracy of the network as it was before it had widths."""
    facts = json.loads((HERE / "digits.json").read_text(encoding="utf-8"))["widths"]
    data = read_digits()
    with np.load(HERE / "digits.npz") as kept:
        choose, test = kept["choose"].astype(np.float32), kept["test"].astype(np.float32)
    widths = [
        AtWidth(
            width=one["width"],
            energies=ExitEnergies(trunk=tuple(one["trunk"]), heads=tuple(one["heads"])),
            choosing=choose[number],
            test=test[number],
            parameters=one["parameters"],
        )
        for number, one in enumerate(facts)
    ]
    before = float((test[-1][-1].argmax(1) == data.test.labels).mean())
    return dials(widths, data.choose.labels, data.test.labels, combine=True, levels=LEVELS), before


def report(found: Dials, before: float, labels: np.ndarray) -> tuple[list[str], list[dict[str, object]]]:
    """Tables in Markdown, and claims."""
    exits = len(found.widths[0].energies.heads)
    lines = [
        f"The network before it had widths: {before:.2%} of the test images right; the widest of four, {found.tested:.2%}.",
        "",
        "| width | parameters | energy to the last exit | " + " | ".join(f"exit {e}, test" for e in range(exits)) + " |",
        "|" + "---|" * (3 + exits),
    ]
    for one in found.widths:
        right = (one.test.argmax(2) == labels).mean(1)
        lines.append(
            f"| {one.width:g} | {one.parameters} | {sum(one.energies.trunk) / found.full:.1%} | "
            + " | ".join(f"{share:.1%}" for share in right) + " |"
        )
    lines += ["", "| lost at most, choosing | dial | saved, test | accuracy, test |", "|---|---|---|---|"]
    claims: list[dict[str, object]] = []
    for drop in DROPS:
        for name, said in FRONTS.items():
            point = found.cheapest(name, found.accuracy - drop)
            if point is None:
                lines.append(f"| {100 * drop:g} points | {said} | none reaches it | |")
                continue
            lines.append(f"| {100 * drop:g} points | {said} | {found.saved(point):.1%} | {point.tested.accuracy:.2%} |")
            claims.append(
                {
                    "id": f"widths.digits.{name}.{100 * drop:g}", "value": 100 * found.saved(point), "unit": "% of the energy",
                    "tolerance": 1e-6, "kind": "exact", "artefact": "results/widths/digits.npz", "command": "python results/widths/measure.py",
                }
            )  # fmt: skip
    used = sorted({found.widths[point.width].width for point in found.both})
    lines += ["", f"The front of both has {len(found.both)} settings, at widths {', '.join(f'{w:g}' for w in used)}."]
    return lines, claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    found, before = digits()
    lines, claims = report(found, before, read_digits().test.labels)
    text = "\n".join(lines)
    print(text)
    if given.keep:
        write_table(HERE / "README.md", text)
        (HERE / "claims.json").write_text(json.dumps(claims, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
