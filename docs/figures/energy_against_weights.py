"""Energy against weights of every built-in network on eyeriss-normalized, as a table and a chart.

Writes ``energy-against-weights.csv`` and ``energy-against-weights.svg`` beside itself; takes two or three minutes on one core.
Dense, 16 bits, proved with exact factors. The chart needs the extra ``report``.
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

HERE = Path(__file__).parent
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
    """Two panels, one for each batch, both axes logarithmic."""
    import altair

    points = [
        {
            "network": row["network"] if ":" not in row["network"] else "",
            "batch": f"batch of {row['batch']}",
            "weights": float(row["weights"]),
            "energy": float(row["energy_mac16"]),
        }
        for row in rows
    ]
    base = altair.Chart(altair.Data(values=points)).encode(
        x=altair.X("weights:Q", title="weights").scale(type="log").axis(format="~s"),
        y=altair.Y("energy:Q", title="energy of an inference, 16-bit MACs").scale(type="log").axis(format="~s"),
    )
    marks = base.mark_point(filled=True, size=36, color="#4C78A8")
    names = base.mark_text(align="left", dx=5, fontSize=9, color="#333333").encode(text="network:N")
    panels = (marks + names).properties(width=420, height=380).facet(column=altair.Column("batch:N", title=None))
    panels.save(file)


def main() -> None:
    rows = []
    for batch in BATCHES:
        for name in builtin_names():
            rows.append(row_of(name, batch))
            print(name, batch, rows[-1]["energy_mac16"], rows[-1]["status"], file=sys.stderr, flush=True)
    with (HERE / "energy-against-weights.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, HERE / "energy-against-weights.svg")


if __name__ == "__main__":
    main()
