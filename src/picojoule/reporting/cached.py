"""What lies in the cache of searches, as a table and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, to_text, total_width, without_least, wrapped
from picojoule.reporting.figures import grouped, percent, printable, shortened, size
from picojoule.reporting.palette import ATTENTION
from picojoule.search.cache import Kept

_ALWAYS = 100

def cache_text(
    kept: Sequence[Kept], folder: Path, derived: tuple[int, int] = (0, 0), *, width: int, color: bool
) -> str:
    """A line for each machine, objective, gap and factors, then what it all comes to.

    Args:
        kept: every entry, newest first.
        folder: that they lie in.
        derived: answers that studies keep beside them, and their bytes.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    groups: dict[tuple[str, str, float, str], list[Kept]] = {}
    for one in kept:
        if one.asked is not None and one.usable:
            asked = (one.asked["machine"], one.asked["objective"], one.asked["gap"], one.asked["factors"])
            groups.setdefault(asked, []).append(one)
    for longest in (44, 30, 22):
        columns = without_least(_columns(groups, longest), width, _ALWAYS)
        if total_width(columns) <= width:
            break
    lines = [*rows(columns), Text()] if groups else []
    total = f"{_results(len(kept))}, {_total_size(kept)}" if kept else "empty"
    lines += wrapped("cache", [Text(total), Text(printable(str(folder)))], width)
    if derived[0]:
        lines += wrapped("studies", [Text(f"{_results(derived[0])}, {size(8 * derived[1])}")], width)
    damaged = sum(one.asked is None for one in kept)
    others = len(kept) - damaged - sum(map(len, groups.values()))
    never = "never used; `picojoule cache clear` removes everything"
    if others:
        lines += wrapped("other", [Text(f"{_results(others)} of another version or source: {never}")], width)
    if damaged:
        lines += wrapped("damaged", [Text(f"{_results(damaged)}: {never}", style=ATTENTION)], width)
    return to_text(lines, color=color)


def _columns(groups: Mapping[tuple[str, str, float, str], Sequence[Kept]], longest: int) -> list[Column]:
    return [
        column("machine", [(shortened(printable(name), longest), "bold") for name, *_ in groups], right=False, gap=1, worth=_ALWAYS),
        column("objective", [(objective, "") for _, objective, *_ in groups], right=False, worth=_ALWAYS),
        column("gap", [(percent(gap), "") for _, _, gap, _ in groups], worth=60),
        column("factors", [(factors, "") for *_, factors in groups], right=False, worth=50),
        column("layers", [(grouped(len(each)), "") for each in groups.values()], worth=_ALWAYS),
        column("size", [(_total_size(each), "") for each in groups.values()], worth=40),
        column("newest", [(_minute(each[0].written_s), "") for each in groups.values()], worth=30),
    ]


def cache_data(kept: Sequence[Kept], folder: Path, derived: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """Every entry as plain data: what was asked, and what was found but for the mapping; of studies, how many answers."""
    answers, more_bytes = derived
    return {
        "path": str(folder),
        "bytes": more_bytes + sum(one.size_bytes for one in kept),
        "entries": [_entry_data(one) for one in kept],
        "studies": {"answers": answers, "bytes": more_bytes},
    }


def _entry_data(one: Kept) -> dict[str, Any]:
    return {
        "key": one.key,
        "bytes": one.size_bytes,
        "written": datetime.fromtimestamp(one.written_s, UTC).isoformat(timespec="seconds"),
        "usable": one.usable,
        "asked": one.asked,
        "found": None if one.found is None else {key: value for key, value in one.found.items() if key != "mapping"},
    }


def _minute(written_s: float) -> str:
    return f"{datetime.fromtimestamp(written_s):%Y-%m-%d %H:%M}"


def _results(count: int) -> str:
    return f"{grouped(count)} result{'' if count == 1 else 's'}"


def _total_size(kept: Sequence[Kept]) -> str:
    return size(8 * sum(one.size_bytes for one in kept))
