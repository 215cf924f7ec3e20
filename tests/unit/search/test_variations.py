"""One proof shared by machines that differ a little: the same answers as searches of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracle.random_machines import Problem, random_problem

from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.search import variations
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.search.variations import Variation, search_from, search_larger, search_variations

SAME = 1e-12


def _each_level(machine: Accelerator, change: object) -> list[Accelerator]:
    found = []
    for level in machine.levels[1:]:
        if not level.latch:
            entries = tuple(change(entry) if entry is level else entry for entry in machine.hierarchy)
            found.append(replace(machine, hierarchy=entries))
    return found


def _varied(problem: Problem) -> list[Variation]:
    def larger(level: Level) -> Level:
        return replace(level, capacity_bits=None if level.capacity_bits is None else 2 * level.capacity_bits)

    def priced(by: float) -> object:
        return lambda level: replace(level, energy_per_word=tuple((key, by * price) for key, price in level.energy_per_word))

    machine, bits = problem.machine, problem.bits
    machines = [*_each_level(machine, larger), *_each_level(machine, priced(1.3)), *_each_level(machine, priced(0.6))]
    dram = priced(0.4)(machine.levels[0])
    machines.append(replace(machine, hierarchy=(dram, *machine.hierarchy[1:])))
    narrow = [replace(bits, **{t: getattr(bits, t) - 1}) for t in ("weights", "inputs", "outputs") if getattr(bits, t) > 1]
    return [Variation(machine=one, bits=bits, policy=_policy()) for one in machines] + [
        Variation(machine=machine, bits=one, policy=_policy()) for one in narrow
    ]


def _policy(factors: str = "any") -> Exact:
    return Exact(time_limit_s=None, factors=factors)


@pytest.mark.parametrize("objective", ["energy", "edp", "latency"])
def test_variations_are_what_a_search_of_their_own_finds(objective: str) -> None:
    better = 0
    for seed in range(8 if objective == "energy" else 3):
        problem = random_problem(seed, most_dims=4, most_macs=150, bandwidths=True)
        nest, machine, bits = problem.nest, problem.machine, problem.bits
        best = search_layer(nest, machine, bits, objective, _policy())
        asked = _varied(problem)
        found = search_variations(nest, machine, bits, best.best.mapping, asked, objective, _policy())
        for one, answer in zip(asked, found, strict=True):
            fresh = search_layer(nest, one.machine, one.bits, objective, _policy())
            assert answer.value == pytest.approx(fresh.value, rel=SAME), (seed, one)
            assert answer.bound <= answer.value
            assert answer.bound == pytest.approx(fresh.bound, rel=SAME) or fresh.status != "PROVED"
            better += answer.value < best.value * (1 - 1e-6)
    assert better >= 3


def test_larger_arrays_need_only_what_did_not_fit_before() -> None:
    better = 0
    for seed in range(20):
        problem = random_problem(seed, most_dims=4, most_macs=150, bandwidths=True)
        nest, machine, bits = problem.nest, problem.machine, problem.bits
        best = search_layer(nest, machine, bits, "energy", _policy())
        for fanout in machine.fanouts:
            axes = tuple(replace(axis, size=2 * axis.size) for axis in fanout.axes)
            larger = replace(machine, hierarchy=tuple(
                replace(entry, axes=axes) if isinstance(entry, FanOut) and entry is fanout else entry for entry in machine.hierarchy
            ))  # fmt: skip
            found = search_larger(nest, machine, larger, bits, best.best.mapping, "energy", _policy())
            fresh = search_layer(nest, larger, bits, "energy", _policy())
            assert found.value == pytest.approx(fresh.value, rel=SAME) and found.status == fresh.status, seed
            better += found.value < best.value * (1 - 1e-6)
    assert better


def test_a_search_that_stops_early_keeps_the_mapping_that_it_began_with() -> None:
    problem = random_problem(3, most_dims=4, most_macs=150, bandwidths=True)
    nest, machine, bits = problem.nest, problem.machine, problem.bits
    best = search_layer(nest, machine, bits, "energy", _policy()).best
    found = search_from(nest, machine, bits, best.mapping, "energy", Exact(node_limit=1, time_limit_s=None))
    assert found.best.energy <= best.energy
    assert found.bound <= found.value


def test_the_carried_bound_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bound that promises more than it may, the first test would see wrong answers."""
    monkeypatch.setattr(variations, "carried", lambda known, other: np.full_like(known.proved, np.inf))
    wrong = 0
    for seed in range(8):
        problem = random_problem(seed, most_dims=4, most_macs=150, bandwidths=True)
        nest, machine, bits = problem.nest, problem.machine, problem.bits
        best = search_layer(nest, machine, bits, "energy", _policy())
        asked = _varied(problem)
        found = search_variations(nest, machine, bits, best.best.mapping, asked, "energy", _policy())
        for one, answer in zip(asked, found, strict=True):
            wrong += answer.value > search_layer(nest, one.machine, one.bits, "energy", _policy()).value * (1 + 1e-9)
        if wrong:
            return
    raise AssertionError("no answer was wrong")
