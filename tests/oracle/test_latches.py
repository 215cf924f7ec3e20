"""Operand latches: what stands before them is read only when the operand changes.

The executing oracle knows a latch only as a level. So here the operands of every MAC are watched, too, step by step:
where chunks divide, the refills of a latch are the changes of its operand.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from oracle.brute_force import brute_force, one_by_one, size_of
from oracle.execute import Execution, disagreements, execute
from oracle.map_space import all_mappings
from oracle.program import element, spreads_outside, walk
from oracle.random_cases import Case, random_case
from oracle.random_machines import Problem, latched, random_problem, with_latches
from oracle.test_brute_force import CLOSE, compare

from picojoule.cost.floor import floor
from picojoule.cost.traffic import count_traffic
from picojoule.hardware.accelerator import Accelerator, Level, MacEnergy, operand_latch, uniform_energies
from picojoule.mapping.legality import check_legal, tile_bits
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.search.costed import evaluate
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.verification.plan import legal_plan
from picojoule.verification.recount import recount
from picojoule.workload.nest import TENSORS, Bits, Nest

CASES, BATCH = 150, 50
ENERGY_PROBLEMS, TIMED_PROBLEMS = 800, 120


def drawn(first: int, last: int, *, most: int, objective: str = "energy") -> list[Problem]:
    """The problems of these seeds, with latches, whose brute force takes at most ``most`` calls of the cost model."""
    problems = [latched(random_problem(seed, bandwidths=objective != "energy")) for seed in range(first, last)]
    return [p for p in problems if size_of(p.nest, p.machine, objective) <= most]


def latches(case: Case) -> list[tuple[Level, str]]:
    return [(level, tensor) for level in case.accelerator.levels if level.latch for tensor in level.keeps]


def with_its_latches(case: Case) -> Case | None:
    """The case with latches, kept anywhere where one element is all that they need; None if there is no such place."""
    rng = random.Random(f"latched case {case.seed} {case.exact}")
    machine = with_latches(rng, case.accelerator)
    mapping = case.mapping
    for level, tensor in latches(replace(case, accelerator=machine)):
        last = max(i for i, n in enumerate(mapping.nodes) if isinstance(n, Keep) and n.tensor == tensor)
        trials = [
            Mapping((*mapping.nodes[:at], Keep(level.name, tensor), *mapping.nodes[at:]))
            for at in range(last + 1, len(mapping.nodes) + 1)
        ]
        single = [
            trial
            for trial in trials
            if tile_bits(case.nest, machine, trial)[level.name, tensor] == machine.bits.stored(tensor)
        ]
        if not single:  # the operand is spread over a fan-out inside the latch
            return None
        mapping = rng.choice(single)
    return replace(case, accelerator=machine, mapping=mapping)


@cache
def runs(exact: bool) -> list[tuple[Case, Execution]]:
    found = [with_its_latches(random_case(seed, exact=exact, most_macs=150)) for seed in range(CASES)]
    return [(case, execute(case.nest, case.accelerator, case.mapping)) for case in found if case is not None]


def changes(case: Case, level: str, tensor: str) -> int:
    """How often the operand at hand is another one than before, over all instances of a latch; padding is none."""
    spreads = [node for node in case.mapping.nodes if isinstance(node, Spread)]
    outside = spreads_outside(case.accelerator, level, spreads)
    held: dict[tuple[int, ...], object] = {}
    count = 0
    for _, busy in walk(case.nest, case.mapping):
        wanted: dict[tuple[int, ...], set[object]] = {}
        for position, index in busy:
            e = element(case.nest, tensor, index)
            if e is not None:
                wanted.setdefault(tuple(position[i] for i in outside), set()).add(e)
        for instance, elements in wanted.items():
            (e,) = elements  # all MACs of a latch work on the same one
            count += held.get(instance) != e
            held[instance] = e
    return count


# What a latch moves ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [True, False])
def test_a_run_with_latches_moves_what_is_counted(exact: bool) -> None:
    assert len(runs(exact)) >= CASES / 2
    for case, executed in runs(exact):
        nest, machine = case.nest, case.accelerator
        check_legal(nest, machine, case.mapping)
        traffic = count_traffic(nest, machine, case.mapping)
        assert not disagreements(executed, traffic.counts, traffic.temporal_steps), case
        again = recount(legal_plan(case.mapping.to_data(nest.dims), nest, machine, machine.bits), nest, machine)
        for count in traffic.counts:
            tally = again[count.level, count.tensor]
            assert (tally.reads, tally.writes, tally.updates) == (count.reads, count.writes, count.updates), case


@pytest.mark.parametrize("exact", [True, False])
def test_a_latch_is_refilled_when_its_operand_changes(exact: bool) -> None:
    """A window may come back to the element that it had; the rule of visits, unlike the watcher, doesn't notice."""
    seen: Counter[str] = Counter()
    for case, executed in runs(exact):
        outputs = [n.level for n in case.mapping.nodes if isinstance(n, Keep) and n.tensor == "outputs"]
        for level, tensor in latches(case):
            if tensor == "outputs":
                refills = executed.flows[outputs.index(level.name)].visits
            else:
                refills = executed.counts[level.name, tensor][1]
            window = tensor == "inputs" and (case.nest.R > 1 or case.nest.S > 1 or any(case.nest.pad))
            assert changes(case, level.name, tensor) <= refills, case
            if exact and not window:
                assert changes(case, level.name, tensor) == refills, case
                seen[tensor] += refills < case.nest.macs
    assert not exact or min(seen[t] for t in ("weights", "outputs")) >= 10, seen


@pytest.mark.parametrize(
    ("order", "refills"),
    [
        ("CPK", {"weights": 24, "inputs": 8, "outputs": 24}),  # K innermost: an input serves three MACs
        ("KPC", {"weights": 24, "inputs": 24, "outputs": 6}),  # C innermost: a sum gathers four products
        ("KCP", {"weights": 12, "inputs": 24, "outputs": 24}),  # P innermost: a weight serves two rows
    ],
)
def test_a_latch_saves_the_reads_of_what_stays(order: str, refills: dict[str, int]) -> None:
    energies = uniform_energies(read=1, write=1, update=1)
    machine = Accelerator(
        name="by hand",
        hierarchy=(
            Level(name="far", keeps=TENSORS, word_bits=8, energy_per_word=energies),
            operand_latch("latch", TENSORS),
        ),
        unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=8),
        mac=MacEnergy(bits=8, multiply=0.0),
    )
    keeps = [[Keep(level, tensor) for tensor in TENSORS] for level in ("far", "latch")]
    nest = Nest(K=3, C=4, P=2)
    mapping = Mapping((*keeps[0], *(Loop(d, 1) for d in order), *keeps[1]))
    counts = {(c.level, c.tensor): c for c in count_traffic(nest, machine, mapping).counts}
    assert {t: counts["far", t].reads + counts["far", t].updates for t in TENSORS} == {
        **refills,
        "outputs": 2 * refills["outputs"] - 6,  # each of the six sums comes back but for its first visit
    }
    assert not disagreements(execute(nest, machine, mapping), counts.values(), 24)
    for tensor in TENSORS:
        case = Case(seed=0, exact=True, nest=nest, accelerator=machine, mapping=mapping)
        assert changes(case, "latch", tensor) == refills[tensor]
    assert evaluate(nest, machine, machine.bits, mapping).energy == sum(c.reads + c.updates for c in counts.values()) - (
        sum(counts["latch", t].reads + counts["latch", t].updates for t in TENSORS)
    )


def test_no_mapping_with_latches_is_below_the_floor() -> None:
    for exact in (True, False):
        for case, _ in runs(exact):
            nest, machine = case.nest, case.accelerator
            least, costed = floor(nest, machine, machine.bits), evaluate(nest, machine, machine.bits, case.mapping)
            assert least.energy <= costed.energy * (1 + CLOSE), case
            assert least.cycles <= costed.cycles * (1 + CLOSE), case


# The search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, ENERGY_PROBLEMS, 200))
def test_the_search_finds_the_least_energy_with_latches(first: int) -> None:
    solved = [compare(problem, "energy") for problem in drawn(first, first + 200, most=90)]
    assert len(solved) >= 25
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.9 * len(solved)
    assert all(least.legal for _, least in solved)
    assert sum(least.overfull > 0 for _, least in solved) >= 0.9 * len(solved)


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_the_least_latency_and_product_with_latches(objective: str) -> None:
    solved = [compare(p, objective) for p in drawn(0, TIMED_PROBLEMS, most=50, objective=objective)]
    assert len(solved) >= 10
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.7 * len(solved)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 14_000, 500))
def test_the_search_finds_the_least_energy_on_thousands_of_larger_problems_with_latches(first: int) -> None:
    for problem in drawn(first, first + 500, most=1200):
        compare(problem, "energy")


def test_a_latch_in_front_of_a_mac_never_costs_energy() -> None:
    """One with a fan-out inside may: what it holds can't be spread there."""
    saved = 0
    for seed in range(1000, 1120):
        plain = random_problem(seed, most_dims=4, most_macs=200)
        better = latched(plain)
        everywhere = plain.machine.fanouts_outside(None)
        if any(level.latch and better.machine.fanouts_outside(level.name) < everywhere for level in better.machine.levels):
            continue
        one, other = (
            search_layer(p.nest, p.machine, p.bits, "energy", Exact(time_limit_s=None)) for p in (plain, better)
        )
        assert other.bound <= one.value * (1 + CLOSE), better
        saved += other.value < one.value * (1 - CLOSE)
    assert saved >= 20


def test_costing_the_tensors_side_by_side_is_costing_every_mapping_with_latches() -> None:
    tried = 0
    for problem in drawn(0, 400, most=20):
        arguments = problem.nest, problem.machine, problem.bits
        if sum(1 for _ in all_mappings(problem.nest, problem.machine, "energy")) > 400:
            continue
        tried += 1
        quick, slow = brute_force(*arguments), one_by_one(*arguments)
        assert (quick.legal, quick.overfull) == (slow.legal, slow.overfull), problem
        assert quick.value == pytest.approx(slow.value, rel=1e-12), problem
    assert tried >= 15
