"""What units that skip zeros do between two waits, and the cycles of all of it, derived anew from the cuts of a mapping; the law
is ``docs/explanation/counting.md``.

Indices are sets held in the bits of a number, as for the windows of the inputs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

from picojoule.hardware.accelerator import Accelerator
from picojoule.verification.chunks import Cut, Part, shapes, sums
from picojoule.verification.imbalance import Skips, least_share, share
from picojoule.verification.plan import Plan
from picojoule.workload.nest import DIMS, Bits, Nest

WINDOWS = {"rows": ("P", "R"), "columns": ("Q", "S")}
Spreads = Mapping[str, int]
Window = tuple[int, int, int, int, int, int]


def units_of(machine: Accelerator) -> tuple[str, ...]:
    """Names of the fan-outs whose positions skip on their own, from the outermost."""
    names: list[str] = []
    for fanout in machine.fanouts if machine.skipping else ():
        names.append(fanout.name)
        if fanout.name == machine.units:
            break
    return tuple(names)


def held_in_units(machine: Accelerator) -> set[str]:
    """Names of the memories inside all fan-outs of the units; a latch is none."""
    units = set(units_of(machine))
    return {
        level.name for level in machine.levels if not level.latch and not units - machine.fanouts_outside(level.name)
    }


def slowest(plan: Plan, nest: Nest, machine: Accelerator, steps: int) -> float:
    """Cycles of the slowest unit of each block, all blocks together."""
    units = units_of(machine)
    apart, lanes = dict.fromkeys(DIMS, 1), dict.fromkeys(DIMS, 1)
    for cut in plan.spreads:
        (apart if cut.fanout in units else lanes)[cut.dim] *= cut.count
    block, trips = _block(plan, nest, machine, apart, lanes)
    cycles = steps * machine.pace * share(_skips(machine, nest, apart, lanes), *block)
    if "inputs" in machine.skipping and any(nest.pad):
        for axis in WINDOWS:
            real, all_of_it = _inside_map(plan, nest, axis, trips)
            cycles *= real / all_of_it
    return cycles


def least_slowest(machine: Accelerator, nest: Nest, bits: Bits, apart: Spreads, lanes: Spreads) -> float:
    """What no mapping beats that has so many units, and positions in each, along every dimension."""
    ahead, has = dict(machine.run_ahead), _portions(nest, apart, lanes)
    weights = lanes["K"] * has["G"] * has["K"] * has["C"] * has["R"] * has["S"]
    inputs = math.prod(has.values()) // has["K"]
    rounds = has["K"]
    held, mine = held_in_units(machine), set(units_of(machine))
    for level in machine.levels:
        for tensor in {"weights", "outputs"} & set(level.keeps):
            if level.name in held and level.usable_bits is not None:
                one_lane = any(f.name not in mine for f in machine.fanouts if f.name in machine.fanouts_outside(level.name))
                elements = level.usable_bits // level.tile_bits(tensor, bits)
                rounds = min(rounds, elements if one_lane else elements // lanes["K"])
    cycles = machine.pace * _least(
        _skips(machine, nest, apart, lanes),
        max(1, rounds),
        max(lanes["K"], min(ahead.get("weights", weights), weights)),
        min(ahead.get("inputs", inputs), inputs),
    )
    for axis, dims in WINDOWS.items():
        if "inputs" in machine.skipping:
            cycles *= least_inside(nest.window(axis), *(apart[d] * lanes[d] for d in dims))
        else:
            cycles *= has[dims[0]] * has[dims[1]]
    return cycles * has["N"] * has["G"] * has["K"] * has["C"]


_least = functools.lru_cache(maxsize=1 << 16)(least_share)


def _portions(nest: Nest, apart: Spreads, lanes: Spreads) -> dict[str, int]:
    return {d: math.ceil(size / (apart[d] * lanes[d])) for d, size in nest.dims.items()}


def _skips(machine: Accelerator, nest: Nest, apart: Spreads, lanes: Spreads) -> Skips:
    density, portion = dict(machine.density), _portions(nest, apart, lanes)

    def whole(dims: str) -> int:
        """Units that get a full portion."""
        return math.prod(max(1, min(apart[d], nest.dims[d] // (portion[d] * lanes[d]))) for d in dims)

    return Skips(
        weights=density.get("weights", 1.0),
        inputs=density.get("inputs", 1.0),
        of_inputs="inputs" in density,
        both=whole("GCRS"),
        apart_in_weights=whole("K"),
        apart_in_inputs=whole("NPQ"),
        lanes=lanes["K"],
    )


Counts = tuple[int, float, float, float]
"""Rounds, columns, inputs, visits."""


def _block(
    plan: Plan, nest: Nest, machine: Accelerator, apart: Spreads, lanes: Spreads
) -> tuple[Counts, dict[int, int]]:
    """What is between two waits, and how many trips of every loop are in it, by place."""
    portion = _portions(nest, apart, lanes)
    limits = {"weights": math.inf, "inputs": math.inf, **dict(machine.run_ahead)}
    held = held_in_units(machine)
    border = max((at for t in ("weights", "outputs") for name, at in plan.path[t] if name in held), default=-1)
    reaching = {cut.place: size for d in DIMS for cut, size in _reaching(plan.cuts[d], nest.dims[d])}
    sets, rounds, resting = dict.fromkeys(DIMS, 1), 1, True
    trips: dict[int, int] = {}

    def with_trips(cut: Cut, count: int) -> dict[str, int]:
        united = 0
        for chunk in range(count):
            united |= sets[cut.dim] << chunk * cut.tile
        return {**sets, cut.dim: united & (1 << reaching[cut.place]) - 1}

    def size(some: Mapping[str, int], dim: str) -> int:
        return min(some[dim].bit_count(), portion[dim])

    def count(some: Mapping[str, int]) -> dict[str, int]:
        weights, inputs = lanes["K"], 1
        for d in "GKCRS":
            weights *= size(some, d)
        for d in "NGC":
            inputs *= size(some, d)
        for axis, (outer, inner) in WINDOWS.items():
            _, _, stride, dilation, _, _ = nest.window(axis)
            met = sums(_spaced(some[outer], stride), _spaced(some[inner], dilation)).bit_count()
            inputs *= min(met, portion[outer] * portion[inner])
        return {"weights": weights, "inputs": inputs}

    for cut in reversed([loop for loop in plan.loops if loop.count > 1]):
        resting = resting and cut.place > border and cut.dim == "K"
        trips[cut.place] = 1
        for number in range(cut.count, 1, -1):
            if all(n <= limits[t] for t, n in count(with_trips(cut, number)).items()):
                trips[cut.place] = number
                break
        sets = with_trips(cut, trips[cut.place])
        if resting:
            rounds = size(sets, "K")
        if trips[cut.place] < cut.count:
            break
    met, visits = count(sets), math.prod(size(sets, d) for d in DIMS) / rounds
    return (rounds, met["weights"] / (rounds * lanes["K"]), met["inputs"], visits), trips


def _reaching(cuts: Sequence[Cut], size: int) -> list[tuple[Cut, int]]:
    """Every cut of a dimension with the range that it cuts."""
    return list(zip(cuts, [size, *(cut.tile for cut in cuts)], strict=False))


def _spaced(indices: int, spacing: int) -> int:
    if spacing == 1:
        return indices
    result = 0
    while indices:
        lowest = indices & -indices
        result |= 1 << (lowest.bit_length() - 1) * spacing
        indices ^= lowest
    return result


def _inside_map(plan: Plan, nest: Nest, axis: str, trips: Mapping[int, int]) -> tuple[int, int]:
    """Along rows or columns: the steps inside the map of the position that has most of them in each block, and all steps."""
    (outputs, all_outputs), (taps, all_taps) = (_by_visit(plan, nest, dim, trips) for dim in WINDOWS[axis])
    fed = _fed(nest.window(axis))
    real = sum(
        max(_common(fed, some, tap) for some in ours for tap in theirs) for ours in outputs for theirs in taps
    )
    return real, all_outputs * all_taps


def _by_visit(plan: Plan, nest: Nest, dim: str, trips: Mapping[int, int]) -> tuple[list[list[int]], int]:
    """The indices of every array position, by block; and how many the first position has in all blocks."""
    cuts: list[Cut] = []
    united = set()
    for cut in plan.cuts[dim]:
        number = trips.get(cut.place, 1) if cut.fanout is None else 1
        if 1 < number < cut.count:
            cuts += [
                Cut(cut.place, dim, cut.tile * number, math.ceil(cut.count / number)),
                Cut(-1 - cut.place, dim, cut.tile, number),
            ]
            united.add(-1 - cut.place)
        else:
            cuts.append(cut)
            if number > 1:
                united.add(cut.place)
    apart = [cut for cut in cuts if cut.place not in united]
    found = shapes(cuts, nest.dims[dim], lambda cut: Part.UNITED if cut.place in united else Part.APART, 1)
    visits: dict[tuple[int, ...], list[int]] = {}
    first = 0
    for key, indices in found.items():
        numbered = list(zip(key, apart, strict=True))
        visits.setdefault(tuple(n for n, cut in numbered if cut.fanout is None), []).append(indices)
        if not any(n for n, cut in numbered if cut.fanout is not None):
            first += indices.bit_count()
    return list(visits.values()), first


def _fed(window: Window) -> list[int]:
    """For each tap the outputs, as a set, whose input under that tap lies inside the map."""
    outputs, taps, stride, dilation, pad, size = window
    return [
        sum(1 << p for p in range(outputs) if pad <= p * stride + tap * dilation < pad + size) for tap in range(taps)
    ]


def _common(fed: Sequence[int], outputs: int, taps: int) -> int:
    return sum((set_ & outputs).bit_count() for tap, set_ in enumerate(fed) if taps >> tap & 1)


@functools.lru_cache(maxsize=1 << 16)
def least_inside(window: Window, outputs_over: int, taps_over: int) -> float:
    """Steps inside the map that some position has at least along an axis, however the outputs and taps are dealt out."""
    outputs, taps = window[:2]
    fed = _fed(window)
    by_tap = [set_.bit_count() for set_ in fed]
    by_output = [sum(set_ >> p & 1 for set_ in fed) for p in range(outputs)]
    own_outputs, own_taps = math.ceil(outputs / outputs_over), math.ceil(taps / taps_over)
    found = [sum(by_tap) / (outputs_over * taps_over)]
    # Of any so many outputs a tap has at least those inside that are left once all those outside are taken.
    found += [max(0, own_outputs - (outputs - n)) for n in by_tap]
    found += [max(0, own_taps - (taps - n)) for n in by_output]
    if taps_over == 1:
        found.append(sum(sorted(by_output)[:own_outputs]))
    if outputs_over == 1:
        found.append(sum(sorted(by_tap)[:own_taps]))
    return float(max(found))
