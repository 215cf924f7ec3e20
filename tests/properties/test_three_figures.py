"""Value, bound and floor keep their order, whatever the layer and the machine; and what can't cost energy doesn't.

Layers are larger here than a brute force could enumerate. Machines are those of ``oracle/random_machines.py``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from oracle.random_cases import random_mapping, random_nest
from oracle.random_machines import Problem, random_priced, random_problem

from picojoule import estimate
from picojoule.cost.floor import floor
from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.mapping.legality import check_legal
from picojoule.search.costed import Found, evaluate, objective_value
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest
from picojoule.workload.network import Layer, Network

TIE = 1e-9
UNLIMITED = Exact(time_limit_s=None)
PROBLEMS = 40


def drawn(count: int, *, first: int = 0, bandwidths: bool = False) -> list[Problem]:
    """Problems with up to five dimensions and 400 MACs; with bandwidths a third as many, with up to four and 150.

    For latency every assignment is visited, which takes its time.
    """
    if bandwidths:
        return [random_problem(first + i, most_dims=4, most_macs=150, bandwidths=True) for i in range(-(-count // 3))]
    return [random_problem(first + i, most_dims=5, most_macs=400) for i in range(count)]


@cache
def solve(problem: Problem, objective: str = "energy", policy: Exact = UNLIMITED) -> Found:
    return search_layer(problem.nest, problem.machine, problem.bits, objective, policy)


def in_order(found: Found, objective: str) -> bool:
    least = objective_value(objective, found.floor.energy, found.floor.cycles)
    proved = found.status == "PROVED"
    return least <= found.bound * (1 + TIE) and found.bound <= found.value and (found.bound == found.value) == proved


def changed(machine: Accelerator, change: Callable[[Level | FanOut], Level | FanOut]) -> Accelerator:
    return replace(machine, hierarchy=tuple(change(entry) for entry in machine.hierarchy))


def never_dearer(problem: Problem, freer: Problem) -> bool:
    """Whether more freedom costs no energy; the bound of the freer one where its optimum isn't proved."""
    return solve(freer).bound <= solve(problem).value * (1 + TIE)


# The order of the three figures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_floor_bound_and_value_come_in_this_order(objective: str) -> None:
    for problem in drawn(PROBLEMS, bandwidths=objective != "energy"):
        found = solve(problem, objective)
        assert in_order(found, objective), problem
        check_legal(problem.nest, problem.machine, found.best.mapping, problem.bits)
        assert found.value == objective_value(objective, found.best.energy, found.best.cycles), problem
        assert found.bound_energy <= found.best.energy, problem


@pytest.mark.parametrize(("mappings", "bandwidths"), [(1600, False), (400, True)])
def test_no_mapping_is_below_the_floor(mappings: int, bandwidths: bool) -> None:
    """Neither one with clipped tiles, nor with spreads anywhere, nor with levels passed by at random."""
    rng = random.Random(f"floor {bandwidths}")
    tight = 0
    for _ in range(mappings):
        nest = random_nest(rng, 100)
        bits = Bits(weights=rng.choice((2, 8)), inputs=rng.choice((3, 8)), outputs=rng.choice((5, 8)), psums=19)
        # The floor knows no capacities; without them every mapping is legal.
        machine = changed(
            random_priced(rng, bits, bandwidths=bandwidths),
            lambda entry: replace(entry, capacity_bits=None) if isinstance(entry, Level) else entry,
        )
        mapping = random_mapping(rng, nest, machine, exact=rng.random() < 0.3)
        check_legal(nest, machine, mapping, bits)
        costed, least = evaluate(nest, machine, bits, mapping), floor(nest, machine, bits)
        assert least.energy <= costed.energy * (1 + TIE), (nest, machine, mapping)
        assert least.cycles <= costed.cycles * (1 + TIE), (nest, machine, mapping)
        tight += costed.energy <= 1.2 * least.energy
    assert tight >= 5  # the floor isn't so low that anything would pass


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
@pytest.mark.parametrize(
    "policy", [Exact(gap=0.3, time_limit_s=None), Exact(node_limit=1, time_limit_s=None), Exact(time_limit_s=1e-9)]
)
def test_a_search_that_stops_early_gives_honest_figures(policy: Exact, objective: str) -> None:
    stopped = 0
    for problem in drawn(30, first=1000, bandwidths=objective != "energy"):
        full, early = solve(problem, objective), solve(problem, objective, policy)
        assert in_order(early, objective), problem
        assert early.bound <= full.value * (1 + TIE), problem
        assert full.bound <= early.value * (1 + TIE), problem
        if policy.gap and full.status == "PROVED":
            assert early.value - early.bound <= policy.gap * early.value * (1 + TIE), problem
        stopped += early.status != "PROVED"
    assert stopped > 0


# What can't cost energy -----------------------------------------------------------------------------------------------


def test_more_capacity_never_costs_energy() -> None:
    saved = 0
    for problem in drawn(PROBLEMS, first=2000):
        larger = changed(
            problem.machine,
            lambda e: replace(e, capacity_bits=2 * e.capacity_bits) if isinstance(e, Level) and e.capacity_bits else e,
        )
        freer = replace(problem, machine=larger)
        assert never_dearer(problem, freer), problem
        saved += solve(freer).value < solve(problem).value * (1 - TIE)
    assert saved >= 5


def test_leave_to_keep_a_tensor_never_costs_energy() -> None:
    saved = 0
    for problem in drawn(PROBLEMS, first=3000):
        machine = problem.machine

        def may_keep_all(entry: Level | FanOut, machine: Accelerator = machine) -> Level | FanOut:
            if isinstance(entry, FanOut):
                return entry
            inside = machine.levels.index(entry)
            free = [t for t in TENSORS if t not in entry.keeps and machine.levels.index(machine.home(t)) < inside]
            return replace(entry, may_keep=tuple(free))

        freer = replace(problem, machine=changed(machine, may_keep_all))
        assert never_dearer(problem, freer), problem
        saved += solve(freer).value < solve(problem).value * (1 - TIE)
    assert saved >= 3


def test_factors_that_need_not_divide_never_cost_energy() -> None:
    saved = 0
    for problem in drawn(PROBLEMS):
        exact, free = (solve(problem, "energy", Exact(time_limit_s=None, factors=f)) for f in ("exact", "any"))
        assert free.bound <= exact.value * (1 + TIE), problem
        assert free.value <= exact.value * (1 + TIE) or free.status != "PROVED", problem
        saved += free.value < exact.value * (1 - 1e-6)
    assert saved >= 3


def test_more_dimensions_on_an_axis_never_cost_energy() -> None:
    saved = 0

    def allowing(machine: Accelerator, dims: str) -> Accelerator:
        return changed(
            machine,
            lambda e: (
                replace(e, axes=tuple(replace(a, dims=tuple(dims)) for a in e.axes)) if isinstance(e, FanOut) else e
            ),
        )

    for problem in drawn(PROBLEMS, first=4000):
        narrow = replace(problem, machine=allowing(problem.machine, "CQ"))
        freer = replace(problem, machine=allowing(problem.machine, "".join(DIMS)))
        assert never_dearer(narrow, freer), problem
        saved += solve(freer).value < solve(narrow).value * (1 - TIE)
    assert saved >= 3


def test_two_inputs_together_cost_at_most_twice_as_much_as_one() -> None:
    saved = 0
    for problem in drawn(PROBLEMS, first=5000):
        twice = replace(problem, nest=replace(problem.nest, N=2 * problem.nest.N))
        assert solve(twice).bound <= 2 * solve(problem).value * (1 + TIE), problem
        saved += solve(twice).value < 2 * solve(problem).value * (1 - TIE)
    assert saved >= 5


# What makes no difference ---------------------------------------------------------------------------------------------


SWAPPED = dict(zip("PQRS", "QPSR", strict=True))


def turned(problem: Problem) -> Problem:
    """Rows for columns, in the layer and in what the axes allow."""
    nest = problem.nest
    top, left, bottom, right = nest.pad
    sizes = {SWAPPED.get(d, d): size for d, size in nest.dims.items()}
    turned_nest = Nest(**sizes, stride=nest.stride[::-1], dilation=nest.dilation[::-1], pad=(left, top, right, bottom))

    def turn(entry: Level | FanOut) -> Level | FanOut:
        if isinstance(entry, Level):
            return entry
        axes = tuple(replace(a, dims=tuple(SWAPPED.get(d, d) for d in a.dims)) for a in entry.axes)
        return replace(entry, axes=axes)

    return replace(problem, nest=turned_nest, machine=changed(problem.machine, turn))


def renamed(problem: Problem) -> Problem:
    """Names that sort the other way round."""
    names = {e.name: f"m{9 - i}" for i, e in enumerate(problem.machine.hierarchy)}
    return replace(problem, machine=changed(problem.machine, lambda e: replace(e, name=names[e.name])))


@pytest.mark.parametrize("alike", [turned, renamed])
@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_rows_for_columns_and_other_names_give_the_same(alike: Callable[[Problem], Problem], objective: str) -> None:
    for problem in drawn(PROBLEMS // 2 + 1, first=6000, bandwidths=objective != "energy"):
        one, other = solve(problem, objective), solve(alike(problem), objective)
        assert other.floor.energy == pytest.approx(one.floor.energy, rel=TIE), problem
        if one.status == other.status == "PROVED":
            assert other.value == pytest.approx(one.value, rel=TIE), problem
        else:
            assert other.bound <= one.value * (1 + TIE) and one.bound <= other.value * (1 + TIE), problem


# Sums -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_sums_of_an_estimate_are_exact(objective: str) -> None:
    problems = drawn(5, first=7000)
    layers = tuple(Layer(name=f"l{i}", kind="conv", op="Conv", nest=p.nest) for i, p in enumerate(problems))
    pool = Layer(name="pool", kind="pool", op="MaxPool", read_elements=100, written_elements=25, vector_ops=100)
    network = Network(name="random", layers=(*layers, pool))
    for problem in problems:
        result = estimate(network, hardware=problem.machine, objective=objective)
        for layer in result.layers:
            assert layer.energy_pj == math.fsum(access.energy_pj for access in layer.by)
            assert layer.floor <= layer.bound <= layer.value
            assert layer.floor_pj <= layer.bound_pj <= layer.energy_pj
        for total, part in (("energy_pj", "energy_pj"), ("floor_pj", "floor_pj"), ("bound_pj", "bound_pj")):
            assert getattr(result, total) == math.fsum(getattr(layer, part) for layer in result.layers), total
        assert result.floor <= result.bound <= result.value
