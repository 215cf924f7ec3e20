"""What a GPU was measured to take for products of matrices, copies and networks: the file that a table is fitted to."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picojoule.errors import InputError, SystemFailure
from picojoule.runtime.device_table import WIDTH_BYTES, Work, matmul

SCHEMA = "picojoule/microbenchmarks/1"
LEAST_COPIES, LEAST_MATMULS = 3, 8
"""Copies, and products of each type, below which there is nothing to fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One piece of work that was measured; ``joules`` is None where there was no meter."""

    work: Work
    dtype: str
    seconds: float
    joules: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedNetwork:
    """A network that was measured, to test a table on: what `load_model` takes, its batch and type."""

    model: str
    dtype: str
    batch: int
    seconds: float
    joules: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Microbenchmarks:
    """All of a file.

    Attributes:
        device: its name.
        copies, matmuls: what the table is fitted to.
        networks: what it is tested on.
    """

    device: str
    copies: tuple[Timed, ...]
    matmuls: tuple[Timed, ...]
    networks: tuple[TimedNetwork, ...]


def read_microbenchmarks(path: Path) -> Microbenchmarks:
    """Reads ``{"schema", "device": {"name"}, "copy": [{"bytes", "seconds", "joules"}], "matmul": [{"dtype", "m", "n", "k",
    "seconds", "joules"}], "networks": [{"model", "dtype", "batch", "seconds", "joules"}]}``. ``bytes`` are those read plus
    those written; ``joules`` may be null.

    Raises:
        InputError: it says something else, or too little to fit a table to.
        SystemFailure: it can't be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise SystemFailure(f"can't read: {failure.strerror}", where=str(path)) from failure
    except ValueError as problem:
        raise InputError(f"no JSON: {problem}", where=str(path)) from problem
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError(
            f"its schema is {data.get('schema') if isinstance(data, dict) else type(data).__name__!r}, not {SCHEMA!r}",
            where=str(path),
            hint="benchmarks/gpu_microbenchmarks.py writes such a file.",
        )
    read = _Reader(path)
    copies = tuple(
        Timed(work=Work(moved_bytes=read.number(row, "bytes", at)), dtype="", **read.measured(row, at))
        for at, row in read.rows(data, "copy")
    )
    matmuls = tuple(
        Timed(
            work=matmul(*(read.whole(row, size, at) for size in "mnk"), WIDTH_BYTES[read.dtype(row, at)]),
            dtype=row["dtype"], **read.measured(row, at),
        )
        for at, row in read.rows(data, "matmul")
    )  # fmt: skip
    networks = tuple(
        TimedNetwork(model=read.text(row, "model", at), dtype=read.dtype(row, at), batch=read.whole(row, "batch", at), **read.measured(row, at))
        for at, row in (read.rows(data, "networks") if "networks" in data else ())
    )  # fmt: skip
    device = data.get("device")
    name = device.get("name") if isinstance(device, dict) else None
    if not isinstance(name, str) or not name:
        raise InputError("device.name is missing", where=str(path))
    _enough(path, copies, matmuls)
    return Microbenchmarks(device=name, copies=copies, matmuls=matmuls, networks=networks)


def _enough(path: Path, copies: tuple[Timed, ...], matmuls: tuple[Timed, ...]) -> None:
    if len({one.work.moved_bytes for one in copies}) < LEAST_COPIES:
        raise InputError(f"copies of {len(copies)} sizes; a bandwidth takes {LEAST_COPIES}", where=f"{path}: copy")
    for dtype in sorted({one.dtype for one in matmuls}):
        count = sum(one.dtype == dtype for one in matmuls)
        if count < LEAST_MATMULS:
            raise InputError(
                f"{count} products in {dtype}; its constants take {LEAST_MATMULS}", where=f"{path}: matmul"
            )
    if not matmuls:
        raise InputError("no products of matrices", where=f"{path}: matmul")


class _Reader:
    """Reads fields and names the place of what is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, data: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
        rows = data.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{key} must be a list of objects", where=str(self._path))
        return [(f"{self._path}: {key}[{place}]", row) for place, row in enumerate(rows)]

    def number(self, row: dict[str, Any], key: str, at: str) -> float:
        value = row.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            raise InputError(f"{key} is {value!r}, not a number above 0", where=at)
        return float(value)

    def whole(self, row: dict[str, Any], key: str, at: str) -> int:
        value = self.number(row, key, at)
        if value != int(value):
            raise InputError(f"{key} is {value:g}, not a whole number", where=at)
        return int(value)

    def text(self, row: dict[str, Any], key: str, at: str) -> str:
        value = row.get(key)
        if not isinstance(value, str) or not value:
            raise InputError(f"{key} is {value!r}, not a name", where=at)
        return value

    def dtype(self, row: dict[str, Any], at: str) -> str:
        value = self.text(row, "dtype", at)
        if value not in WIDTH_BYTES:
            raise InputError(f"dtype is {value!r}", where=at, hint=f"Allowed: {', '.join(WIDTH_BYTES)}.")
        return value

    def measured(self, row: dict[str, Any], at: str) -> dict[str, float | None]:
        joules = None if row.get("joules") is None else self.number(row, "joules", at)
        return {"seconds": self.number(row, "seconds", at), "joules": joules}
