"""The search against every mapping there is, on tiny layers and random machines.

The minimum over the declared space must be what the search returns, and it must say so: ``PROVED``, bound = value.
Where a machine joins a fan-out with multicast to one without, the search takes windows to be shared by both, which is a
lower bound; there, and for latency and energy × latency, the minimum must lie between bound and value, and equal both
when the search says ``PROVED``.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from oracle.brute_force import Least, brute_force, one_by_one, size_of
from oracle.execute import disagreements, execute
from oracle.map_space import DECLARED, IMPERFECT, Space, all_mappings, sampled_mapping
from oracle.random_machines import Problem, linked, ported, random_problem

from picojoule.cost.floor import floor
from picojoule.cost.traffic import count_traffic
from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.mapping.legality import check_legal
from picojoule.search.costed import Found, evaluate, objective_value, plain_mapping
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.nest import TENSORS, Bits, Nest

CLOSE = 1e-9
UNLIMITED = Exact(time_limit_s=None, factors="exact")
ANY = Exact(time_limit_s=None)
SPACES = {UNLIMITED: DECLARED, ANY: IMPERFECT}
BATCH = 100
ENERGY_PROBLEMS, TIMED_PROBLEMS = 800, 300


def problems(
    first: int, last: int, *, most: int, objective: str = "energy", space: Space = DECLARED
) -> list[Problem]:
    """The problems of these seeds whose brute force takes at most ``most`` calls of the cost model."""
    drawn = [random_problem(seed, bandwidths=objective != "energy") for seed in range(first, last)]
    return [p for p in drawn if size_of(p.nest, p.machine, objective, space) <= most]


def mixed_sharing(machine: Accelerator) -> bool:
    return len({fanout.multicast for fanout in machine.fanouts}) == 2


def faults(problem: Problem, objective: str, found: Found, least: Least, exact: bool = True) -> list[str]:
    """What is wrong with a result of the search, in words; nothing if all is well."""
    lines = []
    slack = CLOSE * least.value
    if not found.bound - slack <= least.value <= found.value + slack:
        lines.append(f"the least is {least.value!r}, outside bound … value {found.bound!r} … {found.value!r}")
    if found.status == "PROVED" and (abs(found.value - least.value) > slack or found.bound != found.value):
        lines.append(f"PROVED {found.value!r} with bound {found.bound!r}, the least is {least.value!r}")
    if exact and objective == "energy" and found.status != "PROVED" and not mixed_sharing(problem.machine):
        lines.append(f"{found.status}: value {found.value!r}, bound {found.bound!r}, the least is {least.value!r}")
    for name, mapping, claimed in (("found", found.best.mapping, found.value), ("least", least.mapping, least.value)):
        check_legal(problem.nest, problem.machine, mapping, problem.bits, where=name)
        costed = evaluate(problem.nest, problem.machine, problem.bits, mapping)
        value = objective_value(objective, costed.energy, costed.cycles)
        if abs(value - claimed) > slack:
            lines.append(f"the mapping {name} costs {value!r}, not {claimed!r}")
    return lines


def compare(problem: Problem, objective: str, policy: Exact = UNLIMITED) -> tuple[Found, Least]:
    """Both answers; fails with the whole problem if they don't go together."""
    found = search_layer(problem.nest, problem.machine, problem.bits, objective, policy)
    least = brute_force(problem.nest, problem.machine, problem.bits, objective, SPACES[policy])
    lines = faults(problem, objective, found, least, policy is UNLIMITED)
    if lines:
        both = [
            f"{name}\n      " + "\n      ".join(map(str, m.nodes))
            for name, m in (("found", found.best.mapping), ("least", least.mapping))
        ]
        pytest.fail("\n  ".join([str(problem), *lines, *both]))
    return found, least


# The search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, ENERGY_PROBLEMS, BATCH))
def test_the_search_finds_the_least_energy_and_proves_it(first: int) -> None:
    solved = [compare(problem, "energy") for problem in problems(first, first + BATCH, most=200)]
    assert len(solved) >= BATCH // 4
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.9 * len(solved)
    # Capacities bind: without them every problem would be easy.
    assert sum(least.overfull > 0 for _, least in solved) >= len(solved) / 3


@pytest.mark.parametrize("first", range(0, ENERGY_PROBLEMS, BATCH))
def test_the_search_finds_the_least_energy_where_factors_need_not_divide(first: int) -> None:
    chosen = problems(first, first + BATCH, most=200, space=IMPERFECT)
    solved = [compare(problem, "energy", ANY) for problem in chosen]
    assert len(solved) >= BATCH // 6
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.9 * len(solved)
    assert sum(least.overfull > 0 for _, least in solved) >= len(solved) / 3


@pytest.mark.parametrize("objective", ["latency", "edp"])
@pytest.mark.parametrize("first", range(0, TIMED_PROBLEMS, BATCH))
def test_the_least_latency_and_product_lie_between_bound_and_value(objective: str, first: int) -> None:
    solved = [compare(problem, objective) for problem in problems(first, first + BATCH, most=100, objective=objective)]
    assert len(solved) >= BATCH // 8
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.7 * len(solved)


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_the_same_where_tensors_have_ports_of_their_own(objective: str) -> None:
    drawn = [ported(random_problem(seed, bandwidths=True)) for seed in range(70)]
    chosen = [p for p in drawn if size_of(p.nest, p.machine, objective, DECLARED) <= 100]
    solved = [compare(problem, objective) for problem in chosen]
    assert len(solved) >= 12
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.6 * len(solved)
    bound_by_own = [found.best.slowest for found, _ in solved if " of " in found.best.slowest]
    assert len(bound_by_own) >= 3, "no port of a single tensor is ever what takes the time"


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_same_where_links_lead_to_levels(objective: str) -> None:
    drawn = [linked(random_problem(seed, bandwidths=objective != "energy")) for seed in range(70)]
    crossed = [p for p in drawn if any(level.link for level in p.machine.levels)]
    chosen = [p for p in crossed if size_of(p.nest, p.machine, objective, DECLARED) <= 100]
    solved = [compare(problem, objective) for problem in chosen]
    assert len(solved) >= 12
    assert sum(found.status == "PROVED" for found, _ in solved) >= 0.6 * len(solved)
    if objective == "latency":
        assert sum(found.best.slowest.endswith(("arrivals", "departures")) for found, _ in solved) >= 3


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        (27, "nothing to place: all levels inside the homes are passed by"),
        (394, "ties between keeps that slide together and one that doesn't fit"),
        (1519, "inner keeps slide along with an outer one, and spreads in between lengthen their stride"),
        (2211, "the same along the taps, three keeps together"),
    ],
)
def test_what_the_search_once_got_wrong(seed: int, reason: str) -> None:
    found, _ = compare(random_problem(seed), "energy")
    assert found.status == "PROVED", reason


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 16_000, 5 * BATCH))
def test_the_search_finds_the_least_energy_on_thousands_of_larger_problems(first: int) -> None:
    for problem in problems(first, first + 5 * BATCH, most=1200):
        compare(problem, "energy")
    for problem in problems(first, first + 5 * BATCH, most=1200, space=IMPERFECT):
        compare(problem, "energy", ANY)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["latency", "edp"])
@pytest.mark.parametrize("first", range(10_000, 12_000, 5 * BATCH))
def test_the_least_latency_and_product_on_many_larger_problems(objective: str, first: int) -> None:
    for problem in problems(first, first + 5 * BATCH, most=600, objective=objective):
        compare(problem, objective)


# What map-space.md claims ---------------------------------------------------------------------------------------------


def test_spreading_groups_or_moving_their_loop_inwards_saves_no_energy() -> None:
    tried = 0
    for seed in range(80):
        problem = random_problem(seed, most_dims=2)
        problem = replace(problem, nest=replace(problem.nest, G=2))
        anywhere = Space(groups_anywhere=True)
        if size_of(problem.nest, problem.machine, "energy", anywhere) > 250:
            continue
        tried += 1
        declared = brute_force(problem.nest, problem.machine, problem.bits)
        wider = brute_force(problem.nest, problem.machine, problem.bits, "energy", anywhere)
        assert wider.legal > declared.legal, problem
        assert wider.value == pytest.approx(declared.value, rel=CLOSE), problem
    assert tried >= 20


def test_spreads_at_other_places_stay_above_the_floor() -> None:
    """They may beat the declared space, never the floor."""
    tried = 0
    for seed in range(200):
        problem = random_problem(seed, most_dims=2)
        anywhere = Space(spreads_anywhere=True)
        if not problem.machine.fanouts or size_of(problem.nest, problem.machine, "energy", anywhere) > 100:
            continue
        tried += 1
        declared = brute_force(problem.nest, problem.machine, problem.bits)
        wider = brute_force(problem.nest, problem.machine, problem.bits, "energy", anywhere)
        least = floor(problem.nest, problem.machine, problem.bits).energy
        assert least * (1 - CLOSE) <= wider.value <= declared.value * (1 + CLOSE), problem
    assert tried >= 20


# The oracle itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_costing_the_tensors_side_by_side_is_costing_every_mapping(objective: str) -> None:
    tried = 0
    for seed in range(120):
        problem = random_problem(seed, most_dims=2, bandwidths=objective != "energy")
        if size_of(problem.nest, problem.machine, objective) > 20:
            continue
        if sum(1 for _ in all_mappings(problem.nest, problem.machine, objective)) > 400:
            continue
        tried += 1
        quick = brute_force(problem.nest, problem.machine, problem.bits, objective)
        slow = one_by_one(problem.nest, problem.machine, problem.bits, objective)
        assert (quick.legal, quick.overfull) == (slow.legal, slow.overfull), problem
        assert quick.value == pytest.approx(slow.value, rel=1e-12), problem
    assert tried >= 15


def test_mappings_of_the_space_run_and_move_what_they_are_costed_for() -> None:
    outcomes: Counter[str] = Counter()
    rng = random.Random("sampled mappings")
    for problem in problems(0, 150, most=250):
        mapping = sampled_mapping(rng, problem.nest, problem.machine, "energy")
        traffic = count_traffic(problem.nest, problem.machine, mapping, problem.bits)
        # The executing oracle counts bits at the widths of the machine.
        assert problem.machine.bits == problem.bits
        executed = execute(problem.nest, problem.machine, mapping)
        assert not disagreements(executed, traffic.counts, traffic.temporal_steps), problem
        try:
            check_legal(problem.nest, problem.machine, mapping, problem.bits)
        except MappingError as error:
            assert "holds" in error.message, error  # nothing but the capacity may be wrong
            outcomes["overfull"] += 1
        else:
            outcomes["legal"] += 1
    assert min(outcomes["legal"], outcomes["overfull"]) >= 10, outcomes


def machine(*inside: Level | FanOut) -> Accelerator:
    home = Level(
        name="far", keeps=TENSORS, word_bits=8, energy_per_word=uniform_energies(read=100, write=100, update=100)
    )
    return Accelerator(
        name="by hand", hierarchy=(home, *inside), unit="pJ", bits=Bits(weights=8, inputs=8, outputs=8, psums=8),
        mac=MacEnergy(bits=8, multiply=1.0),
    )  # fmt: skip


def near(*keeps: str, capacity_bits: int | None = None) -> Level:
    energies = uniform_energies(read=1, write=1, update=1)
    return Level(name="near", keeps=keeps, word_bits=8, capacity_bits=capacity_bits, energy_per_word=energies)


def test_the_number_of_mappings_and_the_least_by_hand() -> None:
    # Loops 4, or 2 in 2; one keep above, between or below them: 2 + 3.
    one = machine(near("weights"))
    least = brute_force(Nest(C=4), one, one.bits)
    assert (least.legal, least.overfull) == (5, 0)
    # Far: 4 weights and 4 inputs read; 4 updates of the output, 3 reads back. Near: 4 weights written, 4 read. 4 MACs.
    assert least.value == 100 * (4 + 4 + 4 + 3) + 4 + 4 + 4

    # C and K in two orders, one keep in three places: below C there is one element, above all three.
    two = machine(near("inputs", capacity_bits=8))
    least = brute_force(Nest(K=2, C=3), two, two.bits)
    assert (least.legal, least.overfull) == (2 + 1, 1 + 2)
    # C outermost, an input stays for both K: 6 weights, 3 inputs, 6 updates, 4 reads back; near 3 writes, 6 reads.
    assert least.value == 100 * (6 + 3 + 6 + 4) + 3 + 6 + 6

    # P in time, in two orders with R; or P spread: R below the keep, or above it and by either side of the spread.
    fan = machine(FanOut(name="F", axes=(Axis(name="x", size=2, dims=("P",)),)), near("inputs", capacity_bits=16))
    nest = Nest(P=2, R=2)
    assert sum(1 for _ in all_mappings(nest, fan, "energy")) == 2 * 3 + 1 + 2
    # Spread, each position holds both its rows: 3 sent as 2 × 2, then 4 reads; 2 weights, once for both positions;
    # per output one update and, for the second tap, an update and a read.
    assert brute_force(nest, fan, fan.bits).value == 100 * (3 + 2 + 4 + 2) + 4 + 4 + 4


def test_spreads_anywhere_contains_the_declared_places() -> None:
    rng_problem = next(
        p for p in (random_problem(seed, most_dims=2) for seed in range(100)) if p.machine.fanouts and p.nest.macs > 4
    )
    nest, accelerator = rng_problem.nest, rng_problem.machine
    declared = {mapping.nodes for mapping in all_mappings(nest, accelerator, "energy")}
    assert len(declared) > 1
    anywhere = {mapping.nodes for mapping in all_mappings(nest, accelerator, "energy", Space(spreads_anywhere=True))}
    assert declared <= anywhere


def test_a_wrong_answer_is_noticed() -> None:
    problem = next(p for p in problems(0, 50, most=250) if not mixed_sharing(p.machine))
    found, least = compare(problem, "energy")
    assert not faults(problem, "energy", found, least)
    arguments = problem.nest, problem.machine, problem.bits
    for wrong in (
        replace(found, value=found.value * 1.0001, bound=found.bound * 1.0001),
        replace(found, bound=found.bound * 1.0001),
        replace(found, bound=found.bound * 0.9999),
        replace(found, bound=found.bound * 0.9999, status="GAP_OPEN"),
        replace(found, best=evaluate(*arguments, plain_mapping(problem.nest, problem.machine))),
    ):
        assert faults(problem, "energy", wrong, least)
