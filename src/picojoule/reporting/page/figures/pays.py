"""What pays: what one change of the machine, the widths or the batch would save, where an explanation says so."""

from __future__ import annotations

from collections.abc import Sequence

from picojoule.analysis.what_ifs import WhatIf
from picojoule.reporting.figures import counted, percent
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, css, tag
from picojoule.reporting.page.reading import Reading

PLACE = 80
_DRAWN = 24
_SEEN = 0.001
"""Changes of smaller shares would be no more than a line."""
_OBJECTIVES = {"energy": "energy", "latency": "time", "edp": "energy × delay"}


def figure(reading: Reading) -> Figure | None:
    found = reading.explanation.what_ifs
    if not found:
        return None
    aim = _OBJECTIVES.get(reading.estimate.objective, reading.estimate.objective)
    ranked = sorted(found, key=lambda one: -one.pays)
    open_ = any(one.pays_at_most > one.pays + 1e-9 for one in ranked)
    not_asked = reading.explanation.not_asked
    notes = ["Each was solved again; nothing is extrapolated."]
    if open_:
        notes.append("Hatched: what a longer search may still find; no mapping saves more.")
    drawn = [one for one in ranked if max(abs(one.pays), abs(one.pays_at_most)) >= _SEEN]
    drawn = sorted(drawn, key=lambda one: -max(abs(one.pays), abs(one.pays_at_most)))[:_DRAWN]
    if len(drawn) < len(ranked):
        notes.append(f"{len(ranked) - len(drawn)} that change less are not drawn; the table has all {len(ranked)}.")
    if not_asked:
        notes.append(f"Not asked: {'; '.join(f'{one.what}: {one.why}' for one in not_asked)}.")
    return Figure(
        name="pays",
        title="What would pay",
        finding=_finding(ranked, aim, reading),
        drawing=_tornado(drawn, aim) if drawn else tag("p", "None of them changes it by 0.1 %.", class_="note"),
        table=_table(ranked, aim, reading),
        note=" ".join(notes),
    )


def _name(one: WhatIf) -> str:
    return f"{one.what} {one.step}"


def _tornado(drawn: list[WhatIf], aim: str) -> Markup:
    drawn.sort(key=lambda one: -one.pays)
    most = max(0.0, *(max(one.pays, one.pays_at_most) for one in drawn))
    least = min(0.0, *(one.pays for one in drawn))
    width = (most - least) or 1.0
    zero = -100 * least / width
    rows = []
    for one in drawn:
        sure, maybe = 100 * abs(one.pays) / width, 100 * max(0.0, one.pays_at_most - max(0.0, one.pays)) / width
        left = zero if one.pays >= 0 else zero - sure
        said = f"{_name(one)}: {one.before} → {one.after} · {'saves' if one.pays >= 0 else 'costs'} {percent(abs(one.pays))} of the {aim}"
        if one.most_in:
            said += f", most of it in {one.most_in}"
        rows.append(
            tag(
                "div",
                tag("span", _name(one), class_="name", title=_name(one)),
                tag(
                    "span",
                    tag("i", class_="zero", style=css(x=zero)),
                    tag("i", class_="saves" if one.pays >= 0 else "costs", style=css(x=left, w=sure), data_tip=said),
                    tag("i", class_="maybe", style=css(x=zero + max(0.0, 100 * one.pays / width), w=maybe), data_tip=f"{_name(one)}: {percent(one.pays_at_most)} at most")
                    if maybe > 0.05
                    else None,
                    class_="track",
                ),
                tag("span", _signed(one.pays), class_="value"),
                class_="row",
            )
        )
    return tag("div", rows, class_="bars tornado")


def _signed(share: float) -> str:
    if abs(share) < 5e-6:
        return "0 %"
    if abs(share) < 5e-4:
        return "<0.1 %" if share > 0 else "<+0.1 %"
    return f"{'−' if share > 0 else '+'}{percent(abs(share))}"


def _finding(ranked: Sequence[WhatIf], aim: str, reading: Reading) -> list[str]:
    best = ranked[0]
    alone = f"Of {reading.explained_only} alone: " if reading.explained_only else ""
    if best.pays <= 1e-9:
        return [f"{alone}No single change of those that were tried saves any {aim}."]
    said = [f"{alone}{_name(best)} ({best.before} → {best.after}) pays most: {percent(best.pays)} less {aim}."]
    if best.most_in and best.most_share is not None and not reading.explained_only:
        said.append(f"{percent(best.most_share)} of that is saved in {best.most_in}.")
    other = next((one for one in ranked if one.kind != best.kind and one.pays > 1e-9), None)
    if other is not None:
        said.append(f"Of another kind the best is {_name(other)} with {percent(other.pays)}.")
    return said


def _table(ranked: Sequence[WhatIf], aim: str, reading: Reading) -> Table:
    rows = [
        [
            cell(one.what),
            cell(one.step),
            cell(f"{one.before} → {one.after}"),
            cell(_signed(one.pays), one.pays),
            cell(_signed(one.pays_at_most), one.pays_at_most),
            cell(_signed(one.energy_saved), one.energy_saved),
            cell(_signed(one.latency_saved), one.latency_saved),
            cell(reading.energy(one.energy_pj), one.energy_pj),
            cell(counted(one.latency_cycles), one.latency_cycles),
            cell(str(one.layers_better), one.layers_better),
            cell(one.most_in or "–"),
            cell(one.status),
            cell(one.price or "–"),
        ]
        for one in ranked
    ]
    head = ("change of", "step", "from → to", aim, f"{aim} at most", "energy", "cycles", "then takes", "then cycles", "layers better", "most in", "status", "price")
    return Table(head=head, rows=rows, words=frozenset({1, 2, 10, 11, 12}))
