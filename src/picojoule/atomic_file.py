"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from picojoule.errors import SystemFailure


_UNFINISHED = ".tmp"


def replace_file(path: Path, content: str | bytes) -> None:
    """Writes ``content``, a text as UTF-8; what was there stays untouched until the new file is safe on disk.

    A link stays a link: what it points to is replaced. A device or a pipe is written to directly.

    Raises:
        SystemFailure: the disk is full, or the folder is missing or not ours to write in.
        BrokenPipeError: the reader of a pipe has gone.
    """
    raw = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                file.write(raw)
            return
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:60]}.", suffix=_UNFINISHED)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
        temporary = None
        _sync_folder(target.parent)
    except BrokenPipeError:
        raise
    except OSError as failure:
        raise cannot_write(failure, str(path)) from failure
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def is_unfinished(path: Path, target: str) -> bool:
    """Whether a file is what ``replace_file`` was writing for ``target``, a name, when its process was killed."""
    return path.name.startswith(f".{target[:60]}.") and path.name.endswith(_UNFINISHED)


def replaced(output: Path, others: Iterable[Path]) -> Path | None:
    """The first of ``others`` that writing ``output`` would replace; None if it replaces none of them.

    A file in a folder of ``others`` counts, and so does another spelling of a name, or a link. Devices and pipes hold
    nothing that could be replaced.
    """
    if output.exists() and not output.is_file():
        return None
    target = os.path.realpath(output)
    for other in others:
        if os.path.realpath(other) == target or (output.exists() and other.exists() and output.samefile(other)):
            return other
        if other.is_dir() and output.exists() and Path(target).is_relative_to(os.path.realpath(other)):
            return output
    return None


_ADVICE = {
    errno.ENOSPC: "Free some space, or write to another place; a file that was there is untouched.",
    errno.EDQUOT: "Your quota is used up; a file that was there is untouched.",
    errno.EACCES: "Choose a folder that you may write in.",
    errno.EPERM: "Choose a folder that you may write in.",
    errno.EROFS: "Choose a folder that you may write in.",
    errno.ENOENT: "Make the folder first.",
    errno.ENOTDIR: "Make the folder first.",
    errno.EISDIR: "Name a file, not a folder.",
}


def cannot_write(failure: OSError, where: str) -> SystemFailure:
    """What to tell the user when writing to ``where`` failed."""
    hint = _ADVICE.get(failure.errno or 0, "What was there before is untouched.")
    return SystemFailure(f"can't write: {failure.strerror or failure}", where=where, hint=hint)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    """Makes the new name itself durable, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
