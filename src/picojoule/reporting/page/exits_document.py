"""The page about a decision when to leave a network with exits: front, histogram, energies and accuracies by exit, slider."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picojoule.errors import ResultFileError, SystemFailure
from picojoule.reporting.exit_policies import DECISION_SCHEMA
from picojoule.reporting.figures import energy as energy_text
from picojoule.reporting.figures import percent
from picojoule.reporting.page.figure import Cell, Figure, Table, cell
from picojoule.reporting.page.markup import Markup, css, tag
from picojoule.reporting.page.plot import Line, Point, plot

ADDED = "picojoule/added-exits/"
_LONGEST = 64 * 2**20
Data = Mapping[str, Any]


def decision_in(path: Path) -> dict[str, Any] | None:
    """The decision in a file that ``picojoule exits decide --format json`` or ``exits add`` wrote; None if it holds something else.

    Raises:
        ResultFileError: a decision of another version, or one without the curve that a report draws.
        SystemFailure: the file can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _LONGEST else ""
        document = json.loads(text)
    except OSError as problem:
        raise SystemFailure(f"can't be read: {problem.strerror or problem}", where=str(path)) from problem
    except (ValueError, RecursionError):
        return None
    schema = document.get("schema") if isinstance(document, dict) else None
    again = "Write it anew with picojoule exits decide --format json -o FILE."
    if isinstance(schema, str) and schema.startswith(ADDED):
        document, again = document.get("decision"), "Write it anew with picojoule exits add in the same folder."
        if not isinstance(document, dict):
            raise ResultFileError("it holds no decision that a report could draw", where=str(path), hint=again)
        schema = document.get("schema", "")
    if not isinstance(schema, str) or not schema.startswith(f"{DECISION_SCHEMA.rpartition('/')[0]}/"):
        return None
    if schema != DECISION_SCHEMA:
        raise ResultFileError(f"its schema is {schema!r}, not {DECISION_SCHEMA!r}", where=str(path), hint=again)
    try:
        figures_of(document)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as problem:
        raise ResultFileError(
            f"the curve that a report draws is missing or damaged ({type(problem).__name__}: {problem})",
            where=str(path),
            hint=again,
        ) from None
    return dict(document)


def title_of(data: Data) -> str:
    """Of the page."""
    return f"When to leave: {len(data['curve']['energies'])} exits, rule {data['rule']}{' combined' if data['combined'] else ''}"


def top_of(data: Data) -> Markup:
    """The verdict."""
    curve, point = data["curve"], data["curve"]["points"][data["curve"]["chosen"]]
    most = _most(curve)
    guarantee = data["guarantee"]
    sure = (
        f"Guaranteed with confidence {1 - guarantee['delta']:g}."
        if guarantee is not None
        else "Nothing is guaranteed: there were no calibration images."
    )
    return tag(
        "header",
        tag("h1", title_of(data)),
        tag(
            "p",
            "It answers ",
            tag("strong", percent(point["accuracy"])),
            f" of {curve['images']} images ({curve['of']}) right for ",
            tag("strong", percent(point["energy"] / most)),
            f" of the energy of asking all exits, for a target of {data['target_accuracy']:g}. {sure}",
            class_="verdict",
        ),
        id="top",
    )


def figures_of(data: Data) -> list[Figure]:
    """All figures of the page."""
    return [_front(data), _point(data)]


def _most(curve: Data) -> float:
    return max(energy for energy in curve["energies"] if energy is not None)


def _front(data: Data) -> Figure:
    curve, unit, most = data["curve"], data["unit"] or "", _most(data["curve"])
    rule: list[tuple[float, float]] = []
    for x, y in sorted((point["energy"] / most, point["accuracy"]) for point in curve["rule"]):
        if not rule or y > rule[-1][1]:
            rule.append((x, y))
    points = [
        Point(
            x=100 * point["energy"] / most,
            y=100 * point["accuracy"],
            name="chosen" if k == curve["chosen"] else "",
            tip=f"point {k + 1} · {point['accuracy']:.2%} right · {_energy(point['energy'], unit)}",
            colour="var(--good)" if k == curve["chosen"] else "var(--accent)",
            weight=0.5 if k == curve["chosen"] else 0.1,
        )
        for k, point in enumerate(curve["points"])
    ]
    line = Line(points=[(100 * x, 100 * y) for x, y in rule], name="rule of eq. (10)", at=0.7, kind="roof")
    rows = [
        [cell(f"point {k + 1}"), cell(f"{p['accuracy']:.4f}", p["accuracy"]), cell(_energy(p["energy"], unit), p["energy"]), cell(percent(p["energy"] / most), p["energy"] / most)]
        for k, p in enumerate(curve["points"])
    ]
    rows += [
        [cell(f"rule (10), Ã {p['desired']:.2f}"), cell(f"{p['accuracy']:.4f}", p["accuracy"]), cell(_energy(p["energy"], unit), p["energy"]), cell(percent(p["energy"] / most), p["energy"] / most)]
        for p in curve["rule"]
    ]
    return Figure(
        name="front",
        title="Accuracy against energy",
        finding=[_against_rule(curve, most)],
        drawing=plot(points, [line], x="% of the energy of all exits", y="% right", log=False, joined=True, label="Accuracy over energy, and the rule of eq. (10)"),
        table=Table(head=["setting", "accuracy", "energy", "of all exits"], rows=rows),
        note=f"Measured on {curve['images']} images ({curve['of']}). The line is the rule of eq. (10) with one desired accuracy for all exits (β₁, β₂ as in the document, the better of both), on the same images.",
    )


def _against_rule(curve: Data, most: float) -> str:
    chosen = curve["points"][curve["chosen"]]
    enough = [point["energy"] for point in curve["rule"] if point["accuracy"] >= chosen["accuracy"]]
    if not enough:
        return "No setting of the rule of eq. (10) is as accurate as the point chosen."
    less = (min(enough) - chosen["energy"]) / most
    if abs(less) < 0.0005:
        return "At the accuracy of the point chosen the rule of eq. (10) takes as much."
    return f"At the accuracy of the point chosen it takes {percent(abs(less))} of the energy of all exits {'less' if less > 0 else 'more'} than the rule of eq. (10)."


def _point(data: Data) -> Figure:
    curve, unit = data["curve"], data["unit"] or ""
    chosen, exits = curve["points"][curve["chosen"]], range(len(curve["energies"]))
    known = [e for e in exits if curve["energies"][e] is not None]
    plain = [_shown(point, curve, unit, known) for point in curve["points"]]
    start = plain[curve["chosen"]]
    slider = tag(
        "label",
        "cheapest ",
        tag("input", type="range", class_="points", min=0, max=len(plain) - 1, value=curve["chosen"], aria_label="Operating point, from the cheapest to the most accurate"),
        " most accurate",
        class_="slider",
    )
    parts = [
        tag("div", slider, class_="controls"),
        tag("p", start["said"], class_="said", aria_live="polite"),
        *(
            tag("div", tag("h3", heading), _bars(start[name], [_name(e, curve, unit, name) for e in known], name), class_="chart")
            for name, heading in _CHARTS
        ),
    ]
    left = sum(chosen["left"])
    first = max(known, key=lambda e: chosen["left"][e])
    rows = [
        [cell(f"point {k + 1}"), *(cell(percent(p["left"][e] / sum(p["left"])), p["left"][e] / sum(p["left"])) for e in known), *(_right(p, e) for e in known), *(_threshold(p, i) for i in range(len(known) - 1))]
        for k, p in enumerate(curve["points"])
    ]
    head = ["setting", *(f"leave at {e}" for e in known), *(f"right at {e}" for e in known), *(f"threshold {e}" for e in known[:-1])]
    return Figure(
        name="exits",
        title="Where images leave",
        finding=[f"Most leave at exit {first}: {percent(chosen['left'][first] / left)}."],
        drawing=tag("div", parts, class_="operating", data_points=json.dumps(plain, ensure_ascii=False)),
        table=Table(head=head, rows=rows),
        note="The slider goes through settings that were worked out beforehand. Energies are the same for all images that leave at one exit, so their distribution rises in as many steps.",
    )


_CHARTS = (
    ("left", "Images that leave at each exit"),
    ("cdf", "Energy of an image: share that takes no more"),
    ("right", "Right answers among those that leave there"),
)


def _shown(point: Data, curve: Data, unit: str, known: Sequence[int]) -> dict[str, Any]:
    """What the slider shows of a point: a sentence, and for each chart widths in per cent and texts."""
    total, most, running = sum(point["left"]), _most(curve), 0
    left, cdf, right = [], [], []
    for e in known:
        running += point["left"][e]
        left.append([100 * point["left"][e] / total, percent(point["left"][e] / total)])
        cdf.append([100 * running / total, percent(running / total)])
        share = point["right"][e] / point["left"][e] if point["left"][e] else None
        right.append([100 * (share or 0.0), "–" if share is None else percent(share)])
    thresholds = ", ".join(_limit(value) for value in point["thresholds"])
    said = f"{point['accuracy']:.2%} right for {_energy(point['energy'], unit)}, {percent(point['energy'] / most)} of all exits · thresholds {thresholds}"
    return {"said": said, "left": left, "cdf": cdf, "right": right}


def _bars(values: Sequence[Sequence[Any]], names: Sequence[str], chart: str) -> Markup:
    return tag(
        "div",
        [
            tag(
                "div",
                tag("span", name, class_="name"),
                tag("span", tag("i", class_="less", style=css(w=width)), class_="track"),
                tag("span", text, class_="value"),
                class_="row",
            )
            for name, (width, text) in zip(names, values, strict=True)
        ],
        class_="bars both one",
        data_chart=chart,
    )


def _name(e: int, curve: Data, unit: str, chart: str) -> str:
    return f"≤ {_energy(curve['energies'][e], unit)}" if chart == "cdf" else f"exit {e}"


def _right(point: Data, e: int) -> Cell:
    if not point["left"][e]:
        return cell("–")
    share = point["right"][e] / point["left"][e]
    return cell(percent(share), share)


def _threshold(point: Data, i: int) -> Cell:
    value = point["thresholds"][i]
    return cell(_limit(value), value)


def _limit(value: float | None) -> str:
    return "none leaves" if value is None else "all leave" if value == 0 else f"{value:.3f}"


def _energy(value: float, unit: str) -> str:
    if not math.isfinite(value):
        raise ValueError(f"an energy is finite, got {value}")
    return energy_text(value, unit) if unit else f"{value:,.4g}".replace(",", "\N{THIN SPACE}")
