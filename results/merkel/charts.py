"""The figures of document 001 as Altair charts, in one page that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
from figures import ALPHAS, Rows

SIZE = {"width": 330, "height": 240}


def save_page(path: Path, charts: list[Any]) -> None:
    """Two charts a row; scales and colours of each are its own."""
    page = alt.concat(*charts, columns=2).resolve_scale(
        color="independent", shape="independent", x="independent", y="independent"
    )
    page.save(str(path), inline=True)


def _chart(rows: Rows, title: str) -> alt.Chart:
    return alt.Chart(alt.Data(values=rows), title=title).properties(**SIZE)


def by_size(rows: Rows, kind: str, title: str) -> Any:
    run = [row for row in rows if row["state"] == "run"]
    curves = ["test_accuracy", "train_accuracy", *(f"cost α={alpha:g}" for alpha in ALPHAS)]
    long = [{kind: row[kind], "of": curve, "value": row[curve]} for row in run for curve in curves]
    missing = [row[kind] for row in rows if row["state"] != "run"]
    note = f"not run: {', '.join(map(str, missing))}" if missing else ""
    return (
        _chart(long, f"{title}{'; ' + note if note else ''}")
        .mark_line(point=True)
        .encode(
            x=alt.X(f"{kind}:Q", scale=alt.Scale(domain=[0, max(row[kind] for row in rows)])), y="value:Q", color="of:N"
        )
    )


def energy_curve(rows: Rows, laws: dict[str, Any], title: str) -> Any:
    points = (
        _chart(rows, title)
        .mark_point(filled=True)
        .encode(
            x=alt.X("accuracy:Q", scale=alt.Scale(zero=False)),
            y="relative_energy:Q",
            color="varying:N",
            tooltip=["size:Q", "accuracy:Q"],
        )
    )
    curves = []
    for kind, law in laws.items():
        seen = [row["accuracy"] for row in rows if row["varying"] == kind]
        grid = np.linspace(min(seen), max(seen), 60)
        values = [{"accuracy": float(x), "relative_energy": float(law.at(x)), "varying": kind} for x in grid]
        curves.append(
            _chart(values, "")
            .mark_line(strokeDash=[4, 3])
            .encode(x="accuracy:Q", y="relative_energy:Q", color="varying:N")
        )
    return alt.layer(points, *curves)


def regions(rows: Rows, title: str) -> Any:
    ratios = sorted({row["energy_ratio"] for row in rows})
    gammas = sorted({row["gamma"] for row in rows})
    ratio_step, gamma_step = ratios[1] / ratios[0], gammas[1] - gammas[0]
    cells = [
        {
            **row,
            "right": row["energy_ratio"] * ratio_step,
            "top": row["gamma"] + gamma_step,
            "layers": str(row["layers"]),
        }
        for row in rows
    ]
    return _chart(cells, title).mark_rect().encode(
        x=alt.X("energy_ratio:Q", scale=alt.Scale(type="log", nice=False), title="E_X/E_Dmax"), x2="right:Q",
        y=alt.Y("gamma:Q", scale=alt.Scale(zero=False), title="γ"), y2="top:Q", color="layers:N",
    )  # fmt: skip


def trace(alphas: np.ndarray, followed: list[Any], title: str) -> Any:
    rows = [{"step": i, "layers": way + 1, "system": f.system} for f in followed for i, way in enumerate(f.choices)]
    importance = [{"step": i, "α × 6": 6 * float(a)} for i, a in enumerate(alphas)]
    ways = _chart(rows, title).mark_line(interpolate="step-after").encode(x="step:Q", y="layers:Q", color="system:N")
    return ways + _chart(importance, "").mark_line(opacity=0.3).encode(
        x="step:Q", y=alt.Y("α × 6:Q", title="layers; grey: α × 6")
    )


def changes(rows: Rows, title: str) -> Any:
    return _chart(rows, title).mark_bar().encode(x="layers:O", xOffset="training:N", y="change:Q", color="training:N")


def spreads(rows: Rows, title: str) -> Any:
    return (
        _chart(rows, title).mark_line(interpolate="step-after").encode(x="confidence:Q", y="share:Q", color="layers:O")
    )


def minimum_confidence(rows: Rows, title: str) -> Any:
    return (
        _chart(rows, title)
        .mark_line()
        .encode(x="minimum:Q", y=alt.Y("accuracy:Q", scale=alt.Scale(zero=False)), color="layers:O")
    )


def desired(rows: Rows, title: str) -> Any:
    shown = [{**row, "β": f"({row['beta1']:g}, {row['beta2']:g})"} for row in rows if row["heads_charged"]]
    line = _chart([{"desired": x, "accuracy": x} for x in (0.3, 1.0)], "").mark_line(strokeDash=[2, 2], color="grey")
    return _chart(shown, title).mark_line().encode(x="desired:Q", y="accuracy:Q", color="β:N") + line.encode(
        x="desired:Q", y="accuracy:Q"
    )


def energies(rows: Rows, fixed: Rows, title: str) -> Any:
    curves = [
        {**row, "of": f"β ({row['beta1']:g}, {row['beta2']:g}){'' if row['heads_charged'] else ', last head only'}"}
        for row in rows
    ]
    curves += [{**row, "of": "fixed depth", "desired": row["size"]} for row in fixed if row["varying"] == "depth"]
    return (
        _chart(curves, title)
        .mark_line(point={"size": 12})
        .encode(
            x=alt.X("accuracy:Q", scale=alt.Scale(zero=False)), y="relative_energy:Q", color="of:N", order="desired:Q"
        )
    )


def savings(rows: Rows, title: str) -> Any:
    curves = [
        {**row, "of": f"β ({row['beta1']:g}, {row['beta2']:g}){'' if row['heads_charged'] else ', last head only'}"}
        for row in rows
        if row["saved"] is not None
    ]
    return (
        _chart(curves, title)
        .mark_line(point={"size": 12})
        .encode(
            x=alt.X("accuracy:Q", scale=alt.Scale(zero=False)),
            y=alt.Y("saved:Q", title="saved, share of E_Dmax"),
            color="of:N",
            order="desired:Q",
        )
    )
