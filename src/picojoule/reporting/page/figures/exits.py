"""Where samples leave a network with exits: the share, the accuracy and the energy at each exit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picojoule.errors import ResultFileError
from picojoule.reporting.figures import NONE, percent
from picojoule.reporting.page.bars import Bar, Part, bars
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.reading import Reading

PLACE = 110


def figure(reading: Reading) -> Figure | None:
    """Reads ``exits`` of the result: ``[{"name", "share", "accuracy", "energy_pj"}]``; the last two may be left out or null."""
    given = reading.document.get("exits")
    if not given:
        return None
    exits = [_exit(entry, i) for i, entry in enumerate(given if isinstance(given, list) else [given])]
    rows = [
        Bar(
            name=name,
            text=percent(share),
            parts=[Part(size=share, colour="var(--accent)", tip=f"{percent(share)} of the samples leave at {name}")],
            tip=name,
        )
        for name, share, _, _ in exits
    ]
    table = Table(
        head=("exit", "share of samples", "accuracy there", "energy"),
        rows=[
            [
                cell(name),
                cell(percent(share), share),
                cell(NONE if accuracy is None else percent(accuracy), accuracy),
                cell(NONE if energy is None else reading.energy(energy), energy),
            ]
            for name, share, accuracy, energy in exits
        ],
    )
    early = sum(share for _, share, _, _ in exits[:-1])
    said = [f"{percent(early)} of the samples leave before the last exit."]
    if all(energy is not None for *_, energy in exits):
        mean = sum(share * (energy or 0.0) for _, share, _, energy in exits)
        last = exits[-1][3] or 0.0
        said.append(f"A sample takes {reading.energy(mean)} on average" + (f", {percent(mean / last)} of what the whole network takes." if last else "."))
    return Figure(
        name="exits",
        title="Where samples leave",
        finding=said,
        drawing=bars(rows, max(share for _, share, _, _ in exits) or 1.0),
        table=table,
    )


def _exit(entry: Any, i: int) -> tuple[str, float, float | None, float | None]:
    where = f"exits[{i}]"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ResultFileError("an exit is a table with a name", where=where)
    numbers = []
    for key in ("share", "accuracy", "energy_pj"):
        value = entry.get(key)
        if value is None and key != "share":
            numbers.append(None)
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0 or (key != "energy_pj" and value > 1):
            raise ResultFileError(f"{key} of an exit is a number{'' if key == 'energy_pj' else ' from 0 to 1'}, got {value!r}", where=where)
        numbers.append(float(value))
    return entry["name"], numbers[0] or 0.0, numbers[1], numbers[2]
