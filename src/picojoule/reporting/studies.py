"""Studies on the terminal and as rows: counts, front, best points, what the axes do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from picojoule.atomic_file import replace_file
from picojoule.errors import MissingExtraError
from picojoule.reporting.columns import column, rows, spread, to_text, without_least, wrapped
from picojoule.reporting.figures import Scale, counted, energy_scale, percent, printable, shortened, time_scale
from picojoule.study.points import Record
from picojoule.study.reading import Summary
from picojoule.units import significant

_MOST = 20
FIGURES = (
    "energy_pj", "energy_pj_per_inference", "bound_pj", "floor_pj", "latency_cycles", "latency_s", "edp", "area_mm2", "accuracy",
    "gap", "macs", "visited",
)  # fmt: skip


def study_text(found: Summary, *, width: int, color: bool, all_points: bool = False) -> str:
    """The state of a study, its front, and how much each axis matters."""
    lines = _head(found, width)
    lines += _front(found, width, all_points)
    lines.append(Text())
    lines += _effects(found)
    lines.append(Text())
    lines += _honest(found, width)
    return to_text(lines, color=color)


def front_text(found: Summary, *, width: int, color: bool) -> str:
    """All points of the front."""
    return to_text([*_head(found, width), *_front(found, width, True)], color=color)


def best_text(found: Summary, *, width: int, color: bool) -> str:
    """For every objective the best point, as a card."""
    lines = _head(found, width)
    for objective in found.objectives:
        record = found.best.get(objective)
        if record is None:
            continue
        lines += [Text(), *spread(Text(f"best {objective}", style="bold"), Text(record.key, style="dim"), width)]
        lines += wrapped("design", [Text(f"{printable(k)} = {said(v)}") for k, v in record.point.items()], width)
        lines += wrapped("figures", [Text(f"{k} {v}") for k, v in card(found, record)], width)
    if not found.best:
        lines += wrapped("best", [Text(found.refusal)], width)
    return to_text(lines, color=color)


def card(found: Summary, record: Record) -> list[tuple[str, str]]:
    """What a point comes to, named, in readable units."""
    figures = record.figures or {}
    energies = energy_scale([figures.get("energy_pj_per_inference")], found.unit, 4)
    told = [("energy", f"{energies.text(figures['energy_pj_per_inference'])} {energies.unit}")] if figures else []
    if figures.get("latency_s") is not None:
        times = time_scale([figures["latency_s"]])
        told.append(("latency", f"{times.text(figures['latency_s'])} {times.unit}"))
    if figures.get("latency_cycles") is not None:
        told.append(("cycles", counted(figures["latency_cycles"], 4)))
    if figures.get("area_mm2") is not None:
        told.append(("area", f"{significant(figures['area_mm2'])} mm²"))
    if figures.get("accuracy") is not None:
        told.append(("accuracy", percent(figures["accuracy"])))
    gap = figures.get("gap") or 0.0
    return [*told, ("gap", percent(gap) if gap else "0 %")] if figures else told


def study_rows(records: Iterable[Record], axes: Sequence[str]) -> Iterable[dict[str, Any]]:
    """One flat row for each point: axes, figures, energy by level."""
    for record in records:
        figures = record.figures or {}
        yield {
            "key": record.key,
            **{axis: record.point.get(axis) for axis in axes},
            "status": figures.get("status", "FAILED"),
            **{name: figures.get(name) for name in FIGURES},
            "unit": figures.get("unit"),
            "failed": record.failed,
            "cpu_s": record.cpu_s,
        }


def study_csv(records: Iterable[Record], axes: Sequence[str]) -> str:
    """The rows as CSV."""
    stream = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in study_rows(records, axes):
        if writer is None:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return stream.getvalue()


def summary_data(found: Summary) -> dict[str, Any]:
    """A summary as plain data."""
    return {
        "schema": "picojoule/study-summary/1", "name": found.name, "storage": found.place,
        "objectives": list(found.objectives), "constraints": list(found.constraints), "axes": list(found.axes),
        "size": found.size, "points": found.points, "failed": found.failed, "infeasible": found.infeasible,
        "unproved": found.unproved, "reasons": found.reasons, "cpu_s": found.cpu_s,
        "front": [_point(record) for record in found.front],
        "best": {name: _point(record) for name, record in found.best.items()},
        "effects": [
            {
                "axis": one.axis, "objective": one.objective, "share": one.share,
                "means": [{"value": v, "mean": m, "points": n} for v, m, n in one.means],
            }
            for one in found.effects
        ],
    }  # fmt: skip


def _point(record: Record) -> dict[str, Any]:
    return {"key": record.key, "point": record.point, "figures": record.figures}


def said(value: object) -> str:
    """A value of an axis."""
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else printable(str(value))


def objective_text(found: Summary, record: Record, objective: str) -> str:
    """An objective of a point with its unit."""
    scale = scale_of(found, objective, [record])
    return f"{_cell(found.value(record, objective), objective, scale)} {_unit(objective, scale)}".strip()


def scale_of(found: Summary, objective: str, records: Sequence[Record]) -> Scale | None:
    """Units that fit an objective of some points; None where it has none of its own."""
    values = [found.value(record, objective) for record in records]
    if objective == "energy":
        return energy_scale(values, found.unit, 4)
    return time_scale(values) if objective == "latency" else None


def _head(found: Summary, width: int) -> list[Text]:
    of = "" if found.size is None else f" of {found.size:,}".replace(",", " ")
    right = f"{found.points}{of} points · {', '.join(found.objectives)}"
    lines = spread(Text(printable(found.name), style="bold"), Text(right, style="dim"), width)
    return lines + (wrapped("keeps", [Text(text) for text in found.constraints], width) if found.constraints else [])


def _front(found: Summary, width: int, all_points: bool) -> list[Text]:
    if not found.front:
        return [Text(f" {found.refusal}")]
    shown = found.front if all_points or len(found.front) <= _MOST else _spaced(found.front)
    columns = [column("front", [(record.key, "dim") for record in shown], right=False, gap=1)]
    for axis in found.axes:
        cells = [(shortened(said(record.point.get(axis)), 16), "") for record in shown]
        columns.append(column(shortened(_short(axis), 16), cells, worth=_worth(found, axis)))
    for objective in found.objectives:
        scale = scale_of(found, objective, shown)
        cells = [_cell(found.value(record, objective), objective, scale) for record in shown]
        columns.append(column(f"{objective} {_unit(objective, scale)}".strip(), [(cell, "bold") for cell in cells]))
    kept = without_least(columns, width, 100)
    lines = rows(kept)
    if len(kept) < len(columns):
        lines.append(Text(f" {len(columns) - len(kept)} axes don't fit here; --format json has all", style="dim"))
    if len(shown) < len(found.front):
        lines.append(Text(f" … {len(found.front)} points in all; `picojoule study front` shows every one", style="dim"))
    return lines


def _worth(found: Summary, axis: str) -> int:
    """The axis that explains least is the first to go."""
    return round(90 * max((one.share for one in found.effects if one.axis == axis), default=0.0))


def _spaced(front: Sequence[Record]) -> list[Record]:
    return [front[round(n * (len(front) - 1) / (_MOST - 1))] for n in range(_MOST)]


def _short(axis: str) -> str:
    return printable(axis.replace(".capacity", "").replace(".axes", ""))


def _unit(objective: str, scale: Scale | None) -> str:
    return scale.unit if scale is not None else {"area": "mm²", "accuracy": "%"}.get(objective, "")


def _cell(value: float, objective: str, scale: Scale | None) -> str:
    if scale is not None:
        return scale.text(value)
    return f"{100 * value:.2f}" if objective == "accuracy" else significant(value, 4) if objective == "area" else counted(value, 4)


def _effects(found: Summary) -> list[Text]:
    if not found.effects:
        return []
    axes = list(dict.fromkeys(effect.axis for effect in found.effects))
    shares = {(one.axis, one.objective): one.share for one in found.effects}
    columns = [column("axis explains", [(printable(axis), "") for axis in axes], right=False, gap=1)]
    for objective in found.objectives:
        cells = [(f"{100 * shares.get((axis, objective), 0.0):.0f} %", "") for axis in axes]
        columns.append(column(f"of {objective}", cells))
    return rows(columns)


def _honest(found: Summary, width: int) -> list[Text]:
    lines: list[Text] = []
    told = [f"{found.points} points, {found.cpu_s:,.0f} s of processor".replace(",", " ")]
    if found.infeasible:
        told.append(f"{found.infeasible} miss a constraint")
    if found.unproved:
        told.append(f"{found.unproved} with a layer that isn't proved optimal")
    if found.failed:
        told.append(f"{found.failed} failed")
    lines += wrapped("points", [Text(text) for text in told], width)
    for reason, count in sorted(found.reasons.items(), key=lambda one: -one[1])[:3]:
        lines += wrapped("failed", [Text(f"{count} × {printable(reason)}")], width)
    return lines




def write_parquet(records: Iterable[Record], axes: Sequence[str], path: Path, about: dict[str, Any]) -> None:
    """The rows as a Parquet file; values of an axis of several kinds become text.

    Raises:
        MissingExtraError: pyarrow is not installed.
        SystemFailure: the file can't be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Parquet needs pyarrow", hint="pip install 'picojoule[report]'") from None
    held = list(study_rows(records, axes))
    columns = {}
    for name in held[0] if held else ["key"]:
        values = [row[name] for row in held]
        kinds = {type(value) for value in values if value is not None}
        if kinds <= {int, float} and float in kinds:
            values = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        columns[name] = values
    table = pyarrow.table(columns).replace_schema_metadata({"picojoule": json.dumps(about)})
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream)
    replace_file(path, stream.getvalue())
