"""From solved groups to the figures of their layers and to the entries of the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from picojoule.cost.energy import compute_cycles
from picojoule.cost.floor import Floor
from picojoule.cost.grouped import fusion_levels, loading, loading_cycles, machine_of, summing, vector_operations
from picojoule.cost.suited import suited
from picojoule.cost.zeros import priced
from picojoule.estimation.layer_costs import LayerCosts, accesses, count_rows, layer_effect, operations
from picojoule.estimation.zeros_effect import Effect
from picojoule.hardware.accelerator import Accelerator
from picojoule.result import Access
from picojoule.search.costed import TIE
from picojoule.search.fuse import Fuser, Group, Tiled, group_floors, member_total


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedGroup:
    """A group that a network runs as one.

    Attributes:
        first, end: its layers.
        costs: of each of them.
        entry: what stands in the result under ``groups``.
    """

    first: int
    end: int
    costs: tuple[LayerCosts, ...]
    entry: dict[str, Any]


def fused_group(fuser: Fuser, group: Group, name: str, first: int, layers: Sequence[str]) -> FusedGroup:
    """The figures of a solved group.

    Args:
        fuser: that solved it.
        group: with its best tiling.
        name: of the group in the result.
        first: number of its first layer.
        layers: their names.
    """
    tiled = group.best
    assert tiled is not None
    machine, objective, tiling = fuser.machine, fuser.objective, tiled.tiling
    at = min(fusion_levels(machine), key=lambda level: member_total(fuser, level, group.members))
    floors = group_floors(fuser, at, group.members)
    rows = [_member(machine, tiled, m, least) for m, least in enumerate(floors)]
    if tiling.beside:
        own = math.fsum(row.cycles for row in rows if row.cycles is not None)
        rows = [row if row.cycles is None else replace(row, cycles=row.cycles * tiled.cycles / own) for row in rows]
    energy = math.fsum(row.energy for row in rows)
    cycles = math.fsum(row.cycles for row in rows if row.cycles is not None)
    value = energy if objective == "energy" else cycles
    proved = tiled.bound == tiled.value and group.bound == group.value
    bound = value if proved else min(group.bound, value)
    status = "INTERRUPTED" if fuser.effort.interrupted else "PROVED" if proved else "GAP_OPEN"
    if objective == "energy":
        rows = _bounded(rows, bound, energy)
    else:
        share = {"bound": bound / value, "floor": min(group.floor, bound) / value}
        rows = [
            replace(row, value=row.cycles or 0.0, **{key: (row.cycles or 0.0) * part for key, part in share.items()})
            for row in rows
        ]
    rows = [replace(row, status=_status(row, status)) for row in rows]
    entry = {
        "name": name,
        "layers": list(layers),
        "at": tiling.at,
        "tile": {"rows": tiling.tile[0], "columns": tiling.tile[1]},
        "tiles": tiling.tiles,
        "halo": "none" if tiling.tiles == 1 else "kept" if tiling.line_buffers else "recomputed",
        "weights": "resident" if tiling.resident else "streamed",
        "beside": tiling.beside,
        "taken_bits": list(tiling.taken_bits),
        "macs_executed": sum(access.reads for row in rows for access in row.by if access.level == "mac"),
        "value": math.fsum(row.value for row in rows),
        "bound": math.fsum(row.bound for row in rows),
        "floor": math.fsum(row.floor for row in rows),
        "energy_pj": energy,
        "bound_pj": math.fsum(row.bound_energy for row in rows),
        "floor_pj": math.fsum(row.floor_energy for row in rows),
        "latency_cycles": cycles,
        "status": status,
    }
    return FusedGroup(first=first, end=first + len(layers), costs=tuple(rows), entry=entry)


def _status(row: LayerCosts, status: str) -> str:
    if row.search is None:
        return "PROVED"  # a sum has no choice
    if status == "INTERRUPTED":
        return status
    return "PROVED" if row.bound == row.value else "GAP_OPEN"


def _bounded(rows: list[LayerCosts], bound: float, value: float) -> list[LayerCosts]:
    """The group's bound shared out: every layer gets the same part of the way from its floor to its value."""
    least = math.fsum(row.floor for row in rows)
    part = 1.0 if bound >= value * (1 - TIE) else (bound - least) / (value - least)
    bounds = [row.value if part == 1.0 else row.floor + max(0.0, part) * (row.value - row.floor) for row in rows]
    return [replace(row, bound=b, bound_energy=b) for row, b in zip(rows, bounds, strict=True)]


def _member(machine: Accelerator, tiled: Tiled, m: int, least: Floor) -> LayerCosts:
    """A member with the energy of all its tiles as value and bound."""
    tiling = tiled.tiling
    member, declared = tiling.members[m], machine_of(machine, tiling, m)
    met = priced(declared, member.nest, member.bits, member.zeros)
    brought = loading(tiling, m, machine)
    parts, effects = [], []
    if member.nest is None:
        counts = (*brought, *summing(tiling, m, machine))
        arithmetic = 0.0
        if machine.vector_energy is not None and member.vector_ops:
            arithmetic = vector_operations(tiling, m) * machine.vector_energy
            raw = arithmetic if machine.minds_zeros else None
            parts.append((1, (operations("vector", vector_operations(tiling, m), arithmetic, raw),)))
        effects.append(_effect(declared, counts, member, arithmetic))
        parts.append((1, tuple(count_rows(counts, met, declared, member.bits))))
    elif brought:
        parts.append((1, tuple(count_rows(brought, met, declared, member.bits))))
        effects.append(_effect(declared, brought, member, 0.0))
    cycles, steps, visited, pruned, tiles = [loading_cycles(tiling, m, machine)], [], 0, 0, []
    for nest, times in tiling.parts(m).items() if member.nest else ():
        one = tiled.found[m][nest]
        own = suited(declared, nest, member.bits)
        here = priced(own, nest, member.bits, member.zeros)
        parts.append((times, accesses(one.best.traffic, nest, here, own, member.bits)))
        cycles.append(times * one.best.cycles)
        steps.append(times * compute_cycles(nest, here, one.best.mapping, one.best.traffic))
        visited, pruned = visited + one.visited, pruned + one.pruned
        if machine.minds_zeros:
            effects.append(layer_effect(own, nest, member.bits, one.best.traffic.counts).times(times))
        tiles.append({"count": times, "dims": nest.dims, "pad": list(nest.pad), "mapping": one.best.mapping.to_data(nest.dims)})
    by = _together(parts)
    energy = math.fsum(access.energy_pj for access in by)
    has_loops = member.nest is not None
    return LayerCosts(
        by=by,
        value=energy,
        bound=energy,
        floor=min(least.energy, energy),
        bound_energy=energy if not has_loops else min(least.energy, energy),
        floor_energy=min(least.energy, energy),
        compulsory_energy=min(least.compulsory, energy),
        status="PROVED",
        cycles=math.fsum(cycles) if has_loops else None,
        mapping=None,
        search={"visited": visited, "pruned": pruned} if has_loops else None,
        machine=met,
        compute_cycles=math.fsum(steps) if has_loops else None,
        effect=_sum_of([one for one in effects if one is not None]) if machine.minds_zeros else None,
        tiles=tiles if has_loops else None,
    )


def _effect(declared: Accelerator, counts: Sequence[Any], member: Any, arithmetic: float) -> Effect | None:
    # Bringing weights is no arithmetic: what zeros spare of it is told of without the nest.
    return layer_effect(declared, None, member.bits, counts, arithmetic)


def _sum_of(effects: list[Effect]) -> Effect:
    return Effect(
        raw=math.fsum(one.raw for one in effects), at=lambda density: math.fsum(one.at(density) for one in effects)
    )


def _together(parts: list[tuple[int, tuple[Access, ...]]]) -> tuple[Access, ...]:
    """Accesses of several nests, each so many times, by level and tensor."""
    found: dict[tuple[str, str], list[tuple[int, Access]]] = {}
    for times, each in parts:
        for access in each:
            found.setdefault((access.level, access.tensor), []).append((times, access))
    return tuple(_added(level, tensor, many) for (level, tensor), many in found.items())


def _added(level: str, tensor: str, many: list[tuple[int, Access]]) -> Access:
    raw = [access.raw_pj for _, access in many]

    def total(key: str) -> Any:
        terms = [times * getattr(access, key) for times, access in many]
        return sum(terms) if all(isinstance(term, int) for term in terms) else math.fsum(terms)

    return Access(
        level=level,
        tensor=tensor,
        energy_pj=math.fsum(times * access.energy_pj for times, access in many),
        reads=total("reads"),
        writes=total("writes"),
        updates=total("updates"),
        bits=total("bits"),
        metadata_bits=math.fsum(times * access.metadata_bits for times, access in many),
        raw_pj=None if None in raw else math.fsum(times * (access.raw_pj or 0.0) for times, access in many),
    )

