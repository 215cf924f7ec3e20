"""Before and after: results of one network beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from picojoule.analysis import Compared
from picojoule.reporting.figures import NONE, counted, energy, energy_scale, percent, time_scale
from picojoule.reporting.page.bars import Bar, Part, bars
from picojoule.reporting.page.figure import Cell, Figure, Table, cell
from picojoule.reporting.page.markup import Markup, css, tag
from picojoule.reporting.page.reading import Reading
from picojoule.reporting.palette import colours
from picojoule.units import significant

PLACE = 5
_CHANGES = 16


def figure(reading: Reading) -> Figure | None:
    comparison = reading.comparison
    if comparison is None:
        return None
    estimates = [*reading.before, reading.estimate]
    labels = _labels(comparison.results)
    one_unit = len({result.unit for result in comparison.results}) == 1
    most = max(result.energy_pj for result in comparison.results)
    rows = []
    for label, result, estimate in zip(labels, comparison.results, estimates, strict=True):
        palette = colours(estimate.hardware)
        parts = [
            Part(size=value, colour=palette.get(level, "#777777"), tip=f"{label} · {level} {energy(value, result.unit)}")
            for level, value in result.by_level.items()
        ]
        rows.append(Bar(name=label, text=energy(result.energy_pj, result.unit), parts=parts))
    drawn = [bars(rows, most, class_="totals")] if one_unit else []
    if one_unit:
        drawn.append(_changes(reading))
    differences = f" What differs: {'; '.join(comparison.differences)}." if comparison.differences else ""
    return Figure(
        name="before-after",
        title="Before and after" if labels[0] == "before" else "Results beside each other",
        finding=_finding(comparison.results, labels, reading),
        drawing=tag("div", drawn),
        table=_table(reading, labels),
        note=("All else on this page is of the last result." + differences + ("" if one_unit else " The energies are in different units, so they are not drawn beside each other.")).strip(),
    )


def _labels(results: Sequence[Compared]) -> list[str]:
    """What tells the results apart in the fewest words."""
    for parts in (("hardware",), ("table",), ("hardware", "table")):
        names = [" · ".join(str(getattr(result, part)) for part in parts) for result in results]
        if len(set(names)) == len(names):
            return names
    if len(results) == 2:
        return ["before", "after"]
    return [f"{i + 1}" for i in range(len(results))]


def _changes(reading: Reading) -> Markup:
    """The layers whose energy changes most, from the first to the last result: less to the left, more to the right."""
    first, last = reading.before[0], reading.estimate
    energies = {layer.name: layer.energy_pj for layer in first.layers}
    changes = [(name, energy_pj - energies.get(name, 0.0), energies.get(name, 0.0)) for name, energy_pj in last.by_layer().items()]
    changes += [(name, -energy_pj, energy_pj) for name, energy_pj in energies.items() if name not in last.by_layer()]
    changes = [change for change in changes if change[1]]
    changes.sort(key=lambda change: -abs(change[1]))
    shown, rest = changes[:_CHANGES], changes[_CHANGES:]
    if not shown:
        return tag("p", "No layer's energy changes.", class_="note")
    most = max(abs(change) for _, change, _ in shown)
    scale = energy_scale([most], reading.unit)
    sides = 2 if min(change for _, change, _ in shown) < 0 < max(change for _, change, _ in shown) else 1
    changed = tag(
        "div",
        [
            tag(
                "div",
                tag("span", name, class_="name", title=name),
                tag(
                    "span",
                    tag(
                        "i",
                        class_="less" if change < 0 else "more",
                        style=css(w=100 / sides * abs(change) / most),
                        data_tip=f"{name} · {'saves' if change < 0 else 'spends'} {reading.energy(abs(change))}" + (f", {percent(abs(change) / before)} of before" if before else ""),
                    ),
                    class_="track",
                ),
                tag("span", ("−" if change < 0 else "+") + scale.text(abs(change)), class_="value"),
                class_="row",
            )
            for name, change, before in shown
        ],
        class_="bars both" if sides == 2 else "bars both one",
    )
    left = math.fsum(change for _, change, _ in rest)
    others = f"The {len(rest)} other layers together {'save' if left < 0 else 'spend'} {reading.energy(abs(left))}." if rest else ""
    head = tag("h3", f"What each layer saves or spends, {scale.unit}")
    return tag("div", head, changed, tag("p", others, class_="note") if others else None)


def _finding(results: Sequence[Compared], labels: Sequence[str], reading: Reading) -> list[str]:
    first, last = results[0], results[-1]
    said = []
    if last.energy_ratio is not None:
        before = labels[0] == "before"
        who, whom = ("After the change an inference", "before") if before else (labels[-1], labels[0])
        said.append(f"{who} takes {_change(last.energy_ratio)} {whom}: {energy(last.energy_pj, last.unit)} against {energy(first.energy_pj, first.unit)}.")
    else:
        said.append(f"The energies of {labels[0]} and {labels[-1]} are in different units and can't be compared.")
    if last.latency_ratio is not None:
        faster = last.latency_ratio
        said.append("It is as fast." if abs(faster - 1) < 1e-9 else f"It takes {significant(faster)} times as long.")
    return said


def _change(ratio: float) -> str:
    if abs(ratio - 1) < 1e-9:
        return "as much energy as"
    if ratio > 2:
        return f"{significant(ratio)} times as much energy as"
    return f"{percent(abs(ratio - 1))} {'less' if ratio < 1 else 'more'} energy than"


def _table(reading: Reading, labels: Sequence[str]) -> Table:
    assert reading.comparison is not None
    results, estimates = reading.comparison.results, [*reading.before, reading.estimate]
    head: list[str] = ["what", *labels]
    rows: list[list[Cell]] = [
        [cell("energy"), *(cell(energy(r.energy_pj, r.unit), r.energy_pj) for r in results)],
        [cell("energy, × the first"), *(_ratio(r.energy_ratio) for r in results)],
        [cell("cycles"), *(cell(counted(r.latency_cycles), r.latency_cycles) for r in results)],
        [cell("time"), *(_time(r.latency_s) for r in results)],
        [cell("time, × the first"), *(_ratio(r.latency_ratio) for r in results)],
        [cell("energy × delay, × the first"), *(_ratio(r.edp_ratio) for r in results)],
    ]
    for level in dict.fromkeys(level for result in results for level in result.by_level):
        values = [result.by_level.get(level) for result in results]
        rows.append([cell(f"energy at {level}"), *(cell(NONE if v is None else energy(v, r.unit), v) for v, r in zip(values, results, strict=True))])
    energies = [estimate.by_layer() for estimate in estimates]
    for name in dict.fromkeys(name for one in energies for name in one):
        values = [one.get(name) for one in energies]
        rows.append([cell(f"layer {name}"), *(cell(NONE if v is None else energy(v, r.unit), v) for v, r in zip(values, results, strict=True))])
    return Table(head=head, rows=rows)


def _ratio(value: float | None) -> Cell:
    return cell(NONE if value is None else f"{significant(value)}×", value)


def _time(seconds: float | None) -> Cell:
    if seconds is None:
        return cell(NONE)
    scale = time_scale([seconds])
    return cell(f"{scale.text(seconds)} {scale.unit}", seconds)
