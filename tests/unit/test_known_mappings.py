"""A layer whose search is cut short takes the mapping that an earlier estimate has, where that costs less."""

from __future__ import annotations

import pytest

import picojoule
from picojoule.errors import UsageError
from picojoule.search.policy import Exact

CUT_SHORT = Exact(factors="any", time_limit_s=None, node_limit=1)


def ask(network="merkel:L3", **other):
    return picojoule.estimate(network, hardware="eyeriss-like-45nm", cache=False, **other)


@pytest.fixture(scope="module")
def proved():
    return ask(search=Exact(factors="exact", time_limit_s=None))


def test_the_known_mapping_is_taken_where_the_search_ended_above_it(proved):
    alone, helped = ask(search=CUT_SHORT), ask(search=CUT_SHORT, known=proved)
    assert alone.energy_pj > proved.energy_pj
    assert helped.energy_pj <= proved.energy_pj * (1 + 1e-12)
    for own, before, known in zip(helped.layers, alone.layers, proved.layers, strict=True):
        assert own.energy_pj <= min(before.energy_pj, known.energy_pj) * (1 + 1e-12)
        assert own.bound_pj <= own.energy_pj
        assert own.status == before.status


def test_mappings_of_layers_of_other_shapes_are_no_help_and_no_harm():
    other = ask("merkel:L2", search=Exact(factors="exact", time_limit_s=None))
    assert ask(search=CUT_SHORT, known=other).energy_pj <= ask(search=CUT_SHORT).energy_pj


def test_with_a_certificate_there_is_nothing_known(proved, tmp_path):
    with pytest.raises(UsageError, match="a certificate is of a search alone"):
        ask(known=proved, certificate=tmp_path / "certificate.json")
