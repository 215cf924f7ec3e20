"""Tidy rows as CSV, in full precision."""

from __future__ import annotations

import csv
import io
from typing import Any

from picojoule.reporting.exports.target import Source, Target
from picojoule.reporting.exports.tidy import COLUMNS, read_all, tidy_rows


def _text(sources: tuple[Source, ...], **_: Any) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for estimate in read_all(sources):
        writer.writerows(tidy_rows(estimate))
    return stream.getvalue()


TARGET = Target(
    name="csv",
    meaning="A row for each layer × level × tensor of every result, in full precision.",
    several=True,
    text=_text,
)
