"""A datasheet: on the terminal, as Markdown, CSV and data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, to_text, total_width, wrapped
from picojoule.reporting.figures import printable, shortened
from picojoule.reporting.palette import ATTENTION, BAD
from picojoule.reporting.tables import markdown_table, markdown_text
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.analysis.datasheet import Datasheet, Entry

SCHEMA = "picojoule/datasheet/1"
CSV_COLUMNS = ("hardware", "network", "key", "label", "unit", "value", "origin", "modelled", "missing")
MISSING = "missing"
_INDENT = 32


def datasheet_text(sheet: Datasheet, *, width: int, color: bool) -> str:
    """The table of the chip, the table of the networks, and what is missing with the reason why that can mislead.

    Args:
        sheet: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    lines = [Text(printable(sheet.hardware), style="bold"), *rows(_columns("chip", [sheet.chip], width)), Text()]
    lines += [*rows(_fitting("network", sheet.networks, width)), Text()]
    for label, remark in _remarks(sheet):
        lines += wrapped(label, [Text(remark)], width, indent=_INDENT)
    for label, why in _gaps(sheet):
        lines += wrapped(label, [Text.assemble((f"{MISSING}: ", ATTENTION), printable(why))], width, indent=_INDENT)
    for name in sheet.altered:
        lines += wrapped("altered", [Text(_changed(name), style=BAD)], width, indent=_INDENT)
    return to_text(lines, color=color)


def _columns(head: str, each: Sequence[Sequence[Entry]], width: int) -> list[Column]:
    first = each[0]
    columns = [column(head, [(_label(entry), "") for entry in first], right=False, gap=1)]
    room = max(14, (width - columns[0].width - 1) // len(each) - 2)
    for entries in each:
        cells = [(shortened(_value(e), room), ATTENTION if e.value is None else "") for e in entries]
        columns.append(column("", cells))
    return columns


def _fitting(head: str, networks: Sequence[Sequence[Entry]], width: int) -> list[Column]:
    """As many networks as fit, the first ones; all of them stand in CSV and JSON."""
    kept = list(networks)
    while len(kept) > 1 and total_width(_columns(head, kept, width)) > width:
        kept.pop()
    return _columns(head, kept, width)


def _label(entry: Entry) -> str:
    return f"{entry.label}, {entry.unit}" if entry.unit else entry.label


def _value(entry: Entry) -> str:
    if entry.value is None:
        return MISSING
    return _number(entry.value)


def _number(value: float | int | str) -> str:
    if isinstance(value, str):
        return printable(value)
    return str(value) if isinstance(value, int) else significant(value, 4)


def _remarks(sheet: Datasheet) -> list[tuple[str, str]]:
    """What to know about values that are there, each once."""
    said: dict[tuple[str, str], None] = {}
    for entries in (sheet.chip, *sheet.networks):
        for entry in entries:
            if entry.remark:
                said[entry.label, entry.remark] = None
            if entry.modelled is not None and entry.modelled != entry.value:
                unit = f" {entry.unit}" if entry.unit else ""
                said[entry.label, f"given; the model says {_number(entry.modelled)}{unit}"] = None
    given = [e.label for entries in (sheet.chip, *sheet.networks) for e in entries if e.origin == "given"]
    if given:
        said["given", ", ".join(dict.fromkeys(given))] = None
    return list(said)


def _gaps(sheet: Datasheet) -> list[tuple[str, str]]:
    said: dict[tuple[str, str], None] = {}
    for entries in (sheet.chip, *sheet.networks):
        said |= dict.fromkeys((entry.label, entry.missing) for entry in entries if entry.value is None)
    return list(said)


def _changed(name: str) -> str:
    return f"{printable(name)} was changed after it was written: its content hash is another (picojoule verify)"


def datasheet_markdown(sheet: Datasheet) -> str:
    """The same two tables and sentences as a page."""
    lines = [f"## {markdown_text(sheet.hardware)}", ""]
    for head, each in (("chip", [sheet.chip]), ("network", sheet.networks)):
        body = [[_label(row[0]), *map(_value, row)] for row in zip(*each, strict=True)]
        lines += [*markdown_table([head, *[""] * len(each)], body, left=(0,)), ""]
    lines += [f"- {label}: {markdown_text(remark)}" for label, remark in _remarks(sheet)]
    lines += [f"- **{label}: {MISSING}**: {markdown_text(why)}" for label, why in _gaps(sheet)]
    lines += [f"- {markdown_text(_changed(name))}" for name in sheet.altered]
    return "\n".join(lines).rstrip() + "\n"


def datasheet_csv(sheet: Datasheet) -> str:
    """A row for each entry of the chip and of each network, in full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, entries in (("", sheet.chip), *((str(entries[0].value), entries) for entries in sheet.networks)):
        for e in entries:
            cells = (e.value, e.origin, e.modelled, e.missing)
            writer.writerow(
                (sheet.hardware, name, e.key, e.label, e.unit, *("" if cell is None else cell for cell in cells))
            )
    return stream.getvalue()


def datasheet_data(sheet: Datasheet) -> dict[str, Any]:
    """The datasheet as plain data, its schema first."""
    return {"schema": SCHEMA, **asdict(sheet)}
