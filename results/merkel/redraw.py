"""Redraws Figs. 2–10 of document 001 from the logits of this folder, and judges what the document states in words.

python results/merkel/redraw.py                    verdicts on standard output
python results/merkel/redraw.py --page FILE.html   the figures, too, in one page that needs no network
python results/merkel/redraw.py --keep             what is printed into README.md, its figures into claims.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import figures
from evidence import EXITS, read_evidence
from verdicts import Verdict, verdicts

from picojoule.errors import PicojouleError

HERE = Path(__file__).resolve().parent
MARKS = ("<!-- printed by redraw.py -->", "<!-- end -->")
COMMAND = "python results/merkel/redraw.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=HERE, help="of labels.npz, logits/ and logs/")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--claims", type=Path)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    try:
        evidence = read_evidence(given.folder)
        found = verdicts(evidence)
        text = "\n".join([report(found), "", *more(evidence)])
        print(text)
        if given.claims:
            given.claims.write_text(claims(found), encoding="utf-8")
        if given.keep:
            keep(given.folder, text, claims(found))
        if given.page:
            draw(evidence, given.page)
    except PicojouleError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def report(found: list[Verdict]) -> str:
    """A Markdown table of all claims."""
    lines = ["| claim | stated | measured | verdict | |", "|---|---|---|---|---|"]
    for v in found:
        stated = "–" if v.stated is None else f"{v.stated:g} {v.unit}".strip()
        value = "–" if v.value is None else f"{v.value:.4g} {v.unit}".strip()
        lines.append(f"| {v.claim} ({v.where}) | {stated} | {value} | **{v.verdict}** | {v.remark} |")
    return "\n".join(lines)


def more(evidence: dict[str, figures.Trained]) -> list[str]:
    """The laws of Fig. 3, the regions of Fig. 4 and the changing world of Fig. 5, in words."""
    lines = []
    rows, laws = figures.figure_3(evidence)
    for kind, law in laws.items():
        lines.append(f"Fig. 3, {kind}: {law.law}, a {law.a:.4g}, b {law.b:.4g}, R² {law.r_squared:.4f}")
    lines += [f"Fig. 3, {kind}: not run" for kind in ("depth", "width") if kind not in laws]
    if "depth" in laws:
        met = sorted({row["layers"] for row in figures.figure_4(evidence, laws["depth"])})
        lines.append(f"Fig. 4: regions of {', '.join(map(str, met))} layers")
    if "combined" in evidence and all(f"L{d}" in evidence for d in range(1, EXITS + 1)):
        for f in figures.figure_5(evidence)[0]:
            lines.append(
                f"Fig. 5, {f.system}: {f.params:,} parameters, idle {f.mean_idle_params:,.0f} in the mean,"
                f" {f.switches} switches that bring in {f.switched_in_params:,} parameters,"
                f" {f.energy / 1e9:.2f} G MACs over {len(f.choices)} steps, accuracy {f.mean_accuracy:.4f},"
                f" cost {f.mean_cost:.4f}"
            )
    return lines


def keep(folder: Path, text: str, measured: str) -> None:
    """Puts what was printed between the marks of the README, and the figures beside it."""
    (folder / "claims.json").write_text(measured, encoding="utf-8")
    readme = folder / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    # Two blanks at the end of a line: Markdown's line break.
    shown = "\n".join(line if line.startswith("|") or not line else f"{line}  " for line in text.splitlines())
    readme.write_text(f"{before}{MARKS[0]}\n{shown}\n{MARKS[1]}{after}", encoding="utf-8")


def claims(found: list[Verdict]) -> str:
    """The figures that were measured, as `results/` keeps them."""
    return json.dumps(
        [
            {
                "id": v.id, "value": v.value, "unit": v.unit, "tolerance": 1e-9, "kind": "exact", "verdict": v.verdict,
                "artefact": "results/merkel/logits", "command": COMMAND,
            }
            for v in found
            if v.value is not None
        ],
        indent=1, ensure_ascii=False,
    ) + "\n"  # fmt: skip


def draw(evidence: dict[str, figures.Trained], page: Path) -> None:
    """All figures that the evidence allows, in one page."""
    import charts

    by_depth, by_width = figures.figure_2(evidence)
    points, laws = figures.figure_3(evidence)
    drawn = [
        charts.by_size(by_depth, "depth", "Fig. 2(a): depth"),
        charts.by_size(by_width, "width", "Fig. 2(b): width"),
        charts.energy_curve(points, laws, "Fig. 3: energy against accuracy"),
    ]
    if "depth" in laws:
        drawn.append(charts.regions(figures.figure_4(evidence, laws["depth"]), "Fig. 4: layers at the optimum"))
    alone = all(f"L{depth}" in evidence for depth in range(1, EXITS + 1))
    if "combined" in evidence:
        if alone:
            followed, alphas = figures.figure_5(evidence)
            drawn.append(charts.trace(alphas, followed, "Fig. 5: layers taken while α changes"))
        drawn.append(charts.changes(figures.figure_6(evidence), "Fig. 6: accuracy less that of six networks"))
        drawn.append(charts.spreads(figures.figure_7(evidence["combined"]), "Fig. 7: confidences, test"))
        drawn.append(charts.minimum_confidence(figures.figure_8(evidence["combined"]), "Fig. 8: training accuracy"))
        rows = figures.figures_9_and_10(evidence)
        drawn.append(charts.desired(rows, "Fig. 9: accuracy against desired accuracy"))
        drawn.append(charts.energies(rows, points, "Fig. 10: energy against accuracy"))
        drawn.append(charts.savings(rows, "Fig. 10: saved over fixed depth"))
    charts.save_page(page, drawn)
    print(f"wrote {page}")


if __name__ == "__main__":
    sys.exit(main())
