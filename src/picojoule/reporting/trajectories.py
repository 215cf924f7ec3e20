"""The way of an adaptation: what went in every step, what the network then cost, and how accurate it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, without_least
from picojoule.reporting.figures import percent, printable, shortened
from picojoule.units import energy_text, significant

_KEPT = 90
"""Columns of this worth stay however narrow the terminal is."""


def amount(value: float, unit: str) -> str:
    """A cost in its meter's unit."""
    if unit == "s":
        return f"{significant(value * 1e3)} ms"
    if unit == "MACs":
        return f"{significant(value / 1e6)} M"
    return energy_text(value, unit)


def trajectory_lines(steps: Sequence[Mapping[str, Any]], budgets: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """A table with a line for each step, the start before them.

    Args:
        steps: of the result.
        budgets: of the result.
        width: of the terminal.
    """
    first = [("start", "dim")]
    tuned = any("accuracy" in step for step in steps)
    columns = [
        column("step", first + [(str(i), "dim") for i in range(1, len(steps) + 1)], right=True, worth=80),
        column("layer", [("", "")] + [(shortened(printable(step["root"]), 28), "") for step in steps], right=False, worth=100),
        column("filters", [("", "")] + [(f"{step['before']} → {step['channels']}", "bold") for step in steps], worth=95),
    ]
    for place, budget in enumerate(budgets):
        costs = [budget["start"], *(step["costs"][place] for step in steps)]
        columns.append(column(budget["kind"], [(amount(cost, budget["unit"]), "") for cost in costs], worth=85 - place))
        shares = [(percent(cost / budget["limit"]), "dim" if cost > budget["limit"] else "green") for cost in costs]
        columns.append(column("of budget", shares, worth=92 - place))
    if tuned:
        columns.append(
            column("right", [("", "")] + [(f"{step['accuracy']:.2%}" if "accuracy" in step else "", "") for step in steps], worth=94)
        )
        proposals = [("", "")] + [(str(len(step.get("proposals", []))), "dim") for step in steps]
        columns.append(column("proposals", proposals, worth=40))
    return rows(without_least(columns, width, _KEPT))
