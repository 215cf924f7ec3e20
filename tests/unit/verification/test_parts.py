"""What ``verify`` derives of a part against what the search finds: two programmes that share nothing but the law.

``Parts`` must come to the search's own least, for hundreds of random parts and on real layers. Where it may come to
more, the test says why.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from oracle.brute_force import brute_force, size_of
from oracle.random_machines import Problem as Drawn
from oracle.random_machines import latched, linked, ported, random_problem, ruled
from support.certificates import problem_of

from picojoule.frontends import load_model
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.search.layer import _level_choices, _port_price, _Search
from picojoule.search.policy import Exact
from picojoule.search.problem import Problem
from picojoule.verification.chains import Chains
from picojoule.verification.least import least
from picojoule.verification.parts import Parts, least_cost
from picojoule.verification.simple import constant, simple_bounds
from picojoule.verification.space import Way, ladder, level_choices, ways
from picojoule.verification.terms import Terms
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

CLOSE = 1e-9
ODD = (2, 3, 5, 7, 10, 13)


def odd_problem(seed: int, *, bandwidths: bool = False) -> Drawn:
    """A random machine with a layer whose sizes seldom divide evenly."""
    drawn = random_problem(seed, most_dims=5, most_macs=400, bandwidths=bandwidths)
    rng = random.Random(f"odd {seed}")
    while True:
        sizes = {d: rng.choice(ODD) for d in rng.sample(DIMS, rng.randint(2, 4))}
        try:
            nest = Nest(**sizes, stride=drawn.nest.stride, dilation=drawn.nest.dilation, pad=drawn.nest.pad)
        except ValueError:  # the padding left no input
            continue
        if nest.macs <= 3000:
            return replace(drawn, nest=nest)


def drawn_parts(seeds: range, *, exact: bool) -> Iterator[tuple[Drawn, Problem, Terms, list[Way], np.ndarray]]:
    """For every seed one choice of levels: the search's problem, the same as terms, and its assignments."""
    for seed in seeds:
        rng = random.Random(f"parts {seed}")
        drawn = random_problem(seed, most_dims=5, most_macs=400) if seed % 2 else odd_problem(seed)
        paths = rng.choice(list(_level_choices(drawn.machine)))
        problem, by_axis, assignments = problem_of(drawn.nest, drawn.machine, drawn.bits, paths, exact=exact)
        terms = Terms(drawn.nest, drawn.machine, drawn.bits, paths, Level.energy_per_bit, exact=exact)
        yield drawn, problem, terms, assignments, by_axis


@pytest.mark.parametrize("exact", [True, False])
def test_the_space_is_the_searchs(exact):
    several = 0
    for seed in range(120):
        drawn = odd_problem(seed)
        for groups in (False, True):
            paths = next(level_choices(drawn.machine))
            _, _, theirs = problem_of(drawn.nest, drawn.machine, drawn.bits, paths, exact=exact, groups=groups)
            own = ways(drawn.nest, drawn.machine, spread_groups=groups, exact=exact)
            assert len(own) == len(set(own))
            assert set(own) == set(theirs), drawn
            several += len(own) > 10
        own_choices = [tuple(paths[t] for t in TENSORS) for paths in level_choices(drawn.machine)]
        their_choices = [tuple(paths[t] for t in TENSORS) for paths in _level_choices(drawn.machine)]
        assert len(own_choices) == len(their_choices)
        assert set(own_choices) == set(their_choices)
    assert several >= 30


def test_ladders_by_hand():
    assert ladder(7, False).extents == (1, 2, 3, 4, 7)
    assert ladder(7, True).extents == (1, 7)
    assert ladder(12, True).steps == ((0, 1), (0, 2), (1, 3), (1, 4), (2, 4), (3, 5), (4, 5))
    # 3 fits into 7 only at the very top, and 2 into 4.
    assert {(int(i), int(j)) for i, j in np.argwhere(ladder(7, False).under)} == {
        (0, 1), (0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 4), (3, 4),
    }  # fmt: skip


@pytest.mark.parametrize("exact", [True, False])
def test_simple_bounds_and_least_chains_equal_the_searchs(exact):
    compared = 0
    for drawn, problem, terms, assignments, _ in drawn_parts(range(110), exact=exact):
        simple, theirs = simple_bounds(terms, assignments), problem.bounds()
        rng = random.Random(f"chains {drawn.seed}")
        assert np.allclose(simple, theirs, rtol=CLOSE, atol=0), drawn
        for a in rng.sample(range(len(assignments)), min(4, len(assignments))):
            fixed, _ = problem.lay_out(a)
            found = problem.chain(a, problem.room, math.inf) + fixed
            chains = Chains(terms, assignments[a])
            own = chains.solve(problem.room) + constant(terms, [assignments[a]])[0]
            compared += 1
            assert own == pytest.approx(found, rel=CLOSE), (drawn, assignments[a])
    assert compared >= 300


@pytest.mark.parametrize("kind", [latched, ruled])
def test_least_chains_with_latches_and_rules_equal_the_searchs(kind):
    compared = none = 0
    for seed in range(500, 590):
        drawn = kind(random_problem(seed, most_dims=5, most_macs=400))
        rng = random.Random(f"parts {seed}")
        paths = rng.choice(list(_level_choices(drawn.machine)))
        problem, by_axis, assignments = problem_of(drawn.nest, drawn.machine, drawn.bits, paths, exact=True)
        terms = Terms(drawn.nest, drawn.machine, drawn.bits, paths, Level.energy_per_bit, exact=True)
        search = _Search(drawn.nest, drawn.machine, drawn.bits, "energy", Exact(), None)
        for a in rng.sample(range(len(assignments)), min(3, len(assignments))):
            found, mapping = search._solve(problem, a, by_axis[a], math.inf)
            own = least_cost(terms, assignments[a])
            assert own == pytest.approx(found if mapping is not None else math.inf, rel=CLOSE), (drawn, assignments[a])
            compared, none = compared + 1, none + (mapping is None)
    assert compared >= 150
    assert none >= 25 or kind is latched


@pytest.mark.parametrize("exact", [True, False])
def test_shared_memories_are_minded_as_the_search_does(exact):
    compared = coupled = 0
    for drawn, problem, terms, assignments, by_axis in drawn_parts(range(200, 250), exact=exact):
        search = _Search(drawn.nest, drawn.machine, drawn.bits, "energy", Exact(), None)
        rng = random.Random(f"shared {drawn.seed}")
        for a in rng.sample(range(len(assignments)), min(3, len(assignments))):
            found, _ = search._solve(problem, a, by_axis[a], math.inf)
            own = least_cost(terms, assignments[a])
            compared += 1
            assert own == pytest.approx(found, rel=CLOSE), (drawn, assignments[a])
            alone = Chains(terms, assignments[a]).solve(problem.room) + constant(terms, [assignments[a]])[0]
            coupled += alone < own * (1 - CLOSE)
            # A bound that is enough stops early, and is one.
            for factor in (0.5, 0.999, 1.0, 1.001, 2.0):
                enough = own * factor if own > 0 else own / factor
                derived = least_cost(terms, assignments[a], enough)
                assert derived == own or enough <= derived <= own
    assert compared >= 110
    assert coupled >= 10


def test_port_loads_equal_the_searchs():
    compared = 0
    for seed in range(60):
        drawn = random_problem(seed, most_dims=4, most_macs=200, bandwidths=True)
        if seed % 2:
            drawn = ported(drawn)
        if seed % 3 == 0:
            drawn = linked(drawn)
        ports = [f"{level.name} {port.label}" for level in drawn.machine.levels for port in level.ports]
        paths = next(level_choices(drawn.machine))
        _, by_axis, assignments = problem_of(drawn.nest, drawn.machine, drawn.bits, paths, exact=True)
        search = _Search(drawn.nest, drawn.machine, drawn.bits, "latency", Exact(), None)
        bottom = least(drawn.nest, drawn.machine, drawn.bits)
        parts = Parts(drawn.nest, drawn.machine, drawn.bits, paths, "latency", exact=True, bottom=bottom)
        rng = random.Random(f"ports {seed}")
        for a in rng.sample(range(len(assignments)), min(3, len(assignments))):
            way = by_axis[a]
            cycles = float(np.prod(np.array(list(drawn.nest.dims.values())) // way.prod(axis=0)))
            for port in ports:
                loads = search._problem(paths, _port_price(drawn.machine, port, way), way[None])
                cycles = max(cycles, search._solve(loads, 0, way, math.inf)[0])
            own = parts.least(assignments[a], math.inf)
            assert own == pytest.approx(max(cycles, bottom.cycles), rel=CLOSE), (drawn, port, assignments[a])
            assert parts.simple([assignments[a]])[0] <= own * (1 + CLOSE)
            compared += 1
    assert compared >= 100


def test_the_least_over_all_parts_is_that_of_every_mapping():
    """No search at all: brute force writes every mapping down and costs it."""
    tried = 0
    for seed in range(500):
        drawn = random_problem(seed)
        mixed = len({fanout.multicast for fanout in drawn.machine.fanouts}) == 2
        if mixed or size_of(drawn.nest, drawn.machine) > 60:
            continue
        tried += 1
        bottom = least(drawn.nest, drawn.machine, drawn.bits)
        lowest = math.inf
        for paths in level_choices(drawn.machine):
            parts = Parts(drawn.nest, drawn.machine, drawn.bits, paths, "energy", exact=True, bottom=bottom)
            for way in ways(drawn.nest, drawn.machine, spread_groups=False, exact=True):
                lowest = min(lowest, parts.least(way, lowest))
        assert lowest == pytest.approx(brute_force(drawn.nest, drawn.machine, drawn.bits).value, rel=CLOSE), drawn
    assert tried >= 50


@pytest.mark.parametrize(
    ("hardware", "model", "name"),
    [
        ("eyeriss-normalized", "resnet18", "layer4.0.conv1"),
        ("eyeriss-normalized", "mobilenet_v1", "dw12"),
        ("simba-like-45nm", "resnet18", "layer4.0.conv1"),
        ("simba-like-45nm", "resnet18", "fc"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_real_layers_on_real_machines(hardware, model, name, exact):
    machine = load_hardware(hardware)
    nest = next(layer.nest for layer in load_model(model).layers if layer.name == name)
    paths = next(level_choices(machine))
    problem, by_axis, assignments = problem_of(nest, machine, machine.bits, paths, exact=exact)
    terms = Terms(nest, machine, machine.bits, paths, Level.energy_per_bit, exact=exact)
    assert set(ways(nest, machine, spread_groups=False, exact=exact)) == set(assignments)
    simple = simple_bounds(terms, assignments)
    assert np.allclose(simple, problem.bounds(), rtol=CLOSE, atol=0)
    search = _Search(nest, machine, machine.bits, "energy", Exact(), None)
    rng = random.Random(f"{hardware} {name}")
    some = [int(a) for a in np.argsort(simple)[:2]] + rng.sample(range(len(assignments)), 2)
    for a in some:
        found, _ = search._solve(problem, a, by_axis[a], math.inf)
        assert least_cost(terms, assignments[a]) == pytest.approx(found, rel=CLOSE)


def test_tiles_of_groups_side_by_side_take_their_room():
    """Four groups over positions inside a level: it holds four times the weights, too."""

    def level(name: str, *keeps: str, capacity_bits: int | None = None) -> Level:
        energies = uniform_energies(read=1, write=1, update=1)
        return Level(name=name, keeps=keeps, word_bits=8, capacity_bits=capacity_bits, energy_per_word=energies)

    array = FanOut(name="F", axes=(Axis(name="x", size=4, dims=("G",)),))

    def with_room(bits: int) -> Accelerator:
        return Accelerator(
            name="by hand",
            hierarchy=(level("far", *TENSORS), level("near", "weights", "outputs", capacity_bits=bits), array),
            unit="pJ", bits=Bits(weights=8, inputs=8, outputs=8, psums=8), mac=MacEnergy(bits=8, multiply=1.0),
        )  # fmt: skip

    nest, spread = Nest(G=4, P=2, R=2), ((1, 4, 1, 1, 1, 1, 1, 1),)
    for bits, fits in ((63, False), (64, True)):
        machine = with_room(bits)
        terms = Terms(nest, machine, machine.bits, next(level_choices(machine)), Level.energy_per_bit, exact=True)
        assert math.isfinite(least_cost(terms, spread)) == fits
