"""Compiled: a bound that a whole group of spatial assignments shares, on a machine folded into one position.

Equation 7 of ``docs/explanation/map-space.md``. In the folded machine there is no array: extents are counted over all
positions, every memory is as large as all its instances together, and every keep costs the least that any assignment of
the group makes of it. What counts is the **excess**: how much more the keeps that are still to come cost than their
least. ``narrow`` works it out where the excess that a larger group left below the limit.
"""

from __future__ import annotations

import numba
import numpy as np

from picojoule.search.marks import WORD, has, mark, marked, placed_by_state

UNKNOWN = -1e30
"""Stands for a cost that nothing has asked for yet."""
FAR = 1e30
"""Stands for what no assignment of the group reaches; finite, so that nothing times it is nothing."""

@numba.njit(cache=True)
def reached_values(sizes, covered, counts, lattice_of, used, parent_values, parent_shape, most, values, shape, above):
    """Fills ``values[dimension]``: extents over all positions that the group reaches, ascending, at most about ``most``;
    and ``above[dimension]``: the place of each among the values of the larger group.

    A value stands for those between it and the next, too. Those that lie closest together in proportion are joined, but
    only what the larger group has joined already, if there is one (``parent_shape`` not 0).
    """
    for d in range(7):
        flags = np.zeros(sizes[d] + 1, np.bool_)
        flags[1] = True
        for c in range(used.shape[1]):
            if used[d, c]:
                for i in range(counts[lattice_of[d, c]]):
                    flags[covered[d, c, i]] = True
        found = np.flatnonzero(flags)
        n = found.size
        inside = np.zeros(n, np.int64)
        for i in range(n):
            while inside[i] + 1 < parent_shape[d] and parent_values[d, inside[i] + 1] <= found[i]:
                inside[i] += 1
            if i + 1 < n:
                inside[i + 1] = inside[i]
        while n > max(most, 2):
            nearest, at = np.inf, 0
            for i in range(1, n - 1):
                joinable = parent_shape[d] == 0 or inside[i] == inside[i - 1]
                if joinable and found[i + 1] / found[i - 1] < nearest:
                    nearest, at = found[i + 1] / found[i - 1], i
            if at == 0:
                break
            for i in range(at, n - 1):
                found[i], inside[i] = found[i + 1], inside[i + 1]
            n -= 1
        shape[d] = n
        for i in range(n):
            values[d, i], above[d, i] = found[i], inside[i]


@numba.njit(cache=True)
def fold_visits(covered, counts, lattice_of, used, visits, values, shape, index, fewest):
    """Fills ``index[lattice, i]``, the place of an extent among ``values``, and ``fewest[keep, side, dimension, i]``:
    least visits there, as a multiple of those at full extent."""
    fewest[:] = FAR
    for d in range(7):
        for c in range(used.shape[1]):
            if not used[d, c]:
                continue
            one, at = lattice_of[d, c], 0
            last = counts[one] - 1
            for i in range(counts[one]):
                while at + 1 < shape[d] and values[d, at + 1] <= covered[d, c, i]:
                    at += 1
                index[one, i] = at
                for m in range(visits.shape[2]):
                    for side in range(2):
                        times = visits[d, c, m, side, i] / visits[d, c, m, side, last]
                        fewest[m, side, d, at] = min(fewest[m, side, d, at], times)


@numba.njit(cache=True)
def fold_windows(pairs, pair_lattices, counts, index, plain, slides, touched, still, slid, nearest, least):
    """Fills least rows (columns) of the group, above the least of each assignment: ``still[axis, k, side, p, r]``,
    ``slid[axis, k, along, side, p, r, reach]``, ``nearest``, the least of these over all reaches, and ``least[axis, k,
    side]`` itself, which the others contain."""
    still[:], slid[:], nearest[:], least[:] = FAR, FAR, FAR, FAR
    for a in range(2):
        for t in range(pairs.shape[1]):
            if pairs[a, t]:
                for k in range(least.shape[1]):
                    for side in range(2):
                        least[a, k, side] = min(least[a, k, side], touched[a, t, k, side])
        for t in range(pairs.shape[1]):
            if not pairs[a, t]:
                continue
            p_of, r_of = pair_lattices[a, t, 0], pair_lattices[a, t, 1]
            for k in range(least.shape[1]):
                for side in range(2):
                    less = touched[a, t, k, side] - least[a, k, side]
                    for i in range(counts[p_of]):
                        p = index[p_of, i]
                        for j in range(counts[r_of]):
                            r = index[r_of, j]
                            rows = max(plain[a, t, k, side, i, j] - less, least[a, k, side])
                            still[a, k, side, p, r] = min(still[a, k, side, p, r], rows)
                            if slid.size == 0:
                                continue
                            for table in range(slides.shape[4]):
                                for e in range(i + 1, counts[p_of]):
                                    rows = slides[a, t, k, 0, table, side, i, j, e] - less
                                    f = index[p_of, e]
                                    if f == p:
                                        still[a, k, side, p, r] = min(still[a, k, side, p, r], rows)
                                        continue
                                    slid[a, k, 0, side, p, r, f] = min(slid[a, k, 0, side, p, r, f], rows)
                                    nearest[a, k, 0, side, p, r] = min(nearest[a, k, 0, side, p, r], rows)
                                for e in range(j + 1, counts[r_of]):
                                    rows = slides[a, t, k, 1, table, side, i, j, e] - less
                                    f = index[r_of, e]
                                    if f == r:
                                        still[a, k, side, p, r] = min(still[a, k, side, p, r], rows)
                                        continue
                                    slid[a, k, 1, side, p, r, f] = min(slid[a, k, 1, side, p, r, f], rows)
                                    nearest[a, k, 1, side, p, r] = min(nearest[a, k, 1, side, p, r], rows)


@numba.njit(cache=True, forceinline=True)
def _folded_point(i, values, limits, weights, fewest, windows, keeps, first, fits, cost):
    """Excess and fit of every keep at point i of the folded machine."""
    still, slid, nearest, extents, least = windows
    for m in range(first[2] + keeps[2]):
        if first[1] <= m < first[2]:
            k = m - first[1]
            tile = values[0, i[0]] * values[2, i[2]] * extents[0, k, i[3], i[5]] * extents[1, k, i[4], i[6]]
            cost[m] = 0.0
            for side in range(2):
                sent = fewest[m, side, 1, i[1]] * still[0, k, side, i[3], i[5]] * still[1, k, side, i[4], i[6]]
                cost[m] += weights[m, side] * (sent - least[0, k, side] * least[1, k, side])
        else:
            a, b, c = (0, 3, 4) if m < first[1] else (2, 5, 6)
            if m < first[1]:
                tile = 1.0 * values[1, i[1]] * values[2, i[2]] * values[5, i[5]] * values[6, i[6]]
            else:
                tile = 1.0 * values[0, i[0]] * values[1, i[1]] * values[3, i[3]] * values[4, i[4]]
            cost[m] = 0.0
            for side in range(2):
                few = fewest[m, side, a, i[a]] * fewest[m, side, b, i[b]] * fewest[m, side, c, i[c]]
                cost[m] += weights[m, side] * (few - 1.0)
        fits[m] = tile <= limits[m]


@numba.njit(cache=True, forceinline=True)
def _slid_cost(m, k, d, e, i, weights, fewest, windows):
    """Excess of keep m, the k-th of the inputs, that slides up to index e along dimension d; with e = −1 the least over
    all e."""
    still, slid, nearest, extents, least = windows
    a, along = (d - 3) % 2, 0 if d < 5 else 1
    p, r, q, t = (i[3], i[5], i[4], i[6]) if a == 0 else (i[4], i[6], i[3], i[5])
    cost = 0.0
    for side in range(2):
        moved = nearest[a, k, along, side, p, r] if e < 0 else slid[a, k, along, side, p, r, e]
        sent = fewest[m, side, 1, i[1]] * moved * still[1 - a, k, side, q, t]
        cost += weights[m, side] * (sent - least[0, k, side] * least[1, k, side])
    return cost


@numba.njit(cache=True, forceinline=True)
def _slid_together(first_input, x, run, d, e, i, weights, fewest, windows):
    """Excess of ``run`` keeps of the inputs, of which x is the innermost, that slide up to index e along dimension d."""
    cost = 0.0
    for k in range(x, x + run):
        cost += _slid_cost(first_input + k, k, d, e, i, weights, fewest, windows)
    return cost


@numba.njit(cache=True)
def narrow(shape, values, limits, weights, fewest, windows, keeps, first, limit, parent, toward, excess):
    """Fills ``excess[point, state]`` of a group where it can stay below ``limit``, infinity elsewhere; returns that of
    the start.

    A sweep upwards finds which states cost less than the limit so far, with the excess of the larger group (``parent``)
    for what is to come; a sweep downwards over these adds up what is really to come.

    Args:
        shape: how many values each of the seven dimensions has.
        values: ``[dimension, i]`` extents over all positions.
        limits: elements that each keep may hold in all instances together.
        weights: ``[keep, side]`` cost of all elements at the least number of visits.
        fewest, windows: from ``fold_visits`` and ``fold_windows``; windows holds extents ``[axis, k, p, r]``, too.
        keeps, first: as in the kernel.
        parent: ``[point, state]`` excess of a larger group, whose point is the sum of ``toward[dimension, i]``.
    """
    slid = windows[1]
    n_i, n_o = keeps[1] + 1, keeps[2] + 1
    states, total = (keeps[0] + 1) * n_i * n_o, first[2] + keeps[2]
    placed = placed_by_state(keeps)
    step = np.empty(7, np.int64)
    points = 1
    for d in range(6, -1, -1):
        step[d] = points
        points *= shape[d]
    words = -(-states // WORD)
    table = np.empty((points, states), np.float32)
    alive = np.zeros((points, words), np.int64)
    due = np.zeros(points, np.bool_)
    seen = np.empty(points, np.int64)
    now = np.empty(words, np.int64)
    led_to = np.empty(words, np.int64)
    costs, fitting, i = np.empty((points + 1, total)), np.empty((points + 1, total), np.bool_), np.zeros(7, np.int64)
    near, together = np.empty((keeps[1], 7)), np.empty(7)
    alive[0, 0], table[0, 0], due[0], n_seen, complete = 1, 0.0, True, 0, False
    for point in range(points):
        if not due[point]:
            continue
        left, above = point, 0
        for d in range(7):
            i[d] = left // step[d]
            left -= i[d] * step[d]
            above += toward[d, i[d]]
        cost, fits = costs[n_seen], fitting[n_seen]
        _folded_point(i, values, limits, weights, fewest, windows, keeps, first, fits, cost)
        now[:], near[:] = 0, UNKNOWN
        any_alive = False
        led_to[:] = alive[point]
        for s in range(states):
            if not marked(led_to, s):
                continue
            w, x, o = placed[s, 0], placed[s, 1], placed[s, 2]
            if (
                (w < keeps[0] and not fits[first[0] + w])
                or (x < keeps[1] and not fits[first[1] + x])
                or (o < keeps[2] and not fits[first[2] + o])
            ):
                continue
            best = table[point, s] if has(alive, point, s) else np.inf
            if w > 0 and marked(now, s - n_i * n_o) and fits[first[0] + w - 1]:
                best = min(best, table[point, s - n_i * n_o] + cost[first[0] + w - 1])
            if x > 0 and marked(now, s - n_o) and fits[first[1] + x - 1]:
                best = min(best, table[point, s - n_o] + cost[first[1] + x - 1])
            if o > 0 and marked(now, s - 1) and fits[first[2] + o - 1]:
                best = min(best, table[point, s - 1] + cost[first[2] + o - 1])
            if best + parent[above, s] >= limit:
                continue
            table[point, s] = best
            mark(now, s)
            any_alive = True
            if s == states - 1:
                complete = True
                continue
            if w < keeps[0]:
                mark(led_to, s + n_i * n_o)
            if x < keeps[1]:
                mark(led_to, s + n_o)
            if o < keeps[2]:
                mark(led_to, s + 1)
            for d in range(7):
                if i[d] + 1 < shape[d]:
                    there = above + toward[d, i[d] + 1] - toward[d, i[d]]
                    if best + parent[there, s] < limit:
                        _reach(s, point + step[d], best, table, alive, due)
            for run in range(1, keeps[1] - x + 1) if slid.size else range(0):
                target = s + run * n_o
                k = x + run - 1
                if not fits[first[1] + k]:
                    break
                for d in range(3, 7):
                    if i[d] + 1 == shape[d]:
                        continue
                    if near[k, d] == UNKNOWN:
                        near[k, d] = _slid_cost(first[1] + k, k, d, -1, i, weights, fewest, windows)
                    together[d] = near[k, d] + (together[d] if run > 1 else 0.0)
                    if best + together[d] >= limit:
                        continue
                    for e in range(i[d] + 1, shape[d]):
                        there = above + toward[d, e] - toward[d, i[d]]
                        if best + together[d] + parent[there, target] >= limit:
                            continue
                        more = best + _slid_together(first[1], x, run, d, e, i, weights, fewest, windows)
                        if more + parent[there, target] < limit:
                            _reach(target, point + (e - i[d]) * step[d], more, table, alive, due)
        for word in range(words):
            alive[point, word] = now[word]
        if any_alive:
            seen[n_seen] = point
            n_seen += 1
    excess[:] = np.inf
    excess[:, states - 1] = 0.0
    if not complete:
        return np.inf
    for n in range(n_seen - 1, -1, -1):
        point = seen[n]
        left = point
        for d in range(7):
            i[d] = left // step[d]
            left -= i[d] * step[d]
        cost, fits = costs[n], fitting[n]
        near[:] = UNKNOWN
        for s in range(states - 2, -1, -1):
            if not has(alive, point, s):
                continue
            w, x, o = placed[s, 0], placed[s, 1], placed[s, 2]
            ahead = np.inf
            for d in range(7):
                if i[d] + 1 < shape[d]:
                    ahead = min(ahead, excess[point + step[d], s])
            if w < keeps[0]:
                ahead = min(ahead, cost[first[0] + w] + excess[point, s + n_i * n_o])
            if o < keeps[2]:
                ahead = min(ahead, cost[first[2] + o] + excess[point, s + 1])
            if x < keeps[1]:
                m = first[1] + x
                ahead = min(ahead, cost[m] + excess[point, s + n_o])
                for run in range(1, keeps[1] - x + 1) if slid.size else range(0):
                    k = x + run - 1
                    if not fits[first[1] + k]:
                        break
                    for d in range(3, 7):
                        if i[d] + 1 == shape[d]:
                            continue
                        if near[k, d] == UNKNOWN:
                            near[k, d] = _slid_cost(first[1] + k, k, d, -1, i, weights, fewest, windows)
                        together[d] = near[k, d] + (together[d] if run > 1 else 0.0)
                        if together[d] >= ahead:
                            continue
                        for e in range(i[d] + 1, shape[d]):
                            there = excess[point + (e - i[d]) * step[d], s + run * n_o]
                            if there + together[d] < ahead:
                                more = _slid_together(first[1], x, run, d, e, i, weights, fewest, windows)
                                ahead = min(ahead, there + more)
            excess[point, s] = ahead * (1 - 1e-6)  # single precision must not round a bound up
    return excess[0, 0]


@numba.njit(cache=True, forceinline=True)
def _reach(state, there, value, table, alive, due):
    """State ``state`` reaches the point ``there`` at excess ``value``."""
    if not has(alive, there, state):
        alive[there, state // WORD] |= 1 << state % WORD
        table[there, state] = value
        due[there] = True
    elif value < table[there, state]:
        table[there, state] = value
