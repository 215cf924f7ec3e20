"""What minding zeros does to the energy of a layer: against storing and multiplying them, and down to which density it pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from picojoule.cost.energy import access_energy
from picojoule.cost.traffic import Count
from picojoule.cost.zeros import priced
from picojoule.hardware.accelerator import Accelerator
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.zeros import Zeros

STEPS = 60
"""Halvings of 0 … 1: more than a double can tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Energies of one mapping on a machine that minds zeros.

    Attributes:
        raw: if zeros were stored, moved and multiplied like other numbers.
        at: if every element of every tensor were nonzero with this probability.
    """

    raw: float
    at: Callable[[float], float]

    def times(self, runs: int) -> Effect:
        """Of several runs."""
        return Effect(raw=self.raw * runs, at=lambda density: self.at(density) * runs)


def effect(machine: Accelerator, nest: Nest | None, bits: Bits, counts: Iterable[Count], others: float) -> Effect:
    """The effect in one layer.

    Args:
        machine: as declared.
        nest: the layer; None where it only moves data.
        bits: widths of the elements.
        counts: the accesses of its mapping.
        others: energy that is the same whatever the zeros.
    """
    counted = tuple(counts)

    def energy(on: Accelerator) -> float:
        parts = [access_energy(on.level(count.level), count, bits) for count in counted]
        return math.fsum([*parts, others, 0.0 if nest is None else nest.macs * on.mac_energy(bits)])

    def at(density: float) -> float:
        share = 1 - density
        return energy(priced(machine, nest, bits, Zeros(weights=share, inputs=share, outputs=share)))

    return Effect(raw=energy(machine), at=at)


def break_even(effects: Iterable[Effect]) -> float:
    """The density below which minding zeros costs less than not minding them; 1 if it never costs more, 0 if it always
    does."""
    together = tuple(effects)
    raw = math.fsum(one.raw for one in together)

    def pays(density: float) -> bool:
        return math.fsum(one.at(density) for one in together) <= raw

    if pays(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if pays(middle) else (low, middle)
    return low
