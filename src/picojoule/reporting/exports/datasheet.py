"""The datasheet of a machine and the networks on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from picojoule.analysis.datasheet import datasheet
from picojoule.reporting.datasheets import datasheet_csv, datasheet_data, datasheet_markdown, datasheet_text
from picojoule.reporting.exports.target import Option, Source, Target


def _text(sources: tuple[Source, ...], *, form: str, width: int, color: bool, about: Any = ()) -> str:
    facts = about if isinstance(about, Sequence) and not isinstance(about, str) else (about,)
    sheet = datasheet(sources, about=[one for one in facts if one is not None])
    if form == "json":
        return json.dumps(datasheet_data(sheet), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if form == "csv":
        return datasheet_csv(sheet)
    return datasheet_markdown(sheet) if form == "md" else datasheet_text(sheet, width=width, color=color)


TARGET = Target(
    name="datasheet",
    meaning="Chip and networks in two tables; what is missing says so, and why that can mislead.",
    several=True,
    forms=("table", "json", "csv", "md"),
    options=(
        Option(
            name="about",
            metavar="FILE",
            path=True,
            several=True,
            help="YAML of what no result holds: accuracy, data set, images tested, measured figures; one for all results or one for each.",
        ),
    ),
    text=_text,
)
