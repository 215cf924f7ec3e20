"""One dimension cut by a mapping: how many chunks, how many indices, which ones.

Every node that cuts a dimension plays one of three parts in a count:

* ``APART``: its chunks are told apart (each is another visit, or another array position);
* ``UNITED``: its chunks are merged into one set (they are inside the tile that is looked at);
* ``FIRST``: only its first chunk counts (the array position that is never clipped).

Chunks of one node are equal but for the last, which may be shorter, and a shorter range is cut like the front of a
longer one. So a count needs only two cases per node, full and last, and never looks at single indices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum


class Part(Enum):
    """What the chunks of a node are to a count; see the module."""

    APART = "apart"
    UNITED = "united"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Cut:
    """A node of the mapping that cuts a dimension into chunks of ``tile``.

    Attributes:
        place: index of the node in the mapping.
        dim: loop letter.
        tile: indices per chunk.
        count: chunks of a full range.
        fanout, axis: where chunks go if they are spread over an array; None for a loop in time.
    """

    place: int
    dim: str
    tile: int
    count: int
    fanout: str | None = None
    axis: str | None = None


Parts = Callable[[Cut], Part]
Shapes = dict[tuple[int, ...], int]


def visits(cuts: Sequence[Cut], size: int, part: Parts) -> int:
    """Combinations of told-apart chunks that hold at least one index of a dimension of ``size``."""
    ranges = {size: 1}  # how many ranges of each length reach the next cut
    for cut in cuts:
        arriving: dict[int, int] = {}
        for length, number in ranges.items():
            full, last = divmod(length, cut.tile)
            # Merged chunks: the first is the longest, and every other one is cut like its front.
            pieces = ((cut.tile, full), (last, 1)) if part(cut) is Part.APART else ((min(length, cut.tile), 1),)
            for piece, times in pieces:
                if piece and times:
                    arriving[piece] = arriving.get(piece, 0) + number * times
        ranges = arriving
    return sum(ranges.values())


def indices(cuts: Sequence[Cut], size: int, part: Parts) -> int:
    """Indices that lie in the first chunk of every ``FIRST`` cut; the other parts make no difference."""
    return visits(cuts, size, lambda cut: Part.FIRST if part(cut) is Part.FIRST else Part.APART)


def shapes(cuts: Sequence[Cut], size: int, part: Parts, spacing: int) -> Shapes:
    """The set of indices of every combination of told-apart chunks.

    Args:
        spacing: index i sets bit i × spacing (the stride or the dilation of a window).

    Returns:
        From the chunk numbers of the ``APART`` cuts, outermost first, to a set of bits; empty sets are left out.
    """
    known: dict[tuple[int, int], Shapes] = {}

    def shape(depth: int, size: int) -> Shapes:
        if depth == len(cuts):
            return {(): 1}
        if (depth, size) not in known:
            known[depth, size] = cut_shape(depth, size)
        return known[depth, size]

    def cut_shape(depth: int, size: int) -> Shapes:
        cut, kind = cuts[depth], part(cuts[depth])
        result: Shapes = {}
        for chunk, start in enumerate(range(0, min(size, cut.tile) if kind is Part.FIRST else size, cut.tile)):
            for key, bits in shape(depth + 1, min(cut.tile, size - start)).items():
                here = (chunk, *key) if kind is Part.APART else key
                result[here] = result.get(here, 0) | bits << start * spacing
        return result

    return shape(0, size)


def sums(first: int, second: int) -> int:
    """The set of all sums of a member of ``first`` and a member of ``second``; sets are bits of a number."""
    if first.bit_count() < second.bit_count():
        first, second = second, first
    result = 0
    while second:
        lowest = second & -second
        result |= first << (lowest.bit_length() - 1)
        second ^= lowest
    return result
