"""Compiled: the best temporal nest for one spatial assignment, as a shortest chain of tile boundaries.

A boundary is a point: the extent in time of every dimension below a keep. In one nest the points of all keeps form a chain, and every
chain is a nest, so the best nest is a shortest path through pairs (which keeps are placed, point reached). Every
term of the energy depends on one point only (``docs/explanation/map-space.md``, equations 1–4).

Dimensions here are N K C P Q R S, in this order. Keeps are numbered tensor by tensor (weights, inputs, outputs), innermost first.
"""

from __future__ import annotations

import numba
import numpy as np

DIMENSIONS = ("N", "K", "C", "P", "Q", "R", "S")


@numba.njit(cache=True, inline="always")
def _scale(along, m, i):
    return along[m, 0, i[0]] * along[m, 1, i[1]] * along[m, 2, i[2]]


@numba.njit(cache=True, inline="always")
def _point_cost(m, i, weight, along, rows, columns):
    """Equation 1: cost of placing keep ``m`` at point ``i``: what the parent sends and what the children receive."""
    return _scale(along, m, i) * (
        weight[m, 0] * rows[m, 0, i[3], i[5]] * columns[m, 0, i[4], i[6]]
        + weight[m, 1] * rows[m, 1, i[3], i[5]] * columns[m, 1, i[4], i[6]]
    )


@numba.njit(cache=True, inline="always")
def _fits(m, i, room, size_along, size_rows, size_columns):
    """Equation 3: the tile of keep ``m`` at point ``i`` fits into the room it is given."""
    tile = _scale(size_along, m, i) * size_rows[m, i[3], i[5]] * size_columns[m, i[4], i[6]]
    return tile <= room[m]


@numba.njit(cache=True, inline="always")
def _slide_cost(m, i, dim, spread, reach, weight, along, rows, columns, slide_rows, slide_columns):
    """Equation 2: the same with a window that slides over ``reach`` along ``dim`` (3 P, 4 Q, 5 R, 6 S)."""
    if dim == 3:
        a0 = slide_rows[0, m, spread, 0, i[3], reach, i[5]]
        a1 = slide_rows[0, m, spread, 1, i[3], reach, i[5]]
    elif dim == 5:
        a0 = slide_rows[1, m, spread, 0, i[3], i[5], reach]
        a1 = slide_rows[1, m, spread, 1, i[3], i[5], reach]
    else:
        a0 = rows[m, 0, i[3], i[5]]
        a1 = rows[m, 1, i[3], i[5]]
    if dim == 4:
        b0 = slide_columns[0, m, spread, 0, i[4], reach, i[6]]
        b1 = slide_columns[0, m, spread, 1, i[4], reach, i[6]]
    elif dim == 6:
        b0 = slide_columns[1, m, spread, 0, i[4], i[6], reach]
        b1 = slide_columns[1, m, spread, 1, i[4], i[6], reach]
    else:
        b0 = columns[m, 0, i[4], i[6]]
        b1 = columns[m, 1, i[4], i[6]]
    return _scale(along, m, i) * (weight[m, 0] * a0 * b0 + weight[m, 1] * a1 * b1)


@numba.njit(cache=True)
def shortest_chain(
    count, below, extents, first, keeps, slides, weight, along, rows, columns, slide_rows, slide_columns, room, size_along,
    size_rows, size_columns, rest, limit, table,
):  # fmt: skip
    """Least cost of all keeps over all chains, or infinity if no chain costs less than ``limit``.

    Args:
        count: values of each dimension (7).
        below: ``[dim, i, k]``: indices of the values just below value i in the divisor order, −1 where there are fewer.
        extents: ``[dim, i]`` the values themselves.
        first, keeps: number of the innermost keep, and how many keeps, of each tensor.
        slides: whether windows slide.
        weight: ``[keep, side]`` energy of one element sent, received.
        along: ``[keep, N K C, i]`` factors; rows, columns: ``[keep, side, i, j]``; slide_*: with spread and reach.
        room, size_*: equation 3.
        rest: ``[state]`` least cost of the keeps that are not yet placed.
        limit: prune what can't get below it.
        table: scratch ``[states, points]``; filled for ``trace``.
    """
    points = 1
    for d in range(7):
        points *= count[d]
    n_w, n_i, n_o = keeps[0] + 1, keeps[1] + 1, keeps[2] + 1
    states = n_w * n_i * n_o
    step = np.empty(7, np.int64)
    span = 1
    for d in range(6, -1, -1):
        step[d] = span
        span *= count[d]
    table[:states, :points] = np.inf
    i = np.zeros(7, np.int64)
    fits = np.empty(first[2] + keeps[2], np.bool_)
    cost = np.empty(first[2] + keeps[2])
    table[0, 0] = 0.0
    for point in range(points):
        for m in range(fits.size):
            fits[m] = _fits(m, i, room, size_along, size_rows, size_columns)
            cost[m] = _point_cost(m, i, weight, along, rows, columns)
        for s in range(states):
            w, rem = s // (n_i * n_o), s % (n_i * n_o)
            x, o = rem // n_o, rem % n_o
            best = table[s, point]
            # A keep that is still to come stands at this point or further out: its tile must fit already here.
            alive = True
            if w < keeps[0] and not fits[first[0] + w]:
                alive = False
            if x < keeps[1] and not fits[first[1] + x]:
                alive = False
            if o < keeps[2] and not fits[first[2] + o]:
                alive = False
            for d in range(7):
                for k in range(below.shape[2]):
                    j = below[d, i[d], k]
                    if j < 0:
                        break
                    best = min(best, table[s, point - (i[d] - j) * step[d]])
            if w > 0 and fits[first[0] + w - 1]:
                best = min(best, table[s - n_i * n_o, point] + cost[first[0] + w - 1])
            if x > 0 and fits[first[1] + x - 1]:
                best = min(best, table[s - n_o, point] + cost[first[1] + x - 1])
            if o > 0 and fits[first[2] + o - 1]:
                best = min(best, table[s - 1, point] + cost[first[2] + o - 1])
            if not alive or best + rest[s] >= limit:
                table[s, point] = np.inf
                continue
            table[s, point] = best
            if slides:
                together = 0.0
                for run in range(1, keeps[1] - x + 1):
                    m = first[1] + x + run - 1
                    if not fits[m]:
                        break
                    target = s + run * n_o
                    for d in range(3, 7):
                        for e in range(i[d] + 1, count[d]):
                            if extents[d, e] % extents[d, i[d]] != 0:
                                continue
                            for spread in range(2):
                                if spread == 1 and run > 1:
                                    continue
                                together = 0.0
                                for q in range(run):
                                    together += _slide_cost(
                                        m - q, i, d, spread, e, weight, along, rows, columns, slide_rows, slide_columns
                                    )
                                there = point + (e - i[d]) * step[d]
                                if best + together < table[target, there]:
                                    table[target, there] = best + together
        for d in range(6, -1, -1):
            i[d] += 1
            if i[d] < count[d]:
                break
            i[d] = 0
    return table[states - 1, points - 1]


@numba.njit(cache=True)
def trace(
    count, below, extents, first, keeps, slides, weight, along, rows, columns, slide_rows, slide_columns, table, out
):  # fmt: skip
    """Walks back from the end of the shortest chain.

    Fills ``out[keep]`` with (point indices 0–6, sliding dim or −1, reach index, spread) and returns how many keeps were found.
    """
    n_i, n_o = keeps[1] + 1, keeps[2] + 1
    step = np.empty(7, np.int64)
    span = 1
    for d in range(6, -1, -1):
        step[d] = span
        span *= count[d]
    i = count - 1
    point = span - 1
    s = (keeps[0] + 1) * n_i * n_o - 1
    found = 0
    while s > 0:
        here = table[s, point]
        w, rem = s // (n_i * n_o), s % (n_i * n_o)
        x, o = rem // n_o, rem % n_o
        moved = False
        for d in range(7):
            for k in range(below.shape[2]):
                j = below[d, i[d], k]
                if j < 0:
                    break
                if not moved and table[s, point - (i[d] - j) * step[d]] == here:
                    point -= (i[d] - j) * step[d]
                    i[d] = j
                    moved = True
                    break
            if moved:
                break
        if moved:
            continue
        for t in range(3):
            placed, back = (w, n_i * n_o) if t == 0 else ((x, n_o) if t == 1 else (o, 1))
            m = first[t] + placed - 1
            if placed > 0 and table[s - back, point] + _point_cost(m, i, weight, along, rows, columns) == here:
                out[m, :7] = i
                out[m, 7] = -1
                s -= back
                found += 1
                moved = True
                break
        if moved or not slides:
            if not moved:
                return found
            continue
        for run in range(1, x + 1):
            for d in range(3, 7):
                for e in range(i[d]):
                    if extents[d, i[d]] % extents[d, e] != 0:
                        continue
                    for spread in range(2):
                        if moved or (spread == 1 and run > 1):
                            continue
                        reach = i[d]
                        there = point - (reach - e) * step[d]
                        i[d] = e
                        together = 0.0
                        for q in range(run):
                            together += _slide_cost(
                                first[1] + x - 1 - q, i, d, spread, reach, weight, along, rows, columns, slide_rows,
                                slide_columns,
                            )  # fmt: skip
                        if table[s - run * n_o, there] + together == here:
                            for q in range(run):
                                m = first[1] + x - 1 - q
                                out[m, :7] = i
                                out[m, 7], out[m, 8], out[m, 9] = d, reach, spread
                            s -= run * n_o
                            point = there
                            found += run
                            moved = True
                        else:
                            i[d] = reach
        if not moved:
            return found
    return found
