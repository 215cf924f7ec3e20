"""Timeloop's counting on nests small enough to follow by hand; its own records are in ``references``."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from picojoule.cost.timeloop_counting import _fetch, _moving_box, count_timeloop, timeloop_energy
from picojoule.cost.traffic import Count
from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest


def machine(*, multicast: bool = True, reduction: bool = True, block_words: int = 1) -> Accelerator:
    price = uniform_energies(read=2, write=3, update=5)
    main = Level(name="main", keeps=TENSORS, word_bits=8, energy_per_word=price, block_words=block_words)
    pad = Level(name="pad", keeps=TENSORS, word_bits=8, energy_per_word=price)
    axis = Axis(name="x", size=16, dims=DIMS)
    fanout = FanOut(name="PE", axes=(axis,), multicast=multicast, reduction=reduction)
    return Accelerator(
        name="toy",
        hierarchy=(main, fanout, pad),
        unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=16),
        mac=MacEnergy(bits=8, multiply=1.0),
    )


HOME = tuple(Keep("main", t) for t in TENSORS)
PAD = tuple(Keep("pad", t) for t in TENSORS)


def counted(
    nest: Nest, *nodes: Node, accelerator: Accelerator | None = None
) -> dict[tuple[str, str], tuple[int, int, int]]:
    counts = count_timeloop(nest, accelerator or machine(), Mapping(nodes)).counts
    return {(c.level, c.tensor): (c.reads, c.writes, c.updates) for c in counts}


def test_outputs_fill_on_first_touch_and_drain_for_free() -> None:
    """4 outputs, 3 input channels outside: each output visits the pad 3 times; the first is a fill without a read."""
    got = counted(Nest(K=4, C=3), *HOME, Loop("C", 1), Loop("K", 1), *PAD)
    assert got["main", "outputs"] == (12 - 4, 0, 12)
    assert got["pad", "outputs"] == (12 - 4, 12, 12)
    assert got["main", "weights"] == (12, 0, 0)
    assert got["pad", "inputs"] == (12, 3, 0)


def test_spatial_reduction_makes_copies_that_start_from_nothing() -> None:
    nest = Nest(K=2, C=3)
    nodes = (*HOME, Loop("K", 1), Spread("C", 1, "PE", "x"), *PAD)
    got = counted(nest, *nodes)
    assert got["main", "outputs"] == (0, 0, 2)
    assert got["pad", "outputs"] == (0, 6, 6)
    assert counted(nest, *nodes, accelerator=machine(reduction=False))["main", "outputs"] == (4, 0, 6)


def test_multicast_serves_positions_that_want_the_same_tile() -> None:
    nest = Nest(K=4, Q=3)
    nodes = (*HOME, Loop("Q", 1), Spread("K", 1, "PE", "x"), *PAD)
    got = counted(nest, *nodes)
    assert (got["main", "inputs"], got["pad", "inputs"]) == ((3, 0, 0), (12, 12, 0))
    assert got["pad", "weights"] == (12, 4, 0)
    assert counted(nest, *nodes, accelerator=machine(multicast=False))["main", "inputs"] == (12, 0, 0)


def test_overlapping_windows_of_neighbours_are_not_shared() -> None:
    """Rows 0–2, 1–3, … of a 3-row filter: 4 positions read 3 rows each, though only 6 rows are different."""
    got = counted(Nest(P=4, R=3), *HOME, Spread("P", 1, "PE", "x"), *PAD, Loop("R", 1))
    assert got["main", "inputs"] == (12, 0, 0)


def test_a_box_holds_rows_that_the_stride_skips_and_no_padding_is_cut() -> None:
    got = counted(Nest(P=4, stride=(2, 1)), *HOME, *PAD, Loop("P", 1))
    assert got["main", "inputs"] == (7, 0, 0)
    padded = counted(Nest(P=4, R=3, pad=(1, 0, 1, 0)), *HOME, *PAD, Loop("P", 1), Loop("R", 1))
    assert padded["main", "inputs"] == (6, 0, 0)


def test_a_sliding_window_fetches_new_rows_only() -> None:
    got = counted(Nest(P=4, R=3), *HOME, Loop("P", 1), *PAD, Loop("R", 1))
    assert got["main", "inputs"] == (3 + 3 * 1, 0, 0)


def test_dilation_counts_in_the_box() -> None:
    got = counted(Nest(P=2, R=3, dilation=(4, 1)), *HOME, *PAD, Loop("P", 1), Loop("R", 1))
    assert got["main", "inputs"] == (1 + 8 + 1, 0, 0)


def test_a_loop_that_leaves_the_tile_breaks_the_run() -> None:
    """An irrelevant loop inside the window loop: each tile is fetched whole, once for all iterations of that loop."""
    got = counted(Nest(P=4, R=3, K=5), *HOME, Loop("P", 1), Loop("K", 1), *PAD, Loop("R", 1))
    assert got["main", "inputs"] == (4 * 3, 0, 0)


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ((), 3),
        (((5, (0,)),), 3),  # nothing moves
        (((5, (3,)),), 15),  # tiles side by side
        (((5, (1,)),), 3 + 4),  # a window slides
        (((3, (0,)), (5, (1,))), 3 * 7),  # and starts again
        (((5, (1,)), (3, (0,))), 15),  # broken by a loop that leaves the tile
        (((4, (2,)), (2, (1,))), 3 + 7),  # two steps each: the outer loop carries on where the inner one ended
        (((4, (5,)), (5, (1,))), 4 * 7),  # more steps: the second stands for the last, so the box seems to jump
        (((2, (7,)), (3, (0,)), (2, (1,))), 2 * (4 + 2 * 4)),  # coming back the other way is a change of direction
    ],
)
def test_moving_box(moves: tuple[tuple[int, tuple[int, ...]], ...], words: int) -> None:
    assert _moving_box((3,), moves) == words
    assert _executed((3,), moves) == words


def test_a_change_of_axis_breaks_the_run() -> None:
    rows, columns = (0, 1), (1, 1)
    assert _fetch((3, 3), (0, -1), columns) == (3, columns)
    assert _fetch((3, 3), (0, -1), None) == (3, columns)
    assert _fetch((3, 3), (0, -1), rows) == (9, None)
    assert _fetch((3, 3), (-1, -1), rows) == (9, None)


def test_moving_box_equals_its_literal_execution() -> None:
    """The memory of situations changes nothing: every nest of up to four loops over a 3 × 2 box, out of seven kinds."""
    kinds = [(2, (0, 0)), (3, (0, 0)), (2, (1, 0)), (3, (1, 0)), (2, (0, 1)), (2, (2, 0)), (3, (4, 0))]
    nests: list[tuple[tuple[int, tuple[int, ...]], ...]] = [()]
    for _ in range(4):
        nests += [(*nest, kind) for nest in nests for kind in kinds if len(nest) < 4]
    for nest in set(nests):
        assert _moving_box((3, 2), nest) == _executed((3, 2), nest)


def _executed(size: tuple[int, ...], moves: tuple[tuple[int, tuple[int, ...]], ...]) -> int:
    """Two iterations of every loop in order, in absolute places; the second weighs for all later ones."""
    words, last, direction = 0, None, None
    for code in range(2 ** len(moves)):
        second = [bool(code >> (len(moves) - 1 - i) & 1) for i in range(len(moves))]
        weight = math.prod(trips - 1 for (trips, _), s in zip(moves, second, strict=True) if s)
        here = [sum(by[a] for (_, by), s in zip(moves, second, strict=True) if s) for a in range(len(size))]
        behind = None if last is None else tuple(x - y for x, y in zip(last, here, strict=True))
        fetched, direction = _fetch(size, behind, direction)
        words, last = words + weight * fetched, here
    return words


def test_many_loops_are_counted_without_executing_them_all() -> None:
    deep = tuple((2, (0, 2**i)) for i in reversed(range(60)))
    assert _moving_box((1, 1), deep) == 2**60


def test_steps_and_bits() -> None:
    traffic = count_timeloop(Nest(K=4, C=3), machine(), Mapping((*HOME, Loop("C", 1), Spread("K", 1, "PE", "x"), *PAD)))
    assert traffic.temporal_steps == 3
    home = traffic.counts[2]
    assert (home.level, home.tensor, home.final_updates) == ("main", "outputs", 4)
    assert home.bits == home.reads * 16 + (home.updates - 4) * 16 + 4 * 8


def test_energy_is_paid_in_whole_blocks_per_instance() -> None:
    nest, accelerator = Nest(K=2, P=5), machine(block_words=4)
    mapping = Mapping((*HOME, Spread("K", 1, "PE", "x"), *PAD, Loop("P", 1)))
    traffic = count_timeloop(nest, accelerator, mapping)
    energy = timeloop_energy(nest, accelerator, mapping, traffic)
    assert energy["main", "inputs"] == 2 * 4 * 2  # 5 words are 2 blocks of 4
    assert energy["main", "outputs"] == 3 * 4 * 5  # 10 updates are 3 blocks
    assert energy["pad", "weights"] == 2 * (5 * 2 + 1 * 3)
    # Two instances with 5 words each pay 2 blocks each, not 3 together.
    pads = replace(accelerator.level("pad"), block_words=4)
    banked = replace(accelerator, hierarchy=(*accelerator.hierarchy[:2], pads))
    assert timeloop_energy(nest, banked, mapping, traffic)["pad", "weights"] == 2 * (8 * 2 + 4 * 3)


def test_what_timeloop_cannot_express_is_refused() -> None:
    with pytest.raises(MappingError, match="chunks of 2 don't divide the 5 indices of K"):
        counted(Nest(K=5), *HOME, Loop("K", 2), *PAD, Loop("K", 1))
    with pytest.raises(MappingError, match="K ends in chunks of 5"):
        counted(Nest(K=5), *HOME, *PAD)
    with pytest.raises(MappingError, match="chunks of 10 don't divide the 5"):
        counted(Nest(K=5), *HOME, Loop("K", 10), *PAD)
    with pytest.raises(MappingError, match="pad lies inside the fan-out PE"):
        counted(Nest(K=5), *HOME, *PAD, Spread("K", 1, "PE", "x"))
    with pytest.raises(MappingError, match="main lies outside the fan-out PE"):
        counted(Nest(K=5), Spread("K", 1, "PE", "x"), *HOME, *PAD)
    with pytest.raises(MappingError, match="weights is kept nowhere"):
        counted(Nest(K=5), *HOME[1:], Loop("K", 1), *PAD[1:])


def test_counts_come_outermost_level_first() -> None:
    counts = count_timeloop(Nest(K=2), machine(), Mapping((*HOME, *PAD, Loop("K", 1)))).counts
    assert all(isinstance(count, Count) for count in counts)
    assert [(c.level, c.tensor) for c in counts] == [(level, t) for level in ("main", "pad") for t in TENSORS]
