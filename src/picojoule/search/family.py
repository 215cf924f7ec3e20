"""One layer on many machines that differ in sizes, prices and rates of their memories: what is solved for one says much
about the others.

The map space knows arrays and levels; capacities only cut it, prices and rates only weigh it. So between two such machines

    a mapping       of one that fits into the other is a mapping there: it bounds the least cost from above
    a proof         on one with room for all that fits here, and that charges no more, holds here: a bound from below
    two proofs      at prices on both sides of those here: the least energy is concave in the prices, the line between the two
                    is a bound from below

Where both bounds meet there is nothing to search. What is left is searched from the best mapping known, and stops where it
reaches the bound. Derived in ``docs/explanation/sweeps.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from picojoule.cost.energy import access_energy, compute_cycles, port_loads
from picojoule.cost.floor import Floor, floor
from picojoule.cost.traffic import Traffic, count_traffic
from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import AS_ANOTHER, DIRECTIONS, Accelerator, FanOut, Level
from picojoule.hardware.mac import MacEnergy
from picojoule.mapping.legality import tile_bits
from picojoule.mapping.mapping import Keep, Mapping
from picojoule.search.costed import TIE, Costed, Found, objective_value
from picojoule.search.policy import Exact
from picojoule.search.variations import _Relaxed, _Varied, roomy_machine, search_from
from picojoule.workload.nest import Bits, Nest

Searched = Callable[[Accelerator], Found]
"""A search from nothing, as of a machine that stands alone."""
Answers = dict[int, Found]
"""By the number of the machine."""

_ENDS = 2
"""Machines of equal prices that are solved first: the smallest and the largest."""
_NO_PRICE = MacEnergy(bits=1, multiply=0.0)


def family_of(machine: Accelerator) -> Accelerator:
    """The machine without capacities, prices, rates and words: equal for those that share their map space."""

    def bare(entry: Level | FanOut) -> Level | FanOut:
        link = None if entry.link is None else replace(entry.link, energy_per_bit=0.0, bits_per_cycle=None)
        if isinstance(entry, FanOut):
            return replace(entry, link=link)
        return replace(
            entry, link=link, capacity_bits=0, energy_per_word=(), read_bits_per_cycle=None, write_bits_per_cycle=None,
            own_ports=(), kind=None, free=False, extrapolate=False,
        )  # fmt: skip

    return replace(
        machine, name="", hierarchy=tuple(map(bare, machine.hierarchy)), unit="", mac=replace(_NO_PRICE, modes=machine.mac.modes),
        vector_energy=None, clock_hz=None, node_nm=None, area_mm2=None, voltage_v=None, extrapolate=False, estimated=False,
        table_name="", table_source="", description="", parameters=(), resolved="",
    )  # fmt: skip


def search_family(
    nest: Nest, bits: Bits, machines: Sequence[Accelerator], objective: str, policy: Exact, searched: Searched
) -> list[Found]:
    """The best mapping of a layer on every machine of a family, as ``search_layer`` finds it on each.

    Args, answers: as for ``family_answers``, in the order of the machines.

    Raises:
        HardwareError: some machine has no mapping of the layer.
        KeyboardInterrupt: a search was interrupted.
    """
    answers = dict(family_answers(nest, bits, machines, objective, policy, searched))
    for found in answers.values():
        if isinstance(found, HardwareError):
            raise found
    return [answers[i] for i in range(len(machines))]  # type: ignore[misc]


def family_answers(
    nest: Nest,
    bits: Bits,
    machines: Sequence[Accelerator],
    objective: str,
    policy: Exact,
    searched: Searched,
    known: Answers | None = None,
    mapped: dict[Mapping, Mapped] | None = None,
) -> Iterator[tuple[int, Found | HardwareError]]:
    """The best mapping of a layer on every machine of a family, each as soon as it is found; or why there is none.

    The answers depend on the family alone, not on what was searched before, nor do those before depend on how many of them
    are taken. ``visited`` counts what was searched for a machine: nothing where the others decide.

    Args:
        nest, bits: the layer.
        machines: of one family, with what zeros spare worked in (``priced``).
        objective, policy: as for ``search_layer``.
        searched: a search from nothing; made where no mapping is known that fits.
        known: answers of an earlier search of these machines, by number.
        mapped: what is worked out already of mappings of this layer on this family.

    Yields:
        Number of the machine, and what was found.

    Raises:
        KeyboardInterrupt: a search was interrupted.
    """
    known = known or {}
    yield from known.items()
    if len(known) == len(machines):
        return
    family = _Family(nest, bits, machines, objective, policy, searched, {} if mapped is None else mapped)
    for i, found in known.items():
        family.keep(i, found)
    yield from family.refused.items()
    for group in family.by_price():
        yield from family.solve(group[:_ENDS], together=False)
        yield from family.solve(group[_ENDS:], together=True)


class _Family:
    """What is solved so far, and what it says of the rest."""

    def __init__(
        self,
        nest: Nest,
        bits: Bits,
        machines: Sequence[Accelerator],
        objective: str,
        policy: Exact,
        searched: Searched,
        mappings: dict[Mapping, Mapped],
    ) -> None:
        self.nest, self.bits, self.machines = nest, bits, machines
        self.objective, self.policy, self.searched = objective, policy, searched
        self.terms: dict[int, _Terms] = {}
        self.floors: dict[int, Floor] = {}
        self.refused: dict[int, HardwareError] = {}
        self.mappings = mappings
        self.answers: dict[int, Found] = {}
        for i, machine in enumerate(machines):
            try:
                self.floors[i] = floor(nest, machine, bits)
                self.terms[i] = _Terms.of(machine, bits)
            except HardwareError as refusal:
                self.refused[i] = refusal

    def by_price(self) -> list[list[int]]:
        """The machines that have no answer, by their prices, those of one price from the ends of their rooms to the middles, prices likewise:
        between two ends most is decided without a search."""
        groups: dict[tuple[float, ...], list[int]] = {}
        for i, one in self.terms.items():
            if i not in self.answers:
                groups.setdefault((*one.prices.tolist(), one.mac), []).append(i)
        prices = sorted(groups, key=lambda prices: (math.fsum(prices), prices))
        ordered = [sorted(groups[prices[n]], key=lambda i: (self.terms[i].size, i)) for n in _halved(len(prices))]
        return [[group[n] for n in _halved(len(group))] for group in ordered]

    def solve(self, group: Sequence[int], *, together: bool) -> Iterator[tuple[int, Found | HardwareError]]:
        """Solves some machines of equal prices, one after the other, or with one proof for all that are left."""
        left = []
        for i in group:
            if (found := self._decided(i)) is not None:
                yield i, self.keep(i, found)
            else:
                left.append(i)
        starts = {i: best for i in left if (best := self._best(i)) is not None}
        shared: dict[int, _Varied] = {}
        if together and len(starts) > 1:
            shared = self._shared(starts)
        for i in left:
            found = self._decided(i)
            if found is None:
                try:
                    found = self._searched(i, shared.pop(i, None))
                except HardwareError as refusal:
                    yield i, refusal
                    continue
            yield i, self.keep(i, found)

    def _searched(self, i: int, shared: _Varied | None) -> Found:
        best = self._best(i)
        if best is None:
            return self.searched(self.machines[i])
        if shared is not None:
            shared.offer(best)
            shared.at_least = max(shared.at_least, self._bound(i))
            return shared.run()
        about = self.nest, self.machines[i], self.bits, best, self.objective, self.policy
        return search_from(*about, self._bound(i), self.floors[i])

    def _shared(self, starts: dict[int, Costed]) -> dict[int, _Varied]:
        """Searches that have what is proved for all of them on a machine with the room of the largest."""
        nest, bits, objective, policy = self.nest, self.bits, self.objective, self.policy
        searches = {
            i: _Varied(nest, self.machines[i], bits, objective, policy, best, self.floors[i])
            for i, best in starts.items()
        }
        for i, search in searches.items():
            search.at_least = max(search.at_least, self._bound(i))
        first = min(starts, key=lambda i: self.terms[i].size)
        roomy = roomy_machine(self.machines[first], bits, list(searches.values()))
        relaxed = _Relaxed(nest, roomy, bits, objective, policy, starts[first].mapping)
        relaxed.lay_out(list(searches.values()))
        relaxed.prove_for(list(searches.values()))
        return {i: search for i, search in searches.items() if not search.apart}

    def _decided(self, i: int) -> Found | None:
        """What the others say, if that leaves nothing open."""
        best = self._best(i)
        if best is None:
            return None
        value = objective_value(self.objective, best.energy, best.cycles)
        bound = min(self._bound(i), value)
        if value - bound > max(2 * TIE, self.policy.gap) * value:
            return None
        return _found(best, value, bound, self.floors[i], self.objective)

    def _best(self, i: int) -> Costed | None:
        """The best of the mappings known that fit."""
        machine = self.machines[i]
        fitting = [one.on(machine, self.bits) for one in self.mappings.values() if one.fits(machine)]
        return min(fitting, key=lambda one: objective_value(self.objective, one.energy, one.cycles), default=None)

    def _bound(self, i: int) -> float:
        """What no mapping costs less than, by the floor and by what is proved of others."""
        least, mine = self.floors[i], self.terms[i]
        compute = self.nest.macs * mine.mac
        known = [(self.terms[n], found) for n, found in self.answers.items()]
        return max(
            objective_value(self.objective, least.energy, least.cycles),
            max(_bounds(mine, known, self.objective, compute), default=-math.inf),
        )

    def keep(self, i: int, found: Found) -> Found:
        """Takes what was found for a machine."""
        if found.status == "INTERRUPTED":
            raise KeyboardInterrupt
        self.answers[i] = found
        mapping = found.best.mapping
        if mapping not in self.mappings:
            self.mappings[mapping] = Mapped(self.nest, self.machines[i], self.bits, mapping)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """Capacities, prices and rates of a machine, in one order for a whole family."""

    rooms: np.ndarray
    prices: np.ndarray
    mac: float
    rates: np.ndarray

    @property
    def size(self) -> float:
        """Larger with more room, and a hair larger with faster ports."""
        rooms, rates = (values[np.isfinite(values)] for values in (self.rooms, self.rates))
        return float(np.log2(np.maximum(rooms, 1.0)).sum() + 1e-6 * np.log2(rates).sum())

    @classmethod
    def of(cls, machine: Accelerator, bits: Bits) -> _Terms:
        levels = machine.levels
        directions = {t: (*DIRECTIONS, *(AS_ANOTHER if t == "outputs" else ())) for t in ("weights", "inputs", "outputs")}
        return cls(
            rooms=np.array([math.inf if level.usable_bits is None else level.usable_bits for level in levels]),
            prices=np.array([level.energy_per_bit(d, t) for level in levels for t in level.holds for d in directions[t]]),
            mac=machine.mac_energy(bits),
            rates=np.array([rate for level in levels for rate in _rates(level)]),
        )


def _rates(level: Level) -> Iterable[float]:
    """Of every way in or out, by tensor; without a limit, infinite."""
    for direction in ("read", "write"):
        for tensor in level.holds:
            through = [p.bits_per_cycle for p in level.ports if not p.link and p.direction == direction and tensor in p.tensors]
            yield min(through, default=math.inf)
    yield math.inf if level.link is None or level.link.bits_per_cycle is None else level.link.bits_per_cycle


def _halved(count: int) -> list[int]:
    """0, the last, the middle, the middles of the halves, …"""
    order, seen = [], set()
    pending = [(0, count - 1)]
    for end in (0, count - 1):
        if end not in seen and count:
            seen.add(end)
            order.append(end)
    while pending:
        low, high = pending.pop(0)
        middle = (low + high) // 2
        if high - low > 1:
            if middle not in seen:
                seen.add(middle)
                order.append(middle)
            pending += [(low, middle), (middle, high)]
    return order


def _bounds(mine: _Terms, known: Sequence[tuple[_Terms, Found]], objective: str, compute: float) -> Iterable[float]:
    """What no mapping here costs less than, by what is proved elsewhere."""
    roomier = [(terms, found.bound) for terms, found in known if (terms.rooms >= mine.rooms).all()]
    for terms, bound in roomier:
        if objective == "energy":
            # What an energy is made of, MACs aside, is in proportion to prices.
            if terms.mac == mine.mac:
                yield compute + max(0.0, bound - compute) * _least_ratio(terms.prices, mine.prices) * (1 - 1e-14)
            elif terms.mac < mine.mac and (terms.prices <= mine.prices).all():
                yield bound
        elif (terms.rates >= mine.rates).all() and (
            objective == "latency" or (terms.mac <= mine.mac and (terms.prices <= mine.prices).all())
        ):
            yield bound
    if objective == "energy":
        yield from _between(mine, roomier)


def _least_ratio(known: np.ndarray, here: np.ndarray) -> float:
    paid = known > 0
    return float((here[paid] / known[paid]).min()) if paid.any() else 1.0


def _between(mine: _Terms, known: Sequence[tuple[_Terms, float]]) -> Iterable[float]:
    """Bounds from pairs of machines between whose prices those here lie."""
    here = np.append(mine.prices, mine.mac)
    for n, (one, low) in enumerate(known):
        start = np.append(one.prices, one.mac)
        way = here - start
        if not way.any():
            continue
        for other, high in known[:n]:
            whole = np.append(other.prices, other.mac) - start
            moved = whole != 0
            if not moved.any() or way[~moved].any():
                continue
            share = way[moved] / whole[moved]
            if 0 < share[0] < 1 and np.allclose(share, share[0], rtol=1e-12, atol=0):
                yield ((1 - share[0]) * low + share[0] * high) * (1 - 1e-13)


class Mapped:
    """A mapping with all that is the same of it on a whole family: room, traffic, what passes through every port."""

    def __init__(self, nest: Nest, machine: Accelerator, bits: Bits, mapping: Mapping) -> None:
        self.nest, self.mapping = nest, mapping
        self.traffic: Traffic = count_traffic(nest, machine, mapping, bits)
        tiles = tile_bits(nest, machine, mapping, bits)
        homes: set[tuple[str, str]] = set()
        for node in mapping.nodes:
            if isinstance(node, Keep) and node.tensor not in {tensor for _, tensor in homes}:
                homes.add((node.level, node.tensor))
        self.held: dict[str, int] = {}
        for (level, tensor), size in tiles.items():
            if (level, tensor) not in homes:
                self.held[level] = self.held.get(level, 0) + size
        self.steps: float | None = None
        self.loads: dict[tuple[object, ...], list[float]] = {}

    def fits(self, machine: Accelerator) -> bool:
        return all(
            level.usable_bits is None or self.held.get(level.name, 0) <= level.usable_bits for level in machine.levels
        )

    def on(self, machine: Accelerator, bits: Bits) -> Costed:
        """What it costs on a machine of the family; the same sums as ``evaluate``."""
        parts = [access_energy(machine.level(count.level), count, bits) for count in self.traffic.counts]
        energy = math.fsum([*parts, self.nest.macs * machine.mac_energy(bits)])
        if self.steps is None:
            self.steps = compute_cycles(self.nest, machine, self.mapping, self.traffic)
        ways = [(level.name, port.label) for level in machine.levels for port in level.ports]
        if tuple(ways) not in self.loads:
            self.loads[tuple(ways)] = [through for _, _, through in port_loads(self.nest, machine, self.mapping, bits)]
        cycles, slowest = self.steps, "compute"
        ports = [(level, port) for level in machine.levels for port in level.ports]
        for (level, port), through in zip(ports, self.loads[tuple(ways)], strict=True):
            if through / port.bits_per_cycle > cycles:
                cycles, slowest = through / port.bits_per_cycle, f"{level.name} {port.label}"
        return Costed(mapping=self.mapping, traffic=self.traffic, energy=energy, cycles=cycles, slowest=slowest)


def _found(best: Costed, value: float, bound: float, least: Floor, objective: str) -> Found:
    proved = bound >= value * (1 - 2 * TIE)
    bound = value if proved else bound
    return Found(
        best=best, value=value, bound=bound, bound_energy=bound if objective == "energy" else min(least.energy, best.energy),
        status="PROVED" if proved else "GAP_OPEN", visited=0, pruned=0, floor=least,
        fastest=min(bound if objective == "latency" else least.cycles, best.cycles),
    )  # fmt: skip
