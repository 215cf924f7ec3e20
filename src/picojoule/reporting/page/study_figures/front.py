"""The points that no other beats, over the first two objectives."""

from __future__ import annotations

from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup
from picojoule.reporting.page.plot import Point, plot
from picojoule.reporting.studies import card, objective_text, said
from picojoule.study.fronts import nondominated, signed
from picojoule.study.reading import Summary

PLACE = 10


def figure(found: Summary) -> Figure | None:
    if not found.front:
        return None
    first, second = found.objectives[0], found.objectives[1] if len(found.objectives) > 1 else None
    head = ("point", *found.axes, *found.objectives)
    table = [
        [
            cell(record.key),
            *(cell(said(record.point.get(axis)), _number(record.point.get(axis))) for axis in found.axes),
            *(cell(objective_text(found, record, name), found.value(record, name)) for name in found.objectives),
        ]
        for record in found.front
    ]
    drawing = Markup()
    if second is not None:
        pair = (first, second)
        values = [(signed([found.value(r, name) for name in pair], pair), r) for r in found.front]
        inner = {id(record) for _, record in nondominated(values)}
        dots = [
            Point(
                x=found.value(record, second), y=found.value(record, first), name="", weight=0.3 if id(record) in inner else 0.06,
                colour="var(--accent)" if id(record) in inner else "var(--muted)",
                tip=f"{record.key}: " + ", ".join(f"{name} {value}" for name, value in card(found, record)),
            )
            for _, record in values
            if found.value(record, second) > 0 and found.value(record, first) > 0
        ]  # fmt: skip
        drawing = plot(dots, [], x=_axis(found, second), y=_axis(found, first)) if dots else drawing
    return Figure(
        name="front", title="What no other design beats", finding=_finding(found), drawing=drawing,
        table=Table(head=head, rows=table, words=frozenset({0})),
        note="Large points are beaten by none in these two objectives alone, small ones only for the sake of others."
        if second is not None and len(found.objectives) > 2 else "",
    )  # fmt: skip


def _finding(found: Summary) -> list[str]:
    count = len(found.front)
    sentences = [f"{count} of {found.points:,} designs {'is' if count == 1 else 'are'} beaten by no other.".replace(",", " ")]
    for name in found.objectives:
        values = [found.value(record, name) for record in found.front]
        low, high = min(values), max(values)
        if low > 0 and high > low:
            sentences.append(f"Along the front {name} differs by {high / low:.2f}×.")
    if found.infeasible:
        sentences.append(f"{found.infeasible} designs miss a constraint ({'; '.join(found.constraints)}).")
    return sentences


def _axis(found: Summary, name: str) -> str:
    units = {"energy": found.unit, "latency": "s", "area": "mm²", "edp": "energy × time", "accuracy": "share"}
    return f"{name}, {units[name]}" if name in units else name


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
