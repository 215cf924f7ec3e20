"""Operating points of a network with exits: thresholds that were calibrated, what each achieves and takes, and which to take.

A point is chosen for every call: by the importance of energy (α), a target accuracy, or a budget of energy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real

from picojoule.errors import BundleError, UsageError
from picojoule.runtime.binomial import samples_needed
from picojoule.runtime.scoring import RULES
from picojoule.units import energy_text

MOST_POINTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """One setting of the thresholds.

    Attributes:
        thresholds: of each exit but the last: scores from which on samples leave; None: nobody does.
        accuracy: expected: share of right answers on the calibration samples.
        at_least: accuracy that is guaranteed in the long run with confidence 1 − δ; None without a guarantee.
        energy_j: expected: mean of an inference on those samples.
        left: of those samples, how many left at each exit.
    """

    thresholds: tuple[float | None, ...]
    accuracy: float
    at_least: float | None
    energy_j: float
    left: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("accuracy", "at_least"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise BundleError(f"it lies in 0 … 1, got {value}", where=name)
        if not (math.isfinite(self.energy_j) and self.energy_j >= 0):
            raise BundleError(f"an energy is a number from 0, got {self.energy_j}", where="energy_j")
        if any(threshold is not None and not 0 <= threshold <= 1 for threshold in self.thresholds):
            raise BundleError(f"thresholds lie in 0 … 1, got {list(self.thresholds)}", where="thresholds")
        if any(count < 0 for count in self.left) or not sum(self.left):
            raise BundleError(f"samples are counted from 0, one at least; got {list(self.left)}", where="left")

    @property
    def rates(self) -> tuple[float, ...]:
        """Shares of the calibration samples that left at each exit."""
        return tuple(count / sum(self.left) for count in self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How samples leave, and the points to choose from.

    Attributes:
        rule: how sure an exit is, one of ``scoring.RULES``.
        weights: of each exit, one for each exit up to it, on their log-probabilities.
        coefficients: of the learned score, for each exit but the last; None for the other rules.
        energies_j: of an inference that leaves at each exit, heads passed included.
        machine: that the energies are of; empty where they were given.
        images: samples that the points were calibrated on.
        held_out: whether these had no part in the choice of thresholds.
        delta: δ of ``at_least``; None without a guarantee.
        points: at least one.
        default: number of the point that runs where none is asked for.
        most_j: of an inference that leaves at the last exit.
    """

    rule: str
    weights: tuple[tuple[float, ...], ...]
    energies_j: tuple[float, ...]
    points: tuple[OperatingPoint, ...]
    default: int
    images: int
    held_out: bool
    delta: float | None = None
    machine: str = ""
    coefficients: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    most_j: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "most_j", self.energies_j[-1] if self.energies_j else 0.0)
        if self.rule not in RULES:
            raise BundleError(f"no confidence rule is called {self.rule!r}; there are {', '.join(RULES)}", where="rule")
        exits = len(self.energies_j)
        if not exits or not all(math.isfinite(energy) and energy >= 0 for energy in self.energies_j):
            raise BundleError(f"energies are numbers from 0, got {list(self.energies_j)}", where="energies_j")
        if [len(own) for own in self.weights] != list(range(1, exits + 1)):
            raise BundleError(
                f"exit n of {exits} has n weights, got {[len(own) for own in self.weights]}",
                where="weights",
            )
        self._check_coefficients()
        if not 1 <= len(self.points) <= MOST_POINTS:
            raise BundleError(f"1 … {MOST_POINTS} points are possible, got {len(self.points)}", where="points")
        if not 0 <= self.default < len(self.points):
            raise BundleError(f"there is no point {self.default} of {len(self.points)}", where="default")
        if self.delta is not None and not 0 < self.delta < 1:
            raise BundleError(f"δ lies between 0 and 1, got {self.delta}", where="delta")
        for number, point in enumerate(self.points):
            if len(point.thresholds) != exits - 1:
                raise BundleError(
                    f"{exits} exits need {exits - 1} thresholds, got {len(point.thresholds)}",
                    where=f"points[{number}].thresholds",
                )
            if len(point.left) != exits or sum(point.left) != self.images:
                raise BundleError(
                    f"the counts of {exits} exits add up to {self.images} samples, got {list(point.left)}",
                    where=f"points[{number}].left",
                )
            if (point.at_least is None) != (self.delta is None):
                raise BundleError("there is a guarantee just where δ is stated", where=f"points[{number}].at_least")

    def _check_coefficients(self) -> None:
        if (self.rule == "learned") != (self.coefficients is not None):
            raise BundleError("coefficients belong to the rule 'learned'", where="coefficients")
        if self.coefficients is not None:
            shapes = {(len(one), *(len(row) for row in one)) for one in self.coefficients}
            sound = len(self.coefficients) == len(self.energies_j) - 1 and all(
                len(shape) == 3 and shape[0] == 2 and shape[1] == shape[2] for shape in shapes
            )
            if not sound:
                raise BundleError(
                    "each exit but the last has two rows of equal length", where="coefficients"
                )

    @property
    def looks_back(self) -> bool:
        """Whether answers or scores depend on the exits passed."""
        return self.rule == "learned" or any(weight for own in self.weights for weight in own[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a call asks for; at most one of the three.

    Attributes:
        alpha: importance of energy, 0 … 1: the point of least α·E/E_Dmax + (1 − α)·(1 − A).
        target_accuracy: the cheapest point that guarantees it; where nothing is guaranteed, that is expected to reach it.
        energy_budget_j: mean joules an inference: the most accurate point that is expected to keep to it.
    """

    alpha: float | None = None
    target_accuracy: float | None = None
    energy_budget_j: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("alpha", "target_accuracy", "energy_budget_j") if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} are given; one of them says which point to take", where=given[1])
        for name in given:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise UsageError(f"a number is needed, got {value!r}", where=name)
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise UsageError(f"α lies in 0 … 1, got {self.alpha!r}", where="alpha")
        if self.target_accuracy is not None and not 0 < self.target_accuracy < 1:
            hint = "Divide percentages by 100." if 1 < self.target_accuracy <= 100 else ""
            raise UsageError(
                f"a target accuracy lies between 0 and 1, got {self.target_accuracy!r}", where="target_accuracy", hint=hint
            )
        if self.energy_budget_j is not None and not (math.isfinite(self.energy_budget_j) and self.energy_budget_j > 0):
            raise UsageError(f"a budget is joules above 0, got {self.energy_budget_j!r}", where="energy_budget_j")

    def __bool__(self) -> bool:
        return (self.alpha, self.target_accuracy, self.energy_budget_j) != (None, None, None)

    def __str__(self) -> str:
        if self.alpha is not None:
            return f"α {self.alpha:g}"
        if self.target_accuracy is not None:
            return f"target accuracy {self.target_accuracy:g}"
        return "" if self.energy_budget_j is None else f"budget {energy_text(self.energy_budget_j * 1e12, 'pJ')} an inference"

    def choose(self, operation: Operation) -> int:
        """The number of the point to take.

        Raises:
            UsageError: no point is so accurate, or so cheap; says what can be had.
        """
        points = operation.points
        if self.alpha is not None:
            alpha, most = self.alpha, operation.most_j or 1.0
            costs = [alpha * point.energy_j / most + (1 - alpha) * (1 - point.accuracy) for point in points]
            return min(range(len(points)), key=lambda k: (costs[k], points[k].energy_j))
        if self.target_accuracy is not None:
            return _for_target(operation, self.target_accuracy)
        if self.energy_budget_j is not None:
            fit = [k for k, point in enumerate(points) if point.energy_j <= self.energy_budget_j]
            if not fit:
                # Rounded upwards, so that it will do as a budget.
                least = (1 + 5e-4) * min(point.energy_j for point in points)
                raise UsageError(
                    f"no operating point takes so little: the cheapest takes about {energy_text(least * 1e12, 'pJ')} an inference",
                    where="energy_budget_j",
                    hint="The budget is a mean of the joules of one inference, not of a batch.",
                )
            return max(fit, key=lambda k: (points[k].accuracy, -points[k].energy_j))
        return operation.default


def _for_target(operation: Operation, target: float) -> int:
    points, delta = operation.points, operation.delta
    promised = [point.accuracy if point.at_least is None else point.at_least for point in points]
    fit = [k for k in range(len(points)) if promised[k] >= target]
    if fit:
        return min(fit, key=lambda k: (points[k].energy_j, -points[k].accuracy))
    best = max(points, key=lambda point: point.accuracy)
    if delta is None or best.accuracy <= target:
        what = f"no operating point is so accurate: the most accurate answers {best.accuracy:.4f} of the samples right"
        hint = "Ask for less, or train the network on."
        if delta is not None:
            hint = f"At most {max(promised):.4f} is guaranteed (δ = {delta:g}). {hint}"
    else:
        needed = samples_needed(best.accuracy, target, delta)
        what = (
            f"no operating point guarantees an accuracy of {target:g} with δ = {delta:g}: {operation.images} calibration"
            f" samples guarantee {max(promised):.4f} at most"
        )
        hint = "Ask for less" + (f", or calibrate on about {needed} samples." if needed is not None else ".")
    raise UsageError(what, where="target_accuracy", hint=hint)
