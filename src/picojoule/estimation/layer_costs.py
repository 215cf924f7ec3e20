"""What one layer costs: searched, with a mapping of the user's, or a layer that only moves data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from picojoule.cost.energy import (
    access_energy,
    compute_cycles,
    latency_cycles,
    link_bits,
    link_metadata_bits,
    moved_bits,
)
from picojoule.cost.floor import Floor, floor
from picojoule.cost.timeloop_counting import count_timeloop, timeloop_energy
from picojoule.cost.suited import suited
from picojoule.cost.traffic import Count, Traffic, count_traffic
from picojoule.cost.zeros import priced
from picojoule.errors import PicojouleError
from picojoule.estimation.zeros_effect import Effect, effect
from picojoule.hardware.accelerator import Accelerator, Level, Link
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Mapping as Nesting
from picojoule.result import Access, Estimate
from picojoule.search.costed import Found, objective_value
from picojoule.search.many import Key
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.network import Layer
from picojoule.workload.zeros import Zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCosts:
    """The figures of one layer before they take the shape of the result.

    ``machine`` is what the layer met, with what zeros spare there; ``effect`` that of zeros, on a machine that minds them.
    ``compute_cycles`` are those of the MACs alone, had they never to wait for a memory. ``tiles``: of a layer in a group, the
    nests that it runs in place of its own. ``fastest``: no mapping of the optimum takes fewer cycles; None where nothing was searched.
    """

    by: tuple[Access, ...]
    value: float
    bound: float
    floor: float
    bound_energy: float
    floor_energy: float
    compulsory_energy: float
    status: str
    cycles: float | None
    mapping: list[dict[str, Any]] | None
    search: dict[str, int] | None
    machine: Accelerator
    compute_cycles: float | None = None
    effect: Effect | None = None
    tiles: list[dict[str, Any]] | None = None
    fastest: float | None = None

    @property
    def energy(self) -> float:
        return math.fsum(access.energy_pj for access in self.by)


def searched(key: Key, found: Found, declared: Accelerator, objective: str) -> LayerCosts:
    nest, bits, zeros = key
    declared = suited(declared, nest, bits)
    machine = priced(declared, nest, bits, zeros)
    by = accesses(found.best.traffic, nest, machine, declared, bits)
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
        compulsory_energy=min(found.floor.compulsory, energy),
        status=found.status,
        cycles=found.best.cycles,
        mapping=found.best.mapping.to_data(nest.dims),
        search={"visited": found.visited, "pruned": found.pruned},
        machine=machine,
        compute_cycles=compute_cycles(nest, machine, found.best.mapping, found.best.traffic),
        effect=layer_effect(declared, nest, bits, found.best.traffic.counts),
        fastest=found.fastest,
    )


def better_known(
    once: LayerCosts, key: Key, mapping: Nesting, declared: Accelerator, objective: str, name: str
) -> LayerCosts:
    """What was searched, or the mapping that is known, if the search was cut short and ended above it."""
    if once.status == "PROVED":
        return once
    try:
        known = given_mapping(key, mapping, declared, objective, "exact", name)
    except PicojouleError:  # of a layer of another shape, or too large at these bits
        return once
    if known.value >= once.value:
        return once
    return replace(
        known,
        bound=min(once.bound, known.value),
        floor=min(once.floor, known.value),
        bound_energy=min(once.bound_energy, known.energy),
        status=once.status,
        search=once.search,
    )


def mappings_of(estimate: Estimate | None) -> dict[str, Nesting]:
    """The mappings of an estimate, if there is one, by the names of its layers."""
    if estimate is None:
        return {}
    mapped = {row.name: row.mapping for row in estimate.layers if row.mapping}
    named = ((row.name, row.same_as or row.name) for row in estimate.layers)
    return {name: Nesting.from_data(mapped[own]) for name, own in named if own in mapped}


def given_mapping(
    key: Key, mapping: Nesting, declared: Accelerator, objective: str, counting: str, name: str
) -> LayerCosts:
    nest, bits, zeros = key
    declared = suited(declared, nest, bits)
    machine = declared if counting == "timeloop" else priced(declared, nest, bits, zeros)
    check_legal(nest, machine, mapping, bits, where=name)
    traffic = count_traffic(nest, machine, mapping, bits)
    cycles, _ = latency_cycles(nest, machine, mapping, traffic, bits)
    least = floor(nest, machine, bits)
    if counting == "timeloop":
        traffic = replace(count_timeloop(nest, machine, mapping, bits), temporal_steps=traffic.temporal_steps)
        energies = timeloop_energy(nest, machine, mapping, traffic)
        by = accesses(traffic, nest, machine, machine, bits, energies)
        # Timeloop charges less than we do at some places: only the arithmetic is a floor under its rules, too.
        arithmetic = nest.macs * machine.mac.at(bits)
        least = replace(least, energy=arithmetic, compulsory=arithmetic)
    else:
        by = accesses(traffic, nest, machine, declared, bits)
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
        compulsory_energy=min(least.compulsory, energy),
        status="GIVEN",
        cycles=cycles,
        mapping=mapping.to_data(nest.dims),
        search=None,
        machine=machine,
        compute_cycles=compute_cycles(nest, machine, mapping, traffic),
        effect=None if counting == "timeloop" else layer_effect(declared, nest, bits, traffic.counts),
    )


def moved(layer: Layer, declared: Accelerator, bits: Bits, zeros: Zeros) -> LayerCosts:
    """A layer without nest: its operands from the home of the inputs, its result to the home of the outputs.

    Parameters that it reads come from the home of the weights.
    """
    sizes = {
        "weights": layer.read_weights * bits.weights,
        "inputs": layer.read_elements * bits.inputs,
        "outputs": layer.written_elements * bits.outputs,
    }
    declared = suited(declared, None, bits, sizes)
    machine = priced(declared, None, bits, zeros)
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
    rows = count_rows(counts, machine, declared, bits)
    arithmetic = 0.0
    if machine.vector_energy is not None and layer.vector_ops:
        arithmetic = layer.vector_ops * machine.vector_energy
        rows.append(operations("vector", layer.vector_ops, arithmetic, arithmetic if machine.minds_zeros else None))
    energy = math.fsum(row.energy_pj for row in rows)
    return LayerCosts(
        by=tuple(rows),
        value=energy,
        bound=energy,
        floor=energy,
        bound_energy=energy,
        floor_energy=energy,
        compulsory_energy=energy,
        status="PROVED",
        cycles=None,
        mapping=None,
        search=None,
        machine=machine,
        effect=layer_effect(declared, None, bits, counts, arithmetic),
    )


def repeated(
    once: LayerCosts, layer: Layer, declared: Accelerator, bits: Bits, zeros: Zeros, objective: str, counting: str
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
            raw_pj=None if access.raw_pj is None else access.raw_pj * times,
            **{key: getattr(access, key) * times for key in ("reads", "writes", "updates", "bits", "metadata_bits")},
        )
        for access in once.by
    )
    energy = math.fsum(access.energy_pj for access in by)
    cycles = None if once.cycles is None else once.cycles * times
    computing = None if once.compute_cycles is None else once.compute_cycles * times
    value = energy if cycles is None else objective_value(objective, energy, cycles)
    if layer.nest is None:
        least = Floor(energy=energy, compulsory=energy, cycles=0.0)
    else:
        together = replace(layer.nest, N=layer.nest.N * times)
        declared = suited(declared, layer.nest, bits)  # where the tensors of one run live
        machine = declared if counting == "timeloop" else priced(declared, together, bits, zeros)
        least = floor(together, machine, bits)
        if counting == "timeloop":
            arithmetic = layer.macs * machine.mac.at(bits)
            least = replace(least, energy=arithmetic, compulsory=arithmetic)
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
        compulsory_energy=min(least.compulsory, energy),
        cycles=cycles,
        compute_cycles=computing,
        effect=None if once.effect is None else once.effect.times(times),
        fastest=None if once.fastest is None else once.fastest * times,
    )


def _gathered(level: str, elements: int, bits: Bits) -> tuple[Count, ...]:
    if not elements:
        return ()
    moved_bits = elements * bits.weights
    return (Count(level=level, tensor="weights", reads=elements, writes=0, updates=0, bits=moved_bits),)


def layer_effect(
    declared: Accelerator, nest: Nest | None, bits: Bits, counts: Sequence[Count], others: float = 0.0
) -> Effect | None:
    return effect(declared, nest, bits, counts, others) if declared.minds_zeros else None


def accesses(
    traffic: Traffic,
    nest: Nest,
    machine: Accelerator,
    declared: Accelerator,
    bits: Bits,
    energies: Mapping[tuple[str, str], float] | None = None,
) -> tuple[Access, ...]:
    """The counts with their energies (ours, unless others are given) and the arithmetic.

    ``declared`` is the machine before zeros were priced.
    """
    rows = count_rows(traffic.counts, machine, declared, bits, energies)
    raw = nest.macs * declared.mac_energy(bits) if declared.minds_zeros and energies is None else None
    return (*rows, operations("mac", nest.macs, nest.macs * machine.mac_energy(bits), raw))


def count_rows(
    counts: Sequence[Count],
    machine: Accelerator,
    declared: Accelerator,
    bits: Bits,
    energies: Mapping[tuple[str, str], float] | None = None,
) -> list[Access]:
    rows, links = [], []
    for count in counts:
        level = machine.level(count.level)
        moving, metadata = moved_bits(level, count, bits)
        energy, raw = access_energy(replace(level, link=None), count, bits), None
        if energies is not None:
            energy = energies[count.level, count.tensor]
        elif declared.minds_zeros:
            raw = access_energy(replace(declared.level(count.level), link=None), count, bits)
        if level.link is not None and energies is None:
            links.append(_crossing(level.link, level, declared, count, bits))
        rows.append(
            Access(
                level=count.level,
                tensor=count.tensor,
                energy_pj=energy,
                reads=count.reads,
                writes=count.writes,
                updates=count.updates,
                bits=moving,
                metadata_bits=metadata,
                raw_pj=raw,
            )
        )
    return [*rows, *links]


def _crossing(link: Link, level: Level, declared: Accelerator, count: Count, bits: Bits) -> Access:
    """What comes over a link to the memory behind it, and what leaves that over it."""
    raw = None
    if declared.minds_zeros:
        raw = link_bits(declared.level(level.name), count, bits) * link.energy_per_bit
    moving = link_bits(level, count, bits)
    return Access(
        level=link.name,
        tensor=count.tensor,
        energy_pj=moving * link.energy_per_bit,
        reads=count.reads - count.returned if count.tensor == "outputs" else 0,
        writes=count.writes,
        updates=0,
        bits=moving,
        metadata_bits=link_metadata_bits(level, count, bits),
        raw_pj=raw,
    )


def operations(unit: str, count: int, energy: float, raw: float | None) -> Access:
    return Access(level=unit, tensor="none", energy_pj=energy, reads=count, writes=0, updates=0, bits=0, raw_pj=raw)
