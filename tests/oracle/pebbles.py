"""The least accesses of a tiny layer over two levels of memory, by looking at every way to run it.

A state is what lies in the memory, which MACs are done and which partial sums lie outside; the shortest path to the
finished outputs is found by going through states in the order of their accesses. Shares no code with picojoule but the
layer itself.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

from picojoule.workload.nest import Nest

State = tuple[frozenset[int], int, frozenset[int]]


def least_by_pebbling(nest: Nest, room: int) -> int:
    """Reads and writes between a memory of ``room`` elements and the outside, at the least."""
    macs = list(_macs(nest))
    names = sorted({element for mac in macs for element in mac})
    number = {name: i for i, name in enumerate(names)}
    triples = [tuple(number[element] for element in mac) for mac in macs]
    outputs = frozenset(number[name] for name in names if name[0] == "o")
    last = {o: sum(1 << i for i, mac in enumerate(triples) if mac[2] == o) for o in outputs}
    everything = (1 << len(triples)) - 1

    def computed(held: frozenset[int], done: int) -> int:
        for i, mac in enumerate(triples):
            if held.issuperset(mac):
                done |= 1 << i
        return done

    def complete(o: int, done: int) -> bool:
        return done & last[o] == last[o]

    def wanted(x: int, done: int) -> bool:
        return any(x in mac and not done >> i & 1 for i, mac in enumerate(triples))

    start: State = (frozenset(), 0, frozenset())
    cost, queue, order = {start: 0}, [(0, 0, start)], itertools.count(1)
    while queue:
        spent, _, state = heapq.heappop(queue)
        held, done, outside = state
        if spent > cost[state]:
            continue
        if done == everything and not held & outputs:
            return spent
        if done == everything:
            end = (frozenset(), done, outside)
            if spent + len(held & outputs) < cost.get(end, 1 << 30):
                cost[end] = spent + len(held & outputs)
                heapq.heappush(queue, (cost[end], next(order), end))
            continue
        # Nothing is gained by giving up a place before it is needed, nor by taking what no MAC wants any more.
        moves = _leaving(held, done, outside, outputs, complete) if len(held) == room else (
            ((held | {x}, computed(held | {x}, done), outside - {x}), 0 if x in outputs - outside else 1)
            for x in range(len(names))
            if x not in held and wanted(x, done)
        )
        for after, price in moves:
            if spent + price < cost.get(after, 1 << 30):
                cost[after] = spent + price
                heapq.heappush(queue, (spent + price, next(order), after))
    raise AssertionError("a memory of three elements runs every layer")


def _leaving(held, done, outside, outputs, complete) -> Iterator[tuple[State, int]]:
    """A sum that leaves is written; one that is complete never comes back."""
    for x in held:
        if x in outputs:
            yield (held - {x}, done, outside if complete(x, done) else outside | {x}), 1
        else:
            yield (held - {x}, done, outside), 0


def _macs(nest: Nest) -> Iterator[tuple[tuple[object, ...], ...]]:
    ranges = [range(getattr(nest, d)) for d in "NGKCPQRS"]
    for n, g, k, c, p, q, r, s in itertools.product(*ranges):
        row = p * nest.stride[0] + r * nest.dilation[0] - nest.pad[0]
        column = q * nest.stride[1] + s * nest.dilation[1] - nest.pad[1]
        if 0 <= row < nest.input_rows and 0 <= column < nest.input_columns:
            yield ("i", n, g, c, row, column), ("w", g, k, c, r, s), ("o", n, g, k, p, q)
