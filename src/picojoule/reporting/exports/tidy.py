"""Tidy rows of results: one for each layer × level × tensor, with the model and the machine that they are of."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from picojoule.analysis.subjects import read_subject
from picojoule.reporting.exports.target import Source
from picojoule.reporting.tables import ROW_COLUMNS, prices_of
from picojoule.result import Access, Estimate

COLUMNS = ("model", "hardware", "batch", "table", "estimated", "unit", *ROW_COLUMNS)
WHOLE = ("batch", "reads", "writes", "updates")
REAL = ("energy_pj", "bits", "metadata_bits", "raw_pj")

assert {field.name for field in fields(Access)} - {"level", "tensor"} == {*WHOLE, *REAL} - {"batch"}


def read_all(sources: tuple[Source, ...]) -> list[Estimate]:
    """The results.

    Raises:
        ResultFileError, SystemFailure: a file that can't be read.
    """
    return [read_subject(source)[0] for source in sources]


def tidy_rows(estimate: Estimate) -> list[dict[str, Any]]:
    """Its rows under ``COLUMNS``, in the order of the network; energies in ``unit``, as everywhere in the result."""
    whose = {
        "model": estimate.model,
        "hardware": str(estimate.hardware["name"]),
        "batch": estimate.batch,
        **prices_of(estimate),
        "unit": str(estimate.table["unit"]),
    }
    return [whose | row for row in estimate.rows()]
