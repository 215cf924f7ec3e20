"""What ``picojoule complexity bound`` found over a range of buffers: on the terminal, as Markdown, CSV and data."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, without_least, wrapped
from picojoule.reporting.complexity import bounds_data
from picojoule.reporting.figures import counted, printable, size_scale
from picojoule.reporting.tables import markdown_table

if TYPE_CHECKING:
    from picojoule.analysis.complexity import BufferCurve, BufferPoint

SCHEMA = "picojoule/complexity-buffers/1"
_ALWAYS = 100
_COLUMNS = (
    ("buffer", _ALWAYS), ("numbers", 40), ("document", 10), ("triplets", 15), ("communication", 30), ("bound", _ALWAYS),
    ("optimum", _ALWAYS), ("÷ bound", _ALWAYS), ("mean", 60), ("worst", 50), ("compulsory", 70),
)  # fmt: skip
_HEADS = tuple(head for head, _ in _COLUMNS)


def curve_text(curve: BufferCurve, *, width: int, color: bool) -> str:
    """A line for each buffer, then where compulsory traffic is all there is.

    Args:
        curve: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    title = Text.assemble((printable(curve.model), "bold"), f" · {curve.bits} bit")
    lines = spread(title, Text(f"DRAM and a buffer of {_size(curve.points[0])} … {_size(curve.points[-1])}"), width)
    cells = zip(*(_cells(point, curve) for point in curve.points), strict=True)
    columns = [
        column(head, [(cell, "") for cell in down], right=True, worth=worth)
        for (head, worth), down in zip(_COLUMNS, cells, strict=True)
    ]
    lines += [*rows(without_least(columns, width, _ALWAYS)), Text()]
    lines += wrapped("compulsory", [Text(part) for part in _sentences(curve)], width)
    note = "that pass between DRAM and the buffer in all layers, reads and writes together; mean and worst: optimum ÷ bound by layer"
    lines += wrapped("numbers", [Text(note)], width)
    return to_text(lines, color=color)


def curve_data(curve: BufferCurve) -> dict[str, Any]:
    """As plain data, for JSON."""
    return {
        "schema": SCHEMA,
        "model": curve.model,
        "bits": curve.bits,
        "compulsory": {"numbers": curve.points[0].compulsory, "needed": curve.needed, "reached": curve.reached},
        "buffers": [{**asdict(point), "ratio": point.ratio} for point in curve.points],
        "reaches": [asdict(reach) for reach in curve.reaches],
        "each": [bounds_data(bounds) for bounds in curve.each],
    }


def curve_csv(curve: BufferCurve) -> str:
    """A row for each buffer, under the names that the JSON has."""
    from picojoule.analysis.complexity import BufferPoint

    stream = io.StringIO()
    names = [field.name for field in fields(BufferPoint)]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, "ratio"])
    for point in curve.points:
        writer.writerow([*(getattr(point, name) for name in names), point.ratio])
    return stream.getvalue()


def curve_markdown(curve: BufferCurve) -> str:
    """A table and the sentences below it."""
    table = markdown_table(_HEADS, [_cells(point, curve) for point in curve.points], left=())
    return "\n".join([*table, "", f"{printable(curve.model)}: {'; '.join(_sentences(curve))}."]) + "\n"


def _cells(point: BufferPoint, curve: BufferCurve) -> tuple[str, ...]:
    return (
        _size(point),
        counted(point.numbers),
        counted(point.lower_document),
        counted(point.lower_triplets),
        counted(point.lower_communication),
        counted(point.bound),
        counted(point.optimum),
        f"{point.ratio:.3f}" + ("" if point.proved else " ?"),
        f"{point.mean_ratio:.3f}",
        f"{point.worst_ratio:.3f}",
        f"{point.compulsory_layers} of {len(curve.reaches)}",
    )


def _sentences(curve: BufferCurve) -> list[str]:
    last = max(curve.reaches, key=lambda reach: reach.needed)
    said = [f"{counted(curve.points[0].compulsory)} numbers pass whatever the buffer"]
    said.append(
        f"with fewer than {curve.needed:,} numbers in it more must pass (in {printable(last.layer)})".replace(",", " ")
    )
    if curve.reached is None:
        left = sum(reach.reached is None for reach in curve.reaches)
        said.append(f"{left} of {len(curve.reaches)} layers move more even with the largest of these buffers")
    else:
        point = next(point for point in curve.points if point.numbers == curve.reached)
        said.append(f"our optimum moves no more from {_size(point)} on")
    return said


def _size(point: BufferPoint) -> str:
    size = point.buffer_bits / 8
    scale = size_scale([size])
    return f"{scale.text(size)} {scale.unit}"
