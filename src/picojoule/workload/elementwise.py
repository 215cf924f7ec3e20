"""Layers without a loop nest beside pools, sums and concatenations: their traffic and their operations per element.

Built-in networks and the model readers make them here, so that the same operator gives the same figures whoever
read it. An operation is one addition, multiplication, comparison or function of a single element.
"""

from __future__ import annotations

from collections.abc import Sequence

from picojoule.workload.network import Layer

SOFTMAX_OPS = 5
"""Largest element, difference, exponential, sum, quotient."""
LAYER_NORM_OPS = 7
"""Mean, difference, square, variance, quotient, scale, shift."""
RMS_NORM_OPS = 4
"""Square, sum, quotient, scale; the L2 norm of SSD is counted alike."""
BILINEAR_OPS = 7
"""Four products and three sums for an output."""
ROTARY_OPS = 3
"""Two products and a sum."""


def mul_layer(name: str, *, operands: Sequence[int], written: int, op: str = "Mul") -> Layer:
    """An element-wise product: ``operands`` holds the number of elements of each, batch included.

    >>> mul_layer("layers.0.gate", operands=(8192, 8192), written=8192).vector_ops
    8192
    """
    operations = (len(operands) - 1) * written
    return _layer(name, "mul", op, sum(operands), written, operations)


def rotary_layer(name: str, *, elements: int) -> Layer:
    """Queries or keys turned by their position; sines and cosines are constants that ride along.

    >>> rotary_layer("layers.0.q_rotary", elements=2048).kind
    'mul'
    """
    return _layer(name, "mul", "RotaryEmbedding", elements, elements, ROTARY_OPS * elements)


def norm_layer(
    name: str, *, elements: int, learned: int, op: str = "LayerNormalization", ops: int = LAYER_NORM_OPS
) -> Layer:
    """A normalisation by what is in the input; ``learned`` scales and shifts are parameters that ride along.

    >>> norm_layer("ln", elements=197 * 768, learned=2 * 768).params
    1536
    """
    return _layer(name, "norm", op, elements, elements, ops * elements, learned)


def softmax_layer(name: str, *, elements: int) -> Layer:
    """Shares that add up to one.

    >>> softmax_layer("layers.0.softmax", elements=12 * 128 * 128).vector_ops
    983040
    """
    return _layer(name, "softmax", "Softmax", elements, elements, SOFTMAX_OPS * elements)


def resize_layer(name: str, *, read: int, written: int, bilinear: bool = False) -> Layer:
    """A map in another size: each element is read once; nearest neighbours are copied, without arithmetic.

    >>> resize_layer("upsample", read=256 * 13 * 13, written=256 * 26 * 26).vector_ops
    0
    """
    return _layer(name, "resize", "Resize", read, written, BILINEAR_OPS * written if bilinear else 0)


def embedding_layer(name: str, *, tokens: int, width: int, rows: Sequence[int], tied: bool = False) -> Layer:
    """A row for each token from tables of ``rows`` rows; those of several tables are added up.

    Args:
        name: the user's own name for it.
        tokens: how many.
        width: elements of a row.
        rows: of each table.
        tied: the table is the weight matrix of another layer, and counted as its parameters.

    >>> embedding_layer("embeddings", tokens=128, width=768, rows=(30522, 512, 2)).params
    23835648
    """
    written = tokens * width
    learned = 0 if tied else sum(rows) * width
    return _layer(name, "embedding", "Gather", len(rows) * written, written, (len(rows) - 1) * written, learned)


def _layer(name: str, kind: str, op: str, read: int, written: int, operations: int, learned: int = 0) -> Layer:
    return Layer(
        name=name,
        kind=kind,
        op=op,
        biases=learned,
        read_elements=read,
        written_elements=written,
        vector_ops=operations,
    )
