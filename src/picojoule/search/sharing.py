"""Memories that hold several tensors: what doesn't fit together is split into two cases, in each of which less room
is shared.

``docs/explanation/map-space.md`` says why no mapping is lost and why the splitting ends.
"""

from __future__ import annotations

import math

import numpy as np

from picojoule.search.problem import Problem


def overfull(problem: Problem, sizes: list[float]) -> tuple[list[int], list[float]] | None:
    """The places of the first level whose tiles don't fit together, and the bits of each; None if all fit."""
    for level in {place.level.name: place.level for place in problem.places}.values():
        mine = [m for m, place in enumerate(problem.places) if place.level is level]
        used = [sizes[m] for m in mine]
        if level.usable_bits is not None and sum(used) > level.usable_bits:
            return mine, used
    return None


def halves(
    problem: Problem, room: np.ndarray, used_at_least: np.ndarray, mine: list[int], used: list[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two rooms that cover every way to share the level without the one that overfills it.

    One place is chosen and its tile is either at most k bits, or larger: then the others have so much less.
    """
    cap = problem.places[mine[0]].level.usable_bits
    assert cap is not None
    chosen = max(range(len(mine)), key=lambda i: used[i] - used_at_least[mine[i]])
    m = mine[chosen]
    if used[chosen] <= used_at_least[m]:
        return []  # what the tiles need at least overfills the level, too
    others = sum(max(used[i], used_at_least[mine[i]]) for i in range(len(mine)) if i != chosen)
    k = math.floor((max(cap - others, used_at_least[m]) + used[chosen] - 1) / 2)
    small = room.copy()
    small[m] = k
    least = used_at_least.copy()
    least[m] = k + 1
    rest = room.copy()
    for i in mine:
        if i != m:
            rest[i] = min(rest[i], cap - sum(least[j] for j in mine if j != i))
    return [(small, used_at_least), (rest, least)]
