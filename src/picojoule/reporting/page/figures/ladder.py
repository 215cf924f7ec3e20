"""The ladder of bounds, compulsory → floor → bound → found, and the layers where there is room above the floor."""

from __future__ import annotations

import math

from picojoule.reporting.figures import energy_scale, percent, times
from picojoule.reporting.page.bars import Bar, Part, bars
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import tag
from picojoule.reporting.page.reading import Reading

PLACE = 60
_ROOMS = 12
_RUNGS = (
    ("compulsory", "every element once, every MAC once"),
    ("floor", "no mapping at all needs less: what must pass small memories"),
    ("bound", "no mapping of the space that was searched needs less"),
    ("found", "the mappings of this result"),
)


def figure(reading: Reading) -> Figure | None:
    estimate = reading.estimate
    layers = estimate.layers
    heights = [
        math.fsum(layer.compulsory_pj for layer in layers),
        estimate.floor_pj,
        estimate.bound_pj,
        estimate.energy_pj,
    ]
    found = estimate.energy_pj
    if not found:
        return None
    rungs = []
    for i, ((name, why), height) in enumerate(zip(_RUNGS, heights, strict=True)):
        step = max(0.0, height - (heights[i - 1] if i else 0.0))
        below = height - step
        gained = "" if not i else f"+{percent(step / found)}"
        parts = [
            Part(size=below, colour="var(--soft)", tip=""),
            Part(size=step, colour="var(--step)" if i else "var(--ink-soft)", tip=f"{name} {gained}: {why}"),
        ]
        rungs.append(Bar(name=name, text=f"{gained} · {reading.energy(height)}" if step > 5e-4 * found and i else reading.energy(height), parts=parts, tip=f"{name}: {why}"))
    room = sorted((x for x in layers if x.energy_pj > x.floor_pj * (1 + 1e-9)), key=lambda x: x.floor_pj - x.energy_pj)[:_ROOMS]
    rooms = [
        Bar(
            name=layer.name,
            text=f"{times(layer.energy_pj, layer.floor_pj)}",
            parts=[
                Part(size=layer.floor_pj, colour="var(--soft)", tip=f"{layer.name} · floor {reading.energy(layer.floor_pj)}"),
                Part(size=max(0.0, layer.bound_pj - layer.floor_pj), colour="var(--step)", tip=f"{layer.name} · from floor to bound {reading.energy(max(0.0, layer.bound_pj - layer.floor_pj))}"),
                Part(size=max(0.0, layer.energy_pj - layer.bound_pj), colour="var(--open)", kind="open", tip=f"{layer.name} · left open by the search {reading.energy(max(0.0, layer.energy_pj - layer.bound_pj))}"),
            ],
        )
        for layer in room
    ]
    shown = [bars(rungs, found, class_="ladder")]
    if rooms:
        shown += [tag("h3", "Where the room is"), bars(rooms, max(x.energy_pj for x in room), class_="rooms")]
    return Figure(
        name="ladder",
        title="The ladder of bounds",
        finding=_finding(reading, heights),
        drawing=tag("div", shown),
        table=_table(reading),
        note="Dark is what each rung adds to the one before." + (" Below, × says how many times its floor a layer takes; the layers are those with most above it." if rooms else ""),
    )


def _finding(reading: Reading, heights: list[float]) -> list[str]:
    compulsory, floor, bound, found = heights
    said = []
    if found <= floor * (1 + 1e-9):
        return ["What was found is the floor itself: no mapping can do better."]
    if found <= bound * (1 + 1e-9):
        said.append("What was found is the bound: no mapping of the space is better.")
    else:
        said.append(f"The search left at most {percent((found - bound) / found)} open.")
    said.append(f"{percent((bound - floor) / found)} lies between bound and floor, where only mappings outside the space, or a tighter floor, could be.")
    above = sorted((x.energy_pj - x.floor_pj for x in reading.estimate.layers), reverse=True)
    total = math.fsum(above)
    if total > 0 and len(above) > 3:
        said.append(f"Three layers hold {percent(math.fsum(above[:3]) / total)} of all that is above the floor.")
    return said


def _table(reading: Reading) -> Table:
    estimate = reading.estimate
    scale = energy_scale([layer.energy_pj for layer in estimate.layers], reading.unit, 4)
    rows = []
    for layer in estimate.layers:
        heights = (layer.compulsory_pj, layer.floor_pj, layer.bound_pj, layer.energy_pj)
        above = layer.energy_pj - layer.floor_pj
        rows.append(
            [
                cell(layer.name),
                *(cell(scale.text(value), value) for value in heights),
                cell(scale.text(above), above),
                cell(times(layer.energy_pj, layer.floor_pj), layer.energy_pj / layer.floor_pj if layer.floor_pj else None),
                cell(percent(layer.gap), layer.gap),
                cell(layer.status),
            ]
        )
    unit = scale.unit
    head = ("layer", f"compulsory {unit}", f"floor {unit}", f"bound {unit}", f"found {unit}", "above floor", "× floor", f"gap of {estimate.objective}", "status")
    return Table(head=head, rows=rows, words=frozenset({8}))
