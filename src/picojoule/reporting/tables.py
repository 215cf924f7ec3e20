"""An estimate as CSV for programs and as Markdown for pages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from picojoule.reporting.figures import Scale, counted, layer_scale, percent, printable, share, times
from picojoule.reporting.headline import machine_size, table_text, widths_text
from picojoule.reporting.honesty import honest_lines
from picojoule.reporting.layer_table import ordered
from picojoule.reporting.shares import by_place
from picojoule.result import Access, Estimate

CSV_FRONT = ("front_of", "point", "latency_cycles", "energy_pj", "bound_pj")
ROW_COLUMNS = ("layer", "kind", "status", *(field.name for field in fields(Access)))
CSV_COLUMNS = (*ROW_COLUMNS, "table", "estimated")


def estimate_csv(estimate: Estimate) -> str:
    """Tidy rows, one for each layer × level × tensor, in full precision and in the order of the network.

    Energies are in the unit of the machine's table, as everywhere in the result; every row names the table, and says whether
    it stands in for energies of the machine that nobody published. Fronts, where there are any,
    follow after an empty line under a head of their own, from the fastest point on: the network's, then those of the layers.
    """
    prices = prices_of(estimate)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **prices} for row in estimate.rows())
    fronts = _fronts(estimate)
    if fronts:
        points = csv.writer(stream, lineterminator="\n")
        stream.write("\n")
        points.writerow(CSV_FRONT)
        for whose, front in fronts:
            points.writerows([whose, i, *(point[key] for key in CSV_FRONT[2:])] for i, point in enumerate(front, 1))
    return stream.getvalue()


def prices_of(estimate: Estimate) -> dict[str, str]:
    """The name of the energy table, and whether it stands in for energies that nobody published, as rows say it."""
    return {"table": str(estimate.table["name"]), "estimated": str(bool(estimate.table.get("estimated"))).lower()}


def _fronts(estimate: Estimate) -> list[tuple[str, list[Any]]]:
    own = [(layer.name, layer.front) for layer in estimate.layers if layer.front and layer.same_as is None]
    return [(estimate.model, estimate.front), *own] if estimate.front else own


def estimate_markdown(estimate: Estimate, *, sort: str = "energy") -> str:
    """The table of all layers with totals, and the lines that say how good it is.

    Args:
        estimate: the result to show.
        sort: a key of ``layer_table.SORTS``.
    """
    hardware, levels = estimate.hardware, list(estimate.by_level())
    about = [widths_text(estimate), *machine_size(hardware), f"table {table_text(estimate.table)}"]
    if estimate.input_shape:
        about.insert(0, "×".join(map(str, estimate.input_shape)))
    scale = layer_scale(estimate)
    head = ["layer", "MACs", f"energy {scale.unit}", *levels, "cycles", "gap", "× floor", "bound by"]
    body = [
        [
            layer.name,
            counted(layer.macs),
            scale.text(layer.energy_pj),
            *(share(by_place(layer).get(level, 0.0), layer.energy_pj) for level in levels),
            counted(layer.latency_cycles),
            percent(layer.gap),
            times(layer.value, layer.floor),
            layer.bound_by,
        ]
        for layer in ordered(estimate.layers, sort)
    ]
    total = [
        "**total**",
        counted(estimate.macs),
        f"**{scale.text(estimate.energy_pj)}**",
        *(share(energy, estimate.energy_pj) for energy in estimate.by_level().values()),
        counted(estimate.latency_cycles),
        percent(estimate.gap),
        times(estimate.value, estimate.floor),
        "",
    ]
    title = f"## {markdown_text(estimate.model)} on {markdown_text(str(hardware['name']))}\n\n{markdown_text(' · '.join(about))}\n"
    lines = markdown_table(head, [*body, total], left=(0, len(head) - 1))
    # One bullet for each line of the terminal's; wide enough that none is broken.
    notes = [" ".join(line.plain.split()) for line in honest_lines(estimate, 100_000, memory=sort == "memory")]
    page = [title, *lines, "", *(f"- {markdown_text(note)}" for note in notes)]
    for whose, front in _fronts(estimate):
        page += ["", f"### Front of {markdown_text(whose)}", "", *_front_table(front, scale)]
    return "\n".join(page) + "\n"


def _front_table(front: Sequence[Any], scale: Scale) -> list[str]:
    head = ["cycles", f"energy {scale.unit}", f"bound {scale.unit}", "energy over the least"]
    least = front[-1]["energy_pj"]
    body = [
        [counted(p["latency_cycles"], 4), scale.text(p["energy_pj"]), scale.text(p["bound_pj"]), percent(p["energy_pj"] / least - 1)]
        for p in front
    ]
    return markdown_table(head, body, left=())


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: tuple[int, ...]) -> list[str]:
    """A Markdown table, also legible as plain text; columns not in ``left`` are aligned right."""
    cells = [[markdown_text(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(head))]
    lines = [
        "| "
        + " | ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in cells
    ]
    rule = ["-" * w if i in left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return [lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]


def markdown_text(text: str) -> str:
    """Text from a model or file as Markdown shows it: no column, link or tag of HTML can be made with it."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", printable(text)).replace("|", "\\|").replace("](", "]\\(")
