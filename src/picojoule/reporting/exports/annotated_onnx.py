"""The ONNX file that a result is of, with where its energy goes noted at every node (``metadata_props``, as Netron shows them)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picojoule.analysis.subjects import read_subject
from picojoule.errors import UsageError
from picojoule.frontends import parse_shape
from picojoule.frontends.onnx_annotation import annotate, layers_by_output
from picojoule.reporting.exports.target import Option, Source, Target, one_of
from picojoule.reporting.figures import energy, percent, share
from picojoule.result import Estimate, LayerEstimate


def _write(sources: tuple[Source, ...], output: Path, *, model: Any = None, shape: Any = ()) -> str:
    estimate, _ = read_subject(one_of(sources))
    if model is None:
        raise UsageError("which ONNX file is the result of?", where="model", hint="Name it: --model FILE.onnx")
    sizes = shape if isinstance(shape, Mapping) else {name: size for one in shape for name, size in one.items()}
    nodes = layers_by_output(Path(model), shape=sizes or None)
    _check_same(estimate, nodes, Path(model))
    at: dict[str, list[LayerEstimate]] = {}
    for layer in estimate.layers:
        at.setdefault(nodes[layer.name][0], []).append(layer)
    notes = {tensor: _notes(layers, estimate) for tensor, layers in at.items()}
    elsewhere = annotate(Path(model), output, notes, _about(estimate))
    placed = len(notes) - len(elsewhere)
    more = f", {len(elsewhere)} inside local functions stand in the model's own notes" if elsewhere else ""
    return f"{placed} nodes with notes{more}"


def _check_same(estimate: Estimate, nodes: Mapping[str, Any], model: Path) -> None:
    mine, theirs = [layer.name for layer in estimate.layers], set(nodes)
    missing = next((name for name in mine if name not in theirs), None) or next(
        (n for n in nodes if n not in set(mine)), None
    )
    if missing is not None:
        whose = "the result" if missing in mine else str(model)
        raise UsageError(
            f"the result is not of this model: {whose} alone has the layer {missing}",
            where=f"--model {model}",
            hint="Name the file that was estimated, with the same --shape.",
        )


def _notes(layers: Sequence[LayerEstimate], estimate: Estimate) -> dict[str, str]:
    """All layers of a node together; figures in full precision, and for people in one line."""
    unit, whole = str(estimate.table["unit"]), math.fsum(layer.energy_pj for layer in layers)
    cycles = [layer.latency_cycles for layer in layers]
    largest = max(layers, key=lambda layer: layer.energy_pj)
    notes = {
        "layer": ", ".join(layer.name for layer in layers),
        "energy": f"{energy(whole, unit)}, {percent(whole / estimate.energy_pj) if estimate.energy_pj else '0 %'} of the network",
        "goes_to": _places(layers, whole),
        "bound_by": largest.bound_by,
        "status": ", ".join(dict.fromkeys(layer.status for layer in layers)),
        "energy_pj": repr(whole),
        "bound_pj": repr(math.fsum(layer.bound_pj for layer in layers)),
        "floor_pj": repr(math.fsum(layer.floor_pj for layer in layers)),
        "macs": str(sum(layer.macs for layer in layers)),
    }
    if None not in cycles:
        notes["latency_cycles"] = repr(math.fsum(x for x in cycles if x is not None))
    if len(layers) == 1 and largest.utilization is not None:
        notes["utilization"] = repr(largest.utilization)
    return notes if unit == "pJ" else notes | {"unit": unit}


def _places(layers: Sequence[LayerEstimate], whole: float) -> str:
    parts: dict[str, list[float]] = {}
    for layer in layers:
        for access in layer.by:
            parts.setdefault(access.level, []).append(access.energy_pj)
    return ", ".join(f"{level} {share(math.fsum(each), whole)}" for level, each in parts.items())


def _about(estimate: Estimate) -> dict[str, str]:
    unit = str(estimate.table["unit"])
    about = {
        "hardware": str(estimate.hardware["name"]),
        "table": str(estimate.table["name"]),
        "unit": unit,
        "batch": str(estimate.batch),
        "objective": estimate.objective,
        "energy": f"{energy(estimate.energy_pj, unit)}, floor {energy(estimate.floor_pj, unit)}",
        "energy_pj": repr(estimate.energy_pj),
        "bound_pj": repr(estimate.bound_pj),
        "floor_pj": repr(estimate.floor_pj),
        "version": str(estimate.provenance.get("version") or ""),
        "content_hash": str(estimate.provenance.get("content_hash") or ""),
    }
    return {key: value for key, value in about.items() if value}


TARGET = Target(
    name="onnx",
    meaning="The ONNX file of the result, with energy and what binds it noted at every node; else as it was.",
    options=(
        Option(name="model", metavar="FILE", path=True, help="The ONNX file that was estimated."),
        Option(
            name="shape",
            metavar="NAME=1x3x224x224",
            parse=parse_shape,
            several=True,
            help="Size of an input that the file leaves open, as it was estimated.",
        ),
    ),
    write=_write,
)
