"""The counted windows against sets of rows, one instance and one step at a time."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from picojoule.search.lattice import lattice
from picojoule.search.windows import window_counts, window_extents, window_tables

WHOLE, OVER_OUTPUTS, OVER_TAPS = 0, 1, 2


def rows(axis: tuple[int, ...], outputs: range, taps: range) -> set[int]:
    _, _, stride, dilation, pad, size = axis
    touched = {p * stride + r * dilation - pad for p in outputs for r in taps}
    return {row for row in touched if 0 <= row < size}


def chunks(total: int, steps: int, apart: int, across: int, tile: int, outside: bool) -> list[tuple[int, ...]]:
    """``(group, parent, child, step, first index)`` of every tile along a dimension.

    Nested from the outside: groups, then the steps of the sliding loop, positions outside the parent, children; with
    ``outside`` the children stand above the steps.
    """
    groups = total // (steps * apart * across * tile)
    result = []
    for group, step, parent, child in itertools.product(range(groups), range(steps), range(apart), range(across)):
        order = (
            [(parent, apart), (child, across), (step, steps)]
            if outside
            else [(step, steps), (parent, apart), (child, across)]
        )
        index = group
        for value, count in order:
            index = index * count + value
        result.append((group, parent, child, step, index * tile))
    return result


def counted(axis, tile, across, slide, steps, outside, apart) -> tuple[int, int]:
    """(sent, received) by sets; ``tile`` and ``across`` for outputs and taps."""
    totals = axis[0], axis[1]
    along = [
        chunks(
            totals[i], steps if slide == i + 1 else 1, apart if slide == i + 1 else 1, across[i], tile[i],
            outside and slide == i + 1,
        )
        for i in range(2)
    ]  # fmt: skip
    tiles = {}
    for p, r in itertools.product(*along):
        key = (p[:2], r[:2], p[3] + r[3], (p[2], r[2]))
        tiles[key] = rows(axis, range(p[4], p[4] + tile[0]), range(r[4], r[4] + tile[1]))
    sent: dict[object, set[int]] = {}
    received = 0
    for (p, r, step, child), mine in tiles.items():
        new = mine - tiles[p, r, step - 1, child] if step else mine
        received += len(new)
        sent.setdefault((p, r, step), set()).update(new)
    return sum(map(len, sent.values())), received


@pytest.mark.parametrize("seed", range(60))
def test_sent_and_received_rows_are_those_of_the_sets(seed: int) -> None:
    rng = random.Random(seed)
    slide = rng.choice((WHOLE, OVER_OUTPUTS, OVER_TAPS))
    tile, across = (rng.randint(1, 3), rng.randint(1, 3)), (rng.randint(1, 3), rng.randint(1, 3))
    steps = rng.randint(2, 4) if slide else 1
    outside = slide != WHOLE and rng.random() < 0.4
    apart = rng.randint(1, 3) if slide and not outside else 1
    totals = [tile[i] * across[i] * rng.randint(1, 2) * (steps * apart if slide == i + 1 else 1) for i in range(2)]
    stride, dilation, pad = rng.randint(1, 3), rng.randint(1, 3), rng.randint(0, 2)
    size = max(1, (totals[0] - 1) * stride + (totals[1] - 1) * dilation + 1 - 2 * pad)
    axis = (*totals, stride, dilation, pad, size)
    reach = steps * tile[slide - 1] if slide else 0
    got = window_counts(np.array(axis), *tile, *across, slide, reach, int(outside), apart)
    assert got == counted(axis, tile, across, slide, steps, outside, apart)


def test_a_window_by_hand() -> None:
    three_taps = np.array((4, 3, 1, 1, 0, 6))
    assert window_counts(three_taps, 1, 3, 1, 1, WHOLE, 0, 0, 1) == (12, 12)
    assert window_counts(three_taps, 1, 3, 1, 1, OVER_OUTPUTS, 4, 0, 1) == (6, 6)
    # Two neighbours in step: rows 0-3, then 4-5 are new to one or the other; each fetches 3, then 2.
    assert window_counts(three_taps, 1, 3, 2, 1, OVER_OUTPUTS, 2, 0, 1) == (4 + 3, 2 * (3 + 2))
    # Each with a region of its own: 0-2 and 2-4, then 3 and 5.
    assert window_counts(three_taps, 1, 3, 2, 1, OVER_OUTPUTS, 2, 1, 1) == (5 + 2, 2 * (3 + 1))
    # A position further out doubles the stride: 0-2 then 4 and 3; 1-3 then 5 and 4; nothing is shared.
    assert window_counts(three_taps, 1, 3, 1, 1, OVER_OUTPUTS, 2, 0, 2) == (10, 10)


def test_tables_hold_the_counts_of_every_pair_of_extents() -> None:
    axis = np.array((6, 3, 2, 1, 1, 12))
    p, r = lattice(3, False), lattice(3, False)
    apart = np.ones((3, 2), dtype=np.int64)
    plain = np.empty((2, 2, 2))
    slides = np.full((2, 3, 2, 2, 2, 2), np.inf, dtype=np.float32)
    window_tables(axis, p.values, p.under, r.values, r.under, 1, 1, 2, 1, apart, False, plain, slides)
    for i, j in itertools.product(range(2), repeat=2):
        _, received = window_counts(axis, p.values[i], r.values[j], 2, 1, WHOLE, 0, 0, 1)
        assert plain[:, i, j].tolist() == [received, received]  # not shared: all that is received is sent
    for table in range(3):
        _, received = window_counts(axis, 1, 3, 2, 1, OVER_OUTPUTS, 3, int(table == 1), 1)
        assert slides[0, table, :, 0, 1, 1].tolist() == [received, received]
    assert np.isinf(slides[1, 1]).all()  # one child along the taps: nothing to stand outside
    assert np.isinf(slides[:, :, :, 1, 1]).all()  # from the top there is nowhere to slide


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), (3, 2)])
def test_extents_count_rows_in_the_padding_and_no_holes(stride: int, dilation: int) -> None:
    axis = np.array((6, 4, stride, dilation, 1, 20))
    values = np.array([1, 2, 6])
    extents = np.empty((3, 2))
    window_extents(axis, values, np.array([1, 2]), 1, 2, extents)
    for i, p in enumerate((1, 2, 6)):
        for j, r in enumerate((2, 4)):
            assert extents[i, j] == len({a * stride + b * dilation for a in range(p) for b in range(r)})
