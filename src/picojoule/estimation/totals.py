"""From the layers to the network: rows, totals and the three figures of the whole."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

from picojoule.estimation.fusion import Fusion
from picojoule.estimation.handover import Met
from picojoule.estimation.layer_costs import LayerCosts
from picojoule.estimation.zeros_effect import Effect, break_even
from picojoule.hardware import Accelerator, accelerator_to_data
from picojoule.result import SCHEMA, Estimate, LayerEstimate
from picojoule.search.costed import SPACES, TIE
from picojoule.workload.coverage import coverage
from picojoule.workload.data_flow import DataFlow, live_bits
from picojoule.workload.nest import TENSORS, Bits
from picojoule.workload.network import Layer, Network
from picojoule.workload.widths import effective_bits
from picojoule.workload.zeros import Zeros


def assemble(
    network: Network,
    widths: list[Bits],
    minded: list[Zeros],
    machine: Accelerator,
    met: list[Met],
    costs: list[LayerCosts],
    batch: int,
    asked: dict[str, int] | None,
    objective: str,
    counting: str,
    factors: str,
    fps: float | None = None,
    fusion: Fusion | None = None,
) -> Estimate:
    rows, first = [], {}
    for i, (layer, bits, zeros, one, cost) in enumerate(zip(network.layers, widths, minded, met, costs, strict=True)):
        same, group = layer.name, fusion.name_of(i) if fusion else None
        if layer.nest and group is None:
            given = str(cost.mapping) if cost.status == "GIVEN" else ""
            same = first.setdefault((layer.nest, bits, zeros, given, layer.repeats, one.machine), layer.name)
        rows.append(_row(layer, bits, cost, one, objective, None if same == layer.name else same, group))
    live = live_bits(network.layers, widths, network.flow)
    if live is not None:
        rows = [replace(row, memory_bytes=bits / 8) for row, bits in zip(rows, live, strict=True)]
    if network.flow is not None and not network.flow.chain:
        rows = [replace(row, reads=names) for row, names in zip(rows, network.flow.reads, strict=True)]
    energy = math.fsum(row.energy_pj for row in rows)
    bound_energy = math.fsum(row.bound_pj for row in rows)
    floor_energy = math.fsum(row.floor_pj for row in rows)
    cycles = math.fsum(row.latency_cycles for row in rows if row.latency_cycles is not None)
    value, bound, least, status = _network_figures(rows, objective, energy, cycles)
    if fusion is not None and status != "INTERRUPTED":
        # What is proved of every piece says nothing of other ways to cut.
        found = fusion.record["status"]
        status = found if found != "PROVED" else status
        if fusion.record["bound"] is not None and found != "PROVED":
            bound = min(bound, fusion.record["bound"])
            least = min(least, bound)
            if objective == "energy":
                bound_energy, floor_energy = bound, least
    joules = machine.unit == "pJ"
    seconds = cycles / machine.clock_hz if joules and machine.clock_hz else None
    moved = [(layer, _least_bits(layer, bits)) for layer, bits in zip(network.layers, widths, strict=True)]
    outermost = machine.levels[0].name
    not_costed = [replace(e, elements=None if e.elements is None else e.elements * batch) for e in network.not_costed]
    effects = [cost.effect for cost in costs if cost.effect is not None]
    return Estimate(
        schema=SCHEMA,
        model=network.name,
        input_shape=network.input_shape,
        hardware=accelerator_to_data(machine),
        batch=batch,
        bits=asdict(effective_bits(asked, None, machine.bits)),
        objective=objective,
        counting=counting,
        space=SPACES[factors],
        value=value,
        bound=bound,
        floor=least,
        gap=_gap(value, bound),
        status=status,
        energy_pj=energy,
        energy_pj_per_inference=energy / batch,
        bound_pj=bound_energy,
        floor_pj=floor_energy,
        latency_cycles=cycles,
        latency_s=seconds,
        throughput_inf_s=batch / seconds if seconds else None,
        edp_pj_s=energy * seconds if seconds is not None else None,
        gops_per_w=2e3 * network.macs / energy if joules and energy else None,
        macs=network.macs,
        params=network.params,
        dram_bytes=sum(access.bits for row in rows for access in row.by if access.level == outermost) / 8,
        weight_bytes=sum(layer.params * bits.weights for layer, bits in zip(network.layers, widths, strict=True)) / 8,
        peak_activation_bytes=None if live is None else max(live) / 8,
        fps=fps,
        power_w=None if fps is None else energy * 1e-12 / batch * fps,
        area_mm2=machine.area_mm2,
        accuracy=None,
        front=None,
        coverage=coverage(moved, not_costed, machine.bits.outputs, machine.vector_energy is not None),
        layers=tuple(rows),
        groups=[] if fusion is None else [group.entry for group in fusion.groups],
        table={
            "name": machine.table_name,
            "source": machine.table_source,
            "unit": machine.unit,
            "node_nm": machine.node_nm,
            "estimated": machine.estimated,
        },
        provenance={},
        data_flow=_data_flow(network.flow),
        sparsity=None,
        zeros_effect=_zeros_effect(effects),
        fusion=None if fusion is None else fusion.record,
    )


def _zeros_effect(effects: list[Effect]) -> dict[str, float] | None:
    if not effects:
        return None
    return {
        "raw_pj": math.fsum(one.raw for one in effects),
        "dense_pj": math.fsum(one.at(1.0) for one in effects),
        "break_even_density": break_even(effects),
    }


def _data_flow(flow: DataFlow | None) -> dict[str, Any] | None:
    """What beside the reads of the layers decides how long a tensor stays in memory."""
    if flow is None:
        return None
    return {"chain": flow.chain, "given": [asdict(tensor) for tensor in flow.given], "outputs": list(flow.outputs)}


def _least_bits(layer: Layer, bits: Bits) -> int:
    """Bits that the operands and the result of a layer hold, each once in every run."""
    if layer.nest is None:
        read = layer.read_elements * bits.inputs + layer.read_weights * bits.weights
        return (read + layer.written_elements * bits.outputs) * layer.repeats
    return sum(layer.nest.elements(t) * bits.of(t) for t in TENSORS) * layer.repeats


def _network_figures(
    rows: list[LayerEstimate], objective: str, energy: float, cycles: float
) -> tuple[float, float, float, str]:
    """``(value, bound, floor, status)``. Energy and latency add up over the layers; their product doesn't."""
    statuses = {row.status for row in rows}
    status = next((s for s in ("INTERRUPTED", "GIVEN", "GAP_OPEN") if s in statuses), "PROVED")
    if objective == "edp":
        bound, least = (
            math.fsum(math.sqrt(figure) for figure in figures) ** 2
            for figures in ([r.bound for r in rows], [r.floor for r in rows])
        )
        value = energy * cycles
        if bound > value * (1 - TIE):  # roots and squares round
            bound = value
        return value, bound, min(least, bound), status if status == "INTERRUPTED" else "PER_LAYER"
    return math.fsum(r.value for r in rows), math.fsum(r.bound for r in rows), math.fsum(r.floor for r in rows), status


def _row(
    layer: Layer, bits: Bits, cost: LayerCosts, met: Met, objective: str, same_as: str | None, group: str | None
) -> LayerEstimate:
    nest, energy = layer.nest, cost.energy
    value, bound, least = cost.value, cost.bound, cost.floor
    if nest is None and objective != "energy":
        value = bound = least = 0.0  # takes no time that the machine models
    widest = max(cost.by, key=lambda access: access.energy_pj)
    return LayerEstimate(
        name=layer.name,
        kind=layer.kind,
        op=layer.op,
        dims=nest.dims if nest else None,
        stride=nest.stride if nest else None,
        dilation=nest.dilation if nest else None,
        pad=nest.pad if nest else None,
        bits=asdict(bits),
        zeros=None,
        macs=layer.macs,
        params=layer.params,
        moved=None if nest else _moved(layer),
        same_as=same_as,
        group=group,
        value=value,
        bound=bound,
        floor=least,
        energy_pj=energy,
        bound_pj=cost.bound_energy,
        floor_pj=cost.floor_energy,
        compulsory_pj=cost.compulsory_energy,
        gap=_gap(value, bound),
        status=cost.status,
        latency_cycles=cost.cycles,
        compute_cycles=cost.compute_cycles,
        latency_bound_cycles=cost.fastest,
        stays=met.stays,
        bound_by=widest.level if widest.tensor == "none" else f"{widest.level} ({widest.tensor})",
        utilization=layer.macs * cost.machine.timed / (cost.cycles * cost.machine.pes) if cost.cycles else None,
        reuse=_reuse(layer, cost) if nest else None,
        mapping=cost.mapping,
        tiles=cost.tiles,
        by=cost.by,
        search=cost.search,
        runs=layer.repeats,
        reads=None,
        memory_bytes=None,
        shared=_shared(layer),
        zeros_effect=_zeros_effect([cost.effect] if cost.effect is not None else []),
    )


def _moved(layer: Layer) -> dict[str, int]:
    figures = {"read": layer.read_elements, "written": layer.written_elements, "vector_ops": layer.vector_ops}
    return {**figures, "weights": layer.read_weights} if layer.read_weights else figures


def _shared(layer: Layer) -> bool:
    """Whether the layer's weights count elsewhere; one that brings as many parameters of its own is none such."""
    return layer.shared and (layer.nest is None or layer.params < layer.nest.elements("weights"))


def _reuse(layer: Layer, cost: LayerCosts) -> dict[str, float]:
    """MACs per element that moves at the home of each tensor; none for one of which nothing moves (all padding)."""
    homes = {(cost.machine.home(t).name, t) for t in TENSORS}
    moved = {a.tensor: a.reads + a.writes + a.updates for a in cost.by if (a.level, a.tensor) in homes}
    return {tensor: layer.macs / elements for tensor, elements in moved.items() if elements}


def _gap(value: float, bound: float) -> float:
    return (value - bound) / value if value else 0.0
