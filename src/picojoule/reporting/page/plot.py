"""Points and lines over two logarithmic axes, as HTML: text keeps its size however narrow the page is.

Made by hand, not by Vega: a page of figures like these takes 1 s less to write and 0.9 MB less to carry, needs no
script to be seen or printed, and takes its colours from the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.reporting.figures import shortened
from picojoule.reporting.page.markup import Markup, css, tag
from picojoule.units import scaled

_LABELS = 7
_TICKS = 6
_HEADS = ((1, 1.2, 1.4, 1.6, 2, 2.5, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 4, 6), (1, 2, 5), (1, 3), (1,))
_WIDE, _HIGH = 660.0, 330.0
"""What labels are kept apart for; where the plot is narrower they are hidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point.

    Attributes:
        x, y: above 0.
        name: said beside it where there is room.
        tip: under the pointer.
        colour: of CSS.
        weight: 0 … 1: its area.
        stem: another y; a thin line leads there.
    """

    x: float
    y: float
    name: str
    tip: str
    colour: str
    weight: float = 0.3
    stem: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points.

    Attributes:
        points: from left to right.
        name: said above it, its end at this share of the points that are seen.
        at: that share.
        kind: a class of CSS; ``roof`` widens the axis that goes up, others are cut.
    """

    points: Sequence[tuple[float, float]]
    name: str = ""
    at: float = 1.0
    kind: str = "roof"


@dataclass(frozen=True, slots=True)
class _Axis:
    """From ``low`` to ``high``, logarithmic unless the range is narrow and ``free``."""

    low: float
    high: float
    log: bool = True

    @classmethod
    def around(cls, values: Sequence[float], *, log: bool) -> _Axis:
        low, high = min(values), max(values)
        if log:
            room = max(1.15, (high / low) ** 0.06)
            return cls(low / room, high * room)
        room = 0.08 * (high - low) or 0.1 * high
        return cls(max(0.0, low - room), high + room, False)

    def at(self, value: float) -> float:
        """Per cent of the length."""
        if not self.log:
            return 100 * (value - self.low) / (self.high - self.low)
        value = max(value, self.low * 1e-3)
        return 100 * math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> list[float]:
        """Round values, few."""
        if not self.log:
            step = 10 ** math.floor(math.log10((self.high - self.low) / 2))
            step = next(step * m for m in (1, 2, 5, 10) if (self.high - self.low) / (step * m) <= 6)
            first = math.ceil(self.low / step)
            return [i * step for i in range(first, math.floor(self.high / step) + 1)]
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for heads in _HEADS:
            found = [h * 10.0**e for e in range(first, last + 1) for h in heads if self.low <= h * 10.0**e <= self.high]
            if len(found) <= _TICKS:
                return found
        return found[:: -(-len(found) // _TICKS)]


def plot(
    points: Sequence[Point],
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    log: bool = True,
    joined: bool = False,
    label: str = "",
    also: float | None = None,
) -> Markup:
    """Points over two axes; the arrow keys walk from one to the next.

    Args:
        points: to draw, in the order in which the keys walk.
        lines: behind them; they are cut at the edges and don't widen the axes.
        x, y: names of the axes.
        log: logarithmic, both.
        joined: a line leads through all points.
        label: for those who don't see it.
        also: an x that must be seen, too.
    """
    across = _Axis.around([p.x for p in points] + ([] if also is None else [also]), log=log)
    heights = [p.y for p in points] + [p.stem for p in points if p.stem is not None]
    heights += [y for line in lines if line.kind == "roof" for x, y in line.points if across.low <= x <= across.high]
    up = _Axis.around(heights, log=log)
    if joined:
        lines = [*lines, Line(points=[(p.x, p.y) for p in points], kind="path")]
    return tag(
        "div",
        tag(
            "div",
            [tag("span", _text(t), class_="xt", style=css(x=across.at(t))) for t in across.ticks()],
            [tag("span", _text(t), class_="yt", style=css(y=up.at(t))) for t in up.ticks()],
            _lines(lines, points, across, up),
            [_end(line, across, up) for line in lines if line.name],
            [_dot(point, across, up) for point in points],
            _labels(points, across, up),
            class_="area",
            tabindex="0",
            role="img",
            aria_label=label or f"{y} over {x}",
        ),
        tag("span", x, class_="xn"),
        tag("span", y, class_="yn"),
        class_="plot",
    )


def _text(value: float) -> str:
    number, prefix = scaled(value, 3)
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number}{prefix}"


def _lines(lines: Sequence[Line], points: Sequence[Point], across: _Axis, up: _Axis) -> Markup:
    drawn = []
    for line in lines:
        path = " ".join(f"{across.at(x):.2f},{100 - up.at(y):.2f}" for x, y in _dense(line, across))
        drawn.append(tag("polyline", class_=line.kind, points=path))
    for point in points:
        if point.stem is not None:
            at = f"{across.at(point.x):.2f}"
            drawn.append(tag("line", class_="stem", x1=at, x2=at, y1=f"{100 - up.at(point.y):.2f}", y2=f"{100 - up.at(point.stem):.2f}"))
    return tag("svg", drawn, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")


def _dense(line: Line, across: _Axis) -> list[tuple[float, float]]:
    return [(x, y) for x, y in line.points if y > 0 and (x > 0 or not across.log)]


def _end(line: Line, across: _Axis, up: _Axis) -> Markup:
    inside = [(x, y) for x, y in line.points if across.low <= x <= across.high and up.low <= y <= up.high]
    if not inside:
        return Markup()
    x, y = inside[round(line.at * (len(inside) - 1))]
    if line.at < 1:
        return tag("span", line.name, class_="end start", style=css(x=across.at(x), y=up.at(y)))
    return tag("span", line.name, class_="end", style=css(x=across.at(x), y=up.at(y)))


def _dot(point: Point, across: _Axis, up: _Axis) -> Markup:
    size = 7 + 13 * math.sqrt(max(0.0, min(1.0, point.weight)))
    return tag("b", class_="dot", data_tip=point.tip, style=css(x=across.at(point.x), y=up.at(point.y), d=size, c=point.colour))


def _labels(points: Sequence[Point], across: _Axis, up: _Axis) -> list[Markup]:
    """Names of the heaviest points, as far as none lies upon another or on a dot."""
    taken: list[tuple[float, float, float, float]] = []
    for point in points:
        x, y = across.at(point.x) / 100 * _WIDE, up.at(point.y) / 100 * _HIGH
        half = 4 + 6 * math.sqrt(point.weight)
        taken.append((x - half, y - half, x + half, y + half))
    said: list[Markup] = []
    names: set[str] = set()
    for point in sorted(points, key=lambda p: -p.weight):
        name = shortened(point.name, 22)
        if not name or name in names or len(said) >= _LABELS:
            continue
        x, y = across.at(point.x) / 100 * _WIDE, up.at(point.y) / 100 * _HIGH
        wide, off = 7.6 * len(name), 9 + 7 * math.sqrt(point.weight)
        for left, flip in ((x + off, False), (x - off - wide, True)):
            box = (left, y - 7, left + wide, y + 7)
            free = all(box[2] < t[0] or t[2] < box[0] or box[3] < t[1] or t[3] < box[1] for t in taken)
            if free and 0 <= left and left + wide <= _WIDE:
                taken.append(box)
                names.add(name)
                style = css(x=across.at(point.x), y=up.at(point.y), o=f"{off:.0f}px")
                said.append(tag("span", name, class_="label left" if flip else "label", style=style))
                break
    return said
