"""Whether a mapping fits: the rules of capacity, with the numbers that break them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from picojoule.errors import MappingError
from picojoule.hardware.accelerator import (
    Accelerator,
    Axis,
    FanOut,
    Level,
    MacEnergy,
    TileRule,
    operand_latch,
    uniform_energies,
)
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.workload.nest import TENSORS, Bits, Nest

ENERGIES = uniform_energies(read=1, write=1, update=1)
HOMES = tuple(Keep("far", tensor) for tensor in TENSORS)
FOUR_INPUTS = Mapping((*HOMES, Keep("near", "inputs"), Loop("C", 1)))


def machine(capacity_bits: int, buffering: int) -> Accelerator:
    """A memory of inputs before a home for everything."""
    return Accelerator(
        name="two",
        hierarchy=(
            Level(name="far", keeps=TENSORS, word_bits=8, energy_per_word=ENERGIES),
            Level(
                name="near",
                keeps=("inputs",),
                word_bits=8,
                capacity_bits=capacity_bits,
                buffering=buffering,
                energy_per_word=ENERGIES,
            ),
        ),
        unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=8),
        mac=MacEnergy(bits=8, multiply=1),
    )


@pytest.mark.parametrize(("capacity", "buffering"), [(32, 1), (64, 2)])
def test_a_tile_that_just_fits_is_legal(capacity: int, buffering: int) -> None:
    check_legal(Nest(C=4), machine(capacity, buffering), FOUR_INPUTS)


@pytest.mark.parametrize(("capacity", "buffering", "holds"), [(31, 1, 31), (63, 2, 31), (32, 2, 16)])
def test_a_tile_that_is_too_large_is_refused(capacity: int, buffering: int, holds: int) -> None:
    with pytest.raises(MappingError, match=f"near holds {holds} bits, the tiles need inputs 32 bits"):
        check_legal(Nest(C=4), machine(capacity, buffering), FOUR_INPUTS)


def with_latch(*tensors: str) -> Accelerator:
    plain = machine(1000, 1)
    return replace(plain, hierarchy=(*plain.hierarchy, operand_latch("latch", tensors)))


@pytest.mark.parametrize(
    ("tensor", "inside", "count"),
    [
        ("inputs", "C", 4),
        ("weights", "C", 4),
        ("outputs", "P", 3),
        ("inputs", "R", 2),  # rows, though only one of them is a new one in each step
    ],
)
def test_a_latch_holds_one_element(tensor: str, inside: str, count: int) -> None:
    nest = Nest(K=2, C=4, P=3, R=2)
    outside = [d for d in "KCPR" if d != inside]
    nodes = (*HOMES, Keep("near", "inputs"), *(Loop(d, 1) for d in outside))
    check_legal(nest, with_latch(tensor), Mapping((*nodes, Loop(inside, 1), Keep("latch", tensor))))
    with pytest.raises(MappingError) as caught:
        check_legal(nest, with_latch(tensor), Mapping((*nodes, Keep("latch", tensor), Loop(inside, 1))))
    assert caught.value.message == f"the latch latch holds one element of {tensor}, the tile has {count}"
    assert inside in caught.value.hint


def test_a_latch_may_stand_outside_the_loops_that_leave_its_element_alone() -> None:
    nodes = (*HOMES, Keep("near", "inputs"), Loop("C", 1), Keep("latch", "weights"), Loop("P", 1))
    check_legal(Nest(C=4, P=3), with_latch("weights"), Mapping(nodes))


def test_the_elements_of_a_latch_may_have_any_width_and_share_nothing() -> None:
    wide = Bits(weights=64, inputs=64, outputs=64, psums=64)
    nodes = (*HOMES, Keep("near", "inputs"), Loop("C", 1), *(Keep("latch", t) for t in TENSORS))
    check_legal(Nest(C=4), with_latch(*TENSORS), Mapping(nodes), wide)


# Rules for tiles -------------------------------------------------------------------------------------------------------


def with_rules(*rules: TileRule) -> Accelerator:
    """A memory of weights with rules, inside an array over K, before a home for everything."""
    array = FanOut(name="PE", axes=(Axis(name="x", size=2, dims=("K",)),))
    near = Level(name="near", keeps=("weights",), word_bits=8, energy_per_word=ENERGIES, tiles=rules)
    home = machine(32, 1).levels[0]
    return replace(machine(32, 1), hierarchy=(home, array, near))


HALVES = Mapping(
    (
        *HOMES, Spread("K", 4, "PE", "x"), Loop("C", 1), Loop("P", 2), Keep("near", "weights"), Loop("Q", 1),
        Loop("K", 1), Loop("P", 1),
    )
)  # fmt: skip
"""8 of K over two positions; above the keep C and half of P, below it Q, K and the other half of P."""

OBEYED = [
    {"dim": "K", "least": 4, "most": 4},  # each position has four
    {"dim": "K", "least": 5},  # and can't have five
    {"dim": "K", "all": True},
    {"dim": "C", "most": 1},
    {"dim": "Q", "least": 3, "most": 3},
    {"dim": "Q", "most": 1},  # the keep might as well stand below the loop over Q
    {"dim": "P", "all": True},  # or above the loop over P
    {"dim": "P", "least": 6, "most": 6},
    {"dim": "P", "least": 2, "most": 2},
    {"dim": "N", "all": True},
]
BROKEN = [
    ({"dim": "K", "least": 3, "most": 3}, "K = 3 in its tiles of weights, the mapping has 4 of 4"),
    ({"dim": "K", "most": 3}, "K <= 3 in its tiles of weights, the mapping has 4 of 4"),
    ({"dim": "C", "least": 2}, "C >= 2 in its tiles of weights, the mapping has 1 of 5"),
    ({"dim": "C", "all": True}, "C all in its tiles of weights, the mapping has 1 of 5"),
    ({"dim": "P", "most": 1}, "P <= 1 in its tiles of weights, the mapping has 2 of 6"),
]


@pytest.mark.parametrize("rule", OBEYED, ids=str)
def test_a_rule_is_obeyed_wherever_the_keep_could_stand_as_well(rule: dict[str, Any]) -> None:
    check_legal(Nest(K=8, C=5, P=6, Q=3), with_rules(TileRule(tensor="weights", **rule)), HALVES)


@pytest.mark.parametrize(("rule", "words"), BROKEN, ids=str)
def test_a_rule_that_is_broken_is_named_with_what_there_is(rule: dict[str, Any], words: str) -> None:
    fine = TileRule(tensor="weights", dim="N", all=True)
    with pytest.raises(MappingError) as caught:
        check_legal(Nest(K=8, C=5, P=6, Q=3), with_rules(fine, TileRule(tensor="weights", **rule)), HALVES)
    assert caught.value.message == f"near wants {words}"
    assert f"loops over {rule['dim']}" in caught.value.hint


def test_what_passes_a_level_by_is_not_ruled_there() -> None:
    rule = TileRule(tensor="inputs", dim="C", all=True)
    plain = with_rules(rule)
    may = replace(plain.levels[-1], may_keep=("inputs",))
    check_legal(Nest(K=8, C=5, P=6, Q=3), replace(plain, hierarchy=(*plain.hierarchy[:-1], may)), HALVES)
