"""Writing the folder of a bundle whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from picojoule.atomic_file import cannot_write
from picojoule.errors import OutputExistsError, UsageError
from picojoule.runtime.manifest import MANIFEST


def check_folder(path: Path, *, force: bool, option: str = "-o") -> None:
    """Refuses, before any work is done, a place where no bundle can be or one must not be replaced.

    Raises:
        OutputExistsError: a bundle is there and ``force`` was not given.
        UsageError: something else is there, or the folder to write in is missing.
    """
    where = f"{option} {path}"
    parent = Path(os.path.abspath(path)).parent
    if not parent.is_dir():
        raise UsageError(f"there is no folder {parent}", where=where, hint="Make the folder first.")
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise UsageError("this is a file or a link; a bundle is a folder", where=where, hint="Name another folder.")
    if not (path / MANIFEST).is_file():
        raise UsageError(
            "this folder is no bundle, and is left alone", where=where, hint="Name a folder that doesn't exist yet."
        )
    if not force:
        raise OutputExistsError(f"{path} exists", where=option, hint="--force replaces the bundle.")


def write_folder(path: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Writes ``files`` into a folder that appears at ``path`` when all of them are safe on disk.

    A process that is killed leaves nothing at ``path``, or the whole of it; beside it a folder ``.NAME.….tmp`` may
    stay, which can be deleted. A bundle that is replaced is moved aside first and deleted last.

    Raises:
        OutputExistsError, UsageError: see ``check_folder``.
        SystemFailure: the disk is full, or the folder is not ours to write in.
    """
    check_folder(path, force=force)
    target = Path(os.path.abspath(path))
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:60]}.", suffix=".tmp"))
        whole = temporary / "new"
        whole.mkdir()
        for name, content in files.items():
            with (whole / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(whole)
        if target.exists():
            os.rename(target, temporary / "old")
            try:
                os.rename(whole, target)
            except OSError:
                os.rename(temporary / "old", target)
                raise
        else:
            os.rename(whole, target)
        _sync(target.parent)
    except OSError as failure:
        raise cannot_write(failure, str(path)) from failure
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
