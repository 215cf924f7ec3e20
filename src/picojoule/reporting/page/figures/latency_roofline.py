"""The roofline of MACs per cycle: what the array and a port allow, and what each layer reaches."""

from __future__ import annotations

from picojoule.analysis import LayerExplanation
from picojoule.reporting.figures import NONE, counted, percent
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.plot import Line, Point, plot
from picojoule.reporting.page.reading import Reading
from picojoule.units import significant

PLACE = 40
_NEAR = 40
"""Where all layers lie so much to the right of the ridge at most, the ridge is shown, too."""


def figure(reading: Reading) -> Figure | None:
    layers = [layer for layer in reading.explanation.layers if layer.roofline.achieved_macs_per_cycle > 0]
    if not layers:
        return None
    port = _port(reading, layers)
    peak = max(layer.roofline.peak_macs_per_cycle for layer in layers)
    points = [point for layer in _drawn(reading, layers) if (point := _point(reading, layer, port)) is not None]
    if not points:
        return None
    low, high = min(p.x for p in points), max(p.x for p in points)
    about, also = "MACs per bit of DRAM traffic", None
    lines = [Line(points=[(low / 30, peak), (high, peak)], name=f"peak {counted(peak)}")]
    if port is not None:
        level, label, width = port
        ridge = peak / width
        about = f"MACs per bit through {level} {label}"
        lines = [Line(points=_slope(low / 30, min(ridge, high), width), name=f"{counted(width)} bit a cycle", at=0.6)]
        if ridge < high:
            lines.append(Line(points=[(ridge, peak), (high, peak)], name=f"peak {counted(peak)}"))
        also = ridge / 2 if low / _NEAR < ridge < low else None
    return Figure(
        name="latency-roofline",
        title="Roofline of latency",
        finding=_finding(layers),
        drawing=plot(points, lines, x=about, y="MACs per cycle", label=f"Roofline: MACs per cycle over {about}", also=also),
        table=_table(layers),
        note="A dot is a layer, its area the energy, its colour what takes most of that energy. The line above a dot leads to its "
        "tightened roof: what the array, the shape of the layer and the slowest of all ports still allow."
        + ("" if port is not None else " The machine states no bandwidth, so only the array bounds it.")
        + reading.unexplained,
    )


def _slope(low: float, high: float, width: float) -> list[tuple[float, float]]:
    ratio = (high / low) ** (1 / 40)
    return [(low * ratio**i, low * ratio**i * width) for i in range(41)]


def _port(reading: Reading, layers: list[LayerExplanation]) -> tuple[str, str, float] | None:
    """The outermost memory's busiest port, of those with a bandwidth that all layers use."""
    order = [entry["level"] for entry in reading.estimate.hardware.get("hierarchy", []) if "level" in entry]
    for name in order:
        found = {}
        for layer in layers:
            for ceiling in layer.roofline.ceilings:
                if ceiling.level == name:
                    share = layer.roofline.achieved_macs_per_cycle / ceiling.macs_per_cycle * layer.latency_cycles
                    busy, _ = found.get(ceiling.port, (0.0, 0.0))
                    found[ceiling.port] = (busy + share, ceiling.bits_per_cycle)
        if found:
            port = max(found, key=lambda label: found[label][0])
            return name, port, found[port][1]
    return None


def _drawn(reading: Reading, layers: list[LayerExplanation]) -> list[LayerExplanation]:
    names = {layer.name for layer in reading.drawn()[0]}
    return [layer for layer in layers if layer.name in names]


def _point(reading: Reading, layer: LayerExplanation, port: tuple[str, str, float] | None) -> Point | None:
    roof = layer.roofline
    if port is None:
        x = layer.energy_roofline.macs_per_dram_bit
    else:
        x = next((c.macs_per_bit for c in roof.ceilings if (c.level, c.port) == port[:2]), None)
    if x is None:
        return None
    row = next(one for one in reading.estimate.layers if one.name == layer.name)
    place = row.bound_by.partition(" ")[0]
    return Point(
        x=x,
        y=roof.achieved_macs_per_cycle,
        name=layer.name,
        tip=f"{layer.name} · {counted(roof.achieved_macs_per_cycle)} MACs per cycle, {percent(layer.saturation.achieved)} of the peak · "
        f"tightened roof {counted(roof.tightened_macs_per_cycle)}",
        colour=reading.colours.get(place, "#777777"),
        weight=layer.energy_pj / reading.largest[0].energy_pj,
        stem=max(roof.tightened_macs_per_cycle, roof.achieved_macs_per_cycle),
    )


def _finding(layers: list[LayerExplanation]) -> list[str]:
    at_roof = [x for x in layers if x.roofline.achieved_macs_per_cycle >= x.roofline.tightened_macs_per_cycle * (1 - 1e-6)]
    waiting = [x for x in layers if x.saturation.waiting > 1e-6]
    worst = min(layers, key=lambda x: x.saturation.achieved)
    said = [f"{len(at_roof)} of {len(layers)} layers run at their tightened roof."]
    said.append(f"In {len(waiting)} the array waits for a port." if waiting else "In none does the array wait for a port.")
    stall = f": most is lost at “{worst.saturation.stall}”" if worst.saturation.stall else ""
    said.append(f"{worst.name} uses the array least, {percent(worst.saturation.achieved)} of its peak{stall}.")
    return said


def _table(layers: list[LayerExplanation]) -> Table:
    rows = []
    for layer in layers:
        roof, stall = layer.roofline, layer.saturation
        slowest = roof.ceilings[0] if roof.ceilings else None
        rows.append(
            [
                cell(layer.name),
                cell(counted(roof.achieved_macs_per_cycle, 4), roof.achieved_macs_per_cycle),
                cell(counted(roof.tightened_macs_per_cycle, 4), roof.tightened_macs_per_cycle),
                cell(counted(roof.usual_macs_per_cycle, 4), roof.usual_macs_per_cycle),
                cell(counted(roof.peak_macs_per_cycle, 4), roof.peak_macs_per_cycle),
                cell(percent(stall.achieved), stall.achieved),
                cell(NONE if slowest is None else f"{slowest.level} {slowest.port}"),
                cell(NONE if slowest is None else significant(slowest.macs_per_bit), None if slowest is None else slowest.macs_per_bit),
                cell(NONE if stall.waits_for is None else f"{stall.waits_for}, {percent(stall.waiting)}", stall.waiting),
            ]
        )
    head = ("layer", "MACs/cycle", "tightened roof", "usual roof", "peak", "of peak", "slowest port", "MACs per bit there", "waits for")
    return Table(head=head, rows=rows, words=frozenset({6, 8}))
