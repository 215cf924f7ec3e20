"""Eyexam's bounds come in order, no mapping beats them, and the best one there is meets them: random layers and machines."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from oracle.brute_force import brute_force, size_of
from oracle.map_space import IMPERFECT
from oracle.random_cases import random_mapping, random_nest
from oracle.random_machines import Problem, random_priced, random_problem
from support import sample_estimates

from picojoule.analysis.eyexam.steps import STEPS, Step, steps
from picojoule.analysis.eyexam.subject import Subject
from picojoule.hardware.accelerator import Level
from picojoule.mapping.mapping import Mapping
from picojoule.search.costed import evaluate
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.nest import Bits

TIE = 1e-9
UNLIMITED = Exact(time_limit_s=None)
ROW = sample_estimates.estimate().layers[0]


def examined(problem: Problem, mapping: Mapping, policy: Exact = UNLIMITED) -> tuple[Step, ...]:
    cycles = evaluate(problem.nest, problem.machine, problem.bits, mapping).cycles
    return steps(
        Subject(row=ROW, nest=problem.nest, bits=problem.bits, machine=problem.machine, mapping=mapping, cycles=cycles),
        policy,
    )


def in_order(found: tuple[Step, ...]) -> bool:
    rates = [step.macs_per_cycle for step in found]
    return all(after <= before for before, after in zip(rates, rates[1:], strict=False))


@pytest.mark.parametrize("policy", [UNLIMITED, Exact(node_limit=1, time_limit_s=None)])
def test_each_bound_is_at_most_the_one_before_and_the_last_is_the_rate(policy: Exact) -> None:
    lost = dict.fromkeys(STEPS, 0)
    for seed in range(16):
        problem = random_problem(seed, most_dims=4, most_macs=150, bandwidths=True)
        best = search_layer(problem.nest, problem.machine, problem.bits, "energy", UNLIMITED).best
        found = examined(problem, best.mapping, policy)
        assert tuple(step.name for step in found) == STEPS
        assert in_order(found), problem
        assert found[-1].macs_per_cycle == problem.nest.macs / best.cycles
        assert all(0 <= step.loss < 1 and step.sentence for step in found)
        for step in found:
            lost[step.name] += step.loss > 1e-6
    # None of these machines minds zeros.
    assert all(lost[name] >= 1 for name in ("dataflow", "number of PEs", "physical array", "storage", "average bandwidth")), list(lost.items())


def test_no_mapping_at_all_beats_steps_one_to_four() -> None:
    """Neither one with clipped tiles, nor with spreads anywhere, several of a dimension on an axis."""
    rng = random.Random("eyexam")
    met = 0
    for _ in range(120):
        nest = random_nest(rng, 100)
        bits = Bits(weights=8, inputs=8, outputs=8, psums=19)
        machine = random_priced(rng, bits)
        roomy = tuple(replace(e, capacity_bits=None) if isinstance(e, Level) else e for e in machine.hierarchy)
        machine = replace(machine, hierarchy=roomy)
        mapping = random_mapping(rng, nest, machine, exact=rng.random() < 0.3)
        cycles = evaluate(nest, machine, bits, mapping).cycles
        one = Subject(row=ROW, nest=nest, bits=bits, machine=machine, mapping=mapping, cycles=cycles)
        found = steps(one, UNLIMITED)
        rate = nest.macs / cycles
        assert in_order(found), (nest, machine, mapping)
        assert all(rate <= step.macs_per_cycle * (1 + TIE) for step in found), (nest, machine, mapping)
        met += rate >= found[3].macs_per_cycle * (1 - TIE)
    assert met >= 6


def test_the_best_of_all_mappings_meets_steps_five_to_seven() -> None:
    tried = below = 0
    for seed in range(160):
        problem = random_problem(seed, bandwidths=True)
        if size_of(problem.nest, problem.machine, "latency", IMPERFECT) > 40:
            continue
        wide = tuple(
            replace(e, read_bits_per_cycle=None, write_bits_per_cycle=None, own_ports=()) if isinstance(e, Level) else e
            for e in problem.machine.hierarchy
        )
        unlimited = replace(problem.machine, hierarchy=wide)
        least = [
            brute_force(problem.nest, machine, problem.bits, "latency", IMPERFECT).value
            for machine in (unlimited, problem.machine)
        ]
        best = search_layer(problem.nest, problem.machine, problem.bits, "energy", UNLIMITED).best
        found = examined(problem, best.mapping)
        for step, cycles in ((found[4], least[0]), (found[5], least[1]), (found[6], least[1])):
            rate = problem.nest.macs / min(cycles, best.cycles)
            assert step.macs_per_cycle >= rate * (1 - TIE), problem
            if step.exact:
                assert step.macs_per_cycle == pytest.approx(rate, rel=TIE), problem
                tried += 1
                below += step.macs_per_cycle < found[3].macs_per_cycle * (1 - TIE)
    assert tried >= 40
    assert below >= 10
