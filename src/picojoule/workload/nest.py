"""A layer as a loop nest over eight dimensions and three tensors.

The loop letters stand for N batch, G groups, K output channels per group, C input channels per
group, P and Q output rows and columns, R and S filter rows and columns.
Output (n, g, k, p, q) accumulates weight (g, k, c, r, s) times input
(n, g, c, p·stride + r·dilation − pad_top, q·stride + s·dilation − pad_left).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

DIMS = ("N", "G", "K", "C", "P", "Q", "R", "S")
"""The loop letters: batch; groups; output and input channels per group; output rows, columns; filter rows, columns."""
TENSORS = ("weights", "inputs", "outputs")
"""What a nest reads and writes."""

RELEVANT: dict[str, frozenset[str]] = {
    "weights": frozenset("GKCRS"),
    "inputs": frozenset("NGCPQRS"),
    "outputs": frozenset("NGKPQ"),
}
"""The dimensions whose index selects an element of the tensor; a loop over any other reuses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Width of an element of each tensor, in bits.

    Attributes:
        weights: 1 … 64.
        inputs: 1 … 64.
        outputs: 1 … 64, of a finished output.
        psums: 1 … 64, of an output that is not yet complete.

    Raises:
        ValueError: a width that is no whole number from 1 to 64.
    """

    weights: int
    inputs: int
    outputs: int
    psums: int

    def __post_init__(self) -> None:
        for name in ("weights", "inputs", "outputs", "psums"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 64:
                raise ValueError(f"bits of {name} must be a whole number from 1 to 64, got {value!r}")

    def of(self, tensor: str) -> int:
        """Width of a finished element of ``tensor``."""
        return getattr(self, tensor)

    def stored(self, tensor: str) -> int:
        """Width in which a level inside the home holds ``tensor``: outputs are partial sums there."""
        return self.psums if tensor == "outputs" else getattr(self, tensor)


@dataclass(frozen=True, kw_only=True)
class Nest:
    """The loop nest of one layer. Sizes are whole numbers ≥ 1.

    Attributes:
        N: batch; the rows of a matrix product.
        G: groups.
        K: output channels per group.
        C: input channels per group.
        P: output rows.
        Q: output columns.
        R: filter rows.
        S: filter columns.
        stride: rows, columns.
        dilation: rows, columns.
        pad: top, left, bottom, right: what the windows reach.

    Raises:
        ValueError: a size that is no positive whole number, or padding that swallows the input.
    """

    N: int = 1
    G: int = 1
    K: int = 1
    C: int = 1
    P: int = 1
    Q: int = 1
    R: int = 1
    S: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        for name in DIMS:
            _whole(name, getattr(self, name), 1)
        for name in ("stride", "dilation"):
            for value in getattr(self, name):
                _whole(name, value, 1)
        for value in self.pad:
            _whole("pad", value, 0)
        if self.input_rows < 1 or self.input_columns < 1:
            raise ValueError(f"pad {list(self.pad)} leaves an input of {self.input_rows} × {self.input_columns}")

    @property
    def dims(self) -> dict[str, int]:
        """Size of every dimension, by loop letter."""
        return {d: getattr(self, d) for d in DIMS}

    @cached_property
    def input_rows(self) -> int:
        """Height of the input without padding, as far down as the nest reaches."""
        return (self.P - 1) * self.stride[0] + (self.R - 1) * self.dilation[0] + 1 - self.pad[0] - self.pad[2]

    @cached_property
    def input_columns(self) -> int:
        """Width of the input without padding, as far right as the nest reaches."""
        return (self.Q - 1) * self.stride[1] + (self.S - 1) * self.dilation[1] + 1 - self.pad[1] - self.pad[3]

    @cached_property
    def macs(self) -> int:
        """Multiply–accumulates executed, those on padding included."""
        return self.N * self.G * self.K * self.C * self.P * self.Q * self.R * self.S

    @property
    def depthwise(self) -> bool:
        """Whether every output channel comes from one input channel of its own."""
        return self.G > 1 and self.K == 1 and self.C == 1

    def elements(self, tensor: str) -> int:
        """Distinct elements of ``tensor`` that at least one MAC touches; padding is none."""
        if tensor == "weights":
            return self.G * self.K * self.C * self.R * self.S
        if tensor == "outputs":
            return self.N * self.G * self.K * self.P * self.Q
        return self.N * self.G * self.C * len(self.touched("rows")) * len(self.touched("columns"))

    def touched(self, axis: str) -> frozenset[int]:
        """Indices of the input along ``axis`` ("rows" or "columns") that some MAC reads."""
        outer, inner, stride, dilation, pad, size = self.window(axis)
        reached = {p * stride + r * dilation - pad for p in range(outer) for r in range(inner)}
        return frozenset(i for i in reached if 0 <= i < size)

    def window(self, axis: str) -> tuple[int, int, int, int, int, int]:
        """``(outputs, taps, stride, dilation, leading pad, input size)`` along "rows" or "columns"."""
        if axis == "rows":
            return self.P, self.R, self.stride[0], self.dilation[0], self.pad[0], self.input_rows
        return self.Q, self.S, self.stride[1], self.dilation[1], self.pad[1], self.input_columns


def _whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
