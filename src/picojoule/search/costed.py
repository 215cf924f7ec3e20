"""What a search hands back: a mapping with its cost, the bound, and how far the proof got. Needs no compiled code."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from picojoule.cost.energy import access_energy, latency_cycles
from picojoule.cost.floor import Floor, floor
from picojoule.cost.traffic import Traffic, count_traffic
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import broken_rules
from picojoule.mapping.mapping import Keep, Loop, Mapping
from picojoule.workload.nest import DIMS, Bits, Nest

TIE = 1e-12
"""Costs closer than this, relatively, count as equal: the order of additions may differ that much."""

_SPACE = (
    "{} factors of every dimension; any dimensions on any array axis; a tile boundary of its own for every tensor and level; "
    "every loop order; bypass and rules for tiles as the machine has them"
)
SPACES = {"any": _SPACE.format("any, dividing or not,"), "exact": _SPACE.format("exact")}
"""The map space in words, by the factors that it allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """A mapping with what it costs: energy in the table's unit, latency in cycles, and what takes that time."""

    mapping: Mapping
    traffic: Traffic
    energy: float
    cycles: float
    slowest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All parts of the map space that belong to one choice of levels.

    Attributes:
        levels: that hold each tensor, outermost first.
        factors: ``[part, fan-out, dimension]`` positions over which each dimension is spread.
        bounds: of the objective; no mapping of the part has less.
    """

    levels: dict[str, tuple[str, ...]]
    factors: np.ndarray
    bounds: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search of one layer came to.

    Attributes:
        best: the best mapping found.
        value, bound: of the objective; no mapping in the space beats ``bound``.
        bound_energy: no mapping in the space needs less energy; equals the floor's where energy was not the objective.
        status: ``PROVED``, ``GAP_OPEN`` or ``INTERRUPTED``.
        fastest: no mapping of the space that costs as little takes fewer cycles; those of ``best`` where that is proved.
        visited, pruned: spatial assignments (and groups of them) solved, and set aside by a bound.
        parts: every part of the map space with its bound, if they were asked for.
    """

    best: Costed
    value: float
    bound: float
    bound_energy: float
    status: str
    visited: int
    pruned: int
    floor: Floor
    fastest: float
    parts: tuple[Parts, ...] | None = None


def evaluate(nest: Nest, accelerator: Accelerator, bits: Bits, mapping: Mapping) -> Costed:
    """What a legal mapping costs."""
    traffic = count_traffic(nest, accelerator, mapping, bits)
    parts = [access_energy(accelerator.level(count.level), count, bits) for count in traffic.counts]
    energy = math.fsum([*parts, nest.macs * accelerator.mac_energy(bits)])
    cycles, slowest = latency_cycles(nest, accelerator, mapping, traffic, bits)
    return Costed(mapping=mapping, traffic=traffic, energy=energy, cycles=cycles, slowest=slowest)


def objective_value(objective: str, energy: float, cycles: float) -> float:
    """Energy, cycles, or their product for ``edp``."""
    return {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]


def plain_mapping(nest: Nest, accelerator: Accelerator) -> Mapping:
    """One MAC at a time, every tile a single element: it fits wherever anything fits, but a rule for tiles may ask for
    more."""
    keeps = [Keep(level.name, t) for level in accelerator.levels for t in level.keeps]
    homes = [keep for keep in keeps if accelerator.home(keep.tensor).name == keep.level]
    loops = [Loop(d, 1) for d in DIMS if getattr(nest, d) > 1]
    return Mapping((*homes, *loops, *(keep for keep in keeps if keep not in homes)))


def unsearched(nest: Nest, bits: Bits, accelerator: Accelerator, objective: str) -> Found:
    """A layer that the search never came to: the plain mapping, with the floor as its bound.

    Where rules for tiles ask for more than single elements, the first mapping that a search finds stands in.
    """
    plain = plain_mapping(nest, accelerator)
    if any(True for _ in broken_rules(nest, accelerator, plain)):
        from picojoule.search.layer import first_legal  # the compiled kernels, only where they must be

        best = first_legal(nest, accelerator, bits, objective)
    else:
        best = evaluate(nest, accelerator, bits, plain)
    least = floor(nest, accelerator, bits)
    value = objective_value(objective, best.energy, best.cycles)
    return Found(
        best=best,
        value=value,
        bound=min(objective_value(objective, least.energy, least.cycles), value),
        bound_energy=min(least.energy, best.energy),
        status="INTERRUPTED",
        visited=0,
        pruned=0,
        floor=least,
        fastest=min(least.cycles, best.cycles),
    )
