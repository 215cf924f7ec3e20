"""The regressions against formulas worked out here, and what happens without the library."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats

from picojoule.errors import MissingExtraError
from picojoule.study.validation.fits import check_statistics, fit


def by_hand(x, y, terms):
    """Coefficients, two-sided p of each, and R², from the normal equations."""
    design = np.stack([np.asarray(x, dtype=float) ** k for k in terms], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    residual = y - design @ coefficients
    freedom = len(y) - len(terms)
    errors = np.sqrt(np.diag(inverse) * (residual @ residual) / freedom)
    p = 2 * stats.t.sf(np.abs(coefficients / errors), freedom)
    return coefficients, p, 1 - residual @ residual / np.sum((y - y.mean()) ** 2), residual


@pytest.fixture
def noisy():
    x = np.arange(1.0, 21.0)
    noise = np.random.default_rng(7).normal(0, 4, 20)
    return x, 50 + 3 * x + 0.4 * x**2 + noise


@pytest.mark.parametrize("power", [1, 2])
def test_every_figure_follows_from_least_squares(noisy, power):
    x, y = noisy
    found = fit(x, y, power)
    coefficients, p, r2, _ = by_hand(x, y, (0, 1, 2))
    assert found.coefficients == pytest.approx(tuple(coefficients))
    assert found.p == pytest.approx(tuple(p))
    assert found.r2 == pytest.approx(r2)
    law, _, law_r2, left = by_hand(x, y, (0, power))
    assert found.law == pytest.approx(tuple(law))
    assert found.law_r2 == pytest.approx(law_r2)
    assert found.residual == pytest.approx(np.sqrt(np.mean(left**2)) / y.mean())
    line = stats.linregress(np.log(x), np.log(y))
    assert (found.exponent, found.exponent_error) == pytest.approx((line.slope, line.stderr))
    assert found.in_logs_at(3.0) == pytest.approx(np.exp(line.intercept + line.slope * np.log(3.0)))
    assert found.at(3.0) == pytest.approx(law[0] + law[1] * 3.0**power)


def test_the_unit_of_x_changes_nothing_but_the_coefficients(noisy):
    x, y = noisy
    near, far = fit(x, y, 2), fit(x * 1e12, y, 2)
    assert far.p == pytest.approx(near.p)
    assert (far.r2, far.law_r2, far.exponent) == pytest.approx((near.r2, near.law_r2, near.exponent))
    assert far.coefficients[2] == pytest.approx(near.coefficients[2] * 1e-24)


@pytest.mark.parametrize(("power", "confirmed"), [(1, True), (2, False)])
def test_only_the_power_that_is_there_is_confirmed(power, confirmed):
    x = np.arange(1.0, 31.0)
    y = 100 + 5 * x + np.random.default_rng(3).normal(0, 2, 30)
    assert fit(x, y, power).confirmed is confirmed


def test_without_statsmodels_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression", None)
    with pytest.raises(MissingExtraError, match=r"the regressions need statsmodels.*\n.*pip install 'picojoule\[study\]'"):
        check_statistics()
