"""The page about width and depth of a network: three fronts in one drawing, and their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picojoule.errors import ResultFileError, SystemFailure
from picojoule.reporting.dials import DIALS_SCHEMA, FRONTS
from picojoule.reporting.figures import percent
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.plot import Line, Point, plot

_LONGEST = 64 * 2**20
Data = Mapping[str, Any]


def dials_in(path: Path) -> dict[str, Any] | None:
    """What ``picojoule exits widths --format json`` wrote into a file; None if it holds something else.

    Raises:
        ResultFileError: of another version, or damaged.
        SystemFailure: the file can't be read.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8") if path.stat().st_size <= _LONGEST else "")
    except OSError as problem:
        raise SystemFailure(f"can't be read: {problem.strerror or problem}", where=str(path)) from problem
    except (ValueError, RecursionError):
        return None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith(f"{DIALS_SCHEMA.rpartition('/')[0]}/"):
        return None
    again = "Write it anew with picojoule exits widths --format json -o FILE."
    if schema != DIALS_SCHEMA:
        raise ResultFileError(f"its schema is {schema!r}, not {DIALS_SCHEMA!r}", where=str(path), hint=again)
    try:
        figures_of(document)
        top_of(document)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as problem:
        raise ResultFileError(
            f"a front is missing or damaged ({type(problem).__name__}: {problem})", where=str(path), hint=again
        ) from None
    return dict(document)


def title_of(data: Data) -> str:
    """Of the page."""
    return f"Width and depth: {len(data['widths'])} widths, {len(data['widths'][0]['energies']['heads'])} exits"


def top_of(data: Data) -> Markup:
    """The verdict."""
    chosen, target = data["chosen"]["both"], data["target_accuracy"]
    said: list[Any] = [f"No setting reaches {target:g} on the choosing images."]
    if chosen is not None:
        said = [
            "It saves ",
            tag("strong", percent(chosen["saved"])),
            f" of the energy of the widest network at accuracy {chosen['test']['accuracy']:.4f} (width {chosen['width']:g}); {_alone(data)}",
        ]
    return tag("header", tag("h1", title_of(data)), tag("p", *said, class_="verdict"), id="top")


def _alone(data: Data) -> str:
    told = []
    for name in ("depth", "width"):
        chosen = data["chosen"][name]
        told.append(f"{FRONTS[name]} {'reach no such accuracy' if chosen is None else percent(chosen['saved'])}")
    return ", ".join(told) + "."


def figures_of(data: Data) -> list[Figure]:
    """All figures of the page."""
    full = data["full"]["energy"]
    points = [
        Point(
            x=100 * p["test"]["energy"] / full,
            y=100 * p["test"]["accuracy"],
            name=f"width {p['width']:g}" if k == 0 or p["width"] != data["fronts"]["both"][k - 1]["width"] else "",
            tip=f"width {p['width']:g} · {p['test']['accuracy']:.2%} right · {percent(p['test']['energy'] / full)}",
            colour="var(--accent)",
            weight=0.2,
        )
        for k, p in enumerate(data["fronts"]["both"])
    ]
    lines = [
        Line(points=_stairs(data["fronts"][name], full), name=FRONTS[name], at=at, kind="roof")
        for name, at in (("depth", 0.7), ("width", 0.3))
        if len(data["fronts"][name]) > 1
    ]
    rows = [
        [
            cell(FRONTS[name]),
            cell(f"{p['width']:g}", p["width"]),
            cell(f"{p['test']['accuracy']:.4f}", p["test"]["accuracy"]),
            cell(percent(p["test"]["energy"] / full), p["test"]["energy"] / full),
            cell(", ".join(f"{share:.0%}" for share in p["test"]["shares"])),
        ]
        for name in FRONTS
        for p in data["fronts"][name]
    ]
    return [
        Figure(
            name="fronts",
            title="Accuracy against energy",
            finding=[_alone(data).capitalize()],
            drawing=plot(points, lines, x="% of the energy of the widest network", y="% right", log=False, joined=True, label="Accuracy over energy of width and depth together and alone"),
            table=Table(head=["dial", "width", "accuracy", "energy", "leave at each exit"], rows=rows),
            note="Widths and thresholds were chosen on the choosing images; accuracies and energies are of the test images. Lines: each dial alone.",
        )
    ]


def _stairs(points: Any, full: float) -> list[tuple[float, float]]:
    """A front by rising energy, as far as it rises on the test images, too."""
    found: list[tuple[float, float]] = []
    for x, y in sorted((100 * p["test"]["energy"] / full, 100 * p["test"]["accuracy"]) for p in points):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return found
