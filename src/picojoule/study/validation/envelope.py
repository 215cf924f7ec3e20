"""Layers in which all parameters differ: does energy still follow the product of the laws?

The document leaves that open. Its authors drew thousands of layers and looked at the lower envelope of their energy over
d·q·n²·r²/s²; here each of those layers is searched, and the envelope of both is fitted.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.study.validation.fits import Fit, fit
from picojoule.study.validation.points import Point
from picojoule.study.validation.reference import Measured

WINDOW = 10
"""Of so many layers that are neighbours by their term, the one of least energy belongs to the envelope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Layers of least data energy among their neighbours, and how it grows with the term.

    Attributes:
        terms: d·q·n²·r²/s² of the layers on the envelope, ascending.
        data: their energies without the MACs'.
        fit: of data on the terms.
    """

    terms: tuple[float, ...]
    data: tuple[float, ...]
    fit: Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomLayers:
    """The layers that were searched, and what the authors measured of them.

    Attributes:
        drawn, of: how many were searched, of how many that the authors have.
        seed: of the draw.
        ours, theirs: envelopes of the same layers.
        theirs_of_all: of all their layers.
        won: layers of which our energy is at most theirs.
        ratios: theirs ÷ ours: least, median and largest.
        unproved: searches that a limit stopped.
    """

    drawn: int
    of: int
    seed: int
    ours: Envelope
    theirs: Envelope
    theirs_of_all: Envelope
    won: int
    ratios: tuple[float, float, float]
    unproved: int


def draw(layers: Sequence[Measured], count: int | None, seed: int) -> list[Measured]:
    """``count`` of the layers by lot, in their order; all of them for None."""
    if count is None or count >= len(layers):
        return list(layers)
    return [layers[i] for i in sorted(random.Random(seed).sample(range(len(layers)), count))]


def lower_envelope(terms: Sequence[float], data: Sequence[float]) -> Envelope:
    """The least of every ``WINDOW`` neighbours, and its fit.

    Args:
        terms: of the layers, in any order.
        data: their energies.
    """
    pairs = sorted(zip(terms, data, strict=True))
    least = [min(pairs[i : i + WINDOW], key=lambda pair: pair[1]) for i in range(0, len(pairs), WINDOW)]
    xs, ys = zip(*least, strict=True)
    return Envelope(terms=xs, data=ys, fit=fit(xs, ys, 1))


def compare_random(
    drawn: Sequence[Measured], every: Sequence[Measured], points: Sequence[Point], seed: int
) -> RandomLayers:
    """Our searches of the layers drawn beside the authors' measurements.

    Args:
        drawn: the layers that were searched.
        every: all that the authors have.
        points: what the searches came to, in the order of ``drawn``.
        seed: of the draw.
    """
    ratios = [one.energy_pj / point.energy for one, point in zip(drawn, points, strict=True)]
    terms = [one.layer.term for one in drawn]
    return RandomLayers(
        drawn=len(drawn),
        of=len(every),
        seed=seed,
        ours=lower_envelope(terms, [point.data for point in points]),
        theirs=lower_envelope(terms, [one.data_pj for one in drawn]),
        theirs_of_all=lower_envelope([one.layer.term for one in every], [one.data_pj for one in every]),
        won=sum(1 for ratio in ratios if ratio >= 1),
        ratios=(min(ratios), statistics.median(ratios), max(ratios)),
        unproved=sum(1 for point in points if point.status != "PROVED"),
    )
