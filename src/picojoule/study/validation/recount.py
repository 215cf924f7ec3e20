"""Our optimum in Timeloop's own terms: a mapping that Timeloop can express, counted as Timeloop counts.

Our map space is wider than Timeloop's: there each level has one boundary for all of its tensors, and array positions are
shared out between two levels. So the loops of our optimum are put into that form, and then improved by small steps under
Timeloop's counting. What comes out is no optimum, only a mapping; where it costs at most what Timeloop's own search found,
the difference between the two is not one of rules.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from picojoule.cost.timeloop_counting import count_timeloop, timeloop_energy
from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator, FanOut
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.workload.nest import Nest

CHARGED_WHOLE = frozenset({"PEWeightRegs"})
"""Levels of which Timeloop charges every instance with each access, in use or not (``hardware/catalog/simba-like-45nm``)."""

Loops = tuple[tuple[str, int], ...]
"""``(dimension, trips)``, outermost first."""


@dataclass(frozen=True, slots=True)
class Form:
    """A mapping as Timeloop writes it.

    Attributes:
        times: the loops directly above the boundary of each level inside the home, and last those inside all of them.
        spreads: ``(fan-out, axis, dimension) → positions``, as sorted pairs.
    """

    times: tuple[Loops, ...]
    spreads: tuple[tuple[tuple[str, str, str], int], ...]


def timeloop_form(nest: Nest, machine: Accelerator, mapping: Mapping) -> tuple[Mapping, float]:
    """A mapping in Timeloop's form near to ``mapping``, and the energy that Timeloop would print for it.

    Args:
        nest: the layer.
        machine: on which each element is one word at every level (``words.in_words``).
        mapping: legal, with exact factors.

    Raises:
        MappingError: none of the forms tried fits the memories.
    """
    best, least = _cut(nest, machine, mapping)
    if best is None:
        raise MappingError("no boundaries that Timeloop can have fit the memories", where="mapping")
    improved = True
    while improved:
        improved = False
        for step in _steps(machine, best):
            energy = _energy(nest, machine, step, least)
            if energy < least * (1 - 1e-9):
                best, least, improved = step, energy, True
                break
    return _mapping(nest, machine, best), least


def _cut(nest: Nest, machine: Accelerator, mapping: Mapping) -> tuple[Form | None, float]:
    """The loops of a mapping with the best boundaries; its spreads as they are."""
    loops: list[tuple[str, int]] = []
    spreads: dict[tuple[str, str, str], int] = {}
    for node, trips in mapping.trips(nest.dims):
        if isinstance(node, Loop) and trips > 1:
            loops.append((node.dim, trips))
        elif isinstance(node, Spread) and trips > 1:
            key = node.fanout, node.axis, node.dim
            spreads[key] = spreads.get(key, 1) * trips
    best, least = None, math.inf
    for cuts in itertools.combinations_with_replacement(range(len(loops) + 1), len(machine.levels) - 1):
        edges = (0, *cuts, len(loops))
        times = tuple(tuple(loops[a:b]) for a, b in itertools.pairwise(edges))
        form = Form(times, tuple(sorted(spreads.items())))
        energy = _energy(nest, machine, form, least)
        if energy < least:
            best, least = form, energy
    return best, least


def _steps(machine: Accelerator, form: Form) -> Iterator[Form]:
    """Every form in which one prime factor of one dimension stands elsewhere, in time or along an array."""
    for segment, loops in enumerate(form.times):
        for place, (dim, trips) in enumerate(loops):
            for prime in _primes(trips):
                rest = _without(loops, place, prime)
                taken = replace(form, times=_put(form.times, segment, rest))
                yield from _placed(machine, taken, dim, prime)
    for i, (key, positions) in enumerate(form.spreads):
        for prime in _primes(positions):
            left = positions // prime
            kept = ((key, left),) if left > 1 else ()
            taken = replace(form, spreads=(*form.spreads[:i], *kept, *form.spreads[i + 1 :]))
            yield from _placed(machine, taken, key[2], prime)


def _placed(machine: Accelerator, form: Form, dim: str, prime: int) -> Iterator[Form]:
    """The factor put at every place: between any two loops of any segment, and on every axis that has room for it."""
    for segment, loops in enumerate(form.times):
        for place in range(len(loops) + 1):
            if place < len(loops) and loops[place][0] == dim:
                merged = (*loops[:place], (dim, loops[place][1] * prime), *loops[place + 1 :])
                yield replace(form, times=_put(form.times, segment, merged))
            elif place == 0 or loops[place - 1][0] != dim:
                yield replace(form, times=_put(form.times, segment, (*loops[:place], (dim, prime), *loops[place:])))
    spreads = dict(form.spreads)
    for fanout in machine.fanouts:
        for axis in fanout.axes:
            used = math.prod(n for (f, a, _), n in form.spreads if (f, a) == (fanout.name, axis.name))
            if dim in axis.dims and used * prime <= axis.size:
                key = fanout.name, axis.name, dim
                more = {**spreads, key: spreads.get(key, 1) * prime}
                yield replace(form, spreads=tuple(sorted(more.items())))


def _without(loops: Loops, place: int, prime: int) -> Loops:
    dim, trips = loops[place]
    left = ((dim, trips // prime),) if trips > prime else ()
    return (*loops[:place], *left, *loops[place + 1 :])


def _put(times: tuple[Loops, ...], segment: int, loops: Loops) -> tuple[Loops, ...]:
    return (*times[:segment], loops, *times[segment + 1 :])


def _primes(number: int) -> list[int]:
    """The different primes that divide ``number``."""
    return [p for p in range(2, number + 1) if number % p == 0 and all(p % q for q in range(2, math.isqrt(p) + 1))]


def _energy(nest: Nest, machine: Accelerator, form: Form, least: float) -> float:
    """What Timeloop would print; infinite for what costs ``least`` or more and for what doesn't fit."""
    mapping = _mapping(nest, machine, form)
    energies = timeloop_energy(nest, machine, mapping, count_timeloop(nest, machine, mapping, machine.bits))
    for level, tensor in energies:
        if level in CHARGED_WHOLE:
            outside = machine.fanouts_outside(level)
            used = math.prod(positions for (fanout, _, _), positions in form.spreads if fanout in outside)
            energies[level, tensor] *= math.prod(machine.fanout(name).size for name in outside) / used
    energy = math.fsum([*energies.values(), nest.macs * machine.mac.at(machine.bits)])
    if energy >= least:
        return math.inf
    try:
        check_legal(nest, machine, mapping)
    except MappingError:
        return math.inf
    return energy


def _mapping(nest: Nest, machine: Accelerator, form: Form) -> Mapping:
    """The nest of a form: spreads stand directly above the levels inside their fan-out."""
    extent = nest.dims
    nodes: list[Keep | Loop | Spread] = []

    def loops(segment: int) -> None:
        for dim, trips in form.times[segment]:
            extent[dim] //= trips
            nodes.append(Loop(dim, extent[dim]))

    segment, waiting = -1, []
    for entry in machine.hierarchy:
        if isinstance(entry, FanOut):
            waiting.append(entry.name)
            continue
        if segment >= 0:
            loops(segment)
        _spread(nodes, extent, form, waiting)
        waiting = []
        nodes += [Keep(entry.name, tensor) for tensor in entry.keeps]
        segment += 1
    loops(segment)
    _spread(nodes, extent, form, waiting)
    return Mapping(tuple(nodes))


def _spread(nodes: list[Keep | Loop | Spread], extent: dict[str, int], form: Form, fanouts: list[str]) -> None:
    for name in fanouts:
        for (fanout, axis, dim), positions in form.spreads:
            if fanout == name:
                extent[dim] //= positions
                nodes.append(Spread(dim, extent[dim], fanout, axis))
