"""The lines below the table: how good the figure is, what it leaves out, what comes next."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from rich.text import Text

from picojoule.reporting.columns import wrapped
from picojoule.reporting.figures import (
    at_most,
    counted,
    energy,
    grouped,
    layer_scale,
    listing,
    percent,
    printable,
    shortened,
    size,
    times,
    watts,
)
from picojoule.reporting.palette import ATTENTION, BAD, GOOD
from picojoule.result import Estimate, LayerEstimate
from picojoule.units import significant

_NAMED = 3
_SHARES = (("macs", "MACs"), ("bytes", "bytes"))


def honest_lines(estimate: Estimate, width: int, *, detail: bool = False, memory: bool = False) -> list[Text]:
    """Bound and floor, what the search left open, coverage, what is not costed and not priced.

    Args:
        estimate: the result to speak of.
        width: of the terminal in characters.
        detail: say what space was searched, and how far.
        memory: say what room weights and activations need.
    """
    lines = wrapped(
        "bound",
        [Text(f"{value_text(estimate, estimate.bound)}, gap {percent(estimate.gap)}"), *_proofs(estimate)],
        width,
    )
    above = times(estimate.value, estimate.floor)
    lines += wrapped(
        "floor",
        [Text(f"{value_text(estimate, estimate.floor)} for any mapping at all"), Text(f"found {above} the floor")],
        width,
    )
    if estimate.fusion is not None:
        lines += wrapped("fused", _fused(estimate, estimate.fusion), width)
    if estimate.front:
        lines += wrapped("front", _front(estimate), width)
    lines += wrapped("coverage", _coverage(estimate), width)
    unpriced = estimate.coverage.get("vector_ops_not_priced", [])
    if unpriced:
        operations = listing((entry["op"], entry["count"]) for entry in unpriced)
        lines += wrapped("not priced", [Text(f"arithmetic of {operations}: this machine has no energy for it")], width)
    if estimate.power_w is not None:
        lines += wrapped("power", _power(estimate), width)
    beyond = _beyond(estimate)
    if beyond:
        lines += wrapped("widths", [Text(beyond, style=ATTENTION)], width)
    if estimate.zeros_effect is not None:
        lines += wrapped("zeros", _zeros(estimate, estimate.zeros_effect), width)
    if memory or detail:
        lines += wrapped("memory", _memory(estimate), width)
    if estimate.batch > 1:
        each = energy(estimate.energy_pj_per_inference, estimate.table["unit"])
        lines += wrapped("batch", [Text(f"{estimate.batch} inferences"), Text(f"{each} each")], width)
    if estimate.counting != "exact":
        lines += wrapped(
            "counting",
            [Text(f"as {estimate.counting} counts: for comparing, not the exact traffic", style=ATTENTION)],
            width,
        )
    return lines + (_detail(estimate, width) if detail else [])


def _fused(estimate: Estimate, fusion: dict[str, Any]) -> list[Text]:
    """How many layers run in groups, what that spares, and how far the grouping is proved."""
    layers = sum(len(group["layers"]) for group in estimate.groups)
    said = [Text(f"{layers} layers in {len(estimate.groups)} groups" if estimate.groups else "no group costs less than its layers alone")]
    if fusion["unfused"]:
        said.append(Text(f"{percent(1 - estimate.value / fusion['unfused'])} less than without"))
    if fusion["bound"] is not None:
        proved = fusion["status"] == "PROVED"
        said.append(Text("grouping proved best" if proved else "another grouping may be better", style=GOOD if proved else ATTENTION))
    made = sum(group["macs_executed"] for group in estimate.groups)
    wanted = sum(row.macs for row in estimate.layers if row.group is not None)
    if made > wanted:
        said.append(Text(f"{percent(made / wanted - 1)} of their MACs done again"))
    return said


def _front(estimate: Estimate) -> list[Text]:
    """The two ends of what energy and latency trade for each other, and how far the front is proved."""
    points, scale = estimate.front or [], layer_scale(estimate)
    ends = [points[0], points[-1]] if len(points) > 1 else points
    texts = [f"{scale.text(p['energy_pj'])} {scale.unit} at {counted(p['latency_cycles'], 3)} cycles" for p in ends]
    open_by = max(1 - p["bound_pj"] / p["energy_pj"] for p in points)
    proof = "proved" if open_by <= 1e-9 else f"gap at most {percent(open_by)}"
    return [Text(f"{len(points)} points, {' … '.join(texts)}"), Text(proof)]


def value_text(estimate: Estimate, value: float) -> str:
    """A figure of the objective, in the unit of the table above where it is an energy."""
    unit = estimate.table["unit"]
    if estimate.objective == "latency":
        return f"{counted(value, 4)} cycles"
    if estimate.objective == "edp":
        return f"{counted(value, 4)} {unit}·cycles"
    scale = layer_scale(estimate)
    return f"{scale.text(value)} {scale.unit}"


def _proofs(estimate: Estimate) -> list[Text]:
    """How many of the layers that have a mapping were proved optimal, and what became of the others."""
    layers = [layer for layer in estimate.layers if layer.mapping is not None or layer.tiles is not None]
    given = [layer for layer in layers if layer.status == "GIVEN"]
    interrupted = [layer for layer in layers if layer.status == "INTERRUPTED"]
    others = [layer for layer in layers if layer.status not in ("GIVEN", "INTERRUPTED")]
    optimal = [layer for layer in others if layer.status == "PROVED" and layer.gap == 0]
    near = [layer for layer in others if layer.gap > 0 or layer.status != "PROVED"]
    said = [
        Text(
            f"{len(optimal)} of {len(layers)} layers proved optimal", style=GOOD if len(optimal) == len(layers) else ""
        )
    ]
    if near:
        said.append(
            Text(f"{len(near)} within {at_most(max(layer.gap for layer in near))}{_names(near)}", style=ATTENTION)
        )
    if interrupted:
        said.append(Text(f"{len(interrupted)} interrupted{_names(interrupted)}: best found until then", style=BAD))
    if given:
        said.append(Text(f"{len(given)} with the mapping that was given"))
    if estimate.status == "PER_LAYER":
        said.append(Text("each layer's energy × delay is least; that of the network is not their sum"))
    return said


def _names(layers: list[LayerEstimate]) -> str:
    if len(layers) > _NAMED:
        return ""
    return f" ({', '.join(shortened(printable(layer.name), 24) for layer in layers)})"


def _coverage(estimate: Estimate) -> list[Text]:
    coverage = estimate.coverage
    said = [
        Text(
            ", ".join(
                f"{'unknown share' if coverage[of] is None else percent(coverage[of])} of {name}"
                for of, name in _SHARES
            )
        )
    ]
    missing = Counter()
    for entry in coverage["not_costed"]:
        missing[entry["op"]] += entry["count"]
    if missing:
        said.append(Text(f"not costed: {listing(missing.items())}", style=ATTENTION))
    return said


def _power(estimate: Estimate) -> list[Text]:
    """The power of so many inferences a second, and how many machines they take."""
    assert estimate.fps is not None and estimate.power_w is not None
    texts = [Text(f"{watts(estimate.power_w)} at {significant(estimate.fps, 4)} inferences a second, leakage left out")]
    reached = estimate.throughput_inf_s
    if reached is None:
        return [*texts, Text("whether one machine makes them isn't known: no clock")]
    if estimate.fps > reached:
        many = math.ceil(estimate.fps / reached)
        limit = f"one machine makes {significant(reached, 3)} with these mappings: it takes {grouped(many)}"
        return [*texts, Text(limit, style=ATTENTION)]
    return [*texts, Text(f"{percent(estimate.fps / reached)} of what the machine makes")]


def _beyond(estimate: Estimate) -> str:
    """Operands of widths that the law of the MAC's energy is not known for."""
    law = estimate.hardware.get("mac", {}).get("widths")
    if law is None:
        return ""
    used = {layer.bits[tensor] for layer in estimate.layers if layer.dims for tensor in ("weights", "inputs")}
    outside = sorted(width for width in used if not law[0] <= width <= law[1])
    if not outside:
        return ""
    known = f"{law[0]} bit" if law[0] == law[1] else f"{law[0]} to {law[1]} bit"
    return f"operands of {', '.join(map(str, outside))} bit: the table's law of a MAC is for {known}, and goes on as it ended"


def _zeros(estimate: Estimate, effect: dict[str, float]) -> list[Text]:
    """What minding zeros saved or cost, what it would cost without any, and where the two meet."""
    raw, change = effect["raw_pj"], estimate.energy_pj / effect["raw_pj"] - 1
    known = {"given": "of the model", "stated": "as stated"}.get(estimate.sparsity or "", "measured")
    # A machine that minds zeros of inputs spares the products with padding, too, whatever is known of the tensors.
    padded = change != 0 and any(any(layer.pad or ()) for layer in estimate.layers)
    unknown = f"none known, so none assumed{' but the padding' if padded else ''}"
    lead = f"{known if estimate.sparsity else unknown}: "
    said = f"{percent(abs(change))} {'less' if change <= 0 else 'more'} energy than without minding them"
    overhead = effect["dense_pj"] / raw - 1
    texts = [Text(lead + (said if change else "no difference"), style="" if estimate.sparsity else ATTENTION)]
    if overhead > 0:
        texts.append(Text(f"{percent(overhead)} more if there were none"))
        texts.append(Text(f"pays below a density of {percent(effect['break_even_density'])}"))
    return texts


def _memory(estimate: Estimate) -> list[Text]:
    weights = Text(f"weights {size(round(estimate.weight_bytes * 8))}")
    peak = estimate.peak_activation_bytes
    if peak is None:
        return [Text("peak of activations unknown: who reads what can't be told from this model"), weights]
    where = next((layer.name for layer in estimate.layers if layer.memory_bytes == peak), "")
    said = [
        Text(f"activations at most {size(round(peak * 8))}" + (f", at {printable(where)}" if where else "")),
        weights,
    ]
    if (estimate.data_flow or {}).get("chain"):
        said.append(Text("who reads what is not stated, a chain is assumed", style=ATTENTION))
    return said


def _detail(estimate: Estimate, width: int) -> list[Text]:
    search = estimate.provenance.get("search") or {}
    lines = wrapped("space", [Text(estimate.space)], width)
    effort = [Text(f"{grouped(search.get(key, 0))} {key}") for key in ("visited", "pruned") if key in search]
    if search.get("from_cache"):
        effort.append(Text(f"{search['from_cache']} layers from the cache"))
    if "wall_s" in estimate.provenance:
        effort.append(Text(f"{estimate.provenance['wall_s']:.1f} s"))
    return lines + (wrapped("search", effort, width) if effort else [])
