"""Columns that line up, and give way in order of their worth where the terminal is narrow."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        head: what stands above it.
        cells: one for each row.
        right: aligned right, as numbers are.
        worth: the column of least worth is the first to go.
        gap: blanks before it.
        style: of its head.
    """

    head: str
    cells: tuple[Text, ...]
    right: bool = True
    worth: int = 100
    gap: int = 2
    style: str = "dim"

    @property
    def width(self) -> int:
        """Of the widest cell or the head."""
        return max(cell_len(self.head), *(cell.cell_len for cell in self.cells), 0)


def total_width(columns: Sequence[Column]) -> int:
    """Characters in a row of these columns."""
    return sum(column.gap + column.width for column in columns)


def without_least(columns: Sequence[Column], width: int, floor: int) -> list[Column]:
    """The columns less those of least worth, until the rest fits in ``width``; a worth of ``floor`` or more stays."""
    kept = list(columns)
    while total_width(kept) > width:
        least = min(kept, key=lambda column: column.worth)
        if least.worth >= floor:
            break
        kept.remove(least)
    return kept


def rows(columns: Sequence[Column]) -> list[Text]:
    """The head and every row, as lines."""
    lines = [_line(columns, [Text(column.head, style=column.style) for column in columns])]
    lines += (_line(columns, cells) for cells in zip(*(column.cells for column in columns), strict=True))
    return lines


def _line(columns: Sequence[Column], cells: Iterable[Text]) -> Text:
    line = Text()
    for column, cell in zip(columns, cells, strict=True):
        blanks = " " * (column.width - cell.cell_len)
        line.append(" " * column.gap)
        line.append_text(Text(blanks) + cell if column.right else cell + Text(blanks))
    line.rstrip()
    return line


def spread(left: Text, right: Text, width: int) -> list[Text]:
    """Two texts on one line, at its two ends; on two lines where there is no room."""
    room = width - left.cell_len - right.cell_len
    if room < 3:
        console = Console(width=width, file=io.StringIO())
        return [line for text in (left, Text(" ") + right) for line in _rstripped(text.wrap(console, max(width, 20)))]
    return [Text.assemble(left, " " * room, right)]


def _rstripped(lines: Iterable[Text]) -> Iterable[Text]:
    for line in lines:
        line.rstrip()
        yield line


def wrapped(label: str, parts: Sequence[Text], width: int, *, indent: int = 12, joint: str = " · ") -> list[Text]:
    """A label and its parts, joined by dots, broken between parts and then between words where the line is full."""
    lines: list[Text] = []
    current = Text()
    for part in parts:
        if current.plain and current.cell_len + len(joint) + part.cell_len > width - indent:
            lines.append(current)
            current = Text()
        current = Text.assemble(current, joint, part) if current.plain else part.copy()
    lines.append(current)
    console = Console(width=max(width - indent, 20), file=io.StringIO())
    broken = itertools.chain.from_iterable(line.wrap(console, max(width - indent, 20)) for line in lines)
    heads = itertools.chain([Text(f" {label}".ljust(indent), style="dim")], itertools.repeat(Text(" " * indent)))
    return [Text.assemble(head, line) for head, line in zip(heads, _rstripped(broken), strict=False)]


def to_text(lines: Iterable[Text], *, color: bool) -> str:
    """The lines as a string, each ended by a newline; with escape sequences for colours if ``color``."""
    stream = io.StringIO()
    # In the 16 colours of old, levels would look alike; terminals have had 256 for twenty years.
    depth = "truecolor" if os.environ.get("COLORTERM", "") in ("truecolor", "24bit") else "256"
    console = Console(
        file=stream,
        force_terminal=color,
        no_color=not color,
        color_system=depth if color else None,
        highlight=False,
        legacy_windows=False,
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    return stream.getvalue()


def column(head: str, cells: Iterable[tuple[str, str]], *, style_of_head: str = "dim", **more: Any) -> Column:
    """A column of ``(text, style)`` cells; ``more`` as in ``Column``."""
    return Column(head=head, cells=tuple(Text(text, style=style) for text, style in cells), style=style_of_head, **more)
