"""What a decision costs: the energy of making it against the price of a wrong one (arXiv 2011.08779, §II–III)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from picojoule.errors import InputError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One network that could decide.

    Attributes:
        name: what the user calls it.
        energy: E_D of one inference, in whatever unit all candidates share: MACs, pJ.
        accuracy: share of right decisions, 0 … 1.
    """

    name: str
    energy: float
    accuracy: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.energy) and self.energy >= 0):
            raise InputError(f"an energy is a number from 0, got {self.energy!r}", where=f"{self.name}.energy")
        check_accuracy(self.accuracy, f"{self.name}.accuracy")


def decision_cost(alpha: float, relative_energy: float, accuracy: float) -> float:
    """C = α·E_D/E_Dmax + (1 − α)·(1 − A), eq. (5).

    Args:
        alpha: importance of the energy, 0 … 1.
        relative_energy: C_D = E_D/E_Dmax.
        accuracy: A.

    Raises:
        UsageError: α is out of range.

    >>> decision_cost(0.5, 0.2, 0.9)
    0.15
    """
    check_alpha(alpha)
    return alpha * relative_energy + (1 - alpha) * (1 - accuracy)


def alpha_of(gamma: float, energy_ratio: float) -> float:
    """α = 1 / (1 + (γ − 1)·E_X/E_Dmax): the importance of energy where a bad decision costs γ times a good one.

    Args:
        gamma: γ ≥ 1, the energy of executing a bad decision relative to that of a good one.
        energy_ratio: E_X/E_Dmax ≥ 0, the energy of executing a good decision relative to the dearest inference.

    Raises:
        UsageError: γ < 1, a ratio < 0, or a product that no float holds.

    >>> alpha_of(gamma=2, energy_ratio=1)
    0.5
    """
    if not (math.isfinite(gamma) and gamma >= 1):
        raise UsageError(
            f"γ is at least 1 and finite (a bad decision costs no less than a good one), got {gamma!r}", where="gamma"
        )
    if not (math.isfinite(energy_ratio) and energy_ratio >= 0):
        raise UsageError(f"E_X/E_Dmax is a number from 0, got {energy_ratio!r}", where="energy_ratio")
    if not math.isfinite(gamma * energy_ratio):
        raise UsageError(f"γ·E_X/E_Dmax is too large a number: {gamma!r} · {energy_ratio!r}", where="energy_ratio")
    return 1 / (1 + (gamma - 1) * energy_ratio)


def expected_energy(decision_energy: float, accuracy: float, execution_energy: float, gamma: float) -> float:
    """E[E] = E_D + A·E_X + (1 − A)·γ·E_X of a binary decision, eq. (8); in the unit of both energies.

    Args:
        decision_energy: E_D, of the inference.
        accuracy: A, 0 … 1.
        execution_energy: E_X, of executing a good decision.
        gamma: γ ≥ 1, the energy of executing a bad decision relative to that of a good one.

    Raises:
        UsageError: γ < 1, an energy < 0, or A out of 0 … 1.

    >>> expected_energy(1.0, 0.75, 2.0, gamma=3)
    4.0
    """
    alpha_of(gamma, 0.0)
    for name, value in (("decision_energy", decision_energy), ("execution_energy", execution_energy)):
        if not (math.isfinite(value) and value >= 0):
            raise UsageError(f"an energy is a number from 0, got {value!r}", where=name)
    if not 0 <= accuracy <= 1:
        raise UsageError(f"an accuracy lies in 0 … 1, got {accuracy!r}", where="accuracy")
    return decision_energy + accuracy * execution_energy + (1 - accuracy) * gamma * execution_energy


def check_accuracy(accuracy: float, where: str) -> None:
    """Raises InputError, with the place, unless an accuracy lies in 0 … 1."""
    if not 0 <= accuracy <= 1:
        hint = "Divide percentages by 100." if 1 < accuracy <= 100 else ""
        raise InputError(f"an accuracy lies in 0 … 1, got {accuracy!r}", where=where, hint=hint)


def check_alpha(alpha: float) -> None:
    """Raises UsageError unless α lies in 0 … 1."""
    if not 0 <= alpha <= 1:
        raise UsageError(f"α lies in 0 … 1, got {alpha!r}", where="alpha")
