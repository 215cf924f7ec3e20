"""What a figure of the page is: a sentence that states the finding, a drawing, and the table of all that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.reporting.page.markup import Markup, tag

_SHORT = 9
"""Tables with no more rows stand open under their figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: what it says, and the number that it is sorted by (None: by its text)."""

    text: str
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The figures of a drawing.

    Attributes:
        head: of the columns; the first names the row.
        rows: of as many cells each.
        words: columns that hold text, not numbers, by their place; the first always does.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A section of the page.

    Attributes:
        name: in links and addresses, unique.
        title: a few words.
        finding: sentences that say what the drawing shows, from the data.
        drawing: HTML.
        table: of all that is drawn, and of what the drawing leaves out.
        note: what the reader must know to read it; may be HTML.
    """

    name: str
    title: str
    finding: Sequence[str]
    drawing: Markup
    table: Table | None
    note: str = ""


def cell(text: str, value: float | None = None) -> Cell:
    """Shorter than its name in full, since tables have many."""
    return Cell(text=text, value=value)


def section(figure: Figure) -> Markup:
    """The figure with its heading above and its table below."""
    return tag(
        "section",
        tag("h2", tag("a", figure.title, href=f"#{figure.name}")),
        tag("p", " ".join(figure.finding), class_="finding"),
        tag("div", figure.drawing, class_="drawing"),
        tag("p", figure.note, class_="note") if figure.note else None,
        _table(figure) if figure.table is not None else None,
        id=figure.name,
        class_="figure",
    )


def _table(figure: Figure) -> Markup:
    table = figure.table
    assert table is not None
    count = len(table.rows)
    head = tag(
        "tr",
        [
            tag("th", tag("button", name, type="button", class_="sort"), scope="col", class_=_kind(table, i))
            for i, name in enumerate(table.head)
        ],
    )
    body = [tag("tr", [_cell(table, i, one) for i, one in enumerate(row)]) for row in table.rows]
    filtered = None
    if count > _SHORT:
        label = f"Filter the table of {figure.title.lower()}"
        filtered = tag("input", type="search", class_="filter", placeholder="filter rows", aria_label=label)
    return tag(
        "details",
        tag("summary", "Table", tag("span", f"{count} row{'' if count == 1 else 's'}", class_="count")),
        filtered,
        tag(
            "div",
            tag("table", tag("caption", f"{figure.title}: all figures", class_="hidden"), tag("thead", head), tag("tbody", body)),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label=f"Table of {figure.title.lower()}",
        ),
        class_="data",
        open=count <= _SHORT,
    )


def _kind(table: Table, i: int) -> str | None:
    return None if i == 0 or i in table.words else "n"


def _cell(table: Table, i: int, one: Cell) -> Markup:
    name, given = ("th", {"scope": "row"}) if i == 0 else ("td", {})
    return tag(name, one.text, class_=_kind(table, i), data_v=None if one.value is None else repr(float(one.value)), **given)
