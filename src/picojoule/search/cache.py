"""What earlier searches found, on disk: a small JSON file for each layer, under a hash of all that decides the answer.

An entry holds what was asked in brief, what was found, and a checksum over both. Nobody takes an entry at its word:
``search.recall`` works out again all that can be. Nothing here needs the search: a look into the cache is quick.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from picojoule.atomic_file import replace_file
from picojoule.errors import SystemFailure
from picojoule.hardware.accelerator import Accelerator
from picojoule.search import derived
from picojoule.search.policy import Exact
from picojoule.version import __version__
from picojoule.workload.nest import Bits, Nest

SCHEMA = "picojoule/search/1"
MAX_ENTRIES = 20_000
MAX_BYTES = 100 * 10**6

_DECIDING_ROOMS = ("cost", "hardware", "mapping", "search", "workload")
_WORDS = ("name", "description", "table_name", "table_source", "parameters", "resolved")
"""Fields of a machine that are there for people: the search doesn't look at them."""
_LIMITS = ("time_limit_s", "node_limit")
"""Fields of a policy that no stored answer depends on: a search that a limit cut short isn't stored."""

_ENTRY = re.compile(r"([0-9a-f]{64})\.json")
_LEFT_OVER = re.compile(r"\.[0-9a-f]{60}\.[^.]*\.tmp")
"""Names under which ``replace_file`` writes an entry before it is whole."""
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An entry as a list shows it.

    Attributes:
        key: the hash that it is found by.
        size_bytes, written_s: of its file; seconds since 1970.
        asked: the layer (``nest``, ``bits``), the ``machine`` by name, ``objective``, ``gap``, ``factors``,
            ``version`` and ``algorithm``; None if the file is damaged.
        found: status and figures; None if the file is damaged.
    """

    key: str
    size_bytes: int
    written_s: float
    asked: dict[str, Any] | None
    found: dict[str, Any] | None

    @property
    def usable(self) -> bool:
        """Whether this very picojoule could be served by it; what another version found is not asked for again."""
        return self.asked is not None and (self.asked["version"], self.asked["algorithm"]) == (__version__, algorithm())


def cache_folder() -> Path | None:
    """``$PICOJOULE_CACHE_DIR``, else ``picojoule`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``; None without a home.

    It need not exist.
    """
    own = os.environ.get("PICOJOULE_CACHE_DIR", "")
    if own:
        return Path(own).absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if shared and os.path.isabs(shared):  # XDG's specification has relative paths ignored
        return Path(shared, "picojoule")
    try:
        return Path.home() / ".cache" / "picojoule"
    except RuntimeError:
        return None


def trouble(folder: Path) -> str:
    """Why no answers can be kept in ``folder``; empty if they can."""
    if algorithm() is None:
        return "picojoule can't read its own sources, and so can't tell whether an answer is still valid"
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        return f"{nearest} is not ours to read and write in"
    return ""


@functools.cache
def algorithm() -> str | None:
    """``sources_hash`` of the picojoule that runs: a changed search must not serve the answers of the old one."""
    return sources_hash(Path(__file__).parents[1])


def sources_hash(package: Path) -> str | None:
    """SHA-256 over the sources under ``package`` that decide what a search finds; None if there are none to read."""
    digest = hashlib.sha256()
    try:
        sources = sorted(path for room in _DECIDING_ROOMS for path in (package / room).rglob("*.py"))
        for path in sources:
            text = path.read_bytes()
            digest.update(f"{path.relative_to(package).as_posix()} {len(text)}\n".encode() + text)
    except OSError:
        return None
    return digest.hexdigest() if sources else None


def key_of(nest: Nest, bits: Bits, machine: Accelerator, objective: str, policy: Exact) -> str:
    """SHA-256 over everything that decides the answer."""
    question = {
        "nest": asdict(nest),
        "bits": asdict(bits),
        "machine": {field: value for field, value in asdict(machine).items() if field not in _WORDS},
        "objective": objective,
        "policy": {field: value for field, value in asdict(policy).items() if field not in _LIMITS},
        "version": __version__,
        "algorithm": algorithm(),
    }
    return _hash(question)


def read_entry(folder: Path, key: str) -> dict[str, Any] | None:
    """What was found under ``key``; None if there is nothing, or nothing whole."""
    entry = _parsed(folder / f"{key}.json", key)
    return None if entry is None else entry["found"]


def write_entry(folder: Path, key: str, asked: dict[str, Any], found: dict[str, Any]) -> bool:
    """Keeps what was found, in place of what was there; says whether it could.

    Processes that write the same entry at once don't disturb each other: each replaces the file as a whole.
    """
    body = {"key": key, "asked": asked, "found": found}
    entry = {"schema": SCHEMA, **body, "checksum": _hash(body)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{key}.json", json.dumps(entry, ensure_ascii=False) + "\n")
    except (OSError, SystemFailure):
        return False
    return True


def entries(folder: Path) -> list[Kept]:
    """Every entry, newest first; none if the folder isn't there or can't be read."""
    kept = []
    for path, status in _files(folder, _ENTRY):
        entry = _parsed(path, path.stem) or {"asked": None, "found": None}
        about = {"size_bytes": status.st_size, "written_s": status.st_mtime}
        kept.append(Kept(key=path.stem, asked=entry["asked"], found=entry["found"], **about))
    return sorted(kept, key=lambda one: (-one.written_s, one.key))


def clear(folder: Path) -> tuple[int, int]:
    """Removes every entry, whole or damaged, and the answers of families; ``(answers, bytes)`` removed.

    Raises:
        SystemFailure: the system doesn't let us.
    """
    removed = size_bytes = 0
    for pattern in (_ENTRY, _LEFT_OVER):
        for path, status in _files(folder, pattern):
            try:
                path.unlink(missing_ok=True)
            except OSError as failure:
                hint = f"{removed} entries were removed before."
                raise SystemFailure(
                    f"can't remove: {failure.strerror or failure}", where=str(path), hint=hint
                ) from failure
            removed += pattern is _ENTRY
            size_bytes += status.st_size
    answers, more_bytes = derived.count(folder)
    try:
        derived.remove(folder)
    except OSError as failure:
        raise SystemFailure(f"can't remove: {failure.strerror or failure}", where=str(folder / derived.FILE)) from failure
    return removed + answers, size_bytes + more_bytes


def trim(folder: Path, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> int:
    """Removes the oldest entries until the rest is within both limits, and what killed processes left half-written.

    Says how many entries went.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for path, status in _files(folder, _LEFT_OVER):
            if time.time() - status.st_mtime > _DAY_S:
                path.unlink(missing_ok=True)
        oldest_first = sorted(_files(folder, _ENTRY), key=lambda file: (file[1].st_mtime_ns, file[0].name))
        count, size_bytes = len(oldest_first), sum(status.st_size for _, status in oldest_first)
        for path, status in oldest_first:
            if count <= max_entries and size_bytes <= max_bytes:
                break
            path.unlink(missing_ok=True)
            count, size_bytes, removed = count - 1, size_bytes - status.st_size, removed + 1
    return removed


def _files(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, os.stat_result]]:
    """The regular files of that name; one that another process removes meanwhile is passed over."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if pattern.fullmatch(name):
            with contextlib.suppress(OSError):
                status = os.lstat(folder / name)
                if stat.S_ISREG(status.st_mode):
                    yield folder / name, status


def _parsed(path: Path, key: str) -> dict[str, Any] | None:
    """The entry in a file; None unless it is whole, unchanged and in its place."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        body = {part: entry[part] for part in ("key", "asked", "found")}
        whole = entry["schema"] == SCHEMA and body["key"] == key and entry["checksum"] == _hash(body)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return body if whole else None


def _hash(data: dict[str, Any]) -> str:
    # A number may come as one of numpy's, which JSON doesn't know.
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), default=float)
    return hashlib.sha256(canonical.encode()).hexdigest()
