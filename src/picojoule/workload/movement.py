"""Layers that are no nest and no pool: what they read and write, and their operations on single elements.

The operations of a function such as exp, tanh or a division count as one each. `docs/reference/operators.md` lists
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from picojoule.workload.network import Layer

SOFTMAX_OPERATIONS = 5
"""Per element: the largest, the difference to it, exp, the sum, the division."""

NORM_OPERATIONS = {"mean and variance": 5, "root mean square": 3}
"""Per element, scale and shift apart: sum, difference, square, its sum, product with 1/σ; square, sum, product."""


def pointwise_layer(name: str, *, elements: int, op: str) -> Layer:
    """A function of single elements that can't ride along with the layer before."""
    return Layer(
        name=name, kind="pointwise", op=op, read_elements=elements, written_elements=elements, vector_ops=elements
    )


def version_layer(name: str, *, elements: int, op: str) -> Layer:
    """What a layer writes beside its result: the same with a function applied on write-back, so nothing is read."""
    return Layer(name=name, kind="pointwise", op=op, written_elements=elements)


def mul_layer(name: str, *, operands: Sequence[int], written: int, op: str = "Mul") -> Layer:
    """An element-wise product: ``operands`` holds the number of elements of each, batch included.

    >>> mul_layer("layers.0.gate", operands=(8192, 8192), written=8192).vector_ops
    8192
    """
    return Layer(
        name=name,
        kind="mul",
        op=op,
        read_elements=sum(operands),
        written_elements=written,
        vector_ops=(len(operands) - 1) * written,
    )


def softmax_layer(name: str, *, elements: int, mask_elements: int = 0, op: str = "Softmax") -> Layer:
    """A softmax over any axes, of scores to which a mask may be added first.

    >>> softmax_layer("prob", elements=1000).vector_ops
    5000
    """
    return Layer(
        name=name,
        kind="softmax",
        op=op,
        read_elements=elements + mask_elements,
        written_elements=elements,
        vector_ops=(SOFTMAX_OPERATIONS + bool(mask_elements)) * elements,
    )


def norm_layer(
    name: str, *, elements: int, parameters: int = 0, affine: int = 0, statistics: str = "mean and variance", op: str
) -> Layer:
    """A normalisation by statistics of the data: layer, group, instance, root mean square.

    Args:
        name: the user's own name for it.
        elements: of the tensor.
        parameters: learned scales and shifts; they ride along, as biases do.
        affine: operations per element for scale and shift, 0 to 2.
        statistics: a key of `NORM_OPERATIONS`.
        op: the operator as the model calls it.

    >>> norm_layer("norm1", elements=100, parameters=20, affine=2, op="LayerNormalization").vector_ops
    700
    """
    operations = (NORM_OPERATIONS[statistics] + affine) * elements
    return Layer(
        name=name,
        kind="norm",
        op=op,
        biases=parameters,
        read_elements=elements,
        written_elements=elements,
        vector_ops=operations,
    )


def neighbour_norm_layer(name: str, *, elements: int, size: int, op: str = "LRN") -> Layer:
    """Local response normalisation over ``size`` channels: squares, their sums, scale, shift, power, division.

    >>> neighbour_norm_layer("norm1", elements=100, size=5).vector_ops
    900
    """
    return Layer(
        name=name,
        kind="norm",
        op=op,
        read_elements=elements,
        written_elements=elements,
        vector_ops=(size + 4) * elements,
    )


def reduce_layer(name: str, *, read: int, written: int, op: str) -> Layer:
    """A sum, mean, largest or the like over some axes: one operation for each element but the first of each result."""
    return Layer(
        name=name,
        kind="reduce",
        op=op,
        read_elements=read,
        written_elements=written,
        vector_ops=max(0, read - written),
    )


def scan_layer(name: str, *, elements: int, operations: int = 1, op: str) -> Layer:
    """Every element from those before it, or any other row of ``operations`` on each element."""
    return Layer(
        name=name,
        kind="pointwise",
        op=op,
        read_elements=elements,
        written_elements=elements,
        vector_ops=operations * elements,
    )


def rotary_layer(name: str, *, elements: int, angles: int = 0, op: str = "RotaryEmbedding") -> Layer:
    """Queries or keys turned by their position: two products and a sum for each element.

    Sines and cosines ride along unless they are computed (``angles`` of them).
    """
    return Layer(
        name=name,
        kind="mul",
        op=op,
        read_elements=elements + angles,
        written_elements=elements,
        vector_ops=3 * elements,
    )


def move_layer(name: str, *, read: int, written: int, op: str) -> Layer:
    """Data that come to lie elsewhere, unchanged."""
    return Layer(name=name, kind="move", op=op, read_elements=read, written_elements=written)


def resize_layer(name: str, *, read: int, written: int, taps: int, op: str = "Resize") -> Layer:
    """A map of another size: ``taps`` weighted neighbours for each element written, 1 for the nearest.

    >>> resize_layer("up", read=100, written=400, taps=4).vector_ops
    2800
    """
    operations = 2 * taps - 1 if taps > 1 else 0
    return Layer(
        name=name,
        kind="resize",
        op=op,
        read_elements=read,
        written_elements=written,
        vector_ops=operations * written,
    )


def embedding_layer(name: str, *, indices: int, table: tuple[int, int], op: str = "Gather") -> Layer:
    """Rows gathered from a table of (rows, size): the table is parameters, only what is asked for moves.

    >>> embedding_layer("tokens", indices=128, table=(30522, 768)).written_elements
    98304
    """
    rows, size = table
    return Layer(
        name=name,
        kind="embedding",
        op=op,
        biases=rows * size,
        read_elements=indices,
        read_weights=indices * size,
        written_elements=indices * size,
    )
