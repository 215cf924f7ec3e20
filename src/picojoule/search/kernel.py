"""Compiled: all spatial assignments of a layer, and for each the shortest chain of tile boundaries.

A boundary is a point: the extent in time of every dimension below a keep. In one nest the points of all keeps form a
chain, and every chain is a nest, so the
best nest is a shortest path through pairs (which keeps are placed, point reached). Every term of the cost depends on
one point only. Equation numbers are those of
``docs/explanation/map-space.md``.

The seven dimensions are N K C P Q R S, in this order; G never moves. Keeps are numbered tensor by tensor (weights,
inputs, outputs), innermost first.
Arguments come in tuples of arrays (``problem.py`` makes them): ``layer``, ``lattices``, ``prices``, ``windows``;
``scratch`` is work space. The last of ``lattices`` are the machine's rules for tiles, None if it has none: then numba
leaves out all that is about rules.
"""

from __future__ import annotations

import numba
import numpy as np

from picojoule.search.marks import WORD, has, mark, marked

DIMENSIONS = ("N", "K", "C", "P", "Q", "R", "S")
EIGHT = (0, 2, 3, 4, 5, 6, 7)
"""Place of each of the seven among all eight loop letters."""
IRRELEVANT = np.array([[d in "NPQ" for d in "NKCPQRS"], [d == "K" for d in "NKCPQRS"], [d in "CRS" for d in "NKCPQRS"]])
"""Whether a dimension (of seven) selects no element of weights, of inputs, of outputs."""


UNKNOWN = -1.0
"""Stands for a cost that nothing has asked for yet."""
UNLIMITED = 2**40
"""More than any dimension has."""


@numba.njit(cache=True)
def _across(factors, mask, dim):
    """Product of the spread factors of ``dim`` (of eight) over the fan-outs in ``mask``."""
    product = 1
    for f in range(mask.size):
        if mask[f]:
            product *= factors[f, dim]
    return product


@numba.njit(cache=True)
def lay_out(factors, window_id, layer, lattices, prices, windows, scratch):
    """Everything that one assignment fixes; returns ``(constant, least)``: what no boundary changes, and what all
    keeps cost at the very least.

    Fills scratch: count, lattice, passes ``[side, keep, dim, i]``, weight ``[keep, side]``, size ``[keep, dim, i]``,
    rest ``[state]``.
    """
    lattice_of, counts = lattices[0], lattices[1]
    count, lattice, passes, weight, size, rest = scratch[:6]
    for d in range(7):
        spread = 1
        for f in range(factors.shape[0]):
            spread *= factors[f, EIGHT[d]]
        lattice[d] = lattice_of[d, spread]
        count[d] = counts[lattice[d]]
    constant = _weigh(factors, window_id, layer, lattices, prices, windows, count, lattice, passes, weight)
    _measure(factors, layer, lattices, prices, count, lattice, size)
    least = _rest(window_id, layer, windows, count, passes, weight, rest)
    if not _limit(factors, layer, lattices[2], lattices[6], prices, count, lattice):
        least = np.inf
    return constant, least


@numba.njit(cache=True)
def _passes(factors, here, also, d, size, left, extent):
    """Equation 6: visits of a boundary at ``extent`` along dimension d (of seven), over the positions in the masks
    ``here`` and ``also``.

    Exact for N, K and C, which are spread outside all their loops; for P, Q, R and S exact unless the last chunk is
    cut off, and never too many.
    """
    apart, together, leading = 1, 1, True
    for f in range(here.size):
        if here[f] or also[f]:
            apart *= factors[f, EIGHT[d]]
            leading &= together == 1
        else:
            together *= factors[f, EIGHT[d]]
    if d >= 3 or not leading:
        return -(-size // (extent * together))
    reach = left * together
    rest = size % reach
    return size // reach * -(-left // extent) + -(-min(left, rest) // extent)


@numba.njit(cache=True)
def column_visits(d, spread, size, extents, masks, first, visits):
    """Fills ``visits[keep, side, i]`` along dimension d (of seven), spread over the fan-outs as in ``spread`` (equation 6)."""
    factors = np.ones((spread.size, 8), np.int64)
    factors[:, EIGHT[d]] = spread
    left = extents[-1]
    for m in range(visits.shape[0]):
        tensor = 0 if m < first[1] else (1 if m < first[2] else 2)
        if IRRELEVANT[tensor, d]:
            for i in range(extents.size):
                visits[m, 0, i] = _passes(factors, masks[0, m], masks[1, m], d, size, left, extents[i])
                visits[m, 1, i] = _passes(factors, masks[2, m], masks[3, 0], d, size, left, extents[i])


@numba.njit(cache=True)
def _weigh(factors, window_id, layer, lattices, prices, windows, count, lattice, passes, weight):
    """Equations 1, 4 and 5: visits of every keep at every extent, cost of one visit, and the constant."""
    sizes, keeps, first, elements, bits = layer
    extents = lattices[2]
    masks, price, mac_read, out, finished = prices
    sent_outside, sent_unshared, received_outside, nowhere = masks[0], masks[1], masks[2], masks[3, 0]
    out_read, out_write, out_update, out_return = out[0], out[1], out[2], out[3]
    last = first[2] + keeps[2]
    for m in range(last + 3):
        tensor = 0 if m < first[1] else (1 if m < first[2] else 2)
        if m >= last:
            tensor = m - last  # the MACs, as the innermost of each tensor
        for d in range(7):
            if not IRRELEVANT[tensor, d]:
                continue
            left = extents[lattice[d], count[d] - 1]
            for i in range(count[d] if m < last else 1):
                x = extents[lattice[d], i]
                passes[0, m, d, i] = _passes(factors, sent_outside[m], sent_unshared[m], d, sizes[EIGHT[d]], left, x)
                passes[1, m, d, i] = _passes(factors, received_outside[m], nowhere, d, sizes[EIGHT[d]], left, x)
    for m in range(first[2]):
        tensor = 0 if m < first[1] else 1
        weight[m, 0], weight[m, 1] = elements[tensor] * price[0, m], elements[tensor] * price[1, m]
    constant = elements[0] * mac_read[0] * (passes[0, last, 0, 0] * passes[0, last, 3, 0] * passes[0, last, 4, 0])
    constant += (
        elements[1]
        * mac_read[1]
        * passes[0, last + 1, 1, 0]
        * windows[2][0, window_id[0]]
        * windows[2][1, window_id[1]]
    )
    # Outputs: counting.md makes every count linear in the visits of each keep, so each keep collects its share.
    outputs, n_out = elements[2], keeps[2]
    constant += finished
    copies = 1.0
    for k in range(n_out + 1):
        constant -= outputs * copies * out_return[k]
        if k > 0:
            constant -= outputs * copies * out_write[k]
        m = first[2] + n_out - 1 - k if k < n_out else last + 2
        arriving = outputs * (out_update[k] + out_return[k])
        if k == n_out:
            constant += arriving * (passes[0, m, 2, 0] * passes[0, m, 5, 0] * passes[0, m, 6, 0])
            break
        weight[m, 0], weight[m, 1] = arriving, outputs * (out_read[k + 1] + out_write[k + 1])
        copies = passes[1, m, 2, count[2] - 1]
        for d in (5, 6):  # perhaps fewer: where a position idles depends on the loops around its spread
            copies *= min(_across(factors, received_outside[m], EIGHT[d]), sizes[EIGHT[d]])
    return constant


@numba.njit(cache=True)
def _measure(factors, layer, lattices, prices, count, lattice, size):
    """Equation 3: extent of every dimension in a tile of every keep."""
    sizes, keeps, first, elements, bits = layer
    extents, outside = lattices[2], prices[0][2]
    for m in range(first[2] + keeps[2]):
        for d in range(7):
            inside = 1
            for f in range(factors.shape[0]):
                if not outside[m, f]:
                    inside *= factors[f, EIGHT[d]]
            groups = 1
            if d == (1 if m < first[1] else 0):  # weights have no N: their groups ride along with K
                for f in range(factors.shape[0]):
                    if not outside[m, f]:
                        groups *= factors[f, 1]
                groups = min(groups, sizes[1])
            left = extents[lattice[d], count[d] - 1]
            reach = min(sizes[EIGHT[d]], left * inside)
            for i in range(count[d]):
                x = extents[lattice[d], i]
                if d < 3:
                    size[m, d, i] = (reach // left * x + min(x, reach % left)) * groups
                else:
                    size[m, d, i] = min(x * inside, sizes[EIGHT[d]])


@numba.njit(cache=True)
def _limit(factors, layer, extents, rules, prices, count, lattice):
    """Rules for tiles as indices: ``reach[keep, 0, dim]`` is the first that is large enough, ``reach[keep, 1, dim]``
    the last that is not too large for the keep and for those of its tensor further out. Says whether any nest can obey.
    """
    if rules is None:
        return True
    sizes, keeps, first, elements, bits = layer
    outside = prices[0][2]
    limits, reach, over, may = rules
    possible = True
    for m in range(limits.shape[0] - 1, -1, -1):
        last = m == limits.shape[0] - 1 or m + 1 == first[1] or m + 1 == first[2]
        for d in range(8):
            inside, apart = 1, 1
            for f in range(factors.shape[0]):
                if outside[m, f]:
                    apart *= factors[f, d]
                else:
                    inside *= factors[f, d]
            least, most = min(limits[m, 0, d], -(-sizes[d] // apart)), limits[m, 1, d]
            if d == 1:  # the loop over groups is the outermost
                possible &= least <= inside <= most
                continue
            i = d if d == 0 else d - 1
            left = extents[lattice[i], count[i] - 1]
            reach[m, 0, i], reach[m, 1, i] = 0, -1
            for n in range(count[i]):
                x = extents[lattice[i], n]
                covered = min(x * inside, sizes[d])
                if i < 3:
                    whole = min(sizes[d], left * inside)
                    covered = whole // left * x + min(x, whole % left)
                if covered < least:
                    reach[m, 0, i] = n + 1
                if covered <= most:
                    reach[m, 1, i] = n
            if not last:
                reach[m, 1, i] = min(reach[m, 1, i], reach[m + 1, 1, i])
            possible &= reach[m, 1, i] >= 0
    if not possible:
        reach[:, 1] = -1
    return possible


@numba.njit(cache=True, forceinline=True)
def _obey(i, first, rules, fits):
    """Rules for tiles at point i: what is too large no longer ``fits``; ``may`` marks the keeps that may stand here.

    ``over`` marks keeps whose tile is too large along a dimension that selects none of its elements: they stand further
    in, before loops that leave the tile alone, and no other loop may follow before they are placed.
    """
    if rules is None:
        return
    limits, reach, over, may = rules
    for m in range(limits.shape[0]):
        tensor = 0 if m < first[1] else (1 if m < first[2] else 2)
        over[m], may[m] = False, True
        for d in range(7):
            if i[d] > reach[m, 1, d]:
                if IRRELEVANT[tensor, d]:
                    over[m] = True
                else:
                    fits[m] = False
            if i[d] < reach[m, 0, d]:
                may[m] = False
        may[m] &= fits[m]


@numba.njit(cache=True, forceinline=True)
def _allowed(rules, fits):
    """The marks of the keeps that may stand at the point at hand."""
    if rules is None:
        return fits
    return rules[3]


@numba.njit(cache=True, forceinline=True)
def _barred(s, keeps, first, rules):
    """The dimensions, one bit each, over which no loop may follow in state s: a keep to come would be too large."""
    if rules is None:
        return 0
    n_i, n_o, over = keeps[1] + 1, keeps[2] + 1, rules[2]
    placed = (s // (n_i * n_o), s // n_o % n_i, s % n_o)
    bits = 0
    for tensor in range(3):
        if placed[tensor] < keeps[tensor] and over[first[tensor] + placed[tensor]]:
            for d in range(7):
                if not IRRELEVANT[tensor, d]:
                    bits |= 1 << d
    return bits


@numba.njit(cache=True)
def _rest(window_id, layer, windows, count, passes, weight, rest):
    """``rest[state]``: the least that the keeps cost which are still to come; returns that of all keeps."""
    sizes, keeps, first, elements, bits = layer
    n_w, n_i, n_o = keeps[0] + 1, keeps[1] + 1, keeps[2] + 1
    for s in range(n_w * n_i * n_o - 1, -1, -1):
        w, rem = s // (n_i * n_o), s % (n_i * n_o)
        x, o = rem // n_o, rem % n_o
        if w < keeps[0]:
            m, later = first[0] + w, rest[s + n_i * n_o]
            least = _fewest(m, weight, passes, count, 0, 3, 4)
        elif x < keeps[1]:
            m, later = first[1] + x, rest[s + n_o]
            rows, columns = windows[3][0, window_id[0], x], windows[3][1, window_id[1], x]
            k = count[1] - 1
            least = (
                weight[m, 0] * passes[0, m, 1, k] * rows[0] * columns[0]
                + weight[m, 1] * passes[1, m, 1, k] * rows[1] * columns[1]
            )
        elif o < keeps[2]:
            m, later = first[2] + o, rest[s + 1]
            least = _fewest(m, weight, passes, count, 2, 5, 6)
        else:
            least, later = 0.0, 0.0
        rest[s] = least + later
    return rest[0]


@numba.njit(cache=True)
def _fewest(m, weight, passes, count, a, b, c):
    """Least cost of keep m, whose visits are those along dimensions a, b and c."""
    least = 0.0
    for side in range(2):
        few = passes[side, m, a, count[a] - 1] * passes[side, m, b, count[b] - 1] * passes[side, m, c, count[c] - 1]
        many = passes[side, m, a, 0] * passes[side, m, b, 0] * passes[side, m, c, 0]
        least += min(weight[m, side] * few, weight[m, side] * many)
    return least


@numba.njit(cache=True, forceinline=True)
def _visit_cost(m, i, weight, passes, a, b, c):
    """Equation 1 for a keep of weights or outputs, whose visits are those along dimensions a, b and c."""
    sent = passes[0, m, a, i[a]] * passes[0, m, b, i[b]] * passes[0, m, c, i[c]]
    received = passes[1, m, a, i[a]] * passes[1, m, b, i[b]] * passes[1, m, c, i[c]]
    return weight[m, 0] * sent + weight[m, 1] * received


@numba.njit(cache=True, forceinline=True)
def _window_cost(m, i, k, window_id, windows, weight, passes):
    """Equation 1 for keep k of the inputs at point i."""
    plain, row, column = windows[0], window_id[0], window_id[1]
    cost = 0.0
    for side in range(2):
        sent = plain[0, row, k, side, i[3], i[5]] * plain[1, column, k, side, i[4], i[6]]
        cost += weight[m, side] * passes[side, m, 1, i[1]] * sent
    return cost


@numba.njit(cache=True, forceinline=True)
def _slide_cost(m, i, k, dim, table_id, reach, window_id, windows, weight, passes):
    """Equation 2: the same with a window that slides up to index ``reach`` along ``dim`` (3 P, 4 Q, 5 R, 6 S)."""
    plain, slides, row, column = windows[0], windows[1], window_id[0], window_id[1]
    along = 0 if dim < 5 else 1
    cost = 0.0
    for side in range(2):
        if dim == 3 or dim == 5:
            sent = slides[0, row, k, along, table_id, side, i[3], i[5], reach] * plain[1, column, k, side, i[4], i[6]]
        else:
            sent = plain[0, row, k, side, i[3], i[5]] * slides[1, column, k, along, table_id, side, i[4], i[6], reach]
        cost += weight[m, side] * passes[side, m, 1, i[1]] * sent
    return cost


@numba.njit(cache=True, forceinline=True)
def _slide_together(k, run, spread, i, dim, reach, window_id, first, windows, weight, passes):
    """Equation 2 for ``run`` keeps of the inputs that share one loop, of which k is the outermost."""
    together = 0.0
    for q in range(run):
        table_id = windows[5][k - q, 2 * q + spread]
        together += _slide_cost(first[1] + k - q, i, k - q, dim, table_id, reach, window_id, windows, weight, passes)
    return together


@numba.njit(cache=True, forceinline=True)
def _fit(i, room, window_id, layer, windows, size, fits):
    """Equation 3: which keeps' tiles fit into their memories at point i."""
    sizes, keeps, first, elements, bits = layer
    extents, row, column = windows[4], window_id[0], window_id[1]
    for m in range(first[1]):
        tile = size[m, 1, i[1]] * size[m, 2, i[2]] * size[m, 5, i[5]] * size[m, 6, i[6]]
        fits[m] = tile * bits[m] <= room[m]
    for m in range(first[1], first[2]):
        k = m - first[1]
        tile = size[m, 0, i[0]] * size[m, 2, i[2]] * extents[0, row, k, i[3], i[5]] * extents[1, column, k, i[4], i[6]]
        fits[m] = tile * bits[m] <= room[m]
    for m in range(first[2], first[2] + keeps[2]):
        tile = size[m, 0, i[0]] * size[m, 1, i[1]] * size[m, 3, i[3]] * size[m, 4, i[4]]
        fits[m] = tile * bits[m] <= room[m]


@numba.njit(cache=True, forceinline=True)
def _cost(m, i, window_id, first, windows, passes, weight):
    """Equation 1 for keep m at point i."""
    if m < first[1]:
        return _visit_cost(m, i, weight, passes, 0, 3, 4)
    if m < first[2]:
        return _window_cost(m, i, m - first[1], window_id, windows, weight, passes)
    return _visit_cost(m, i, weight, passes, 2, 5, 6)


@numba.njit(cache=True)
def shortest_chain(window_id, room, limit, sliding, layer, lattices, windows, scratch, ahead):
    """Least cost of all keeps over all chains, or infinity if no chain costs less than ``limit``; leaves its tables
    in scratch for ``trace``.

    One sweep over the points in ascending order. ``alive[point]`` marks the states that can still win there,
    ``due[point]`` the points that
    some state has moved to; most points never are, and are skipped eight at a time.
    """
    sizes, keeps, first, elements, bits = layer
    above, under, rules = lattices[4], lattices[5], lattices[6]
    excess, toward = ahead
    count, lattice, passes, weight, size, rest, step, fits, cost, table, alive, due, seen = scratch
    may = _allowed(rules, fits)
    n_i, n_o = keeps[1] + 1, keeps[2] + 1
    states = (keeps[0] + 1) * n_i * n_o
    words = alive.shape[1]
    now, led_to = np.empty(words, np.int64), np.empty(words, np.int64)
    points = 1
    for d in range(6, -1, -1):
        step[d] = points
        points *= count[d]
    for n in range(seen[0]):
        for word in range(words):
            alive[seen[n + 1], word] = 0
    seen[0] = 0
    eights = due.view(np.int64)
    i = np.zeros(7, np.int64)
    alive[0, 0], table[0, 0], due[0] = 1, 0.0, 1
    point = 0
    while point < points:
        if not due[point]:
            point += 1
            while point % 8 == 0 and point < points and eights[point // 8] == 0:
                point += 8
            continue
        due[point] = 0
        seen[0] += 1
        seen[seen[0]] = point
        left, folded = point, 0
        for d in range(7):
            i[d] = left // step[d]
            left -= i[d] * step[d]
            folded += toward[lattice[d], i[d]]
        _fit(i, room, window_id, layer, windows, size, fits)
        _obey(i, first, rules, fits)
        cost[:] = UNKNOWN
        for word in range(words):
            now[word], led_to[word] = 0, alive[point, word]
        for s in range(states):
            if not marked(led_to, s):
                continue
            w, rem = s // (n_i * n_o), s % (n_i * n_o)
            x, o = rem // n_o, rem % n_o
            # A keep that is still to come stands at this point or further out: its tile must fit already here.
            if (
                (w < keeps[0] and not fits[first[0] + w])
                or (x < keeps[1] and not fits[first[1] + x])
                or (o < keeps[2] and not fits[first[2] + o])
            ):
                continue
            best = table[s, point] if has(alive, point, s) else np.inf
            if w > 0 and marked(now, s - n_i * n_o) and may[first[0] + w - 1]:
                m = first[0] + w - 1
                if cost[m] == UNKNOWN:
                    cost[m] = _cost(m, i, window_id, first, windows, passes, weight)
                best = min(best, table[s - n_i * n_o, point] + cost[m])
            if x > 0 and marked(now, s - n_o) and may[first[1] + x - 1]:
                m = first[1] + x - 1
                if cost[m] == UNKNOWN:
                    cost[m] = _cost(m, i, window_id, first, windows, passes, weight)
                best = min(best, table[s - n_o, point] + cost[m])
            if o > 0 and marked(now, s - 1) and may[first[2] + o - 1]:
                m = first[2] + o - 1
                if cost[m] == UNKNOWN:
                    cost[m] = _cost(m, i, window_id, first, windows, passes, weight)
                best = min(best, table[s - 1, point] + cost[m])
            if best + rest[s] + excess[folded, s] >= limit:
                continue
            table[s, point] = best
            mark(now, s)
            if w < keeps[0]:
                mark(led_to, s + n_i * n_o)
            if x < keeps[1]:
                mark(led_to, s + n_o)
            if o < keeps[2]:
                mark(led_to, s + 1)
            barred = _barred(s, keeps, first, rules)
            for d in range(7):
                if barred >> d & 1:
                    continue
                for k in range(above.shape[2]):
                    j = above[lattice[d], i[d], k]
                    if j < 0:
                        break
                    there = folded + toward[lattice[d], j] - toward[lattice[d], i[d]]
                    if best + rest[s] + excess[there, s] < limit:
                        _move(s, point + (j - i[d]) * step[d], best, table, alive, due)
            if sliding and x < keeps[1]:
                _slides(s, x, point, best, i, folded, limit, window_id, layer, under, rules, windows, scratch, ahead)
        for word in range(words):
            alive[point, word] = now[word]
    return table[states - 1, points - 1] if has(alive, points - 1, states - 1) else np.inf


@numba.njit(cache=True, forceinline=True)
def _move(state, there, value, table, alive, due):
    """State ``state`` reaches the point ``there`` at cost ``value``."""
    if not has(alive, there, state):
        alive[there, state // WORD] |= 1 << state % WORD
        table[state, there] = value
        due[there] = 1
    elif value < table[state, there]:
        table[state, there] = value


@numba.njit(cache=True, forceinline=True)
def _slides(s, x, point, best, i, folded, limit, window_id, layer, under, rules, windows, scratch, ahead):
    """Equation 2: places one or more keeps of the inputs at point i and jumps along each dimension that they can
    slide over."""
    sizes, keeps, first, elements, bits = layer
    excess, toward = ahead
    count, lattice, passes, weight, size, rest, step, fits, cost, table, alive, due, seen = scratch
    n_o = keeps[2] + 1
    may = _allowed(rules, fits)
    least = 0.0
    for run in range(1, keeps[1] - x + 1):
        k = x + run - 1
        if not may[first[1] + k]:
            break
        # No slide costs less than the least of a keep, which ``rest`` holds.
        least += rest[s + (run - 1) * n_o] - rest[s + run * n_o]
        target = s + run * n_o
        if best + least + rest[target] >= limit:
            continue
        barred = _barred(target, keeps, first, rules)
        for d in range(3, 7):
            if barred >> d & 1:
                continue
            for e in range(i[d] + 1, count[d]):
                if not under[lattice[d], i[d], e]:
                    continue
                ahead_of = rest[target] + excess[folded + toward[lattice[d], e] - toward[lattice[d], i[d]], target]
                if best + least + ahead_of >= limit:
                    continue
                for spread in range(2):
                    together = _slide_together(k, run, spread, i, d, e, window_id, first, windows, weight, passes)
                    if best + together + ahead_of < limit:
                        _move(target, point + (e - i[d]) * step[d], best + together, table, alive, due)


@numba.njit(cache=True)
def sweep(
    start,
    stop,
    order,
    factors,
    window_ids,
    rooms,
    limits,
    sliding,
    layer,
    lattices,
    prices,
    windows,
    scratch,
    tally,
    proved,
    ahead,
):
    """Looks at assignments ``order[start:stop]`` until one beats its limit.

    Returns ``(where it stopped, cost, constant)``; ``cost`` is infinite where none did. ``tally`` counts those solved
    and those that a bound set aside; ``proved[assignment]`` becomes what none of its mappings costs less than.
    """
    for at in range(start, stop):
        a = order[at]
        constant, least = lay_out(factors[a], window_ids[a], layer, lattices, prices, windows, scratch)
        proved[a] = max(proved[a], constant + least + ahead[0][0, 0])
        if proved[a] >= limits[a]:
            tally[1] += 1
            continue
        tally[0] += 1
        bar = limits[a] - constant
        cost = shortest_chain(window_ids[a], rooms, bar, sliding, layer, lattices, windows, scratch, ahead)
        if cost < np.inf:
            return at, cost, constant
        proved[a] = limits[a]
    return stop, np.inf, 0.0


@numba.njit(cache=True)
def _placed(s, keeps):
    """How many keeps of weights, inputs and outputs state s has placed."""
    n_i, n_o = keeps[1] + 1, keeps[2] + 1
    return s // (n_i * n_o), s // n_o % n_i, s % n_o


@numba.njit(cache=True)
def trace(window_id, room, sliding, layer, lattices, windows, scratch, out):
    """Walks back from the end of the shortest chain; fills ``out[keep]`` with point indices (7), sliding dim or −1,
    reach, spread.

    Returns how many keeps were found: all, unless the tables are not those of a finished sweep.
    """
    sizes, keeps, first, elements, bits = layer
    count, step = scratch[0], scratch[6]
    i, at = np.zeros(7, np.int64), np.zeros(2, np.int64)
    for d in range(7):
        i[d] = count[d] - 1
        at[1] += i[d] * step[d]
    at[0] = (keeps[0] + 1) * (keeps[1] + 1) * (keeps[2] + 1) - 1
    found = 0
    while at[0] > 0:
        if _moved_here(at, i, layer, lattices, scratch):
            continue
        placed = _placed_here(at, i, window_id, room, layer, lattices, windows, scratch, out)
        if placed == 0 and sliding:
            placed = _slid_here(at, i, window_id, room, layer, lattices, windows, scratch, out)
        if placed == 0:
            return found
        found += placed
    return found


@numba.njit(cache=True)
def _moved_here(at, i, layer, lattices, scratch):
    """Steps back along one dimension if the state ``at[0]`` came to the point ``at[1]`` that way; says whether."""
    sizes, keeps, first, elements, bits = layer
    below, rules = lattices[3], lattices[6]
    count, lattice, passes, weight, size, rest, step, fits, cost, table, alive, due, seen = scratch
    s, point = at[0], at[1]
    for d in range(7):
        reached = i[d]
        for k in range(below.shape[2]):
            j = below[lattice[d], reached, k]
            if j < 0:
                break
            there = point - (reached - j) * step[d]
            if has(alive, there, s) and table[s, there] == table[s, point]:
                i[d] = j
                _obey(i, first, rules, fits)
                if not _barred(s, keeps, first, rules) >> d & 1:
                    at[1] = there
                    return True
                i[d] = reached
    return False


@numba.njit(cache=True)
def _placed_here(at, i, window_id, room, layer, lattices, windows, scratch, out):
    """Takes back the keep that was placed at this point, and notes where it stands; returns how many keeps that is."""
    sizes, keeps, first, elements, bits = layer
    rules = lattices[6]
    count, lattice, passes, weight, size, rest, step, fits, cost, table, alive, due, seen = scratch
    may = _allowed(rules, fits)
    s, point = at[0], at[1]
    _fit(i, room, window_id, layer, windows, size, fits)
    _obey(i, first, rules, fits)
    placed = _placed(s, keeps)
    for tensor in range(3):
        back = (keeps[1] + 1) * (keeps[2] + 1) if tensor == 0 else (keeps[2] + 1 if tensor == 1 else 1)
        if placed[tensor] == 0 or not has(alive, point, s - back):
            continue
        m = first[tensor] + placed[tensor] - 1
        if may[m] and table[s - back, point] + _cost(m, i, window_id, first, windows, passes, weight) == table[s, point]:
            out[m, :7], out[m, 7] = i, -1
            at[0] = s - back
            return 1
    return 0


@numba.njit(cache=True)
def _slid_here(at, i, window_id, room, layer, lattices, windows, scratch, out):
    """Takes back the keeps of the inputs that slid up to this point, and notes where they stand; returns how many."""
    sizes, keeps, first, elements, bits = layer
    under, rules = lattices[5], lattices[6]
    count, lattice, passes, weight, size, rest, step, fits, cost, table, alive, due, seen = scratch
    may = _allowed(rules, fits)
    s, point = at[0], at[1]
    x = _placed(s, keeps)[1]
    for run in range(1, x + 1):
        before = s - run * (keeps[2] + 1)
        for d in range(3, 7):
            reach = i[d]
            for e in range(reach):
                there = point - (reach - e) * step[d]
                if not under[lattice[d], e, reach] or not has(alive, there, before):
                    continue
                i[d] = e
                _fit(i, room, window_id, layer, windows, size, fits)
                _obey(i, first, rules, fits)
                if not may[first[1] + x - run : first[1] + x].all() or _barred(s, keeps, first, rules) >> d & 1:
                    i[d] = reach
                    continue
                for spread in range(2):
                    together = _slide_together(x - 1, run, spread, i, d, reach, window_id, first, windows, weight, passes)
                    if table[before, there] + together == table[s, point]:
                        for q in range(run):
                            m = first[1] + x - 1 - q
                            # Only the spreads above the outermost stand outside the loop.
                            out[m, :7], out[m, 7], out[m, 8], out[m, 9] = i, d, reach, spread if q == 0 else 0
                        at[0], at[1] = before, there
                        return run
                i[d] = reach
    return 0
