"""An explanation that was saved, put in the place of what is known of a result without a search."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from picojoule.analysis import Explanation
from picojoule.errors import ResultFileError, SystemFailure, UsageError
from picojoule.reporting.explanations import SCHEMA
from picojoule.result import Estimate
from picojoule.result_file import MAX_BYTES, record_from_data

_AGAIN = "Write it again: picojoule explain RESULT --format json -o FILE."


def explanation_of(given: str | Path | Explanation) -> Explanation:
    """An explanation, or that of its file.

    Raises:
        ResultFileError, SystemFailure: its file can't be read, or holds none.
    """
    return given if isinstance(given, Explanation) else _read(Path(given))


def merged(outline: Explanation, explanation: Explanation, estimate: Estimate, *, where: str) -> Explanation:
    """The outline of a result with the layers that an explanation has, and all else that it says of the network.

    Raises:
        UsageError: it explains another result.
    """
    ours = {layer.name: layer for layer in outline.layers}
    theirs = {layer.name: layer for layer in explanation.layers}
    for what, mine, other in (
        ("the network", estimate.model, explanation.model),
        ("the machine", estimate.hardware["name"], explanation.hardware),
    ):
        if mine != other:
            raise UsageError(f"it explains {what} {other}, the result is of {mine}", where=where, hint=_AGAIN)
    for name, layer in theirs.items():
        same = name in ours and math.isclose(ours[name].energy_pj, layer.energy_pj, rel_tol=1e-9)
        if not same:
            raise UsageError(f"its layer {name} is not that of the result", where=where, hint=_AGAIN)
    layers = tuple(theirs.get(layer.name, layer) for layer in outline.layers)
    return replace(explanation, layers=layers, not_examined=outline.not_examined, front=outline.front)


def _read(path: Path) -> Explanation:
    where = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES)
    except OSError as error:
        raise SystemFailure(f"can't read the explanation: {error.strerror}", where=where) from error
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise ResultFileError("not JSON, or cut off", where=where, hint=_AGAIN) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ResultFileError(f"not an explanation: its schema is {schema!r}, not {SCHEMA!r}", where=where, hint=_AGAIN)
    try:
        return record_from_data(document, Explanation, where=where)
    except ResultFileError as error:
        raise ResultFileError(error.message, where=error.where, hint=_AGAIN) from None
