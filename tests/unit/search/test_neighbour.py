"""A neighbour's mapping, cut to size, is legal and speeds a search up without changing its answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from picojoule.hardware import load_hardware
from picojoule.mapping.legality import check_legal
from picojoule.search.costed import evaluate, plain_mapping
from picojoule.search.layer import search_layer
from picojoule.search.many import search_layers
from picojoule.search.neighbour import fitted, neighbour
from picojoule.search.policy import Exact
from picojoule.workload.nest import Nest
from picojoule.workload.zeros import DENSE

MACHINE = load_hardware("eyeriss-normalized")
ONE = Nest(K=32, C=16, P=14, Q=14, R=3, S=3, pad=(1, 1, 1, 1))
TWO = replace(ONE, K=48)
EXACT = Exact(time_limit_s=None, factors="exact")


def test_the_most_similar_layer_is_chosen() -> None:
    plain = plain_mapping(ONE, MACHINE)
    known = [(replace(ONE, K=128), plain), (TWO, plain), (replace(TWO, R=1, pad=(0, 1, 0, 1)), plain)]
    assert neighbour(ONE, known) == known[1]
    assert neighbour(replace(ONE, stride=(2, 2)), known) is None
    assert neighbour(replace(ONE, K=4096), known) is None


def test_a_mapping_cut_to_size_is_legal_or_none() -> None:
    best = search_layer(ONE, MACHINE, MACHINE.bits, policy=EXACT).best
    cut = fitted(best.mapping, ONE, TWO, MACHINE, MACHINE.bits)
    assert cut is not None
    check_legal(TWO, MACHINE, cut, MACHINE.bits)
    own = search_layer(TWO, MACHINE, MACHINE.bits, policy=EXACT).value
    assert own <= evaluate(TWO, MACHINE, MACHINE.bits, cut).energy <= 1.5 * own
    crowded = replace(
        MACHINE, hierarchy=tuple(replace(x, capacity_bits=16) if x.name == "weights_spad" else x for x in MACHINE.hierarchy)
    )
    assert fitted(best.mapping, ONE, TWO, crowded, MACHINE.bits) is None


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_a_hint_changes_no_answer_and_saves_work(objective: str) -> None:
    plain = search_layer(TWO, MACHINE, MACHINE.bits, objective, EXACT)
    for hint in (plain.best.mapping, plain_mapping(TWO, MACHINE)):
        hinted = search_layer(TWO, MACHINE, MACHINE.bits, objective, EXACT, hint=hint)
        assert (hinted.value, hinted.bound, hinted.status) == (plain.value, plain.bound, plain.status)
        assert hinted.best.mapping == plain.best.mapping
        assert hinted.visited <= plain.visited


def test_a_hint_that_nothing_in_the_space_beats_is_no_answer_either(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = search_layer(TWO, MACHINE, MACHINE.bits, policy=EXACT)
    real = evaluate
    cheat = replace(real(TWO, MACHINE, MACHINE.bits, plain_mapping(TWO, MACHINE)), energy=1.0)
    monkeypatch.setattr(
        "picojoule.search.layer.evaluate", lambda *a: cheat if a[3] == cheat.mapping else real(*a)
    )
    hinted = search_layer(TWO, MACHINE, MACHINE.bits, policy=EXACT, hint=cheat.mapping)
    assert (hinted.value, hinted.status) == (plain.value, "PROVED")


@pytest.mark.parametrize("policy", [EXACT, replace(EXACT, node_limit=5)])
def test_processes_side_by_side_give_the_same_answer(policy: Exact) -> None:
    wanted = {(nest, MACHINE.bits, DENSE): str(i) for i, nest in enumerate((ONE, TWO, replace(ONE, C=24)))}
    alone = search_layers(wanted, MACHINE, "energy", policy)
    together = search_layers(wanted, MACHINE, "energy", policy, jobs=2)
    for key in wanted:
        assert (alone[key].value, alone[key].bound, alone[key].status) == (
            together[key].value, together[key].bound, together[key].status
        )  # fmt: skip
        assert alone[key].best.mapping == together[key].best.mapping
