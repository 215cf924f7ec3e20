"""What a search returns at its edges: machines with nothing to decide, limits, refusals, a keyboard interrupt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from picojoule.errors import HardwareError, UsageError
from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep
from picojoule.search import layer as search
from picojoule.search.costed import evaluate, plain_mapping, unsearched
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

NEST = Nest(K=8, C=8, P=6, Q=4, R=3)
UNLIMITED = Exact(time_limit_s=None)


def level(name: str, *keeps: str, pj: float, capacity_bits: int | None = None, may_keep: tuple[str, ...] = ()) -> Level:
    energies = uniform_energies(read=pj, write=pj, update=pj)
    return Level(
        name=name, keeps=keeps, may_keep=may_keep, word_bits=8, capacity_bits=capacity_bits, energy_per_word=energies
    )


def machine(*inside: Level | FanOut) -> Accelerator:
    return Accelerator(
        name="small", hierarchy=(level("far", *TENSORS, pj=100), *inside), unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=8), mac=MacEnergy(bits=8, multiply=1.0),
    )  # fmt: skip


ARRAY = FanOut(name="PE", axes=(Axis(name="x", size=4, dims=DIMS), Axis(name="y", size=2, dims=DIMS)))
SMALL = machine(
    level("buffer", *TENSORS, pj=6, capacity_bits=4000), ARRAY, level("spad", *TENSORS, pj=1, capacity_bits=160)
)


def test_a_machine_of_one_level_has_one_answer() -> None:
    only = machine()
    found = search_layer(NEST, only, only.bits, "energy", UNLIMITED)
    assert found.status == "PROVED"
    assert found.value == evaluate(NEST, only, only.bits, plain_mapping(NEST, only)).energy


def test_an_array_without_memories_inside_is_spread_over() -> None:
    spread = machine(ARRAY)
    found = search_layer(NEST, spread, spread.bits, "energy", UNLIMITED)
    assert found.status == "PROVED"
    assert found.value < search_layer(NEST, machine(), spread.bits, "energy", UNLIMITED).value


def test_what_may_be_kept_is_passed_by_where_it_does_not_pay() -> None:
    dear = machine(level("buffer", pj=150, may_keep=TENSORS))
    found = search_layer(NEST, dear, dear.bits, "energy", UNLIMITED)
    assert all(not isinstance(node, Keep) or node.level == "far" for node in found.best.mapping.nodes)
    cheap = machine(level("buffer", pj=1, may_keep=TENSORS))
    found = search_layer(NEST, cheap, cheap.bits, "energy", UNLIMITED)
    assert {node.tensor for node in found.best.mapping.nodes if getattr(node, "level", "") == "buffer"} == set(TENSORS)


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_a_limit_in_nodes_leaves_an_honest_gap(objective: str) -> None:
    full = search_layer(NEST, SMALL, SMALL.bits, objective, UNLIMITED)
    gaps = []
    for limit in (1, 3, 20):
        found = search_layer(NEST, SMALL, SMALL.bits, objective, Exact(node_limit=limit, time_limit_s=None))
        again = search_layer(NEST, SMALL, SMALL.bits, objective, Exact(node_limit=limit, time_limit_s=None))
        assert (found.value, found.bound, found.visited) == (again.value, again.bound, again.visited)
        assert found.visited <= limit
        assert found.bound <= full.value <= found.value
        assert (found.status == "PROVED") == (found.bound == found.value)
        gaps.append(found.value - found.bound)
    assert gaps[0] >= gaps[1] >= gaps[2]


def test_an_accepted_gap_saves_visits() -> None:
    full = search_layer(NEST, SMALL, SMALL.bits, "energy", UNLIMITED)
    rough = search_layer(NEST, SMALL, SMALL.bits, "energy", Exact(gap=0.5, time_limit_s=None))
    assert rough.visited < full.visited
    assert rough.bound <= full.value <= rough.value
    assert rough.value - rough.bound <= 0.5 * rough.value


def test_progress_tells_value_and_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(search.time, "perf_counter", lambda: float(next(clock)))
    told: list[tuple[float, float, int]] = []
    found = search_layer(NEST, SMALL, SMALL.bits, "energy", UNLIMITED, lambda *state: told.append(state))
    assert told
    assert all(bound <= value for value, bound, _ in told)
    assert told[-1][0] >= found.value


def test_single_elements_that_do_not_fit_are_refused_with_the_numbers() -> None:
    tiny = machine(level("spad", "weights", "inputs", pj=1, capacity_bits=15))
    with pytest.raises(HardwareError) as caught:
        search_layer(NEST, tiny, tiny.bits)
    assert caught.value.message == "spad has 15 usable bits, one element of weights and inputs needs 16"
    assert caught.value.where == "small"
    assert "--bits" in caught.value.hint


@pytest.mark.parametrize("objective", ["energy", "edp"])  # the least latency here is the floor, which needs no search
def test_ctrl_c_keeps_the_best_so_far(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(running: search._Search) -> bool:
        if running.best is not None:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(search._Search, "_out_of_budget", interrupted)
    found = search_layer(NEST, SMALL, SMALL.bits, objective, UNLIMITED)
    assert found.status == "INTERRUPTED"
    assert found.bound <= found.value
    check_legal(NEST, SMALL, found.best.mapping, SMALL.bits)


def test_ctrl_c_while_it_begins_with_exact_factors_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(running: search._Search) -> bool:
        if running.policy.factors == "exact" and running.best is not None:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(search.BestFirst, "large", True)
    monkeypatch.setattr(search._Search, "_out_of_budget", interrupted)
    found = search_layer(NEST, SMALL, SMALL.bits, "energy", UNLIMITED)
    assert found.status == "INTERRUPTED"
    assert found.value < unsearched(NEST, SMALL.bits, SMALL, "energy").value / 2


def test_ctrl_c_at_once_leaves_a_plain_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "spatial_assignments", interrupt)
    found = search_layer(NEST, SMALL, SMALL.bits, "energy", UNLIMITED)
    assert found.status == "INTERRUPTED"
    assert found.best.mapping == plain_mapping(NEST, SMALL)
    other = unsearched(NEST, SMALL.bits, SMALL, "energy")
    assert (found.value, found.bound) == (other.value, other.bound)
    check_legal(NEST, SMALL, other.best.mapping, SMALL.bits)


def test_ctrl_c_before_all_choices_of_levels_are_laid_out_proves_no_more_than_the_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first choice passes by nothing; another one is better than the bound of the first."""
    dear = machine(level("buffer", pj=150, may_keep=TENSORS))
    laid_out, best_first = [], search.BestFirst

    def lay_out(*given: object) -> object:
        if laid_out:
            raise KeyboardInterrupt
        laid_out.append(best_first(*given))
        return laid_out[0]

    whole = search_layer(NEST, dear, dear.bits, "energy", UNLIMITED)
    monkeypatch.setattr(search, "BestFirst", lay_out)
    found = search_layer(NEST, dear, dear.bits, "energy", UNLIMITED, with_parts=True)
    assert laid_out and laid_out[0].next_rank > whole.value
    assert (found.status, found.bound, found.parts) == ("INTERRUPTED", found.floor.energy, ())


def test_a_slow_port_bounds_the_latency() -> None:
    slow = replace(SMALL, hierarchy=(replace(SMALL.levels[0], read_bits_per_cycle=0.5), *SMALL.hierarchy[1:]))
    found = search_layer(NEST, slow, slow.bits, "latency", UNLIMITED)
    read_once = 8 * (NEST.elements("weights") + NEST.elements("inputs")) / 0.5
    assert found.best.slowest == "far reads"
    assert found.value >= found.bound >= read_once > NEST.macs / slow.pes


@pytest.mark.parametrize("wrong", [{"gap": -0.1}, {"gap": 1.0}, {"time_limit_s": 0.0}, {"node_limit": 0}])
def test_a_policy_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        Exact(**wrong)  # type: ignore[arg-type]
