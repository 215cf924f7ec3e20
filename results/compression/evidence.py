"""What the measured arms say: verdicts on the figures that were aimed for, the table, and accuracy against energy as a picture."""

from __future__ import annotations

import math
from typing import Any

COMMAND = "python results/compression/measure.py --from-weights"
DENSE_MACS = 40551040
SHOWN = "eyeriss-methodology:16"


FIELDS = {16: "accuracy", 8: "accuracy_int8"}
"""Which accuracy goes with which bits: that in float32, and that of the INT8 file, which not every arm has."""
PLAIN = "eyeriss-methodology-"
"""Begins the names of arms that ``prune.py`` pruned for that machine: then come the criterion and the budget."""


def points_lost(arms: dict[str, Any], name: str, width: int = 16) -> float:
    """Percentage points below the dense network in float32, on test images 2000-9999; at 8 bits by the INT8 file."""
    return 100 * (arms["dense"]["accuracy"] - arms[name][FIELDS[width]])


def claims_of(arms: dict[str, Any], extra: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for every figure, with its verdict."""
    found: list[dict[str, Any]] = []

    def claim(
        name: str, value: float, unit: str, aim: str, holds: bool, command: str = COMMAND, artefact: str = "arms.json"
    ) -> None:
        found.append({
            "id": f"compression.{name}", "value": value, "unit": unit, "aim": aim, "verdict": "holds" if holds else "does not hold",
            "kind": "timing" if ".faster." in name else "sampled", "tolerance": 0.05 if unit == "points" else 1e-3,
            "artefact": f"results/compression/{artefact}", "command": command,
        })  # fmt: skip

    dense = arms["dense"]
    for name in arms:
        if name == "dense":
            continue
        if name.startswith("together"):
            lost = points_lost(arms, name, 8)
            claim(f"{name}.lost_int8", lost, "points", "< 1.5", lost < 1.5)
        else:
            lost = points_lost(arms, name)
            claim(f"{name}.lost", lost, "points", "< 1", lost < 1)
        if name.startswith("bits"):
            claim(f"{name}.mean", arms[name]["mean"], "bits", "<= 4", arms[name]["mean"] <= 4)
        if name.startswith("channels"):
            claim(f"{name}.macs", ratio := DENSE_MACS / arms[name]["macs"], "x fewer", ">= 2", ratio >= 2)
            for batch in ("batch 1", "batch 64"):
                command = f"python results/compression/channels.py --candidate {name[-1]}{' --epochs 12' if name[-1] == 'A' else ''}"
                claim(
                    f"{name}.faster.{batch}", ratio := arms[name][batch]["faster"], "x", ">= 1.5", ratio >= 1.5, command
                )
        width, aim = (8, 3.0) if name.startswith("together") else (16, 2.0)
        if name.startswith((PLAIN, "together")):
            for machine in ("eyeriss-methodology", "eyeriss-v2"):
                key = f"{machine}:{8 if machine == 'eyeriss-v2' else width}"
                own = arms[name]["energy"][key]
                for against, base in (
                    ("without_zeros", dense["without_zeros"][key]),
                    ("own_zeros", dense["energy"][key]),
                ):
                    claim(
                        f"{name}.{machine}.less_than_dense_{against}",
                        base / own,
                        "x less",
                        f">= {aim:g}",
                        base / own >= aim,
                    )
    for name, row in extra.get("int8", {}).items():
        command, artefact = "python results/compression/int8.py", "int8.json"
        if name == "int8":
            lost = 100 * (extra["int8"]["float32"] - row)
            claim("int8.lost", lost, "points", "<= 0.3", lost <= 0.3, command, artefact)
        elif name.startswith("batch"):
            claim(f"int8.faster.{name}", row["ratio"], "x", "> 1", row["ratio"] > 1, command, artefact)
    for machine, row in extra.get("squeezenet", {}).items():
        if machine != "zeros":
            claim(
                f"squeezenet.{machine}.all_zeros",
                row["all zeros"],
                "x less",
                "3.7 on AlexNet (stretch)",
                row["all zeros"] >= 3.7,
                "python results/compression/squeezenet.py",
                "squeezenet.json",
            )
    for other in ("magnitude", "macs"):
        for name, ratio in at_equal_accuracy(arms, other).items():
            claim(f"energy_against_{other}.at_accuracy_of.{name}", ratio, "x less", ">= 1.1", ratio >= 1.1)
    return found


def at_equal_accuracy(arms: dict[str, Any], other: str, key: str = SHOWN) -> dict[str, float]:
    """How much more energy every arm of the criterion ``other`` takes than the energy-aware ones at its accuracy.

    Between two of these accuracy and energy are taken to lie on a straight line; below the least accurate of them that one counts. The
    dense network is no end of such a line: accuracy falls slowly at first, and a line from there would flatter.
    """
    ours = [arms[name] for name in arms if name.startswith(f"{PLAIN}energy-")]
    points = sorted(((row["accuracy"], row["energy"][key]) for row in ours), reverse=True)
    ratios = {}
    for name, row in arms.items():
        if name.startswith(f"{PLAIN}{other}-") and (own := _energy_for(row["accuracy"], points)) is not None:
            ratios[name.removeprefix(PLAIN)] = row["energy"][key] / own
    return ratios


def _energy_for(accuracy: float, points: list[tuple[float, float]]) -> float | None:
    """Points: (accuracy, energy) by falling accuracy. None: they are all less accurate."""
    for (high, more), (low, less) in zip(points, points[1:], strict=False):
        if low <= accuracy <= high:
            return less + (more - less) * (accuracy - low) / (high - low)
    return points[-1][1] if points and accuracy <= points[-1][0] else None


def front_data(arms: dict[str, Any], width: int) -> dict[str, Any]:
    """The arms at 16 or 8 bits as ``picojoule report`` takes them: at 8 bits with the accuracy of the INT8 file."""
    key, field = f"eyeriss-methodology:{width}", FIELDS[width]
    return {
        "schema": "picojoule/front/1", "model": f"ResNet-20, {width} bits", "hardware": "eyeriss-methodology", "unit": "mac16",
        "arms": [
            {
                "name": name, "accuracy": row[field], "energy": row["energy"][key],
                # Milliseconds were measured on different days; what compares are the ratios in arms.json.
                "macs": row.get("macs"), "measured_ms": None, "note": "weights of fewer bits" if "mean" in row else "",
            }
            for name, row in arms.items() if field in row
        ],
    }  # fmt: skip


def share(arms: dict[str, Any], name: str, key: str) -> float:
    """Energy of that of the dense network at the same bits without zeros."""
    return float(arms[name]["energy"][key] / arms["dense"]["without_zeros"][key])


def dominated(arms: dict[str, Any], width: int) -> set[str]:
    """Arms that another undercuts in energy on eyeriss-methodology at no less accuracy, at those bits."""
    key = f"eyeriss-methodology:{width}"
    rows = {name: (share(arms, name, key), points_lost(arms, name, width)) for name, row in arms.items() if FIELDS[width] in row}
    return {
        name for name, (energy, lost) in rows.items()
        if any(e <= energy and p <= lost and (e, p) != (energy, lost) for e, p in rows.values())
    }  # fmt: skip


def table_of(arms: dict[str, Any]) -> str:
    """Markdown: accuracy and energies of all arms; dominated figures in italics."""
    lines = [
        "| network | float32 | lost | eyeriss-methodology, 16 bits | INT8 | lost | eyeriss-methodology, 8 bits | eyeriss-v2, 8 bits |",
        "|---|---|---|---|---|---|---|---|",
    ]
    behind = {width: dominated(arms, width) for width in (16, 8)}
    for name in sorted(arms, key=lambda name: share(arms, name, SHOWN)):
        cells = [name]
        for width, field in FIELDS.items():
            mark = "_" if name in behind[width] else ""
            known = field in arms[name]
            figures = [
                f"{arms[name][field]:.2%}" if known else "–", f"{points_lost(arms, name, width):+.2f}" if known else "–",
                f"{share(arms, name, f'eyeriss-methodology:{width}'):.3f}",
            ]  # fmt: skip
            cells += [f"{mark}{figure}{mark}" for figure in figures]
        lines.append(f"| {' | '.join(cells)} | {share(arms, name, 'eyeriss-v2:8'):.3f} |")
    return "\n".join(lines)


def front_svg(arms: dict[str, Any]) -> str:
    """Accuracy against energy, a panel for 16 bits and one for 8; dominated arms grey."""
    width, height = 480, 420
    panels = "\n".join(
        f'<g transform="translate({place * width})">\n{_panel(arms, bits, width, height)}\n</g>' for place, bits in enumerate((16, 8))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width} {height}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{2 * width}" height="{height}" fill="white"/>\n{panels}\n</svg>\n'
    )


def _panel(arms: dict[str, Any], bits: int, width: int, height: int) -> str:
    behind = dominated(arms, bits)
    field, key = FIELDS[bits], {16: "float32", 8: "INT8"}[bits]
    rows = {name: (share(arms, name, f"eyeriss-methodology:{bits}"), 100 * row[field]) for name, row in arms.items() if field in row}
    every = [100 * row[one] for row in arms.values() for one in FIELDS.values() if one in row]
    low, high, left, right, top, bottom = min(every) - 0.3, max(every) + 0.3, 45, 100, 30, 50
    first, last = 0.2, 0.8

    def place(energy: float, accuracy: float) -> tuple[float, float]:
        return (
            left + (energy - first) / (last - first) * (width - left - right),
            top + (high - accuracy) / (high - low) * (height - top - bottom),
        )

    parts = [f'<text x="{left}" y="18" font-size="13">{bits} bits, accuracy in {key}</text>']
    for tick in range(2, 9):
        x, y = place(tick / 10, low)
        parts.append(
            f'<line x1="{x:.0f}" y1="{top}" x2="{x:.0f}" y2="{y:.0f}" stroke="#ddd"/><text x="{x:.0f}" y="{y + 15:.0f}" text-anchor="middle">{tick / 10:.1f}</text>'
        )
    for tick in range(math.ceil(low), math.floor(high) + 1):
        x, y = place(first, tick)
        parts.append(
            f'<line x1="{left}" y1="{y:.0f}" x2="{width - right}" y2="{y:.0f}" stroke="#ddd"/><text x="{x - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{tick} %</text>'
        )
    parts.append(f'<text x="{left}" y="{height - 8}">energy on eyeriss-methodology, of dense at {bits} bits without zeros</text>')
    taken: list[tuple[float, float]] = []
    for name, (energy, accuracy) in rows.items():
        x, y = place(energy, accuracy)
        color = "#aaa" if name in behind else "#0072b2"
        # A label that would lie on another goes to the left of its point.
        crowded = any(abs(x - a) < 60 and abs(y - b) < 10 for a, b in taken)
        taken.append((x, y))
        side = f'x="{x - 7:.1f}" text-anchor="end"' if crowded else f'x="{x + 7:.1f}"'
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/><text {side} y="{y + 4:.1f}" fill="{color}">{name.removeprefix(PLAIN)}</text>'
        )
    return "\n".join(parts)
