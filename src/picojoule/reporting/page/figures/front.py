"""What energy and latency, or energy and accuracy, trade for each other, where a result has such a front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from picojoule.errors import ResultFileError
from picojoule.reporting.figures import NONE, counted, energy_scale, percent
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.plot import Point, plot
from picojoule.reporting.page.reading import Reading

PLACE = 100
_MOST = 160


def figure(reading: Reading) -> Figure | None:
    points = reading.estimate.front
    if not points:
        return None
    against = "accuracy" if _numbers(points, "accuracy") else "latency_cycles"
    if not (_numbers(points, "energy_pj") and _numbers(points, against)):
        raise ResultFileError("a point of the front has no energy_pj, or neither latency_cycles nor accuracy", where="front")
    rows: list[dict[str, float]] = sorted((dict(point) for point in points), key=lambda point: point[against])
    shown = rows if len(rows) <= _MOST else [rows[round(i * (len(rows) - 1) / (_MOST - 1))] for i in range(_MOST)]
    scale = energy_scale([row["energy_pj"] for row in rows], reading.unit, 4)
    said = (lambda v: percent(v)) if against == "accuracy" else (lambda v: f"{counted(v, 4)} cycles")
    dots = [
        Point(
            x=row[against],
            y=row["energy_pj"] / scale.size,
            name="",
            tip=f"{scale.text(row['energy_pj'])} {scale.unit} at {said(row[against])}",
            colour="var(--accent)",
            weight=0.08,
        )
        for row in shown
    ]
    x = "accuracy" if against == "accuracy" else "cycles"
    table = [
        [
            cell(said(row[against]), row[against]),
            cell(scale.text(row["energy_pj"]), row["energy_pj"]),
            cell(scale.text(row["bound_pj"]) if "bound_pj" in row else NONE, row.get("bound_pj")),
        ]
        for row in shown
    ]
    return Figure(
        name="front",
        title=f"Energy against {'accuracy' if against == 'accuracy' else 'latency'}",
        finding=_finding(rows, against, said, reading),
        drawing=plot(dots, [], x=x, y=f"energy, {scale.unit}", log=False, joined=True),
        table=Table(head=(x, f"energy {scale.unit}", f"bound {scale.unit}"), rows=table),
        note=f"{len(shown)} of {len(rows)} points are drawn; the result file has all." if len(shown) < len(rows) else "",
    )


def _numbers(points: Sequence[object], key: str) -> bool:
    def number(point: object) -> bool:
        value = point.get(key) if isinstance(point, Mapping) else None
        return isinstance(value, int | float) and not isinstance(value, bool)

    return all(number(point) for point in points)


def _finding(rows: Sequence[Mapping[str, float]], against: str, said: object, reading: Reading) -> list[str]:
    say = said if callable(said) else str
    least, most = min(rows, key=lambda r: r["energy_pj"]), max(rows, key=lambda r: r["energy_pj"])
    if len(rows) == 1 or most["energy_pj"] == least["energy_pj"]:
        return [f"There is one best point, {reading.energy(least['energy_pj'])} at {say(least[against])}: nothing is traded."]
    more = percent(most["energy_pj"] / least["energy_pj"] - 1)
    if against == "accuracy":
        return [f"From {say(least[against])} to {say(most[against])} accuracy costs {more} more energy, {reading.energy(most['energy_pj'])} in place of {reading.energy(least['energy_pj'])}."]
    faster = percent(1 - most[against] / least[against])
    return [f"{more} more energy buys {faster} fewer cycles: {say(most[against])} in place of {say(least[against])}, over {len(rows)} points."]
