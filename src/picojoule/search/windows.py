"""Compiled: how many rows (or columns) of an input are sent and received, for a regular cut of outputs and taps.

The closed loops of ``docs/explanation/map-space.md``, equation W. One axis at a time: P with R, or Q with S.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def window_counts(axis, tile_p, tile_r, across_p, across_r, slide, reach, outside, apart):
    """``(sent, received)`` elements along one axis.

    Args:
        axis: (outputs, taps, stride, dilation, pad, input size) as an int64 array.
        tile_p, tile_r: outputs and taps in one child's tile.
        across_p, across_r: neighbouring children that share one delivery.
        slide: 0: every tile is fetched whole; 1, 2: a loop over outputs, taps moves the window over what is already
            there.
        reach: outputs (or taps) that the sliding loop covers per child.
        outside: 1 where the children along the sliding dimension lie outside the sliding loop, each with a region of
            its own.
        apart: positions of fan-outs outside the parent that stand inside the sliding loop: a child's next tile lies
            that much further on.
    """
    outputs, taps, stride, dilation, pad, size = axis[0], axis[1], axis[2], axis[3], axis[4], axis[5]
    steps_p = -(-reach // tile_p) if slide == 1 else 1
    steps_r = -(-reach // tile_r) if slide == 2 else 1
    region_p = reach if slide == 1 else tile_p
    region_r = reach if slide == 2 else tile_r
    union = np.full(size, -1, np.int64)
    mine = np.full(size, -1, np.int64)
    before = np.full(size, -1, np.int64)
    sent = received = delivery = tile = 0
    apart_p, apart_r = apart if slide == 1 else 1, apart if slide == 2 else 1
    for from_p in range(0, outputs, region_p * across_p * apart_p):
        for from_r in range(0, taps, region_r * across_r * apart_r):
            for turn in range(max(steps_p, steps_r) * apart):
                parent, step = turn // max(steps_p, steps_r), turn % max(steps_p, steps_r)
                delivery += 1
                for child_p in range(across_p):
                    for child_r in range(across_r):
                        tile += 1
                        if step > 0:
                            last = (step - 1) * apart + parent
                            last_p, last_r = (last, 0) if slide == 1 else (0, last)
                            p, p_end = _chunk(
                                from_p,
                                child_p,
                                last_p,
                                tile_p,
                                region_p * apart_p,
                                across_p,
                                slide == 1 and outside == 1,
                                outputs,
                            )
                            r, r_end = _chunk(
                                from_r,
                                child_r,
                                last_r,
                                tile_r,
                                region_r * apart_r,
                                across_r,
                                slide == 2 and outside == 1,
                                taps,
                            )
                            for a in range(p, p_end):
                                for b in range(r, r_end):
                                    row = a * stride + b * dilation - pad
                                    if 0 <= row < size:
                                        before[row] = tile
                        now = step * apart + parent
                        now_p, now_r = (now, 0) if slide == 1 else (0, now)
                        p, p_end = _chunk(
                            from_p,
                            child_p,
                            now_p,
                            tile_p,
                            region_p * apart_p,
                            across_p,
                            slide == 1 and outside == 1,
                            outputs,
                        )
                        r, r_end = _chunk(
                            from_r,
                            child_r,
                            now_r,
                            tile_r,
                            region_r * apart_r,
                            across_r,
                            slide == 2 and outside == 1,
                            taps,
                        )
                        for a in range(p, p_end):
                            for b in range(r, r_end):
                                row = a * stride + b * dilation - pad
                                if row < 0 or row >= size or mine[row] == tile or before[row] == tile:
                                    continue
                                mine[row] = tile
                                received += 1
                                if union[row] != delivery:
                                    union[row] = delivery
                                    sent += 1
    return sent, received


@numba.njit(cache=True)
def _chunk(start, child, step, tile, region, across, outside, end):
    """The indices [first, last) of a child's tile at one step, cut off at the end of its region and of the
    dimension."""
    if outside:
        first = start + child * region + step * tile
        return first, min(first + tile, start + (child + 1) * region, end)
    first = start + (step * across + child) * tile
    return first, min(first + tile, start + region * across, end)


@numba.njit(cache=True)
def window_tables(
    axis, values_p, under_p, values_r, under_r, inside_p, inside_r, across_p, across_r, apart, shared, plain, slides
):
    """Fills all counts that a level needs along one axis, for every pair of extents per child.

    Args:
        axis: as in ``window_counts``.
        values_p, values_r: extents in time of outputs and taps, ascending; ``under`` says which may slide up to which.
        inside_p, inside_r: positions of the fan-outs inside the level; they widen its tile.
        across_p, across_r: positions between the level and its parent.
        apart: ``[table, P or R]`` positions as in ``window_counts``, for every table of slides.
        shared: whether one delivery serves all of them.
        plain: ``[side, p, r]``; side 0 is sent, 1 received.
        slides: ``[P or R, table, side, p, r, reach]``, infinite where there is no such slide; of size 0 if none are
            wanted. In table 1 the children lie outside the sliding loop, in all others inside.
    """
    for i in range(values_p.size):
        for j in range(values_r.size):
            for slide in range(3 if slides.size else 1):
                for table in range(apart.shape[0]):
                    outside = 1 if table == 1 else 0
                    for e in range(max(values_p.size, values_r.size)):
                        reach = 0
                        if slide == 0 and (table > 0 or e > 0):
                            break
                        if slide == 1:
                            if e >= values_p.size or not under_p[i, e] or (outside == 1 and across_p == 1):
                                continue
                            reach = values_p[e] * inside_p
                        if slide == 2:
                            if e >= values_r.size or not under_r[j, e] or (outside == 1 and across_r == 1):
                                continue
                            reach = values_r[e] * inside_r
                        sent, received = window_counts(
                            axis,
                            values_p[i] * inside_p,
                            values_r[j] * inside_r,
                            across_p,
                            across_r,
                            slide,
                            reach,
                            outside,
                            apart[table, slide - 1] if slide > 0 else 1,
                        )
                        if not shared:
                            sent = received
                        if slide == 0:
                            plain[0, i, j], plain[1, i, j] = sent, received
                        else:
                            slides[slide - 1, table, 0, i, j, e], slides[slide - 1, table, 1, i, j, e] = (
                                sent,
                                received,
                            )


@numba.njit(cache=True)
def window_extents(axis, values_p, values_r, inside_p, inside_r, extents):
    """Fills ``[p, r]``: rows that a tile touches, padding counted in: distinct p·stride + r·dilation."""
    for i in range(values_p.size):
        for j in range(values_r.size):
            tile_p, tile_r = min(values_p[i] * inside_p, axis[0]), min(values_r[j] * inside_r, axis[1])
            stride, dilation = axis[2], axis[3]
            seen = np.zeros((tile_p - 1) * stride + (tile_r - 1) * dilation + 1, np.bool_)
            for p in range(tile_p):
                for r in range(tile_r):
                    seen[p * stride + r * dilation] = True
            rows = 0
            for row in seen:
                rows += row
            extents[i, j] = rows
