"""Energy of every layer, stacked by memory level or by data type, as energies or as shares."""

from __future__ import annotations

from collections.abc import Sequence

from picojoule.reporting.figures import energy_scale, percent, size
from picojoule.reporting.page.bars import Bar, Part, bars, choices, legend
from picojoule.reporting.page.figure import Cell, Figure, Table, cell
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.reading import TENSORS, Reading, summed, tensor_name
from picojoule.result import LayerEstimate
from picojoule.units import parse_size_bits

PLACE = 20


def figure(reading: Reading) -> Figure | None:
    estimate = reading.estimate
    scale = energy_scale([layer.energy_pj for layer in estimate.layers], reading.unit, 4)
    one_by_one, others = reading.drawn()
    network = {layer.name: i for i, layer in enumerate(estimate.layers)}
    most = max(layer.energy_pj for layer in one_by_one)

    def stacked(key: str, names: Sequence[str]) -> Markup:
        rows = [_bar(reading, [layer], layer.name, key, names, scale.text(layer.energy_pj), network[layer.name]) for layer in one_by_one]
        if others:
            total = sum(layer.energy_pj for layer in others)
            rows.append(_bar(reading, others, f"{len(others)} others", key, names, scale.text(total), len(network)))
        return bars(rows, max(most, sum(x.energy_pj for x in others)), class_=f"of-{key}")

    drawing = [
        tag(
            "div",
            choices("stack", "Stacked by", [("level", "by memory level"), ("tensor", "by data type")]),
            choices("measure", "Show", [("energy", scale.unit), ("share", "share")]),
            choices("order", "Order", [("largest", "largest first"), ("network", "as in the network")]),
            class_="controls",
        ),
        tag("div", legend(_level_legend(reading)), class_="of-level"),
        tag("div", legend([(tensor_name(t), reading.tensor_colour(t), "") for t in TENSORS]), class_="of-tensor"),
        stacked("level", list(reading.levels)),
        stacked("tensor", TENSORS),
    ]
    return Figure(
        name="energy",
        title="Energy of each layer",
        finding=_finding(reading),
        drawing=tag("div", drawing, class_="energies"),
        table=_table(reading, scale.unit, scale.text),
        note=f"The {len(others)} layers of least energy are drawn together; the table has all {len(network)}." if others else "",
    )


def _bar(reading: Reading, layers: Sequence[LayerEstimate], name: str, key: str, names: Sequence[str], text: str, place: int) -> Bar:
    parts = summed(layers, key)
    whole = sum(parts.values())
    colour = reading.colours.get if key == "level" else reading.tensor_colour
    said = str if key == "level" else tensor_name
    pieces = [
        Part(
            size=parts[part],
            colour=colour(part) or "#777777",
            tip=f"{name} · {said(part)} {reading.energy(parts[part])} · {percent(parts[part] / whole)}",
        )
        for part in names
        if parts.get(part)
    ]
    return Bar(name=name, text=text, parts=pieces, order={"n": place})


def _level_legend(reading: Reading) -> list[tuple[str, str, str]]:
    rooms = {e["level"]: e.get("capacity") for e in reading.estimate.hardware.get("hierarchy", []) if "level" in e}
    return [
        (name, reading.colours[name], size(parse_size_bits(rooms[name])) if rooms.get(name) else "")
        for name in reading.levels
    ]


def _finding(reading: Reading) -> list[str]:
    estimate, total = reading.estimate, reading.estimate.energy_pj
    if not total:
        return ["No layer takes any energy on this machine."]
    half, reached = 0, 0.0
    for layer in reading.largest:
        if reached >= total / 2:
            break
        reached, half = reached + layer.energy_pj, half + 1
    first = reading.largest[0]
    dearest = max(reading.levels, key=lambda name: reading.levels[name])
    tensors = estimate.by_tensor()
    stored = {name: value for name, value in tensors.items() if name != "none"}
    moved = max(stored, key=lambda name: stored[name]) if stored else None
    count = len(estimate.layers)
    said = [
        f"{half} of {count} layers take half of the energy; the largest, {first.name}, takes {percent(first.energy_pj / total)}."
        if count > 1
        else f"There is one layer, {first.name}.",
        f"{'Arithmetic' if dearest == 'mac' else dearest} takes {percent(reading.levels[dearest] / total)} of all energy",
    ]
    said[-1] += f"; moving {moved} takes {percent(stored[moved] / total)}." if moved is not None else "."
    return said


def _table(reading: Reading, unit: str, text: object) -> Table:
    levels = list(reading.levels)
    tensors = [tensor for tensor in TENSORS if tensor in reading.estimate.by_tensor()]
    say = text if callable(text) else str
    rows: list[list[Cell]] = []
    for place, layer in enumerate(reading.estimate.layers):
        by_level, by_tensor = summed([layer], "level"), summed([layer], "tensor")
        rows.append(
            [
                cell(layer.name),
                cell(str(place + 1), place + 1),
                cell(layer.kind),
                cell(f"{layer.macs:,}".replace(",", "\u2009"), layer.macs),
                cell(say(layer.energy_pj), layer.energy_pj),
                cell(percent(layer.energy_pj / (reading.estimate.energy_pj or 1)), layer.energy_pj),
                *(cell(say(by_level.get(name, 0.0)), by_level.get(name, 0.0)) for name in levels),
                *(cell(say(by_tensor.get(name, 0.0)), by_tensor.get(name, 0.0)) for name in tensors if name != "none"),
                cell(layer.bound_by),
            ]
        )
    head = ["layer", "#", "kind", "MACs", f"energy {unit}", "share", *levels, *(t for t in tensors if t != "none"), "bound by"]
    return Table(head=head, rows=rows, words=frozenset({2, len(head) - 1}))
