"""Compiled: states marked in whole numbers, so that a point's marks are one look."""

from __future__ import annotations

import numba

WORD = 62
"""States marked in one whole number."""


@numba.njit(cache=True)
def has(alive, point, state):
    """Whether a state is marked at a point."""
    return alive[point, state // WORD] >> state % WORD & 1 != 0


@numba.njit(cache=True)
def marked(marks, state):
    """Whether a state is marked at the point at hand."""
    return marks[state // WORD] >> state % WORD & 1 != 0
