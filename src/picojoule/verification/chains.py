"""The least cost of a part over all chains of boundaries, by a dynamic programme over the whole lattice at once.

The search moves from point to point and drops what can't win. Here every state (how many keeps of each tensor are
placed) has an array over all points, the least cost of getting there, and four rules fill it: the start costs nothing;
a keep is placed where its tile fits; keeps of the inputs slide; whatever is reached costs no more further up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.verification.plan import Refuted
from picojoule.verification.space import Ladder, Way
from picojoule.verification.terms import TIMED, WINDOWS, Keep, Terms, irrelevant, spreads_of
from picojoule.verification.tile_limits import barred, tile_limits
from picojoule.workload.nest import TENSORS

State = tuple[int, int, int]
"""Keeps placed of weights, inputs, outputs, from the innermost."""

MAX_ENTRIES = 2**28
"""Points × states that are taken on: 2 GiB of costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slide:
    """Keeps first, first + 1, … of the inputs, ``run`` of them, that slide along dimension ``dim`` (of seven) from
    extent ``start`` to extent ``end``: what they cost at every point that has ``start`` there."""

    first: int
    run: int
    dim: int
    start: int
    end: int
    cost: np.ndarray


@dataclass(frozen=True, slots=True)
class _Sliding:
    """One of the keeps that slide together: its rows (``Terms.sliding``), and what one costs to send and to receive."""

    rows: np.ndarray
    cost_of_a_row: list[np.ndarray]


class Chains:
    """All chains of one part; ``solve`` for the room that each keep has.

    Raises:
        Refuted: there are more points than a derivation takes on.
    """

    def __init__(self, terms: Terms, way: Way) -> None:
        self.terms, self.spread = terms, spreads_of(way)
        self.ladders = [terms.ladder(d, self.spread[d]) for d in TIMED]
        self.shape = tuple(len(rungs.extents) for rungs in self.ladders)
        self.keeps = [keep for t in TENSORS for keep in terms.keeps[t]]
        self._count = tuple(len(terms.keeps[t]) for t in TENSORS)
        entries = math.prod(self.shape) * math.prod(n + 1 for n in self._count)
        if entries > MAX_ENTRIES:
            raise Refuted(f"a part of {entries:,} points is larger than a derivation takes on ({MAX_ENTRIES:,})")
        self._cost = {id(keep): self._plain_cost(keep) for keep in self.keeps}
        self._bits = {id(keep): self._tile_bits(keep) for keep in self.keeps}
        self._rules = {t: [tile_limits(terms, self.spread, self.ladders, k) for k in terms.keeps[t]] for t in TENSORS}
        self._stands = {
            id(keep): rules.stands for t in TENSORS for keep, rules in zip(terms.keeps[t], self._rules[t], strict=True)
        }
        self._slides = list(self._all_slides()) if terms.slides else []
        self._least: dict[State, np.ndarray] = {}
        self._priced: dict[int, np.ndarray] = {}
        self._fits: dict[int, np.ndarray] = {}

    def solve(self, rooms: Sequence[float]) -> float:
        """Least cost of all keeps, each with a tile of at most its room in bits; infinite if there is no chain."""
        for keep, room in zip(self.keeps, rooms, strict=True):
            fits = (self._bits[id(keep)] <= room) & self._stands[id(keep)]
            self._fits[id(keep)] = fits
            self._priced[id(keep)] = np.where(fits, self._cost[id(keep)], np.inf)
        slides = [(slide, self._slide_priced(slide)) for slide in self._slides]
        self._least = {}
        for state in itertools.product(*(range(n + 1) for n in self._count)):
            here = np.full(self.shape, np.inf)
            if not any(state):
                here[(0,) * len(self.shape)] = 0.0
            for before, keep in self._placed_last(state):
                np.minimum(here, self._least[before] + self._priced[id(keep)], out=here)
            for slide, priced in slides:
                if slide.first + slide.run == state[1]:
                    before = (state[0], slide.first, state[2])
                    target = here[_at(slide.dim, slide.end)]
                    arriving = self._least[before][_at(slide.dim, slide.start)] + priced
                    if slide.dim in (closed := barred(self._rules, state)):
                        arriving = np.where(closed[slide.dim], np.inf, arriving)
                    np.minimum(target, arriving, out=target)
            self._climb(here, state)
            self._least[state] = here
        return float(self._least[self._count][(-1,) * len(self.shape)])

    def tiles(self) -> list[float]:
        """Bits of each keep's tile in the chain that ``solve`` last found."""
        point = [n - 1 for n in self.shape]
        state: State = self._count
        found: dict[int, float] = {}
        while any(state):
            self._descend(self._least[state], point, state)
            value = self._least[state][tuple(point)]
            state = self._step_back(state, point, float(value), found)
        return [found[id(keep)] for keep in self.keeps]

    def _climb(self, here: np.ndarray, state: State) -> None:
        """What is reached at a point costs no more at any point above, as far as loops may lead there."""
        closed = barred(self._rules, state)
        while True:
            before = here.copy() if closed else None
            for dim, rungs in enumerate(self.ladders):
                for low, high in rungs.steps:
                    target, source = here[_at(dim, high)], here[_at(dim, low)]
                    if dim in closed:
                        source = np.where(closed[dim], np.inf, source)
                    np.minimum(target, source, out=target)
            # Where all ways up are open, one round reaches everything.
            if before is None or np.array_equal(before, here):
                return

    def _placed_last(self, state: State) -> Iterator[tuple[State, Keep]]:
        """The states from which one keep leads to this one."""
        for t, tensor in enumerate(TENSORS):
            if state[t]:
                before = tuple(n - (i == t) for i, n in enumerate(state))
                yield before, self.terms.keeps[tensor][state[t] - 1]

    # Walking back -----------------------------------------------------------------------------------------------------

    def _descend(self, here: np.ndarray, point: list[int], state: State) -> None:
        """Down to where this cost first arose."""
        closed = barred(self._rules, state)
        moved = True
        while moved:
            moved = False
            for dim, rungs in enumerate(self.ladders):
                for low, high in rungs.steps:
                    lower = (*point[:dim], low, *point[dim + 1 :])
                    if dim in closed and _value(closed[dim], lower):
                        continue
                    if high == point[dim] and here[lower] == here[tuple(point)]:
                        point[dim], moved = low, True

    def _step_back(self, state: State, point: list[int], value: float, found: dict[int, float]) -> State:
        at = tuple(point)
        for before, keep in self._placed_last(state):
            if self._least[before][at] + _value(self._priced[id(keep)], at) == value:
                found[id(keep)] = _value(self._bits[id(keep)], at)
                return before
        for slide in self._slides:
            if slide.first + slide.run != state[1] or slide.end != point[slide.dim]:
                continue
            start = tuple(slide.start if d == slide.dim else x for d, x in enumerate(at))
            before = (state[0], slide.first, state[2])
            closed = barred(self._rules, state)
            if slide.dim in closed and _value(closed[slide.dim], start):
                continue
            if (
                self._least[before][start]
                + _value(self._slide_priced(slide), at[: slide.dim] + (0,) + at[slide.dim + 1 :])
                == value
            ):
                for keep in self.terms.keeps["inputs"][slide.first : slide.first + slide.run]:
                    found[id(keep)] = _value(self._bits[id(keep)], start)
                point[slide.dim] = slide.start
                return before
        raise AssertionError("the least chain can't be walked back")

    # Costs and tiles over all points ----------------------------------------------------------------------------------

    def _plain_cost(self, keep: Keep) -> np.ndarray:
        """Equation 1, wherever the keep stands."""
        sent, received = self._visits(keep, keep.served), self._visits(keep, keep.outside)
        if keep.tensor == "inputs":
            for axis, (_, p, r) in enumerate(WINDOWS):
                table = self.terms.plain(axis, keep, (self.spread[p], self.spread[r]))
                sent, received = sent * self._along((p, r), table[0]), received * self._along((p, r), table[1])
        return keep.price_sent * sent + keep.price_received * received

    def _visits(self, keep: Keep, apart: frozenset[int]) -> np.ndarray:
        result = np.ones((1,) * len(TIMED))
        for d in irrelevant(keep.tensor):
            counts = [self.terms.visits(d, self.spread[d], apart, x) for x in self._rungs(d).extents]
            result = result * self._along((d,), np.array(counts, dtype=np.float64))
        return result

    def _tile_bits(self, keep: Keep) -> np.ndarray:
        """Equation 3: room that the keep needs, wherever it stands. What else limits a tile belongs here."""
        tensor = keep.tensor
        groups = self.terms.tile("G", self.spread["G"], keep.outside, 1)
        result = np.full((1,) * len(TIMED), float(groups * keep.level.tile_bits(tensor, self.terms.bits)))
        for d in TIMED:
            if d in irrelevant(tensor) or (tensor == "inputs" and d in "PQRS"):
                continue
            sizes = [self.terms.tile(d, self.spread[d], keep.outside, x) for x in self._rungs(d).extents]
            result = result * self._along((d,), np.array(sizes, dtype=np.float64))
        if tensor == "inputs":
            for axis, (_, p, r) in enumerate(WINDOWS):
                table = self.terms.tile_windows(axis, keep, (self.spread[p], self.spread[r]))
                result = result * self._along((p, r), table)
        return result

    def _all_slides(self) -> Iterator[_Slide]:
        """Equation 2, every run of keeps along every dimension; the better of both places of the spreads."""
        count = len(self.terms.keeps["inputs"])
        for first, axis, along in itertools.product(range(count), range(2), range(2)):
            letter = WINDOWS[axis][1 + along]
            dim, rungs = TIMED.index(letter), self._rungs(letter)
            if len(rungs.extents) == 1:
                continue
            for run in range(1, count - first + 1):
                forms = list(self._slide_forms(first, run, axis, along))
                for start, end in np.argwhere(rungs.under).tolist():
                    costs = [self._slide_cost(form, axis, along, start, end) for form in forms]
                    cost = costs[0] if len(costs) == 1 else np.minimum(*costs)
                    yield _Slide(first=first, run=run, dim=dim, start=start, end=end, cost=cost)

    def _slide_forms(self, first: int, run: int, axis: int, along: int) -> Iterator[list[_Sliding]]:
        """For each place of the spreads directly above the outermost keep, what there is of the keeps that slide."""
        _, p, r = WINDOWS[axis]
        for outside, fans in self.terms.slide_forms(first + run - 1, run):
            form = []
            for q, between in enumerate(fans):
                keep = self.terms.keeps["inputs"][first + run - 1 - q]
                rows = self.terms.sliding(
                    axis, keep, (self.spread[p], self.spread[r]), along, outside=outside and q == 0, between=between
                )
                if rows is not None:
                    form.append(_Sliding(rows, self._across(keep, 1 - axis)))
            if len(form) == run:
                yield form

    def _across(self, keep: Keep, axis: int) -> list[np.ndarray]:
        """What a row costs at both ends of a keep of the inputs, by the columns along ``axis`` and the visits."""
        _, q, s = WINDOWS[axis]
        columns = self.terms.plain(axis, keep, (self.spread[q], self.spread[s]))
        ends = ((keep.price_sent, keep.served), (keep.price_received, keep.outside))
        return [
            price * self._visits(keep, apart) * self._along((q, s), columns[side])
            for side, (price, apart) in enumerate(ends)
        ]

    def _slide_cost(self, form: list[_Sliding], axis: int, along: int, start: int, end: int) -> np.ndarray:
        still = WINDOWS[axis][2 - along]
        total = np.zeros((1,) * len(TIMED))
        for sliding in form:
            rows = sliding.rows[:, start, :, end] if along == 0 else sliding.rows[:, :, start, end]
            for side, cost in enumerate(sliding.cost_of_a_row):
                total = total + cost * self._along((still,), rows[side])
        return total

    def _slide_priced(self, slide: _Slide) -> np.ndarray:
        """The cost where all tiles fit at the start, else infinite."""
        result = slide.cost
        for keep in self.terms.keeps["inputs"][slide.first : slide.first + slide.run]:
            fits = self._fits[id(keep)]
            result = np.where(fits[_at(slide.dim, slide.start if fits.shape[slide.dim] > 1 else 0)], result, np.inf)
        return result

    def _rungs(self, dim: str) -> Ladder:
        return self.ladders[TIMED.index(dim)]

    def _along(self, dims: tuple[str, ...], values: np.ndarray) -> np.ndarray:
        """Values over one or two dimensions, as an array that goes with all seven."""
        shape = [1] * len(TIMED)
        for d, n in zip(dims, values.shape, strict=True):
            shape[TIMED.index(d)] = n
        return values.reshape(shape)


def _at(dim: int, index: int) -> tuple[slice, ...]:
    """The points with this index in one dimension, which stays as an axis of length 1."""
    return (slice(None),) * dim + (slice(index, index + 1),)


def _value(array: np.ndarray, point: tuple[int, ...]) -> float:
    """The value of a broadcast array at a point."""
    return float(array[tuple(x if n > 1 else 0 for x, n in zip(point, array.shape, strict=True))])
