"""The bounds of ``complexity bound`` against all ways to run tiny layers over two levels of memory.

In layers this small the largest bound is what is compulsory: of products and windows of up to four a side communication
exceeds it from 16 MACs on, more than the search over all ways gets through, and even there by one number. So a communication bound that is too high by less
than the distance to the least would pass here; ``tests/unit/analysis/test_complexity.py`` catches one that is too high by
a twentieth, by the proved optimum of a product of matrices that lies within a fortieth of it.
"""

from __future__ import annotations

import pytest

from oracle.pebbles import least_by_pebbling
from picojoule.cost.communication import communication_accesses, compulsory_accesses, least_accesses
from picojoule.workload.nest import Nest

LAYERS = {
    "product": Nest(K=2, C=2, P=2),
    "column": Nest(C=3, P=2, K=1),
    "row": Nest(K=3, C=1, P=2),
    "window": Nest(K=1, C=1, P=3, R=2),
    "stride": Nest(K=1, C=2, P=2, R=2, stride=(2, 1)),
    "padded": Nest(K=1, C=1, P=3, R=3, pad=(1, 0, 1, 0)),
    "groups": Nest(G=2, K=1, C=1, P=2, R=1),
}


@pytest.mark.parametrize("room", [3, 4])
@pytest.mark.parametrize("name", LAYERS)
def test_nothing_undercuts_the_bound(name: str, room: int) -> None:
    nest = LAYERS[name]
    least = least_by_pebbling(nest, room)
    assert compulsory_accesses(nest) <= least_accesses(nest, room) <= least


def test_the_oracle_returns_sums_where_there_is_no_room_for_them() -> None:
    """A column of three products for each of two sums: with three places a sum or an input must come twice."""
    assert least_by_pebbling(LAYERS["column"], 4) == compulsory_accesses(LAYERS["column"]) == 11
    assert least_by_pebbling(LAYERS["column"], 3) == 13
    assert least_by_pebbling(LAYERS["product"], 3) == 17


def test_compulsory_traffic_of_a_twentieth_more_would_be_caught() -> None:
    column = LAYERS["column"]
    assert least_by_pebbling(column, 4) < 1.05 * least_accesses(column, 4)


def test_communication_is_not_what_decides_here() -> None:
    """If a layer in which it does becomes small enough, it belongs among these."""
    for nest in LAYERS.values():
        for room in (3, 4):
            assert communication_accesses(nest, room) <= compulsory_accesses(nest)
    assert communication_accesses(Nest(K=2, C=4, P=2), 3) == compulsory_accesses(Nest(K=2, C=4, P=2)) + 1 == 21


def test_weights_that_meet_only_padding_count_as_compulsory() -> None:
    """The machines here execute MACs on padding and read their weights; who leaves them out needs a fifth of that."""
    padded = Nest(K=2, C=2, R=3, S=3, pad=(1, 1, 1, 1))
    assert compulsory_accesses(padded) == least_accesses(padded, 64) == 2 * 2 * 9 + 2 + 2 == 40
    assert least_by_pebbling(padded, 64) == 2 * 2 + 2 + 2 == 8
