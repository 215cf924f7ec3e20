"""Tables whose rows are lines: cells with their line and column, and whole numbers out of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from picojoule.errors import LayerTableError
from picojoule.workload.table_limits import SIZE_LIMIT, TEXT_LIMIT, too_large


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one line of a file, blanks around them cut off."""

    path: Path
    line: int
    cells: tuple[str, ...]

    def whole(self, column: int, name: str, *, least: int, most: int = SIZE_LIMIT) -> int:
        """The whole number in ``column`` (from 0), which messages call ``name``."""
        text = self.cells[column]
        expected = f"must be a whole number from {least} to {most}"
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            hint = "Write plain decimal digits." if text[:1].isdigit() else ""
            self.fail(name, column, f"{expected}, got {_shown(text)}", hint)
        if not least <= int(text) <= most:
            self.fail(name, column, f"{expected}, got {_shown(text)}")
        return int(text)

    def wholes(self, names: Sequence[str], first: int, *, least: int) -> list[int]:
        """Whole numbers side by side, the leftmost in column ``first``."""
        return [self.whole(first + i, name, least=least) for i, name in enumerate(names)]

    def text(self, column: int, name: str) -> str:
        """Text that a layer may be called by."""
        text = self.cells[column]
        if not text or len(text) > TEXT_LIMIT or not text.isprintable():
            self.fail(name, column, f"must be 1 to {TEXT_LIMIT} printable characters, got {_shown(text)}")
        return text

    def check_size(self, sizes: dict[str, int]) -> None:
        """Refuses a nest that is too large to work with."""
        complaint = too_large(sizes)
        if complaint:
            raise LayerTableError(complaint[0], where=f"{self.path}:{self.line}", hint=complaint[1])

    def fail(self, name: str, column: int | None, message: str, hint: str = "") -> NoReturn:
        place = f"{name} (column {column + 1})" if column is not None else name
        raise LayerTableError(message, where=f"{self.path}:{self.line}: {place}", hint=hint)


def rows(text: str, path: Path, *, split: str | None = ",") -> Iterator[Row]:
    """The lines that aren't empty; ``split`` as in ``str.split``."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield Row(path, number, tuple(cell.strip() for cell in line.split(split)))


def unique(names: dict[str, int], name: str, row: Row) -> str:
    """``name``, if no earlier row bears it; ``names`` holds their lines."""
    if name in names:
        row.fail(
            "name",
            0,
            f"the name {name!r} was given to an earlier layer, on line {names[name]}",
            "Names must be unique.",
        )
    names[name] = row.line
    return name


def _shown(text: str) -> str:
    if not text:
        return "nothing"
    return repr(text if len(text) <= 40 else f"{text[:37]}…")
