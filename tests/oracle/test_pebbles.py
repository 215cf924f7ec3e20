"""The bounds on communication against all ways to run tiny layers over two levels of memory."""

from __future__ import annotations

import pytest

from oracle.pebbles import least_by_pebbling
from picojoule.cost.communication import compulsory_accesses, least_accesses
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


def test_a_bound_of_a_twentieth_more_would_be_caught() -> None:
    column = LAYERS["column"]
    assert least_by_pebbling(column, 4) < 1.05 * least_accesses(column, 4)
