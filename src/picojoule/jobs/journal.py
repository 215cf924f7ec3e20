"""A journal of finished work: one line for each answer, on disk before the next is begun.

A run that was killed is begun again with the same journal and goes on from there: what it holds is not done twice.
Each line carries a checksum, so that a line that a crash cut off is known for what it is. Answers are found by a key
that must hold all that decides them; then it does not matter which run, with which other work, wrote the line.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

from picojoule.atomic_file import cannot_write
from picojoule.errors import InputError, UsageError

SCHEMA = "picojoule/journal/1"
_HEAD = f"{SCHEMA}\n".encode()


class Journal:
    """Answers by key, kept in a file as they come. One process at a time may have it open.

    Args:
        path: of the file, which need not exist yet. Its folder must.

    Attributes:
        answers: key → answer, as read from the file and added since.
        damaged: lines that were cut off or changed; they were dropped, and their work is to be done again.

    Raises:
        InputError: the file is no journal.
        UsageError: another process has it open.
        SystemFailure: it can't be read or written.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "squares.journal"
        >>> with Journal(path) as journal:
        ...     journal.add("3", 9)
        >>> with Journal(path) as journal:
        ...     journal.answers
        {'3': 9}
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Any] = {}
        self.damaged = 0
        try:
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as failure:
            raise cannot_write(failure, str(path)) from failure
        try:
            self._lock()
            self._take(path.read_bytes())
        except BaseException:
            self.close()
            raise

    def add(self, key: str, answer: Any) -> None:
        """Keeps an answer; when this returns, it is on disk.

        Args:
            key: by which it is found.
            answer: plain data, as JSON can hold it.
        """
        self._append(_line(key, answer))
        self.answers[key] = answer

    def close(self) -> None:
        """Lets go of the file, which stays where it is."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, raw: bytes) -> None:
        """Reads what the file holds, and cuts off a last line that has no end: what is added next would be joined to it."""
        if _HEAD.startswith(raw):  # new, or its first writer was killed at once
            self._cut(0)
            self._append(_HEAD)
            return
        if not raw.startswith(_HEAD):
            raise InputError(
                f"this is no journal: it doesn't begin with {SCHEMA}",
                where=str(self.path),
                hint="Move the file away, or have the result saved elsewhere.",
            )
        for line in raw[len(_HEAD) :].splitlines(keepends=True):
            entry = _entry(line)
            if entry is None:
                self.damaged += 1
            else:
                self.answers[entry[0]] = entry[1]
        if not raw.endswith(b"\n"):
            self._cut(raw.rindex(b"\n") + 1)

    def _append(self, line: bytes) -> None:
        assert self._file is not None, "the journal is closed"
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as failure:
            raise cannot_write(failure, str(self.path)) from failure

    def _cut(self, size: int) -> None:
        assert self._file is not None, "the journal is closed"
        os.ftruncate(self._file, size)

    def _lock(self) -> None:
        """Keeps other processes out until this one lets go or ends, where the system can."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        assert self._file is not None, "the journal is closed"
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "another run is writing this journal",
                where=str(self.path),
                hint="Wait for it to end, or have the result saved elsewhere.",
            ) from None


def _line(key: str, answer: Any) -> bytes:
    text = json.dumps([key, answer], allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> tuple[str, Any] | None:
    """Key and answer of a line, or None if it was cut off or changed."""
    sum_, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or sum_ != b"%08x" % zlib.crc32(text):
        return None
    key, answer = json.loads(text)
    return key, answer
