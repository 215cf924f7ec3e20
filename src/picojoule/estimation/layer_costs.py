"""What one layer costs: searched, with a mapping of the user's, or a layer that only moves data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from picojoule.cost.energy import access_energy, latency_cycles
from picojoule.cost.floor import Floor, floor
from picojoule.cost.timeloop_counting import count_timeloop, timeloop_energy
from picojoule.cost.traffic import Count, Traffic, count_traffic
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Mapping as Nesting
from picojoule.result import Access
from picojoule.search.costed import Found, objective_value
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.network import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCosts:
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


def searched(nest: Nest, found: Found, machine: Accelerator, bits: Bits, objective: str) -> LayerCosts:
    by = _accesses(found.best.traffic, nest, machine, bits)
    energy = math.fsum(access.energy_pj for access in by)
    proved = found.status == "PROVED"
    value = objective_value(objective, energy, found.best.cycles)
    least = objective_value(objective, found.floor.energy, found.floor.cycles)
    bound_energy = energy if proved and objective == "energy" else found.bound_energy
    return LayerCosts(
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


def given_mapping(
    nest: Nest, mapping: Nesting, machine: Accelerator, bits: Bits, objective: str, counting: str, name: str
) -> LayerCosts:
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
    return LayerCosts(
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


def moved(layer: Layer, machine: Accelerator, bits: Bits) -> LayerCosts:
    """A layer without nest: its operands from the home of the inputs, its result to the home of the outputs.

    Parameters that it reads come from the home of the weights.
    """
    source, target = machine.home("inputs").name, machine.home("outputs").name
    read, written = layer.read_elements, layer.written_elements
    counts = (
        *_gathered(machine.home("weights").name, layer.read_weights, bits),
        Count(level=source, tensor="inputs", reads=read, writes=0, updates=0, bits=read * bits.inputs),
        Count(
            level=target,
            tensor="outputs",
            reads=0,
            writes=0,
            updates=written,
            bits=written * bits.outputs,
            final_updates=written,
        ),
    )
    rows = [_access(count, access_energy(machine.level(count.level), count, bits)) for count in counts]
    if machine.vector_energy is not None and layer.vector_ops:
        rows.append(_operations("vector", layer.vector_ops, layer.vector_ops * machine.vector_energy))
    energy = math.fsum(row.energy_pj for row in rows)
    return LayerCosts(
        by=tuple(rows),
        value=energy,
        bound=energy,
        floor=energy,
        bound_energy=energy,
        floor_energy=energy,
        status="PROVED",
        cycles=None,
        mapping=None,
        search=None,
    )


def repeated(
    once: LayerCosts, layer: Layer, machine: Accelerator, bits: Bits, objective: str, counting: str
) -> LayerCosts:
    """The figures of a layer that runs several times, one run after the other, from those of one run.

    Each run is searched on its own. The floor holds for any way to run them: it has the weights fetched once, as if the
    runs were a batch.
    """
    times = layer.repeats
    if times == 1:
        return once
    by = tuple(
        replace(
            access,
            energy_pj=access.energy_pj * times,
            **{key: getattr(access, key) * times for key in ("reads", "writes", "updates", "bits")},
        )
        for access in once.by
    )
    energy = math.fsum(access.energy_pj for access in by)
    cycles = None if once.cycles is None else once.cycles * times
    value = energy if cycles is None else objective_value(objective, energy, cycles)
    if layer.nest is None:
        least = Floor(energy=energy, cycles=0.0)
    else:
        least = floor(replace(layer.nest, N=layer.nest.N * times), machine, bits)
        if counting == "timeloop":
            least = replace(least, energy=layer.macs * machine.mac.at(bits))
    floor_energy = min(least.energy, energy)
    floor_value = value if layer.nest is None else min(objective_value(objective, least.energy, least.cycles), value)
    if once.status == "GIVEN":
        bound, bound_energy = floor_value, floor_energy
    else:
        # Energies and cycles grow with the runs, the product of the two with their square.
        growth = times**2 if objective == "edp" else times
        bound = value if once.bound == once.value else max(min(once.bound * growth, value), floor_value)
        found = once.bound_energy == once.energy
        bound_energy = energy if found else max(min(once.bound_energy * times, energy), floor_energy)
    return replace(
        once,
        by=by,
        value=value,
        bound=bound,
        floor=floor_value,
        bound_energy=bound_energy,
        floor_energy=floor_energy,
        cycles=cycles,
    )


def _gathered(level: str, elements: int, bits: Bits) -> tuple[Count, ...]:
    if not elements:
        return ()
    moved_bits = elements * bits.weights
    return (Count(level=level, tensor="weights", reads=elements, writes=0, updates=0, bits=moved_bits),)


def _accesses(
    traffic: Traffic,
    nest: Nest,
    machine: Accelerator,
    bits: Bits,
    energies: Mapping[tuple[str, str], float] | None = None,
) -> tuple[Access, ...]:
    """The counts with their energies (ours, unless others are given) and the arithmetic."""
    if energies is None:
        energies = {(c.level, c.tensor): access_energy(machine.level(c.level), c, bits) for c in traffic.counts}
    rows = [_access(count, energies[count.level, count.tensor]) for count in traffic.counts]
    return (*rows, _operations("mac", nest.macs, nest.macs * machine.mac.at(bits)))


def _access(count: Count, energy: float) -> Access:
    return Access(
        level=count.level,
        tensor=count.tensor,
        energy_pj=energy,
        reads=count.reads,
        writes=count.writes,
        updates=count.updates,
        bits=count.bits,
    )


def _operations(unit: str, count: int, energy: float) -> Access:
    return Access(level=unit, tensor="none", energy_pj=energy, reads=count, writes=0, updates=0, bits=0)
