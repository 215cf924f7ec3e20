"""Šíma, Vidnerová and Mrázek's experiments: their regressions from their data, and our optima at the same layers.

Deviations of the document from its own data, which this file pins down:

* r²: with five points the quadratic term is significant on neither machine (p 0.10 and 0.30). With our optima, which
  have no noise of a random search, it is on both (0.007 and 0.025).
* "approx. 70 %" of the energy moves data: 60–84 % on Eyeriss, 88–94 % on Simba.
* The column of theory keeps n at 224 (227 in one file), so its data energy is no function of n in the sweep of n.
* Of the lower envelope of random layers 449 minima with R² 0.963 are published, not how they were chosen. Of every ten
  neighbours the least gives 484 with R² 0.987.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from picojoule.hardware import load_hardware
from picojoule.study.validation import SWEEPS, Validation, validate_complexity, verdicts
from picojoule.study.validation.reference import measured_random, measured_sweep

MACHINES = {"simba": "simba-like-45nm", "eyeriss": "eyeriss-like-45nm"}
NAMES = {"d": "d", "n": "n_in", "r": "r", "s": "sigma"}


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data" / "energy_complexity"


@pytest.fixture(scope="module")
def facts(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Run:
    design: str
    found: Validation


@pytest.fixture(scope="module", params=MACHINES)
def run(request: pytest.FixtureRequest, data: Path) -> Run:
    return Run(request.param, validate_complexity(MACHINES[request.param], reference=data))


def test_their_regressions_come_out_of_their_data(run, facts):
    assert run.found.theirs is not None
    for sweep, curve in zip(SWEEPS, run.found.theirs, strict=True):
        published = facts["sima_regressions"][f"{run.design}_{NAMES[sweep.parameter]}"]
        assert curve.fit.points == published["full"]["n"] == published["n_points"]
        assert curve.fit.coefficients == pytest.approx(tuple(published["full"]["coef"]), rel=1e-8)
        # The smallest are tails of a t-distribution: digits are lost where they are formed.
        assert curve.fit.p == pytest.approx(tuple(published["full"]["p"]), rel=1e-6)
        assert curve.fit.r2 == pytest.approx(published["full"]["R2"], rel=1e-9)
        assert published["single_target"].endswith("^2") == (sweep.power == 2)
        assert curve.fit.law == pytest.approx(tuple(published["single"]["coef"]), rel=1e-8)
        assert curve.fit.law_r2 == pytest.approx(published["single"]["R2"], rel=1e-9)
        assert curve.data_share == pytest.approx((published["data_share_min"], published["data_share_max"]))


def test_the_energy_of_the_macs_is_exact_at_all_248_points(data, facts):
    points = 0
    for design, name in MACHINES.items():
        machine = load_hardware(name)
        mac_pj = machine.mac.at(machine.bits)
        assert mac_pj == pytest.approx(facts["sima_mac_energy_pJ"][f"b{machine.bits.weights}_{design}"], rel=1e-12)
        for sweep in SWEEPS:
            for one in measured_sweep(name, data, sweep):
                # Printed to 0.01 pJ, after a sum over instances.
                assert one.mac_pj == pytest.approx(one.layer.nest.macs * mac_pj, rel=2e-9, abs=0.02)
                points += 1
    assert points == 248


def test_our_optimum_is_at_most_theirs(run):
    duel, found = run.found.duel, run.found
    assert duel is not None and duel.points == 124
    assert found.unproved == 0
    assert duel.won >= math.ceil(0.95 * duel.points)
    # What was seen; an optimum may only improve.
    assert duel.won == 124 and duel.lost == ()
    seen = {"simba": (1.0303, 1.1224, 1.5032), "eyeriss": (1.0015, 1.0790, 1.3208)}[run.design]
    assert all(ratio >= figure for ratio, figure in zip(duel.ratios, seen, strict=True))


def test_our_curves_leave_less_around_the_law_than_theirs(run):
    assert run.found.theirs is not None
    for ours, theirs in zip(run.found.ours, run.found.theirs, strict=True):
        assert ours.fit.residual < 0.75 * theirs.fit.residual
        assert ours.fit.r2 > theirs.fit.r2
    assert run.found.ours[0].fit.residual < {"simba": 0.001, "eyeriss": 0.042}[run.design]


def test_r_squared_is_confirmed_by_our_optima_and_not_by_their_data(run):
    assert run.found.theirs is not None
    ours, theirs = run.found.ours[2].fit, run.found.theirs[2].fit
    assert (ours.points, theirs.points) == (5, 5)
    assert ours.confirmed and not theirs.confirmed
    assert theirs.p[2] == pytest.approx({"simba": 0.10, "eyeriss": 0.30}[run.design], abs=0.005)
    assert any(text.startswith("r² overstated: with 5 points") and "authors" in text for text in verdicts(run.found))


def test_all_other_laws_are_confirmed_on_both_sides(run):
    assert run.found.theirs is not None
    for i in (0, 1, 3):
        assert run.found.ours[i].fit.confirmed and run.found.theirs[i].fit.confirmed


def test_data_are_not_70_percent_of_the_energy(run):
    assert run.found.theirs is not None
    least = min(curve.data_share[0] for curve in run.found.theirs)
    most = max(curve.data_share[1] for curve in run.found.theirs)
    seen = {"eyeriss": (0.60, 0.83), "simba": (0.88, 0.94)}[run.design]
    assert (least, most) == pytest.approx(seen, abs=0.005)
    assert any(text.startswith("data take") and "authors" in text for text in verdicts(run.found))


def test_their_column_of_theory_does_not_follow_n(data):
    """It should be p(qn² + m² + qr² + 1); q·n² stays at 224² although n grows eightfold."""
    rows = [line.split(";") for line in (data / "eyeriss_energy_inputs.csv").read_text(encoding="utf-8").splitlines()]
    first, last = (64 * (3 * 224**2 + m**2 + 3 * 11**2 + 1) for m in (13, 111))
    assert (int(rows[0][5]), int(rows[-1][5])) == (first, last)
    with_n = [64 * (3 * n**2 + m**2 + 3 * 11**2 + 1) for n, m in ((56, 13), (448, 111))]
    assert with_n[1] / with_n[0] > 50 * last / first


def test_random_layers(data):
    """60 of them, by seed; all 4840 stand in ``results/energy_complexity``."""
    found = validate_complexity("simba-like-45nm", reference=data, random=60).random
    assert found is not None and (found.drawn, found.of, found.unproved) == (60, 4840, 0)
    assert found.won >= 0.95 * found.drawn
    whole = found.theirs_of_all.fit
    assert (whole.points, round(whole.law_r2, 4), round(whole.p[2], 3)) == (484, 0.9872, 0.207)


def test_the_first_column_of_the_random_layers_is_the_input_size(data):
    """Read as n it gives the energy of the MACs; read as m, the outputs, it does not."""
    every = measured_random("simba-like-45nm", data)
    assert every is not None and len(every) == 4840
    machine = load_hardware("simba-like-45nm")
    mac_pj = machine.mac.at(machine.bits)
    assert all(math.isclose(one.mac_pj, one.layer.nest.macs * mac_pj, rel_tol=2e-9, abs_tol=0.02) for one in every)
