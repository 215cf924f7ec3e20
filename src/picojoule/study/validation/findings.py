"""What the figures of a validation say about the document's claims, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from picojoule.study.validation.fits import SIGNIFICANT
from picojoule.study.validation.sweeps import SWEEPS, Sweep
from picojoule.study.validation.validate import Curve, Validation

CLAIMED_SHARE = 0.7
"""Of the data in the energy: "approx. 70 %", says the document."""
_AGREES = 0.05
"""A share that is further from the claimed one than this is another."""


def verdicts(validation: Validation) -> list[str]:
    """Which laws hold, where a claim says more than the figures do, and what our optimum changes.

    A law counts as confirmed where its term is significant (p < 0.05) beside the other powers.

    Args:
        validation: of ``validate_complexity``.

    Returns:
        Sentences.
    """
    found = []
    for i, sweep in enumerate(SWEEPS):
        curves = {"our optima": validation.ours[i]}
        if validation.theirs is not None:
            curves["the authors' data"] = validation.theirs[i]
        found += [_law(sweep, curve, whose) for whose, curve in curves.items() if not curve.fit.confirmed]
        found += _other_power(sweep, curves)
        found += _exponents(sweep, curves)
    found += _shares(validation)
    return found


def _law(sweep: Sweep, curve: Curve, whose: str) -> str:
    term, p = _term(sweep), curve.fit.p[sweep.power]
    return (
        f"{term} overstated: with {curve.fit.points} points the term is not significant in {whose} (p {p:.2g}); "
        f"R² {curve.fit.law_r2:.3f} of the law alone doesn't show that"
    )


def _other_power(sweep: Sweep, curves: dict[str, Curve]) -> Iterator[str]:
    """The other power is significant beside the claimed one, and its coefficient is not small change."""
    other = 3 - sweep.power
    for whose, curve in curves.items():
        largest = max(sweep.x(value) for value in curve.values)
        part = abs(curve.fit.coefficients[other]) * largest**other / curve.fit.at(largest)
        if curve.fit.p[other] < SIGNIFICANT and part > 0.05:
            symbol = f"{sweep.symbol}{'²' if other == 2 else ''}"
            yield (
                f"{_term(sweep)} alone is not all: {symbol} is significant in {whose}, too (p {curve.fit.p[other]:.2g}), "
                f"and makes {100 * part:.0f} % at the end of the sweep"
            )


def _exponents(sweep: Sweep, curves: dict[str, Curve]) -> Iterator[str]:
    """Over the range of the sweep energy grows visibly slower or faster than by the claimed power."""
    for whose, curve in curves.items():
        if abs(curve.fit.exponent - sweep.power) > 0.25:
            yield (
                f"{_term(sweep)} is asymptotic: over this range {whose} grow as {sweep.symbol} to the power "
                f"{curve.fit.exponent:.2f} ± {curve.fit.exponent_error:.2f}"
            )


def _shares(validation: Validation) -> Iterator[str]:
    sides = [("our optima", validation.ours)]
    if validation.theirs is not None:
        sides.append(("the authors' data", validation.theirs))
    for whose, curves in sides:
        least = min(curve.data_share[0] for curve in curves)
        most = max(curve.data_share[1] for curve in curves)
        if least < CLAIMED_SHARE - _AGREES or most > CLAIMED_SHARE + _AGREES:
            yield f"data take {100 * least:.0f}–{100 * most:.0f} % of the energy in {whose}, not {100 * CLAIMED_SHARE:.0f} %"


def _term(sweep: Sweep) -> str:
    return f"{sweep.parameter}⁻²" if sweep.parameter == "s" else sweep.parameter + ("²" if sweep.power == 2 else "")
