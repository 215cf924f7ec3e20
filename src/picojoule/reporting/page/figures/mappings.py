"""A card for each mapping: the loop nest as nested boxes, and how full it makes every memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from picojoule.analysis import Fill
from picojoule.reporting.figures import percent, share, size
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, css, tag
from picojoule.reporting.page.reading import Reading
from picojoule.result import LayerEstimate

PLACE = 90


def figure(reading: Reading) -> Figure | None:
    cards = _cards(reading)
    if not cards:
        return None
    drawn = {layer.name for layer in reading.drawn()[0]}
    shown = [group for group in cards if any(layer.name in drawn for layer in group)]
    left = len(cards) - len(shown)
    return Figure(
        name="mappings",
        title="How each layer runs",
        finding=_finding(reading, cards),
        drawing=tag("div", [_card(reading, group, open_=i == 0) for i, group in enumerate(shown)], class_="cards"),
        table=_table(reading),
        note="Boxes are memories, in their colours, with the tiles that they hold; chips are loops from outside to inside: K × 4 ▸ 16 cuts "
        "K into 4 chunks of 16, one after the other, and a chip with a border hands the chunks to positions of the array. Layers that run alike share a card."
        + (f" {left} more are in the table." if left else ""),
    )


def _cards(reading: Reading) -> list[list[LayerEstimate]]:
    """Layers of one mapping and shape together, the dearest group first."""
    groups: dict[str, list[LayerEstimate]] = {}
    for layer in reading.estimate.layers:
        nodes = layer.mapping if layer.name in reading.fills else reading.tiles.get(layer.name)
        if nodes:
            groups.setdefault(repr((layer.dims, layer.stride, layer.dilation, layer.bits, nodes)), []).append(layer)
    return sorted(groups.values(), key=lambda group: -sum(layer.energy_pj for layer in group))


def _card(reading: Reading, group: Sequence[LayerEstimate], *, open_: bool) -> Markup:
    first = group[0]
    fills = {(fill.level, fill.tensor): fill for fill in reading.fills.get(first.name, ())}
    others = f"and {len(group) - 1} more" if len(group) > 1 else ""
    energy = sum(layer.energy_pj for layer in group)
    dims = " ".join(f"{d}{n}" for d, n in (first.dims or {}).items() if n > 1)
    tiles = reading.tiles.get(first.name)
    nested = _nest(list(tiles[0]["mapping"] if tiles else first.mapping or ()), reading, fills)
    facts = [
        reading.energy(first.energy_pj) + (" each" if others else ""),
        f"{share(first.utilization or 0.0, 1)} busy",
        first.status,
    ]
    if tiles:
        window = " ".join(f"{d}{n}" for d, n in tiles[0].get("dims", {}).items() if n > 1)
        more = f", beside {len(tiles) - 1} of other sizes" if len(tiles) > 1 else ""
        facts.append(f"fused in {first.group}: a tile of {window}, run {tiles[0].get('count', 1)} times{more}")
    return tag(
        "details",
        tag(
            "summary",
            tag("strong", first.name),
            tag("span", others, class_="more", title=", ".join(layer.name for layer in group)) if others else None,
            tag("span", dims, class_="dims"),
            tag("span", percent(energy / (reading.estimate.energy_pj or 1)), class_="value"),
        ),
        tag("p", " · ".join(facts), class_="note"),
        nested,
        class_="card",
        open=open_,
    )


def _nest(nodes: list[Mapping[str, Any]], reading: Reading, fills: Mapping[tuple[str, str], Fill]) -> Markup:
    """The nodes from the outermost in: keeps open a box, loops stand in it."""
    runs = [(kind, list(run)) for kind, run in groupby(nodes, key=_kind)]
    inner = tag("div", tag("span", "MAC"), class_="mac", style=css(c=reading.colours["mac"]))
    for kind, run in reversed(runs):
        if kind[0] == "keep":
            inner = _box(kind[1], run, reading, fills, inner)
        else:
            inner = Markup(tag("div", [chip for node in run if (chip := _chip(node)) is not None], class_="loops") + inner)
    return tag("div", inner, class_="nest")


def _kind(node: Mapping[str, Any]) -> tuple[str, str]:
    return ("keep", str(node["at"])) if "keep" in node else ("loop", "")


def _chip(node: Mapping[str, Any]) -> Markup | None:
    count, tile = int(node.get("count", 1)), node["tile"]
    if count == 1:
        return None
    chunk = f" ▸ {tile}" if tile != 1 else ""
    if "spread" in node:
        said = f"{count} chunks of {tile} of {node['spread']}, side by side along {node['axis']} of {node['fanout']}"
        return tag("span", tag("small", f"{node['axis']} "), f"{node['spread']} × {count}{chunk}", class_="chip side", title=said)
    return tag("span", f"{node['for']} × {count}{chunk}", class_="chip", title=f"{count} chunks of {tile} of {node['for']}, one after the other")


def _box(level: str, keeps: list[Mapping[str, Any]], reading: Reading, fills: Mapping[tuple[str, str], Fill], inner: Markup) -> Markup:
    tiles = [_tile(level, str(node["keep"]), fills.get((level, str(node["keep"])))) for node in keeps]
    return tag(
        "div",
        tag("div", tag("span", level, class_="level"), tiles, class_="holds"),
        inner,
        class_="box",
        style=css(c=reading.colours.get(level, "#777777")),
    )


def _tile(level: str, tensor: str, fill: Fill | None) -> Markup:
    if fill is None:
        return tag("span", tensor, class_="tile")
    held = size(round(fill.tile_bits))
    if fill.home and fill.usable_bits is None:
        return tag("span", f"{tensor} {held}", class_="tile", title=f"{tensor} live in {level}")
    if fill.usable_bits is None:
        return tag("span", f"{tensor} {held}", class_="tile")
    part = fill.tile_bits / fill.usable_bits
    return tag(
        "span",
        tag("span", tag("i", style=css(w=min(100.0, 100 * part))), class_="fill"),
        f"{tensor} {held}, {share(part, 1)}",
        class_="tile",
        title=f"{held} of {size(fill.usable_bits)} in {level}",
    )


def _finding(reading: Reading, cards: Sequence[Sequence[LayerEstimate]]) -> list[str]:
    layers = sum(len(group) for group in cards)
    said = [f"{layers} layers run in {len(cards)} different ways." if len(cards) < layers else f"Each of {layers} layers runs in a way of its own."]
    full = _fullness(reading)
    if full:
        name = max(full, key=lambda level: full[level])
        least = min(full, key=lambda level: full[level])
        said.append(f"On average {name} is fullest, {percent(full[name])} of its room" + (f", and {least} emptiest, {percent(full[least])}." if least != name else "."))
    return said


def _fullness(reading: Reading) -> dict[str, float]:
    """Share of its room that each limited memory uses, averaged over the layers."""
    found: dict[str, list[float]] = {}
    for fills in reading.fills.values():
        for level, part in _used(fills):
            found.setdefault(level, []).append(part)
    return {level: sum(parts) / len(parts) for level, parts in found.items()}


def _used(fills: Sequence[Fill]) -> Iterator[tuple[str, float]]:
    for level, of in groupby(fills, key=lambda fill: fill.level):
        tiles = list(of)
        room = tiles[0].usable_bits
        if room and not any(fill.home for fill in tiles):
            yield level, sum(fill.tile_bits for fill in tiles) / room


def _table(reading: Reading) -> Table:
    rows = []
    for layer in reading.estimate.layers:
        for fill in reading.fills.get(layer.name, ()):
            part = None if fill.usable_bits is None or fill.home else fill.tile_bits / fill.usable_bits
            rows.append(
                [
                    cell(layer.name),
                    cell(fill.level),
                    cell(fill.tensor),
                    cell(size(round(fill.tile_bits)), fill.tile_bits),
                    cell("unlimited" if fill.usable_bits is None else size(fill.usable_bits), float(fill.usable_bits or 0)),
                    cell("lives here" if part is None else percent(part), part),
                ]
            )
    return Table(head=("layer", "memory", "tensor", "tile", "room of one", "filled"), rows=rows, words=frozenset({1, 2}))
