"""Rules for tiles in the search: what they allow is used to the full, what they forbid is never handed back."""

from __future__ import annotations

import pytest

from picojoule.cost.floor import floor
from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, TileRule, uniform_energies
from picojoule.mapping.legality import broken_rules, check_legal
from picojoule.search import layer as search
from picojoule.search.costed import evaluate, plain_mapping, unsearched
from picojoule.search.layer import search_layer
from picojoule.search.many import search_layers
from picojoule.search.policy import Exact
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest
from picojoule.workload.zeros import DENSE

UNLIMITED = Exact(time_limit_s=None)


def rule(tensor: str, dim: str, limit: str) -> TileRule:
    """``rule("weights", "K", "<= 4")``: as in a description."""
    if limit == "all":
        return TileRule(tensor=tensor, dim=dim, all=True)
    sign, _, number = limit.rpartition(" ")
    least, most = {"": (number, number), "<=": (None, number), ">=": (number, None)}[sign]
    return TileRule(tensor=tensor, dim=dim, least=least and int(least), most=most and int(most))


def level(
    name: str, *keeps: str, pj: float = 1.0, tiles: tuple[TileRule, ...] = (), capacity_bits: int | None = None
) -> Level:
    energies = uniform_energies(read=pj, write=pj, update=pj)
    return Level(
        name=name, keeps=keeps, word_bits=8, energy_per_word=energies, tiles=tiles, capacity_bits=capacity_bits
    )


def machine(*inside: Level | FanOut) -> Accelerator:
    return Accelerator(
        name="small", hierarchy=(level("far", *TENSORS, pj=100), *inside), unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=8), mac=MacEnergy(bits=8, multiply=1.0),
    )  # fmt: skip


def least(nest: Nest, accelerator: Accelerator, objective: str = "energy") -> search.Found:
    found = search_layer(nest, accelerator, accelerator.bits, objective, UNLIMITED)
    check_legal(nest, accelerator, found.best.mapping)
    assert found.status == "PROVED"
    return found


def weights_read(found: search.Found) -> int:
    return next(c.reads for c in found.best.traffic.counts if (c.level, c.tensor) == ("far", "weights"))


def test_a_tile_stays_through_the_loops_that_a_rule_keeps_outside_of_it() -> None:
    """Row-stationary hardware has one output row below its keep of weights, and reuses them along all rows above it."""
    nest = Nest(K=4, P=6, Q=5)
    free = least(nest, machine(level("spad", "weights")))
    ruled = least(nest, machine(level("spad", "weights", tiles=(rule("weights", "P", "1"), rule("weights", "Q", "1")))))
    assert ruled.value == free.value
    assert weights_read(ruled) == nest.elements("weights")


def test_a_rule_about_reuse_costs_what_it_forbids() -> None:
    """No more than two rows while K moves below the keep: the weights of each tile serve two rows at most."""
    tiles = (rule("weights", "K", "all"), rule("weights", "P", "<= 2"))
    both = machine(level("spad", "weights", "outputs", tiles=(*tiles, rule("outputs", "P", "all"), rule("outputs", "K", "1"))))
    with pytest.raises(HardwareError):  # with all rows below the keep of outputs, and K above it, and yet K below P …
        least(Nest(K=4, P=6), both)
    some = machine(level("spad", "weights", "outputs", tiles=(*tiles, rule("outputs", "P", "2"), rule("outputs", "K", "1"))))
    assert weights_read(least(Nest(K=4, P=6), some)) == 4  # K inside, P outside: the tile of all weights stays


@pytest.mark.parametrize("limit", ["8", ">= 8", "all", "64", ">= 64", "<= 64"])
def test_what_the_layer_does_not_have_is_not_asked_for(limit: str) -> None:
    spad = level("spad", "inputs", tiles=(rule("inputs", "C", limit),))
    found = least(Nest(K=3, C=8), machine(spad))
    assert found.value == least(Nest(K=3, C=8), machine(level("spad", "inputs"))).value


def test_all_is_what_the_spreads_outside_leave() -> None:
    array = FanOut(name="PE", axes=(Axis(name="x", size=4, dims=("C",)),))
    spad = level("spad", "inputs", tiles=(rule("inputs", "C", "all"),), capacity_bits=16)
    found = least(Nest(K=3, C=8), machine(array, spad))  # 8 channels over 4 positions: two each, just what fits
    assert found.best.mapping.nodes[3].__class__.__name__ == "Spread"
    with pytest.raises(HardwareError, match="no mapping obeys the rules for tiles of spad"):
        least(Nest(K=3, C=9), machine(array, spad))


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_equal_costs_do_not_lead_past_a_rule(objective: str) -> None:
    """K before P or after it costs the same; but with all rows below the outputs only K before P obeys the weights."""
    tiles = (rule("weights", "P", "1"), rule("weights", "K", "all"), rule("outputs", "P", ">= 4"))
    least(Nest(K=4, P=4), machine(level("spad", "weights", "outputs", tiles=tiles)), objective)


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_a_rule_further_out_binds_the_loops_further_in(objective: str) -> None:
    outer = level("buffer", "weights", tiles=(rule("weights", "P", "1"), rule("weights", "K", "all")), pj=9)
    inner = level("spad", "weights", "outputs", tiles=(rule("outputs", "P", "4"), rule("outputs", "K", "1")))
    with pytest.raises(HardwareError, match="no mapping obeys"):
        least(Nest(K=4, P=4), machine(outer, inner), objective)


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_a_window_slides_only_where_the_rules_let_its_loop_be(objective: str) -> None:
    tiles = (rule("inputs", "P", "4"), rule("inputs", "R", "1"), rule("weights", "P", "1"), rule("weights", "R", "all"))
    with pytest.raises(HardwareError, match="no mapping obeys"):
        least(Nest(P=4, R=3), machine(level("spad", "inputs", "weights", tiles=tiles)), objective)
    least(Nest(P=4, R=3), machine(level("spad", "inputs", "weights", tiles=tiles[:3])), objective)


def test_groups_may_be_ruled_where_they_are_spread() -> None:
    array = FanOut(name="PE", axes=(Axis(name="x", size=4, dims=DIMS),))
    outside = level("spad", "inputs", tiles=(rule("inputs", "G", "2"),))
    with pytest.raises(HardwareError) as caught:
        least(Nest(G=2, C=3), machine(outside, array))
    assert "G = 1" in caught.value.hint
    least(Nest(G=2, C=3), machine(outside, array), "latency")
    least(Nest(G=2, C=3), machine(array, outside), "latency")
    least(Nest(G=1, C=3), machine(outside, array))


# No mapping, and searches that were interrupted ------------------------------------------------------------------------


CRAMPED = level("spad", "weights", tiles=(rule("weights", "R", "all"), rule("weights", "K", "<= 2")), capacity_bits=16)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_layer_without_a_mapping_is_named(jobs: int) -> None:
    small = machine(CRAMPED)
    layers = {(Nest(K=2), small.bits, DENSE): "fits", (Nest(K=4, R=3), small.bits, DENSE): "conv2"}
    with pytest.raises(HardwareError, match="no mapping obeys") as caught:
        search_layers(layers, small, "energy", Exact(time_limit_s=None), jobs)
    assert caught.value.where == "conv2 on small"
    assert "Loosen a rule" in caught.value.hint


def test_rules_that_leave_no_mapping_are_named() -> None:
    with pytest.raises(HardwareError) as caught:
        search_layer(Nest(K=4, R=3), machine(CRAMPED), machine().bits)
    assert caught.value.message == (
        "no mapping obeys the rules for tiles of spad (weights R all, weights K <= 2) and fits into the memories"
    )
    assert caught.value.where == "small"
    assert "Loosen a rule" in caught.value.hint


RULED = machine(level("spad", "weights", "outputs", tiles=(rule("weights", "R", "all"), rule("outputs", "P", ">= 2"))))
NEST = Nest(K=4, P=4, R=3)


def test_a_layer_that_was_not_searched_obeys_the_rules_all_the_same() -> None:
    assert list(broken_rules(NEST, RULED, plain_mapping(NEST, RULED)))
    found = unsearched(NEST, RULED.bits, RULED, "energy")
    check_legal(NEST, RULED, found.best.mapping)
    assert found.status == "INTERRUPTED"
    assert floor(NEST, RULED, RULED.bits).energy <= found.bound <= found.value
    assert found.value == evaluate(NEST, RULED, RULED.bits, found.best.mapping).energy


def test_ctrl_c_before_anything_is_found_takes_the_first_that_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = search.spatial_assignments, []

    def interrupt_once(*arguments: object, **keywords: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **keywords)

    monkeypatch.setattr(search, "spatial_assignments", interrupt_once)
    found = search_layer(NEST, RULED, RULED.bits, "energy", UNLIMITED)
    assert found.status == "INTERRUPTED"
    check_legal(NEST, RULED, found.best.mapping)


def test_a_second_ctrl_c_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "spatial_assignments", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search_layer(NEST, RULED, RULED.bits, "energy", UNLIMITED)
