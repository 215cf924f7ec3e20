"""The user's table of networks: their accuracies, and their energies or what these are counted from."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picojoule.errors import InputError, PicojouleError, UsageError, nearest
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.exits.cost import Candidate, check_accuracy
from picojoule.frontends import load_model
from picojoule.workload.builtin.merkel import DEPTHS, FILTERS, merkel
from picojoule.workload.network import Network

COLUMNS = ("name", "accuracy", "energy", "model", "depth", "width")
_SOURCES = ("energy", "model", "depth", "width")
_HINT = (
    "Columns: accuracy (0 … 1), and one of energy (any unit), model (as `picojoule estimate` takes it), depth (1 … 11)"
    " or width (1 … 64, depth 6) of Merkel's networks; name is optional."
)
FULL_DEPTH = 6


def read_candidates(
    path: Path, *, hardware: str | Path | None = None, options: Mapping[str, Any] | None = None
) -> list[Candidate]:
    """The networks of a table: CSV with a head, or JSON (a list of objects).

    The energy of a network is the table's if it has a column ``energy``; else its MACs; with ``hardware`` the energy
    that ``estimate`` finds on that machine, per inference.

    Args:
        path: the table.
        hardware: a machine, as ``estimate`` takes it.
        options: more arguments of ``estimate`` (``search``, ``bits``, …).

    Raises:
        UsageError: there is no such file, or a machine is named for energies that are given.
        InputError: a column or value that doesn't belong there (says which row), or none at all.
        PicojouleError: whatever ``estimate`` raises.
    """
    rows = read_rows(path)
    source = _source(path, rows)
    if hardware is not None and source == "energy":
        raise UsageError(
            "the table gives energies, so there is nothing to estimate",
            where="hardware",
            hint="Leave --hardware out, or give a column model, depth or width in place of energy.",
        )
    found = []
    for place, row in rows:
        accuracy = number(row, "accuracy", place)
        if source == "energy":
            name, energy = str(row.get("name") or f"row {len(found) + 1}"), number(row, "energy", place)
        else:
            label, network = _network(row, source, place)
            name, energy = str(row.get("name") or label), _energy(network, hardware, options or {})
        try:
            found.append(Candidate(name=name, energy=energy, accuracy=accuracy))
        except InputError as error:
            raise InputError(
                error.message, where=f"{place}, {error.where.rpartition('.')[2]}", hint=error.hint
            ) from None
    return found


def read_points(path: Path, size: str) -> tuple[list[str], list[float], list[float]]:
    """Names, accuracies and sizes of a table with the columns ``accuracy`` and ``size`` (and ``name``), as in Fig. 1.

    Args:
        path: the table: CSV with a head, or JSON (a list of objects).
        size: name of the column with the sizes.

    Raises:
        UsageError: there is no such file.
        InputError: a column is missing, a value is no number, or an accuracy doesn't lie in 0 … 1.
    """
    rows = read_rows(path)
    for column in ("accuracy", size):
        if not any(column in row for _, row in rows):
            allowed = sorted({key for _, row in rows for key in row})
            raise InputError(f"there is no column {column!r}", where=str(path), hint=nearest(column, allowed))
    names, accuracies, sizes = [], [], []
    for i, (place, row) in enumerate(rows, 1):
        names.append(str(row.get("name") or f"row {i}"))
        accuracies.append(number(row, "accuracy", place))
        sizes.append(number(row, size, place))
        check_accuracy(accuracies[-1], f"{place}, accuracy")
        if not math.isfinite(sizes[-1]):
            raise InputError(f"a size is a finite number, got {sizes[-1]!r}", where=f"{place}, {size}")
    return names, accuracies, sizes


def read_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The rows of a table with the places that messages name.

    Raises:
        UsageError: there is no such file.
        InputError: it is neither CSV with a head nor a JSON list of objects, or it has no rows.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}", where="table", hint=_HINT)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InputError(f"it is no text in UTF-8: {problem}", where=str(path)) from None
    rows = _of_json(path, text) if text.lstrip()[:1] in ("[", "{") else _of_csv(path, text)
    if not rows:
        raise InputError("it has no rows", where=str(path), hint=_HINT)
    return rows


def _of_json(path: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        data = json.loads(text)
    except ValueError as problem:
        raise InputError(f"not readable as JSON: {problem}", where=str(path)) from None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise InputError("a JSON table is a list of objects", where=str(path), hint=_HINT)
    return [(f"{path}, row {i}", row) for i, row in enumerate(data, 1)]


def _of_csv(path: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    rows = []
    try:
        head = [key.strip() for key in reader.fieldnames or []]
        twice = next((key for key in head if head.count(key) > 1), None)
        if twice is not None:
            raise InputError(f"there are {head.count(twice)} columns {twice!r}", where=f"{path}, line 1")
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise InputError(
                    f"the head has {len(reader.fieldnames or [])} columns, this row another number", where=place
                )
            rows.append((place, {key.strip(): value.strip() for key, value in row.items()}))
    except csv.Error as problem:
        raise InputError(f"not readable as CSV: {problem}", where=str(path)) from None
    return rows


def number(row: Mapping[str, Any], column: str, place: str) -> float:
    """The number in a column of a row."""
    value = row.get(column)
    if value is None or value == "":
        raise InputError(f"there is no {column}", where=place, hint=_HINT)
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except OverflowError:
        raise InputError(f"{column} is too large a number", where=place) from None
    except (TypeError, ValueError):
        raise InputError(f"{column} is a number, got {value!r}", where=place) from None


def _source(path: Path, rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    keys = list(dict.fromkeys(key for _, row in rows for key in row))
    for key in keys:
        if key not in COLUMNS:
            raise InputError(f"unknown column {key!r}", where=str(path), hint=nearest(str(key), COLUMNS))
    given = [key for key in _SOURCES if key in keys]
    if len(given) != 1:
        raise InputError(
            f"energies come from one of {', '.join(_SOURCES)}; the table has {' and '.join(given) or 'none of them'}",
            where=str(path),
            hint=_HINT,
        )
    return given[0]


def _network(row: Mapping[str, Any], source: str, place: str) -> tuple[str, Network]:
    if source == "model":
        model = str(row.get("model") or "")
        if not model:
            raise InputError("there is no model", where=place, hint=_HINT)
        try:
            return model, load_model(model)
        except PicojouleError as error:
            raise type(error)(error.message, where=f"{place}, {error.where or 'model'}", hint=error.hint) from None
    value, most = number(row, source, place), DEPTHS[-1] if source == "depth" else FILTERS
    if value not in range(1, most + 1):
        raise InputError(f"{source} is a whole number, 1 … {most}, got {row[source]!r}", where=place)
    size = int(value)
    return f"L{size}" if source == "depth" else f"w{size}", (
        merkel(size) if source == "depth" else merkel(FULL_DEPTH, size)
    )


def _energy(network: Network, hardware: str | Path | None, options: Mapping[str, Any]) -> float:
    if hardware is None:
        return float(network.macs)
    return estimate_uninterrupted(network, hardware=hardware, **options).energy_pj_per_inference
