"""The page of an adaptation: the verdict, and the way from the network that came to the one that goes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picojoule.compress.result import Compression
from picojoule.errors import ResultFileError
from picojoule.reporting.figures import percent, printable
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.plot import Line, Point, plot
from picojoule.reporting.trajectories import amount
from picojoule.units import significant

_NEEDED = ("model", "hardware", "method", "budgets", "steps", "met", "accuracy_before", "accuracy_after", "before", "after")


def adaptation_of(result: object) -> dict[str, Any] | None:
    """The result of ``adapt`` as it stands in its file; None for those of ``prune`` and ``quantize``.

    Args:
        result: a ``Compression``, or the path of its file, which is known to be one.
    """
    document = result.to_data() if isinstance(result, Compression) else json.loads(Path(str(result)).read_text(encoding="utf-8"))
    where = "" if isinstance(result, Compression) else str(result)
    return {**document, "where": where} if str(document.get("method", "")).startswith("adapt ") else None


def adapted(document: Mapping[str, Any]) -> tuple[str, Markup, list[Figure]]:
    """Title, top and figures of the page.

    Raises:
        ResultFileError: the file isn't whole, or holds no steps of ``adapt``.
    """
    where = document["where"]
    missing = [key for key in _NEEDED if key not in document]
    if missing or not document["budgets"]:
        raise ResultFileError(
            f"no page can be made of this: {'it lacks ' + ', '.join(missing) if missing else 'it has no steps of adapt'}",
            where=where,
            hint="A page is made of results of `picojoule estimate` and `picojoule adapt`.",
        )
    try:
        figures = [one for one in (_trajectory(document, place) for place in range(len(document["budgets"]))) if one is not None]
        return f"{printable(document['model'])} adapted to {document['budget']}", _top(document), [*figures, _costs(document)]
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        raise ResultFileError(f"a step or budget is not as `picojoule adapt` writes it: {problem!r}", where=where) from None


def _top(document: Mapping[str, Any]) -> Markup:
    change = 100 * (document["accuracy_after"] - document["accuracy_before"])
    met = "meets" if document["met"] else "misses"
    said = [
        f"In {len(document['steps'])} steps the network comes from {amount(b['start'], b['unit'])} to {amount(b['used'], b['unit'])}"
        f" ({b['kind']}), {percent(b['used'] / b['start'])} of what it took; at most {amount(b['limit'], b['unit'])} were asked for. "
        for b in document["budgets"]
    ]
    return tag(
        "header",
        tag("h1", tag("span", printable(document["model"])), tag("small", " on "), tag("span", printable(document["hardware"]))),
        tag("p", f"{document['method']} · budget {document['budget']}", class_="about"),
        tag(
            "p",
            f"It {met} the budget. ",
            said,
            f"Accuracy goes from {document['accuracy_before']:.2%} to {document['accuracy_after']:.2%} ({change:+.2f} points).",
            class_="verdict",
        ),
        [tag("p", remark, class_="warning") for remark in document.get("remarks", [])],
        id="top",
    )


def _trajectory(document: Mapping[str, Any], place: int) -> Figure | None:
    budget, steps = document["budgets"][place], document["steps"]
    shown = [step for step in steps if "accuracy" in step]
    if not shown:
        return None
    scale, unit = _scale(budget)
    points = [
        Point(
            x=step["costs"][place] * scale,
            y=100 * step["accuracy"],
            name=str(number),
            tip=f"step {number}: {printable(step['root'])} {step['before']} → {step['channels']},"
            f" {amount(step['costs'][place], budget['unit'])}, {step['accuracy']:.2%}",
            colour="var(--accent)",
            weight=0.1,
        )
        for number, step in enumerate(shown, 1)
    ]
    low, high = min(p.y for p in points), max(p.y for p in points)
    limit = budget["limit"] * scale
    widest = max(shown, key=lambda step: step["before"] - step["channels"])
    table = [
        [
            cell(str(number), number),
            cell(printable(step["root"])),
            cell(f"{step['before']} → {step['channels']}", step["before"] - step["channels"]),
            cell(amount(step["costs"][place], budget["unit"]), step["costs"][place]),
            cell(f"{step['accuracy']:.2%}", step["accuracy"]),
            cell(str(len(step["proposals"])), len(step["proposals"])),
        ]
        for number, step in enumerate(shown, 1)
    ]
    return Figure(
        name="trajectory" if place == 0 else f"trajectory-{place + 1}",
        title=f"Accuracy against {budget['kind']}, step by step",
        finding=[
            f"{len(shown)} steps; the one that took most filters at once took {widest['before'] - widest['channels']}"
            f" of {printable(widest['root'])}.",
        ],
        drawing=plot(
            points,
            [Line(points=((limit, low), (limit, high if high > low else low * 1.01)), name="budget")],
            x=f"{budget['kind']}, {unit}",
            y="% right after the short tuning",
            log=False,
            joined=True,
        ),
        table=Table(
            head=("step", "layer", "filters", budget["kind"], "right", "proposals"), rows=table, words=frozenset({1})
        ),
        note="Accuracy is that of each step's best proposal on the choosing images, before the last tuning.",
    )


def _scale(budget: Mapping[str, Any]) -> tuple[float, str]:
    if budget["unit"] == "s":
        return 1e3, "ms"
    if budget["unit"] == "MACs":
        return 1e-6, "M"
    if budget["unit"] == "pJ":
        return 1e-6, "µJ"
    return 1.0, str(budget["unit"])


def _costs(document: Mapping[str, Any]) -> Figure:
    """What each group of layers lost in all."""
    left: dict[str, list[int]] = {}
    for step in document["steps"]:
        left.setdefault(step["root"], [step["before"], step["channels"]])[1] = step["channels"]
    rows: list[Sequence[Any]] = [
        [cell(printable(root)), cell(str(was), was), cell(str(now), now), cell(percent(now / was), now / was)]
        for root, (was, now) in left.items()
    ]
    narrowest = min(left, key=lambda root: left[root][1] / left[root][0], default=None)
    finding = (
        [f"{printable(narrowest)} keeps least: {percent(left[narrowest][1] / left[narrowest][0])} of its filters."]
        if narrowest is not None
        else ["No layer lost a filter."]
    )
    before, after = document["before"], document["after"]
    macs = f"MACs: {significant(before['macs'] / 1e6)} M before, {significant(after['macs'] / 1e6)} M after."
    return Figure(
        name="filters",
        title="Filters that are left",
        finding=[*finding, macs],
        drawing=tag("p", f"{len(left)} groups of layers lost filters."),
        table=Table(head=("layer", "before", "after", "left"), rows=rows),
        note="Layers that must change together (sums, depthwise filters) stand under the first of them.",
    )
