"""The best way to cut a run of layers into pieces, whose costs become known only as far as they must be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol


class Piece(Protocol):
    """Layers that run together: one of them, or a group.

    Attributes:
        bound: nothing that they can cost is less; infinite if they can't run so.
        value: the best known cost; infinite while none is.
        settled: whether ``refine`` could do no more.
    """

    bound: float
    value: float
    settled: bool

    def refine(self) -> None:
        """Brings bound and value closer together."""


Cut = tuple[int, int]
"""First layer of a piece, and the one behind its last."""


def cheapest(count: int, costs: Mapping[Cut, float]) -> tuple[float, list[Cut]]:
    """The least sum of costs of pieces that cover the layers 0 … count − 1 one after the other, and those pieces.

    Equal sums: the shortest last piece wins, so that nothing is put together for nothing. Infinite, and no pieces, if there is
    no way.
    """
    best = [0.0] + [math.inf] * count
    last: list[Cut | None] = [None] * (count + 1)
    for (first, end), cost in sorted(costs.items(), key=lambda item: (item[0][1], -item[0][0])):
        if best[first] + cost < best[end]:
            best[end], last[end] = best[first] + cost, (first, end)
    pieces: list[Cut] = []
    at = count
    while at and last[at] is not None:
        cut = last[at]
        assert cut is not None
        pieces.append(cut)
        at = cut[0]
    return best[count], pieces[::-1]


def best_cuts(count: int, pieces: Mapping[Cut, Piece], enough: float = math.inf) -> tuple[float, float, list[Cut]]:
    """``(value, bound, pieces)`` of the cheapest way to cut: no way costs less than ``bound``.

    The pieces on the way that is cheapest by its bounds are refined until there is nothing to refine on it: then every other
    way is no better. ``enough``: a value at hand; ways that can't get below it need no look.
    """
    while True:
        bound, way = cheapest(count, {cut: piece.bound for cut, piece in pieces.items()})
        rough = [pieces[cut] for cut in way if not pieces[cut].settled]
        if not rough or bound >= enough:
            break
        for piece in rough:
            piece.refine()
    value, chosen = cheapest(count, {cut: piece.value for cut, piece in pieces.items()})
    return value, min(bound, value), chosen
