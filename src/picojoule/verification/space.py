"""The map space as ``docs/explanation/map-space.md`` declares it, enumerated anew: choices of levels, spatial
assignments, extents in time.

The search joins axis by axis; here each dimension first lists its own ways over all axes, and the dimensions are then
put together as far as the axes have room.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.workload.nest import DIMS, TENSORS, Nest

Paths = dict[str, tuple[Level, ...]]
"""The levels that hold each tensor, outermost first."""

Way = tuple[tuple[int, ...], ...]
"""A spatial assignment: ``[fan-out, outermost first][dimension of eight]``, how many positions it is spread over."""


def level_choices(machine: Accelerator) -> Iterator[Paths]:
    """Every use of the levels that a tensor may live in or pass by."""
    per_tensor = []
    for tensor in TENSORS:
        optional = [level.name for level in machine.levels if tensor in level.may_keep]
        used = itertools.chain.from_iterable(itertools.combinations(optional, n) for n in range(len(optional) + 1))
        per_tensor.append([tuple(x for x in machine.levels if tensor in x.keeps or x.name in names) for names in used])
    for paths in itertools.product(*per_tensor):
        yield dict(zip(TENSORS, paths, strict=True))


def ways(nest: Nest, machine: Accelerator, *, spread_groups: bool, exact: bool) -> list[Way]:
    """Every spatial assignment of the space.

    With exact factors, those whose product divides the dimension. Otherwise those that waste no position: no axis
    could do with fewer and leave as much to each, nor could whole fan-outs.
    """
    fanouts = machine.fanouts
    if not fanouts:
        return [()]
    sizes = np.array([axis.size for fanout in fanouts for axis in fanout.axes], dtype=np.int64)
    used = np.ones((1, len(sizes)), dtype=np.int64)
    chosen = np.ones((1, 0), dtype=np.int64)
    for dim in DIMS:
        allowed = dim != "G" or spread_groups
        options = list(_dimension_ways(nest.dims[dim], dim, fanouts, exact)) if allowed else []
        grown = []
        for option in options or [((1,) * len(sizes), (1,) * len(fanouts))]:
            more = used * np.array(option[0], dtype=np.int64)
            room = (more <= sizes).all(axis=1)
            factors = np.broadcast_to(np.array(option[1], dtype=np.int64), (int(room.sum()), len(fanouts)))
            grown.append(np.hstack([more[room], chosen[room], factors]))
        states = np.unique(np.concatenate(grown), axis=0)
        used, chosen = states[:, : len(sizes)], states[:, len(sizes) :]
    # Splits over the axes of one fan-out are one way.
    different = np.unique(chosen, axis=0).reshape(-1, len(DIMS), len(fanouts)).transpose(0, 2, 1)
    found: list[Way] = [tuple(tuple(row) for row in way) for way in different.tolist()]
    return found if exact else _without_idle(found, nest)


def _without_idle(found: list[Way], nest: Nest) -> list[Way]:
    """Leaves out ways beside which another gives as much to each position with fewer positions of some fan-out, and more
    of none."""
    alike: dict[tuple[int, ...], list[Way]] = defaultdict(list)
    for way in found:
        alike[tuple(-(-nest.dims[d] // math.prod(row[i] for row in way)) for i, d in enumerate(DIMS))].append(way)

    def idles(way: Way, other: Way) -> bool:
        pairs = [(a, b) for row, less in zip(way, other, strict=True) for a, b in zip(row, less, strict=True)]
        return way != other and all(a >= b for a, b in pairs)

    return [way for ways in alike.values() for way in ways if not any(idles(way, other) for other in ways)]


def _dimension_ways(
    size: int, dim: str, fanouts: tuple[FanOut, ...], exact: bool
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(positions per axis, positions per fan-out) of one dimension, as if it had the array for itself."""
    per_fanout = [list(_fanout_ways(size, dim, fanout, exact)) for fanout in fanouts]

    def extend(axes: tuple[int, ...], totals: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        if len(totals) == len(fanouts):
            yield axes, totals
            return
        for mine in per_fanout[len(totals)]:
            if _fits(size, axes + mine, exact):
                yield from extend(axes + mine, (*totals, math.prod(mine)))

    yield from extend((), ())


def _fanout_ways(size: int, dim: str, fanout: FanOut, exact: bool) -> Iterator[tuple[int, ...]]:
    """Positions per axis of one fan-out."""
    choices = [range(1, min(axis.size, size) + 1) if dim in axis.dims else (1,) for axis in fanout.axes]
    yield from (factors for factors in itertools.product(*choices) if _fits(size, factors, exact))


def _fits(size: int, factors: tuple[int, ...], exact: bool) -> bool:
    """Whether these positions per axis divide a dimension, or at least waste none: fewer along any axis would leave more
    to each."""
    total = math.prod(factors)
    if exact:
        return size % total == 0
    left = -(-size // total)
    return all(-(-size // (left * (total // factor))) == factor for factor in factors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Extents in time that a boundary may have in one dimension, ascending.

    Attributes:
        extents: the last of them is all that is left per array position.
        under: ``under[i, j]``: a boundary at i may stand inside one at j, i < j.
        steps: ``(i, j)`` of those with none in between, j ascending.
    """

    extents: tuple[int, ...]
    under: np.ndarray
    steps: tuple[tuple[int, int], ...]


@cache
def ladder(left: int, exact: bool) -> Ladder:
    """The extents of a dimension of which ``left`` indices go to each array position."""
    numbers = range(1, left + 1)
    found = {n for n in numbers if left % n == 0} | (set() if exact else {-(-left // n) for n in numbers})
    extents = tuple(sorted(found))
    under = np.array(
        [[u < v and (v % u == 0 or (not exact and v == left)) for v in extents] for u in extents], dtype=bool
    )
    between = (under.astype(np.int64) @ under.astype(np.int64)) > 0
    steps = sorted(((int(i), int(j)) for i, j in np.argwhere(under & ~between)), key=lambda step: step[1])
    return Ladder(extents=extents, under=under, steps=tuple(steps))
