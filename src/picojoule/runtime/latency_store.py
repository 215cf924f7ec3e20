"""Measured latencies of layer shapes on disk: an SQLite file, each row under what it was measured on."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from picojoule.errors import InputError, SystemFailure
from picojoule.runtime.layer_models import LayerShape
from picojoule.workload.nest import Nest

VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS latency (
    machine TEXT NOT NULL, runtime TEXT NOT NULL, threads INTEGER NOT NULL, kind TEXT NOT NULL, shape TEXT NOT NULL,
    seconds REAL NOT NULL, q1_s REAL NOT NULL, q3_s REAL NOT NULL, samples INTEGER NOT NULL, joules REAL,
    measured_at REAL NOT NULL,
    PRIMARY KEY (machine, runtime, threads, kind, shape)
) WITHOUT ROWID
"""
_WAIT_S = 30.0
"""How long to wait for another process that is writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a latency holds for: the same layer takes another time on another machine, version or number of threads."""

    machine: str
    runtime: str
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What was measured of a layer.

    Attributes:
        seconds: its latency.
        q1_s, q3_s: quartiles of the samples.
        samples: how many there were.
        joules: energy of one run, or None where there was no counter.
    """

    seconds: float
    q1_s: float
    q3_s: float
    samples: int
    joules: float | None = None


class LatencyStore:
    """Timings by context and shape, in a file that several processes may use at once.

    Args:
        path: of the SQLite file, which is made if it isn't there; None keeps everything in memory.

    Raises:
        SystemFailure: the file can't be made or read.
        InputError: it is another kind of file, or of another version.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._memory = sqlite3.connect(":memory:") if path is None else None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as failure:
                raise SystemFailure(f"can't make the folder: {failure.strerror}", where=str(path.parent)) from failure
        with self._connected() as base:
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise InputError(
                    f"a look-up table of version {version}; this picojoule reads {VERSION}",
                    where=str(path),
                    hint="Remove the file: it is measured anew.",
                )
            base.execute(_TABLES)
            base.execute(f"PRAGMA user_version = {VERSION}")

    def get(self, context: Context, shape: LayerShape) -> Timing | None:
        """What was measured of ``shape`` in this context; None if nothing was."""
        with self._connected() as base:
            row = base.execute(
                "SELECT seconds, q1_s, q3_s, samples, joules FROM latency"
                " WHERE machine = ? AND runtime = ? AND threads = ? AND kind = ? AND shape = ?",
                (*_key(context), shape.kind, _text(shape.nest)),
            ).fetchone()
        if row is None:
            return None
        return Timing(seconds=row[0], q1_s=row[1], q3_s=row[2], samples=row[3], joules=row[4])

    def put(self, context: Context, timings: Iterable[tuple[LayerShape, Timing]]) -> None:
        """Keeps timings; those of the same shape and context are replaced."""
        rows = [
            (*_key(context), shape.kind, _text(shape.nest), t.seconds, t.q1_s, t.q3_s, t.samples, t.joules, time.time())
            for shape, t in timings
        ]
        with self._connected() as base:
            base.executemany("INSERT OR REPLACE INTO latency VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def counts(self) -> list[tuple[Context, int]]:
        """How many shapes are kept in each context."""
        with self._connected() as base:
            rows = base.execute(
                "SELECT machine, runtime, threads, COUNT(*) FROM latency GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            ).fetchall()
        return [(Context(machine=m, runtime=r, threads=t), n) for m, r, t, n in rows]

    def shapes(self, context: Context) -> list[LayerShape]:
        """Every shape that is kept in a context."""
        with self._connected() as base:
            rows = base.execute(
                "SELECT kind, shape FROM latency WHERE machine = ? AND runtime = ? AND threads = ?", _key(context)
            ).fetchall()
        return [LayerShape(kind, _nest(text)) for kind, text in rows]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._memory is not None:
                with self._memory:
                    yield self._memory
                return
            with closing(sqlite3.connect(str(self.path), timeout=_WAIT_S)) as base, base:
                yield base
        except sqlite3.DatabaseError as failure:
            if isinstance(failure, sqlite3.OperationalError):
                raise SystemFailure(f"the look-up table can't be used: {failure}", where=str(self.path)) from failure
            raise InputError(
                f"no look-up table: {failure}", where=str(self.path), hint="Remove the file: it is measured anew."
            ) from failure


def _key(context: Context) -> tuple[str, str, int]:
    return context.machine, context.runtime, context.threads


def _text(nest: Nest) -> str:
    return json.dumps(asdict(nest), sort_keys=True, separators=(",", ":"))


def _nest(text: str) -> Nest:
    data = json.loads(text)
    return Nest(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})
