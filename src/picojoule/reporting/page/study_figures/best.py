"""The best point for every objective, as a card."""

from __future__ import annotations

from picojoule.reporting.page.bars import Part, stack
from picojoule.reporting.page.figure import Figure
from picojoule.reporting.page.markup import tag
from picojoule.reporting.studies import card, objective_text, said
from picojoule.study.reading import Summary

PLACE = 30
_COLOURS = ("#4878a8", "#e0913d", "#6aa84f", "#b5577a", "#8d79c0", "#5aa9a3", "#a58b57", "#888888")


def figure(found: Summary) -> Figure | None:
    if not found.best:
        return None
    shown = []
    for objective, record in found.best.items():
        levels = (record.figures or {}).get("levels") or {}
        parts = [
            Part(size=pj, colour=_COLOURS[n % len(_COLOURS)], tip=f"{name}: {100 * pj / (sum(levels.values()) or 1):.1f} % of the energy")
            for n, (name, pj) in enumerate(levels.items())
        ]
        tiles = [tag("div", tag("strong", value), tag("span", name)) for name, value in card(found, record)]
        design = " · ".join(f"{axis} = {said(value)}" for axis, value in record.point.items())
        shown += [
            tag("h3", f"Least {objective}" if objective != "accuracy" else "Most accuracy"),
            tag("p", design, class_="about"),
            tag("div", tiles, class_="tiles"),
            stack(parts, sum(levels.values()), sum(levels.values()), "whole") if parts else None,
        ]
    finding = [f"{name}: {objective_text(found, record, name)} at {record.key}." for name, record in found.best.items()]
    return Figure(name="best", title="The best designs", finding=finding, drawing=tag("div", shown), table=None)
