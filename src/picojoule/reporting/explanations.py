"""What ``picojoule explain`` found: on the terminal, as Markdown, CSV and data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, spread, to_text, total_width, without_least, wrapped
from picojoule.reporting.figures import NONE, counted, energy_scale, percent, printable, share, shortened
from picojoule.reporting.palette import ATTENTION
from picojoule.reporting.tables import markdown_table
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.analysis import Explanation, LayerExplanation
    from picojoule.analysis.eyexam.exchange import Exchange
    from picojoule.analysis.eyexam.steps import Step
    from picojoule.analysis.what_ifs import WhatIf

SCHEMA = "picojoule/explanation/1"
CSV_COLUMNS = ("layer", "step", "name", "macs_per_cycle", "loss", "exact")
CSV_FRONT = ("front_of", "point", "latency_cycles", "energy_pj", "bound_pj", "saturation", "spent_pj", "saved_cycles", "cycles_per_pj")
CSV_WHAT_IFS = (
    "kind", "what", "step", "before", "after", "pays", "pays_at_most", "energy_saved", "latency_saved", "value", "bound", "energy_pj",
    "latency_cycles", "status", "layers_better", "most_in", "most_share", "price",
)  # fmt: skip
_ALWAYS = 100
_BAR = 24
_POINTS = 8
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHORT = ("shape", "dataflow", "PEs", "array", "storage", "bandwidth", "varying", "chosen")


def explanation_text(explanation: Explanation, *, width: int, color: bool, detail: bool) -> str:
    """A line for each layer with what is left of the peak after every step; or all about each.

    Args:
        explanation: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
        detail: all about each layer, in place of a line.
    """
    title = Text.assemble((printable(explanation.model), "bold"), f" on {printable(explanation.hardware)}")
    lines = spread(title, Text(f"{_layers(explanation)} · found for {explanation.objective}"), width)
    if detail:
        for layer in explanation.layers:
            lines += [Text(), *_layer_lines(layer, explanation.unit, width)]
    else:
        lines += _overview(explanation, width)
    if explanation.front is not None and not detail:
        lines += [Text(), *_front(explanation.front, explanation.unit, width), Text()]
    if explanation.what_ifs is not None:
        lines += [Text(), *_what_ifs(explanation, width), Text()]
    if explanation.not_examined:
        names = ", ".join(map(printable, explanation.not_examined[:6]))
        more = len(explanation.not_examined) - 6
        lines += wrapped("no loops", [Text(names + (f" and {more} more" if more > 0 else ""))], width)
    return to_text(lines, color=color)


def _layers(explanation: Explanation) -> str:
    count = len(explanation.layers)
    return "1 layer" if count == 1 else f"{count} layers"


def _overview(explanation: Explanation, width: int) -> list[Text]:
    for longest in (32, 24, 16, 12):
        columns = without_least(_columns(explanation, longest), width, _ALWAYS)
        if total_width(columns) <= width:
            break
    note = "MACs per cycle that the best mapping reaches, by constraint; from PEs on in % of the peak; * a bound"
    return [*rows(columns), Text(), *wrapped("steps", [Text(note)], width)]


def _columns(explanation: Explanation, longest: int) -> list[Column]:
    layers = explanation.layers

    def texts(head: str, cells: Sequence[str], **more: Any) -> Column:
        return column(head, [(cell, "") for cell in cells], **more)

    names = [shortened(printable(layer.name), longest) for layer in layers]
    columns = [texts("layer", names, right=False, gap=1, worth=_ALWAYS)]
    columns.append(texts("MACs", [counted(layer.macs) for layer in layers], worth=40))
    for i, head in enumerate(_SHORT):
        cells = [_of_peak(layer, i) if i >= 2 else counted(layer.steps[i].macs_per_cycle) for layer in layers]
        columns.append(texts(head, cells, worth=_ALWAYS if i == 7 else 60 + i if i >= 2 else 30 + i))
    columns += [
        texts("most lost at", [layer.saturation.stall or NONE for layer in layers], right=False, worth=_ALWAYS),
        texts("waits for", [_waits(layer) for layer in layers], right=False, worth=55),
        texts("MACs/DRAM bit", [_number(layer.energy_roofline.macs_per_dram_bit) for layer in layers], worth=45),
        texts(f"{explanation.unit}/MAC", [_number(layer.energy_roofline.pj_per_mac) for layer in layers], worth=50),
    ]
    return columns


def _of_peak(layer: LayerExplanation, index: int) -> str:
    step = layer.steps[index]
    return share(step.macs_per_cycle, layer.roofline.peak_macs_per_cycle) + ("" if step.exact else "*")


def _waits(layer: LayerExplanation) -> str:
    stalled = layer.saturation
    return NONE if stalled.waits_for is None else f"{stalled.waits_for} {share(stalled.waiting, 1)}"


def _number(value: float | None) -> str:
    return NONE if value is None else significant(value, 3)


def _layer_lines(layer: LayerExplanation, unit: str, width: int) -> list[Text]:
    right = f"{counted(layer.macs)} MACs · {counted(layer.latency_cycles)} cycles"
    lines = spread(Text(printable(layer.name), style="bold"), Text(right), width)
    lines += _ladder(layer, width)
    lines.append(Text())
    for label, parts in _paragraphs(layer, unit):
        lines += wrapped(label, [Text(part) for part in parts], width, indent=16)
    if layer.front is not None:
        lines += [Text(), *_front(layer.front, unit, width)]
    return lines


def _front(front: Sequence[Exchange], unit: str, width: int) -> list[Text]:
    """The front in at most ``_POINTS`` points, ends included, from the one of least energy to the fastest."""
    shown = [front[round(i * (len(front) - 1) / (_POINTS - 1))] for i in range(_POINTS)] if len(front) > _POINTS else [*front]
    shown.reverse()
    least = shown[0]
    energies = energy_scale([point.energy_pj for point in shown], unit, 4)
    buys = [
        (before.latency_cycles - point.latency_cycles, point.energy_pj - before.energy_pj)
        for before, point in zip(shown, shown[1:], strict=False)
    ]

    def texts(head: str, cells: Sequence[str], **more: Any) -> Column:
        return column(head, [(cell, "") for cell in cells], **more)

    columns = [
        texts("front", ["least energy", *[""] * (len(shown) - 2), *["fastest"] * (len(shown) > 1)], right=False, gap=1, worth=95),
        texts(f"energy {energies.unit}", [energies.text(point.energy_pj) for point in shown], worth=_ALWAYS),
        texts("cycles", [counted(point.latency_cycles) for point in shown], worth=_ALWAYS),
        texts("of peak", [NONE if p.saturation is None else share(p.saturation, 1) for p in shown], worth=90),
        texts("energy +", [NONE, *(percent(p.energy_pj / least.energy_pj - 1) for p in shown[1:])], worth=50),
        texts("cycles −", [NONE, *(percent(1 - p.latency_cycles / least.latency_cycles) for p in shown[1:])], worth=50),
        texts(f"cycles bought per {energies.unit}", [NONE, *(counted(saved / spent * energies.size) for saved, spent in buys)], worth=80),
    ]
    lines = rows(without_least(columns, width, _ALWAYS))
    if len(shown) < len(front):
        lines += wrapped("", [Text(f"{len(shown)} of {len(front)} points; --format json has all", style="dim")], width)
    return lines


def _what_ifs(explanation: Explanation, width: int) -> list[Text]:
    found = explanation.what_ifs or ()
    paying = [one for one in found if _differs(one)]
    lines = rows(without_least(_what_if_columns(paying, explanation.objective), width, _ALWAYS)) if paying else []
    nothing = list(dict.fromkeys(_named(one) for one in found if not _differs(one)))
    if nothing:
        lines += wrapped("no difference", [Text(", ".join(nothing))], width, indent=16)
    for price, names in _by_price(found).items():
        lines += wrapped("price", [Text(f"{', '.join(names)}: {price}", style="dim")], width, indent=16)
    if any(one.pays_at_most > one.pays + 1e-9 for one in found):
        note = "≥ the search stopped before the proof: it pays so much at least, and at most what --format json has as pays_at_most"
        lines += wrapped("", [Text(note, style=ATTENTION)], width, indent=16)
    for one in explanation.not_asked:
        lines += wrapped("not asked", [Text(f"{printable(one.what)}: {printable(one.why)}", style="dim")], width, indent=16)
    return lines


def _what_if_columns(found: Sequence[WhatIf], objective: str) -> list[Column]:
    def texts(head: str, cells: Sequence[str], **more: Any) -> Column:
        return column(head, [(cell, "") for cell in cells], **more)

    return [
        texts("what if", [printable(one.what) for one in found], right=False, gap=1, worth=_ALWAYS),
        texts("", [one.step for one in found], right=False, worth=_ALWAYS),
        texts("from", [one.before for one in found], worth=40),
        texts("to", [one.after for one in found], worth=40),
        texts(f"{objective} pays", [_pays(one) for one in found], worth=_ALWAYS),
        texts("energy", [_signed(-one.energy_saved) for one in found], worth=90),
        texts("latency", [_signed(-one.latency_saved) for one in found], worth=90),
        texts("layers", [str(one.layers_better) for one in found], worth=50),
        texts("most in", [_most(one) for one in found], right=False, worth=60),
    ]


def _differs(one: WhatIf) -> bool:
    return max(abs(one.pays), abs(one.energy_saved), abs(one.latency_saved)) >= 5e-6


def _named(one: WhatIf) -> str:
    return f"{printable(one.what)} {one.step}"


def _pays(one: WhatIf) -> str:
    return ("≥ " if one.pays_at_most > one.pays + 1e-9 else "") + f"{100 * one.pays:.2f} %".replace("-", "−")


def _signed(part: float) -> str:
    text = f"{100 * part:+.2f} %".replace("-", "−")
    return "0 %" if text[1:] == "0.00 %" else text


def _most(one: WhatIf) -> str:
    return NONE if one.most_in is None or one.most_share is None else f"{shortened(printable(one.most_in), 20)} {share(one.most_share, 1)}"


def _by_price(found: Sequence[WhatIf]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for one in found:
        if one.price:
            named.setdefault(printable(one.price), []).append(_named(one))
    return named


def _ladder(layer: LayerExplanation, width: int) -> list[Text]:
    """A bar for each step, as a share of the peak, with its rate, its loss and its sentence."""
    peak = layer.roofline.peak_macs_per_cycle
    head = Text(f" {'MACs per cycle':>26}  {'':{_BAR}}  lost", style="dim")
    lines = [head]
    for i, step in enumerate(layer.steps):
        number = f"{i + 1}" if i < 7 else " "
        rate = counted(step.macs_per_cycle, 4) + ("" if step.exact else "*")
        bar = _bar(min(1.0, step.macs_per_cycle / peak))
        lost = percent(step.loss) if step.loss > 1e-9 else NONE
        lines.append(Text(f" {number} {step.name:<17} {rate:>9}  {bar}  {lost}"))
        lines += wrapped("", [Text(step.sentence, style="dim")], width, indent=3)
    if not all(step.exact for step in layer.steps):
        lines += wrapped("", [Text("* a bound that no mapping exceeds; the search stopped before the best", style=ATTENTION)], width, indent=3)
    return lines


def _bar(part: float) -> str:
    eighths = round(part * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR)


def _paragraphs(layer: LayerExplanation, unit: str) -> list[tuple[str, list[str]]]:
    roof, power, talk, stall = layer.roofline, layer.energy_roofline, layer.communication, layer.saturation
    saturation = [f"{percent(stall.achieved)} of the peak of {counted(roof.peak_macs_per_cycle, 4)} MACs per cycle"]
    if stall.stall is not None:
        saturation.append(f"most is lost at: {stall.stall} ({percent(stall.lost)} of the peak)")
    if stall.waits_for is not None:
        saturation.append(f"the array waits for {stall.waits_for} in {percent(stall.waiting)} of the cycles")
    roofline = [
        f"usual {counted(roof.usual_macs_per_cycle, 4)}",
        f"tightened {counted(roof.tightened_macs_per_cycle, 4)}",
        f"achieved {counted(roof.achieved_macs_per_cycle, 4)} MACs per cycle",
    ]
    roofline += [
        f"{c.level} {c.port}: {_number(c.macs_per_bit)} MACs/bit × {_number(c.bits_per_cycle)} bit/cycle = {counted(c.macs_per_cycle, 4)}"
        for c in roof.ceilings[:3]
    ]
    energy = [f"{_number(power.pj_per_mac)} {unit}/MAC", f"{_number(power.on_chip_pj_per_mac)} of it on chip"]
    if power.macs_per_dram_bit is not None:
        energy.append(f"{_number(power.macs_per_dram_bit)} MACs per DRAM bit (at most {_number(power.compulsory_macs_per_dram_bit)})")
        energy.append(f"below {_number(power.balance_macs_per_dram_bit)} DRAM would take more than the chip")
    energy.append(f"floor {_number(power.floor_pj_per_mac)} {unit}/MAC")
    communication = [
        f"communication per compute {_number(talk.communication_per_compute)} elements/operation",
        f"compute per communication {_number(talk.compute_per_communication)} operations/element",
    ]
    reuse = [
        f"{r.tensor} {counted(r.at_home)} MACs per access of {r.home} (at most {counted(r.most)} per element)"
        for r in layer.reuse
    ]
    return [
        ("saturation", saturation),
        ("roofline", roofline),
        ("energy", energy),
        ("communication", communication),
        ("reuse", reuse),
    ]


def explanation_markdown(explanation: Explanation) -> str:
    """The table of all layers as a page."""
    head = ["layer", "MACs", *_SHORT, "most lost at", "waits for", "MACs/DRAM bit", f"{explanation.unit}/MAC"]
    head += ["communication per compute", "compute per communication"]
    body = []
    for layer in explanation.layers:
        cells = [counted(layer.steps[i].macs_per_cycle) if i < 2 else _of_peak(layer, i) for i in range(8)]
        power, talk = layer.energy_roofline, layer.communication
        body.append(
            [layer.name, counted(layer.macs), *cells, layer.saturation.stall or NONE, _waits(layer)]
            + [_number(power.macs_per_dram_bit), _number(power.pj_per_mac)]
            + [_number(talk.communication_per_compute), _number(talk.compute_per_communication)]
        )
    title = f"## {printable(explanation.model)} on {printable(explanation.hardware)}"
    note = "Steps of Eyexam: MACs per cycle, from PEs on in % of the peak; * a bound. Communication: elements per operation, and its inverse."
    page = [title, "", *markdown_table(head, body, left=(0, 10, 11)), "", note]
    for whose, front in _fronts(explanation):
        page += ["", f"### What each {explanation.unit} buys: {printable(whose)}", "", *_markdown_front(front, explanation.unit)]
    if explanation.what_ifs is not None:
        page += ["", "### What would pay", "", *_markdown_what_ifs(explanation)]
    return "\n".join(page) + "\n"


def _fronts(explanation: Explanation) -> list[tuple[str, Sequence[Exchange]]]:
    """That of the network first, then those of the layers."""
    whole = [] if explanation.front is None else [(explanation.model, explanation.front)]
    return whole + [(layer.name, layer.front) for layer in explanation.layers if layer.front is not None and layer.same_as is None]


def _markdown_front(front: Sequence[Exchange], unit: str) -> list[str]:
    head = ["latency, cycles", f"energy, {unit}", "of peak", f"{unit} more than the slower one", "cycles fewer", f"cycles per {unit}"]
    body = [
        [counted(p.latency_cycles, 4), significant(p.energy_pj, 6), NONE if p.saturation is None else share(p.saturation, 1)]
        + [_number(p.spent_pj), NONE if p.saved_cycles is None else counted(p.saved_cycles), _number(p.cycles_per_pj)]
        for p in reversed(front)
    ]
    return markdown_table(head, body, left=())


def _markdown_what_ifs(explanation: Explanation) -> list[str]:
    head = ["what if", "step", "from", "to", f"{explanation.objective} pays", "energy", "latency", "layers", "most in", "price"]
    body = [
        [printable(one.what), one.step, one.before, one.after, _pays(one), _signed(-one.energy_saved), _signed(-one.latency_saved)]
        + [str(one.layers_better), _most(one), printable(one.price)]
        for one in explanation.what_ifs or ()
    ]
    lines = markdown_table(head, body, left=(0, 1, 8, 9))
    for one in explanation.not_asked:
        lines += ["", f"Not asked: {printable(one.what)}: {printable(one.why)}."]
    return lines


def explanation_csv(explanation: Explanation) -> str:
    """A row for each layer × step, in full precision; the eighth step is the chosen mapping.

    Fronts and what-ifs, where there are any, follow after an empty line each, under a head of their own.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for layer in explanation.layers:
        writer.writerows(_csv_row(layer.name, i + 1, step) for i, step in enumerate(layer.steps))
    fronts = _fronts(explanation)
    if fronts:
        stream.write("\n")
        writer.writerow(CSV_FRONT)
        for whose, front in fronts:
            writer.writerows([whose, i, *(getattr(p, key) for key in CSV_FRONT[2:])] for i, p in enumerate(front, 1))
    if explanation.what_ifs is not None:
        stream.write("\n")
        writer.writerow(CSV_WHAT_IFS)
        writer.writerows([getattr(one, key) for key in CSV_WHAT_IFS] for one in explanation.what_ifs)
    return stream.getvalue()


def _csv_row(layer: str, number: int, step: Step) -> list[object]:
    return [layer, number, step.name, step.macs_per_cycle, step.loss, str(step.exact).lower()]


def explanation_data(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain data, its schema first."""
    return {"schema": SCHEMA, **asdict(explanation)}
