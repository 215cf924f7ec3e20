"""What a machine's rules for tiles leave of the points where a keep may stand, and of the loops outside of it.

Along a dimension that selects no element of the tensor, a tile stays in place through a stretch of loops, and a rule may
look at any place of it. So "at least" is asked where the stretch ends, at the point that is paid for; and where a tile
covers too much already, no loop that moves it may follow before it is placed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.verification.space import Ladder
from picojoule.verification.terms import TIMED, Keep, Terms, irrelevant
from picojoule.workload.nest import TENSORS


@dataclass(frozen=True, slots=True, kw_only=True)
class TileLimits:
    """The rules about one keep, over all points of a part.

    Attributes:
        stands: where the keep may be placed, as far as rules go.
        over: where its tile covers too much along a dimension that selects none of its elements.
    """

    stands: np.ndarray
    over: np.ndarray


def tile_limits(terms: Terms, spread: dict[str, tuple[int, ...]], ladders: Sequence[Ladder], keep: Keep) -> TileLimits:
    """The rules that the keep's level has for the keep's tensor."""
    shape = (1,) * len(TIMED)
    stands, over = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for rule in keep.level.tiles if keep.level else ():
        if rule.tensor != keep.tensor:
            continue
        apart = math.prod(n for f, n in enumerate(spread[rule.dim]) if f in keep.outside)
        there = -(-terms.nest.dims[rule.dim] // apart)
        least = there if rule.all else min(rule.least or 0, there)
        most = math.inf if rule.most is None else rule.most
        if rule.dim == "G":  # no boundary lies outside the loop over groups
            groups = terms.tile("G", spread["G"], keep.outside, 1)
            stands = stands & (least <= groups <= most)
            continue
        at = TIMED.index(rule.dim)
        extents = ladders[at].extents
        covers = np.array([terms.tile(rule.dim, spread[rule.dim], keep.outside, x) for x in extents])
        covers = covers.reshape([-1 if d == at else 1 for d in range(len(TIMED))])
        stands = stands & (covers >= least)
        if rule.dim not in irrelevant(keep.tensor):
            stands = stands & (covers <= most)
        elif covers.flat[0] > most:  # the arrays inside are too much by themselves
            stands = np.zeros(shape, dtype=bool)
        else:
            over = over | (covers > most)
    return TileLimits(stands=stands, over=over)


def barred(limits: dict[str, list[TileLimits]], placed: tuple[int, ...]) -> dict[int, np.ndarray]:
    """For every dimension (of seven) over which a loop may be forbidden: the points where it is.

    Args:
        limits: of the keeps of each tensor, from the innermost.
        placed: how many keeps of weights, inputs, outputs are placed.
    """
    result: dict[int, np.ndarray] = {}
    for tensor, done in zip(TENSORS, placed, strict=True):
        for waiting in limits[tensor][done:]:
            if not waiting.over.any():
                continue
            for at, dim in enumerate(TIMED):
                if dim not in irrelevant(tensor):
                    result[at] = result[at] | waiting.over if at in result else waiting.over
    return result
