"""Eyexam's seven steps: the most MACs per cycle of any mapping, under ever more of what binds it.

The steps are those of Chen, Yang, Emer and Sze (arXiv 1807.07928, version 1, appendix). Steps 1 to 4 are exact, in closed form or
by enumeration, and so is step 5 where tiles have no rules. Steps 6 and 7 are the optimum of a search, or its bound: never too low. How each follows:
``docs/explanation/eyexam.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from picojoule.analysis.eyexam.storage import fitting
from picojoule.analysis.eyexam.subject import Subject
from picojoule.cost.energy import latency_cycles
from picojoule.cost.floor import floor
from picojoule.cost.traffic import count_traffic
from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.search.assignment import spatial_assignments
from picojoule.search.policy import Exact
from picojoule.workload.nest import DIMS

STEPS = (
    "layer shape",
    "dataflow",
    "number of PEs",
    "physical array",
    "storage",
    "average bandwidth",
    "varying access",
    "chosen mapping",
)
_SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of Eyexam, or the mapping that was chosen.

    Attributes:
        name: of ``STEPS``.
        macs_per_cycle: the most that any mapping reaches under the constraints of this step and those before.
        loss: share of the step before that is lost here; 0 for the first.
        exact: whether some mapping reaches it; else it is a bound that none exceeds.
        sentence: why.
    """

    name: str
    macs_per_cycle: float
    loss: float
    exact: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class _Least:
    """The least cycles under the constraints of a step."""

    cycles: float
    exact: bool
    sentence: str


def steps(subject: Subject, policy: Exact | None) -> tuple[Step, ...]:
    """The seven steps of one layer, and the chosen mapping as the eighth.

    Args:
        subject: the layer.
        policy: how long each of the searches behind steps 5 to 7 may take; factors are always any. None searches nothing,
            and the bounds that are known without stand in.
    """
    nest = subject.nest
    array, fit = _array(subject)
    wide = None if policy is None else replace(policy, factors="any")
    memories = _memories(subject, array.cycles, fit, wide)
    found = [*_shape_and_pes(subject), array, *memories]
    found.append(_chosen(subject, found[-1]))
    for i in range(len(found) - 2, -1, -1):  # sums in another order may differ in the last digit
        if found[i + 1].cycles < found[i].cycles <= found[i + 1].cycles * (1 + _SAME):
            found[i] = replace(found[i], cycles=found[i + 1].cycles)
    rates = [nest.macs / least.cycles for least in found]
    return tuple(
        Step(
            name=name,
            macs_per_cycle=rate,
            loss=max(0.0, 1 - rate / before),
            exact=least.exact,
            sentence=least.sentence,
        )
        for name, rate, before, least in zip(STEPS, rates, [rates[0], *rates], found, strict=False)
    )


def _shape_and_pes(subject: Subject) -> list[_Least]:
    """Steps 1 to 3."""
    nest, machine = subject.nest, subject.machine
    pace = machine.timed
    free = {d for fanout in machine.fanouts for axis in fanout.axes for d in axis.dims}
    spread = [d for d in DIMS if d in free and nest.dims[d] > 1]
    in_turn = [d for d in DIMS if d not in free and nest.dims[d] > 1]
    side_by_side = math.prod(nest.dims[d] for d in spread)
    steps_each = math.prod(nest.dims[d] for d in in_turn)
    slow = "" if pace == 1 else f" A MAC keeps its unit busy for {pace:.3g} cycles on average."
    first = f"The layer has {nest.macs:,} MACs; with a unit for each, they would all happen at once.{slow}"
    if in_turn:
        second = (
            f"The dataflow spreads {_listed(spread) or 'no loop'}: {side_by_side:,} MACs side by side; "
            f"{_listed(in_turn)} {'run' if len(in_turn) > 1 else 'runs'} in time, {steps_each:,} steps."
        )
    else:
        second = "The dataflow may spread every loop of this layer."
    rounds = -(-side_by_side // machine.pes)
    if side_by_side < machine.pes:
        third = f"Of {machine.pes:,} PEs, {machine.pes - side_by_side:,} have nothing to do: there is too little work."
    elif side_by_side % machine.pes:
        last = side_by_side - (rounds - 1) * machine.pes
        third = f"{machine.pes:,} PEs go round {rounds:,} times, and the last time {last:,} of them have work."
    else:
        third = f"{machine.pes:,} PEs go round {rounds:,} times, all of them busy."
    return [
        _Least(pace, True, first),
        _Least(pace * steps_each, True, second),
        _Least(pace * steps_each * rounds, True, third),
    ]


def _array(subject: Subject) -> tuple[_Least, float]:
    """Step 4, and what of it is left by the memories: the fewest cycles of any way to spread the loops over the sides of the
    array, and of those ways whose least tiles fit."""
    nest, machine = subject.nest, subject.machine
    if not machine.fanouts:
        cycles = machine.timed * nest.macs
        return _Least(cycles, True, "There is one MAC unit, and it has no sides."), cycles
    ways = spatial_assignments(nest, machine, frozenset(), True)
    sizes = np.array([nest.dims[d] for d in DIMS], dtype=np.int64)
    left = (-(-sizes // ways.prod(axis=1))).astype(float).prod(axis=1)
    best = int(left.argmin())
    axes = [axis for fanout in machine.fanouts for axis in fanout.axes]
    sides = []
    for axis, factors in zip(axes, ways[best], strict=True):
        held = " × ".join(f"{d} {n}" for d, n in zip(DIMS, factors.tolist(), strict=True) if n > 1)
        if axis.size > 1:
            sides.append(f"{axis.name} ({axis.size:,}) takes {held or 'nothing'}")
    used = nest.macs / left[best]
    where = "; ".join(sides) or "the array has no sides"
    sentence = f"The best fit: {where}: {_number(used)} of {machine.pes:,} PEs at work on average."
    fits = fitting(subject, ways)
    least = float(left[fits].min()) if fits.any() else float(left[best])
    return _Least(machine.timed * float(left[best]), True, sentence), machine.timed * least


def _memories(subject: Subject, array: float, fit: float, policy: Exact | None) -> list[_Least]:
    """Steps 5 to 7. The chosen mapping meets all constraints, so no step needs more cycles than it does."""
    nest, bits, machine, mapping = subject.nest, subject.bits, subject.machine, subject.mapping
    even = replace(machine, density=())
    traffic = count_traffic(nest, machine, mapping, bits)
    own = machine.timed * traffic.temporal_steps
    if any(level.tiles for level in machine.levels):
        storage = _least(subject, _without_ports(even), fit, own, policy)
    else:
        storage = _Least(min(fit, own), True, "")
    said = [
        _said(
            storage,
            array,
            "What keeps more PEs at work doesn't fit into the memories, or breaks a rule for tiles.",
            "The tiles of a mapping that keeps as many PEs at work fit into the memories.",
        )
    ]
    own, slowest = latency_cycles(nest, even, mapping, traffic, bits)
    least = max(storage.cycles, floor(nest, even, bits).cycles)
    bandwidth = _least(subject, even, least, own, policy)
    narrow = "" if slowest == "compute" else f" (in the chosen mapping: {slowest})"
    waits = f"The ports can't move in that time what every mapping has to move{narrow}."
    said.append(_said(bandwidth, storage.cycles, waits, "With the best mapping no port makes the array wait."))
    if not machine.density:
        varying = bandwidth
        said.append("Nothing varies here: filling and draining the array between passes is not modelled.")
    else:
        varying = _least(subject, machine, bandwidth.cycles, subject.cycles, policy)
        said.append(
            _said(
                varying,
                bandwidth.cycles,
                "Zeros fall unevenly: the PEs with fewest to do wait for the one with most.",
                "Uneven zeros cost no time here; filling and draining the array is not modelled.",
            )
        )
    return [replace(x, sentence=text) for x, text in zip((storage, bandwidth, varying), said, strict=True)]


def _said(found: _Least, before: float, lost: str, kept: str) -> str:
    """What a step says: what is lost, that nothing is, or how much is known."""
    if found.cycles > before * (1 + _SAME):
        return lost if found.exact else f"{lost} A bound: more may be lost."
    return kept if found.exact else "A bound: whether anything is lost here was left open."


def _least(subject: Subject, machine: Accelerator, least: float, own: float, policy: Exact | None) -> _Least:
    """The least cycles on a machine, known to lie between ``least`` and those of the chosen mapping."""
    if own <= least * (1 + _SAME):
        return _Least(min(least, own), True, "")
    if policy is None:
        return _Least(least, False, "")
    from picojoule.search.layer import search_layer  # the compiled kernels, only where they must be

    try:
        found = search_layer(subject.nest, machine, subject.bits, "latency", policy)
    except HardwareError:
        return _Least(least, False, "")  # the chosen mapping is the only one known
    if found.status == "INTERRUPTED":
        raise KeyboardInterrupt
    bound = min(max(found.bound, least), own)
    return _Least(bound, min(found.value, own) <= bound * (1 + _SAME), "")


def _chosen(subject: Subject, before: _Least) -> _Least:
    same = subject.cycles <= before.cycles * (1 + _SAME)
    if same:
        sentence = "The chosen mapping is as fast as any."
    elif subject.row.status == "GIVEN":
        sentence = "The mapping was given; others may be faster."
    elif before.exact:
        least = {"energy": "least energy", "edp": "least energy × delay"}.get(subject.objective)
        sentence = f"A faster mapping exists; this one was found for {least}."
        if least is None:
            sentence = "A faster mapping exists: the search of the result stopped before it, or had to divide exactly."
    else:
        sentence = "A faster mapping may exist: the bound before this was not met."
    return _Least(subject.cycles, True, sentence)


def _without_ports(machine: Accelerator) -> Accelerator:
    """The machine, had it all the bandwidth that one could wish for."""

    def wide(level: Level) -> Level:
        link = None if level.link is None else replace(level.link, bits_per_cycle=None)
        return replace(level, read_bits_per_cycle=None, write_bits_per_cycle=None, own_ports=(), link=link)

    return replace(machine, hierarchy=tuple(wide(x) if isinstance(x, Level) else x for x in machine.hierarchy))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _listed(dims: list[str]) -> str:
    return ", ".join(dims)
