"""Which layers may run as one group, and which part of each of their tensors a tile of the last result needs.

The rules stand in ``docs/explanation/fusion.md``: a group is a run of layers of which every result but the last is read inside
the group alone, so that it needs never leave the chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.workload.nest import Bits, Nest
from picojoule.workload.network import WEIGHTLESS, Layer, Network
from picojoule.workload.zeros import Zeros

SUMS = "add"
"""Kind of the layers without nest that a group may have: element-wise sums of tensors of one shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A layer of a group, without its name: groups of equal members cost the same.

    Attributes:
        nest: its loops; None for a sum.
        bits, zeros: of its tensors.
        reads: for each tensor that it reads the member that makes it, counted from 0; None for one from outside.
        rows, columns: of its result.
        planes: maps of its result, all channels of all inputs of the batch.
        vector_ops: of a sum, for the whole result.
    """

    nest: Nest | None
    bits: Bits
    zeros: Zeros
    reads: tuple[int | None, ...]
    rows: int
    columns: int
    planes: int
    vector_ops: int = 0

    @property
    def weights(self) -> int:
        """Elements of its weights."""
        return self.nest.elements("weights") if self.nest else 0

    def window(self, axis: str, first: int, end: int) -> tuple[int, int]:
        """``(first, end)`` of the rows (or columns) of its inputs that the outputs from ``first`` to before ``end`` need."""
        if self.nest is None:
            return first, end
        _, taps, stride, dilation, pad, size = self.nest.window(axis)
        return max(0, first * stride - pad), min(size, (end - 1) * stride + (taps - 1) * dilation + 1 - pad)

    def shape(self, axis: str, first: int, end: int) -> tuple[int, int, int]:
        """Length of a part along an axis, and the padding before and behind its window."""
        assert self.nest is not None
        _, taps, stride, dilation, pad, size = self.nest.window(axis)
        reach = (end - 1) * stride + (taps - 1) * dilation + 1 - pad
        return end - first, max(0, pad - first * stride), max(0, reach - size)

    def shaped(self, rows: tuple[int, int, int], columns: tuple[int, int, int]) -> Nest:
        """The nest of a part with these shapes."""
        assert self.nest is not None
        nest = self.nest
        return Nest(
            N=nest.N, G=nest.G, K=nest.K, C=nest.C, P=rows[0], Q=columns[0], R=nest.R, S=nest.S,
            stride=nest.stride, dilation=nest.dilation, pad=(rows[1], columns[1], rows[2], columns[2]),
        )  # fmt: skip


class Chains:
    """The runs of layers of a network that may be fused.

    Args:
        network, widths, zeros: the layers with the widths of their elements and what is known of their zeros.
    """

    def __init__(self, network: Network, widths: Sequence[Bits], zeros: Sequence[Zeros]) -> None:
        self._layers, self._widths, self._zeros = network.layers, widths, zeros
        flow = network.flow
        names = [layer.name for layer in self._layers]
        self._numbers = {name: i for i, name in enumerate(names)}
        self.known = flow is not None
        # In a chain each layer reads the one before.
        reads = [] if flow is None else [(n,) for n in ["", *names[:-1]]] if flow.chain else list(flow.reads)
        self._reads: list[tuple[str, ...]] = reads or [()] * len(names)
        self._handed_back = set() if flow is None else set(flow.outputs)
        self._readers: dict[str, list[int]] = {}
        for i, read in enumerate(self._reads):
            for name in dict.fromkeys(read):
                self._readers.setdefault(name, []).append(i)
        self._shapes: dict[int, tuple[int, int, int]] = {
            i: (layer.nest.P, layer.nest.Q, layer.nest.N * layer.nest.G * layer.nest.K)
            for i, layer in enumerate(self._layers)
            if layer.nest is not None
        }

    def hindrance(self, first: int, end: int) -> str | None:
        """Why the layers from ``first`` to before ``end`` are no group; None if they may be one."""
        for i in range(first, end):
            why = self.unfit(i) or self._unfed(i, first)
            if why is not None:
                return why
        for i in range(first, end - 1):
            name = self._layers[i].name
            outside = [r for r in self._readers.get(name, []) if r >= end]
            if outside:
                return f"the result of {name} is read by {self._layers[outside[0]].name}, too, which is not in the group"
            if name in self._handed_back or name not in self._readers:
                return f"the network hands back the result of {name}"
        return None

    def broken(self, first: int, end: int) -> bool:
        """Whether no group at all has the layers from ``first`` to before ``end`` in it, whatever follows them."""
        return any(self.unfit(i) or self._unfed(i, first) for i in range(first, end)) or any(
            self._layers[i].name in self._handed_back for i in range(first, end - 1)
        )

    def unfit(self, i: int) -> str | None:
        """Why a layer can be in no group; None if it can."""
        layer = self._layers[i]
        if not self.known:
            return "who reads what of this network is not known"
        if layer.repeats > 1:
            return f"{layer.name} runs {layer.repeats} times"
        if layer.nest is None and layer.kind != SUMS:
            return f"{layer.name} is a layer of kind {layer.kind}, whose tiles are not modelled"
        if layer.kind == WEIGHTLESS:
            return f"{layer.name} multiplies two activations"
        return None

    def _unfed(self, i: int, first: int) -> str | None:
        """Why a layer can't be fed by tiles of what the members before it make."""
        layer, name = self._layers[i], self._layers[i].name
        inside = [n for n in self._reads[i] if first <= self._numbers.get(n, -1) < i]
        if i > first and not inside:
            return f"{name} reads none of {self._layers[first].name} … {self._layers[i - 1].name}"
        if layer.nest is None:
            return self._no_plain_sum(i, inside)
        if i > first and len(self._reads[i]) > 1:
            return f"{name} reads {' and '.join(self._reads[i])}"
        for source in inside:
            rows, columns, planes = self._shape(self._numbers[source]) or (0, 0, 0)
            if planes != layer.nest.N * layer.nest.G * layer.nest.C:
                return f"{name} does not read the maps of {source} as they are"
            if (layer.nest.input_rows, layer.nest.input_columns) != (rows, columns):
                return f"{name} does not read all rows and columns of {source}"
            if any(len(layer.nest.touched(axis)) < size for axis, size in (("rows", rows), ("columns", columns))):
                return f"{name} leaves out rows or columns of {source}"
        return None

    def _no_plain_sum(self, i: int, inside: list[str]) -> str | None:
        layer = self._layers[i]
        shapes = {self._shape(self._numbers[source]) for source in inside}
        same = layer.read_elements == len(self._reads[i]) * layer.written_elements and not layer.read_weights
        if len(shapes) != 1 or None in shapes or not same:
            return f"the operands of {layer.name} differ in shape, or it begins the group"
        rows, columns, planes = next(iter(shapes)) or (0, 0, 0)
        if rows * columns * planes != layer.written_elements:
            return f"{layer.name} does not read the maps of {inside[0]} as they are"
        self._shapes[i] = rows, columns, planes
        return None

    def _shape(self, i: int) -> tuple[int, int, int] | None:
        """Rows, columns and maps of a result; of a sum those of its operands, once it was looked at."""
        return self._shapes.get(i)

    def members(self, first: int, end: int) -> tuple[Member, ...]:
        """The layers from ``first`` to before ``end`` as members; ``hindrance`` must have found none."""
        return tuple(self._member(i, first) for i in range(first, end))

    def _member(self, i: int, first: int) -> Member:
        layer: Layer = self._layers[i]
        rows, columns, planes = self._shapes[i]
        numbers = [self._numbers.get(name, -1) for name in self._reads[i]] or [-1]
        return Member(
            nest=layer.nest,
            bits=self._widths[i],
            zeros=self._zeros[i],
            reads=tuple(n - first if n >= first else None for n in numbers),
            rows=rows,
            columns=columns,
            planes=planes,
            vector_ops=layer.vector_ops,
        )
