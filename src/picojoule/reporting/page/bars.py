"""Horizontal bars, whole or of parts, with a name before and a figure behind each; and the legend of their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from picojoule.reporting.figures import shortened
from picojoule.reporting.page.markup import Markup, css, tag

_LONGEST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a bar: its size, its colour (of CSS), and what it says under the pointer."""

    size: float
    colour: str
    tip: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar.

    Attributes:
        name: before it.
        text: behind it.
        parts: from left to right.
        mark: a line across the bar, at this size; None for none.
        order: CSS order in other sortings, by their name.
        more: a second text, for when bars show shares.
    """

    name: str
    text: str
    parts: Sequence[Part]
    mark: float | None = None
    order: Mapping[str, int] = field(default_factory=dict)
    tip: str = ""


def bars(rows: Sequence[Bar], largest: float, *, class_: str = "") -> Markup:
    """Bars of which one of size ``largest`` fills the width."""
    return tag("div", [_row(row, largest) for row in rows], class_=f"bars {class_}".strip())


def _row(row: Bar, largest: float) -> Markup:
    whole = sum(part.size for part in row.parts)
    mark = None
    if row.mark is not None and largest > 0:
        mark = tag("i", class_="mark", style=css(x=100 * row.mark / largest))
    return tag(
        "div",
        tag("span", shortened(row.name, _LONGEST), class_="name", title=row.name),
        tag("span", stack(row.parts, whole, largest), mark, class_="track", data_tip=row.tip or None),
        tag("span", row.text, class_="value"),
        class_="row",
        style=css(**row.order) if row.order else None,
    )


def stack(parts: Sequence[Part], whole: float, largest: float, class_: str = "stack") -> Markup:
    """Parts side by side, together as long as ``whole`` is of ``largest``."""
    if whole <= 0 or largest <= 0:
        return tag("span", class_=class_, style=css(w=0))
    pieces = [
        tag("i", class_=part.kind or None, style=css(s=100 * part.size / whole, c=part.colour), data_tip=part.tip)
        for part in parts
        if part.size > 0
    ]
    return tag("span", pieces, class_=class_, style=css(w=100 * whole / largest))


def legend(entries: Sequence[tuple[str, str, str]]) -> Markup:
    """Colours and what they stand for.

    Args:
        entries: ``(name, colour, more)``; ``more`` is said in grey behind the name.
    """
    return tag(
        "ul",
        [
            tag("li", tag("i", class_="swatch", style=css(c=colour)), name, tag("span", more, class_="more") if more else None)
            for name, colour, more in entries
        ],
        class_="legend",
    )


def choices(name: str, label: str, options: Sequence[tuple[str, str]]) -> Markup:
    """Radio buttons that style what stands beside them (``:has(:checked)``), without any script; the first is chosen.

    Args:
        name: of the group, unique in the page.
        label: for those who don't see it.
        options: ``(value, text)``.
    """
    return tag(
        "fieldset",
        tag("legend", label, class_="hidden"),
        [
            tag(
                "label",
                tag("input", type="radio", name=name, value=value, checked=i == 0),
                tag("span", text),
            )
            for i, (value, text) in enumerate(options)
        ],
        class_="choices",
    )
