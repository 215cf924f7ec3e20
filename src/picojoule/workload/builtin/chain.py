"""Lays an image network out layer by layer, carrying the tensor at hand from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from picojoule.workload import convolution, movement
from picojoule.workload.builtin.ledger import Ledger
from picojoule.workload.data_flow import Given
from picojoule.workload.network import Network
from picojoule.workload.transposed import transposed_layers

INPUT = "input"


class Tensor(NamedTuple):
    """A tensor of one image: channels × rows × columns, and who makes it."""

    channels: int
    rows: int
    columns: int
    maker: str

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.rows, self.columns

    @property
    def elements(self) -> int:
        return self.channels * self.rows * self.columns

    @property
    def size(self) -> tuple[int, int]:
        return self.rows, self.columns


class Chain:
    """The layers so far and the tensor that the next one reads, for one image.

    Branches set ``at`` back to what it was where they left, and meet again in `concat` or `add`.
    All windows are square. BatchNorm, activations, dropout and flattening leave no layer behind.
    """

    def __init__(self, channels: int, size: int | tuple[int, int]) -> None:
        rows, columns = (size, size) if isinstance(size, int) else size
        self.at = Tensor(channels, rows, columns, INPUT)
        self._ledger = Ledger((1, *self.at.shape), Given(name=INPUT, elements=self.at.elements))

    def conv(
        self,
        name: str,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: int | Literal["same"] = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        """A convolution; "same" is TensorFlow's padding, whose odd row lies at the bottom and right."""
        layer = convolution.conv_layer(
            name,
            input_size=self.at.size,
            in_channels=self.at.channels,
            out_channels=out_channels,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=self._pad(kernel, stride, pad, dilation),
            dilation=(dilation, dilation),
            groups=groups,
            bias=bias,
        )
        self._ledger.put(layer, self.at.maker)
        self.at = Tensor(out_channels, layer.nest.P, layer.nest.Q, name)

    def depthwise(
        self, name: str, kernel: int, *, stride: int = 1, pad: int | Literal["same"] = 0, dilation: int = 1
    ) -> None:
        """A convolution of every channel with a filter of its own."""
        channels = self.at.channels
        self.conv(name, channels, kernel, stride=stride, pad=pad, dilation=dilation, groups=channels)

    def doubling(self, name: str, out_channels: int, *, bias: bool = False) -> None:
        """A transposed 2 × 2 convolution of stride 2, which doubles rows and columns."""
        before, self.at = self.at, Tensor(out_channels, 2 * self.at.rows, 2 * self.at.columns, name)
        (layer,) = transposed_layers(
            name,
            input_size=before.size,
            output_size=self.at.size,
            in_channels=before.channels,
            out_channels=out_channels,
            kernel=(2, 2),
            bias=bias,
        )
        self._ledger.put(layer, before.maker)

    def max_pool(self, name: str, kernel: int, stride: int, *, pad: int = 0, ceil: bool = False) -> None:
        """A max pool; with ``ceil`` a last window may stick out at the bottom and right."""
        before = self.at
        rows, columns = (
            convolution.window_outputs(size, kernel, stride=stride, leading=pad, trailing=pad, ceil=ceil)
            for size in before.size
        )
        self.at = Tensor(before.channels, rows, columns, name)
        layer = convolution.pool_layer(
            name,
            channels=before.channels,
            input_size=before.size,
            output_size=self.at.size,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=(pad, pad, pad, pad),
        )
        self._ledger.put(layer, before.maker)

    def global_pool(self, name: str) -> None:
        """The mean of every channel."""
        before = self.at
        layer = convolution.global_pool_layer(name, channels=before.channels, input_size=before.size)
        self._ledger.put(layer, before.maker)
        self.at = Tensor(before.channels, 1, 1, name)

    def fc(self, name: str, out_features: int, *, bias: bool = True) -> None:
        """A fully connected layer over the flattened tensor."""
        layer = convolution.fc_layer(name, in_features=self.at.elements, out_features=out_features, bias=bias)
        self._ledger.put(layer, self.at.maker)
        self.at = Tensor(out_features, 1, 1, name)

    def add(self, name: str, other: Tensor, *, read_of_other: int | None = None) -> None:
        """The residual sum of the tensor at hand and another; ``read_of_other`` of its elements if not all are read."""
        written = self.at.elements
        operands = (written, other.elements if read_of_other is None else read_of_other)
        self._ledger.put(convolution.add_layer(name, operands=operands, written=written), self.at.maker, other.maker)
        self.at = self.at._replace(maker=name)

    def concat(self, name: str, branches: Sequence[Tensor]) -> None:
        """The channels of several branches behind one another, of each the middle part that the smallest has, too."""
        rows, columns = (min(branch.size[axis] for branch in branches) for axis in (0, 1))
        layer = convolution.concat_layer(name, operands=[branch.channels * rows * columns for branch in branches])
        self._ledger.put(layer, *(branch.maker for branch in branches))
        self.at = Tensor(sum(branch.channels for branch in branches), rows, columns, name)

    def flat_concat(self, name: str, branches: Sequence[Tensor]) -> None:
        """The elements of several branches behind one another."""
        layer = convolution.concat_layer(name, operands=[branch.elements for branch in branches])
        self._ledger.put(layer, *(branch.maker for branch in branches))
        self.at = Tensor(layer.written_elements, 1, 1, name)

    def resize(self, name: str, size: tuple[int, int], *, bilinear: bool = False) -> None:
        """The tensor at hand with other rows and columns."""
        before, self.at = self.at, Tensor(self.at.channels, *size, name)
        layer = movement.resize_layer(name, read=before.elements, written=self.at.elements, taps=4 if bilinear else 1)
        self._ledger.put(layer, before.maker)

    def l2_norm(self, name: str) -> None:
        """Every pixel divided by the length of its vector of channels, and scaled by a learned factor per channel."""
        layer = movement.norm_layer(
            name,
            elements=self.at.elements,
            parameters=self.at.channels,
            affine=1,
            statistics="root mean square",
            op="LpNormalization",
        )
        self._ledger.put(layer, self.at.maker)
        self.at = self.at._replace(maker=name)

    def local_norm(self, name: str, size: int = 5) -> None:
        """Local response normalisation over ``size`` channels."""
        self._ledger.put(movement.neighbour_norm_layer(name, elements=self.at.elements, size=size), self.at.maker)
        self.at = self.at._replace(maker=name)

    def softmax(self, name: str) -> None:
        """Shares of classes."""
        self._ledger.put(movement.softmax_layer(name, elements=self.at.elements), self.at.maker)
        self.at = self.at._replace(maker=name)

    def arg_max(self, name: str) -> None:
        """The number of the largest channel at every pixel."""
        layer = movement.reduce_layer(name, read=self.at.elements, written=self.at.rows * self.at.columns, op="ArgMax")
        self._ledger.put(layer, self.at.maker)
        self.at = Tensor(1, *self.at.size, name)

    def leave_out(self, op: str, name: str) -> None:
        """An operator that runs here in place and is not costed; it reads and writes the tensor at hand."""
        self._ledger.leave_out(op, name, 2 * self.at.elements)

    def network(self, name: str, *, variant: str, source: str) -> Network:
        """The network laid out so far, for a batch of one."""
        return self._ledger.network(name, variant=variant, source=source)

    def _pad(self, kernel: int, stride: int, pad: int | Literal["same"], dilation: int) -> tuple[int, int, int, int]:
        if pad != "same":
            return pad, pad, pad, pad
        top, bottom = convolution.same_pad(self.at.rows, kernel, stride=stride, dilation=dilation)
        left, right = convolution.same_pad(self.at.columns, kernel, stride=stride, dilation=dilation)
        return top, left, bottom, right
