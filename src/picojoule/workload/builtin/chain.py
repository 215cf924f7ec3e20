"""Lays a network out layer by layer, carrying the shape of the tensor from one to the next."""

from __future__ import annotations

from typing import Literal, NamedTuple

from picojoule.workload import convolution
from picojoule.workload.network import Layer, Network, NotCosted


class Shape(NamedTuple):
    """A tensor of one image: channels × rows × columns."""

    channels: int
    rows: int
    columns: int

    @property
    def elements(self) -> int:
        return self.channels * self.rows * self.columns

    @property
    def size(self) -> tuple[int, int]:
        return self.rows, self.columns


class Chain:
    """The layers so far and the shape that the next one sees, for one image.

    Branches set ``shape`` back to what it was where they left, and meet again in `concat` or `add`.
    All windows are square. BatchNorm, activations, dropout and flattening leave no layer behind.
    """

    def __init__(self, channels: int, size: int) -> None:
        self.input = self.shape = Shape(channels, size, size)
        self.layers: list[Layer] = []
        self.not_costed: list[NotCosted] = []

    def conv(
        self,
        name: str,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: int | Literal["same"] = 0,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        """A convolution; "same" is TensorFlow's padding, whose odd row lies at the bottom and right."""
        layer = convolution.conv_layer(
            name,
            input_size=self.shape.size,
            in_channels=self.shape.channels,
            out_channels=out_channels,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=self._pad(kernel, stride, pad),
            groups=groups,
            bias=bias,
        )
        self.layers.append(layer)
        self.shape = Shape(out_channels, layer.nest.P, layer.nest.Q)

    def depthwise(self, name: str, kernel: int, *, stride: int = 1, pad: int | Literal["same"] = 0) -> None:
        """A convolution of every channel with a filter of its own."""
        channels = self.shape.channels
        self.conv(name, channels, kernel, stride=stride, pad=pad, groups=channels)

    def max_pool(self, name: str, kernel: int, stride: int, *, pad: int = 0, ceil: bool = False) -> None:
        """A max pool; with ``ceil`` a last window may stick out at the bottom and right."""
        before = self.shape
        rows, columns = (
            convolution.window_outputs(size, kernel, stride=stride, leading=pad, trailing=pad, ceil=ceil)
            for size in before.size
        )
        self.shape = Shape(before.channels, rows, columns)
        self.layers.append(
            convolution.pool_layer(
                name,
                channels=before.channels,
                input_size=before.size,
                output_size=self.shape.size,
                kernel=(kernel, kernel),
                stride=(stride, stride),
                pad=(pad, pad, pad, pad),
            )
        )

    def global_pool(self, name: str) -> None:
        """The mean of every channel."""
        before = self.shape
        self.layers.append(convolution.global_pool_layer(name, channels=before.channels, input_size=before.size))
        self.shape = Shape(before.channels, 1, 1)

    def fc(self, name: str, out_features: int, *, bias: bool = True) -> None:
        """A fully connected layer over the flattened tensor."""
        self.layers.append(
            convolution.fc_layer(name, in_features=self.shape.elements, out_features=out_features, bias=bias)
        )
        self.shape = Shape(out_features, 1, 1)

    def add(self, name: str, shortcut_elements: int) -> None:
        """The residual sum of the tensor at hand and a shortcut of so many elements."""
        written = self.shape.elements
        self.layers.append(convolution.add_layer(name, operands=(written, shortcut_elements), written=written))

    def concat(self, name: str, branches: list[Shape]) -> None:
        """The channels of several branches behind one another."""
        self.layers.append(convolution.concat_layer(name, operands=[branch.elements for branch in branches]))
        self.shape = Shape(sum(branch.channels for branch in branches), *branches[0].size)

    def leave_out(self, op: str, name: str) -> None:
        """An operator that runs here and is not costed; it reads and writes the tensor at hand."""
        self.not_costed.append(NotCosted(op=op, where=name, elements=2 * self.shape.elements))

    def network(self, name: str, *, variant: str, source: str) -> Network:
        """The network laid out so far, for a batch of one."""
        return Network(
            name=name,
            layers=tuple(self.layers),
            input_shape=(1, *self.input),
            variant=variant,
            source=source,
            not_costed=tuple(self.not_costed),
        )

    def _pad(self, kernel: int, stride: int, pad: int | Literal["same"]) -> tuple[int, int, int, int]:
        if pad != "same":
            return pad, pad, pad, pad
        top, bottom = convolution.same_pad(self.shape.rows, kernel, stride=stride)
        left, right = convolution.same_pad(self.shape.columns, kernel, stride=stride)
        return top, left, bottom, right
