"""What no mapping of a part can beat, derived anew: first a simple bound for all parts, then each part by itself.

A level that holds several tensors couples their tiles. The chains know nothing of that; where the cheapest overfills a
level and still costs too little, the room of the level is divided in two cases, and each is solved again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Level, Port
from picojoule.verification.chains import Chains
from picojoule.verification.least import Least
from picojoule.verification.outcome import RELATIVE
from picojoule.verification.recount import goes_through
from picojoule.verification.simple import constant, simple_bounds
from picojoule.verification.space import Paths, Way
from picojoule.verification.terms import Keep, Price, Terms
from picojoule.verification.waits import least_slowest, units_of
from picojoule.workload.nest import DIMS, Bits, Nest


@dataclass(frozen=True, slots=True)
class _Port:
    """One direction of a level with a bandwidth; ``terms`` count the cycles that all its instances take together."""

    terms: Terms
    outside: tuple[int, ...]

    def instances(self, way: Way) -> int:
        """Positions that the assignment uses outside the level."""
        return math.prod(n for f in self.outside for n in way[f])


class Parts:
    """All parts of one layer with the same levels.

    Args:
        nest, machine, bits: the layer, the machine, the widths.
        paths: levels that hold each tensor, outermost first.
        objective: energy, latency or edp.
        exact: whether factors divide their dimension.
        bottom: the floor of the layer; no part goes below.
    """

    def __init__(
        self,
        nest: Nest,
        machine: Accelerator,
        bits: Bits,
        paths: Paths,
        objective: str,
        *,
        exact: bool,
        bottom: Least,
    ) -> None:
        self.nest, self.objective, self.bottom = nest, objective, bottom
        self._compute, self._machine, self._bits = nest.macs * machine.mac_energy(bits), machine, bits
        self._units = len(units_of(machine))

        def terms(price: Price) -> Terms:
            return Terms(nest, machine, bits, paths, price, exact=exact)

        self._energy = terms(Level.energy_per_bit)
        self._ports = []
        for level in machine.levels if objective != "energy" else ():
            names = machine.fanouts_outside(level.name)
            outside = tuple(f for f, fanout in enumerate(machine.fanouts) if fanout.name in names)
            self._ports += [_Port(terms(_cycles(level, port)), outside) for port in level.ports]

    def simple(self, ways: Sequence[Way]) -> np.ndarray:
        """A bound for every assignment that needs no chain."""
        energy = np.maximum(simple_bounds(self._energy, ways) + self._compute, self.bottom.energy)
        if self.objective == "energy":
            return energy
        cycles = np.array([self._steps(way) for way in ways])
        for port in self._ports:
            instances = np.array([port.instances(way) for way in ways], dtype=np.float64)
            cycles = np.maximum(cycles, simple_bounds(port.terms, ways) / instances)
        return cycles if self.objective == "latency" else energy * cycles

    def least(self, way: Way, enough: float) -> float:
        """What no mapping of the part can beat: the least there is if that is below ``enough``, otherwise anything of
        at least that."""
        enough *= 1 - RELATIVE
        if self.objective == "energy":
            return self._least_energy(way, enough)
        if self.objective == "latency":
            return self._least_cycles(way, enough)
        cycles = self._steps(way)
        if cycles == 0.0:
            return 0.0  # all zeros: there is nothing to multiply
        energy = self._least_energy(way, enough / cycles)
        if energy * cycles < enough:
            cycles = self._least_cycles(way, enough / energy)
        return energy * cycles

    def _steps(self, way: Way) -> float:
        """Cycles of the compute, or the floor's."""
        apart, lanes = (
            {d: math.prod(row[i] for row in rows) for i, d in enumerate(DIMS)}
            for rows in (way[: self._units], way[self._units :])
        )
        if self._machine.density:
            steps = least_slowest(self._machine, self.nest, self._bits, apart, lanes)
        else:
            steps = self._machine.timed * math.prod(-(-n // (apart[d] * lanes[d])) for d, n in self.nest.dims.items())
        return max(steps, self.bottom.cycles)

    def _least_energy(self, way: Way, enough: float) -> float:
        energy = least_cost(self._energy, way, enough - self._compute) + self._compute
        return max(energy, self.bottom.energy)

    def _least_cycles(self, way: Way, enough: float) -> float:
        cycles = self._steps(way)
        for port in self._ports:
            if cycles >= enough:
                break
            instances = port.instances(way)
            cycles = max(cycles, least_cost(port.terms, way, enough * instances) / instances)
        return cycles


def least_cost(terms: Terms, way: Way, enough: float = math.inf) -> float:
    """Least cost of all nests of a part, shared memories minded; from ``enough`` on any bound will do."""
    chains = Chains(terms, way)
    fixed = constant(terms, [way])[0]
    limits = [
        keep.level.tile_bits(keep.tensor, terms.bits) if keep.level.latch else keep.level.usable_bits
        for keep in chains.keeps
        if keep.level
    ]
    cases = [_Room(least=(0.0,) * len(limits), most=tuple(math.inf if x is None else float(x) for x in limits))]
    answer = math.inf
    while cases:
        room = cases.pop()
        cost = float(chains.solve(room.most) + fixed)
        if cost >= min(answer, enough):
            answer = min(answer, cost)
            continue
        halves = _divided(chains.keeps, room, chains.tiles())
        if halves is None:
            answer = cost
        else:
            cases += halves
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """One case: every keep's tile takes at least and at most so many bits."""

    least: tuple[float, ...]
    most: tuple[float, ...]


def _divided(keeps: Sequence[Keep], room: _Room, tiles: Sequence[float]) -> list[_Room] | None:
    """Two cases that hold every way to fill the first level that these tiles overfill, but not these tiles; None if
    they overfill none.

    One of the tiles has at most k bits, or it has more and leaves the others less.
    """
    for level in {keep.level.name: keep.level for keep in keeps if keep.level}.values():
        mine = [m for m, keep in enumerate(keeps) if keep.level is level]
        if level.usable_bits is None or sum(tiles[m] for m in mine) <= level.usable_bits:
            continue
        # Tiles may come out smaller than a case says that they are; the room for the others is what counts.
        taken = {m: max(tiles[m], room.least[m]) for m in mine}
        chosen = max(mine, key=lambda m: tiles[m] - room.least[m])
        if tiles[chosen] <= room.least[chosen]:
            return []
        beside = level.usable_bits - (sum(taken.values()) - taken[chosen])
        k = math.floor((max(beside, room.least[chosen]) + tiles[chosen] - 1) / 2)
        least = tuple(k + 1.0 if m == chosen else x for m, x in enumerate(room.least))
        required = sum(least[m] for m in mine)
        most = tuple(
            min(x, level.usable_bits - required + least[m]) if m in mine and m != chosen else x
            for m, x in enumerate(room.most)
        )
        smaller = tuple(float(k) if m == chosen else x for m, x in enumerate(room.most))
        return [_Room(least=room.least, most=smaller), _Room(least=least, most=most)]
    return None


def _cycles(owner: Level, port: Port) -> Price:
    def price(level: Level, direction: str, tensor: str) -> float:
        if level is not owner or not goes_through(port, direction, tensor):
            return 0.0
        return level.share(direction, tensor).timed / port.bits_per_cycle

    return price
