"""An estimate on the terminal: one headline, one table, honest lines."""

from __future__ import annotations

from rich.text import Text

from picojoule.reporting.columns import to_text
from picojoule.reporting.headline import headline
from picojoule.reporting.honesty import honest_lines
from picojoule.reporting.layer_table import table_lines
from picojoule.result import Estimate


def estimate_text(
    estimate: Estimate, *, width: int, color: bool, all_layers: bool = False, sort: str = "energy", detail: bool = False
) -> str:
    """The whole report, ready to print.

    Args:
        estimate: the result to show.
        width: of the terminal in characters; columns of least worth are left out where it is narrow.
        color: colours by escape sequences.
        all_layers: show every layer and not only the first of the order.
        sort: a key of ``layer_table.SORTS``.
        detail: say what space was searched, and how far.
    """
    table = table_lines(estimate, width=width, all_layers=all_layers, sort=sort)
    honest = honest_lines(estimate, width, detail=detail, memory=sort == "memory")
    lines = [*headline(estimate, width), *table, Text(), *honest]
    return to_text(lines, color=color)
