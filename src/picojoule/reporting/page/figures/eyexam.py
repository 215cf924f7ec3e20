"""Eyexam's waterfall: what becomes of the peak of the array, constraint by constraint, over the network and in each layer."""

from __future__ import annotations

import math

from picojoule.analysis import LayerExplanation
from picojoule.reporting.figures import counted, percent, share
from picojoule.reporting.page.bars import Bar, Part, bars, legend
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, css, joined, tag
from picojoule.reporting.page.reading import Reading

PLACE = 70
_FROM = 2
"""The first step that the peak bounds: the number of PEs."""
_SHADES = ("var(--loss-6)", "var(--loss-5)", "var(--loss-4)", "var(--loss-3)", "var(--loss-2)", "var(--loss-1)")
"""Of the steps from there on: the nearer to what is reached, the darker."""


def figure(reading: Reading) -> Figure | None:
    layers = reading.explanation.layers
    if not layers:
        return None
    names = [step.name for step in layers[0].steps]
    rates = _network(layers)
    peak = rates[_FROM - 1]
    waterfall = _waterfall(names, rates, peak, layers)
    drawn = {layer.name for layer in reading.drawn()[0]}
    chosen = sorted((x for x in layers if x.name in drawn), key=lambda x: -x.latency_cycles)
    rows = [_bar(layer, names) for layer in chosen]
    key = [("reached", "var(--reached)", ""), *((f"lost at {name}", _SHADES[i], "") for i, name in reversed([*enumerate(names[_FROM:])]))]
    return Figure(
        name="eyexam",
        title="Eyexam: what becomes of the peak",
        finding=_finding(names, rates, peak, layers),
        drawing=tag("div", waterfall, tag("h3", "Layer by layer, the longest first"), legend(key), bars(rows, 1.0, class_="full losses")),
        table=_table(layers, names),
        note=_note(layers, reading.unexplained),
    )


def _network(layers: tuple[LayerExplanation, ...]) -> list[float]:
    """MACs per cycle of all layers one after the other: at step 2 the peak of the array, then each step."""
    macs = math.fsum(layer.macs for layer in layers)

    def over(rate: object) -> float:
        pace = rate if callable(rate) else float
        return macs / math.fsum(layer.macs / pace(layer) for layer in layers)

    rates = [over(lambda x: x.roofline.peak_macs_per_cycle)] * _FROM
    for i in range(_FROM, len(layers[0].steps)):
        rates.append(over(lambda x, i=i: min(x.steps[i].macs_per_cycle, x.roofline.peak_macs_per_cycle)))
    return rates


def _waterfall(names: list[str], rates: list[float], peak: float, layers: tuple[LayerExplanation, ...]) -> Markup:
    rows = [_step("peak of the array", 1.0, 0.0, counted(peak, 4), "")]
    for i in range(_FROM, len(names)):
        lost = max(0.0, rates[i - 1] - rates[i]) / peak
        open_ = "" if all(layer.steps[i].exact for layer in layers) else "*"
        rows.append(_step(names[i], rates[i] / peak, lost, counted(rates[i], 4) + open_, f"−{percent(lost)}" if lost > 5e-4 else ""))
    return tag("div", rows, class_="bars full waterfall")


def _step(name: str, kept: float, lost: float, rate: str, said: str) -> Markup:
    pieces = [
        tag("i", class_="kept", style=css(x=0, w=100 * kept), data_tip=f"{name}: {percent(kept)} of the peak"),
        tag("i", class_="lost", style=css(x=100 * kept, w=100 * lost), data_tip=f"lost at {name}: {percent(lost)} of the peak") if lost > 0 else None,
        tag("em", said, style=css(x=100 * (kept + lost)), class_="inside" if kept + lost > 0.86 else None) if said else None,
    ]
    return tag("div", tag("span", name, class_="name"), tag("span", pieces, class_="track"), tag("span", rate, class_="value"), class_="row")


def _bar(layer: LayerExplanation, names: list[str]) -> Bar:
    peak = layer.roofline.peak_macs_per_cycle
    kept = [min(1.0, step.macs_per_cycle / peak) for step in layer.steps]
    losses = [(names[i], max(0.0, (kept[i - 1] if i > _FROM else 1.0) - kept[i]), i) for i in range(_FROM, len(names))]
    reached = kept[-1]
    parts = [Part(size=reached, colour="var(--reached)", tip=f"{layer.name} · {percent(reached)} of the peak is reached")]
    parts += [
        Part(size=lost, colour=_SHADES[i - _FROM], tip=f"{layer.name} · {percent(lost)} lost at {name}. {layer.steps[i].sentence}")
        for name, lost, i in reversed(losses)
    ]
    return Bar(name=layer.name, text=share(reached, 1), parts=parts)


def _finding(names: list[str], rates: list[float], peak: float, layers: tuple[LayerExplanation, ...]) -> list[str]:
    losses = {names[i]: (rates[i - 1] - rates[i]) / peak for i in range(_FROM, len(names))}
    worst = max(losses, key=lambda name: losses[name])
    said = [f"The network runs at {percent(rates[-1] / peak)} of the array's peak."]
    if losses[worst] > 5e-4:
        why = {
            "chosen mapping": "faster mappings may exist: this one was found for another objective, or the bound isn't met",
            "number of PEs": "there is too little work side by side",
            "physical array": "the loops don't fit the sides of the array",
            "storage": "what keeps more PEs busy doesn't fit the memories",
            "average bandwidth": "the ports can't move in time what must move",
            "varying access": "zeros fall unevenly",
        }.get(worst, "")
        said.append(f"Most is lost at “{worst}”, {percent(losses[worst])} of the peak{': ' + why if why else ''}.")
    return said


def _note(layers: tuple[LayerExplanation, ...], unexplained: str) -> Markup:
    said = "Steps 1 and 2, shape and dataflow, stand in the table: they allow more than the array has." + unexplained
    if all(step.exact for layer in layers for step in layer.steps):
        return joined(said)
    return joined(
        [
            f"{said} * is a bound that no mapping exceeds: more may be lost there, and less at the chosen mapping. ",
            tag("code", "picojoule explain RESULT --format json -o FILE"),
            " searches, and ",
            tag("code", "picojoule report RESULT --explanation FILE"),
            " shows what it found; with ",
            tag("code", "--what-ifs quick"),
            " also what would pay.",
        ]
    )


def _table(layers: tuple[LayerExplanation, ...], names: list[str]) -> Table:
    rows = []
    for layer in layers:
        peak = layer.roofline.peak_macs_per_cycle
        cells = [cell(layer.name), cell(counted(layer.latency_cycles), layer.latency_cycles)]
        for i, step in enumerate(layer.steps):
            text = counted(step.macs_per_cycle) if i < _FROM else share(step.macs_per_cycle, peak)
            cells.append(cell(text + ("" if step.exact else "*"), step.macs_per_cycle if i < _FROM else step.macs_per_cycle / peak))
        rows.append([*cells, cell(layer.saturation.stall or "–")])
    return Table(head=("layer", "cycles", *names, "most lost at"), rows=rows, words=frozenset({2 + len(names)}))
