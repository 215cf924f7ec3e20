"""How far our optima lie above the bound on communication, and where compulsory traffic is all there is.

    python results/communication/redraw.py --jobs 2

Writes ``ratios.json``, ``ratios.svg``, ``table.md``, ``NETWORK.buffers.json``, ``NETWORK.buffers.svg`` and
``claims.json`` beside this file. Killed, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from picojoule.analysis.complexity import BufferCurve, complexity_over_buffers
from picojoule.analysis.complexity.bounds import optimum_of, two_level
from picojoule.atomic_file import replace_file
from picojoule.jobs import Journal, run_all
from picojoule.reporting import curve_data
from picojoule.reporting.buffer_charts import BYTES, write_buffer_chart
from picojoule.search import Exact
from picojoule.search.layer import search_layer
from picojoule.workload.builtin import builtin_network
from picojoule.workload.nest import Nest
from picojoule.workload.network import Network

HERE = Path(__file__).parent
COMMAND = "python results/communication/redraw.py"
NETWORKS = ("alexnet", "vgg16", "resnet50", "mobilenet_v1")
BITS = 8
KB = 8 * 1024
RATIO_BUFFERS = tuple(4**i * KB for i in range(1, 6))
"""4 kB … 1 MB."""
CURVE_BUFFERS = tuple(8 * 2**i for i in range(6, 23))
"""64 B … 4 MB."""
AGAIN_ABOVE = 1.4
"""Optima with exact factors that lie further above the bound are searched again with any factors."""
AGAIN = Exact(time_limit_s=10.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with Journal(HERE / "journal") as journal:
        for name in NETWORKS:
            network = builtin_network(name)
            search = Exact(time_limit_s=None, factors="exact")
            curve = complexity_over_buffers(
                network, buffers=CURVE_BUFFERS, bits=BITS, search=search, jobs=asked.jobs, journal=journal
            )
            replace_file(HERE / f"{name}.buffers.json", _json(_slim(curve)))
            write_buffer_chart(curve, HERE)
            rows += _ratios(network, curve, asked.jobs, journal)
            print(name, _summary([row for row in rows if row["network"] == name]), flush=True)
    replace_file(HERE / "ratios.json", _json({"bits": BITS, "again": asdict(AGAIN), "rows": rows}))
    replace_file(HERE / "table.md", _table(rows))
    replace_file(HERE / "claims.json", _json(_claims(rows)))
    _draw(rows)
    (HERE / "journal").unlink()


def _slim(curve: BufferCurve) -> dict[str, Any]:
    """Without the layers, of which there are hundreds a network."""
    return {name: value for name, value in curve_data(curve).items() if name != "each"}


def _ratios(network: Network, curve: BufferCurve, jobs: int, journal: Journal) -> list[dict[str, Any]]:
    """A row for each convolution and buffer, equal layers once."""
    nests = {layer.name: layer.nest for layer in network.layers if _is_convolution(layer.nest)}
    rows, again = [], {}
    for bounds, point in zip(curve.each, curve.points, strict=True):
        if point.buffer_bits not in RATIO_BUFFERS:
            continue
        for row in bounds.rows:
            if row.same_as is not None or row.layer not in nests:
                continue
            kept = {"network": network.name, "layer": row.layer, "buffer_bytes": point.buffer_bits // 8}
            figures = {"bound": math.ceil(row.bound), "compulsory": row.compulsory, "exact_factors": row.optimum}
            rows.append({**kept, **figures, "any_factors": None, "status": None})
            if row.optimum > AGAIN_ABOVE * row.bound:
                again[_key(rows[-1])] = (nests[row.layer], point.buffer_bits)
    found = run_all(_search, again, jobs=jobs, journal=journal)
    for row in rows:
        if _key(row) in found:
            row["any_factors"], row["status"] = found[_key(row)]
        row["ratio"] = min(row["exact_factors"], row["any_factors"] or row["exact_factors"]) / row["bound"]
    return rows


def _is_convolution(nest: Nest | None) -> bool:
    return nest is not None and nest.P * nest.Q > 1


def _key(row: dict[str, Any]) -> str:
    return f"{row['network']}/{row['layer']}/{row['buffer_bytes']}/{AGAIN.time_limit_s}"


def _search(task: tuple[Nest, int]) -> tuple[int, str]:
    nest, buffer = task
    machine = two_level(buffer, BITS)
    found = search_layer(nest, machine, machine.bits, "energy", AGAIN)
    if found.status == "INTERRUPTED":
        raise KeyboardInterrupt
    return optimum_of(nest, machine, found).accesses, found.status


def _mean(rows: list[dict[str, Any]]) -> float:
    return math.exp(math.fsum(math.log(row["ratio"]) for row in rows) / len(rows))


def _summary(rows: list[dict[str, Any]]) -> str:
    worst = max(rows, key=lambda row: row["ratio"])
    where = f"{worst['network']} {worst['layer']} at {worst['buffer_bytes'] // 1024} kB"
    return f"geometric mean {_mean(rows):.3f}, worst {worst['ratio']:.3f} ({where})"


def _parts(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name in NETWORKS:
        yield name, [row for row in rows if row["network"] == name]
    yield "all", rows


def _table(rows: list[dict[str, Any]]) -> str:
    sizes = [size // 8 for size in RATIO_BUFFERS]
    lines = ["| optimum ÷ bound, geometric mean (worst) | " + " | ".join(f"{size // 1024} kB" for size in sizes) + " | all |"]
    lines.append("|---|" + "---:|" * (len(sizes) + 1))
    for name, part in _parts(rows):
        cells = [[row for row in part if row["buffer_bytes"] == size] for size in sizes] + [part]
        texts = (f"{_mean(cell):.3f} ({max(row['ratio'] for row in cell):.3f})" for cell in cells)
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    lines += ["", "| network | layer | buffer | bound | optimum | ÷ bound |", "|---|---|---:|---:|---:|---:|"]
    for row in sorted(rows, key=lambda row: -row["ratio"])[:20]:
        optimum = round(row["ratio"] * row["bound"])
        lines.append(
            f"| {row['network']} | {row['layer']} | {row['buffer_bytes'] // 1024} kB | {row['bound']} | {optimum} | {row['ratio']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def _claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # Searches with any factors stop after some seconds, so a slower machine may end a little higher.
    shared = {"unit": "optimum ÷ bound", "kind": "exact", "artefact": "results/communication/ratios.json", "command": COMMAND}
    claims = []
    for name, part in _parts(rows):
        figures = {"mean": _mean(part), "worst": max(row["ratio"] for row in part)}
        claims += [{"id": f"communication.{name}.{which}", "value": v, "tolerance": 1e-9, **shared} for which, v in figures.items()]
    return claims


def _draw(rows: list[dict[str, Any]]) -> None:
    import altair as alt
    import vl_convert

    means = [
        {"network": name, "buffer_bytes": size // 8, "ratio": _mean([r for r in part if r["buffer_bytes"] == size // 8])}
        for name, part in _parts(rows)
        if name != "all"
        for size in RATIO_BUFFERS
    ]
    colors = alt.Scale(domain=list(NETWORKS), range=["#0072b2", "#d55e00", "#009e73", "#cc79a7"])
    x = alt.X("buffer_bytes:Q", title="buffer", scale=alt.Scale(type="log", base=2), axis=alt.Axis(labelExpr=BYTES))
    y = alt.Y("ratio:Q", title="optimum ÷ bound", scale=alt.Scale(zero=False))
    color = alt.Color("network:N", title=None, scale=colors)
    points = alt.Chart(alt.Data(values=rows)).mark_point(size=18, filled=True, opacity=0.45)
    lines = alt.Chart(alt.Data(values=means)).mark_line(strokeWidth=1.8)
    title = alt.TitleParams(
        "Optimum over the bound on communication, convolutions of four networks", subtitle="lines: geometric means"
    )
    chart = alt.layer(*(part.encode(x=x, y=y, color=color) for part in (points, lines)))
    drawn = chart.properties(title=title, width=460, height=300)
    replace_file(HERE / "ratios.svg", vl_convert.vegalite_to_svg(drawn.to_dict()))


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
