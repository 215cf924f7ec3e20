"""Transposed convolutions as loop nests.

Every input position is multiplied with the whole filter, as PyTorch's FLOP counter has it: input positions × taps ×
input channels × output channels per group. That is a 1 × 1 convolution whose output channels are all pairs of channel
and tap. Where the results of neighbouring positions overlap or are cut off, a second row sums them up.
"""

from __future__ import annotations

import math

from picojoule.workload.convolution import Pair
from picojoule.workload.nest import Nest
from picojoule.workload.network import Layer


def transposed_layers(
    name: str,
    *,
    input_size: Pair,
    output_size: Pair,
    in_channels: int,
    out_channels: int,
    kernel: Pair,
    groups: int = 1,
    batch: int = 1,
    bias: bool = False,
    op: str = "ConvTranspose",
) -> tuple[Layer, ...]:
    """The products of a transposed convolution, and the sum of those that fall on one output where any do.

    ``output_size`` is stated: stride, dilation and padding decide only which products meet there.

    Raises:
        ValueError: groups don't divide the channels, or a size is no positive whole number.

    >>> [layer.name for layer in transposed_layers(
    ...     "up", input_size=(8, 8), output_size=(16, 16), in_channels=4, out_channels=2, kernel=(4, 4))]
    ['up', 'up.overlap']
    """
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(f"{groups} groups don't divide {in_channels} input and {out_channels} output channels")
    nest = Nest(
        N=batch,
        G=groups,
        K=out_channels // groups * math.prod(kernel),
        C=in_channels // groups,
        P=input_size[0],
        Q=input_size[1],
    )
    products = Layer(name=name, kind="conv", op=op, nest=nest, biases=out_channels if bias else 0)
    written = batch * out_channels * math.prod(output_size)
    if nest.elements("outputs") == written and math.prod(kernel) * math.prod(input_size) == math.prod(output_size):
        return (products,)
    read = nest.elements("outputs")
    overlap = Layer(
        name=f"{name}.overlap",
        kind="add",
        op=op,
        read_elements=read,
        written_elements=written,
        vector_ops=max(0, read - written),
    )
    return products, overlap
