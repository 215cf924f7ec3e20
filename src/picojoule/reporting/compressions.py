"""A compression on the terminal: before and after, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, wrapped
from picojoule.reporting.figures import counted, printable
from picojoule.reporting.fewer_classes import classes_lines
from picojoule.reporting.palette import BAD, GOOD
from picojoule.reporting.tickets import tickets_lines
from picojoule.reporting.trajectories import trajectory_lines
from picojoule.units import energy_text, significant

if TYPE_CHECKING:
    from picojoule.compress import Compression
    from picojoule.compress.costs import Costs


def compression_text(result: Compression, *, width: int, color: bool) -> str:
    """The verdict, a line for each figure, and the remarks."""
    verdict = Text("met", style=GOOD) if result.met else Text("missed", style=BAD)
    left = Text.assemble((printable(result.model), "bold"), f" · {result.method} · {result.hardware}")
    if result.met:
        spare = f", {result.undershoot:.1%} to spare"
    else:
        spare = f" by {-result.undershoot:.1%}" if result.undershoot < 0 else ": nothing could be pruned"
    right = Text.assemble(f"budget {result.budget} ", verdict, spare)
    figures = [*_figures(result.before, result.after), _accuracy("accuracy", result, result.accuracy_after)]
    if result.accuracy_int8 is not None:
        figures.append(_accuracy("accuracy, INT8", result, result.accuracy_int8))
    columns = [
        column("", [(name, "") for name, *_ in figures], right=False, gap=1),
        column("before", [(before, "") for _, before, _, _ in figures]),
        column("after", [(after, "bold") for _, _, after, _ in figures]),
        column("", [(change, "dim") for *_, change in figures]),
    ]
    lines = [*spread(left, right, width), Text(), *rows(columns)]
    if result.tickets is not None:
        lines += [Text(), *tickets_lines(result.tickets, width)]
    if result.classes is not None:
        lines += [Text(), *classes_lines(result.classes, width)]
    if result.budgets:
        lines += [Text(), *trajectory_lines(result.steps, result.budgets, width)]
    for remark in result.remarks:
        lines += [Text(), *wrapped("", [Text(remark)], width, indent=1)]
    return to_text(lines, color=color)


def _figures(before: Costs, after: Costs) -> list[tuple[str, str, str, str]]:
    pairs = [
        ("MACs", before.macs, after.macs, counted),
        ("MACs executed", before.executed_macs, after.executed_macs, counted),
        ("weights, not zero", before.weights, after.weights, counted),
        ("energy, modelled", before.energy, after.energy, lambda x: energy_text(x, before.unit)),
        ("latency, modelled", before.latency_s, after.latency_s, lambda x: f"{significant(x * 1e3)} ms"),
        ("time, measured", before.measured_ms, after.measured_ms, lambda x: f"{significant(x)} ms"),
        ("weights", before.bytes, after.bytes, lambda x: f"{significant(x / 1024)} KiB"),
        ("activations, peak", before.memory, after.memory, lambda x: f"{significant(x / 1024)} KiB"),
    ]
    return [
        (name, say(b), say(a), f"{a / b:.1%}" if b else "")  # type: ignore[no-untyped-call]
        for name, b, a, say in pairs
        if b is not None and a is not None
    ]


def _accuracy(name: str, result: Compression, after: float) -> tuple[str, str, str, str]:
    change = (after - result.accuracy_before) * 100
    return name, f"{result.accuracy_before:.2%}", f"{after:.2%}", f"{change:+.2f} points"
