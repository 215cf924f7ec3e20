"""A family of machines solved together: the answers of searches made one by one, with far fewer nodes visited."""

from __future__ import annotations

from dataclasses import replace

import pytest

from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.legality import check_legal
from picojoule.search.costed import evaluate, objective_value
from picojoule.search.family import family_of, search_family
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.nest import Nest

NEST = Nest(K=16, C=8, P=14, Q=14, R=3, S=3)
SMALL = Nest(K=4, C=4, P=6, Q=6, R=3, S=3)
"""For latency and energy × delay, whose searches take long."""
EXACT = Exact(factors="exact", time_limit_s=None)
LIKE = load_hardware("eyeriss-like-45nm")


def changed(machine: Accelerator, name: str, *, room: float = 1, price: float = 1, rate: float = 1) -> Accelerator:
    def of(level: Level) -> Level:
        return replace(
            level,
            capacity_bits=None if level.capacity_bits is None else int(level.capacity_bits * room) // 16 * 16,
            energy_per_word=tuple((key, value * price) for key, value in level.energy_per_word),
            read_bits_per_cycle=None if level.read_bits_per_cycle is None else level.read_bits_per_cycle * rate,
        )

    hierarchy = tuple(of(x) if isinstance(x, Level) and x.name == name else x for x in machine.hierarchy)
    return replace(machine, hierarchy=hierarchy)


BUFFERS = [changed(LIKE, "shared_glb", room=0.02 * n) for n in range(1, 25)]
PRICES = [changed(LIKE, "DRAM", price=0.25 + 0.125 * n) for n in range(16)]
RATES = [changed(LIKE, "shared_glb", rate=2.0**-n) for n in range(8)]
MIXED = [
    changed(changed(changed(LIKE, "weights_spad", room=r), "DRAM", price=p), "shared_glb", rate=b)
    for r in (0.25, 0.5, 1)
    for p in (0.5, 1, 2)
    for b in (0.03, 1)
]


@pytest.mark.parametrize(
    ("machines", "objective", "fewer"),
    [(BUFFERS, "energy", 5), (PRICES, "energy", 5), (RATES, "energy", 7), (RATES, "latency", 2), (MIXED, "energy", 4), (MIXED[::2], "edp", 1), (MIXED[::2], "latency", 1)],
    ids=["buffer", "price", "rate", "rate-latency", "mixed", "mixed-edp", "mixed-latency"],
)  # fmt: skip
def test_answers_are_those_of_single_searches_at_fewer_nodes(machines, objective, fewer):
    bits, nest = LIKE.bits, NEST if objective == "energy" else SMALL
    alone = [search_layer(nest, machine, bits, objective, EXACT) for machine in machines]
    started: list[Accelerator] = []

    def cold(machine: Accelerator):
        started.append(machine)
        return search_layer(nest, machine, bits, objective, EXACT)

    together = search_family(nest, bits, machines, objective, EXACT, cold)
    for machine, one, other in zip(machines, alone, together, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-11)
        assert other.bound == pytest.approx(one.bound, rel=1e-11)
        assert other.status == one.status == "PROVED"
        check_legal(nest, machine, other.best.mapping, bits)
        again = evaluate(nest, machine, bits, other.best.mapping)
        assert objective_value(objective, again.energy, again.cycles) == pytest.approx(other.value, rel=1e-12)
        assert other.best.cycles == again.cycles
    assert fewer * sum(one.visited for one in together) <= sum(one.visited for one in alone)
    assert len(started) < len(machines) / 2


def test_the_order_of_the_machines_changes_no_figure():
    cold = lambda machine: search_layer(NEST, machine, LIKE.bits, "energy", EXACT)  # noqa: E731
    there = search_family(NEST, LIKE.bits, MIXED, "energy", EXACT, cold)
    back = search_family(NEST, LIKE.bits, MIXED[::-1], "energy", EXACT, cold)[::-1]
    assert [one.value for one in there] == [one.value for one in back]


def test_families_are_told_apart_by_what_the_map_space_knows():
    assert len({family_of(machine) for machine in [*BUFFERS, *PRICES, *RATES, *MIXED]}) == 1
    array = LIKE.fanouts[0]
    longer = replace(array, axes=(replace(array.axes[0], size=15), *array.axes[1:]))
    other = replace(LIKE, hierarchy=tuple(longer if entry is array else entry for entry in LIKE.hierarchy))
    assert family_of(other) != family_of(LIKE)
    kept = tuple(replace(x, keeps=("inputs",), may_keep=("outputs",)) if getattr(x, "name", "") == "shared_glb" else x for x in LIKE.hierarchy)
    assert family_of(replace(LIKE, hierarchy=kept)) != family_of(LIKE)
