"""What ``picojoule complexity validate`` found: on the terminal, as Markdown, CSV and data."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, spread, to_text, total_width, without_least, wrapped
from picojoule.reporting.figures import percent, printable
from picojoule.reporting.tables import markdown_table
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.study.validation import Curve, Fit, RandomLayers, Validation

SCHEMA = "picojoule/complexity-validation/1"
CSV_COLUMNS = ("sweep", "value", "whose", "energy", "data", "unit")
_ALWAYS = 100
_HEADS = ("sweep", "whose", "points", "claim", "R²", "p(x)", "p(x²)", "R² law", "exponent", "residual", "data share")
_WORTH = (_ALWAYS, _ALWAYS, 30, 60, 80, 90, 90, 50, 70, 65, 40)
_LEFT = (0, 1, 3)
_FEW_MINIMA = 20
"""An envelope of fewer is warned of."""


def validation_text(validation: Validation, *, width: int, color: bool) -> str:
    """Two lines for each sweep, the duel with the authors' figures, and what all that says.

    Args:
        validation: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    title = Text.assemble((printable(validation.machine.name), "bold"), " · energy of the data, y on (1, x, x²)")
    lines = spread(title, Text(_extent(validation)), width)
    table = [row for row, _ in _curve_rows(validation)]
    columns = [
        column(head, [(row[i], "") for row in table], right=i not in _LEFT, worth=_WORTH[i], gap=1 if i == 0 else 2)
        for i, head in enumerate(_HEADS)
    ]
    lines += [*rows(_fitting(columns, width)), Text()]
    for label, parts in _sentences(validation):
        lines += wrapped(label, [Text(part) for part in parts], width)
    return to_text(lines, color=color)


def _fitting(columns: list[Column], width: int) -> list[Column]:
    return columns if total_width(columns) <= width else without_least(columns, width, _ALWAYS)


def _extent(validation: Validation) -> str:
    points = sum(len(curve.values) for curve in validation.ours)
    state = "all proved" if not validation.unproved else f"{validation.unproved} not proved"
    return f"{points} points, {state}, factors {validation.search.factors}"


def _curve_rows(validation: Validation) -> Iterator[tuple[list[str], Curve]]:
    from picojoule.study.validation import SWEEPS

    for i, sweep in enumerate(SWEEPS):
        curves = [("ours", validation.ours[i])]
        if validation.theirs is not None:
            curves.append(("authors'", validation.theirs[i]))
        for whose, curve in curves:
            extent = f"{sweep.parameter} {sweep.values[0]}…{sweep.values[-1]}" + (
                f", x = {sweep.symbol}" if sweep.parameter == "s" else ""
            )
            cells = _fit_cells(curve.fit)
            share = f"{100 * curve.data_share[0]:.0f}–{100 * curve.data_share[1]:.0f}%"
            yield [extent if whose == "ours" else "", whose, *cells, share], curve


def _fit_cells(fit: Fit) -> list[str]:
    return [
        str(fit.points),
        "x²" if fit.power == 2 else "x",
        _r2(fit.r2),
        _p(fit.p[1]),
        _p(fit.p[2]),
        _r2(fit.law_r2),
        f"{fit.exponent:.2f} ± {fit.exponent_error:.2f}",
        f"{100 * fit.residual:.2f}%",
    ]


def _r2(value: float) -> str:
    return f"{value:.4f}" if value < 0.99995 else ">.9999"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}" if value > 1e-99 else "<1e-99"


def _sentences(validation: Validation) -> Iterator[tuple[str, list[str]]]:
    from picojoule.study.validation import verdicts

    duel = validation.duel
    if duel is not None:
        yield (
            "duel",
            [
                f"our optimum ≤ the authors' energy at {duel.won} of {duel.points} points",
                f"theirs ÷ ours {_ratios(duel.ratios)}",
            ],
        )
        if duel.recounted_ratios is not None:
            yield (
                "recounted",
                [
                    f"in Timeloop's own form and counting, ours ≤ theirs at {duel.recounted_won} of {duel.points} points",
                    f"theirs ÷ ours {_ratios(duel.recounted_ratios)}",
                ],
            )
        for name, value, ratio in duel.lost:
            yield "lost", [f"{name} = {value}: theirs ÷ ours {ratio:.4f}"]
        yield "MACs", [f"their energy of the MACs is ours at every point, to {duel.mac_deviation:.0e}"]
    if validation.random is not None:
        yield from _random_sentences(validation.random)
    for verdict in verdicts(validation):
        yield "verdict", [verdict]


def _random_sentences(random: RandomLayers) -> Iterator[tuple[str, list[str]]]:
    from picojoule.study.validation import WINDOW

    of = "all" if random.drawn == random.of else f"{random.drawn} (seed {random.seed}) of"
    state = "all proved" if not random.unproved else f"{random.unproved} not proved"
    yield (
        "random",
        [
            f"{of} {random.of} layers, {state}: ours ≤ theirs at {random.won} ({percent(random.won / random.drawn)})",
            f"theirs ÷ ours {_ratios(random.ratios)}",
        ],
    )
    for whose, envelope in (("ours", random.ours), ("authors'", random.theirs), ("of all", random.theirs_of_all)):
        yield (
            "envelope",
            [
                f"{whose}: {envelope.fit.points} minima",
                f"R² {_r2(envelope.fit.law_r2)} for d·q·n²·r²/s² alone",
                f"p(x²) {_p(envelope.fit.p[2])}",
                f"slope {significant(envelope.fit.law[1], 4)} per term",
                f"exponent {envelope.fit.exponent:.3f} ± {envelope.fit.exponent_error:.3f}",
            ],
        )
    if random.ours.fit.points < _FEW_MINIMA:
        yield (
            "warning",
            [
                f"a fit of three coefficients on {random.ours.fit.points} minima says little",
                f"--random {_FEW_MINIMA * WINDOW} or more gives {_FEW_MINIMA} minima or more",
            ],
        )


def _ratios(ratios: tuple[float, float, float]) -> str:
    least, median, most = ratios
    return f"{least:.3f} at least, {median:.3f} in the median, {most:.3f} at most"


def validation_markdown(validation: Validation) -> str:
    """The same as a page."""
    body, last = [], ""
    for row, _ in _curve_rows(validation):
        last = row[0] or last
        body.append([last, *row[1:]])
    lines = [f"## {printable(validation.machine.name)}", "", f"Energy of the data, y on (1, x, x²); {_extent(validation)}.", ""]
    lines += [*markdown_table(list(_HEADS), body, left=_LEFT), ""]
    lines += [f"- {label}: {'; '.join(parts)}" for label, parts in _sentences(validation)]
    return "\n".join(lines) + "\n"


def validation_csv(validation: Validation) -> str:
    """A row for each point and side, in full precision; energies in the unit of the machine's table."""
    from picojoule.study.validation import SWEEPS

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for whose, curves in (("ours", validation.ours), ("authors", validation.theirs or ())):
        for sweep, curve in zip(SWEEPS, curves, strict=False):
            for value, energy, data in zip(curve.values, curve.energy, curve.data, strict=True):
                writer.writerow((sweep.parameter, value, whose, energy, data, validation.machine.unit))
    return stream.getvalue()


def validation_data(validation: Validation, *, their_points: bool = True) -> dict[str, Any]:
    """As plain data, its schema first.

    Args:
        validation: to write down.
        their_points: with the authors' measurements point by point, and not only their fits.
    """
    from picojoule.study.validation import SWEEPS, verdicts

    sweeps = []
    for i, sweep in enumerate(SWEEPS):
        theirs = None if validation.theirs is None else _curve_data(validation.theirs[i], their_points)
        entry = {"parameter": sweep.parameter, "x": sweep.symbol, "power": sweep.power}
        sweeps.append({**entry, "ours": _curve_data(validation.ours[i], True), "theirs": theirs})
    duel = None if validation.duel is None else asdict(validation.duel)
    random = None if validation.random is None else asdict(validation.random)
    if random is not None and not their_points:
        for side in ("theirs", "theirs_of_all"):
            random[side] = {"fit": random[side]["fit"]}
    return {
        "schema": SCHEMA,
        "hardware": validation.machine.name,
        "unit": validation.machine.unit,
        "search": asdict(validation.search),
        "unproved": validation.unproved,
        "sweeps": sweeps,
        "duel": duel,
        "random": random,
        "verdicts": verdicts(validation),
    }


def _curve_data(curve: Curve, points: bool) -> dict[str, Any]:
    data = asdict(curve)
    if not points:
        data = {key: value for key, value in data.items() if key not in ("values", "energy", "data")}
    return data
