"""Compiled: how many rows (or columns) of an input are sent and received, for a regular cut of outputs and taps.

The closed loops of ``docs/explanation/map-space.md``, equation W. One axis at a time: P with R, or Q with S.
"""

from __future__ import annotations

import numba
import numpy as np

NO_SLIDE, SLIDE_OUTER, SLIDE_INNER = 0, 1, 2
SPREAD_INSIDE, SPREAD_OUTSIDE = 0, 1


@numba.njit(cache=True)
def window_counts(axis, tile_p, tile_r, across_p, across_r, slide, reach, spread):
    """``(sent, received)`` elements along one axis.

    Args:
        axis: (outputs, taps, stride, dilation, pad, input size) as an int64 array.
        tile_p, tile_r: outputs and taps in one child's tile.
        across_p, across_r: neighbouring children that share one delivery.
        slide: which loop, if any, moves the window over the tile that is already there.
        reach: outputs (or taps) that the sliding loop covers per child.
        spread: whether the children lie inside or outside the sliding loop.
    """
    outputs, taps, stride, dilation, pad, size = axis[0], axis[1], axis[2], axis[3], axis[4], axis[5]
    steps = 1
    if slide == 1:
        steps = reach // tile_p
    elif slide == 2:
        steps = reach // tile_r
    groups_p = outputs // (tile_p * across_p * (steps if slide == 1 else 1))
    groups_r = taps // (tile_r * across_r * (steps if slide == 2 else 1))
    union = np.full(size, -1, np.int64)
    mine = np.full(size, -1, np.int64)
    before = np.full(size, -1, np.int64)
    sent = received = 0
    delivery = tile = 0
    for group_p in range(groups_p):
        for group_r in range(groups_r):
            for step in range(steps):
                delivery += 1
                for b_p in range(across_p):
                    start_p = _start(group_p, b_p, step, tile_p, across_p, steps, slide == 1, spread)
                    for b_r in range(across_r):
                        start_r = _start(group_r, b_r, step, tile_r, across_r, steps, slide == 2, spread)
                        tile += 1
                        if step > 0:
                            last_p = _start(group_p, b_p, step - 1, tile_p, across_p, steps, slide == 1, spread)
                            last_r = _start(group_r, b_r, step - 1, tile_r, across_r, steps, slide == 2, spread)
                            for p in range(last_p, last_p + tile_p):
                                for r in range(last_r, last_r + tile_r):
                                    row = p * stride + r * dilation - pad
                                    if 0 <= row < size:
                                        before[row] = tile
                        for p in range(start_p, start_p + tile_p):
                            for r in range(start_r, start_r + tile_r):
                                row = p * stride + r * dilation - pad
                                if row < 0 or row >= size or mine[row] == tile or before[row] == tile:
                                    continue
                                mine[row] = tile
                                received += 1
                                if union[row] != delivery:
                                    union[row] = delivery
                                    sent += 1
    return sent, received


@numba.njit(cache=True)
def _start(group, child, step, tile, across, steps, slides, spread):
    """First index of a child's tile: by group, then child, then step of the sliding loop (or step before child)."""
    if not slides:
        return (group * across + child) * tile
    if spread == 1:
        return ((group * across + child) * steps + step) * tile
    return ((group * steps + step) * across + child) * tile


@numba.njit(cache=True)
def window_tables(axis, values_p, values_r, inside_p, inside_r, across_p, across_r, shared, sliding):
    """All counts that a storage level needs along one axis, for every pair of per-child extents.

    Args:
        axis: as in ``window_counts``.
        values_p, values_r: extents in time of outputs and taps (ascending).
        inside_p, inside_r: positions of the fan-outs inside the level; they widen its tile.
        across_p, across_r: positions between the level and its parent.
        shared: whether one delivery serves all of them.
        sliding: whether sliding windows are wanted, too (they take longer).

    Returns:
        ``plain[side, p, r]`` and ``slide_p[spread, side, p, reach, r]``, ``slide_r[spread, side, p, r, reach]``; side 0 is sent, 1
        received; entries that can't be are infinite.
    """
    n_p, n_r = values_p.size, values_r.size
    plain = np.empty((2, n_p, n_r))
    m_p, m_r = (n_p, n_r) if sliding else (0, 0)
    slide_p = np.full((2, 2, m_p, m_p, m_r), np.inf)
    slide_r = np.full((2, 2, m_p, m_r, m_r), np.inf)
    for i in range(n_p):
        for j in range(n_r):
            tile_p, tile_r = values_p[i] * inside_p, values_r[j] * inside_r
            sent, received = window_counts(axis, tile_p, tile_r, across_p, across_r, 0, 0, 0)
            plain[0, i, j], plain[1, i, j] = sent if shared else received, received
            if not sliding:
                continue
            for spread in range(2):
                if spread == 0 or across_p > 1:
                    for e in range(i + 1, n_p):
                        if values_p[e] % values_p[i] == 0:
                            sent, received = window_counts(
                                axis, tile_p, tile_r, across_p, across_r, 1, values_p[e] * inside_p, spread
                            )
                            slide_p[spread, 0, i, e, j] = sent if shared else received
                            slide_p[spread, 1, i, e, j] = received
                if spread == 0 or across_r > 1:
                    for e in range(j + 1, n_r):
                        if values_r[e] % values_r[j] == 0:
                            sent, received = window_counts(
                                axis, tile_p, tile_r, across_p, across_r, 2, values_r[e] * inside_r, spread
                            )
                            slide_r[spread, 0, i, j, e] = sent if shared else received
                            slide_r[spread, 1, i, j, e] = received
    return plain, slide_p, slide_r


@numba.njit(cache=True)
def window_extent(tile_p, tile_r, stride, dilation):
    """Rows that one tile touches, padding counted in: distinct p·stride + r·dilation."""
    seen = np.zeros((tile_p - 1) * stride + (tile_r - 1) * dilation + 1, np.bool_)
    for p in range(tile_p):
        for r in range(tile_r):
            seen[p * stride + r * dilation] = True
    return seen.sum()
