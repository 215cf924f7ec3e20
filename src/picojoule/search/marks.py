"""Compiled: states marked in whole numbers, so that a point's marks are one look."""

from __future__ import annotations

import numba
import numpy as np

WORD = 62
"""States marked in one whole number."""


@numba.njit(cache=True, forceinline=True)
def has(alive, point, state):
    """Whether a state is marked at a point."""
    return alive[point, state // WORD] >> state % WORD & 1 != 0


@numba.njit(cache=True, forceinline=True)
def marked(marks, state):
    """Whether a state is marked at the point at hand."""
    return marks[state // WORD] >> state % WORD & 1 != 0


@numba.njit(cache=True, forceinline=True)
def mark(marks, state):
    """Marks a state at the point at hand."""
    marks[state // WORD] |= 1 << state % WORD


@numba.njit(cache=True)
def placed_by_state(keeps):
    """``[state, tensor]``: how many keeps of each tensor a state has placed; divisions cost more than looking it up."""
    n_i, n_o = keeps[1] + 1, keeps[2] + 1
    placed = np.empty(((keeps[0] + 1) * n_i * n_o, 3), np.int64)
    for s in range(len(placed)):
        placed[s, 0], placed[s, 1], placed[s, 2] = s // (n_i * n_o), s % (n_i * n_o) // n_o, s % n_o
    return placed
