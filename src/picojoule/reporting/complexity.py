"""What ``picojoule complexity bound`` found: on the terminal, as Markdown, CSV and data."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, spread, to_text, without_least, wrapped
from picojoule.reporting.figures import NONE, counted, printable, shortened, size_scale
from picojoule.reporting.tables import markdown_table

if TYPE_CHECKING:
    from picojoule.analysis.complexity import BoundRow, LayerBounds

SCHEMA = "picojoule/complexity/1"
_ALWAYS = 100
_HEADS = (
    "layer", "m", "holds", "document", "triplets", "communication", "compulsory", "optimum", "÷ bound", "write-once", "read-once", "upper",
)  # fmt: skip


def bounds_text(bounds: LayerBounds, *, width: int, color: bool) -> str:
    """A line for each layer, then what the ratios come to.

    Args:
        bounds: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    title = Text.assemble((printable(bounds.model), "bold"), f" · {bounds.bits} bit")
    size = _size(bounds)
    lines = spread(title, Text(f"DRAM and a buffer of {size}, {bounds.numbers:,} numbers".replace(",", " ")), width)
    columns = [
        column(head, [(cell, "") for cell in cells], right=head != "layer", worth=worth)
        for head, worth, cells in zip(_HEADS, _WORTH, zip(*map(_cells, bounds.rows), strict=True), strict=True)
    ]
    lines += [*rows(_fitting(columns, width)), Text()]
    worst = bounds.worst
    parts = [f"optimum {bounds.mean_ratio:.3f}× the bound in the geometric mean", f"worst {worst.ratio:.3f}× at {printable(worst.layer)}"]
    lines += wrapped("ratio", [Text(part) for part in parts], width)
    unproved = sum(1 for row in bounds.rows if row.status != "PROVED")
    state = "every layer proved optimal" if not unproved else f"{unproved} of {len(bounds.rows)} layers not proved optimal"
    lines += wrapped("optimum", [Text(state)], width)
    lines += wrapped("energy", [Text(part) for part in _energies(bounds)], width)
    lower = math.fsum(row.lower_document for row in bounds.rows)
    lines += wrapped("document", [Text(f"its lower bound is {counted(lower)} numbers in all layers, ours {_whole_bound(bounds)}")], width)
    lines += wrapped("numbers", [Text("that pass between DRAM and the buffer, reads and writes together")], width)
    return to_text(lines, color=color)


_WORTH = (_ALWAYS, 20, 30, 10, 40, 60, 70, _ALWAYS, _ALWAYS, 50, 25, 15)


def bounds_data(bounds: LayerBounds) -> dict[str, Any]:
    """As plain data, for JSON."""
    return {
        "schema": SCHEMA,
        "model": bounds.model,
        "buffer_bits": bounds.machine.level("buffer").capacity_bits,
        "numbers": bounds.numbers,
        "bits": bounds.bits,
        "mean_ratio": bounds.mean_ratio,
        "worst": {"layer": bounds.worst.layer, "ratio": bounds.worst.ratio},
        "energy_data_pj": bounds.energy_data_pj,
        "energy_comp_pj": bounds.energy_comp_pj,
        "layers": [
            {**asdict(row), "energy_data_pj": row.energy_data_pj, "ratio": row.ratio} for row in bounds.rows
        ],
    }


def bounds_csv(bounds: LayerBounds) -> str:
    """A row for each layer, under the names that the JSON has."""
    from picojoule.analysis.complexity import BoundRow

    stream = io.StringIO()
    names = [field.name for field in fields(BoundRow)]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, "energy_data_pj", "ratio"])
    for row in bounds.rows:
        known = ("" if getattr(row, name) is None else getattr(row, name) for name in names)
        writer.writerow([*known, row.energy_data_pj, row.ratio])
    return stream.getvalue()


def bounds_markdown(bounds: LayerBounds) -> str:
    """A table and the sentence below it."""
    table = markdown_table(_HEADS, [_cells(row) for row in bounds.rows], left=(0,))
    worst = bounds.worst
    said = (
        f"{printable(bounds.model)} on DRAM and a buffer of {_size(bounds)}: numbers of {bounds.bits} bits that pass between them. Optimum ÷ bound: "
        f"{bounds.mean_ratio:.3f} in the geometric mean, {worst.ratio:.3f} at {printable(worst.layer)}. {'; '.join(_energies(bounds))}."
    )
    return "\n".join([*table, "", said]) + "\n"


def _energies(bounds: LayerBounds) -> list[str]:
    data, comp = bounds.energy_data_pj, bounds.energy_comp_pj
    pj = {"E": data + comp, "E_data": data, "E_comp": comp}
    exact = {name: f"{value:,.0f} pJ".replace(",", " ") for name, value in pj.items()}
    return [f"E = E_data + E_comp = {exact['E']} in all layers", f"E_data {exact['E_data']}", f"E_comp {exact['E_comp']}"]


def _whole_bound(bounds: LayerBounds) -> str:
    return counted(math.fsum(row.bound for row in bounds.rows))


def _cells(row: BoundRow) -> tuple[str, ...]:
    def whole(value: float | None) -> str:
        return NONE if value is None else counted(value)

    return (
        shortened(printable(row.layer), 24),
        NONE if row.m is None else str(row.m),
        whole(row.needed),
        whole(row.lower_document),
        whole(row.lower_triplets),
        whole(row.lower_communication),
        whole(row.compulsory),
        whole(row.optimum),
        f"{row.ratio:.3f}" + ("" if row.status == "PROVED" else " ?"),
        whole(row.write_once),
        whole(row.read_once),
        whole(row.upper_document),
    )


def _size(bounds: LayerBounds) -> str:
    size = (bounds.machine.level("buffer").capacity_bits or 0) / 8
    scale = size_scale([size])
    return f"{scale.text(size)} {scale.unit}"


def _fitting(columns: list[Column], width: int) -> list[Column]:
    return without_least(columns, width, _ALWAYS)
