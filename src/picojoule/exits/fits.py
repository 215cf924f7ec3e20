"""Curves of energy against accuracy, and the accuracy at which the cost of a decision is least.

exponential   C_D = a·e^{bA}               varying depth; eqs. (6), (7), (9)
rational      C_D = a·(A − 0.1)/(1 − bA)   varying width; 0.1 is chance among ten classes
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.errors import InputError, MissingExtraError, UsageError, nearest
from picojoule.exits.cost import check_alpha

LAWS = ("exponential", "rational")
CHANCE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A law with its two parameters, fitted by least squares of C_D.

    Attributes:
        law: one of ``LAWS``.
        a, b: its parameters.
        r_squared: share of the variance of C_D that the law explains; 1 − residual / total sum of squares.
        monotone: whether energy rises strictly with accuracy among the points; if not, the law smooths over it.
    """

    law: str
    a: float
    b: float
    r_squared: float
    monotone: bool

    def at(self, accuracy: Any) -> Any:
        """C_D at an accuracy, or at an array of them."""
        if self.law == "exponential":
            return self.a * np.exp(self.b * np.asarray(accuracy, dtype=float))
        return self.a * (np.asarray(accuracy, dtype=float) - CHANCE) / (1 - self.b * np.asarray(accuracy, dtype=float))

    def stationary(self, alpha: float) -> float:
        """A* where ∂C/∂A = 0, as printed: eq. (7) for the exponential law; not bounded by what is possible.

        −∞ where nothing but energy counts (α = 1), +∞ where energy doesn't count (α = 0), and where the cost falls or
        rises throughout.
        """
        check_alpha(alpha)
        if alpha == 0:
            return math.inf
        if alpha == 1:
            return -math.inf
        weight = (1 - alpha) / alpha
        if self.law == "exponential":
            slope = self.a * self.b  # of C_D where A = 0
            return math.log(weight / slope) / self.b if slope > 0 else math.inf
        # dC_D/dA = a·(1 − b·0.1)/(1 − bA)² = (1 − α)/α
        slope = self.a * (1 - CHANCE * self.b)
        if slope <= 0:
            return math.inf
        if self.b == 0:
            return -math.inf if slope > weight else math.inf
        return (1 - math.sqrt(slope / weight)) / self.b

    def optimum(self, alpha: float, reachable: Sequence[float]) -> Optimum:
        """The best accuracy by this law, clipped to what can be reached, and the reachable accuracy nearest to it.

        Args:
            alpha: importance of the energy.
            reachable: accuracies of the networks at hand.
        """
        printed = self.stationary(alpha)
        low, high = min(reachable), max(reachable)
        clipped = min(max(printed, low), high)
        # A curve that bends the other way has its stationary point at the dearest accuracy, not the cheapest.
        cost = {x: alpha * float(self.at(x)) + (1 - alpha) * (1 - x) for x in (clipped, low, high)}
        best = min(cost, key=lambda x: cost[x])
        index = min(range(len(reachable)), key=lambda i: abs(reachable[i] - best))
        return Optimum(printed=printed, accuracy=best, nearest=index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Where a law has its least cost.

    Attributes:
        printed: A* by the equation, which knows no bounds; may be ±∞.
        accuracy: clipped to the accuracies that can be reached.
        nearest: index of the reachable accuracy that is nearest, as Fig. 4 rounds.
    """

    printed: float
    accuracy: float
    nearest: int


def fit(law: str, accuracies: Sequence[float], energies: Sequence[float]) -> Fit:
    """The law through energies (C_D, or any other size) at accuracies, by nonlinear least squares.

    Args:
        law: ``exponential`` or ``rational``.
        accuracies: 0 … 1, two different ones at least.
        energies: as many, in any unit.

    Raises:
        UsageError: an unknown law.
        InputError: fewer than two different accuracies, something that is no number, or no curve that fits.
        MissingExtraError: scipy is not installed.

    Example:
        >>> found = fit("exponential", [0.2, 0.4, 0.6], [0.1, 0.2, 0.4])
        >>> round(found.a, 6), round(found.b, 6)
        (0.05, 3.465736)
    """
    if law not in LAWS:
        raise UsageError(f"no law is called {law!r}", where="fit", hint=nearest(law, LAWS))
    x, y = np.asarray(accuracies, dtype=float), np.asarray(energies, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("a fit needs as many energies as accuracies, all of them numbers", where="fit")
    if len(set(x.tolist())) < 2:
        raise InputError(
            f"a fit of two parameters needs two different accuracies, got {len(set(x.tolist()))}", where="fit"
        )
    if y.max() <= 0:
        raise InputError("a fit needs an energy above 0", where="fit")
    # The sizes of the residuals must not depend on the unit of the energies.
    scale = float(y.max())
    a, b = (_exponential if law == "exponential" else _rational)(x, y / scale)
    order = np.lexsort((y, x))
    rising = bool((np.diff(x[order]) > 0).all() and (np.diff(y[order]) > 0).all())
    found = Fit(law=law, a=a * scale, b=b, r_squared=math.nan, monotone=rising)
    # Relative to the largest: the squares of very large sizes overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        fitted = found.at(x) / scale
    if not (found.a and np.isfinite(fitted).all()):
        raise InputError(
            f"no curve was found that fits: a = {found.a:g}, b = {b:g} is too steep to be computed", where="fit"
        )
    residual = float(((fitted - y / scale) ** 2).sum())
    total = float(((y / scale - (y / scale).mean()) ** 2).sum())
    return Fit(law=law, a=found.a, b=b, r_squared=1 - residual / total if total else math.nan, monotone=rising)


def _exponential(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    positive = y > 0
    if positive.sum() < 2 or np.ptp(x[positive]) == 0:
        raise InputError("an exponential law needs two energies above 0 at different accuracies", where="fit")
    b, log_a = np.polyfit(x[positive], np.log(y[positive]), 1)
    # Centred: a·e^{bA} is stiff in (a, b) where accuracies lie far from 0.
    centre = float(x.mean())
    height, b = _least_squares(lambda p: p[0] * np.exp(p[1] * (x - centre)) - y, (math.exp(log_a + b * centre), b))
    return height * math.exp(-b * centre), b


def _rational(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    if x.max() <= 0:
        raise InputError("a rational law needs an accuracy above 0", where="fit")
    # y·(1 − bx) = a·(x − 0.1) is linear in a and b: a first guess.
    guess, *_ = np.linalg.lstsq(np.column_stack([x - CHANCE, x * y]), y, rcond=None)
    pole = 1 / x.max()
    start = (float(guess[0]), min(float(guess[1]), 0.98 * pole))
    return _least_squares(lambda p: p[0] * (x - CHANCE) / (1 - p[1] * x) - y, start, upper=(np.inf, pole * (1 - 1e-6)))


def _least_squares(residuals: Any, start: tuple[float, float], upper: Any = np.inf) -> tuple[float, float]:
    try:
        from scipy.optimize import least_squares
    except ImportError:
        raise MissingExtraError("fitting curves needs scipy", hint="pip install 'picojoule[study]'") from None
    with np.errstate(over="ignore", invalid="ignore"):
        found = least_squares(
            residuals, start, bounds=(-np.inf, upper), x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14
        )
    if not (found.success and np.isfinite(found.x).all()):
        raise InputError(f"no curve was found that fits: {found.message}", where="fit")
    return float(found.x[0]), float(found.x[1])
