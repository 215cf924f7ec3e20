"""How a group of layers runs tile by tile: which part of every result each tile makes, and what is on the chip meanwhile.

The space of such tilings is stated in ``docs/explanation/fusion.md``. No cost.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from picojoule.mapping.mapping import Keep, Mapping
from picojoule.workload.chains import Member
from picojoule.workload.nest import Nest

Span = tuple[int, int]
"""First and end of some rows or columns; empty if they are the same."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """A group with the tile of its last result that it makes at a time.

    Attributes:
        members: the layers, in their order.
        at: the level that holds the results in between.
        tile: rows and columns of the last result.
        line_buffers: every row is made once, and stays while a tile to come needs it; else each tile makes all that it needs.
        resident: the weights of all members lie at the level from the start; else every tile fetches what it needs.
        beside: layers on an engine of their own work on the next tile while the others work on this one.
    """

    members: tuple[Member, ...]
    at: str
    tile: tuple[int, int]
    line_buffers: bool
    resident: bool
    beside: bool = False
    _spans: dict[tuple[str, int, bool], list[list[Span]]] = field(default_factory=dict, compare=False, repr=False)

    _parts: dict[int, dict[Nest, int]] = field(default_factory=dict, compare=False, repr=False, init=False)

    @property
    def tiles(self) -> int:
        """Tiles of the last result."""
        last = self.members[-1]
        return -(-last.rows // self.tile[0]) * -(-last.columns // self.tile[1])

    @cached_property
    def rows(self) -> list[list[Span]]:
        """``[step][member]``: the rows that each member makes, for every row of tiles."""
        return self._along("rows", self.tile[0], self.line_buffers)

    @cached_property
    def columns(self) -> list[list[Span]]:
        """The same of columns."""
        return self._along("columns", self.tile[1], False)

    def _along(self, axis: str, chunk: int, keep: bool) -> list[list[Span]]:
        """``spans``; tilings made from one another by ``replace`` work them out once."""
        key = axis, chunk, keep
        if key not in self._spans:
            self._spans[key] = spans(self.members, axis, chunk, keep)
        return self._spans[key]

    @cached_property
    def work(self) -> list[list[Nest | None]]:
        """``[tile][member]``: the nest that each member runs, tile by tile; None where it has no loops or nothing to do."""
        known: dict[tuple[int, object, object], Nest] = {}
        shapes = [
            [[x.shape(axis, *step[m]) if x.nest and step[m][0] < step[m][1] else None for m, x in enumerate(self.members)] for step in steps]
            for axis, steps in (("rows", self.rows), ("columns", self.columns))
        ]
        result: list[list[Nest | None]] = []
        for columns, rows in itertools.product(shapes[1], shapes[0]):
            result.append([None] * len(self.members))
            for m, (row, column) in enumerate(zip(rows, columns, strict=True)):
                if row is not None and column is not None:
                    if (m, row, column) not in known:
                        known[m, row, column] = self.members[m].shaped(row, column)
                    result[-1][m] = known[m, row, column]
        return result

    def parts(self, m: int) -> dict[Nest, int]:
        """The nests that a member with loops runs, and how often each."""
        if m not in self._parts:
            member, found = self.members[m], Counter[Nest]()
            rows = Counter(member.shape("rows", *step[m]) for step in self.rows if step[m][0] < step[m][1])
            columns = Counter(member.shape("columns", *step[m]) for step in self.columns)
            for (row, times), (column, often) in itertools.product(rows.items(), columns.items()):
                found[member.shaped(row, column)] += times * often
            self._parts[m] = dict(found)
        return self._parts[m]

    def runs(self, m: int) -> int:
        """Tiles for which a member has anything to do."""
        rows, columns = (sum(step[m][0] < step[m][1] for step in axis) for axis in (self.rows, self.columns))
        return rows * columns

    def made(self, m: int) -> int:
        """Elements of a member's result that all tiles make, those made again counted again."""
        rows, columns = (sum(step[m][1] - step[m][0] for step in axis) for axis in (self.rows, self.columns))
        return rows * columns * self.members[m].planes

    def kept(self, m: int) -> tuple[str, ...]:
        """Tensors of a member that live at the level, weights, inputs and outputs."""
        member = self.members[m]
        return tuple(
            name
            for name, here in (
                ("weights", self.resident and member.nest is not None),
                ("inputs", any(source is not None for source in member.reads)),
                ("outputs", m < len(self.members) - 1),
            )
            if here
        )

    @cached_property
    def taken_bits(self) -> tuple[int, ...]:
        """Most bits of the level that results in between, and resident weights, take while each member runs."""
        weights = sum(x.weights * x.bits.weights for x in self.members) if self.resident else 0
        results = self._beside_bits() if self.beside else self._results_bits()
        return tuple(weights + bits for bits in results)

    @cached_property
    def stages(self) -> tuple[int, ...]:
        """How many tiles each member is behind the first: one for every change of engine on the way, if these run beside."""
        stages: list[int] = []
        for member in self.members:
            made = [i for i in member.reads if i is not None]
            behind = [stages[i] + (self.beside and engine(self.members[i]) != engine(member)) for i in made]
            stages.append(max(behind, default=0))
        return tuple(stages)

    def _results_bits(self) -> list[int]:
        members, consumers, steps, needed = self.members, readers(self.members), self.rows, lowest(self.members, self.rows)
        each = [bits * max(e - f for f, e in across) for bits, across in zip(self._plane_bits, self._across, strict=True)]
        most = [0] * len(members)
        for t, step in enumerate(steps):
            for m in range(len(members)):
                rows = [0] * len(members)
                for i, after in enumerate(consumers):
                    if after and self.line_buffers:
                        # Until it is made in this step, and once it was last read, rows for the steps around are there.
                        end = step[i][m >= i]
                        rows[i] = end - needed[t + (m > after[-1])][i]
                    elif after and i <= m <= after[-1]:
                        rows[i] = step[i][1] - step[i][0]
                most[m] = max(most[m], sum(max(0, n) * bits for n, bits in zip(rows, each, strict=True)))
        return most

    def _beside_bits(self) -> list[int]:
        """With members on several tiles at a time every result has room for those that its readers are behind."""
        members, consumers, steps, needed = self.members, readers(self.members), self.rows, lowest(self.members, self.rows)
        total = 0
        for i, after in enumerate(consumers):
            if not after:
                continue
            behind = max(self.stages[c] for c in after) - self.stages[i]
            wide = max(e - f for f, e in self._across[i])
            if self.line_buffers:
                ends = [step[i][1] for step in steps]
                ahead = [ends[min(t + behind, len(ends) - 1)] for t in range(len(ends))]
                high = max(end - first for end, first in zip(ahead, (n[i] for n in needed), strict=False))
            else:
                high = max(e - f for f, e in (step[i] for step in steps)) * (1 + behind)
            total += high * wide * self._plane_bits[i]
        return [total] * len(members)

    @property
    def _across(self) -> list[list[Span]]:
        """``[member]``: the columns that it makes, for every column of tiles."""
        return [list(one) for one in zip(*self.columns, strict=True)]

    @property
    def _plane_bits(self) -> list[int]:
        """Bits of one row of one column of every result."""
        return [member.planes * bits for member, bits in zip(self.members, widths(self.members), strict=True)]


def cut_to_size(mapping: Mapping, nest: Nest) -> Mapping:
    """The same loops on a smaller nest: chunks that are larger than what is left become as large as that."""
    left, nodes = nest.dims, []
    for node in mapping.nodes:
        if not isinstance(node, Keep):
            node = replace(node, tile=min(left[node.dim], node.tile))
            left[node.dim] = node.tile
        nodes.append(node)
    return Mapping(tuple(nodes))


def engine(member: Member) -> str:
    """What a member runs on, where depthwise layers have an engine of their own."""
    return "depthwise" if member.nest is not None and member.nest.depthwise else "array"


def widths(members: Sequence[Member]) -> list[int]:
    """Bits of an element of every result: at which it is read, the widest if readers differ, or written."""
    consumers = readers(members)
    return [
        max([member.bits.outputs, *(members[c].bits.inputs for c in after)])
        for member, after in zip(members, consumers, strict=True)
    ]


def readers(members: Sequence[Member]) -> list[list[int]]:
    """The members that read each result."""
    return [[c for c, member in enumerate(members) if m in member.reads] for m in range(len(members))]


def spans(members: Sequence[Member], axis: str, chunk: int, keep: bool) -> list[list[Span]]:
    """``[step][member]``: what each makes along an axis while the last result is made in chunks.

    Args:
        members: the layers.
        axis: ``rows`` or ``columns``.
        chunk: of the last result, by step.
        keep: what was made before is there yet, and isn't made again.
    """
    size, consumers = getattr(members[-1], axis), readers(members)
    done = [0] * len(members)
    steps = []
    for start in range(0, size, chunk):
        step: list[Span] = [(0, 0)] * len(members)
        step[-1] = start, min(size, start + chunk)
        for m in range(len(members) - 2, -1, -1):
            windows = [members[c].window(axis, *step[c]) for c in consumers[m] if step[c][0] < step[c][1]]
            first = done[m] if keep else min((w[0] for w in windows), default=0)
            end = max((w[1] for w in windows), default=first)
            step[m] = first, max(first, end)
        done = [max(before, end) for before, (_, end) in zip(done, step, strict=True)]
        steps.append(step)
    return steps


def lowest(members: Sequence[Member], steps: Sequence[Sequence[Span]]) -> list[list[int]]:
    """``[step][member]``: the first row of each result that this step or a later one reads; behind the last, none."""
    consumers = readers(members)
    after = [max(end for _, end in column) for column in zip(*steps, strict=True)]
    needed = [after]
    for step in reversed(steps):
        after = [
            min([rest, *(members[c].window("rows", *step[c])[0] for c in consumers[m] if step[c][0] < step[c][1])])
            for m, rest in enumerate(after)
        ]
        needed.append(after)
    return needed[::-1]
