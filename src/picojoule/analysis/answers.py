"""What a result answers to one requirement, by how much it misses it, and what it would take.

Every sentence follows from figures of the result: bound and floor say whether another mapping could do it, the time in which
the array works whether any could, and the shares where the energy goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from picojoule.analysis.chip import on_chip_bits
from picojoule.analysis.eyexam.subject import machine_of
from picojoule.analysis.requirements import REQUIREMENTS, Limit
from picojoule.result import Estimate
from picojoule.units import significant

_TIE = 1e-9
"""What lies nearer to a limit than this meets it: sums in another order differ by as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``met`` is None where the result can't say; ``value`` is in the unit of the requirement."""

    met: bool | None
    value: float | None = None
    basis: str = ""
    needed: tuple[str, ...] = ()


def answered(estimate: Estimate, limit: Limit, rate: float | None) -> Answer:
    """What the result says to one requirement.

    Args:
        estimate: the result.
        limit: asked for.
        rate: inferences a second that are required, too; None if none are.
    """
    if limit.requirement.key == "max_power":
        return _power(estimate, limit, rate)
    return _ANSWERS[limit.requirement.key](estimate, limit)


def _compared(
    estimate: Estimate,
    limit: Limit,
    value: float,
    needed: Callable[[], list[str]],
    *,
    basis: str = "",
    costed: bool = True,
) -> Answer:
    """Yes, or no with what is needed; no yes where MACs are missing from a figure that they would make worse."""
    at_least, slack = limit.requirement.at_least, _TIE * abs(limit.value)
    met = value >= limit.value - slack if at_least else value <= limit.value + slack
    if not met:
        return Answer(met=False, value=value, basis=basis, needed=(_miss(limit, value), *needed()))
    share = estimate.coverage["macs"]
    if costed and share != 1:
        known = "an unknown share" if share is None else f"{100 * share:.1f} %"
        why = f"{known} of the MACs are costed, and the others come on top: of such a model it can't be told that it meets this"
        return Answer(met=None, value=value, basis=basis, needed=(why,))
    return Answer(met=True, value=value, basis=basis)


def _miss(limit: Limit, value: float) -> str:
    requirement, wanted = limit.requirement, limit.value
    difference = requirement.text(abs(value - wanted))
    if requirement.key == "min_accuracy":
        return f"{significant(100 * (wanted - value), 3)} points short"
    if requirement.at_least:
        return (
            f"{difference} short: {significant(wanted / value, 3)}× as much is needed"
            if value
            else f"{difference} short"
        )
    return f"{difference} too much: {significant(value / wanted, 3)}× the limit"


def _accuracy(estimate: Estimate, limit: Limit) -> Answer:
    if estimate.accuracy is None:
        why = "an accuracy measured on the data of the task: give it with --accuracy; no mapping or machine changes it"
        return Answer(met=None, needed=(why,))
    advice = "a network that is right more often, larger or better trained: no mapping or machine changes accuracy"
    return _compared(estimate, limit, estimate.accuracy, lambda: [advice], costed=False)


def _latency(estimate: Estimate, limit: Limit) -> Answer:
    basis = f"of a batch of {estimate.batch}" if estimate.batch > 1 else ""
    if estimate.latency_s is None:
        return Answer(met=None, basis=basis, needed=(_no_clock(estimate, limit.value),))

    def needed() -> list[str]:
        batch = (
            [f"the time is that of {estimate.batch} inferences together: fewer take less"] if estimate.batch > 1 else []
        )
        return [*batch, *_faster(estimate, limit.value)]

    return _compared(estimate, limit, estimate.latency_s, needed, basis=basis)


def _throughput(estimate: Estimate, limit: Limit) -> Answer:
    if estimate.throughput_inf_s is None:
        return Answer(met=None, needed=(_no_clock(estimate, estimate.batch / limit.value),))
    seconds = estimate.batch / limit.value
    return _compared(
        estimate,
        limit,
        estimate.throughput_inf_s,
        lambda: _faster(estimate, seconds),
        basis="batches one after the other",
    )


def _no_clock(estimate: Estimate, seconds: float) -> str:
    if estimate.latency_cycles is None:
        return "a machine whose latency is modelled"
    needed = _frequency(estimate.latency_cycles / seconds)
    return f"a machine with a clock (clock: in its description): {significant(estimate.latency_cycles, 4)} cycles are in time from {needed} on"


def _frequency(hertz: float) -> str:
    for size, unit in ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz")):
        if hertz >= size:
            return f"{significant(hertz / size, 3)} {unit}"
    return f"{significant(hertz, 3)} Hz"


def _faster(estimate: Estimate, seconds: float) -> list[str]:
    """What it takes to run in so many seconds."""
    assert estimate.latency_s is not None and estimate.latency_cycles
    clock, text = estimate.latency_cycles / estimate.latency_s, REQUIREMENTS["max_latency"].text
    said = []
    if estimate.objective == "latency":
        said += _by_mapping(estimate, text, estimate.bound / clock, estimate.floor / clock, seconds)
    else:
        said.append(f"this result makes {_AIMS[estimate.objective]} least: --objective latency may be faster")
    busy = _busy_cycles(estimate)
    if busy is not None and busy / clock > seconds:
        times = significant(busy / clock / seconds, 3)
        said.append(
            f"{times}× the MAC units, the clock, or fewer MACs: with all units busy all the time it takes {text(busy / clock)}"
        )
    elif busy is not None:
        share, wanted = busy / estimate.latency_cycles, busy / clock / seconds
        said.append(
            f"MAC units that work {100 * wanted:.0f} % of the time, now {100 * share:.0f} %: `picojoule explain` says what they wait for"
        )
    said.append(
        f"or a clock of {_frequency(clock * estimate.latency_s / seconds)}, now {_frequency(clock)}, if every memory keeps pace"
    )
    return said


_AIMS = {"energy": "energy", "latency": "latency", "edp": "energy × delay"}


def _busy_cycles(estimate: Estimate) -> float | None:
    """Cycles if every MAC unit worked in every one; None on machines that skip, where MACs take no time at all."""
    if estimate.hardware.get("zeros", {}).get("skipping"):
        return None
    return sum((layer.latency_cycles or 0.0) * (layer.utilization or 0.0) for layer in estimate.layers)


def _by_mapping(
    estimate: Estimate, text: Callable[[float], str], bound: float, floor: float, limit: float
) -> list[str]:
    """Whether another mapping could do it, by bound and floor."""
    name = estimate.hardware["name"]
    if floor > limit:
        return [f"another machine or a smaller network: no mapping at all takes less than {text(floor)} on {name}"]
    if bound > limit:
        return [f"a mapping outside the space that was searched: none inside takes less than {text(bound)}"]
    return [
        f"perhaps no more than a longer search: the best mapping may take as little as {text(bound)} (--time-limit none)"
    ]


def _energy(estimate: Estimate, limit: Limit) -> Answer:
    if estimate.table["unit"] != "pJ":
        return Answer(met=None, needed=(_no_joules(estimate),))
    text = limit.requirement.text

    def needed() -> list[str]:
        bound, floor = estimate.bound_pj / estimate.batch, estimate.floor_pj / estimate.batch
        if estimate.objective == "energy":
            said = _by_mapping(estimate, text, bound, floor, limit.value)
        elif floor > limit.value:
            said = _by_mapping(estimate, text, floor, floor, limit.value)
        else:
            said = [f"this result makes {_AIMS[estimate.objective]} least: --objective energy may take less"]
        return [*said, *_where_it_goes(estimate, 1 - limit.value / estimate.energy_pj_per_inference)]

    return _compared(estimate, limit, estimate.energy_pj_per_inference, needed)


def _no_joules(estimate: Estimate) -> str:
    return (
        f"a machine priced in joules: the energies of {estimate.hardware['name']} are multiples of a MAC "
        "(--table eyeriss-normalized-65nm-pj)"
    )


def _where_it_goes(estimate: Estimate, excess: float) -> list[str]:
    """The place and the layer that take most, beside the share that must go."""
    levels = estimate.by_level()
    level = max(levels, key=levels.__getitem__)
    layer = max(estimate.layers, key=lambda one: one.energy_pj)
    place, row = levels[level] / estimate.energy_pj, layer.energy_pj / estimate.energy_pj
    return [
        f"{100 * excess:.1f} % less: {level} takes {100 * place:.0f} % of all, the layer {layer.name} {100 * row:.0f} %"
    ]


def _power(estimate: Estimate, limit: Limit, required: float | None) -> Answer:
    """At the rate of the result, else that required, else as fast as it goes."""
    if estimate.table["unit"] != "pJ":
        return Answer(met=None, needed=(_no_joules(estimate),))
    rate = next((r for r in (estimate.fps, required, estimate.throughput_inf_s) if r is not None), None)
    if rate is None:
        return Answer(met=None, needed=("a clock of the machine, or a rate: --fps or --min-throughput",))
    per_inference = estimate.energy_pj_per_inference * 1e-12
    at = f"{significant(rate, 4)} inferences a second"
    pace = "" if rate in (estimate.fps, required) else ", without a pause"
    static = "" if "leakage" in estimate.by_level() else "; leakage and clock left out"

    def needed() -> list[str]:
        slower = f"at most {significant(limit.value / per_inference, 4)} inferences a second"
        energy = REQUIREMENTS["max_energy"].text(limit.value / rate * 1e12)
        return [
            f"{slower}, or {energy} for each of them",
            *_where_it_goes(estimate, 1 - limit.value / (per_inference * rate)),
        ]

    return _compared(estimate, limit, per_inference * rate, needed, basis=f"at {at}{pace}{static}")


def _area(estimate: Estimate, limit: Limit) -> Answer:
    if estimate.area_mm2 is None:
        why = f"the area of {estimate.hardware['name']} (area_mm2: in its description): nobody states it"
        return Answer(met=None, needed=(why,))
    return _compared(
        estimate,
        limit,
        estimate.area_mm2,
        lambda: ["a smaller machine: fewer MAC units or smaller memories"],
        costed=False,
    )


def _memory(estimate: Estimate, limit: Limit) -> Answer:
    bits = on_chip_bits(machine_of(estimate))
    if bits is None:
        return Answer(met=None, needed=("sizes of all memories on the chip (capacity: in the description)",))
    return _compared(estimate, limit, float(bits), lambda: ["a machine with smaller memories"], costed=False)


_ANSWERS = {
    "min_accuracy": _accuracy,
    "max_latency": _latency,
    "min_throughput": _throughput,
    "max_energy": _energy,
    "max_area": _area,
    "max_memory": _memory,
}
