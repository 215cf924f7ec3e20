"""Our optimum in Timeloop's terms: legal, of the same layer, and counted as Timeloop counts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from picojoule.cost.timeloop_counting import count_timeloop, timeloop_energy
from picojoule.errors import MappingError
from picojoule.hardware import load_hardware
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Spread
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.study.validation.recount import timeloop_form
from picojoule.study.validation.sweeps import Convolution
from picojoule.study.validation.words import in_words

LAYER = Convolution(d=16, q=3, n=56, r=5, s=2).nest
EXACT = Exact(time_limit_s=None, factors="exact")


@pytest.fixture(scope="module", params=["eyeriss-like-45nm", "simba-like-45nm"])
def case(request):
    machine = in_words(load_hardware(request.param))
    found = search_layer(LAYER, machine, machine.bits, "energy", EXACT)
    return machine, found, *timeloop_form(LAYER, machine, found.best.mapping)


def test_the_form_is_legal_and_has_one_boundary_for_each_level(case):
    machine, _, mapping, _ = case
    check_legal(LAYER, machine, mapping)
    keeps = [i for i, node in enumerate(mapping.nodes) if isinstance(node, Keep)]
    by_level = {level.name: [i for i in keeps if mapping.nodes[i].level == level.name] for level in machine.levels}
    for level, places in by_level.items():
        assert places == list(range(places[0], places[0] + len(places))), f"{level} has several boundaries"


def test_its_energy_is_what_timeloop_counts(case):
    machine, _, mapping, energy = case
    energies = timeloop_energy(LAYER, machine, mapping, count_timeloop(LAYER, machine, mapping))
    plain = math.fsum([*energies.values(), LAYER.macs * machine.mac.at(machine.bits)])
    registers = energies.get(("PEWeightRegs", "weights"), 0.0)
    if not registers:
        assert energy == pytest.approx(plain, rel=1e-12)
        return
    used = math.prod(
        trips for node, trips in mapping.trips(LAYER.dims) if isinstance(node, Spread)
    )
    assert used < 256, "this layer would not show that registers out of use are charged"
    assert energy == pytest.approx(plain + registers * (256 / used - 1), rel=1e-12)


def test_no_mapping_found_so_costs_much_less_than_the_optimum_of_the_wider_space(case):
    """Timeloop's rules charge a little less in places; a tenth less would be a mistake."""
    _, found, _, energy = case
    assert found.status == "PROVED"
    assert 0.95 * found.value < energy < 1.5 * found.value


def test_where_nothing_fits_it_says_so(case):
    machine, found, _, _ = case
    small = tuple(replace(e, capacity_bits=1) if getattr(e, "name", "") == machine.levels[1].name else e for e in machine.hierarchy)
    with pytest.raises(MappingError, match="no boundaries that Timeloop can have fit the memories"):
        timeloop_form(LAYER, replace(machine, hierarchy=small), found.best.mapping)
