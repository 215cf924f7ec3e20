"""The datasheet of a chip and of the networks on it: two tables, in which what is missing says so, and why that can mislead.

The tables are those of Sze and others, "Efficient Processing of Deep Neural Networks: A Tutorial and Survey" (Proceedings of the
IEEE, 2017), as "Understanding the Limitations of Existing Energy-Efficient Design Approaches for Deep Neural Networks" shows them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from picojoule.analysis.about import About, about_of
from picojoule.analysis.chip import on_chip_bits, outermost_is_off_chip
from picojoule.analysis.eyexam.subject import machine_of
from picojoule.analysis.identity import design_of
from picojoule.analysis.subjects import read_subject
from picojoule.errors import UsageError
from picojoule.hardware.accelerator import Accelerator
from picojoule.result import Estimate

GIVEN, FROM_RESULT = "given", "result"
KIBIBYTE_BITS = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a datasheet.

    Attributes:
        key: short and fixed, for programs.
        label, unit: of the row.
        value: in ``unit``; None where it is missing.
        origin: ``result``, ``given`` (told from outside), or empty where it is missing.
        modelled: what the result has, where something else was given.
        missing: that it is missing, and why that can mislead; empty where it is there.
        remark: what to know about the value.
    """

    key: str
    label: str
    unit: str = ""
    value: float | int | str | None = None
    origin: str = ""
    modelled: float | int | str | None = None
    missing: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datasheet:
    """A chip, and the networks that it was evaluated on: ``networks`` has a tuple of the same rows for each."""

    hardware: str
    chip: tuple[Entry, ...]
    networks: tuple[tuple[Entry, ...], ...]
    altered: tuple[str, ...] = ()


def datasheet(
    results: Sequence[Estimate | str | os.PathLike[str]],
    *,
    about: Sequence[About | Mapping[str, object] | str | os.PathLike[str] | None] = (),
) -> Datasheet:
    """The datasheet of the machine of one or more results.

    Args:
        results: of networks on one machine, as objects or files.
        about: what no result holds (``about.KEYS``), as files or tables: one for all results, or one for each.

    Raises:
        UsageError: no result, results of different machines, or another number of ``about``.
        DatasheetError: an ``about`` file that is wrong.
        ResultFileError, SystemFailure: a file that can't be read.
    """
    if not results:
        raise UsageError("a datasheet takes at least one result, got none")
    read = [(str(one), *read_subject(one)) for one in results]
    estimates = [estimate for _, estimate, _ in read]
    if len({design_of(estimate) for estimate in estimates}) > 1:
        names = ", ".join(dict.fromkeys(str(estimate.hardware["name"]) for estimate in estimates))
        raise UsageError(
            f"a datasheet is of one machine, got results of several: {names}", hint="Make one for each machine."
        )
    told = [about_of(one) for one in about] or [About()]
    if len(told) not in (1, len(estimates)):
        raise UsageError(
            f"{len(told)} files about {len(estimates)} results",
            where="about",
            hint="Give one for all of them, or one for each.",
        )
    told = told if len(told) == len(estimates) else told * len(estimates)
    machine = machine_of(estimates[0])
    return Datasheet(
        hardware=str(estimates[0].hardware["name"]),
        chip=_chip(machine, told[0]),
        networks=tuple(_network(estimate, machine, facts) for estimate, facts in zip(estimates, told, strict=True)),
        altered=tuple(name for name, _, altered in read if altered),
    )


def _entry(
    key: str,
    label: str,
    unit: str,
    modelled: float | str | None,
    given: float | str | None,
    missing: str,
    remark: str = "",
) -> Entry:
    """What was given counts before what was modelled, which then stands beside it."""
    if given is not None:
        return Entry(key=key, label=label, unit=unit, value=given, origin=GIVEN, modelled=modelled)
    if modelled is None:
        return Entry(key=key, label=label, unit=unit, missing=missing)
    return Entry(key=key, label=label, unit=unit, value=modelled, origin=FROM_RESULT, remark=remark)


def _chip(machine: Accelerator, facts: About) -> tuple[Entry, ...]:
    node = None if machine.node_nm is None else f"{machine.node_nm:g} nm"
    process = node if node is None or machine.voltage_v is None else f"{node}, {machine.voltage_v:g} V"
    bits = on_chip_bits(machine)
    area = _entry("area", "Total core area", "mm²", machine.area_mm2, facts.area_mm2, _MISLEADS["area"])
    memory = _entry(
        "memory", "Total on-chip memory", "kB",
        None if bits is None else bits / KIBIBYTE_BITS,
        None if facts.memory_bits is None else facts.memory_bits / KIBIBYTE_BITS,
        _MISLEADS["memory"], "of 1024 bytes",
    )  # fmt: skip
    clock = None if machine.clock_hz is None else machine.clock_hz / 1e6
    return (
        _entry("process", "Process technology", "", process, facts.process, _MISLEADS["process"]),
        area,
        memory,
        _entry("multipliers", "Number of multipliers", "", machine.pes, None, ""),
        _entry("clock", "Clock frequency", "MHz", clock, None, _MISLEADS["clock"]),
        _shared(area, "area_per_multiplier", "Core area / multiplier", machine.pes),
        _shared(memory, "memory_per_multiplier", "On-chip memory / multiplier", machine.pes),
        _entry("method", "Measured or simulated", "", "simulated", facts.method, "", "by a model of accesses and MACs"),
    )


def _shared(whole: Entry, key: str, label: str, multipliers: int) -> Entry:
    if not isinstance(whole.value, int | float):
        return Entry(key=key, label=label, unit=whole.unit, missing=whole.missing)
    modelled = whole.modelled / multipliers if isinstance(whole.modelled, int | float) else None
    return Entry(
        key=key, label=label, unit=whole.unit, value=whole.value / multipliers, origin=whole.origin, modelled=modelled
    )


def _network(estimate: Estimate, machine: Accelerator, facts: About) -> tuple[Entry, ...]:
    accuracy, measured = _times(facts.accuracy, 100), _times(estimate.accuracy, 100)
    weights, inputs = (_widths(estimate, tensor) for tensor in ("weights", "inputs"))
    off_chip = estimate.dram_bytes / estimate.batch / 1e6 if outermost_is_off_chip(machine) else None
    static = "" if "leakage" in estimate.by_level() else "; leakage, clock tree and control left out"
    power, with_memory = _powers(estimate, machine)
    runtime = None if estimate.latency_s is None else estimate.latency_s * 1e3
    samples = estimate.provenance.get("samples")
    return (
        _entry("model", "Network", "", estimate.model, None, ""),
        _entry("accuracy", "Accuracy", "%", measured, accuracy, _MISLEADS["accuracy"]),
        _entry("metric", "Counted as", "", None, facts.metric, _MISLEADS["metric"]),
        _entry("dataset", "Data set", "", None, facts.dataset, _MISLEADS["dataset"]),
        _entry("difficulty", "Difficulty", "", None, facts.difficulty, _MISLEADS["difficulty"]),
        _entry("layers", "Layers supported", "", _layers(estimate), facts.layers, ""),
        _entry("weight_bits", "Bits per weight", "", weights, None, ""),
        _entry("input_bits", "Bits per input activation", "", inputs, None, ""),
        _entry("batch", "Batch size", "", estimate.batch, None, ""),
        _entry(
            "runtime", "Runtime of a batch", "ms", runtime, _times(facts.runtime_s, 1e3), _MISLEADS["runtime"]
        ),
        _entry(
            "power", "Power of the chip", "mW", _times(power, 1e3), _times(facts.power_w, 1e3), _MISLEADS["power"],
            f"while it runs{static}",
        ),
        _entry(
            "power_with_memory", "Power with off-chip memory", "mW", _times(with_memory, 1e3), None, _MISLEADS["power_with_memory"],
            f"by the model{', unlike the chip alone' if facts.power_w is not None else ''}, while it runs{static}",
        ),
        _entry(
            "off_chip", "Off-chip access per inference", "MB", off_chip, _times(facts.off_chip_bytes, 1e-6), _MISLEADS["off_chip"],
            "of 10⁶ bytes",
        ),
        _entry("images", "Inputs tested", "", _samples(samples), facts.images, _images_missing(machine)),
        _entry("method", "Measured or simulated", "", "simulated", facts.method, ""),
    )  # fmt: skip


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _samples(samples: object) -> int | None:
    return samples if isinstance(samples, int) else None


def _powers(estimate: Estimate, machine: Accelerator) -> tuple[float | None, float | None]:
    """Watts of all but the outermost memory, and of everything, while the network runs."""
    if estimate.table["unit"] != "pJ" or not estimate.latency_s:
        return None, None
    outside = estimate.by_level().get(machine.levels[0].name, 0.0) if outermost_is_off_chip(machine) else 0.0
    return (estimate.energy_pj - outside) * 1e-12 / estimate.latency_s, estimate.energy_pj * 1e-12 / estimate.latency_s


def _widths(estimate: Estimate, tensor: str) -> int | str:
    """Of the layers with loops; several are listed."""
    widths = sorted({layer.bits[tensor] for layer in estimate.layers if layer.dims})
    return widths[0] if len(widths) == 1 else ", ".join(map(str, widths)) + " by layer"


def _layers(estimate: Estimate) -> str:
    kinds = Counter(layer.kind for layer in estimate.layers if layer.dims)
    said = "all: " if not estimate.coverage["not_costed"] else ""
    text = said + ", ".join(f"{kind} ×{count}" for kind, count in kinds.items())
    missing = sorted({str(entry["op"]) for entry in estimate.coverage["not_costed"]})
    return f"{text}; not costed: {', '.join(missing)}" if missing else text


def _images_missing(machine: Accelerator) -> str:
    if machine.minds_zeros:
        return "energy depends on the zeros of the data here: without saying which inputs were run, they may have been easy ones"
    return "nothing of this machine depends on the data, but accuracy does: it may have been told on few inputs"


_MISLEADS = {
    "process": "two chips can't be compared without: a finer node alone makes less energy and area",
    "area": "cost is mostly area: without it, speed may have been bought with silicon",
    "memory": "on-chip memory is most of the area of many chips: without it, little traffic may have been bought with silicon",
    "clock": "without it there are cycles and no seconds: neither latency nor power can be told",
    "accuracy": "without it a network that is of no use for the task can claim low power, high throughput and low cost",
    "metric": "top-1 and top-5 differ by more than designs do",
    "dataset": "an accuracy says nothing without the data that it is on",
    "difficulty": "the same accuracy is easy on one task and out of reach on another",
    "runtime": "without it only a peak can be told, and the array may be idle most of the time",
    "power": "without it there is no form factor: battery and cooling are dictated by power",
    "power_with_memory": "without the memory beside it a chip of nothing but multipliers would look best",
    "off_chip": "without it a chip of nothing but multipliers can claim low cost and low power, and leave the work to a memory beside it",
}
"""Why leaving a row out can mislead, after "Comprehensive Coverage" of the slides."""
