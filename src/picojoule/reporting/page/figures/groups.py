"""Fused groups: chains of layers whose intermediates stay on the chip, where a result has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from picojoule.errors import ResultFileError
from picojoule.reporting.figures import NONE, counted, percent, times
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, css, tag
from picojoule.reporting.page.reading import Reading

PLACE = 85
_HALO = {"none": "the whole map is one tile", "kept": "rows that tiles share are kept", "recomputed": "what tiles share is computed again"}


def figure(reading: Reading) -> Figure | None:
    """Reads ``groups`` of the result; a key that an entry lacks is shown as –."""
    groups = [_checked(group, i) for i, group in enumerate(reading.estimate.groups)]
    if not groups:
        return None
    total = reading.estimate.energy_pj or 1.0
    spent = math.fsum(group["energy_pj"] for group in groups)
    fused = sum(len(group["layers"]) for group in groups)
    again = math.fsum(group.get("macs_executed") or 0 for group in groups)
    said = [f"{fused} layers run fused in {len(groups)} group{'' if len(groups) == 1 else 's'}, with {percent(spent / total)} of the energy."]
    if again > reading.estimate.macs:
        said.append(f"What tiles share costs {percent(again / reading.estimate.macs - 1)} more MACs.")
    unfused = (reading.document.get("fusion") or {}).get("unfused")
    if isinstance(unfused, int | float) and unfused > 0:
        said.append(f"It takes {percent(abs(1 - reading.estimate.value / unfused))} {'less' if reading.estimate.value <= unfused else 'more'} than without fusion.")
    return Figure(
        name="groups",
        title="Fused groups",
        finding=said,
        drawing=tag("div", [_card(reading, group) for group in sorted(groups, key=lambda g: -g["energy_pj"])], class_="groups"),
        table=_table(reading, groups),
        note="What lies between the layers of a group never leaves the memory that it is named with. A group has a floor of its own: fusion "
        "removes traffic that no layer alone can avoid.",
    )


def _checked(group: Any, i: int) -> dict[str, Any]:
    where = f"groups[{i}]"
    if not isinstance(group, Mapping) or not isinstance(group.get("layers"), list):
        raise ResultFileError("a group is a table with a list of layers", where=where)
    if not isinstance(group.get("energy_pj"), int | float):
        raise ResultFileError(f"energy_pj of a group is a number, got {group.get('energy_pj')!r}", where=where)
    return dict(group)


def _card(reading: Reading, group: Mapping[str, Any]) -> Markup:
    at = str(group.get("at", NONE))
    chain = [tag("span", str(name), class_="chip side") for name in group["layers"]]
    tile = group.get("tile") or {}
    facts = [
        f"at {at}",
        f"{group.get('tiles', NONE)} tile{'' if group.get('tiles') == 1 else 's'} of {tile.get('rows', NONE)} × {tile.get('columns', NONE)}",
        _HALO.get(str(group.get("halo")), str(group.get("halo", NONE))),
        f"weights {group.get('weights', NONE)}",
        _floor(group),
    ]
    return tag(
        "div",
        tag("div", _between(chain), class_="chain"),
        tag("p", " · ".join(facts), class_="note"),
        tag("strong", reading.energy(group["energy_pj"]), class_="value"),
        class_="group box",
        style=css(c=reading.colours.get(at, "#777777")),
    )


def _between(chain: Sequence[Markup]) -> list[Markup]:
    arrow = tag("span", "→", class_="more")
    return [piece for one in chain for piece in (arrow, one)][1:]


def _floor(group: Mapping[str, Any]) -> str:
    floor = group.get("floor_pj")
    return f"{times(group['energy_pj'], floor)} its floor" if isinstance(floor, int | float) and floor else "no floor"


def _table(reading: Reading, groups: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for group in groups:
        tile = group.get("tile") or {}
        floor, executed = group.get("floor_pj"), group.get("macs_executed")
        rows.append(
            [
                cell(str(group.get("name", NONE))),
                cell(" → ".join(map(str, group["layers"]))),
                cell(str(group.get("at", NONE))),
                cell(f"{tile.get('rows', NONE)} × {tile.get('columns', NONE)}"),
                cell(str(group.get("tiles", NONE)), group.get("tiles")),
                cell(str(group.get("halo", NONE))),
                cell(str(group.get("weights", NONE))),
                cell(counted(executed), executed),
                cell(reading.energy(group["energy_pj"]), group["energy_pj"]),
                cell(NONE if floor is None else reading.energy(floor), floor),
                cell(counted(group.get("latency_cycles")), group.get("latency_cycles")),
                cell(str(group.get("status", NONE))),
            ]
        )
    head = ("group", "layers", "at", "tile", "tiles", "halo", "weights", "MACs executed", "energy", "floor", "cycles", "status")
    return Table(head=head, rows=rows, words=frozenset({1, 2, 3, 5, 6, 11}))
