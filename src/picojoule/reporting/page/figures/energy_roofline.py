"""The roofline of energy: what a MAC costs over the MACs that a bit of DRAM serves."""

from __future__ import annotations

import math

from picojoule.analysis import LayerExplanation
from picojoule.reporting.figures import NONE, percent
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.plot import Line, Point, plot
from picojoule.reporting.page.reading import Reading
from picojoule.units import significant

PLACE = 50


def figure(reading: Reading) -> Figure | None:
    layers = [x for x in reading.explanation.layers if x.energy_roofline.macs_per_dram_bit and x.energy_roofline.pj_per_mac > 0]
    if not layers:
        return None
    names = {layer.name for layer in reading.drawn()[0]}
    rows = {layer.name: layer for layer in reading.estimate.layers}
    points = [
        Point(
            x=layer.energy_roofline.macs_per_dram_bit or 0.0,
            y=layer.energy_roofline.pj_per_mac,
            name=layer.name,
            tip=f"{layer.name} · {significant(layer.energy_roofline.pj_per_mac)} {reading.unit} a MAC, floor "
            f"{significant(layer.energy_roofline.floor_pj_per_mac)} · {significant(layer.energy_roofline.macs_per_dram_bit or 0)} MACs per DRAM bit",
            colour=reading.colours.get(rows[layer.name].bound_by.partition(" ")[0], "#777777"),
            weight=layer.energy_pj / reading.largest[0].energy_pj,
            stem=min(layer.energy_roofline.floor_pj_per_mac, layer.energy_roofline.pj_per_mac) or None,
        )
        for layer in layers
        if layer.name in names
    ]
    if not points:
        return None
    chip, price = _average(layers)
    low, high = min(p.x for p in points) * 0.8, max(p.x for p in points) * 1.25
    ratio = (high / low) ** (1 / 60)
    curve = [(low * ratio**i, chip + price / (low * ratio**i)) for i in range(61)]
    outer = next(iter(reading.levels))
    lines = [Line(points=curve, name="the average chip", at=0.25)]
    if low < price / chip < high:
        lines.append(Line(points=[(price / chip, 1e-9), (price / chip, max(p.y for p in points))], kind="ridge"))
    return Figure(
        name="energy-roofline",
        title="Roofline of energy",
        finding=_finding(reading, layers, outer),
        drawing=plot(points, lines, x=f"MACs per bit of {outer}", y=f"{reading.unit} per MAC"),
        table=_table(reading, layers),
        note=f"The curve is the network's average energy on the chip plus {outer}'s over the intensity; left of the dashed line {outer} takes more than the "
        "chip. A dot's area is the layer's energy, its colour what takes most of it; the line under it leads down to its floor."
        + reading.unexplained,
    )


def _average(layers: list[LayerExplanation]) -> tuple[float, float]:
    macs = math.fsum(layer.macs for layer in layers)
    chip = math.fsum(layer.energy_roofline.on_chip_pj_per_mac * layer.macs for layer in layers) / macs
    bits = math.fsum(layer.macs / (layer.energy_roofline.macs_per_dram_bit or 1) for layer in layers)
    energy = math.fsum((layer.energy_roofline.pj_per_dram_bit or 0) * layer.macs / (layer.energy_roofline.macs_per_dram_bit or 1) for layer in layers)
    return chip, energy / bits


def _finding(reading: Reading, layers: list[LayerExplanation], outer: str) -> list[str]:
    left = [
        x
        for x in layers
        if x.energy_roofline.balance_macs_per_dram_bit is not None
        and (x.energy_roofline.macs_per_dram_bit or 0) < x.energy_roofline.balance_macs_per_dram_bit
    ]
    cheap = min(layers, key=lambda x: x.energy_roofline.pj_per_mac)
    dear = max(layers, key=lambda x: x.energy_roofline.pj_per_mac)
    said = [
        f"A MAC costs from {significant(cheap.energy_roofline.pj_per_mac)} {reading.unit} in {cheap.name} "
        f"to {significant(dear.energy_roofline.pj_per_mac)} in {dear.name}."
    ]
    if left:
        spent = math.fsum(x.energy_pj for x in left) / (reading.estimate.energy_pj or 1)
        said.append(f"In {len(left)} of {len(layers)} layers, {percent(spent)} of the energy, {outer} takes more than all of the chip.")
    else:
        said.append(f"In no layer does {outer} take more than all of the chip.")
    return said


def _table(reading: Reading, layers: list[LayerExplanation]) -> Table:
    def number(value: float | None) -> str:
        return NONE if value is None else significant(value)

    rows = []
    for layer in layers:
        power = layer.energy_roofline
        figures = (
            power.pj_per_mac, power.on_chip_pj_per_mac, power.floor_pj_per_mac, power.macs_per_dram_bit,
            power.compulsory_macs_per_dram_bit, power.balance_macs_per_dram_bit,
            layer.communication.communication_per_compute,
        )  # fmt: skip
        rows.append([cell(layer.name), *(cell(number(value), value) for value in figures)])
    head = (
        "layer", f"{reading.unit}/MAC", "on chip", "floor", "MACs per DRAM bit", "at most", "balance", "communication per compute",
    )  # fmt: skip
    return Table(head=head, rows=rows)
