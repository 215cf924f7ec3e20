"""Mappings that Timeloop can express: every level keeps all its tensors at one place, in the order of the hierarchy.

``descend`` starts from any of our mappings, gives it that form, and goes downhill by Timeloop's counting: one prime factor from one
place to another, or two loops of a level in the other order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.cost.timeloop_counting import count_timeloop, timeloop_energy
from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import Nest

Slots = tuple[tuple[tuple[str, int], ...], ...]
"""Of every level and every axis, outermost first: (dimension, factor) of its loops or spreads, outermost first."""


@dataclass(frozen=True, slots=True)
class Space:
    """Timeloop's mappings of a layer on a machine."""

    nest: Nest
    machine: Accelerator

    @property
    def places(self) -> list[Level | tuple[FanOut, str]]:
        places: list[Level | tuple[FanOut, str]] = []
        for entry in self.machine.hierarchy:
            places += [entry] if isinstance(entry, Level) else [(entry, axis.name) for axis in entry.axes]
        return places

    def mapping(self, slots: Slots) -> Mapping:
        left, nodes = dict(self.nest.dims), list[Node]()
        for place, factors in zip(self.places, slots, strict=True):
            if isinstance(place, Level):
                nodes += [Keep(place.name, tensor) for tensor in place.keeps]
            for dim, factor in factors:
                left[dim] //= factor
                nodes.append(
                    Loop(dim, left[dim]) if isinstance(place, Level) else Spread(dim, left[dim], place[0].name, place[1])
                )
        return Mapping(tuple(nodes))

    def energy(self, slots: Slots) -> float:
        """By Timeloop's counting; infinite where the mapping is not legal."""
        mapping = self.mapping(slots)
        try:
            check_legal(self.nest, self.machine, mapping)
        except MappingError:
            return math.inf
        return self.counted(mapping)

    def counted(self, mapping: Mapping) -> float:
        """Energy of a legal mapping by Timeloop's counting."""
        nest, machine = self.nest, self.machine
        parts = timeloop_energy(nest, machine, mapping, count_timeloop(nest, machine, mapping, machine.bits))
        return math.fsum([*parts.values(), nest.macs * machine.mac.at(machine.bits)])

    def formed(self, mapping: Mapping) -> Slots:
        """A mapping of ours in Timeloop's form: a loop belongs to the innermost level that is kept, with all outside it,
        above the loop. Tiles become no larger."""
        kept = {level.name: 0 for level in self.machine.levels}
        wanted = {level.name: len(level.keeps) for level in self.machine.levels}
        loops: dict[object, list[tuple[str, int]]] = {}
        for node, trips in mapping.trips(self.nest.dims):
            if isinstance(node, Keep):
                kept[node.level] += 1
            elif trips > 1 and isinstance(node, Spread):
                loops.setdefault((node.fanout, node.axis), []).append((node.dim, trips))
            elif trips > 1:
                inside = [level.name for level in self.machine.levels]
                open_levels = [i for i, name in enumerate(inside) if kept[name] < wanted[name]]
                slot = inside[(open_levels[0] if open_levels else len(inside)) - 1]
                loops.setdefault(slot, []).append((node.dim, trips))
        keys = [p.name if isinstance(p, Level) else (p[0].name, p[1]) for p in self.places]
        return tuple(tuple(loops.get(key, ())) for key in keys)

    def neighbours(self, slots: Slots) -> Iterator[Slots]:
        for i, factors in enumerate(slots):
            for j in range(len(factors) - 1):
                yield _with(slots, i, (*factors[:j], factors[j + 1], factors[j], *factors[j + 2 :]))
        for i, factors in enumerate(slots):
            for dim, prime in sorted({(d, p) for d, n in factors for p in _primes(n)}):
                for j in range(len(slots)):
                    if j != i:
                        for first in (True, False):
                            yield _with(_with(slots, i, _less(factors, dim, prime)), j, _more(slots[j], dim, prime, first))


def descend(space: Space, mapping: Mapping, enough: float, most: int = 30_000) -> tuple[float, Slots, int]:
    """Energy, mapping and number of mappings tried.

    Ends at ``enough`` energy or after ``most`` mappings; from a minimum it starts again three steps aside, by a fixed seed.
    """
    dice = random.Random("aside")
    slots = space.formed(mapping)
    best = here = space.energy(slots)
    found, tried = slots, 1
    while best > enough and tried < most:
        for trial in space.neighbours(slots):
            tried += 1
            energy = space.energy(trial)
            if energy < here * (1 - 1e-12):
                here, slots = energy, trial
                break
        else:
            slots, here = _aside(space, found, dice)
        if here < best:
            best, found = here, slots
    return best, found, tried


def _aside(space: Space, slots: Slots, dice: random.Random) -> tuple[Slots, float]:
    for _ in range(3):
        trials = list(space.neighbours(slots))
        dice.shuffle(trials)
        slots = next((trial for trial in trials if math.isfinite(space.energy(trial))), slots)
    return slots, space.energy(slots)


def _with(slots: Slots, i: int, factors: tuple[tuple[str, int], ...]) -> Slots:
    return (*slots[:i], factors, *slots[i + 1 :])


def _less(factors: tuple[tuple[str, int], ...], dim: str, prime: int) -> tuple[tuple[str, int], ...]:
    at = next(i for i, (d, n) in enumerate(factors) if d == dim and n % prime == 0)
    rest = factors[at][1] // prime
    return (*factors[:at], *([(dim, rest)] if rest > 1 else []), *factors[at + 1 :])


def _more(factors: tuple[tuple[str, int], ...], dim: str, prime: int, first: bool) -> tuple[tuple[str, int], ...]:
    for i, (d, n) in enumerate(factors):
        if d == dim:
            return (*factors[:i], (dim, n * prime), *factors[i + 1 :])
    return ((dim, prime), *factors) if first else (*factors, (dim, prime))


def _primes(n: int) -> set[int]:
    return {p for p in range(2, n + 1) if n % p == 0 and all(p % q for q in range(2, p))}
