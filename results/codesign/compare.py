"""The table of README.md, ``claims.json`` and ``front.svg`` from ``points.csv``.

    python results/codesign/compare.py
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

HERE = Path(__file__).parent
FIXED = {"PE.axes.x": "16", "PE.axes.y": "8", "buffer.capacity": "64 KiB", "weights_spad.capacity": "128 words"}
"""The chip that nobody adapted: that of ``chip.yaml``."""
NAMES = {"resnet20": "ResNet-20", "resnet20-narrow.yaml": "half the MACs"}
COLOURS = {("resnet20", "8"): "#4878a8", ("resnet20", "4"): "#8d79c0", ("resnet20-narrow.yaml", "8"): "#e0913d"}


def main() -> None:
    with (HERE / "points.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["status"] != "FAILED"]
    for row in rows:
        row["weights"] = "4" if row["bits"].startswith("weights=4") else "8"
    fixed_area = next(float(row["area_mm2"]) for row in rows if _fixed(row))
    claims, lines = [], []
    for network, weights in COLOURS:
        mine = [row for row in rows if row["network"] == network and row["weights"] == weights]
        fixed = next(row for row in mine if _fixed(row))
        fitting = [row for row in mine if float(row["area_mm2"]) <= fixed_area]
        adapted = min(fitting, key=lambda row: float(row["energy_pj"]))
        quick = min(fitting, key=lambda row: (float(row["latency_s"]), float(row["energy_pj"])))
        for chip, row in (("fixed", fixed), ("least energy", adapted), ("least latency", quick)):
            lines.append(
                f"| {NAMES[network]} | {weights} | {100 * float(row['accuracy']):.2f} % | {chip} | {_design(row)} | "
                f"{float(row['energy_pj']) / 1e6:.1f} | {1e3 * float(row['latency_s']):.2f} | {float(row['area_mm2']):.2f} |"
            )
            for figure in ("energy_pj", "latency_s", "area_mm2"):
                claims.append(
                    {
                        "id": f"codesign.{network.removesuffix('.yaml')}.{weights}.{chip.replace(' ', '_')}.{figure}",
                        "value": float(row[figure]), "tolerance": 1e-9, "unit": figure.rpartition("_")[2], "kind": "exact",
                        "artefact": "results/codesign/points.csv", "command": "python results/codesign/compare.py",
                    }
                )  # fmt: skip
    print("| network | weights | accuracy | chip | array, buffer, scratchpad | energy µJ | latency ms | area mm² |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))
    (HERE / "claims.json").write_text(json.dumps(claims, indent=1) + "\n", encoding="utf-8")
    (HERE / "front.svg").write_text(_svg(rows), encoding="utf-8")


def _fixed(row: dict[str, str]) -> bool:
    return all(row[key] == value for key, value in FIXED.items())


def _design(row: dict[str, str]) -> str:
    return f"{row['PE.axes.x']} × {row['PE.axes.y']}, {row['buffer.capacity']}, {row['weights_spad.capacity']}"


def _svg(rows: list[dict[str, str]]) -> str:
    """Energy over area, a dot for each design; rings are the fixed chip."""
    wide, high, left, low = 640, 360, 60, 310
    areas = [float(row["area_mm2"]) for row in rows]
    energies = [float(row["energy_pj"]) / 1e6 for row in rows]
    most, top = max(areas) * 1.05, max(energies) * 1.08
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
        f'<path d="M{left} 20V{low}H{wide - 10}" fill="none" stroke="#999"/>',
        f'<text x="{(left + wide) / 2}" y="{high - 12}" text-anchor="middle">area, mm²</text>',
        f'<text x="{left}" y="14">energy of an inference, µJ</text>',
    ]
    for n in range(6):
        x, y = left + (wide - 10 - left) * n / 5, low - (low - 20) * n / 5
        drawn.append(f'<text x="{x:.0f}" y="{low + 18}" text-anchor="middle">{most * n / 5:.2f}</text>')
        drawn.append(f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{top * n / 5:.0f}</text>')
    for row, area, energy in zip(rows, areas, energies, strict=True):
        x, y = left + (wide - 10 - left) * area / most, low - (low - 20) * energy / top
        colour = COLOURS[row["network"], row["weights"]]
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}" fill-opacity=".7"/>')
        if _fixed(row):
            drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="none" stroke="{colour}" stroke-width="2"/>')
    for n, ((network, weights), colour) in enumerate(COLOURS.items()):
        drawn.append(f'<circle cx="{wide - 200}" cy="{40 + 18 * n}" r="4" fill="{colour}"/>')
        drawn.append(f'<text x="{wide - 188}" y="{44 + 18 * n}">{NAMES[network]}, weights of {weights} bits</text>')
    return "\n".join([*drawn, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
