"""What the measured arms say: verdicts on the figures that were aimed for, the table, and accuracy against energy as a picture."""

from __future__ import annotations

from typing import Any

COMMAND = "python results/compression/measure.py --from-weights"
SHOWN = "eyeriss-methodology:16"


def points_lost(arms: dict[str, Any], name: str) -> float:
    """Percentage points below the dense network, on test images 2000-9999."""
    return 100 * (arms["dense"]["accuracy"] - arms[name].get("accuracy_int8", arms[name]["accuracy"]))


def claims_of(arms: dict[str, Any], extra: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for every figure, with its verdict."""
    found: list[dict[str, Any]] = []

    def claim(
        name: str, value: float, unit: str, aim: str, holds: bool, command: str = COMMAND, artefact: str = "arms.json"
    ) -> None:
        found.append({
            "id": f"compression.{name}", "value": value, "unit": unit, "aim": aim, "verdict": "holds" if holds else "does not hold",
            "artefact": f"results/compression/{artefact}", "command": command,
        })  # fmt: skip

    dense = arms["dense"]
    for name in arms:
        if name == "dense":
            continue
        claim(
            f"{name}.lost",
            lost := points_lost(arms, name),
            "points",
            "< 1 (together: < 1.5)",
            lost < (1.5 if name.startswith("together") else 1),
        )
        if name.startswith("bits"):
            claim(f"{name}.mean", arms[name]["mean"], "bits", "<= 4", arms[name]["mean"] <= 4)
        if name.startswith("channels"):
            claim(f"{name}.macs", ratio := 40551040 / arms[name]["macs"], "x fewer", ">= 2", ratio >= 2)
            for batch in ("batch 1", "batch 64"):
                command = f"python results/compression/channels.py --candidate {name[-1]}{' --epochs 12' if name[-1] == 'A' else ''}"
                claim(
                    f"{name}.faster.{batch}", ratio := arms[name][batch]["faster"], "x", ">= 1.5", ratio >= 1.5, command
                )
        width, aim = (8, 3.0) if name.startswith("together") else (16, 2.0)
        if name.startswith(("eyeriss", "together")):
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
        ratio = at_equal_accuracy(arms, other)
        if ratio is not None:
            claim(f"energy_against_{other}_at_equal_accuracy", ratio, "x less", ">= 1.1", ratio >= 1.1)
    return found


def at_equal_accuracy(arms: dict[str, Any], other: str, key: str = SHOWN) -> float | None:
    """Energy of the arm ``other`` over the least of the energy-aware arms that are at least as accurate."""
    prefix = "eyeriss-methodology-"
    theirs = [name for name in arms if name.startswith(f"{prefix}{other}-")]
    ours = [name for name in arms if name.startswith(f"{prefix}energy-")]
    ratios = []
    for name in theirs:
        good = [arms[own]["energy"][key] for own in ours if arms[own]["accuracy"] >= arms[name]["accuracy"]]
        if good:
            ratios.append(arms[name]["energy"][key] / min(good))
    return max(ratios, default=None)


def front_data(arms: dict[str, Any]) -> dict[str, Any]:
    """The arms as ``picojoule report`` takes them; energies as ``energy_at`` counts them."""
    dense = arms["dense"]["without_zeros"][SHOWN]
    return {
        "schema": "picojoule/front/1", "model": "ResNet-20", "hardware": "eyeriss-methodology", "unit": "mac16",
        "arms": [
            {
                "name": name, "accuracy": row.get("accuracy_int8", row["accuracy"]), "energy": energy_at(arms, name) * dense,
# Milliseconds were measured on different days; what compares are the ratios in arms.json.
                "macs": None, "measured_ms": None,
                "note": "INT8" if "accuracy_int8" in row else "16 bits",
            }
            for name, row in arms.items()
        ],
    }  # fmt: skip


def energy_at(arms: dict[str, Any], name: str) -> float:
    """Of dense at 16 bits without zeros, on eyeriss-methodology; together and INT8 at 8 bits."""
    key = "eyeriss-methodology:8" if name.startswith(("together", "int8")) else SHOWN
    return float(arms[name]["energy"][key] / arms["dense"]["without_zeros"][SHOWN])


def dominated(arms: dict[str, Any]) -> set[str]:
    """Arms that another undercuts in energy at no less accuracy."""
    rows = {name: (energy_at(arms, name), points_lost(arms, name)) for name in arms}
    return {
        name for name, (energy, lost) in rows.items()
        if any(e <= energy and p <= lost and (e, p) != (energy, lost) for e, p in rows.values())
    }  # fmt: skip


def table_of(arms: dict[str, Any]) -> str:
    """Markdown: accuracy and energies of all arms, dominated ones in italics."""
    behind = dominated(arms)
    head = "| network | accuracy | lost | eyeriss-methodology, 16 bit | eyeriss-v2, 8 bit | eyeriss-methodology, 8 bit | |\n|---|---|---|---|---|---|---|"
    lines = [head]
    for name in sorted(arms, key=lambda name: energy_at(arms, name)):
        row, dense = arms[name], arms["dense"]["without_zeros"]
        mark = "_" if name in behind else ""
        shares = [row["energy"][key] / dense[key] for key in (SHOWN, "eyeriss-v2:8", "eyeriss-methodology:8")]
        accuracy = row.get("accuracy_int8", row["accuracy"])
        figures = [name, f"{accuracy:.2%}", f"{points_lost(arms, name):+.2f}", *(f"{share:.3f}" for share in shares)]
        lines.append(
            "| " + " | ".join(f"{mark}{figure}{mark}" for figure in figures) + f" | {'dominated' if mark else ''} |"
        )
    return "\n".join(lines)


def front_svg(arms: dict[str, Any]) -> str:
    """Accuracy against energy; dominated arms grey."""
    behind = dominated(arms)
    rows = {
        name: (energy_at(arms, name), 100 * (arms[name].get("accuracy_int8", arms[name]["accuracy"]))) for name in arms
    }
    low = min(accuracy for _, accuracy in rows.values()) - 0.3
    high = max(accuracy for _, accuracy in rows.values()) + 0.3
    width, height, left, top = 760, 420, 60, 20

    def place(energy: float, accuracy: float) -> tuple[float, float]:
        return left + energy / 0.8 * (width - left - 190), top + (high - accuracy) / (high - low) * (height - top - 50)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for tick in range(9):
        x, y = place(tick / 10, low)
        parts.append(
            f'<line x1="{x:.0f}" y1="{top}" x2="{x:.0f}" y2="{y:.0f}" stroke="#ddd"/><text x="{x:.0f}" y="{y + 15:.0f}" text-anchor="middle">{tick / 10:.1f}</text>'
        )
    for tick in range(int(low) + 1, int(high) + 1):
        x, y = place(0, tick)
        parts.append(
            f'<line x1="{left}" y1="{y:.0f}" x2="{width - 190}" y2="{y:.0f}" stroke="#ddd"/><text x="{x - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{tick} %</text>'
        )
    parts.append(
        f'<text x="{left}" y="{height - 8}">energy on eyeriss-methodology, of the dense network at 16 bits without its zeros</text>'
    )
    for name, (energy, accuracy) in rows.items():
        x, y = place(energy, accuracy)
        color = "#aaa" if name in behind else "#0072b2"
        label = name.removeprefix("eyeriss-methodology-")
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/><text x="{x + 7:.1f}" y="{y + 4:.1f}" fill="{color}">{label}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])
