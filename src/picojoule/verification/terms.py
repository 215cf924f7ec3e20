"""What the keeps of a part cost and need at every extent: equations 1 to 6 of ``docs/explanation/map-space.md``.

A part is a choice of levels with a spatial assignment. Spreads of N, K and C stand outside all loops; visits along them
are counted chunk by chunk (``chunks``). Spreads of P, Q, R and S stand where the inputs want them; a visit covers at
most extent × positions indices, which is what these are counted by: exact where factors divide, never too many
otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.verification.chunks import Cut, Part, indices, visits
from picojoule.verification.space import Ladder, Paths, Way, ladder
from picojoule.verification.windows import Tiling, slid, tile_rows, touched_by_chunks
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

Price = Callable[[Level, str, str], float]
"""What moving one bit costs: (level, direction, tensor) → cost."""

TIMED = ("N", "K", "C", "P", "Q", "R", "S")
"""Dimensions that boundaries cut; the loop over G is outermost and cuts nothing."""
WINDOWS = (("rows", "P", "R"), ("columns", "Q", "S"))
Spread = tuple[int, ...]
"""Positions of one dimension, by fan-out."""
Fans = frozenset[int]
_SINGLE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A keep inside the home, with the fan-outs around its two ends.

    Attributes:
        level, parent: None as level stands for the MACs.
        outside, outside_parent: fan-outs outside the level and outside its parent.
        served: fan-outs whose positions the parent serves one by one.
        shared: whether some fan-out in between shares windows (then all are taken to: a lower bound).
        price_sent, price_received: of all elements of the tensor once, at the parent and at the level.
    """

    tensor: str
    level: Level | None
    parent: Level
    outside: Fans
    outside_parent: Fans
    served: Fans
    shared: bool
    price_sent: float
    price_received: float


class Terms:
    """A layer on a machine with the levels of every tensor chosen.

    Args:
        nest, machine, bits: the layer, the machine, the widths.
        paths: levels that hold each tensor, outermost first.
        price: what moving a bit costs.
        exact: whether factors divide their dimension.
    """

    def __init__(
        self, nest: Nest, machine: Accelerator, bits: Bits, paths: Paths, price: Price, *, exact: bool
    ) -> None:
        self.nest, self.machine, self.bits, self.paths = nest, machine, bits, paths
        self.price, self.exact = price, exact
        self.elements = {t: nest.elements(t) for t in TENSORS}
        # Rows and columns of the inputs are counted by the windows.
        self.elements["inputs"] = nest.N * nest.G * nest.C
        self.keeps = {t: tuple(self._keep(t, i) for i in range(len(paths[t]) - 1, 0, -1)) for t in TENSORS}
        self.operands = {t: self._keep(t, len(paths[t])) for t in TENSORS}
        self.slides = any(nest.window(axis)[1] > 1 for axis, _, _ in WINDOWS) and bool(self.keeps["inputs"])
        home, psums = paths["outputs"][0], self.elements["outputs"] * bits.psums
        # What a finished output costs more (or less) than a partial sum, and what each copy's first touch spares.
        self.finished = self.elements["outputs"] * bits.outputs * price(home, "finish", "outputs")
        self.finished -= psums * price(home, "update", "outputs")
        self.first_touches = [
            (
                psums * (price(x, "return", "outputs") + (price(x, "write", "outputs") if x is not home else 0)),
                self._outside(x),
            )
            for x in paths["outputs"]
        ]
        self._visits: dict[tuple[str, Spread, Fans, int], int] = {}
        self._windows: dict[object, np.ndarray] = {}

    def _keep(self, tensor: str, inner: int) -> Keep:
        """The step from ``path[inner - 1]`` to ``path[inner]``, or to the MACs."""
        path = self.paths[tensor]
        parent, level = path[inner - 1], path[inner] if inner < len(path) else None
        outside, outside_parent = self._outside(level), self._outside(parent)
        fanouts = self.machine.fanouts
        shares = {f for f, x in enumerate(fanouts) if (x.reduction if tensor == "outputs" else x.multicast)}
        between = outside - outside_parent
        width, elements = self.bits.stored(tensor), self.elements[tensor]
        if tensor == "outputs":
            # Updates of the parent, and the running sums that it returns; drains and refills of the level.
            sent = self.price(parent, "update", tensor) + self.price(parent, "return", tensor)
            received = self.price(level, "read", tensor) + self.price(level, "write", tensor) if level else 0.0
        else:
            sent = self.price(parent, "read", tensor)
            received = self.price(level, "write", tensor) if level else 0.0
        return Keep(
            tensor=tensor,
            level=level,
            parent=parent,
            outside=outside,
            outside_parent=outside_parent,
            served=outside_parent | (between - shares),
            shared=not between or bool(between & shares),
            price_sent=elements * width * sent,
            price_received=elements * width * received,
        )

    def _outside(self, level: Level | None) -> Fans:
        names = self.machine.fanouts_outside(level.name if level else None)
        return frozenset(f for f, fanout in enumerate(self.machine.fanouts) if fanout.name in names)

    # One dimension ----------------------------------------------------------------------------------------------------

    def left(self, dim: str, spread: Spread) -> int:
        """Indices per array position."""
        return -(-self.nest.dims[dim] // math.prod(spread))

    def ladder(self, dim: str, spread: Spread) -> Ladder:
        """Extents in time; where neighbours split a window dimension only divisors."""
        split = dim in "PQRS" and math.prod(spread) > 1
        return ladder(self.left(dim, spread), self.exact or split)

    def visits(self, dim: str, spread: Spread, apart: Fans, extent: int) -> int:
        """Equation 6: visits of a boundary at ``extent``, the positions of the fan-outs ``apart`` told apart."""
        key = dim, spread, apart, extent
        if key not in self._visits:
            self._visits[key] = self._count_visits(*key)
        return self._visits[key]

    def _count_visits(self, dim: str, spread: Spread, apart: Fans, extent: int) -> int:
        if dim in "PQRS":
            together = math.prod(n for f, n in enumerate(spread) if f not in apart)
            return -(-self.nest.dims[dim] // (extent * together))
        return visits(self._cuts(dim, spread, extent), self.nest.dims[dim], self._part(apart, Part.UNITED, Part.APART))

    def copies(self, dim: str, spread: Spread, apart: Fans) -> int:
        """Positions of the fan-outs ``apart`` that ever work on the dimension; for R and S perhaps fewer."""
        if dim in "PQRS":
            return min(math.prod(n for f, n in enumerate(spread) if f in apart), self.nest.dims[dim])
        cuts = self._cuts(dim, spread, self.left(dim, spread))[:-1]
        return visits(cuts, self.nest.dims[dim], self._part(apart, Part.UNITED, Part.APART))

    def tile(self, dim: str, spread: Spread, outside: Fans, extent: int) -> int:
        """Indices in the largest tile at ``extent`` of a level that the fan-outs ``outside`` multiply."""
        size = self.nest.dims[dim]
        if dim in "PQRS":
            return min(size, extent * math.prod(n for f, n in enumerate(spread) if f not in outside))
        part = self._part(outside, Part.APART, Part.FIRST, Part.FIRST)
        single = Cut(_SINGLE, dim, 1, 0)
        return indices(
            (*self._cuts(dim, spread, extent), single), size, lambda cut: Part.APART if cut is single else part(cut)
        )

    def _cuts(self, dim: str, spread: Spread, extent: int) -> tuple[Cut, ...]:
        """Spreads outside, the loop in time inside; for G the other way round."""
        tile = self.left(dim, spread) if dim != "G" else 1
        cuts = []
        for f in reversed(range(len(spread))):
            cuts.append(Cut(f, dim, tile, spread[f], self.machine.fanouts[f].name))
            tile *= spread[f]
        cuts.reverse()
        loop = Cut(len(spread), dim, extent if dim != "G" else tile, 0)
        return (loop, *cuts) if dim == "G" else (*cuts, loop)

    @staticmethod
    def _part(fans: Fans, others: Part, those: Part = Part.APART, loop: Part = Part.APART) -> Callable[[Cut], Part]:
        def part(cut: Cut) -> Part:
            return loop if cut.fanout is None else those if cut.place in fans else others

        return part

    # Windows of the inputs --------------------------------------------------------------------------------------------

    def plain(self, axis: int, keep: Keep, spreads: tuple[Spread, Spread]) -> np.ndarray:
        """Equation W: ``[sent or received, extent of outputs, extent of taps]`` rows."""
        key = "plain", axis, id(keep), spreads
        if key not in self._windows:
            window, inside, across = self._axis(axis, keep, spreads)
            sides = [(across if keep.shared else (1, 1)), (1, 1)]
            rungs = self._rungs(axis, spreads)
            self._windows[key] = np.array(
                [
                    [
                        [touched_by_chunks(window, p * inside[0] * a, r * inside[1] * b) for r in rungs[1].extents]
                        for p in rungs[0].extents
                    ]
                    for a, b in sides
                ],
                dtype=np.float64,
            )
        return self._windows[key]

    def operand_window(self, axis: int, spreads: tuple[Spread, Spread]) -> int:
        """Rows that the innermost level sends to MACs that read anew each time."""
        keep = self.operands["inputs"]
        window, _, across = self._axis(axis, keep, spreads)
        return touched_by_chunks(window, *(across if keep.shared else (1, 1)))

    def sliding(
        self, axis: int, keep: Keep, spreads: tuple[Spread, Spread], along: int, *, outside: bool, between: Fans
    ) -> np.ndarray | None:
        """Equation 2: ``[sent or received, extent of outputs, extent of taps, reach]`` rows; None where such a slide
        is no other than one with the children inside.

        Args:
            along: 0 for a loop over outputs, 1 over taps.
            outside: the children stand outside the loop.
            between: fan-outs outside the parent that stand inside the loop.
        """
        window, inside, across = self._axis(axis, keep, spreads)
        if outside and across[along] == 1:
            return None
        apart = math.prod(spreads[along][f] for f in between)
        key = "slide", axis, id(keep), spreads, along, outside, apart
        if key not in self._windows:
            rungs = self._rungs(axis, spreads)
            moving = rungs[along]
            shape = (2, len(rungs[0].extents), len(rungs[1].extents), len(moving.extents))
            table = np.full(shape, np.inf)
            for i, p in enumerate(rungs[0].extents):
                for j, r in enumerate(rungs[1].extents):
                    for e in np.flatnonzero(moving.under[(i, j)[along]]):
                        sent, received = slid(
                            window,
                            Tiling(p * inside[0], across[0]),
                            Tiling(r * inside[1], across[1]),
                            along_taps=along == 1,
                            reach=moving.extents[e] * inside[along],
                            outside=outside,
                            apart=apart,
                        )
                        table[:, i, j, e] = sent if keep.shared else received, received
            self._windows[key] = table
        return self._windows[key]

    def tile_windows(self, axis: int, keep: Keep, spreads: tuple[Spread, Spread]) -> np.ndarray:
        """``[extent of outputs, extent of taps]`` rows in a tile."""
        window, inside, _ = self._axis(axis, keep, spreads)
        outputs, taps = self._rungs(axis, spreads)
        return np.array(
            [[tile_rows(window, p * inside[0], r * inside[1]) for r in taps.extents] for p in outputs.extents],
            dtype=np.float64,
        )

    def slide_forms(self, k: int, run: int) -> Iterator[tuple[bool, list[Fans]]]:
        """How keeps k, k − 1, … of the inputs, ``run`` of them, slide together: whether the spreads directly above the
        outermost stand outside the loop, and for each the fan-outs outside its parent that stand inside it."""
        keeps = self.keeps["inputs"]
        for outside in (False, True):
            beyond = keeps[k].outside if outside else keeps[k].outside_parent
            yield outside, [keeps[k - q].outside_parent - beyond for q in range(run)]

    def fewest(self, axis: int, k: int, spreads: tuple[Spread, Spread]) -> np.ndarray:
        """``[sent, received]``: the fewest rows of keep k, wherever it stands and whatever slides with it."""
        keep = self.keeps["inputs"][k]
        least = self.plain(axis, keep, spreads).min(axis=(1, 2))
        if not self.slides:
            return least
        forms = {(outside, fans[0]) for outside, fans in self.slide_forms(k, 1)}
        for outermost in range(k + 1, len(self.keeps["inputs"])):
            run = outermost - k + 1
            forms |= {(False, fans[-1]) for _, fans in self.slide_forms(outermost, run)}
        for along in (0, 1):
            for outside, between in forms:
                table = self.sliding(axis, keep, spreads, along, outside=outside, between=between)
                if table is not None:
                    least = np.minimum(least, table.min(axis=(1, 2, 3)))
        return least

    def _axis(
        self, axis: int, keep: Keep, spreads: tuple[Spread, Spread]
    ) -> tuple[tuple[int, int, int, int, int, int], tuple[int, int], tuple[int, int]]:
        """The window; positions inside the level, which widen its tile; positions between it and its parent."""
        between = keep.outside - keep.outside_parent
        inside = tuple(math.prod(n for f, n in enumerate(s) if f not in keep.outside) for s in spreads)
        across = tuple(math.prod(s[f] for f in between) for s in spreads)
        return self.nest.window(WINDOWS[axis][0]), (inside[0], inside[1]), (across[0], across[1])

    def _rungs(self, axis: int, spreads: tuple[Spread, Spread]) -> tuple[Ladder, Ladder]:
        _, outputs, taps = WINDOWS[axis]
        return self.ladder(outputs, spreads[0]), self.ladder(taps, spreads[1])


def spreads_of(way: Way) -> dict[str, Spread]:
    """By dimension, positions by fan-out."""
    return {d: tuple(row[i] for row in way) for i, d in enumerate(DIMS)}


def irrelevant(tensor: str) -> str:
    """The dimensions along which a boundary of the tensor is visited again and again."""
    return "".join(d for d in TIMED if d not in RELEVANT[tensor])
