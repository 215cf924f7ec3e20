"""Rules for tiles: the search obeys them and loses nothing else, and what they mean is what a run of the mapping shows."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from oracle.brute_force import Least, brute_force, one_by_one, size_of
from oracle.map_space import all_mappings
from oracle.program import Step, spreads_outside, walk
from oracle.random_cases import Case, random_case
from oracle.random_machines import Problem, latched, random_problem, ruled
from oracle.test_brute_force import CLOSE, UNLIMITED, compare, mixed_sharing

from picojoule.errors import HardwareError, MappingError
from picojoule.hardware.accelerator import DIRECTIONS, Accelerator, Level, TileRule
from picojoule.mapping.legality import broken_rules, check_legal
from picojoule.mapping.mapping import Keep, Loop, Spread
from picojoule.search.costed import Found
from picojoule.search.layer import search_layer
from picojoule.verification.plan import Refuted, legal_plan
from picojoule.workload.nest import DIMS, TENSORS

ENERGY_PROBLEMS, TIMED_PROBLEMS = 1000, 120
CASES = 150


def drawn(first: int, last: int, *, most: int, objective: str = "energy") -> list[Problem]:
    """The problems of these seeds with rules for tiles, a third of them with latches, too."""
    problems = [ruled(random_problem(seed, bandwidths=objective != "energy")) for seed in range(first, last)]
    problems = [latched(p) if p.seed % 3 == 0 else p for p in problems]
    return [p for p in problems if size_of(p.nest, p.machine, objective) <= most]


def answers(problem: Problem, objective: str) -> tuple[Found, Least] | None:
    """Both answers, which go together; None if both say that there is none."""
    least = brute_force(problem.nest, problem.machine, problem.bits, objective)
    if least.legal:
        return compare(problem, objective)
    with pytest.raises(HardwareError, match="no mapping obeys the rules for tiles"):
        search_layer(problem.nest, problem.machine, problem.bits, objective, UNLIMITED)
    return None


# The search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, ENERGY_PROBLEMS, 250))
def test_the_search_finds_the_least_energy_that_the_rules_allow(first: int) -> None:
    problems = drawn(first, first + 250, most=90)
    solved = [(problem, found) for problem in problems if (found := answers(problem, "energy")) is not None]
    assert len(solved) >= 35
    assert len(problems) > len(solved)  # some rules can't be obeyed
    assert all(found.status == "PROVED" or mixed_sharing(problem.machine) for problem, (found, _) in solved)


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_the_least_latency_and_product_that_the_rules_allow(objective: str) -> None:
    solved = [answers(p, objective) for p in drawn(0, TIMED_PROBLEMS, most=50, objective=objective)]
    assert sum(found is not None for found in solved) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 14_000, 500))
def test_the_search_obeys_the_rules_on_thousands_of_larger_problems(first: int) -> None:
    for problem in drawn(first, first + 500, most=1200):
        answers(problem, "energy")


def test_rules_cost_energy_and_never_save_any() -> None:
    dearer = 0
    for seed in range(5000, 5120):
        free = random_problem(seed, most_dims=4, most_macs=150)
        bound = ruled(free)
        least = search_layer(free.nest, free.machine, free.bits, "energy", UNLIMITED)
        try:
            found = search_layer(bound.nest, bound.machine, bound.bits, "energy", UNLIMITED)
        except HardwareError:
            continue
        check_legal(bound.nest, bound.machine, found.best.mapping, bound.bits)
        assert found.value >= least.bound * (1 - CLOSE), bound
        dearer += found.value > least.value * (1 + CLOSE)
    assert dearer >= 15


def test_where_many_accesses_are_free_the_rules_are_obeyed_all_the_same() -> None:
    """Most nests cost the same here, those that obey and those that don't: the search must not stray on its way back."""
    found = 0
    for seed in range(6100, 6160):
        problem = ruled(random_problem(seed, most_dims=5, most_macs=100))
        rng = random.Random(f"free {seed}")
        hierarchy = []
        for entry in problem.machine.hierarchy:
            price = {t: rng.choice((0.0, 0.0, 1.0)) for t in TENSORS}
            prices = tuple(sorted(((d, t), price[t]) for d in DIRECTIONS for t in TENSORS))
            hierarchy.append(
                replace(entry, word_bits=1, energy_per_word=prices) if isinstance(entry, Level) else entry
            )
        machine = replace(problem.machine, hierarchy=tuple(hierarchy))
        try:
            best = search_layer(problem.nest, machine, problem.bits, "energy", UNLIMITED).best
        except HardwareError:
            continue
        check_legal(problem.nest, machine, best.mapping, problem.bits, where=str(problem))
        found += 1
    assert found >= 30


def test_costing_the_tensors_side_by_side_is_costing_every_mapping_under_rules() -> None:
    tried = 0
    for problem in drawn(0, 200, most=20):
        arguments = problem.nest, problem.machine, problem.bits
        if sum(1 for _ in all_mappings(problem.nest, problem.machine, "energy")) > 400:
            continue
        tried += 1
        quick, slow = brute_force(*arguments), one_by_one(*arguments)
        assert (quick.legal, quick.overfull) == (slow.legal, slow.overfull), problem
        assert quick.value == pytest.approx(slow.value, rel=1e-12), problem
    assert tried >= 15


# What a rule means ----------------------------------------------------------------------------------------------------


def with_rules(case: Case) -> Case:
    """The case with two rules at each level inside the homes for each of its tensors, some about dimensions of size 1."""
    rng = random.Random(f"rules {case.seed} {case.exact}")

    def rule(tensor: str) -> TileRule:
        n = rng.choice((1, 1, 2, 3, 4))
        limits = rng.choice(({"least": n, "most": n}, {"most": n}, {"least": n}, {"all": True}))
        return TileRule(tensor=tensor, dim=rng.choice(DIMS), **limits)

    def change(level: Level) -> Level:
        inner = [t for t in TENSORS if t in level.keeps + level.may_keep and case.accelerator.home(t) is not level]
        return replace(level, tiles=tuple(rule(t) for t in inner for _ in range(2)))

    hierarchy = tuple(change(e) if isinstance(e, Level) else e for e in case.accelerator.hierarchy)
    return replace(case, accelerator=replace(case.accelerator, hierarchy=hierarchy))


def covered(case: Case, steps: list[Step], level: str, dim: str, place: int) -> int:
    """Indices of a dimension that the first instance of a level meets while the loops before ``place`` stand still."""
    spreads = [node for node in case.mapping.nodes if isinstance(node, Spread)]
    outside = spreads_outside(case.accelerator, level, spreads)
    still = sum(isinstance(node, Loop) for node in case.mapping.nodes[:place])
    return len(
        {
            index[dim]
            for time, busy in steps
            for position, index in busy
            if not any(time[:still]) and not any(position[i] for i in outside)
        }
    )


def broken_by_walking(case: Case) -> set[tuple[str, TileRule]]:
    """The rules that no place of the keep satisfies among those with the same tile, each half of a rule for itself."""
    steps, broken = list(walk(case.nest, case.mapping)), set()
    nodes = case.mapping.nodes
    moves = dict(zip(range(len(nodes)), (trips > 1 for _, trips in case.mapping.trips(case.nest.dims)), strict=True))
    select = {"weights": "GKCRS", "inputs": "NGCPQRS", "outputs": "NGKPQ"}
    for level in case.accelerator.levels:
        for rule in level.tiles:
            if (keep := Keep(level.name, rule.tensor)) not in nodes:
                continue
            place = nodes.index(keep)

            def stays(i: int, rule: TileRule = rule) -> bool:
                node = nodes[i]
                return not (isinstance(node, Loop) and moves[i] and node.dim in select[rule.tensor])

            top = next((i + 1 for i in range(place - 1, -1, -1) if not stays(i)), 0)
            bottom = next((i for i in range(place + 1, len(nodes)) if not stays(i)), len(nodes))
            sizes = [covered(case, steps, level.name, rule.dim, p) for p in range(top, bottom + 1)]
            there = covered(case, steps, level.name, rule.dim, 0)
            wanted = there if rule.all else min(rule.least or 0, there)
            if max(sizes) < wanted or (rule.most is not None and min(sizes) > rule.most):
                broken.add((level.name, rule))
    return broken


@pytest.mark.parametrize("exact", [True, False])
def test_a_rule_is_broken_if_no_equal_place_of_the_keep_obeys_it(exact: bool) -> None:
    seen: Counter[bool] = Counter()
    for seed in range(CASES):
        case = with_rules(random_case(seed, exact=exact, most_macs=150))
        claimed = {(level.name, rule) for level, rule, _, _ in broken_rules(case.nest, case.accelerator, case.mapping)}
        by_walking = broken_by_walking(case)
        assert claimed == by_walking, case
        for level in case.accelerator.levels:
            for rule in level.tiles:
                if Keep(level.name, rule.tensor) in case.mapping.nodes:
                    alone = with_one_rule(case.accelerator, level, rule)
                    broken = (level.name, rule) in by_walking
                    assert refused(replace(case, accelerator=alone)) == (broken, broken), (case, level.name, rule)
                    seen[broken] += 1
    assert min(seen[True], seen[False]) >= 100, seen


def with_one_rule(machine: Accelerator, level: Level, rule: TileRule) -> Accelerator:
    def change(entry: Level) -> Level:
        return replace(entry, tiles=(rule,) if entry is level else ())

    hierarchy = tuple(change(entry) if isinstance(entry, Level) else entry for entry in machine.hierarchy)
    return replace(machine, hierarchy=hierarchy)


def refused(case: Case) -> tuple[bool, bool]:
    """Whether the main path refuses the mapping, and whether verification does; both with its own code."""
    nest, machine = case.nest, case.accelerator
    verdicts = []
    for check in (
        lambda: check_legal(nest, machine, case.mapping),
        lambda: legal_plan(case.mapping.to_data(nest.dims), nest, machine, machine.bits),
    ):
        try:
            check()
        except (MappingError, Refuted) as error:
            assert "wants" in str(error) or "the rule is" in str(error)
            verdicts.append(True)
        else:
            verdicts.append(False)
    return verdicts[0], verdicts[1]
