"""Reading a bundle: nothing of it is believed before it was verified.

A bundle is a folder with ``manifest.json`` and the ONNX files that it lists. What runs is the very bytes that were
verified: a file that is exchanged later changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from picojoule.errors import BundleError, SystemFailure, UsageError
from picojoule.runtime.bundle_tensors import outside_tensor
from picojoule.runtime.manifest import MANIFEST, FileFacts, Manifest
from picojoule.runtime.manifest_file import manifest_of

LARGEST_MANIFEST_BYTES = 16 * 2**20
_AGAIN = "Copy the bundle anew from where it came, or export it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that was verified.

    Attributes:
        path: its folder.
        manifest: what it says about itself.
        models: the ONNX file of every stage, in order.
    """

    path: Path
    manifest: Manifest
    models: tuple[bytes, ...] = field(repr=False)


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The bundle in a folder, verified: sizes, SHA-256, that stages match, and that nothing lies outside.

    Args:
        path: of the folder.

    Raises:
        UsageError: there is no such folder.
        BundleError: it is no bundle, of another schema, tampered with, cut off, or points to places outside.
        SystemFailure: a file can't be read.

    Example:
        >>> read_bundle("no-such-folder")
        Traceback (most recent call last):
        ...
        picojoule.errors.UsageError: no-such-folder: there is no such folder
          A bundle is the folder that picojoule export --to bundle writes.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "this is a file" if folder.exists() else "there is no such folder"
        raise UsageError(
            what, where=str(folder), hint="A bundle is the folder that picojoule export --to bundle writes."
        )
    manifest = manifest_of(_read(folder, MANIFEST, None), where=str(folder / MANIFEST))
    contents = {name: _read(folder, name, facts) for name, facts in manifest.files.items()}
    for name, content in contents.items():
        outside = outside_tensor(content, where=str(folder / name))
        if outside is not None:
            raise BundleError(
                f"its tensor {outside!r} lies in another file; a bundle's files hold all of their tensors",
                where=str(folder / name),
            )
    return Bundle(path=folder, manifest=manifest, models=tuple(contents[stage.file] for stage in manifest.stages))


def check_name(name: str, *, where: str) -> None:
    """Refuses the name of a file that may lie outside of a bundle's folder, on whatever system.

    Raises:
        BundleError: it is absolute, climbs, or is no plain name of a file.
    """
    ways = (PurePosixPath(name), PureWindowsPath(name))
    escapes = any(way.is_absolute() or way.drive or way.root or ".." in way.parts for way in ways)
    if escapes or "\0" in name or not name or name.strip(". ") == "":
        raise BundleError(
            f"the file name {name!r} leads out of the bundle", where=where, hint="Names are plain: stage0.onnx."
        )
    if len(ways[1].parts) != 1 or ":" in name or name == MANIFEST:
        raise BundleError(f"the file name {name!r} is not plain", where=where, hint="Names are plain: stage0.onnx.")


def _read(folder: Path, name: str, facts: FileFacts | None) -> bytes:
    """The bytes of a file of the bundle, if they are those that ``facts`` state."""
    if facts is not None:
        check_name(name, where=f"{folder / MANIFEST}: files")
    path = folder / name
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise BundleError("this is a link; a bundle holds its files itself", where=str(path), hint=_AGAIN)
        if not stat.S_ISREG(found.st_mode):
            raise BundleError("this is no plain file", where=str(path), hint=_AGAIN)
        if facts is None and found.st_size > LARGEST_MANIFEST_BYTES:
            raise BundleError(f"{found.st_size} bytes are no manifest", where=str(path))
        if facts is not None and found.st_size != facts.size_bytes:
            how = "cut off" if found.st_size < facts.size_bytes else "too long"
            raise BundleError(
                f"the file is {how}: {found.st_size} bytes, not {facts.size_bytes}", where=str(path), hint=_AGAIN
            )
        # What is a link only now is not followed.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        if facts is None:
            raise BundleError(f"this folder is no bundle: it has no {MANIFEST}", where=str(folder)) from None
        raise BundleError("the file is missing", where=str(path), hint=_AGAIN) from None
    except OSError as problem:
        raise SystemFailure(f"can't be read: {problem.strerror or problem}", where=str(path)) from problem
    if facts is not None:
        digest = hashlib.sha256(content).hexdigest()
        if digest != facts.sha256:
            raise BundleError(
                f"the file was changed: its SHA-256 is {digest[:16]}…, not {facts.sha256[:16]}…",
                where=str(path),
                hint=_AGAIN,
            )
    return content
