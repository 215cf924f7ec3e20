"""Tidy rows as a Parquet file: the columns of the CSV with their types, and what the results are in the file's metadata."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from picojoule.atomic_file import replace_file
from picojoule.errors import MissingExtraError
from picojoule.reporting.exports.target import Source, Target
from picojoule.reporting.exports.tidy import COLUMNS, REAL, WHOLE, read_all, tidy_rows
from picojoule.result import Estimate

_LARGEST = 2**63


def _write(sources: tuple[Source, ...], output: Path) -> str:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Parquet needs pyarrow", hint="pip install 'picojoule[report]'") from None
    estimates = read_all(sources)
    rows = [row for estimate in estimates for row in tidy_rows(estimate)]
    kinds = {name: pyarrow.string() for name in COLUMNS} | {name: pyarrow.float64() for name in REAL}
    # Counts beyond 64 bits are none that a column of whole numbers could hold.
    kinds |= {
        name: pyarrow.int64() if all(row[name] < _LARGEST for row in rows) else pyarrow.float64() for name in WHOLE
    }
    about = {"picojoule": json.dumps([_about(estimate) for estimate in estimates])}
    schema = pyarrow.schema([pyarrow.field(name, kinds[name]) for name in COLUMNS], metadata=about)
    columns = [pyarrow.array([_value(row[name], kinds[name]) for row in rows], type=kinds[name]) for name in COLUMNS]
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, schema=schema), stream)
    replace_file(output, stream.getvalue())
    return f"{len(rows)} rows"


def _value(value: Any, kind: Any) -> Any:
    return float(value) if value is not None and str(kind) == "double" else value


def _about(estimate: Estimate) -> dict[str, Any]:
    keys = ("version", "command", "content_hash")
    return {"model": estimate.model, "schema": estimate.schema, **{key: estimate.provenance.get(key) for key in keys}}


TARGET = Target(
    name="parquet", meaning="The same rows as a Parquet file, columns with their types.", several=True, write=_write
)
