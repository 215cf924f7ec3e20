"""The table of an estimate: a row for each layer, for those not shown, and for the total."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from picojoule.reporting import figures
from picojoule.reporting.columns import Column, column, rows, total_width, without_least
from picojoule.reporting.palette import ATTENTION, BAD, colours
from picojoule.reporting.shares import bar, by_place, groups
from picojoule.result import Estimate, LayerEstimate

SORTS: dict[str, Callable[[LayerEstimate], float | str]] = {
    "energy": lambda layer: -layer.energy_pj,
    "name": lambda layer: layer.name,
    "macs": lambda layer: -layer.macs,
    "order": lambda layer: 0,
    "latency": lambda layer: -(layer.latency_cycles or 0.0),
    "gap": lambda layer: -layer.gap,
    "memory": lambda layer: -(layer.memory_bytes or 0.0),
}
"""Orders of the layers; ``order`` is that of the network, and breaks the ties of every other."""

SHOWN_LAYERS = 10
_SHORT_BAR, _LONG_BAR = 6, 24
_ALWAYS = 100


def ordered(layers: Sequence[LayerEstimate], sort: str) -> list[LayerEstimate]:
    """The layers in one of the orders of ``SORTS``."""
    return sorted(layers, key=SORTS[sort])


def table_lines(estimate: Estimate, *, width: int, all_layers: bool, sort: str) -> list[Text]:
    """The table in at most ``width`` characters, if that can be done: what is worth least gives way first."""
    layers = ordered(estimate.layers, sort)
    # A line that says "1 more" is no shorter than the layer itself.
    cut = len(layers) if all_layers or len(layers) <= SHOWN_LAYERS + 1 else SHOWN_LAYERS
    table = [_layer_row(layer) for layer in layers[:cut]]
    if layers[cut:]:
        table.append(_rest_row(layers[cut:]))
    table.append(_total_row(estimate))
    lines = rows(_fitted(estimate, table, width, sort))
    lines[-1].stylize("bold")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What one row of the table says; None leaves a cell empty."""

    name: str
    macs: int
    energy_pj: float
    parts: dict[str, float] | None
    cycles: float | None
    gap: str
    times_floor: str
    utilization: str
    bound_by: str
    memory_bytes: float | None = None
    status: str = ""
    role: str = "layer"


def _layer_row(layer: LayerEstimate) -> _Row:
    return _Row(
        name=figures.printable(layer.name),
        macs=layer.macs,
        energy_pj=layer.energy_pj,
        parts=by_place(layer),
        cycles=layer.latency_cycles,
        gap="given" if layer.status == "GIVEN" else figures.percent(layer.gap).replace(" ", ""),
        times_floor=figures.times(layer.value, layer.floor),
        utilization="" if layer.utilization is None else figures.share(layer.utilization, 1),
        bound_by=figures.printable(layer.bound_by),
        memory_bytes=layer.memory_bytes,
        status=layer.status,
    )


def _rest_row(layers: Sequence[LayerEstimate]) -> _Row:
    cycles = [layer.latency_cycles for layer in layers if layer.latency_cycles is not None]
    return _Row(
        name=f"… {len(layers)} more",
        macs=sum(layer.macs for layer in layers),
        energy_pj=math.fsum(layer.energy_pj for layer in layers),
        parts=None,
        cycles=math.fsum(cycles) if cycles else None,
        gap="",
        times_floor="",
        utilization="",
        bound_by="see --all",
        memory_bytes=max((layer.memory_bytes for layer in layers if layer.memory_bytes is not None), default=None),
        role="rest",
    )


def _total_row(estimate: Estimate) -> _Row:
    return _Row(
        name="total",
        macs=estimate.macs,
        energy_pj=estimate.energy_pj,
        parts=estimate.by_level(),
        cycles=estimate.latency_cycles,
        gap=figures.percent(estimate.gap).replace(" ", ""),
        times_floor=figures.times(estimate.value, estimate.floor),
        utilization="",
        bound_by="",
        memory_bytes=estimate.peak_activation_bytes,
        role="total",
    )


def _fitted(estimate: Estimate, table: Sequence[_Row], width: int, sort: str) -> list[Column]:
    """The columns that fit: those that add least go first, then blanks, then places are put together, then the rest."""
    places = len(estimate.by_level())
    attempts = [(0, 25, 2, 44), (0, 25, 2, 30), (0, 25, 1, 22), (0, 35, 1, 22), (0, 50, 1, 22)]
    attempts += [(fold, 50, 1, 18) for fold in range(2, places - 1)]
    attempts += [(max(0, places - 2), _ALWAYS, 1, 16)]
    for fold, floor, gap, longest in attempts:
        columns = _columns(estimate, table, sort, fold, gap, longest, _SHORT_BAR)
        kept = without_least(columns, width, floor)
        if total_width(kept) <= width:
            break
    spare = width - total_width(kept)
    longer = _columns(estimate, table, sort, fold, gap, longest, min(_LONG_BAR, _SHORT_BAR + max(0, spare)))
    return [column for column, short in zip(longer, columns, strict=True) if any(short is one for one in kept)]


def _columns(
    estimate: Estimate, table: Sequence[_Row], sort: str, fold: int, gap: int, longest: int, bar_width: int
) -> list[Column]:
    colour = colours(estimate.hardware)
    layers = [row for row in table if row.role == "layer"]
    largest = max((row.energy_pj for row in layers), default=0.0)
    scale = figures.layer_scale(estimate)
    levels = list(estimate.by_level())

    def plain(row: _Row) -> str:
        return "dim" if row.role == "rest" else ""

    def texts(head: str, say: Callable[[_Row], str], style: Callable[[_Row], str] = plain, **more: object) -> Column:
        return column(head, [(say(row), style(row)) for row in table], **more)

    bars = tuple(
        bar(row.parts or {}, largest, bar_width, colour, levels) if row.role == "layer" else Text() for row in table
    )
    columns = [
        texts("layer", lambda row: figures.shortened(row.name, longest), right=False, gap=1, worth=_ALWAYS),
        texts("MACs", lambda row: figures.aligned(row.macs), worth=60),
        texts(f"energy {scale.unit}", lambda row: scale.text(row.energy_pj), worth=_ALWAYS),
        Column(head="", cells=bars, right=False, gap=1, worth=30),
    ]
    if sort == "memory":
        live = figures.size_scale([layer.memory_bytes for layer in estimate.layers])
        columns.append(texts(f"live {live.unit}", lambda row: live.text(row.memory_bytes), worth=_ALWAYS))
    for i, (name, members) in enumerate(groups(estimate, fold).items()):
        hue = colour.get(members[0] if len(members) == 1 else "other", "")
        columns.append(texts(name, _share_of(members), gap=gap + (i == 0), worth=_ALWAYS, style_of_head=hue))
    columns.append(_time_column(estimate, texts))
    if any(layer.gap > 0 or layer.status == "GIVEN" for layer in estimate.layers):
        columns.append(texts("gap", lambda row: row.gap, lambda row: _status_style(row) or plain(row), worth=45))
    columns.append(texts("× floor", lambda row: row.times_floor.removesuffix("×"), worth=20))
    if any(layer.utilization is not None for layer in estimate.layers):
        columns.append(texts("busy", lambda row: row.utilization, worth=15))
    columns.append(
        texts(
            "bound by",
            lambda row: row.bound_by,
            lambda row: colour.get(row.bound_by.partition(" (")[0], plain(row)),
            right=False,
            worth=55,
        )
    )
    return columns


def _share_of(members: tuple[str, ...]) -> Callable[[_Row], str]:
    def say(row: _Row) -> str:
        if row.parts is None:
            return ""
        return figures.share(math.fsum(row.parts.get(member, 0.0) for member in members), row.energy_pj)

    return say


def _time_column(estimate: Estimate, texts: Callable[..., Column]) -> Column:
    """Seconds where the machine has a clock, cycles where it has none."""
    worth = 70 if estimate.objective == "latency" else 40
    if estimate.latency_s is not None and estimate.latency_cycles:
        per_cycle = estimate.latency_s / estimate.latency_cycles
        seconds = [
            None if layer.latency_cycles is None else layer.latency_cycles * per_cycle for layer in estimate.layers
        ]
        scale = figures.time_scale(seconds)
        return texts(
            scale.unit, lambda row: scale.text(None if row.cycles is None else row.cycles * per_cycle), worth=worth
        )
    return texts("cycles", lambda row: figures.aligned(row.cycles), worth=worth)


def _status_style(row: _Row) -> str:
    return {"GAP_OPEN": ATTENTION, "INTERRUPTED": BAD}.get(row.status, "")
