"""Bytes that move at every memory level, by tensor."""

from __future__ import annotations

import math

from picojoule.reporting.figures import NONE, percent
from picojoule.reporting.page.bars import legend
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, css, tag
from picojoule.reporting.page.reading import TENSORS, Reading

PLACE = 30
_ARITHMETIC = ("mac", "vector", "leakage")


def figure(reading: Reading) -> Figure | None:
    moved = _moved(reading)
    if not moved:
        return None
    sizes = [value for parts in moved.values() for value in parts.values() if value > 0]
    low, high = 10 ** math.floor(math.log10(min(sizes))), 10 ** math.ceil(math.log10(max(sizes)) + 1e-9)
    high = max(high, low * 10)

    def at(value: float) -> float:
        return 100 * math.log(value / low) / math.log(high / low)

    decades = range(round(math.log10(low)), round(math.log10(high)) + 1)
    step = -(-len(decades) // 6)
    marks = [10.0**e for e in decades][::step]
    rows = [_row(reading, level, parts, at, marks) for level, parts in moved.items()]
    axis = tag("div", tag("span", class_="name"), tag("span", [tag("em", _bytes(m), style=css(x=at(m))) for m in marks], class_="track"), tag("span", class_="value"), class_="row axis")
    names = [tensor for tensor in TENSORS if any(tensor in parts for parts in moved.values())]
    return Figure(
        name="traffic",
        title="Bytes moved",
        finding=_finding(reading, moved),
        drawing=tag("div", legend([(t, reading.tensor_colour(t), "") for t in names]), tag("div", rows, axis, class_="bars dots"), class_="traffic"),
        table=_table(reading, moved),
        note="The axis is logarithmic. Bytes are those of all reads, writes and updates at a level, over all its instances.",
    )


def _moved(reading: Reading) -> dict[str, dict[str, float]]:
    """Bytes at every level and tensor, outermost first."""
    found: dict[str, dict[str, list[float]]] = {level: {} for level in reading.levels if level not in _ARITHMETIC}
    for layer in reading.estimate.layers:
        for access in layer.by:
            if access.level in found and access.bits:
                found[access.level].setdefault(access.tensor, []).append(access.bits / 8)
    return {level: {t: math.fsum(v) for t, v in parts.items()} for level, parts in found.items() if parts}


def _row(reading: Reading, level: str, parts: dict[str, float], at: object, marks: list[float]) -> Markup:
    place = at if callable(at) else float
    dots = [
        tag("b", class_="dot", data_tip=f"{level} · {tensor} {_bytes(value)}", style=css(x=place(value), c=reading.tensor_colour(tensor)))
        for tensor, value in parts.items()
        if value > 0
    ]
    ends = [place(value) for value in parts.values() if value > 0]
    span = tag("i", class_="span", style=css(x=min(ends), w=max(ends) - min(ends)))
    grid = [tag("i", class_="grid", style=css(x=place(mark))) for mark in marks]
    key = tag("i", class_="swatch", style=css(c=reading.colours[level]))
    return tag(
        "div",
        tag("span", key, level, class_="name", title=level),
        tag("span", grid, span, dots, class_="track"),
        tag("span", _bytes(math.fsum(parts.values())), class_="value"),
        class_="row",
    )


def _bytes(value: float) -> str:
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g} B"


def _finding(reading: Reading, moved: dict[str, dict[str, float]]) -> list[str]:
    totals = {level: math.fsum(parts.values()) for level, parts in moved.items()}
    outer = next(iter(moved))
    most = max(totals, key=lambda level: totals[level])
    main = max(moved[outer], key=lambda tensor: moved[outer][tensor])
    said = [f"{_bytes(totals[outer])} pass {outer}, {percent(moved[outer][main] / totals[outer])} of them {main}."]
    if most != outer:
        said.append(
            f"Most bytes move at {most}, {totals[most] / totals[outer]:.3g} times as many, "
            f"but a byte there costs {_price(reading, outer, totals) / max(_price(reading, most, totals), 1e-30):.3g} times less."
        )
    return said


def _price(reading: Reading, level: str, totals: dict[str, float]) -> float:
    return reading.levels[level] / totals[level]


def _table(reading: Reading, moved: dict[str, dict[str, float]]) -> Table:
    rows = []
    accesses: dict[tuple[str, str], list[float]] = {}
    for layer in reading.estimate.layers:
        for access in layer.by:
            sums = accesses.setdefault((access.level, access.tensor), [0, 0, 0, 0.0])
            for i, value in enumerate((access.reads, access.writes, access.updates, access.energy_pj)):
                sums[i] += value
    for level, parts in moved.items():
        for tensor, value in parts.items():
            reads, writes, updates, energy = accesses[level, tensor]
            rows.append(
                [
                    cell(level),
                    cell(tensor),
                    cell(_bytes(value), value),
                    *(cell(f"{n:,.0f}".replace(",", "\u2009") if n else "0", n) for n in (reads, writes, updates)),
                    cell(reading.energy(energy), energy),
                    cell(f"{energy / value:.3g}" if value else NONE, energy / value if value else None),
                ]
            )
    head = ("level", "tensor", "moved", "reads", "writes", "updates", "energy", f"{reading.unit} a byte")
    return Table(head=head, rows=rows, words=frozenset({1}))
