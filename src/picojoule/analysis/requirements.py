"""What is asked of a network on a machine: limits, from a file or one by one, in the units that people write."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from picojoule.analysis.flat_file import read_flat
from picojoule.errors import PicojouleError, RequirementsError, UnknownNameError, UsageError, nearest
from picojoule.units import (
    AREAS_MM2,
    ENERGIES_PJ,
    POWERS_W,
    RATES_PER_S,
    TIMES_S,
    energy_text,
    parse_quantity,
    parse_share,
    parse_size_bits,
    significant,
)

STEPS = ("accuracy", "latency and throughput", "energy and power", "cost")
"""The order in which a solution is evaluated: Sze, Chen, Yang and Emer, "Efficient Processing of Deep Neural Networks" (2017)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A kind of limit.

    Attributes:
        key: its name in a file; the flag of the command line has dashes.
        step: of the evaluation, one of ``STEPS``.
        what: the quantity, for a table.
        unit: of its values.
        meaning: one sentence, for help.
        example: how a value is written.
        parse: text → value in ``unit``; raises UsageError.
        text: value → text.
    """

    key: str
    step: str
    what: str
    unit: str
    meaning: str
    example: str
    parse: Callable[[str], float]
    text: Callable[[float], str]

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.key.startswith("min_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit that was asked for: ``value`` in the unit of its ``requirement``."""

    requirement: Requirement
    value: float


def _quantity(units: Mapping[str, float], what: str, example: str) -> Callable[[str], float]:
    return lambda text: parse_quantity(text, units, what, example)


def _memory(text: str) -> float:
    bits = parse_size_bits(text)
    if bits <= 0:
        raise UsageError(f"a memory must be more than 0, got {text!r}")
    return float(bits)


def _climbing(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    size, unit = next((step for step in steps if value >= step[0] * (1 - 1e-9)), steps[-1])
    return f"{significant(value / size, 4)} {unit}"


def _time_text(seconds: float) -> str:
    return _climbing(seconds, ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")))


def _power_text(watts: float) -> str:
    return _climbing(watts, ((1.0, "W"), (1e-3, "mW"), (1e-6, "µW")))


def _size_text(bits: float) -> str:
    return _climbing(bits, ((2.0**33, "GiB"), (2.0**23, "MiB"), (2.0**13, "KiB"), (8.0, "B")))


REQUIREMENTS = {
    one.key: one
    for one in (
        Requirement(
            key="min_accuracy", step=STEPS[0], what="accuracy", unit="share", example="0.9",
            meaning="Share of inputs that the network must get right, 0.9 or 90%.",
            parse=parse_share, text=lambda share: f"{significant(share * 100, 4)} %",
        ),
        Requirement(
            key="max_latency", step=STEPS[1], what="latency", unit="s", example="33 ms",
            meaning="From the first input of a batch to the last output, at most.",
            parse=_quantity(TIMES_S, "a time", "33 ms"), text=_time_text,
        ),
        Requirement(
            key="min_throughput", step=STEPS[1], what="throughput", unit="1/s", example="30/s",
            meaning="Inferences a second, at least.",
            parse=_quantity(RATES_PER_S, "a rate", "30/s"), text=lambda rate: f"{significant(rate, 4)}/s",
        ),
        Requirement(
            key="max_energy", step=STEPS[2], what="energy", unit="pJ", example="5 mJ",
            meaning="Energy of one inference, at most.",
            parse=_quantity(ENERGIES_PJ, "an energy", "5 mJ"), text=lambda energy: energy_text(energy, "pJ"),
        ),
        Requirement(
            key="max_power", step=STEPS[2], what="power", unit="W", example="1 W",
            meaning="On average, at --fps, else at --min-throughput, else without a pause.",
            parse=_quantity(POWERS_W, "a power", "1 W"), text=_power_text,
        ),
        Requirement(
            key="max_area", step=STEPS[3], what="area", unit="mm²", example="20 mm2",
            meaning="Silicon of the machine, at most.",
            parse=_quantity(AREAS_MM2, "an area", "20 mm2"), text=lambda area: f"{significant(area, 4)} mm²",
        ),
        Requirement(
            key="max_memory", step=STEPS[3], what="on-chip memory", unit="bit", example="192 KiB",
            meaning="All storage but the outermost memory, at most.",
            parse=_memory, text=_size_text,
        ),
    )
}  # fmt: skip
"""Every kind of limit by its key, in the order of the evaluation."""


def read_requirements(path: str | os.PathLike[str]) -> dict[str, Limit]:
    """The limits in a YAML file, by key.

    Raises:
        RequirementsError: no YAML, an unknown key or unit, a value out of range: with file and line, and the nearest spelling.
        UnknownNameError: there is no such file.
        SystemFailure: it can't be read.
    """
    place = Path(path)
    if not place.exists():
        raise UnknownNameError(f"there is no file {str(place)!r}", where="require", hint="Check the path.")
    data, origin = read_flat(place, REQUIREMENTS, RequirementsError)
    return {key: _limit(key, value, origin.at(key), RequirementsError) for key, value in data.items()}


def limits_of(require: object, given: Mapping[str, object]) -> tuple[Limit, ...]:
    """All limits that are asked for, in the order of the evaluation; one given by itself counts before the file's.

    Args:
        require: a file, or a table of limits by key, or None.
        given: single limits by key; None where there is none.

    Raises:
        RequirementsError: what a file holds is wrong.
        UsageError: no limit at all, or one that is wrong.
    """
    found: dict[str, Limit] = {}
    if isinstance(require, Mapping):
        for key, value in require.items():
            if key not in REQUIREMENTS:
                raise UsageError(f"unknown key {key!r}", where="require", hint=nearest(str(key), REQUIREMENTS))
            found[key] = _limit(key, value, f"require: {key}", UsageError)
    elif isinstance(require, str | os.PathLike):
        found = read_requirements(require)
    elif require is not None:
        raise UsageError(f"requirements are a file or a table, got a {type(require).__name__}", where="require")
    for key, value in given.items():
        if value is not None:
            found[key] = _limit(key, value, key, UsageError)
    if not found:
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in REQUIREMENTS)
        raise UsageError("nothing is required", hint=f"Give a file (--require FILE) or limits: {flags}.")
    return tuple(found[key] for key in REQUIREMENTS if key in found)


def _limit(key: str, value: object, where: str, wrong: type[PicojouleError]) -> Limit:
    requirement = REQUIREMENTS[key]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        message = f"expected a value such as {requirement.example!r}, got {value!r}"
        raise wrong(message, where=where)
    try:
        return Limit(requirement=requirement, value=requirement.parse(str(value)))
    except UsageError as error:
        raise wrong(error.message, where=where, hint=error.hint) from None
