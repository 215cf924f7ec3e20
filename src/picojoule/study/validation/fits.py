"""How energy grows with one variable: regressions by statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.errors import MissingExtraError

SIGNIFICANT = 0.05
"""A term with a larger p-value is not told apart from none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Least squares of y on (1, x, x²), of y on (1, xᵏ) with the power k that the document claims, and of log y on log x.

    Attributes:
        points: how many.
        power: k, 1 or 2.
        coefficients: of 1, x and x², in y's unit.
        p: of the same three: the chance of such a coefficient if the true one were 0 (two-sided t-test).
        r2: of the fit on (1, x, x²).
        law: the two coefficients of the fit on (1, xᵏ).
        law_r2: of that fit.
        exponent: slope of log y over log x.
        factor: y at x = 1 of that line: y = factor · x^exponent.
        exponent_error: its standard error.
        residual: root mean square of what the law leaves, relative to the mean of y.
    """

    points: int
    power: int
    coefficients: tuple[float, float, float]
    p: tuple[float, float, float]
    r2: float
    law: tuple[float, float]
    law_r2: float
    exponent: float
    factor: float
    exponent_error: float
    residual: float

    @property
    def confirmed(self) -> bool:
        """Whether the term of the claimed power is significant in the fit on (1, x, x²)."""
        return self.p[self.power] < SIGNIFICANT

    def at(self, x: float) -> float:
        """y by the law."""
        return self.law[0] + self.law[1] * x**self.power

    def in_logs_at(self, x: float) -> float:
        """y by the line through the logarithms."""
        return float(self.factor * x**self.exponent)


def fit(x: Sequence[float], y: Sequence[float], power: int) -> Fit:
    """Fits the law and what it is compared with.

    Args:
        x: positive values of the variable, four or more of them different.
        y: positive, the same number.
        power: that the document claims for x.

    Raises:
        MissingExtraError: statsmodels is not installed.
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    # In units of the largest: x² of a layer's MACs would leave nothing of the 1 beside it.
    unit = xs.max()
    scaled = xs / unit
    full = _least_squares(ys, scaled, scaled**2)
    law = _least_squares(ys, scaled**power)
    logs = _least_squares(np.log(ys), np.log(xs))
    units = (1.0, unit, unit**2)
    return Fit(
        points=len(xs),
        power=power,
        coefficients=tuple(float(c / u) for c, u in zip(full.params, units, strict=True)),
        p=tuple(float(p) for p in full.pvalues),
        r2=float(full.rsquared),
        law=(float(law.params[0]), float(law.params[1] / unit**power)),
        law_r2=float(law.rsquared),
        exponent=float(logs.params[1]),
        factor=float(np.exp(logs.params[0])),
        exponent_error=float(logs.bse[1]),
        residual=float(np.sqrt(np.mean(law.resid**2)) / ys.mean()),
    )


def check_statistics() -> None:
    """Asks for statsmodels before any work is done.

    Raises:
        MissingExtraError: it is not installed.
    """
    _regression()


def _least_squares(y: Any, *terms: Any) -> Any:
    return _regression().OLS(y, np.column_stack([np.ones(len(y)), *terms])).fit()


def _regression() -> Any:
    try:
        from statsmodels.regression import linear_model
    except ImportError as missing:
        message = "the regressions need statsmodels, which is not installed"
        raise MissingExtraError(message, hint="pip install 'picojoule[study]'") from missing
    return linear_model
