"""Runs the tiles of a group one by one, with numbers, and counts what moves: the oracle for fused layers.

It knows of a group what stands in the result: the tile, whether the halo is kept, where weights lie, and the nests that layers
run. Which pixels a tile makes follows here from what is missing in the memory on the chip. Each nest is executed loop by loop
(``execute``); pixels are numbers, made from the pixels that lie in that memory and nowhere else, and at the end the last
result must be that of the layers one after the other.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from dataclasses import replace as change
from typing import Any

from oracle.execute import execute

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.mapping.mapping import Mapping
from picojoule.result import Estimate, LayerEstimate
from picojoule.workload.nest import TENSORS, Nest

Pixel = tuple[int, int]
Map = dict[Pixel, dict[tuple[int, int], int]]
"""Pixel → (input of the batch, channel) → number."""


@dataclass(slots=True)
class Ran:
    """What running a group did.

    Attributes:
        moved: ``(layer, level, tensor, way) → elements``.
        macs: executed, by layer.
        most_bits: by layer, most bits of results in between that lay on the chip while it ran.
    """

    moved: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    macs: Counter[str] = field(default_factory=Counter)
    most_bits: Counter[str] = field(default_factory=Counter)


def run_group(estimate: Estimate, entry: dict[str, Any], machine: Accelerator) -> Ran:
    """Runs a group of a result; fails where a pixel is read that isn't there, and where the last result is wrong."""
    return _Run(estimate, entry, machine).run()


class _Run:
    def __init__(self, estimate: Estimate, entry: dict[str, Any], machine: Accelerator) -> None:
        self.rows = [row for row in estimate.layers if row.group == entry["name"]]
        self.entry, self.machine, self.ran = entry, machine, Ran()
        self.names = [row.name for row in self.rows]
        self.reads = [row.reads or () for row in self.rows]
        self.shape: dict[str, Pixel] = {}
        for row, reads in zip(self.rows, self.reads, strict=True):
            inside = [name for name in reads if name in self.shape]
            self.shape[row.name] = (row.dims["P"], row.dims["Q"]) if row.dims else self.shape[inside[0]]
        self.there: dict[str, Map] = {name: {} for name in self.names}
        self.counted: dict[tuple[str, int], Any] = {}
        self.whole = {name: self._given(name) for reads in self.reads for name in reads if name not in self.names}

    def run(self) -> Ran:
        if self.entry["weights"] == "resident":
            for row in self.rows:
                if row.dims:
                    elements = _nest(row).elements("weights")
                    self.ran.moved[row.name, self.machine.home("weights").name, "weights", "reads"] += elements
                    self.ran.moved[row.name, self.entry["at"], "weights", "writes"] += elements
        plan = self._plan()
        last = {(name, pixel): t for t, step in enumerate(plan) for name, pixel in self._read_in(step)}
        for t, step in enumerate(plan):
            for m, (row, pixels) in enumerate(zip(self.rows, step, strict=True)):
                if pixels:
                    self._make(row, m, pixels)
                self._weigh(row, m, t, step, last)
            if self.entry["halo"] == "recomputed":
                self._forget(lambda name, pixel: False)
            else:
                self._forget(lambda name, pixel, t=t: last.get((name, pixel), -1) > t)
        final = self.rows[-1].name
        assert self.done == self._one_by_one(final), "the fused loops compute something else"
        return self.ran

    # Which pixels are made in each tile -------------------------------------------------------------------------------

    def _plan(self) -> list[list[set[Pixel]]]:
        """Per tile the pixels that each layer makes."""
        high, wide = self.entry["tile"]["rows"], self.entry["tile"]["columns"]
        rows, columns = self.shape[self.names[-1]]
        made: dict[str, set[Pixel]] = {name: set() for name in self.names}
        plan = []
        for left, top in itertools.product(range(0, columns, wide), range(0, rows, high)):
            step: list[set[Pixel]] = [set() for _ in self.rows]
            step[-1] = set(itertools.product(range(top, min(top + high, rows)), range(left, min(left + wide, columns))))
            for m in range(len(self.rows) - 2, -1, -1):
                wanted = {
                    pixel
                    for c in range(m + 1, len(self.rows))
                    if self.names[m] in self.reads[c]
                    for place in step[c]
                    for pixel in self._window(c, place)
                }
                step[m] = wanted if self.entry["halo"] == "recomputed" else wanted - made[self.names[m]]
                made[self.names[m]] |= step[m]
            plan.append(step)
        return plan

    def _window(self, m: int, place: Pixel) -> list[Pixel]:
        row = self.rows[m]
        if row.dims is None:
            return [place]
        nest = _nest(row)
        rows, columns = (
            [i for tap in range(taps) if 0 <= (i := at * stride + tap * dilation - pad) < size]
            for at, (_, taps, stride, dilation, pad, size) in zip(
                place, (nest.window("rows"), nest.window("columns")), strict=True
            )
        )
        return list(itertools.product(rows, columns))

    def _read_in(self, step: list[set[Pixel]]) -> list[tuple[str, Pixel]]:
        return [
            (name, pixel)
            for m, pixels in enumerate(step)
            for name in self.reads[m]
            if name in self.names
            for place in pixels
            for pixel in self._window(m, place)
        ]

    # Making them -------------------------------------------------------------------------------------------------------

    done: Map

    def _make(self, row: LayerEstimate, m: int, pixels: set[Pixel]) -> None:
        for pixel in pixels:
            self.there[row.name][pixel] = self._value(row, m, pixel, {**self.whole, **self.there})
        if m == len(self.rows) - 1:
            self.done = getattr(self, "done", {}) | self.there[row.name]
            self.there[row.name] = {}
        if row.dims is None:
            self._count_sum(row, m, len(pixels))
            return
        tops, lefts = ({pixel[axis] for pixel in pixels} for axis in (0, 1))
        assert len(tops) * len(lefts) == len(pixels)
        index, nest, mapping = self._nest_for(row, tops, lefts)
        if (row.name, index) not in self.counted:
            self.counted[row.name, index] = execute(nest, self._met(row, m), mapping)
        executed = self.counted[row.name, index]
        for (level, tensor), counts in executed.counts.items():
            for way, count in zip(("reads", "writes", "updates"), counts, strict=True):
                self.ran.moved[row.name, level, tensor, way] += count
        self.ran.macs[row.name] += len(executed.macs)

    def _nest_for(self, row: LayerEstimate, tops: set[int], lefts: set[int]) -> tuple[int, Nest, Mapping]:
        """The one tile of the result that makes these rows and columns: of their number, with padding where they touch it."""
        whole = _nest(row)
        pads = []
        for axis, marks in (("rows", tops), ("columns", lefts)):
            _, taps, stride, dilation, pad, size = whole.window(axis)
            reached = [mark * stride + tap * dilation - pad for mark in marks for tap in range(taps)]
            pads.append((max(0, -min(reached)), max(0, max(reached) - size + 1)))
        pad = [pads[0][0], pads[1][0], pads[0][1], pads[1][1]]
        for index, tile in enumerate(row.tiles or ()):
            if (tile["dims"]["P"], tile["dims"]["Q"], list(tile["pad"])) == (len(tops), len(lefts), pad):
                nest = change(whole, P=len(tops), Q=len(lefts), pad=tuple(pad))
                return index, nest, Mapping.from_data(tile["mapping"], sizes=nest.dims)
        raise AssertionError(f"{row.name} has no tile of {len(tops)} × {len(lefts)} with padding {pad}")

    def _met(self, row: LayerEstimate, m: int) -> Accelerator:
        """What lies on the chip has its home there."""
        here = {
            "inputs": any(name in self.names for name in self.reads[m]),
            "outputs": m < len(self.rows) - 1,
            "weights": self.entry["weights"] == "resident",
        }
        outside, entries = True, []
        for entry in self.machine.hierarchy:
            if isinstance(entry, Level):
                outside = outside and entry.name != self.entry["at"]
                if outside:
                    entry = change(entry, keeps=tuple(t for t in entry.keeps if not here[t]))
            entries.append(entry)
        bits = change(self.machine.bits, **row.bits)
        return change(self.machine, hierarchy=tuple(entries), bits=bits)

    def _count_sum(self, row: LayerEstimate, m: int, pixels: int) -> None:
        elements = pixels * self._channels(row.name)
        for name in self.reads[m]:
            level = self.entry["at"] if name in self.names else self.machine.home("inputs").name
            self.ran.moved[row.name, level, "inputs", "reads"] += elements
        target = self.machine.home("outputs").name if m == len(self.rows) - 1 else self.entry["at"]
        self.ran.moved[row.name, target, "outputs", "updates"] += elements

    def _weigh(self, row: LayerEstimate, m: int, t: int, step: list[set[Pixel]], last: dict[Any, int]) -> None:
        """Bits on the chip while a layer runs: what it makes, and what it or a later one in this tile, or a later tile reads."""
        bits = 0
        for i, name in enumerate(self.names[:-1]):
            readers = [c for c in range(len(self.rows)) if name in self.reads[c]]
            now = set(self.there[name]) if i <= m else set(self.there[name])
            if m > readers[-1]:
                now = {pixel for pixel in now if last.get((name, pixel), -1) > t} if self.entry["halo"] != "recomputed" else set()
            bits += len(now) * self._channels(name) * self.rows[i].bits["outputs"]
        self.ran.most_bits[row.name] = max(self.ran.most_bits[row.name], bits)

    def _forget(self, stays: Any) -> None:
        for name in self.names:
            self.there[name] = {pixel: value for pixel, value in self.there[name].items() if stays(name, pixel)}

    # Numbers -----------------------------------------------------------------------------------------------------------

    def _channels(self, name: str) -> int:
        row = self.rows[self.names.index(name)]
        if row.dims:
            return row.dims["N"] * row.dims["G"] * row.dims["K"]
        inside = next(n for n in self.reads[self.names.index(name)] if n in self.names)
        return self._channels(inside)

    def _given(self, name: str) -> Map:
        """Invented numbers for a tensor from outside."""
        m, row = next((m, r) for m, r in enumerate(self.rows) if name in self.reads[m])
        if row.dims is None:
            rows, columns, each = *self.shape[row.name], self._channels(row.name)
        else:
            nest = _nest(row)
            rows, columns, each = nest.input_rows, nest.input_columns, nest.N * nest.G * nest.C
        return {
            (r, c): {(0, k): (7 * r + 3 * c + 11 * k) % 13 - 6 for k in range(each)}
            for r, c in itertools.product(range(rows), range(columns))
        }

    def _value(self, row: LayerEstimate, m: int, pixel: Pixel, maps: dict[str, Map]) -> dict[tuple[int, int], int]:
        """One pixel of a result from pixels that are there; KeyError if one isn't."""
        if row.dims is None:
            each = [maps[name][pixel] for name in self.reads[m]]
            return {key: sum(one[key] for one in each) for key in each[0]}
        nest, source = _nest(row), maps[self.reads[m][0]]
        result = {}
        for g, k in itertools.product(range(nest.G), range(nest.K)):
            total = 0
            for r, s in itertools.product(range(nest.R), range(nest.S)):
                at = (
                    pixel[0] * nest.stride[0] + r * nest.dilation[0] - nest.pad[0],
                    pixel[1] * nest.stride[1] + s * nest.dilation[1] - nest.pad[1],
                )
                if 0 <= at[0] < nest.input_rows and 0 <= at[1] < nest.input_columns:
                    for c in range(nest.C):
                        total += source[at][0, g * nest.C + c] * ((g + 2 * k + 3 * c + 5 * r + 7 * s) % 5 - 2)
            result[0, g * nest.K + k] = total % 997
        return result

    def _one_by_one(self, name: str) -> Map:
        maps = dict(self.whole)
        for m, row in enumerate(self.rows):
            places = itertools.product(*map(range, self.shape[row.name]))
            maps[row.name] = {pixel: self._value(row, m, pixel, maps) for pixel in places}
        return maps[name]


def claimed(rows: list[LayerEstimate]) -> Counter[tuple[str, str, str, str]]:
    """What the rows of a result say that moves."""
    return Counter(
        {
            (row.name, access.level, access.tensor, way): count
            for row in rows
            for access in row.by
            if access.tensor in TENSORS
            for way in ("reads", "writes", "updates")
            if (count := getattr(access, way))
        }
    )


def _nest(row: LayerEstimate) -> Nest:
    assert row.dims is not None and row.stride and row.dilation and row.pad
    return Nest(**row.dims, stride=tuple(row.stride), dilation=tuple(row.dilation), pad=tuple(row.pad))
