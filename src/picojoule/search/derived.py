"""What was found for the machines of a family, on disk: one SQLite file beside the cache of single searches.

Most answers of a family follow from a few searches in no time, and come by the thousands: a file for each would cost more than
the answer. They lie under the keys of ``search.cache``, yet apart from its entries: of mappings that cost the same a family may
show another than a search by itself, and what `picojoule estimate` shows must not depend on the studies that were run.
Nobody takes an answer at its word: ``search.recall`` works out again all that can be.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILE = "families.sqlite"
MAX_ANSWERS = 200_000
"""Some 100 MB; of more, the oldest are forgotten."""

_TABLE = "CREATE TABLE IF NOT EXISTS answers (number INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, found BLOB NOT NULL)"
_AT_ONCE = 500


class Derived:
    """The answers in a folder. Where the file can't be read or written there are none, and none are kept.

    Several processes may read and write at once.

    Args:
        folder: made when the first answer is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._new: dict[str, dict[str, Any]] = {}

    def read(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Of these keys, those that have an answer."""
        found: dict[str, dict[str, Any]] = {}
        if not self.path.is_file():
            return found
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open()) as database:
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                asked = f"SELECT key, found FROM answers WHERE key IN ({','.join('?' * len(some))})"
                for key, packed in database.execute(asked, some):
                    answer = _unpacked(key, packed)
                    if answer is not None:
                        found[key] = answer
        return found

    def keep(self, key: str, answer: dict[str, Any]) -> None:
        """Remembers an answer until ``flush``."""
        self._new[key] = answer

    def flush(self) -> None:
        """Puts on disk what was remembered."""
        new, self._new = self._new, {}
        if not new:
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(self._open()) as database, database:
                database.execute(_TABLE)
                rows = [(key, _packed(key, answer)) for key, answer in new.items()]
                database.executemany("INSERT OR REPLACE INTO answers (key, found) VALUES (?, ?)", rows)
                last = database.execute("SELECT max(number) FROM answers").fetchone()[0]
                database.execute("DELETE FROM answers WHERE number <= ?", (last - MAX_ANSWERS,))

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=10)


def count(folder: Path) -> tuple[int, int]:
    """Answers in the file of a folder, and its bytes."""
    path = folder / FILE
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM answers").fetchone()[0], path.stat().st_size
    except (sqlite3.Error, OSError):
        with contextlib.suppress(OSError):
            return 0, path.stat().st_size
        return 0, 0


def remove(folder: Path) -> None:
    """Removes the file, and what SQLite has beside it while it writes.

    Raises:
        OSError: the system doesn't let us.
    """
    for name in (FILE, f"{FILE}-journal"):
        (folder / name).unlink(missing_ok=True)


def _packed(key: str, answer: dict[str, Any]) -> bytes:
    text = json.dumps(answer, separators=(",", ":"), default=float).encode()
    return zlib.crc32(key.encode() + text).to_bytes(4, "big") + zlib.compress(text, 1)


def _unpacked(key: str, packed: bytes) -> dict[str, Any] | None:
    """None unless it is whole."""
    try:
        text = zlib.decompress(packed[4:])
        whole = zlib.crc32(key.encode() + text) == int.from_bytes(packed[:4], "big")
        return json.loads(text) if whole else None
    except (zlib.error, ValueError, TypeError):
        return None
