"""Units that skip zeros, step by step: a mapping is run loop by loop, every product of every unit is looked at, and the units
wait for each other.

A unit takes one nonzero input after the other and goes through its nonzero weights, as many in a cycle as it has lanes; an
input without any takes a cycle, too. It can look ahead only among the weights and sums that it holds. As soon as the next
step would need more different inputs, or more different weights, than it may run ahead, it waits for all others.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.workload.nest import DIMS, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Cycles of the whole, the products of nonzeros in them, and the steps if nothing were skipped."""

    cycles: int
    executed: int
    steps: int


def simulate(
    nest: Nest,
    mapping: Mapping,
    weights: np.ndarray,
    inputs: np.ndarray,
    *,
    units: tuple[str, ...],
    memories: tuple[str, ...] = (),
    ahead: dict[str, int] | None = None,
    skipping: tuple[str, ...] = ("weights", "inputs"),
) -> Simulated:
    """Runs a nest.

    Args:
        weights: ``[G, K, C, R, S]``, nonzero or not.
        inputs: ``[N, G, C, rows, columns]``, nonzero or not, without padding.
        units: fan-outs whose positions are units; those of the others are lanes, which share an input.
        memories: levels that every unit has of its own.
        ahead: how many different elements of an operand a unit takes between two waits.
        skipping: operands whose zeros are skipped.
    """
    ahead = ahead or {}
    loops, places, extent, outer = [], [], dict(nest.dims), 0
    for node in mapping.nodes:
        if isinstance(node, Keep):
            if node.level in memories and node.tensor != "inputs":
                outer = len(loops)  # loops outside change what a unit holds
            continue
        cut = (node.dim, node.tile, -(-extent[node.dim] // node.tile), extent[node.dim])
        extent[node.dim] = node.tile
        loops.append((cut, isinstance(node, Loop)))
        if isinstance(node, Spread):
            places.append(node.fanout in units)
    spread = [cut for (cut, in_time) in loops if not in_time]
    positions = list(itertools.product(*(range(cut[2]) for cut in spread)))
    unit_of = [tuple(i for i, own in zip(p, places, strict=True) if own) for p in positions]
    numbers = {unit: n for n, unit in enumerate(dict.fromkeys(unit_of))}
    lanes = len(positions) // len(numbers)
    own = np.array([numbers[unit] for unit in unit_of])

    cycles = executed = steps = 0
    work = np.zeros(len(numbers), dtype=np.int64)
    seen: tuple[set[object], set[object]] = set(), set()
    visit, meets, live = None, np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=bool)

    def end_visit() -> None:
        nonlocal work
        least = 1 if "inputs" in skipping else 0
        work = work + np.where(live, np.maximum(least, -(-meets // lanes)), 0)

    for trip in itertools.product(*(range(cut[2]) for cut, in_time in loops if in_time)):
        found = [_indices(loops, trip, position) for position in positions]
        if found[0] is None:
            continue
        steps += 1
        wanted = [_elements(nest, at) if at else None for at in found]
        here = [n for n, unit in enumerate(own) if unit == 0]
        new = {wanted[n][0] for n in here if wanted[n]}, {wanted[n][1] for n in here if wanted[n]}
        full = any(
            len(old | more) > ahead.get(tensor, 10**9)
            for tensor, old, more in zip(("weights", "inputs"), seen, new, strict=True)
        )
        outside = trip[: sum(in_time for _, in_time in loops[:outer])]
        now = (wanted[0][1], outside)
        if now != visit or full:
            end_visit()
            visit, meets, live = now, np.zeros_like(meets), np.zeros_like(live)
        if full and seen[0]:
            cycles += int(work.max())
            work, seen = np.zeros_like(work), (set(), set())
        seen = seen[0] | new[0], seen[1] | new[1]
        for unit, one in zip(own, wanted, strict=True):
            if one is None:
                continue
            (g, k, c, r, s), (n, _, _, row, column) = one
            inside = 0 <= row < inputs.shape[3] and 0 <= column < inputs.shape[4]
            weight = "weights" not in skipping or bool(weights[g, k, c, r, s])
            nonzero = "inputs" not in skipping or (inside and bool(inputs[n, g, c, row, column]))
            live[unit] |= nonzero
            meets[unit] += weight
            executed += weight and nonzero
    end_visit()
    return Simulated(cycles=cycles + int(work.max()), executed=executed, steps=steps)


def _indices(
    loops: list[tuple[tuple[str, int, int, int], bool]], trip: tuple[int, ...], position: tuple[int, ...]
) -> dict[str, int] | None:
    """Index of every dimension at a step and an array position; None where a chunk has been cut off."""
    at, left = dict.fromkeys(DIMS, 0), {}
    times, places = iter(trip), iter(position)
    for (dim, tile, _, extent), in_time in loops:
        start = next(times if in_time else places) * tile
        left[dim] = min(tile, left.get(dim, extent) - start)
        if left[dim] <= 0:
            return None
        at[dim] += start
    return at


def _elements(nest: Nest, at: dict[str, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Weight and input of a step; the input's row and column may lie outside the map."""
    row = at["P"] * nest.stride[0] + at["R"] * nest.dilation[0] - nest.pad[0]
    column = at["Q"] * nest.stride[1] + at["S"] * nest.dilation[1] - nest.pad[1]
    return (at["G"], at["K"], at["C"], at["R"], at["S"]), (at["N"], at["G"], at["C"], row, column)
