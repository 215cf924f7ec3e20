"""The checks of layers that run in a group: every nest of every tile, what is brought to the chip, and the times together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from picojoule.hardware.accelerator import Accelerator
from picojoule.result import Estimate, LayerEstimate
from picojoule.verification.groups import Ran, at_home, check_groups, lane_of
from picojoule.verification.layers import (
    Asked,
    Row,
    Rows,
    bits_of,
    check_no_nest,
    check_reuse,
    check_size,
    compare_rows,
    mac_row,
    nest_of,
    rows_of,
)
from picojoule.verification.least import least, touched
from picojoule.verification.outcome import Check, attempt, differing, refute_differences, same
from picojoule.verification.plan import Plan, Refuted, legal_plan
from picojoule.verification.recount import Tallies, Tally, busy_cycles, goes_through, latency_cycles, recount
from picojoule.verification.settling import settle
from picojoule.verification.zeros import Effect, densities_of, minding
from picojoule.workload.nest import TENSORS, Bits, Nest

_DENSE = dict.fromkeys(TENSORS, 0)


@dataclass(slots=True)
class _Times:
    """Cycles of a member: to bring its weights, of each of its nests, and of each nest at the ports that engines share."""

    brought: float
    nests: dict[Nest, float] = field(default_factory=dict)
    ports: dict[Nest, dict[tuple[str, str], float]] = field(default_factory=dict)


class FusedRows:
    """Checks the rows of all groups of a result.

    Args:
        estimate, machine: the result and its machine.
        members: the entry of the group of each layer, and what the layer runs.
    """

    def __init__(self, estimate: Estimate, machine: Accelerator, members: dict[str, tuple[dict[str, Any], Ran]]) -> None:
        self._estimate, self._machine, self._members = estimate, machine, members
        self._times: dict[str, _Times] = {}

    def checks(self, layer: LayerEstimate, asked: Asked) -> Iterator[Check]:
        """Those of a row in a group, in place of the ones of its own mapping."""
        entry, ran = self._members[layer.name]

        def made(name: str, test: Callable[[], str]) -> Check:
            return attempt(name, layer.name, test)

        yield made("tiles", partial(self._check_tiles, layer, entry, ran, asked))
        yield made("floor", partial(self._check_floor, layer, entry, ran, asked))
        if layer.dims is not None:
            yield made("MACs and parameters", partial(check_size, layer, nest_of(layer)))
            yield made("reuse", partial(check_reuse, layer, self._met(layer, entry, ran)))

    def check(self) -> str:
        """Raises ``Refuted`` unless times and figures of all groups follow from their layers."""
        for entry in self._estimate.groups:
            rows = [row for row in self._estimate.layers if row.group == entry["name"]]
            if any(row.dims is not None and row.name not in self._times for row in rows):
                raise Refuted(f"group {entry['name']}: no times to check")
            self._check_times(entry, [row for row in rows if row.dims is not None])
        return check_groups(self._estimate)

    def _met(self, layer: LayerEstimate, entry: dict[str, Any], ran: Ran, *, roomy: bool = False) -> Accelerator:
        kept = tuple(t for t in ran.kept if not (roomy and t == "weights"))
        return at_home(self._machine, entry["at"], kept, 0 if roomy else ran.taken_bits)

    def _minding(self, layer: LayerEstimate, nest: Nest | None, bits: Bits, machine: Accelerator) -> Accelerator:
        return minding(settle(machine, nest, bits, _DENSE), nest, bits, densities_of(layer.zeros))

    def _check_tiles(self, layer: LayerEstimate, entry: dict[str, Any], ran: Ran, asked: Asked) -> str:
        bits, declared = bits_of(layer.bits), self._met(layer, entry, ran)
        if layer.mapping is not None or layer.same_as is not None or layer.stays:
            raise Refuted("a layer in a group has tiles in place of a mapping, and no row stands for it")
        total: Rows = {}
        energies: list[tuple[int, Nest | None, Tallies]] = []
        brought = self._bringing(layer, entry, ran)
        whole = None if layer.dims is None else nest_of(layer)
        met = self._minding(layer, whole, bits, declared)
        if brought:
            _add(total, rows_of(brought, bits, met, settle(declared, None, bits, _DENSE)), 1)
            energies.append((1, None, brought))
        arithmetic = 0.0
        if layer.dims is None:
            check_no_nest(layer)
            sums = self._summing(layer, entry, ran)
            met = self._minding(layer, None, bits, declared)
            _add(total, rows_of(sums, bits, met, settle(declared, None, bits, _DENSE)), 1)
            energies.append((1, None, sums))
            operations = (layer.moved or {})["vector_ops"] * ran.made // (layer.moved or {})["written"]
            if self._machine.vector_energy is not None and operations:
                arithmetic = operations * self._machine.vector_energy
                raw = arithmetic if self._machine.minds_zeros else None
                _add(total, {("vector", "none"): (operations, 0, 0, 0, 0.0, arithmetic, raw)}, 1)
        else:
            self._nests(layer, ran, declared, total, energies, self._bringing_cycles(brought, self._minding(layer, whole, bits, self._machine), bits))
        if self._machine.minds_zeros:
            asked.effects[layer.name] = self._effect(energies, declared, bits, arithmetic)
        compare_rows(layer.by, total, 1)
        return f"{sum(ran.nests.values())} runs of {len(ran.nests)} nests re-counted"

    def _nests(
        self,
        layer: LayerEstimate,
        ran: Ran,
        declared: Accelerator,
        total: Rows,
        energies: list[tuple[int, Nest | None, Tallies]],
        brought: float,
    ) -> None:
        whole, bits = nest_of(layer), bits_of(layer.bits)
        stated = {}
        for tile in layer.tiles or ():
            if set(tile) != {"count", "dims", "pad", "mapping"}:
                raise Refuted(f"a tile has count, dims, pad and mapping; got {sorted(tile)}")
            try:
                nest = Nest(**tile["dims"], stride=whole.stride, dilation=whole.dilation, pad=tuple(tile["pad"]))
            except (TypeError, ValueError) as error:
                raise Refuted(f"a tile that can't be: {error}") from None
            stated[nest] = tile
        counts = {nest: tile["count"] for nest, tile in stated.items()}
        if counts != ran.nests or len(stated) != len(layer.tiles or ()):
            raise Refuted(f"the tiles run {sorted(counts.values())} times, re-derived {sorted(ran.nests.values())}, or other nests")
        times, computing = _Times(brought), 0.0
        for nest, tile in stated.items():
            machine = self._minding(layer, nest, bits, declared)
            plan = legal_plan(tile["mapping"], nest, machine, bits)
            tallies, settled = recount(plan, nest, machine), settle(declared, nest, bits, _DENSE)
            raw = nest.macs * settled.mac_energy(bits) if machine.minds_zeros else None
            once = rows_of(tallies, bits, machine, settled) | {("mac", "none"): mac_row(nest, bits, machine, raw)}
            _add(total, once, tile["count"])
            energies.append((tile["count"], nest, tallies))
            times.nests[nest] = latency_cycles(plan, nest, machine, bits)
            times.ports[nest] = _port_cycles(plan, nest, machine, bits)
            computing += tile["count"] * busy_cycles(plan, nest, machine)
        self._times[layer.name] = times
        refute_differences(differing({"compute_cycles": layer.compute_cycles}, {"compute_cycles": computing}))

    def _bringing(self, layer: LayerEstimate, entry: dict[str, Any], ran: Ran) -> Tallies:
        """Weights on their way to the group's level, before the first tile."""
        if "weights" not in ran.kept:
            return {}
        elements = touched(nest_of(layer), "weights")
        home = self._machine.home("weights").name
        return {(home, "weights"): Tally(reads=elements), (entry["at"], "weights"): Tally(writes=elements)}

    def _bringing_cycles(self, tallies: Tallies, machine: Accelerator, bits: Bits) -> float:
        cycles = [0.0]
        for (name, tensor), tally in tallies.items():
            level = machine.level(name)
            for port in level.ports:
                moved = [
                    n * level.share(way, tensor).timed
                    for way, n in tally.bits(tensor, bits).items()
                    if goes_through(port, way, tensor)
                ]
                cycles.append(sum(moved) / port.bits_per_cycle)
        return max(cycles)

    def _summing(self, layer: LayerEstimate, entry: dict[str, Any], ran: Ran) -> Tallies:
        """Operands from the group's level or from home, the result to where it is wanted."""
        moved = layer.moved or {}
        operands = moved["read"] // moved["written"]
        target = entry["at"] if "outputs" in ran.kept else self._machine.home("outputs").name
        tallies: Tallies = {(entry["at"], "inputs"): Tally(reads=ran.inside * ran.made)}
        if operands > ran.inside:
            tallies[self._machine.home("inputs").name, "inputs"] = Tally(reads=(operands - ran.inside) * ran.made)
        return tallies | {(target, "outputs"): Tally(updates=ran.made, finished=ran.made)}

    def _effect(
        self, energies: list[tuple[int, Nest | None, Tallies]], declared: Accelerator, bits: Bits, others: float
    ) -> Effect:
        def energy(share: dict[str, float] | None) -> float:
            parts = [others]
            for times, nest, tallies in energies:
                machine = settle(declared, nest, bits, _DENSE)
                if share is not None:
                    machine = minding(machine, nest, bits, share)
                for (name, tensor), tally in tallies.items():
                    parts.append(times * tally.energy(machine.level(name), tensor, bits))
                parts.append(0.0 if nest is None else times * nest.macs * machine.mac_energy(bits))
            return math.fsum(parts)

        return Effect(energy(None), lambda density: energy(dict.fromkeys(TENSORS, density)))

    def _check_floor(self, layer: LayerEstimate, entry: dict[str, Any], ran: Ran, asked: Asked) -> str:
        """Each MAC once, the results in between at the group's level, everything else as for a layer alone."""
        energy, compulsory = self._least(layer, entry, ran)[:2]
        if energy > layer.energy_pj and not same(energy, layer.energy_pj):
            raise Refuted(f"the floor re-derived is {energy!r}, above the energy {layer.energy_pj!r}")
        right = {"floor_pj": min(energy, layer.energy_pj), "compulsory_pj": min(compulsory, layer.energy_pj)}
        if len(self._levels()) == 1:
            refute_differences(differing({key: getattr(layer, key) for key in right}, right))
        elif layer.floor_pj > layer.energy_pj:
            raise Refuted("a floor above the energy")
        return f"{energy:,.0f}"

    def _levels(self) -> list[str]:
        homes = {self._machine.home(t).name for t in ("inputs", "outputs")}
        return [
            level.name
            for level in self._machine.levels
            if {"inputs", "outputs"} <= set(level.keeps)
            and not (level.latch or level.name in homes or self._machine.fanouts_outside(level.name))
        ]

    def _least(self, layer: LayerEstimate, entry: dict[str, Any], ran: Ran) -> tuple[float, float, float]:
        bits = bits_of(layer.bits)
        if layer.dims is None:
            moved = layer.moved or {}
            once = Ran(nests={}, kept=ran.kept, taken_bits=0, made=moved["written"], inside=ran.inside, stage=0, order=[])
            machine = self._minding(layer, None, bits, self._met(layer, entry, ran))
            rows = rows_of(self._summing(layer, entry, once), bits, machine, machine)
            energy = math.fsum(row[5] for row in rows.values()) + moved["vector_ops"] * (self._machine.vector_energy or 0.0)
            return energy, energy, 0.0
        nest = nest_of(layer)
        bottom = least(nest, self._minding(layer, nest, bits, self._met(layer, entry, ran, roomy=True)), bits)
        return bottom.energy, bottom.compulsory, bottom.cycles

    def _check_times(self, entry: dict[str, Any], rows: list[LayerEstimate]) -> None:
        own = {}
        for row in rows:
            times, ran = self._times[row.name], self._members[row.name][1]
            own[row.name] = math.fsum([times.brought, *(ran.nests[n] * cycles for n, cycles in times.nests.items())])
        together = math.fsum(own.values())
        total = self._beside(rows) if entry["beside"] else together
        floors: dict[str, float] = {}
        for row in rows:
            lane = lane_of(row, self._machine)
            floors[lane] = floors.get(lane, 0.0) + self._least(row, *self._members[row.name])[2]
        lowest, bound = max(floors.values()), math.fsum(row.bound for row in rows)
        for row in rows:
            cycles, bits = own[row.name] * total / together, bits_of(row.bits)
            met = self._minding(row, nest_of(row), bits, self._met(row, *self._members[row.name]))
            right = {"latency_cycles": cycles, "utilization": row.macs * met.timed / (cycles * met.pes)}
            if self._estimate.objective == "latency" and len(self._levels()) == 1:
                right["floor"] = min(lowest, bound) * cycles / total
            refute_differences(differing({key: getattr(row, key) for key in right}, right))

    def _beside(self, rows: list[LayerEstimate]) -> float:
        """Tiles in step: in every step each engine, and each port that they share, is as long busy as its layers keep it."""
        members = [(row, self._members[row.name][1], self._times[row.name]) for row in rows]
        last = max(ran.stage for _, ran, _ in members)
        cycles = [times.brought for _, _, times in members]
        for step in range(len(members[0][1].order) + last):
            busy: dict[object, float] = {"": 0.0}
            for row, ran, times in members:
                tile = step - ran.stage
                nest = ran.order[tile] if 0 <= tile < len(ran.order) else None
                if nest is not None:
                    lane = lane_of(row, self._machine)
                    busy[lane] = busy.get(lane, 0.0) + times.nests[nest]
                    for port, load in times.ports[nest].items():
                        busy[port] = busy.get(port, 0.0) + load
            cycles.append(max(busy.values()))
        return math.fsum(cycles)


def _add(total: Rows, once: Rows, times: int) -> None:
    for key, row in once.items():
        before: Row = total.get(key, (0, 0, 0, 0, 0.0, 0.0, None if row[-1] is None else 0.0))
        total[key] = tuple(  # type: ignore[assignment]
            None if new is None or old is None else old + new * times for old, new in zip(before, row, strict=True)
        )


def _port_cycles(plan: Plan, nest: Nest, machine: Accelerator, bits: Bits) -> dict[tuple[str, str], float]:
    """Cycles at the ports of levels of which there is one."""
    found = {}
    for level in machine.levels:
        if machine.fanouts_outside(level.name) or not level.ports:
            continue
        tallies = recount(plan, nest, machine, first_of=level.name)
        for port in level.ports:
            through = 0.0
            for tensor in port.tensors:
                tally = tallies.get((level.name, tensor))
                for way, n in tally.bits(tensor, bits).items() if tally else ():
                    if goes_through(port, way, tensor):
                        through += n * level.share(way, tensor).timed
            found[level.name, port.label] = through / port.bits_per_cycle
    return found
