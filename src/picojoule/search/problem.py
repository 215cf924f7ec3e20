"""The numbers that the shortest-chain kernel needs for one layer on one machine under one spatial assignment.

Equations and notation: ``docs/explanation/map-space.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.search.assignment import divisors
from picojoule.search.chain import DIMENSIONS
from picojoule.search.windows import window_extent, window_tables
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

Price = Callable[[Level, str, str], float]
"""Cost of moving one bit: (level, direction, tensor) → cost. For energy, ``Level.energy_per_bit``."""

AXES = {"rows": ("P", "R"), "columns": ("Q", "S")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A keep whose boundary the search is to find: a level, the tensor, and the parent it is filled from."""

    tensor: str
    level: Level
    parent: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One call of the kernel: its arguments, and what the chain doesn't decide."""

    constant: float
    least: float
    arrays: tuple[object, ...]
    count: np.ndarray
    extents: np.ndarray


class Problem:
    """A layer on a machine with the levels of every tensor chosen; makes a ``Chain`` for each spatial assignment."""

    def __init__(
        self, nest: Nest, accelerator: Accelerator, bits: Bits, paths: dict[str, tuple[Level, ...]], price: Price
    ) -> None:
        self.nest, self.accelerator, self.bits, self.paths, self.price = nest, accelerator, bits, paths, price
        self.places = [
            Place(tensor=t, level=paths[t][i], parent=paths[t][i - 1])
            for t in TENSORS
            for i in range(len(paths[t]) - 1, 0, -1)
        ]
        self.fanouts: tuple[FanOut, ...] = accelerator.fanouts
        axis_of = [i for i, f in enumerate(self.fanouts) for _ in f.axes]
        self._axis_of = np.array(axis_of, dtype=np.int64)
        self._outside = {
            name: np.array([f.name in accelerator.fanouts_outside(name) for f in self.fanouts], dtype=bool)
            for name in [level.name for level in accelerator.levels]
        }
        self._everything = np.ones(len(self.fanouts), dtype=bool)
        self._windows = {
            axis: np.array(nest.window(axis), dtype=np.int64) for axis in AXES
        }
        self.sliding = any(nest.window(axis)[1] > 1 for axis in AXES)
        self._tables: dict[tuple[object, ...], tuple[np.ndarray, ...]] = {}
        self._extents: dict[tuple[object, ...], np.ndarray] = {}
        self._lattices: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        counts = [sum(p.tensor == t for p in self.places) for t in TENSORS]
        self.keeps = np.array(counts, dtype=np.int64)
        self.first = np.array([0, counts[0], counts[0] + counts[1]], dtype=np.int64)

    def factors(self, assignment: np.ndarray) -> np.ndarray:
        """``[fan-out, dimension]`` spread factors of an assignment ``[axis, dimension]``."""
        result = np.ones((len(self.fanouts), len(DIMS)), dtype=np.int64)
        for axis, row in enumerate(assignment):
            result[self._axis_of[axis]] *= row
        return result

    def chain(self, assignment: np.ndarray, room: np.ndarray) -> Chain:
        """The kernel's arguments for one assignment, with ``room`` bits for every place."""
        spread = self.factors(assignment)
        per_position = {d: getattr(self.nest, d) // int(spread[:, i].prod()) for i, d in enumerate(DIMS)}
        count, extents, below = self._lattice(tuple(per_position[d] for d in DIMENSIONS))
        weight, along, rows, columns, slide_rows, slide_columns = self._costs(spread, per_position, count, extents)
        size_along, size_rows, size_columns = self._sizes(spread, count, extents)
        least = self._least(weight, along, rows, columns, slide_rows, slide_columns, count)
        rest = self._rest(least)
        arrays = (
            count, below, extents, self.first, self.keeps, self.sliding and self.keeps[1] > 0, weight, along, rows, columns,
            slide_rows, slide_columns, room, size_along, size_rows, size_columns, rest,
        )  # fmt: skip
        return Chain(
            constant=self._constant(spread, per_position), least=float(least.sum()), arrays=arrays, count=count, extents=extents
        )

    # What the chain doesn't decide -------------------------------------------------------------------------------

    def _constant(self, spread: np.ndarray, per_position: dict[str, int]) -> float:
        """Equation 4: the reads that MACs make, and the part of the partial-sum traffic that no boundary changes."""
        total = 0.0
        for tensor in ("weights", "inputs"):
            level = self.paths[tensor][-1]
            between = ~self._outside[level.name]
            across = self._product(spread, between)
            reads = math.prod(getattr(self.nest, d) for d in RELEVANT[tensor] if d not in "PQRS" or tensor == "weights")
            delivered = self._product(spread, self._outside[level.name] | self._not_shared(between, "multicast"))
            for d in DIMS:
                if d not in RELEVANT[tensor]:
                    reads *= per_position[d] * int(delivered[DIMS.index(d)])
            if tensor == "inputs":
                for axis, (outer, inner) in AXES.items():
                    shared = self._shared(between)
                    table = self._window_table(axis, (1,), (1,), 1, 1, int(across[DIMS.index(outer)]), int(across[DIMS.index(inner)]), shared)
                    reads *= int(table[0][0, 0, 0])
            total += reads * self.bits.of(tensor) * self.price(level, "read", tensor)
        at_zero = self._outputs_cost(spread, per_position, np.zeros(int(self.keeps[2])))
        return total + at_zero

    def _outputs_cost(self, spread: np.ndarray, per_position: dict[str, int], visits: np.ndarray) -> float:
        """Equation 5: cost of all output traffic when the keep k (outermost first) is visited ``visits[k]`` times per output.

        Linear in ``visits``; the MACs' own visits are all of the reduction.
        """
        path, elements = self.paths["outputs"], self.nest.elements("outputs")
        reduced = [d for d in "CRS"]
        steps = math.prod(per_position[d] for d in reduced)
        all_visits = [float(v) for v in visits] + [float(steps)]
        total, touched, fills, drained = 0.0, float(elements), 0.0, 0.0
        for k, level in enumerate(path):
            outside = self._outside[level.name]
            child = path[k + 1] if k + 1 < len(path) else None
            outside_child = self._outside[child.name] if child else self._everything
            unshared = outside | self._not_shared(outside_child & ~outside, "reduction")
            copies, updating = (
                math.prod(int(self._product(spread, mask)[DIMS.index(d)]) for d in reduced)
                for mask in (outside_child, unshared)
            )
            updates = elements * all_visits[k] * updating
            reads = drained + updates - touched
            partial = self.bits.psums
            total += reads * partial * self.price(level, "read", "outputs")
            total += fills * partial * self.price(level, "write", "outputs")
            if k == 0:
                total += elements * self.bits.outputs * self.price(level, "update", "outputs")
                total += (updates - elements) * partial * self.price(level, "update", "outputs")
            else:
                total += updates * partial * self.price(level, "update", "outputs")
            drained, touched = elements * all_visits[k] * copies, float(elements * copies)
            fills = drained - touched
        return total

    # What it decides ------------------------------------------------------------------------------------------------

    def _costs(
        self, spread: np.ndarray, per_position: dict[str, int], count: np.ndarray, extents: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        n, widest = len(self.places), int(count.max())
        weight = np.zeros((n, 2))
        along = np.ones((n, 3, widest))
        rows = np.ones((n, 2, count[3], count[5]))
        columns = np.ones((n, 2, count[4], count[6]))
        deep = self.sliding and self.keeps[1] > 0
        r, c = (count[3], count[5]) if deep else (0, 0), (count[4], count[6]) if deep else (0, 0)
        slide_rows = np.full((2, n if deep else 0, 2, 2, r[0], max(r), max(r)), np.inf)
        slide_columns = np.full((2, n if deep else 0, 2, 2, c[0], max(c), max(c)), np.inf)
        at_zero = None
        for m, place in enumerate(self.places):
            outside, inner = self._outside[place.parent.name], self._outside[place.level.name]
            between = inner & ~outside
            if place.tensor == "outputs":
                visits = np.zeros(int(self.keeps[2]))
                if at_zero is None:
                    at_zero = self._outputs_cost(spread, per_position, visits)
                visits[len(visits) - 1 - (m - int(self.first[2]))] = 1.0
                weight[m, 0] = self._outputs_cost(spread, per_position, visits) - at_zero
                along[m, 2, : count[2]] = per_position["C"] / extents[2, : count[2]]
                rows[m, :] = (per_position["R"] / extents[5, : count[5]])[None, None, :]
                columns[m, :] = (per_position["S"] / extents[6, : count[6]])[None, None, :]
                continue
            width = self.bits.of(place.tensor)
            sent = self._product(spread, outside | self._not_shared(between, "multicast"))
            received = self._product(spread, inner)
            base = [
                width * self.price(place.parent, "read", place.tensor),
                width * self.price(place.level, "write", place.tensor),
            ]
            for side, copies in enumerate((sent, received)):
                for d in DIMS:
                    if d not in RELEVANT[place.tensor]:
                        base[side] *= int(copies[DIMS.index(d)])
                    elif place.tensor == "weights" or d in "NGC":
                        base[side] *= getattr(self.nest, d)
            weight[m] = base
            if place.tensor == "weights":
                along[m, 0, : count[0]] = per_position["N"] / extents[0, : count[0]]
                rows[m, :] = (per_position["P"] / extents[3, : count[3]])[None, :, None]
                columns[m, :] = (per_position["Q"] / extents[4, : count[4]])[None, :, None]
                continue
            along[m, 1, : count[1]] = per_position["K"] / extents[1, : count[1]]
            inside, across = self._product(spread, ~inner), self._product(spread, between)
            for axis, table, slides, (i, j) in (("rows", rows, slide_rows, (3, 5)), ("columns", columns, slide_columns, (4, 6))):
                outer, tap = (DIMS.index(d) for d in AXES[axis])
                plain, slide_p, slide_r = self._window_table(
                    axis, tuple(extents[i, : count[i]]), tuple(extents[j, : count[j]]),
                    int(inside[outer]), int(inside[tap]), int(across[outer]), int(across[tap]), self._shared(between),
                )  # fmt: skip
                table[m] = plain
                if deep:
                    slides[0, m, :, :, :, : count[i], : count[j]] = slide_p
                    slides[1, m, :, :, :, : count[j], : count[j]] = slide_r
        return weight, along, rows, columns, slide_rows, slide_columns

    def _sizes(self, spread: np.ndarray, count: np.ndarray, extents: np.ndarray) -> tuple[np.ndarray, ...]:
        """Equation 3: bits of a tile, as factors by dimension."""
        n, widest = len(self.places), int(count.max())
        along = np.ones((n, 3, widest))
        rows = np.ones((n, count[3], count[5]))
        columns = np.ones((n, count[4], count[6]))
        for m, place in enumerate(self.places):
            inside = self._product(spread, ~self._outside[place.level.name])
            along[m, 0, :] = self.bits.stored(place.tensor) * int(inside[DIMS.index("G")])
            for slot, d in enumerate("NKC"):
                if d in RELEVANT[place.tensor]:
                    along[m, slot, : count[slot]] *= extents[slot, : count[slot]] * int(inside[DIMS.index(d)])
            for axis, table, (i, j) in (("rows", rows, (3, 5)), ("columns", columns, (4, 6))):
                outer, tap = (int(inside[DIMS.index(d)]) for d in AXES[axis])
                if place.tensor == "inputs":
                    table[m] = self._window_extents(axis, tuple(extents[i, : count[i]] * outer), tuple(extents[j, : count[j]] * tap))
                elif place.tensor == "weights":
                    table[m] = (extents[j, : count[j]] * tap)[None, :]
                else:
                    table[m] = (extents[i, : count[i]] * outer)[:, None]
        return along, rows, columns

    def _least(
        self, weight: np.ndarray, along: np.ndarray, rows: np.ndarray, columns: np.ndarray, slide_rows: np.ndarray,
        slide_columns: np.ndarray, count: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Per keep, what it costs at the very least wherever its boundary lies."""
        result = np.zeros(len(self.places))
        for m in range(len(self.places)):
            for side in (0, 1):
                if not weight[m, side]:
                    continue
                # A weight can be negative (a partial sum that returns to fewer copies): then the most visits cost least.
                best = np.min if weight[m, side] > 0 else np.max
                factor = math.prod(float(best(along[m, slot, : count[slot]])) for slot in range(3))
                for table, slides in ((rows, slide_rows), (columns, slide_columns)):
                    extreme = float(best(table[m, side]))
                    if slides.shape[1] and weight[m, side] > 0:
                        extreme = min(extreme, float(slides[:, m, :, side].min(initial=np.inf)))
                    factor *= extreme
                result[m] += weight[m, side] * factor
        return result

    def _rest(self, least: np.ndarray) -> np.ndarray:
        """``[state]`` the least that the keeps cost which are still to come."""
        sums = []
        for t in range(3):
            mine = least[self.first[t] : self.first[t] + self.keeps[t]]
            sums.append(np.array([mine[k:].sum() for k in range(self.keeps[t] + 1)]))
        return (sums[0][:, None, None] + sums[1][None, :, None] + sums[2][None, None, :]).ravel()

    # Tables ---------------------------------------------------------------------------------------------------------

    def _lattice(self, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``(count, extents, below)``: the divisors of every per-position size and who stands just below whom."""
        if sizes not in self._lattices:
            values = [divisors(n) for n in sizes]
            count = np.array([len(v) for v in values], dtype=np.int64)
            extents = np.ones((7, int(count.max())), dtype=np.int64)
            below = np.full((7, int(count.max()), 6), -1, dtype=np.int64)
            for d, options in enumerate(values):
                extents[d, : count[d]] = options
                for i, value in enumerate(options):
                    primes = [p for p in divisors(value)[1:] if all(p % q for q in range(2, int(p**0.5) + 1))]
                    for k, prime in enumerate(primes):
                        below[d, i, k] = options.index(value // prime)
            self._lattices[sizes] = (count, extents, below)
        return self._lattices[sizes]

    def _window_table(
        self, axis: str, p: tuple[int, ...], r: tuple[int, ...], inside_p: int, inside_r: int, across_p: int, across_r: int, shared: bool
    ) -> tuple[np.ndarray, ...]:
        key = (axis, p, r, inside_p, inside_r, across_p, across_r, shared)
        if key not in self._tables:
            self._tables[key] = window_tables(
                self._windows[axis], np.array(p), np.array(r), inside_p, inside_r, across_p, across_r, shared,
                self.sliding and len(p) * len(r) > 1,
            )  # fmt: skip
            if self.sliding and len(p) * len(r) == 1:
                plain = self._tables[key][0]
                self._tables[key] = (plain, np.full((2, 2, 1, 1, 1), np.inf), np.full((2, 2, 1, 1, 1), np.inf))
        return self._tables[key]

    def _window_extents(self, axis: str, p: tuple[int, ...], r: tuple[int, ...]) -> np.ndarray:
        key = (axis, p, r)
        if key not in self._extents:
            _, _, stride, dilation, _, _ = self.nest.window(axis)
            self._extents[key] = np.array([[float(window_extent(a, b, stride, dilation)) for b in r] for a in p])
        return self._extents[key]

    def _product(self, spread: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Spread factors by dimension over the fan-outs in ``mask``."""
        return np.prod(spread[mask], axis=0, dtype=np.int64)

    def _not_shared(self, between: np.ndarray, how: str) -> np.ndarray:
        return between & np.array([not getattr(f, how) for f in self.fanouts], dtype=bool)

    def _shared(self, between: np.ndarray) -> bool:
        """Whether windows of neighbours are sent once. Where only some fan-outs share, the search takes all to: a lower bound."""
        return not between.any() or any(f.multicast for f, b in zip(self.fanouts, between, strict=True) if b)
