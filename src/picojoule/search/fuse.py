"""The best way to run a group of layers: every tiling of ``docs/explanation/fusion.md``, the best nest for each layer in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from picojoule.cost.energy import port_loads
from picojoule.cost.floor import Floor, floor
from picojoule.cost.grouped import (
    beside_energy,
    fusion_levels,
    lanes,
    loading_cycles,
    machine_of,
    may_reside,
    member_floor,
)
from picojoule.cost.zeros import priced
from picojoule.errors import HardwareError, MappingError
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import check_legal
from picojoule.mapping.tiling import Tiling, cut_to_size
from picojoule.search.costed import TIE, Found, evaluate, objective_value
from picojoule.search.many import Key
from picojoule.search.policy import Exact
from picojoule.workload.chains import Member
from picojoule.workload.nest import Nest

Search = Callable[[Accelerator, Mapping[Key, str]], dict[Key, Found]]
"""Finds the best mapping of nests on a machine."""

Loads = dict[tuple[str, str], float]
"""Cycles that a nest keeps the ports busy which all engines share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiled:
    """A tiling with the best nests for its parts.

    Attributes:
        tiling: which.
        found: for every member the nests that it runs with their mappings.
        value, bound: of the objective, for all tiles; no mappings of this tiling undercut ``bound``.
        cycles: of all tiles, by the mappings found.
    """

    tiling: Tiling
    found: tuple[dict[Nest, Found], ...]
    value: float
    bound: float
    cycles: float


@dataclass(slots=True)
class Effort:
    """What the searches of groups took."""

    groups: int = 0
    tilings: int = 0
    nests: int = 0
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Fuser:
    """Solves groups on one machine for one objective; equal groups, and equal nests on equal machines, once.

    Attributes:
        machine, objective, policy: as for a layer.
        search: finds the nests.
    """

    machine: Accelerator
    objective: str
    policy: Exact
    search: Search
    effort: Effort = field(default_factory=Effort)
    _groups: dict[tuple[Member, ...], Group] = field(default_factory=dict)
    _found: dict[tuple[Accelerator, Key], Found | None] = field(default_factory=dict)
    _least: dict[tuple[Key, tuple[str, ...], str], float] = field(default_factory=dict)
    _floors: dict[tuple[Member, tuple[str, ...], str], Floor] = field(default_factory=dict)
    _machines: dict[tuple[Member, tuple[str, ...], str], Accelerator] = field(default_factory=dict)

    def group(self, members: tuple[Member, ...]) -> Group:
        """The group of these members, as far as it is solved."""
        if members not in self._groups:
            self._groups[members] = Group(self, members)
        return self._groups[members]

    def at_least(self, tiling: Tiling) -> float:
        """A quick bound on a tiling: the floor of every member, with the MACs that are made again and the weights that are
        fetched again."""
        busy: dict[str, list[float]] = {}
        for m, member in enumerate(tiling.members):
            floor_, energy = self.floor_of(tiling.members, tiling.at, m), 0.0
            cycles = floor_.cycles
            if member.nest is not None:
                met = self._roomy(tiling.members, tiling.at, m)
                again = tiling.made(m) / (member.rows * member.columns * member.planes)
                energy += (again - 1) * member.nest.macs * met.mac_energy(member.bits)
                cycles = max(cycles, again * member.nest.macs * met.timed / met.pes)
                if not tiling.resident:
                    fetched = member.weights * member.bits.weights * tiling.runs(m)
                    home = met.home("weights")
                    energy += (fetched - member.weights * member.bits.weights) * home.energy_per_bit("read", "weights")
                    for port in home.ports:
                        if port.passes("read", "weights"):
                            cycles = max(cycles, fetched * home.share("read", "weights").timed / port.bits_per_cycle)
            figure = floor_.energy + energy if self.objective == "energy" else cycles
            lane = lanes(member, self.machine) if tiling.beside else ""
            busy.setdefault(lane, []).append(figure)
        return max(math.fsum(figures) for figures in busy.values())

    def floor_of(self, members: tuple[Member, ...], at: str, m: int) -> Floor:
        """``member_floor``, once for equal members at equal places."""
        whole = _whole(members, at)
        key = members[m], whole.kept(m), at
        if key not in self._floors:
            self._floors[key] = member_floor(self.machine, whole, m)
        return self._floors[key]

    def _roomy(self, members: tuple[Member, ...], at: str, m: int) -> Accelerator:
        whole, member = _whole(members, at), members[m]
        key = member, whole.kept(m), at
        if key not in self._machines:
            meeting = machine_of(self.machine, whole, m, roomy=True)
            self._machines[key] = priced(meeting, member.nest, member.bits, member.zeros)
        return self._machines[key]

    def solve(self, tiling: Tiling) -> Tiled | None:
        """The best mappings of a tiling; None if it doesn't fit."""
        trial = Trial(self, tiling)
        while trial.open:
            trial.step()
        return trial.tiled

    def tiled(self, tiling: Tiling, found: list[dict[Nest, Found]], bound: float) -> Tiled:
        """A tiling with what was found for all of its members; ``bound`` follows from the bounds of these."""
        values = [{nest: one.value for nest, one in answers.items()} for answers in found]
        value = self.total(tiling, values, self._loads(tiling, found) if tiling.beside else None)
        cycles = value
        if self.objective != "latency":
            cycles = self._cycles(tiling, [{nest: one.best.cycles for nest, one in each.items()} for each in found])
        if bound >= value * (1 - 2 * TIE):
            bound = value
        return Tiled(tiling=tiling, found=tuple(found), value=value, bound=bound, cycles=cycles)

    def least_of(self, tiling: Tiling, m: int, nest: Nest) -> float:
        member, kept = tiling.members[m], tiling.kept(m)
        key = (nest, member.bits, member.zeros), kept, tiling.at
        if key not in self._least:
            meeting = priced(machine_of(self.machine, tiling, m, roomy=True), nest, member.bits, member.zeros)
            least = floor(nest, meeting, member.bits)
            self._least[key] = objective_value(self.objective, least.energy, least.cycles)
        return self._least[key]

    def best(self, tiling: Tiling, m: int, nests: Mapping[Nest, int]) -> dict[Nest, Found] | None:
        """The best mapping of the largest of a member's nests, and the others with that one cut to size; None if there is no
        room."""
        if not nests:
            return {}
        largest = max(nests, key=lambda nest: (nest.macs, nest.elements("inputs")))
        found = self._best(tiling, m, largest)
        if found is None:
            return None
        if found.status == "INTERRUPTED":
            self.effort.interrupted = True
        cut = {nest: self._cut(tiling, m, found, nest) for nest in nests if nest != largest}
        answers = {largest: found, **{nest: one for nest, one in cut.items() if one is not None}}
        return answers if len(answers) == len(nests) else None

    def _best(self, tiling: Tiling, m: int, nest: Nest) -> Found | None:
        """The best mapping of a nest of a member. One that is best where nothing takes room is, wherever it fits."""
        member = tiling.members[m]
        meeting, key = machine_of(self.machine, tiling, m), (nest, member.bits, member.zeros)
        roomy = self._solved(machine_of(self.machine, tiling, m, roomy=True), key)
        if roomy is None or roomy.status != "PROVED":
            return self._solved(meeting, key)
        try:
            check_legal(nest, priced(meeting, nest, member.bits, member.zeros), roomy.best.mapping, member.bits)
        except MappingError:
            return self._solved(meeting, key)
        return roomy

    def _solved(self, meeting: Accelerator, key: Key) -> Found | None:
        if (meeting, key) not in self._found:
            try:
                answer = self.search(meeting, {key: f"a tile of {key[0].P} × {key[0].Q}"})[key]
            except HardwareError:
                answer = None
            self.effort.nests += 1
            self._found[meeting, key] = answer
        return self._found[meeting, key]

    def _cut(self, tiling: Tiling, m: int, found: Found, nest: Nest) -> Found | None:
        """A smaller tile with the loops of the largest. No choice is made in it: it is as proved as they are."""
        member, meeting = tiling.members[m], machine_of(self.machine, tiling, m)
        machine, mapping = priced(meeting, nest, member.bits, member.zeros), cut_to_size(found.best.mapping, nest)
        try:
            check_legal(nest, machine, mapping, member.bits)
        except MappingError:
            return self._best(tiling, m, nest)
        best, least = evaluate(nest, machine, member.bits, mapping), floor(nest, machine, member.bits)
        value = objective_value(self.objective, best.energy, best.cycles)
        bound = value if found.status == "PROVED" else objective_value(self.objective, least.energy, least.cycles)
        fastest = min(least.cycles, best.cycles)
        return replace(
            found, best=best, value=value, bound=min(bound, value), visited=0, pruned=0, floor=least, fastest=fastest
        )

    def total(self, tiling: Tiling, costs: list[dict[Nest, float]], loads: list[dict[Nest, Loads]] | None = None) -> float:
        """The objective of all tiles from that of every nest."""
        if self.objective == "latency":
            return self._cycles(tiling, costs, loads)
        nests = [tiling.parts(m)[nest] * cost for m, each in enumerate(costs) for nest, cost in each.items()]
        return math.fsum([*nests, *(beside_energy(tiling, m, self.machine) for m in range(len(costs)))])

    def _cycles(
        self, tiling: Tiling, times: list[dict[Nest, float]], loads: list[dict[Nest, Loads]] | None = None
    ) -> float:
        return group_cycles(tiling, times, self.machine, loads)

    def _loads(self, tiling: Tiling, found: list[dict[Nest, Found]]) -> list[dict[Nest, Loads]]:
        result: list[dict[Nest, Loads]] = []
        for m, answers in enumerate(found):
            member = tiling.members[m]
            result.append({})
            for nest, one in answers.items():
                meeting = priced(machine_of(self.machine, tiling, m), nest, member.bits, member.zeros)
                result[m][nest] = {
                    (level.name, port.label): through / port.bits_per_cycle
                    for level, port, through in port_loads(nest, meeting, one.best.mapping, member.bits)
                    if not meeting.fanouts_outside(level.name)
                }
        return result


def group_cycles(
    tiling: Tiling,
    times: list[dict[Nest, float]],
    machine: Accelerator,
    loads: list[dict[Nest, Loads]] | None = None,
) -> float:
    """Cycles of all tiles: one after the other, or, beside each other, step by step as long as the busiest engine or shared
    port is.

    Args:
        tiling: the group.
        times: cycles of every nest of every member.
        machine: as described.
        loads: cycles at the ports that engines share, by nest; None leaves them out.
    """
    brought = math.fsum(loading_cycles(tiling, m, machine) for m in range(len(times)))
    if not tiling.beside:
        nests = [tiling.parts(m)[nest] * cycles for m, each in enumerate(times) for nest, cycles in each.items()]
        return math.fsum([brought, *nests])
    work, stages, engines = tiling.work, tiling.stages, [lanes(member, machine) for member in tiling.members]
    total = [brought]
    for step in range(len(work) + max(stages)):
        busy: dict[object, float] = {}
        for m, lane in enumerate(engines):
            tile = step - stages[m]
            nest = work[tile][m] if 0 <= tile < len(work) else None
            if nest is None:
                continue
            busy[lane] = busy.get(lane, 0.0) + times[m][nest]
            for port, cycles in (loads[m][nest] if loads else {}).items():
                busy[port] = busy.get(port, 0.0) + cycles
        total.append(max(busy.values(), default=0.0))
    return math.fsum(total)


class Trial:
    """A tiling whose members are solved one after the other, those that cost most first; its bound rises with each.

    Attributes:
        bound: no mappings of it cost less.
        open: whether something is left to solve.
        tiled: the tiling with its mappings, once all are found; None if some nest has no room.
    """

    def __init__(self, fuser: Fuser, tiling: Tiling) -> None:
        self.fuser, self.tiling = fuser, tiling
        self.bound, self.open = fuser.at_least(tiling), True
        self.tiled: Tiled | None = None
        self._left: list[int] | None = None
        self._found: list[dict[Nest, Found]] = [{} for _ in tiling.members]
        self._times: list[dict[Nest, float]] = []

    def step(self) -> None:
        """Bounds every nest at first, then solves one member."""
        tiling, fuser = self.tiling, self.fuser
        if self._left is None:
            parts = [tiling.parts(m) if member.nest else {} for m, member in enumerate(tiling.members)]
            self._times = [{nest: fuser.least_of(tiling, m, nest) for nest in nests} for m, nests in enumerate(parts)]
            cost = [sum(parts[m][n] * t for n, t in each.items()) for m, each in enumerate(self._times)]
            self._left = sorted((m for m, each in enumerate(parts) if each), key=lambda m: cost[m])
            fuser.effort.tilings += 1
        else:
            m = self._left.pop()
            answers = fuser.best(tiling, m, tiling.parts(m))
            if answers is None:
                self.bound, self.open = math.inf, False
                return
            self._found[m] = answers
            self._times[m] = {nest: one.bound for nest, one in answers.items()}
        self.bound = max(self.bound, fuser.total(tiling, self._times))
        if not self._left:
            self.open, self.tiled = False, fuser.tiled(tiling, self._found, fuser.total(tiling, self._times))
            self.bound = min(self.bound, self.tiled.value)


class Group:
    """A group as a piece of a grouping: first bounded by its members' floors, then by its tilings, then solved."""

    def __init__(self, fuser: Fuser, members: tuple[Member, ...]) -> None:
        self.fuser, self.members = fuser, members
        self.value, self.settled = math.inf, False
        self.best: Tiled | None = None
        self._trials: list[Trial] | None = None
        self.bound = self.floor = self._floor()

    def refine(self) -> None:
        """One step: all tilings at first, then a member of the one of least bound."""
        if self.settled:
            return
        if self._trials is None:
            self.fuser.effort.groups += 1
            self._trials = [Trial(self.fuser, one) for one in tilings(self.members, self.fuser.machine, self.fuser.objective)]
        else:
            trial = min((one for one in self._trials if one.open), key=lambda one: (one.bound, one.tiling.tiles))
            trial.step()
            if trial.tiled is not None and trial.tiled.value < self.value:
                self.best, self.value = trial.tiled, trial.tiled.value
        least = min((one.bound for one in self._trials), default=math.inf)
        waiting = min((one.bound for one in self._trials if one.open), default=math.inf)
        self.bound = max(self.floor, least) if least < self.value * (1 - 2 * TIE) else self.value
        goal = self.value * (1 - max(TIE, self.fuser.policy.gap))
        self.settled = waiting == math.inf or waiting >= goal or self.fuser.effort.interrupted

    def solve(self) -> None:
        """Refines until there is nothing left to refine."""
        while not self.settled:
            self.refine()

    def _floor(self) -> float:
        levels = fusion_levels(self.fuser.machine)
        return min((member_total(self.fuser, at, self.members) for at in levels), default=math.inf)


def member_total(fuser: Fuser, at: str, members: tuple[Member, ...]) -> float:
    """The floor of a group whose results in between live at a level: the sum of its members', or, of cycles, what the busiest
    engine needs."""
    least = group_floors(fuser, at, members)
    if fuser.objective == "energy":
        return math.fsum(one.energy for one in least)
    busy: dict[str, float] = {}
    for member, one in zip(members, least, strict=True):
        lane = lanes(member, fuser.machine)
        busy[lane] = busy.get(lane, 0.0) + one.cycles
    return max(busy.values())


def group_floors(fuser: Fuser, at: str, members: tuple[Member, ...]) -> list[Floor]:
    """The floor of every member of a group."""
    return [fuser.floor_of(members, at, m) for m in range(len(members))]


def _whole(members: tuple[Member, ...], at: str) -> Tiling:
    """A group in one tile."""
    last = members[-1]
    return Tiling(members=members, at=at, tile=(last.rows, last.columns), line_buffers=True, resident=False)


def tilings(members: tuple[Member, ...], machine: Accelerator, objective: str) -> list[Tiling]:
    """All tilings of a group that leave room at its level, as ``docs/explanation/fusion.md`` lists them."""
    found: dict[Tiling, None] = {}
    engines = {lanes(member, machine) for member in members if member.nest}
    for at in fusion_levels(machine):
        room = machine.level(at).capacity_bits
        plain = _whole(members, at)
        placings = (False, True) if may_reside(machine, at) else (False,)
        ways = (False, True) if objective == "latency" and len(engines) > 1 else (False,)
        # Halo and weights fetched again are what tiles cost: where one makes it all, and half of the level is left, there is none.
        single = _leaves_room(plain, None if room is None else room / 2)
        if single:
            found[plain] = None
        for resident, beside in itertools.product(placings, ways):
            if beside:
                # The shorter the tiles, the sooner the next engine begins: how tall they are is a choice.
                plan = replace(plain, resident=resident, beside=True)
                heights = [height for height in _halvings(members[-1].rows) if height < members[-1].rows]
                low = (replace(plan, tile=(height, members[-1].columns)) for height in heights)
                found |= dict.fromkeys(one for one in low if _leaves_room(one, room))
                continue
            if single:
                continue
            for line_buffers, share in itertools.product((True, False), (1, 2)):
                plan = replace(plain, line_buffers=line_buffers, resident=resident)
                largest = _largest(plan, None if room is None else room / share)
                if largest is not None and not (largest.tiles == 1 and (resident or not line_buffers)):
                    found[largest] = None
    return list(found)


def _largest(plan: Tiling, room: float | None) -> Tiling | None:
    """The widest tile of ⌈columns / 1, 2, 4, …⌉ of which a row leaves room, with the most rows of ⌈rows / 1, 2, 4, …⌉ that do.

    Line buffers go with whole rows.
    """
    last = plan.members[-1]
    heights = _halvings(last.rows)
    for columns in [last.columns] if plan.line_buffers else _halvings(last.columns):
        if not _leaves_room(replace(plan, tile=(1, columns)), room):
            continue
        for height in heights:
            one = replace(plan, tile=(height, columns))
            if _leaves_room(one, room):
                return one
    return None


def _halvings(size: int) -> list[int]:
    """⌈size / 1, 2, 4, …⌉, down to 1."""
    return list(dict.fromkeys(-(-size // 2**i) for i in range((size - 1).bit_length() + 1)))


def _leaves_room(tiling: Tiling, room: float | None) -> bool:
    if room is not None and max(tiling.taken_bits) >= room:
        return False
    try:
        return all(tiling.parts(m) for m, member in enumerate(tiling.members) if member.nest is not None)
    except ValueError:  # a tile that lies in the padding
        return False
