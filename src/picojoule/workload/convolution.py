"""Layers from what a model states: channels, kernel, stride, padding and the size of the input.

Built-in networks and the model readers make their layers here, so that the same operator gives the
same nest whoever read it. One-dimensional operators lie on the column axis: ``input_size`` (1, length),
``kernel`` (1, taps), which gives P = R = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from picojoule.workload.nest import Bits, Nest
from picojoule.workload.network import Layer

Pair = tuple[int, int]
Pad = tuple[int, int, int, int]


def window_outputs(
    input_size: int,
    taps: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    leading: int = 0,
    trailing: int = 0,
    ceil: bool = False,
) -> int:
    """Positions of a sliding window along one axis.

    With ``ceil`` a last window that sticks out at the end counts too, as long as it starts inside the
    input or its leading padding (Caffe, and ``ceil_mode`` of torch and ONNX).

    Raises:
        ValueError: the window is larger than the padded input.
    """
    room = input_size + leading + trailing - (taps - 1) * dilation - 1
    if room < 0:
        raise ValueError(
            f"a window of {(taps - 1) * dilation + 1} does not fit in an input of {input_size}"
            f" with padding {leading} and {trailing}"
        )
    steps = room // stride
    if ceil and room % stride and (steps + 1) * stride < input_size + leading:
        steps += 1
    return steps + 1


def same_pad(input_size: int, taps: int, *, stride: int = 1, dilation: int = 1, upper: bool = True) -> tuple[int, int]:
    """(leading, trailing) padding that gives ceil(input ÷ stride) outputs; an odd one goes to the end if ``upper``.

    TensorFlow's ``SAME`` and ONNX's ``SAME_UPPER``; ``SAME_LOWER`` puts the odd one first.
    """
    outputs = -(-input_size // stride)
    total = max(0, (outputs - 1) * stride + (taps - 1) * dilation + 1 - input_size)
    half = total // 2
    return (half, total - half) if upper else (total - half, half)


def effective_pad(input_size: int, outputs: int, taps: int, stride: int, dilation: int, leading: int) -> int:
    """Trailing padding that the window really reaches along one axis.

    A declared padding may lie partly or wholly beyond the last window. Nests carry what is executed,
    so that ``Nest.input_rows`` is the extent reached and never more than the real input.
    """
    reach = (outputs - 1) * stride + (taps - 1) * dilation + 1
    return max(0, reach - leading - input_size)


def touched(input_size: int, outputs: int, taps: int, stride: int, dilation: int, leading: int) -> int:
    """Distinct input positions along one axis that some window reads, padding left out."""
    reached = {o * stride + t * dilation - leading for o in range(outputs) for t in range(taps)}
    return sum(1 for position in reached if 0 <= position < input_size)


def conv_layer(
    name: str,
    *,
    input_size: Pair,
    in_channels: int,
    out_channels: int,
    kernel: Pair,
    stride: Pair = (1, 1),
    pad: Pad = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    batch: int = 1,
    bias: bool = False,
    op: str = "Conv",
    bits: Bits | None = None,
) -> Layer:
    """A convolution over an input of ``batch`` × ``in_channels`` × ``input_size``.

    Args:
        name: the user's own name for it.
        input_size: (rows, columns).
        in_channels: of all groups together.
        out_channels: of all groups together.
        kernel: (rows, columns) of the filter.
        stride: (rows, columns).
        pad: (top, left, bottom, right) as the model declares it; the nest keeps what is reached.
        dilation: (rows, columns).
        groups: as many as input channels make the layer depthwise.
        batch: number of inputs.
        bias: whether it has a bias of its own, one element per output channel.
        op: the operator as the model calls it.
        bits: the model's own widths.

    Raises:
        ValueError: groups don't divide the channels, the filter doesn't fit, or a size is no positive whole number.

    >>> conv_layer("conv1", input_size=(227, 227), in_channels=3, out_channels=96, kernel=(11, 11), stride=(4, 4)).macs
    105415200
    """
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(f"{groups} groups don't divide {in_channels} input and {out_channels} output channels")
    top, left, bottom, right = pad
    rows, columns = (
        window_outputs(size, taps, stride=step, dilation=apart, leading=before, trailing=after)
        for size, taps, step, apart, before, after in zip(
            input_size, kernel, stride, dilation, (top, left), (bottom, right), strict=True
        )
    )
    nest = Nest(
        N=batch,
        G=groups,
        K=out_channels // groups,
        C=in_channels // groups,
        P=rows,
        Q=columns,
        R=kernel[0],
        S=kernel[1],
        stride=stride,
        dilation=dilation,
        pad=(
            top,
            left,
            effective_pad(input_size[0], rows, kernel[0], stride[0], dilation[0], top),
            effective_pad(input_size[1], columns, kernel[1], stride[1], dilation[1], left),
        ),
    )
    kind = "depthwise" if groups == in_channels > 1 else "conv"
    return Layer(name=name, kind=kind, op=op, nest=nest, biases=out_channels if bias else 0, bits=bits)


def fc_layer(
    name: str,
    *,
    in_features: int,
    out_features: int,
    rows: int = 1,
    bias: bool = False,
    op: str = "Gemm",
    bits: Bits | None = None,
) -> Layer:
    """A fully connected layer, or a product of ``rows`` × ``in_features`` with a weight matrix.

    >>> fc_layer("fc", in_features=512, out_features=1000, bias=True).params
    513000
    """
    nest = Nest(N=rows, K=out_features, C=in_features)
    return Layer(name=name, kind="fc", op=op, nest=nest, biases=out_features if bias else 0, bits=bits)


def pool_layer(
    name: str,
    *,
    channels: int,
    input_size: Pair,
    output_size: Pair,
    kernel: Pair,
    stride: Pair = (1, 1),
    pad: Pad = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    batch: int = 1,
    op: str = "MaxPool",
) -> Layer:
    """A max or average pool: reads what its windows touch, and does taps − 1 operations per output.

    Windows that stick out are counted as whole ones; the division of an average is not counted.
    ``output_size`` is stated, since ceil mode is the model's own affair (see `window_outputs`).

    >>> pool_layer("pool1", channels=96, input_size=(5, 5), output_size=(2, 2), kernel=(3, 3), stride=(2, 2)).vector_ops
    3072
    """
    rows, columns = (
        touched(input_size[axis], output_size[axis], kernel[axis], stride[axis], dilation[axis], pad[axis])
        for axis in (0, 1)
    )
    written = batch * channels * output_size[0] * output_size[1]
    return Layer(
        name=name,
        kind="pool",
        op=op,
        read_elements=batch * channels * rows * columns,
        written_elements=written,
        vector_ops=(kernel[0] * kernel[1] - 1) * written,
    )


def global_pool_layer(
    name: str, *, channels: int, input_size: Pair, batch: int = 1, op: str = "GlobalAveragePool"
) -> Layer:
    """One value per channel from the whole map.

    >>> global_pool_layer("avgpool", channels=512, input_size=(7, 7)).written_elements
    512
    """
    return pool_layer(
        name, channels=channels, input_size=input_size, output_size=(1, 1), kernel=input_size, batch=batch, op=op
    )


def add_layer(name: str, *, operands: Sequence[int], written: int, op: str = "Add") -> Layer:
    """An element-wise sum: ``operands`` holds the number of elements of each, batch included.

    An operand smaller than ``written`` is broadcast, and read once.

    >>> add_layer("layer1.0.add", operands=(200704, 200704), written=200704).read_elements
    401408
    """
    return Layer(
        name=name,
        kind="add",
        op=op,
        read_elements=sum(operands),
        written_elements=written,
        vector_ops=(len(operands) - 1) * written,
    )


def concat_layer(name: str, *, operands: Sequence[int], op: str = "Concat") -> Layer:
    """Tensors laid side by side: every element is read and written once, and nothing is computed.

    >>> concat_layer("3a_concat", operands=(50176, 100352, 25088, 25088)).written_elements
    200704
    """
    return Layer(name=name, kind="concat", op=op, read_elements=sum(operands), written_elements=sum(operands))
