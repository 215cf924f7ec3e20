"""Which network should decide, and fitted curves: on the terminal, as CSV and as data."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, wrapped
from picojoule.reporting.figures import grouped, printable
from picojoule.reporting.palette import GOOD
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.exits import Choice, Fit

CHOICE_SCHEMA, FIT_SCHEMA = "picojoule/choice/1", "picojoule/fit/1"
_FORMULAS = {"exponential": "a·e^(b·A)", "rational": "a·(A − 0.1)/(1 − b·A)"}


def choice_text(choice: Choice, *, unit: str, width: int, color: bool) -> str:
    """A line for each network, the one to take marked, and what α and A* are.

    Args:
        choice: to show.
        unit: of the energies.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    best = choice.candidates[choice.best]
    title = Text.assemble(("take ", ""), (printable(best.name), "bold"), f" · cost {choice.costs[choice.best]:.4f}")
    lines = spread(title, Text(_importance(choice)), width)
    styles = [GOOD if i == choice.best else "" for i in range(len(choice.candidates))]

    def cells(values: Sequence[str]) -> list[tuple[str, str]]:
        return list(zip(values, styles, strict=True))

    columns = [
        column("network", cells([printable(x.name) for x in choice.candidates]), right=False, gap=1),
        column(
            f"energy {unit}",
            cells([grouped(x.energy, 0) if x.energy >= 100 else significant(x.energy) for x in choice.candidates]),
        ),
        column("E/Emax", cells([f"{x:.4f}" for x in choice.relative_energies])),
        column("accuracy", cells([f"{x.accuracy:.4f}" for x in choice.candidates])),
        column("cost", cells([f"{x:.4f}" for x in choice.costs])),
    ]
    if choice.expected is not None:
        columns.append(column("E[E]/Emax", cells([f"{x:.4f}" for x in choice.expected])))
    lines += [*rows(columns), Text()]
    if choice.fit is not None and choice.optimum is not None:
        nearest = choice.candidates[choice.optimum.nearest]
        lines += wrapped("fit", [Text(part) for part in _fit_parts(choice.fit, "E/Emax")], width)
        shown = choice.optimum.printed
        as_printed = (
            f"A* {shown:.4f} by the equation"
            if math.isfinite(shown)
            else f"A* {'+' if shown > 0 else '−'}∞ by the equation"
        )
        lines += wrapped(
            "A*",
            [
                Text(as_printed),
                Text(f"{choice.optimum.accuracy:.4f} within reach"),
                Text(f"nearest: {printable(nearest.name)} ({nearest.accuracy:.4f})"),
            ],
            width,
        )
    for note in choice.notes:
        lines += wrapped("note", [Text(printable(note))], width)
    return to_text(lines, color=color)


def choice_csv(choice: Choice) -> str:
    """A row for each network, in full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["name", "energy", "relative_energy", "accuracy", "cost", "expected_energy", "best"])
    for i, x in enumerate(choice.candidates):
        expected = choice.expected[i] if choice.expected is not None else ""
        writer.writerow(
            [
                x.name,
                x.energy,
                choice.relative_energies[i],
                x.accuracy,
                choice.costs[i],
                expected,
                int(i == choice.best),
            ]
        )
    return stream.getvalue()


def choice_data(choice: Choice, *, unit: str) -> dict[str, Any]:
    """Everything, for JSON; an infinite A* is null beside ``printed_is``."""
    optimum = choice.optimum
    return {
        "schema": CHOICE_SCHEMA,
        "alpha": choice.alpha,
        "gamma": choice.gamma,
        "energy_ratio": choice.energy_ratio,
        "unit": unit,
        "best": choice.candidates[choice.best].name,
        "candidates": [
            {
                "name": x.name,
                "energy": x.energy,
                "relative_energy": choice.relative_energies[i],
                "accuracy": x.accuracy,
                "cost": choice.costs[i],
                "expected_energy": choice.expected[i] if choice.expected is not None else None,
            }
            for i, x in enumerate(choice.candidates)
        ],
        "fit": _fit_data(choice.fit) if choice.fit is not None else None,
        "optimum": None
        if optimum is None
        else {
            "printed": optimum.printed if math.isfinite(optimum.printed) else None,
            "printed_is": "finite" if math.isfinite(optimum.printed) else "+inf" if optimum.printed > 0 else "-inf",
            "accuracy": optimum.accuracy,
            "nearest": choice.candidates[optimum.nearest].name,
        },
        "notes": list(choice.notes),
    }


def fit_text(
    fit: Fit,
    names: Sequence[str],
    accuracies: Sequence[float],
    sizes: Sequence[float],
    *,
    size: str,
    width: int,
    color: bool,
) -> str:
    """The law, and every point beside what the law says of it."""
    lines = spread(Text(f"{printable(size)} = {_FORMULAS[fit.law]}", style="bold"), Text(f"R² {_r(fit)}"), width)
    columns = [
        column("name", [(printable(name), "") for name in names], right=False, gap=1),
        column("accuracy", [(f"{x:.4f}", "") for x in accuracies]),
        column(printable(size), [(significant(x), "") for x in sizes]),
        column("by the law", [(significant(float(fit.at(x))), "") for x in accuracies]),
    ]
    lines += [*rows(columns), Text(), *wrapped("fit", [Text(part) for part in _fit_parts(fit, printable(size))], width)]
    if not fit.monotone:
        remark = f"not monotone: {printable(size)} doesn't rise with accuracy at every point; the fit smooths over it"
        lines += wrapped("note", [Text(remark)], width)
    return to_text(lines, color=color)


def fit_data(
    fit: Fit, names: Sequence[str], accuracies: Sequence[float], sizes: Sequence[float], *, size: str
) -> dict[str, Any]:
    """The law and its points, for JSON."""
    points = [
        {"name": n, "accuracy": a, "size": s, "fitted": float(fit.at(a))}
        for n, a, s in zip(names, accuracies, sizes, strict=True)
    ]
    return {"schema": FIT_SCHEMA, "size": size, **_fit_data(fit), "points": points}


def _importance(choice: Choice) -> str:
    if choice.gamma is None or choice.energy_ratio is None:
        return f"α {choice.alpha:g}"
    return f"γ {choice.gamma:g} · E_X/E_Dmax {choice.energy_ratio:g} → α {choice.alpha:.4f}"


def _fit_parts(fit: Fit, of: str) -> list[str]:
    return [f"{of} = {_FORMULAS[fit.law]}", f"a {fit.a:.4g}", f"b {fit.b:.4g}", f"R² {_r(fit)}"]


def _r(fit: Fit) -> str:
    return f"{fit.r_squared:.4f}" if math.isfinite(fit.r_squared) else "–"


def _fit_data(fit: Fit) -> dict[str, Any]:
    return {
        "law": fit.law,
        "a": fit.a,
        "b": fit.b,
        "r_squared": fit.r_squared if math.isfinite(fit.r_squared) else None,
        "monotone": fit.monotone,
    }
