"""Energy against weights of every built-in network on eyeriss-normalized, as a table and a chart.

Writes ``energy-against-weights.csv`` and ``energy-against-weights.svg`` beside itself; takes ten minutes on one core.
Dense, 16 bits, proved with exact factors. The chart needs the extra ``report``; ``--draw`` makes it anew from the table.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import Any

from picojoule import Exact, estimate
from picojoule.result import Estimate
from picojoule.workload.builtin import builtin_names

CSV = Path(__file__).with_name("energy-against-weights.csv")
COMPARED = ("alexnet", "squeezenet1.0")
HARDWARE, BATCHES = "eyeriss-normalized", (1, 48)
PARTS = ("weights", "inputs", "outputs", "none")
FIELDS = ("network", "batch", "weights", "macs", "energy_mac16", *(f"{part}_mac16" for part in PARTS), "status")


def row_of(name: str, batch: int) -> dict[str, Any]:
    """Weights, MACs and energy of one inference, the energy also by the tensor that moves (``none``: arithmetic)."""
    result = estimate(name, hardware=HARDWARE, batch=batch, search=Exact(time_limit_s=None, factors="exact"), cache=False)
    parts = {f"{part}_mac16": f"{energy / batch:.6g}" for part, energy in by_tensor(result).items()}
    energy = f"{result.energy_pj_per_inference:.6g}"
    figures = {"weights": result.params, "macs": result.macs // batch, "energy_mac16": energy, **parts}
    return {"network": name, "batch": batch, **figures, "status": result.status}


def by_tensor(result: Estimate) -> dict[str, float]:
    """Energy of the batch by the tensor that moves; ``none`` is arithmetic."""
    accesses = [access for layer in result.layers for access in layer.by]
    return {part: math.fsum(a.energy_pj for a in accesses if a.tensor == part) for part in PARTS}


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """A panel for each batch, one below the other, both axes logarithmic; members of families bear no name."""
    import altair

    points = [
        {
            "network": row["network"] if named(row["network"]) else "",
            "kind": "compared" if row["network"] in COMPARED else "named" if named(row["network"]) else "member",
            "batch": int(row["batch"]),
            "weights": float(row["weights"]),
            "energy": float(row["energy_mac16"]),
        }
        for row in rows
    ]
    ticks = [10.0**n for n in range(4, 13)]
    colour = altair.Color("kind:N", legend=None).scale(
        domain=["compared", "named", "member"], range=["#D55E00", "#0072B2", "#B8CCE0"]
    )
    panels = []
    for batch in BATCHES:
        mine = altair.Data(values=[point for point in points if point["batch"] == batch])
        base = altair.Chart(mine, title=f"batch of {batch}", width=820, height=440).encode(
            x=altair.X("weights:Q", title="weights").scale(type="log").axis(format="~s", values=ticks),
            y=altair.Y("energy:Q", title="energy of an inference, 16-bit MACs").scale(type="log").axis(format="~s", values=ticks),
        )
        marks = base.mark_point(filled=True, size=45, opacity=0.9).encode(color=colour)
        names = base.mark_text(align="left", dx=6, dy=-4, fontSize=10, color="#333333").encode(text="network:N")
        panels.append(marks + names)
    altair.vconcat(*panels).save(file)


def named(network: str) -> bool:
    """Whether the chart has room for the name: members of families stand close together."""
    return network.startswith("llm:") or ":" not in network or network in ("merkel:L1", "merkel:L2")


def main() -> None:
    if sys.argv[1:] == ["--draw"]:
        with CSV.open(encoding="utf-8", newline="") as file:
            draw(list(csv.DictReader(file)), CSV.with_suffix(".svg"))
        return
    rows = []
    for batch in BATCHES:
        for name in builtin_names():
            rows.append(row_of(name, batch))
            print(name, batch, rows[-1]["energy_mac16"], rows[-1]["status"], file=sys.stderr, flush=True)
    with CSV.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, CSV.with_suffix(".svg"))


if __name__ == "__main__":
    main()
