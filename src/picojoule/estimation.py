"""The main path: a network on a machine, layer by layer, to the one result type.

``estimate`` reads the model and the machine, searches the best mapping of every different layer once, counts what the
mappings move, and lays the figures down as an ``Estimate``.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from picojoule.cost.energy import access_energy, latency_cycles
from picojoule.cost.floor import Floor, floor
from picojoule.cost.timeloop_counting import count_timeloop, timeloop_energy
from picojoule.cost.traffic import Count, Traffic, count_traffic
from picojoule.workload.coverage import coverage
from picojoule.errors import ModelError, NotCostedError, UsageError, nearest
from picojoule.frontends import load_model
from picojoule.hardware import Accelerator, accelerator_to_data, load_hardware
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Mapping as Nesting
from picojoule.mapping.reading import read_mapping_file
from picojoule.result import SCHEMA, Access, Estimate, LayerEstimate, content_hash
from picojoule.search.many import search_layers
from picojoule.search.layer import SPACE, Found, objective_value
from picojoule.search.policy import Exact, Progress
from picojoule.version import __version__
from picojoule.workload.nest import TENSORS, Bits, Nest
from picojoule.workload.network import Layer, Network
from picojoule.workload.widths import BitsRequest, effective_bits, parse_bits

OBJECTIVES = ("energy", "latency", "edp")
COUNTINGS = ("exact", "timeloop")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costs:
    """The figures of one layer before they take the shape of the result."""

    by: tuple[Access, ...]
    value: float
    bound: float
    floor: float
    bound_energy: float
    floor_energy: float
    status: str
    cycles: float | None
    mapping: list[dict[str, Any]] | None
    search: dict[str, int] | None

    @property
    def energy(self) -> float:
        return math.fsum(access.energy_pj for access in self.by)


def estimate(
    model: str | Path | Network,
    *,
    hardware: str | Path | Accelerator,
    bits: BitsRequest = None,
    batch: int = 1,
    objective: str = "energy",
    search: Exact | None = None,
    mapping: str | Path | None = None,
    counting: str = "exact",
    shape: Mapping[str, tuple[int, ...]] | None = None,
    strict: bool = False,
    jobs: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Estimate:
    """Where the energy of a network goes on a machine, with the best mapping of every layer and its proof.

    Args:
        model: a built-in name (``"resnet18"``), an ONNX file, a layer table, or a ``Network``.
        hardware: a machine of the catalogue, a YAML file, or an ``Accelerator``.
        bits: ``8``, ``"weights=4,inputs=8,outputs=8,psums=20"`` or the like as a dict; what is not given comes from the
            model, else from the machine.
        batch: inputs that run together; the totals are for all of them.
        objective: ``energy``, ``latency`` or ``edp`` (their product, minimised per layer).
        search: when the search of a layer stops; by default at the proved optimum or after 20 s.
        mapping: a file with the mappings to use (ours as JSON, a result file, or Timeloop's text); layers that it
            leaves out are searched.
        counting: ``exact``, or ``timeloop`` to count given mappings as Timeloop does, for comparing.
        shape: sizes for the dynamic dimensions of an ONNX file's inputs: ``{"input": (1, 3, 224, 224)}``.
        strict: refuse a network of which some operator is not costed.
        jobs: processes that search layers side by side.
        progress: called as the search goes on.

    Returns:
        An ``Estimate``. After Ctrl-C the layers concerned have status ``INTERRUPTED`` and the best mapping found
        until then.

    Raises:
        UsageError: an unknown name, or an argument that is out of range.
        InputError: the contents of a file are wrong.
        NotCostedError: ``strict`` and something is not costed.

    Example:
        >>> import picojoule
        >>> result = picojoule.estimate("merkel:L1", hardware="eyeriss-normalized")
        >>> result.status
        'PROVED'
    """
    began = (time.perf_counter(), time.process_time())
    _check_choice("objective", objective, OBJECTIVES)
    _check_choice("counting", counting, COUNTINGS)
    for name, value in (("batch", batch), ("jobs", jobs)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"{name} must be a whole number of at least 1, got {value!r}", where=name)
    if counting == "timeloop" and mapping is None:
        raise UsageError(
            "Timeloop's counting is for replaying a mapping",
            where="counting",
            hint="Give the mapping file, too (--mapping FILE).",
        )
    asked = parse_bits(bits)
    machine = hardware if isinstance(hardware, Accelerator) else load_hardware(hardware)
    network = load_model(model, shape=shape)
    if not any(layer.nest for layer in network.layers):
        raise ModelError("nothing to cost: no convolution and no fully connected layer", where=network.name)
    if strict and network.not_costed:
        listed = ", ".join(f"{entry.op} at {entry.where}" for entry in network.not_costed[:5])
        more = f" and {len(network.not_costed) - 5} more" if len(network.not_costed) > 5 else ""
        raise NotCostedError(
            f"not costed: {listed}{more}", where=network.name, hint="Without --strict they are listed under coverage."
        )
    network = network.with_batch(batch)
    widths = [effective_bits(asked, layer.bits, machine.bits) for layer in network.layers]
    given = _given_mappings(mapping, network, machine)
    costs = _cost_layers(network, widths, machine, objective, search or Exact(), given, counting, jobs, progress)
    result = _assemble(network, widths, machine, costs, batch, asked, objective, counting)
    return _sealed(result, began)


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"unknown {name} {value!r}", where=name, hint=nearest(str(value), allowed))


def _given_mappings(path: str | Path | None, network: Network, machine: Accelerator) -> dict[str, Nesting]:
    if path is None:
        return {}
    return read_mapping_file(path, machine, {layer.name: layer.nest for layer in network.layers if layer.nest})


# Costs of the layers --------------------------------------------------------------------------------------------------


def _cost_layers(
    network: Network,
    widths: list[Bits],
    machine: Accelerator,
    objective: str,
    policy: Exact,
    given: dict[str, Nesting],
    counting: str,
    jobs: int,
    progress: Callable[[Progress], None] | None,
) -> list[_Costs]:
    wanted: dict[tuple[Nest, Bits], str] = {}
    for layer, bits in zip(network.layers, widths, strict=True):
        if layer.nest and layer.name not in given:
            wanted.setdefault((layer.nest, bits), layer.name)
    if counting == "timeloop" and wanted:
        raise UsageError(
            f"no mapping for {next(iter(wanted.values()))}",
            where="counting",
            hint="Timeloop's counting needs a mapping for every layer.",
        )
    found = search_layers(wanted, machine, objective, policy, jobs, progress)
    costs = []
    for layer, bits in zip(network.layers, widths, strict=True):
        if layer.nest is None:
            costs.append(_moved(layer, machine, bits))
        elif layer.name in given:
            costs.append(_given(layer.nest, given[layer.name], machine, bits, objective, counting, layer.name))
        else:
            costs.append(_searched(layer.nest, found[layer.nest, bits], machine, bits, objective))
    return costs


def _searched(nest: Nest, found: Found, machine: Accelerator, bits: Bits, objective: str) -> _Costs:
    by = _accesses(found.best.traffic, nest, machine, bits)
    energy = math.fsum(access.energy_pj for access in by)
    proved = found.status == "PROVED"
    value = objective_value(objective, energy, found.best.cycles)
    least = objective_value(objective, found.floor.energy, found.floor.cycles)
    bound_energy = energy if proved and objective == "energy" else found.bound_energy
    return _Costs(
        by=by,
        value=value,
        bound=value if proved else min(found.bound, value),
        floor=min(least, value),
        bound_energy=min(bound_energy, energy),
        floor_energy=min(found.floor.energy, energy),
        status=found.status,
        cycles=found.best.cycles,
        mapping=found.best.mapping.to_data(nest.dims),
        search={"visited": found.visited, "pruned": found.pruned},
    )


def _given(
    nest: Nest, mapping: Nesting, machine: Accelerator, bits: Bits, objective: str, counting: str, name: str
) -> _Costs:
    check_legal(nest, machine, mapping, bits, where=name)
    traffic = count_traffic(nest, machine, mapping, bits)
    cycles, _ = latency_cycles(nest, machine, mapping, traffic, bits)
    least = floor(nest, machine, bits)
    if counting == "timeloop":
        traffic = replace(count_timeloop(nest, machine, mapping, bits), temporal_steps=traffic.temporal_steps)
        energies = timeloop_energy(nest, machine, mapping, traffic)
        by = _accesses(traffic, nest, machine, bits, energies)
        # Timeloop charges less than we do at some places: only the arithmetic is a floor under its rules, too.
        least = Floor(energy=nest.macs * machine.mac.at(bits), cycles=least.cycles)
    else:
        by = _accesses(traffic, nest, machine, bits)
    energy = math.fsum(access.energy_pj for access in by)
    value = objective_value(objective, energy, cycles)
    floor_value = min(objective_value(objective, least.energy, least.cycles), value)
    return _Costs(
        by=by,
        value=value,
        bound=floor_value,
        floor=floor_value,
        bound_energy=min(least.energy, energy),
        floor_energy=min(least.energy, energy),
        status="GIVEN",
        cycles=cycles,
        mapping=mapping.to_data(nest.dims),
        search=None,
    )


def _accesses(
    traffic: Traffic,
    nest: Nest,
    machine: Accelerator,
    bits: Bits,
    energies: Mapping[tuple[str, str], float] | None = None,
) -> tuple[Access, ...]:
    rows = [
        Access(
            level=count.level,
            tensor=count.tensor,
            energy_pj=access_energy(machine.level(count.level), count, bits)
            if energies is None
            else energies[count.level, count.tensor],
            reads=count.reads,
            writes=count.writes,
            updates=count.updates,
            bits=count.bits,
        )
        for count in traffic.counts
    ]
    mac = nest.macs * machine.mac.at(bits)
    return (*rows, Access(level="mac", tensor="none", energy_pj=mac, reads=nest.macs, writes=0, updates=0, bits=0))


def _moved(layer: Layer, machine: Accelerator, bits: Bits) -> _Costs:
    """A layer without nest: its operands from the home of the inputs, its result to the home of the outputs."""
    source, target = machine.home("inputs"), machine.home("outputs")
    counts = (
        Count(level=source.name, tensor="inputs", reads=layer.read_elements, writes=0, updates=0, bits=layer.read_elements * bits.inputs),
        Count(
            level=target.name, tensor="outputs", reads=0, writes=0, updates=layer.written_elements,
            bits=layer.written_elements * bits.outputs, final_updates=layer.written_elements,
        ),
    )  # fmt: skip
    rows = [
        Access(
            level=count.level,
            tensor=count.tensor,
            energy_pj=access_energy(machine.level(count.level), count, bits),
            reads=count.reads,
            writes=count.writes,
            updates=count.updates,
            bits=count.bits,
        )
        for count in counts
    ]
    if machine.vector_energy is not None and layer.vector_ops:
        energy = layer.vector_ops * machine.vector_energy
        rows.append(
            Access(level="vector", tensor="none", energy_pj=energy, reads=layer.vector_ops, writes=0, updates=0, bits=0)
        )
    energy = math.fsum(row.energy_pj for row in rows)
    return _Costs(
        by=tuple(rows), value=energy, bound=energy, floor=energy, bound_energy=energy, floor_energy=energy, status="PROVED",
        cycles=None, mapping=None, search=None,
    )  # fmt: skip


# The result
# -------------------------------------------------------------------------------------------------------------


def _assemble(
    network: Network,
    widths: list[Bits],
    machine: Accelerator,
    costs: list[_Costs],
    batch: int,
    asked: dict[str, int] | None,
    objective: str,
    counting: str,
) -> Estimate:
    rows, first = [], {}
    for layer, bits, cost in zip(network.layers, widths, costs, strict=True):
        same = (
            first.setdefault((layer.nest, bits, cost.status == "GIVEN" and str(cost.mapping)), layer.name)
            if layer.nest
            else layer.name
        )
        rows.append(_row(layer, bits, cost, machine, objective, None if same == layer.name else same))
    energy = math.fsum(row.energy_pj for row in rows)
    bound_energy = math.fsum(row.bound_pj for row in rows)
    floor_energy = math.fsum(row.floor_pj for row in rows)
    cycles = math.fsum(row.latency_cycles for row in rows if row.latency_cycles is not None)
    value, bound, least, status = _network_figures(rows, objective, energy, cycles)
    joules = machine.unit == "pJ"
    seconds = cycles / machine.clock_hz if joules and machine.clock_hz else None
    moved = [
        (layer, sum(layer.nest.elements(t) * bits.of(t) for t in TENSORS) if layer.nest else layer.read_elements * bits.inputs + layer.written_elements * bits.outputs)
        for layer, bits in zip(network.layers, widths, strict=True)
    ]  # fmt: skip
    outermost = machine.levels[0].name
    not_costed = [replace(e, elements=None if e.elements is None else e.elements * batch) for e in network.not_costed]
    return Estimate(
        schema=SCHEMA,
        model=network.name,
        input_shape=network.input_shape,
        hardware=accelerator_to_data(machine),
        batch=batch,
        bits=asdict(effective_bits(asked, None, machine.bits)),
        objective=objective,
        counting=counting,
        space=SPACE,
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
        peak_activation_bytes=None,
        fps=None,
        power_w=None,
        area_mm2=machine.area_mm2,
        accuracy=None,
        front=None,
        coverage=coverage(moved, not_costed, machine.bits.outputs, machine.vector_energy is not None),
        layers=tuple(rows),
        groups=[],
        table={
            "name": machine.table_name,
            "source": machine.table_source,
            "unit": machine.unit,
            "node_nm": machine.node_nm,
        },
        provenance={},
    )


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
        bound = min(bound, value)
        return value, bound, min(least, bound), status if status == "INTERRUPTED" else "PER_LAYER"
    return math.fsum(r.value for r in rows), math.fsum(r.bound for r in rows), math.fsum(r.floor for r in rows), status


def _row(
    layer: Layer, bits: Bits, cost: _Costs, machine: Accelerator, objective: str, same_as: str | None
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
        moved=None
        if nest
        else {"read": layer.read_elements, "written": layer.written_elements, "vector_ops": layer.vector_ops},
        same_as=same_as,
        group=None,
        value=value,
        bound=bound,
        floor=least,
        energy_pj=energy,
        bound_pj=cost.bound_energy,
        floor_pj=cost.floor_energy,
        compulsory_pj=cost.floor_energy,
        gap=_gap(value, bound),
        status=cost.status,
        latency_cycles=cost.cycles,
        bound_by=widest.level if widest.tensor == "none" else f"{widest.level} ({widest.tensor})",
        utilization=layer.macs / (cost.cycles * machine.pes) if cost.cycles else None,
        reuse=_reuse(layer, cost, machine) if nest else None,
        mapping=cost.mapping,
        by=cost.by,
        search=cost.search,
    )


def _reuse(layer: Layer, cost: _Costs, machine: Accelerator) -> dict[str, float]:
    """MACs per element that moves at the home of each tensor."""
    homes = {(machine.home(t).name, t) for t in TENSORS}
    return {a.tensor: layer.macs / (a.reads + a.writes + a.updates) for a in cost.by if (a.level, a.tensor) in homes}


def _gap(value: float, bound: float) -> float:
    return (value - bound) / value if value else 0.0


def _sealed(result: Estimate, began: tuple[float, float]) -> Estimate:
    """The result with its provenance, and the hash of all else."""
    searched = [row.search for row in result.layers if row.search and row.same_as is None]
    provenance = {
        "version": __version__,
        "command": _command(),
        "seed": None,
        "samples": None,
        "content_hash": "",
        "wall_s": time.perf_counter() - began[0],
        "cpu_s": time.process_time() - began[1],
        "search": {key: sum(entry[key] for entry in searched) for key in ("visited", "pruned")},
    }
    unsealed = replace(result, provenance=provenance)
    digest = content_hash(json.loads(unsealed.to_json()))
    return replace(unsealed, provenance={**provenance, "content_hash": digest})


def _command() -> str:
    """The command line if picojoule runs as a command; a caller's own command line is not ours to keep."""
    if os.path.basename(sys.argv[0] if sys.argv else "") == "picojoule":
        return shlex.join(["picojoule", *sys.argv[1:]])
    return "picojoule.estimate"
