"""The layers of several results side by side, matched by name: what one of them lacks, or has in another shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from picojoule.result import Estimate, LayerEstimate

_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLayer:
    """A layer in each of the results; None where a result lacks it.

    Attributes:
        energies_pj, latencies_cycles: for each result, in its own unit.
        reshaped: it hasn't the same shape in all results that have it.
    """

    name: str
    energies_pj: tuple[float | None, ...]
    latencies_cycles: tuple[float | None, ...]
    reshaped: bool


def compared_layers(estimates: Sequence[Estimate]) -> tuple[ComparedLayer, ...]:
    """Every layer of every result, in the order of the network; one that is new stands behind the layer before it."""
    by_name = [{layer.name: layer for layer in estimate.layers} for estimate in estimates]
    return tuple(_layer(name, [layers.get(name) for layers in by_name]) for name in _in_order(estimates))


def _in_order(estimates: Sequence[Estimate]) -> list[str]:
    order = [layer.name for layer in estimates[0].layers]
    known = set(order)
    for estimate in estimates[1:]:
        place = 0
        for layer in estimate.layers:
            if layer.name in known:
                place = order.index(layer.name) + 1
            else:
                order.insert(place, layer.name)
                known.add(layer.name)
                place += 1
    return order


def _layer(name: str, rows: Sequence[LayerEstimate | None]) -> ComparedLayer:
    shapes = [_shape(row) for row in rows if row is not None]
    return ComparedLayer(
        name=name,
        energies_pj=tuple(None if row is None else row.energy_pj for row in rows),
        latencies_cycles=tuple(None if row is None else row.latency_cycles for row in rows),
        reshaped=any(shape != shapes[0] for shape in shapes),
    )


def _shape(layer: LayerEstimate) -> tuple[Any, ...]:
    window = tuple(None if x is None else tuple(x) for x in (layer.stride, layer.dilation, layer.pad))
    return layer.op, layer.dims, window, layer.moved, layer.macs, layer.runs


def layer_differences(layers: Sequence[ComparedLayer]) -> list[str]:
    """How the versions of the network differ, a sentence each; none where they are all the same network."""
    said = []
    if reshaped := [layer.name for layer in layers if layer.reshaped]:
        said.append(f"shape of {_names(reshaped)}")
    if partly := [layer.name for layer in layers if None in layer.energies_pj]:
        said.append(f"layers: {_names(partly)} not in all of them")
    return said


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
