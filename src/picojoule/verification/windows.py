"""Rows (or columns) of the inputs that a boundary moves, counted as sets of (who, row) pairs.

Outputs and taps are cut into chunks; a chunk of outputs and one of taps touch a set of rows together. Equations W and 2
of ``docs/explanation/map-space.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

Axis = tuple[int, int, int, int, int, int]
"""Outputs, taps, stride, dilation, leading pad, size of the input, as ``Nest.window`` has them."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """How outputs, or taps, are cut: ``tile`` of them in a tile of one child, ``across`` children in one delivery."""

    tile: int
    across: int


@cache
def touched_by_chunks(axis: Axis, outputs_tile: int, taps_tile: int) -> int:
    """Rows of the map that every chunk of outputs with every chunk of taps touches, added up."""
    rows, inside = _rows(axis)
    first = np.arange(axis[0]) // outputs_tile
    second = np.arange(axis[1]) // taps_tile
    chunk = first[:, None] * (second[-1] + 1) + second[None, :]
    return len(np.unique((chunk * axis[5] + rows)[inside]))


@cache
def tile_rows(axis: Axis, outputs_tile: int, taps_tile: int) -> int:
    """Rows that one tile in the middle of the map holds."""
    outputs, taps = np.arange(min(outputs_tile, axis[0])), np.arange(min(taps_tile, axis[1]))
    return len(np.unique(outputs[:, None] * axis[2] + taps[None, :] * axis[3]))


@cache
def slid(
    axis: Axis, outputs: Tiling, taps: Tiling, *, along_taps: bool, reach: int, outside: bool, apart: int
) -> tuple[int, int]:
    """``(sent, received)`` rows where a loop moves the window on and what the last tile held is not fetched again.

    Args:
        axis: the window.
        outputs, taps: how they are cut.
        along_taps: whether the loop runs over taps and not over outputs.
        reach: indices that the loop covers for each child.
        outside: the children have a region of ``reach`` each; otherwise they stand inside the loop, side by side.
        apart: positions outside the parent that stand inside the loop: the next tile lies that much further on.
    """
    rows, inside = _rows(axis)
    moving, still = (taps, outputs) if along_taps else (outputs, taps)
    size = axis[5]
    index = np.arange(axis[1] if along_taps else axis[0])
    if outside:
        # Blocks of all children's regions; in a region, step by step.
        steps = -(-reach // moving.tile)
        region, within = index // reach, index % reach
        step = within // moving.tile
        tile, delivery = region * steps + step, region // moving.across * steps + step
        back = 1
    else:
        # Blocks of all steps; in a step the parents, and in a parent its children, side by side.
        block = reach * moving.across * apart
        per_block = -(-block // moving.tile)
        number = index % block // moving.tile
        step = number // (moving.across * apart)
        tile = index // block * per_block + number
        delivery = tile // moving.across
        back = moving.across * apart
    others = np.arange(axis[0] if along_taps else axis[1]) // still.tile
    count = int(others[-1]) + 1
    if along_taps:
        rows, inside = rows.T, inside.T
    who = tile[:, None] * count + others[None, :]
    pairs = np.unique((who * size + rows)[inside])
    steps_of = np.zeros(int(tile.max()) + 1, dtype=np.int64)
    served_by = np.zeros_like(steps_of)
    steps_of[tile], served_by[tile] = step, delivery
    mover, rest = pairs // (count * size), pairs % (count * size)
    held = (steps_of[mover] > 0) & np.isin(pairs - back * count * size, pairs, assume_unique=True)
    mover, rest = mover[~held], rest[~held]
    other, row = rest // size, rest % size
    deliveries = (served_by[mover] * count + other // still.across) * size + row
    return len(np.unique(deliveries)), len(mover)


@cache
def _rows(axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """``[output, tap]``: the row of the map, and whether it is none of the padding."""
    outputs, taps, stride, dilation, pad, size = axis
    rows = np.arange(outputs)[:, None] * stride + np.arange(taps)[None, :] * dilation - pad
    return rows, (rows >= 0) & (rows < size)
