"""Standard output, standard error and files: the only place where text leaves the program."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import IO

import click

from picojoule.atomic_file import cannot_write, replace_file
from picojoule.errors import OutputExistsError, SystemFailure, UsageError

# For terminals that don't speak UTF-8; one character for one, so that columns stay in line.
_PLAIN = str.maketrans("█▉▊▋▌▍▎▏·×–…µ✓✗\u2009\N{REPLACEMENT CHARACTER}", "########-x-~u+! ?")


def write_stdout(text: str, *, utf8: bool = False) -> None:
    """Writes all of ``text`` and makes sure that it has arrived.

    A reader that has gone (``picojoule … | head``) is no error: the rest is dropped.

    Args:
        text: to write.
        utf8: whatever the terminal speaks; JSON is always UTF-8.

    Raises:
        SystemFailure: a full disk, or there is no standard output.
    """
    stream = sys.stdout
    if stream is None or stream.closed:
        raise SystemFailure("standard output is closed", hint="Use -o FILE to write to a file.")
    try:
        _write(stream, text, utf8)
    except OSError as failure:
        let_go_of_stdout()
        if closed_pipe(failure):
            return
        raise cannot_write(failure, "standard output") from failure


def _write(stream: IO[str], text: str, utf8: bool) -> None:
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        stream.write(text)
        stream.flush()
        return
    stream.flush()
    buffer.write(encoded(text, "utf-8" if utf8 else stream.encoding or "utf-8"))
    buffer.flush()


def encoded(text: str, encoding: str) -> bytes:
    """The bytes of ``text``, in plain characters where ``encoding`` lacks those for bars and dots.

    >>> encoded("a·b", "ascii")
    b'a-b'
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, errors="replace")


def let_go_of_stdout() -> None:
    """Flushes standard output, or gives it up: what it can't take must not surface again when Python ends."""
    if sys.stdout is None or sys.stdout.closed:
        return
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, sys.stdout.fileno())
            os.close(nothing)


def say(text: str) -> None:
    """A message on standard error; a broken standard error is nothing to fail for."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(encoded(text + "\n", sys.stderr.encoding or "utf-8").decode(sys.stderr.encoding or "utf-8"))
        sys.stderr.flush()


def paint(text: str, hue: str, color: str | None = None) -> str:
    """Text in a colour, if standard error shows colours."""
    return click.style(text, fg=hue, bold=True) if shows_color(sys.stderr, color) else text


def shows_color(stream: IO[str] | None, color: str | None) -> bool:
    """Whether to colour what goes to ``stream``.

    Args:
        stream: standard output or error.
        color: always, never or auto: then a terminal is coloured unless NO_COLOR is set, and FORCE_COLOR colours all.
    """
    if color in ("always", "never"):
        return color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether a person reads ``stream`` as it is written."""
    return stream is not None and not stream.closed and stream.isatty()


def closed_pipe(failure: OSError) -> bool:
    """Whether nobody reads any longer what we write."""
    return failure.errno in (errno.EPIPE, errno.ESHUTDOWN)


def check_output(path: Path, *, force: bool, option: str = "-o") -> None:
    """Refuses, before any work is done, a file that can't be written or must not be.

    Devices and pipes hold nothing that could be lost and need no ``force``.

    Raises:
        OutputExistsError: it is there and ``force`` was not given.
        UsageError: it is a folder, or its folder is missing.
    """
    if path.is_dir():
        raise UsageError("this is a folder; name a file", where=f"{option} {path}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", where=f"{option} {path}", hint="Make the folder first.")
    if path.is_file() and not force:
        raise OutputExistsError(f"{path} exists", where=option, hint="--force overwrites it.")


def write_file(path: Path, text: str) -> None:
    """Writes a file whole or not at all; into a device or pipe it writes directly, and a reader that has gone is no error.

    Raises:
        SystemFailure: the disk is full, or the folder is not ours to write in.
    """
    with contextlib.suppress(BrokenPipeError):
        replace_file(path, text)
