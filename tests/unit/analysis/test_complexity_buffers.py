"""Bounds and optima over the size of the buffer, and where compulsory traffic is all there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from picojoule.analysis.complexity import complexity_bounds, complexity_over_buffers
from picojoule.analysis.complexity.buffers import least_room
from picojoule.cost.communication import communication_accesses, compulsory_accesses
from picojoule.errors import HardwareError, UsageError
from picojoule.jobs import Journal
from picojoule.search.policy import Exact
from picojoule.workload import Layer, Nest, Network
from picojoule.workload.builtin import builtin_network

SEARCH = Exact(time_limit_s=None, factors="exact")
BUFFERS = tuple(8 * 2**i for i in range(6, 23, 2))


def two_layers() -> Network:
    layers = [Layer(name=name, kind="conv", nest=Nest(K=16, C=8, P=8, Q=8, R=3, S=3, pad=(1, 1, 1, 1))) for name in ("a", "b")]
    return Network(name="two", layers=(*layers, Layer(name="c", kind="linear", nest=Nest(K=32, C=64))))


def test_more_room_never_costs_more_and_ends_at_what_is_compulsory() -> None:
    curve = complexity_over_buffers(builtin_network("squeezenet1.0"), buffers=BUFFERS, search=SEARCH)
    assert [point.buffer_bits for point in curve.points] == list(BUFFERS)
    assert all(point.proved for point in curve.points)
    optima, bounds = [p.optimum for p in curve.points], [p.bound for p in curve.points]
    assert optima == sorted(optima, reverse=True)
    assert bounds == sorted(bounds, reverse=True)
    for point in curve.points:
        assert point.compulsory <= point.bound <= point.optimum_bound <= point.optimum
        assert point.lower_document <= point.lower_triplets <= point.optimum
    assert optima[-1] == bounds[-1] == curve.points[-1].compulsory < bounds[0]
    assert curve.points[-1].compulsory_layers == len(curve.reaches)


def test_where_compulsory_traffic_is_reached() -> None:
    curve = complexity_over_buffers(two_layers(), buffers=BUFFERS, search=SEARCH)
    assert [reach.layer for reach in curve.reaches] == ["a", "c"]
    for reach in curve.reaches:
        assert reach.reached is not None
        assert reach.needed <= reach.reached
    assert curve.reached == max(reach.reached or 0 for reach in curve.reaches)
    assert curve.needed == max(reach.needed for reach in curve.reaches)
    small = complexity_over_buffers(two_layers(), buffers=BUFFERS[:1], search=SEARCH)
    assert small.reached is None


def test_the_room_that_compulsory_traffic_needs_is_where_the_bound_says() -> None:
    for nest in (Nest(K=16, C=8, P=8, Q=8, R=3, S=3), Nest(K=64, C=64, P=56, Q=56), Nest(G=4, K=8, C=8, P=9)):
        room, compulsory = least_room(nest), compulsory_accesses(nest)
        assert communication_accesses(nest, room) <= compulsory
        assert room == 3 or communication_accesses(nest, room - 1) > compulsory
    assert least_room(Nest(G=8, P=9, R=3)) == 3  # depthwise: nothing is claimed


def test_each_buffer_has_what_one_buffer_alone_has() -> None:
    curve = complexity_over_buffers(two_layers(), buffers=BUFFERS[:3], bits=16, search=SEARCH)
    for size, bounds in zip(BUFFERS, curve.each, strict=False):
        alone = complexity_bounds(two_layers(), buffer_bits=size, bits=16, search=SEARCH)
        assert bounds == alone


def test_a_journal_spares_what_was_searched(tmp_path: Path) -> None:
    told = []
    with Journal(tmp_path / "j") as journal:
        first = complexity_over_buffers(two_layers(), buffers=BUFFERS[:2], search=SEARCH, journal=journal)
    with Journal(tmp_path / "j") as journal:
        again = complexity_over_buffers(
            two_layers(), buffers=BUFFERS[:3], search=SEARCH, journal=journal, progress=told.append
        )
    assert again.points[:2] == first.points
    assert told[0].note == "4 recalled"
    assert len(told) == 3


def test_what_is_asked_wrongly_is_said() -> None:
    with pytest.raises(UsageError, match="must rise in size"):
        complexity_over_buffers(two_layers(), buffers=(1024, 1024))
    with pytest.raises(UsageError, match="must rise in size"):
        complexity_over_buffers(two_layers(), buffers=())
    with pytest.raises(HardwareError, match="holds 2 numbers of 8 bits"):
        complexity_over_buffers(two_layers(), buffers=(16, 1024))
    with pytest.raises(UsageError, match="no layer with a loop nest"):
        complexity_over_buffers(Network(name="bare", layers=()), buffers=(1024,))
