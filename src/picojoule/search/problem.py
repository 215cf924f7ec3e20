"""One layer on one machine as arrays for the compiled kernel: prices, lattices, window tables, for every spatial
assignment.

Equations and notation: ``docs/explanation/map-space.md``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.search import kernel
from picojoule.search.lattice import Lattice, lattice
from picojoule.search.marks import WORD
from picojoule.search.windows import window_extents, window_tables
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest

Price = Callable[[Level, str, str], float]
"""Cost of moving one bit: (level, direction, tensor) → cost; directions as in ``Level.energy_per_bit``, which is that for
energy."""

AXES = {"rows": ("P", "R"), "columns": ("Q", "S")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A keep whose boundary the search is to find: a level, the tensor, and the parent it is filled from."""

    tensor: str
    level: Level
    parent: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where one keep stands: extents in time by dimension (of seven), and the loop it slides along, if any."""

    extents: tuple[int, ...]
    slides: str = ""
    reach: int = 0
    outside: bool = False


class Problem:
    """A layer on a machine with the levels of every tensor chosen, for a set of spatial assignments.

    Args:
        nest, accelerator, bits: the layer, the machine, the widths.
        paths: the levels that hold each tensor, outermost first.
        price: what moving a bit costs.
        factors: ``[assignment, fan-out, dimension]`` positions over which each dimension is spread.
        imperfect: whether extents need not divide.
        fill: False leaves the window tables empty, for their types alone.
    """

    def __init__(
        self,
        nest: Nest,
        accelerator: Accelerator,
        bits: Bits,
        paths: dict[str, tuple[Level, ...]],
        price: Price,
        factors: np.ndarray,
        imperfect: bool,
        fill: bool = True,
    ) -> None:
        self.nest, self.accelerator, self.bits, self.paths, self.price = nest, accelerator, bits, paths, price
        self.factors, self.imperfect = np.ascontiguousarray(factors, dtype=np.int64), imperfect
        self.ways = self.factors
        """The same by axis, where a fan-out has several."""
        self._set_widths()
        self.outside = {
            level.name: np.array(
                [f.name in accelerator.fanouts_outside(level.name) for f in accelerator.fanouts], dtype=bool
            )
            for level in accelerator.levels
        }
        self._everywhere = np.ones(len(accelerator.fanouts), dtype=bool)
        counts = [sum(p.tensor == t for p in self.places) for t in TENSORS]
        self.keeps = np.array(counts, dtype=np.int64)
        self.first = np.array([0, counts[0], counts[0] + counts[1]], dtype=np.int64)
        self.sliding = counts[1] > 0 and any(nest.window(axis)[1] > 1 for axis in AXES)
        self._lattices: dict[int, Lattice] = {}
        self.lattices = self._build_lattices()
        self.layer = self._build_layer()
        self.prices = self._build_prices()
        self.windows, self.window_ids = self._build_windows(fill)
        self.lattice_points = np.ones(len(self.factors), dtype=np.int64)
        """Points of every assignment's lattice."""
        for d, letter in enumerate(kernel.DIMENSIONS):
            self.lattice_points *= self.lattices[1][self.lattices[0][d][self._spread(letter)]]
        self.scratch = self._build_scratch()
        self.look_ahead()
        self.least = np.full(len(self.factors), -math.inf)
        """The constant of every assignment and the least of its keeps, after ``bounds``."""
        self.bounded = False
        self.proved = self.least.copy()
        """What no mapping of an assignment costs less than, as far as is known."""

    # Solving ----------------------------------------------------------------------------------------------------------

    def bounds(self) -> np.ndarray:
        """A lower bound on the cost of every assignment; ``proved`` starts from it."""
        everything = np.arange(len(self.factors))
        self.sweep(everything, 0, len(everything), np.full(len(everything), -math.inf), np.zeros(2, dtype=np.int64))
        self.least, self.bounded = self.proved.copy(), True
        return self.least

    def on(self, accelerator: Accelerator, bits: Bits) -> Problem:
        """The same assignments on a machine with other prices, widths and rooms, but the same arrays and the same levels for
        every tensor. Lattices, window tables and scratch are shared: work on one of them at a time."""
        other = copy.copy(self)
        other.accelerator, other.bits = accelerator, bits
        other.paths = {t: tuple(accelerator.level(level.name) for level in path) for t, path in self.paths.items()}
        other._set_widths()
        other.prices, other.layer = other._build_prices(), other._build_layer()
        if not self._prices_as(other):
            other.least, other.bounded = np.full(len(self.factors), -math.inf), False
        other.proved = other.least.copy()
        other.look_ahead()
        return other

    def _prices_as(self, other: Problem) -> bool:
        return all(np.array_equal(mine, its) for mine, its in zip(self.prices, other.prices, strict=True))

    def _set_widths(self) -> None:
        """The places, and what each has room for."""
        self.places = [
            Place(tensor=t, level=self.paths[t][i], parent=self.paths[t][i - 1])
            for t in TENSORS
            for i in range(len(self.paths[t]) - 1, 0, -1)
        ]
        self.tile_bits = [p.level.tile_bits(p.tensor, self.bits) for p in self.places]
        """Room of one element of every place."""
        usable = [
            room if p.level.latch else p.level.usable_bits for p, room in zip(self.places, self.tile_bits, strict=True)
        ]
        self.room = np.array([math.inf if limit is None else float(limit) for limit in usable])

    def sweep(
        self, order: np.ndarray, start: int, stop: int, limits: np.ndarray, tally: np.ndarray
    ) -> tuple[int, float, float]:
        """``kernel.sweep`` over ``order[start:stop]`` with every level's whole room."""
        return kernel.sweep(
            start, stop, order, self.factors, self.window_ids, self.room, limits, self.sliding, self.layer, self.lattices,
            self.prices, self.windows, self.scratch, tally, self.proved, self.ahead,
        )  # fmt: skip

    def look_ahead(self, excess: np.ndarray | None = None, toward: np.ndarray | None = None) -> None:
        """From now on ``chain`` and ``sweep`` count with the excess of a group (equation 7), or with none."""
        if excess is None or toward is None:
            excess = np.zeros((1, int(np.prod(self.keeps + 1))), dtype=np.float32)
            toward = np.zeros(self.lattices[2].shape, dtype=np.int64)
        self.ahead = excess, toward

    def lay_out(self, assignment: int) -> tuple[float, float]:
        """``(constant, least)`` of one assignment; prepares ``chain``."""
        return kernel.lay_out(
            self.factors[assignment],
            self.window_ids[assignment],
            self.layer,
            self.lattices,
            self.prices,
            self.windows,
            self.scratch,
        )

    def chain(self, assignment: int, room: np.ndarray, limit: float) -> float:
        """Least cost of all keeps below ``limit`` with so much room for each, or infinity."""
        return kernel.shortest_chain(
            self.window_ids[assignment],
            room,
            limit,
            self.sliding,
            self.layer,
            self.lattices,
            self.windows,
            self.scratch,
            self.ahead,
        )

    def points(self, assignment: int, room: np.ndarray) -> list[Point]:
        """Where the keeps of the last chain stand; ``room`` is what it had."""
        out = np.full((len(self.places), 10), -1, dtype=np.int64)
        found = kernel.trace(
            self.window_ids[assignment], room, self.sliding, self.layer, self.lattices, self.windows, self.scratch, out
        )
        assert found == len(self.places), "the shortest chain can't be walked back"
        extents, which = self.lattices[2], self.scratch[1]
        result = []
        for row in out:
            at = tuple(int(extents[which[d], row[d]]) for d in range(7))
            if row[7] < 0:
                result.append(Point(extents=at))
                continue
            dim = int(row[7])
            reach = int(extents[which[dim], row[8]])
            result.append(Point(extents=at, slides=kernel.DIMENSIONS[dim], reach=reach, outside=bool(row[9] == 1)))
        return result

    def ceilings(self) -> list[tuple[int, ...] | None]:
        """The largest extents that rules for tiles allow every place of the last assignment laid out; None without
        rules."""
        extents, which, rules = self.lattices[2], self.scratch[1], self.lattices[6]
        if rules is None:
            return [None] * len(self.places)
        return [tuple(int(extents[which[d], row[d]]) for d in range(7)) for row in rules[1][:, 1]]

    def tile_sizes(self, assignment: int, points: list[Point]) -> list[float]:
        """Bits of every place's tile in the last chain (equation 3)."""
        size, which, extents = self.scratch[4], self.scratch[1], self.lattices[2]
        ids = self.window_ids[assignment]
        result = []
        for m, (place, point) in enumerate(zip(self.places, points, strict=True)):
            index = [int(np.searchsorted(extents[which[d], : self.scratch[0][d]], point.extents[d])) for d in range(7)]
            tile = float(self.tile_bits[m])
            for d, letter in enumerate(kernel.DIMENSIONS):
                if letter in RELEVANT[place.tensor] and not (place.tensor == "inputs" and letter in "PQRS"):
                    tile *= float(size[m, d, index[d]])
            if place.tensor == "inputs":
                k = m - int(self.first[1])
                tile *= float(self.windows[4][0, ids[0], k, index[3], index[5]]) * float(
                    self.windows[4][1, ids[1], k, index[4], index[6]]
                )
            result.append(tile)
        return result

    # Building ---------------------------------------------------------------------------------------------------------

    def _build_layer(self) -> tuple[np.ndarray, ...]:
        sizes = np.array([getattr(self.nest, d) for d in DIMS], dtype=np.int64)
        elements = np.array(
            [self.nest.elements("weights"), self.nest.N * self.nest.G * self.nest.C, self.nest.elements("outputs")],
            dtype=np.float64,
        )
        return sizes, self.keeps, self.first, elements, np.array(self.tile_bits, dtype=np.float64)

    def _left(self, dim: str) -> np.ndarray:
        """What is left of a dimension per position, for every assignment."""
        return -(-getattr(self.nest, dim) // self._spread(dim))

    def _spread(self, dim: str) -> np.ndarray:
        return self.factors[:, :, DIMS.index(dim)].prod(axis=1)

    def _lattice(self, dim: str, spread: int) -> Lattice:
        left = -(-getattr(self.nest, dim) // spread)
        # Where neighbours split a window dimension, the tile of the inputs sets their distance: only divisors keep
        # all counts at one point.
        return lattice(left, self.imperfect and not (dim in "PQRS" and spread > 1))

    def _build_lattices(self) -> tuple[Any, ...]:
        widest = max(int(self._spread(d).max()) for d in kernel.DIMENSIONS)
        lattice_of = np.full((7, widest + 1), -1, dtype=np.int64)
        known: list[Lattice] = []
        for d, letter in enumerate(kernel.DIMENSIONS):
            for spread in np.unique(self._spread(letter)):
                lattice_of[d, spread] = len(known)
                known.append(self._lattice(letter, int(spread)))
        most = max(len(one.values) for one in known)
        deepest = max([len(b) for one in known for b in one.below], default=0) + 1
        counts = np.array([len(one.values) for one in known], dtype=np.int64)
        extents = np.ones((len(known), most), dtype=np.int64)
        below = np.full((len(known), most, deepest), -1, dtype=np.int64)
        widest = max([sum(i in b for b in one.below) for one in known for i in range(len(one.values))], default=0) + 1
        above = np.full((len(known), most, widest), -1, dtype=np.int64)
        under = np.zeros((len(known), most, most), dtype=np.bool_)
        for n, one in enumerate(known):
            extents[n, : counts[n]] = one.values
            under[n, : counts[n], : counts[n]] = one.under
            for i, indices in enumerate(one.below):
                below[n, i, : len(indices)] = indices
                over = [j for j, b in enumerate(one.below) if i in b]
                above[n, i, : len(over)] = over
        return lattice_of, counts, extents, below, above, under, self._build_rules()

    def _build_rules(self) -> tuple[np.ndarray, ...] | None:
        """The least and the most of every dimension in the tiles of every place; None where the machine has no rules.

        Beside them stands what the kernel makes of them.
        """
        if not any(place.level.tiles for place in self.places):
            return None
        n = len(self.places)
        limits = np.empty((n, 2, len(DIMS)), dtype=np.int64)
        limits[:, 0], limits[:, 1] = 0, kernel.UNLIMITED
        for m, place in enumerate(self.places):
            for rule in place.level.tiles:
                if rule.tensor == place.tensor:
                    d = DIMS.index(rule.dim)
                    least = kernel.UNLIMITED if rule.all else rule.least or 0
                    limits[m, 0, d] = max(limits[m, 0, d], least)
                    limits[m, 1, d] = min(limits[m, 1, d], rule.most or kernel.UNLIMITED)
        reach = np.zeros((n, 2, len(kernel.DIMENSIONS)), dtype=np.int64)
        return limits, reach, np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)

    def _between(self, parent: Level, child: Level | None, how: str) -> tuple[np.ndarray, np.ndarray]:
        """Fan-outs between two levels, and those of them that don't share."""
        inner = self.outside[child.name] if child else self._everywhere
        between = inner & ~self.outside[parent.name]
        return between, between & np.array([not getattr(f, how) for f in self.accelerator.fanouts], dtype=bool)

    def _build_prices(self) -> tuple[np.ndarray, ...]:
        """What tells visits apart at both ends of every boundary (the places, then the MACs for each tensor), and
        prices per element."""
        n, fans = len(self.places), len(self.accelerator.fanouts)
        masks = np.zeros(
            (4, n + 3, fans), dtype=bool
        )  # outside the parent; between and not shared; outside the child; none
        price = np.zeros((2, n))
        ends = [(p.tensor, p.parent, p.level) for p in self.places] + [(t, self.paths[t][-1], None) for t in TENSORS]
        for m, (tensor, parent, child) in enumerate(ends):
            masks[0, m] = self.outside[parent.name]
            masks[1, m] = self._between(parent, child, "reduction" if tensor == "outputs" else "multicast")[1]
            masks[2, m] = self.outside[child.name] if child else self._everywhere
            if child and tensor != "outputs":
                price[0, m] = self.bits.of(tensor) * self.price(parent, "read", tensor)
                price[1, m] = self.bits.of(tensor) * self.price(child, "write", tensor)
        mac_read = np.array([self.bits.of(t) * self.price(self.paths[t][-1], "read", t) for t in ("weights", "inputs")])
        path, psum = self.paths["outputs"], self.bits.psums
        out = np.array(
            [[psum * self.price(level, d, "outputs") for level in path] for d in ("read", "write", "update", "return")]
        )
        finished = self.bits.outputs * self.price(path[0], "finish", "outputs")
        finished -= psum * self.price(path[0], "update", "outputs")
        finished *= self.nest.elements("outputs")
        return masks, price, mac_read, out, float(finished)

    def _build_windows(self, fill: bool) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """The window tables (rows, then columns, in the first axis of every array), and which of them each assignment
        uses."""
        pairs, ids, lattices = [], [], []
        for outer, tap in AXES.values():
            both = self.factors[:, :, [DIMS.index(outer), DIMS.index(tap)]].reshape(len(self.factors), -1)
            different, which = np.unique(both, axis=0, return_inverse=True)
            pairs.append(different.reshape(len(different), -1, 2))
            ids.append(which.reshape(-1))
            lattices.append(
                [
                    (self._lattice(outer, int(p[:, 0].prod())), self._lattice(tap, int(p[:, 1].prod())))
                    for p in pairs[-1]
                ]
            )
        n, k = max(len(p) for p in pairs), int(self.keeps[1])
        n_p, n_r = (max(len(two[side].values) for one in lattices for two in one) for side in (0, 1))
        plain = np.full((2, n, k, 2, n_p, n_r), np.inf)
        table_of, inside_loop = self._slide_tables()
        tables = 2 + max(map(len, inside_loop), default=0)
        shape = (2, n, k, 2, tables, 2, n_p, n_r, max(n_p, n_r)) if self.sliding else (2, n, k, 0, 0, 0, 0, 0, 0)
        slides = np.full(shape, np.inf, dtype=np.float32)
        mac, touched, extents = np.zeros((2, n)), np.zeros((2, n, k, 2)), np.full((2, n, k, n_p, n_r), np.inf)
        for a, axis in enumerate(AXES):
            window = np.array(self.nest.window(axis), dtype=np.int64)
            for t, (pair, (p, r)) in enumerate(zip(pairs[a], lattices[a], strict=True) if fill else ()):
                mac[a, t] = self._mac_window(window, pair)
                for i, place in enumerate(place for place in self.places if place.tensor == "inputs"):
                    u, v = len(p.values), len(r.values)
                    apart = np.ones((tables, 2), dtype=np.int64)
                    for number, mask in enumerate(inside_loop[i], start=2):
                        apart[number] = pair[mask].prod(axis=0)
                    here, there, reach = self._place_windows(window, place, pair, p, r, apart)
                    plain[a, t, i, :, :u, :v], extents[a, t, i, :u, :v] = here, reach
                    touched[a, t, i] = here.min(axis=(1, 2))
                    if self.sliding:
                        slides[a, t, i, :, :, :, :u, :v, : max(u, v)] = there
                        touched[a, t, i] = np.minimum(touched[a, t, i], there.min(axis=(0, 1, 3, 4, 5)))
        ids_of = np.ascontiguousarray(np.stack(ids, axis=1), dtype=np.int64)
        return (plain, slides, mac, touched, extents, table_of), ids_of

    def _slide_tables(self) -> tuple[np.ndarray, list[list[np.ndarray]]]:
        """Which table of slides holds for every keep of inputs, and the fan-outs of tables 2, 3, …: those that stand
        inside the sliding loop, but outside the keep's parent.

        Keeps that slide together (equation 2) share one loop. The spreads directly above the outermost of them stand
        inside that loop (table 0) or outside it (table 1); those above an inner one always stand inside. ``table_of[k,
        2r + o]`` is the table of keep k if the outermost stands r keeps further out and has its spreads outside
        (o = 1) or not.
        """
        places = [place for place in self.places if place.tensor == "inputs"]
        table_of = np.zeros((len(places), 2 * len(places)), dtype=np.int64)
        inside_loop: list[list[np.ndarray]] = [[] for _ in places]
        for k, place in enumerate(places):
            table_of[k, 1] = 1
            for further, outermost in enumerate(places[k + 1 :], start=1):
                for outside, level in enumerate((outermost.parent, outermost.level)):
                    mask = self.outside[place.parent.name] & ~self.outside[level.name]
                    if mask.any():
                        inside_loop[k].append(mask)
                        table_of[k, 2 * further + outside] = 1 + len(inside_loop[k])
        return table_of, inside_loop

    def _place_windows(
        self, window: np.ndarray, place: Place, pair: np.ndarray, p: Lattice, r: Lattice, apart: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        between, _ = self._between(place.parent, place.level, "multicast")
        inside, across = pair[~self.outside[place.level.name]].prod(axis=0), pair[between].prod(axis=0)
        u, v = len(p.values), len(r.values)
        plain, reach = np.empty((2, u, v)), np.empty((u, v))
        slides = np.full((2, len(apart), 2, u, v, max(u, v)) if self.sliding else (0,) * 6, np.inf, dtype=np.float32)
        window_tables(
            window, p.values, p.under, r.values, r.under, int(inside[0]), int(inside[1]), int(across[0]), int(across[1]),
            apart, self._shares(between), plain, slides,
        )  # fmt: skip
        window_extents(window, p.values, r.values, int(inside[0]), int(inside[1]), reach)
        return plain, slides, reach

    def _mac_window(self, window: np.ndarray, pair: np.ndarray) -> float:
        """What the innermost level sends along one axis when every MAC reads anew."""
        between, _ = self._between(self.paths["inputs"][-1], None, "multicast")
        across = pair[between].prod(axis=0)
        one, alone, plain = np.ones(1, dtype=np.int64), np.zeros((1, 1), dtype=np.bool_), np.empty((2, 1, 1))
        window_tables(
            window, one, alone, one, alone, 1, 1, int(across[0]), int(across[1]),
            np.ones((2, 2), dtype=np.int64), self._shares(between), plain,
            np.zeros((0,) * 6, dtype=np.float32),
        )  # fmt: skip
        return float(plain[0, 0, 0])

    def _shares(self, between: np.ndarray) -> bool:
        """Whether windows of neighbours are sent once. Where only some fan-outs share, all are taken to: a lower
        bound."""
        return not between.any() or any(
            f.multicast for f, b in zip(self.accelerator.fanouts, between, strict=True) if b
        )

    def _build_scratch(self) -> tuple[np.ndarray, ...]:
        extents = self.lattices[2]
        n, states, widest = len(self.places), int(np.prod(self.keeps + 1)), extents.shape[1]
        most = int(self.lattice_points.max())  # which is less than the product of the largest lattices
        return (
            np.zeros(7, dtype=np.int64),
            np.zeros(7, dtype=np.int64),
            np.ones((2, n + 3, 7, widest)),
            np.zeros((n, 2)),
            np.ones((n, 7, widest), dtype=np.int64),
            np.zeros(states),
            np.zeros(7, dtype=np.int64),
            np.zeros(n, dtype=np.bool_),
            np.zeros(n),
            np.empty((states, most)),
            np.zeros((most, -(-states // WORD)), dtype=np.int64),
            np.zeros(-(-most // 8) * 8, dtype=np.uint8),
            np.zeros(most + 1, dtype=np.int64),
        )
