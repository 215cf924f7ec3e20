"""What each ONNX operator comes to: one function per operator, found by its name in `OPERATORS`.

A function takes the node and its graph and answers with one of

* a `Layer`: a loop nest, or the traffic of a pool, an element-wise sum or a concatenation;
* `Pointwise`: a function of single elements, applied where its operand is written or read anyway;
* `Free`: the same data under another shape, or a part of it;
* `NotCosted`: named in the result instead of counted.

To support one more operator, add one function and its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from picojoule.errors import ModelError
from picojoule.frontends.onnx_graph import Graph, Node, Shape
from picojoule.frontends.onnx_padding import declared_padding, foldable_pad, window_padding
from picojoule.workload.convolution import (
    add_layer,
    concat_layer,
    conv_layer,
    fc_layer,
    global_pool_layer,
    pool_layer,
    window_outputs,
)
from picojoule.workload.nest import Nest
from picojoule.workload.network import Layer, NotCosted

LARGEST_WINDOW_WORK = 2**23
"""Positions of a window along one axis times its taps; more are taken for a mistake in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """The output is ``source`` under another shape, element for element, or ``part`` of it."""

    source: str
    part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointwise:
    """Every output element depends on the same element of each of the ``operands`` alone, and on constants.

    Attributes:
        operands: names of tensors, each once; constants among them are too large to ride along.
        biases: elements of a constant that is the bias of the layer before.
    """

    operands: tuple[str, ...]
    biases: int = 0


Meaning = Layer | Free | Pointwise | NotCosted
Operator = Callable[[Node, Graph], Meaning]


def not_costed(node: Node, graph: Graph) -> NotCosted:
    """Any operator that nothing here knows."""
    return NotCosted(op=node.op, where=node.name, elements=graph.elements_moved(node))


def convolution(node: Node, graph: Graph) -> Layer | NotCosted:
    """Conv over one or two axes; over three it is not costed."""
    source, extra = foldable_pad(graph, node)
    data = graph.shape(source, node)
    filters = graph.shape(node.given(1), node)
    if len(data) not in (3, 4):
        return not_costed(node, graph)
    axes = len(data) - 2
    groups = node.integer("group", 1)
    if len(filters) != len(data) or data[1] != filters[1] * groups:
        raise ModelError(
            f"filters of shape {list(filters)} in {groups} groups don't fit an input of shape {list(data)}",
            where=node.place,
        )
    taps = node.integers("kernel_shape", axes, 1) if "kernel_shape" in node.attributes else filters[2:]
    if taps != filters[2:]:
        raise ModelError(f"kernel_shape is {list(taps)}, but the filters have shape {list(filters)}", where=node.place)
    stride = node.integers("strides", axes, 1)
    dilation = node.integers("dilations", axes, 1)
    leading, trailing = window_padding(node, data[2:], taps, stride, dilation, extra)
    outputs = tuple(
        window_outputs(size, tap, stride=step, dilation=spread, leading=before, trailing=after)
        for size, tap, step, spread, before, after in zip(
            data[2:], taps, stride, dilation, leading, trailing, strict=True
        )
    )
    _check_window(node, outputs, taps)
    _check_outcome(node, graph, (data[0], filters[0], *outputs))
    has_bias = bool(node.given(2))
    if has_bias and graph.elements(node.given(2), node) != filters[0]:
        raise ModelError(f"the bias has not one element for each of {filters[0]} output channels", where=node.place)
    return conv_layer(
        node.name,
        input_size=_pair(data[2:]),
        in_channels=data[1],
        out_channels=filters[0],
        kernel=_pair(taps),
        stride=_pair(stride),
        pad=(*_pair(leading, 0), *_pair(trailing, 0)),
        dilation=_pair(dilation),
        groups=groups,
        batch=data[0],
        bias=has_bias,
        op=node.op,
    )


def gemm(node: Node, graph: Graph) -> Layer | NotCosted:
    """Gemm with constant weights on the right."""
    data, weights, bias = node.given(0), node.given(1), node.given(2)
    if data in graph.constants or weights not in graph.constants or (bias and bias not in graph.constants):
        return not_costed(node, graph)
    left, right = graph.shape(data, node), graph.shape(weights, node)
    if len(left) != 2 or len(right) != 2:
        raise ModelError(f"shapes {list(left)} and {list(right)}; two matrices are allowed", where=node.place)
    rows, features = reversed(left) if node.integer("transA", 0) else left
    entering, leaving = reversed(right) if node.integer("transB", 0) else right
    _check_product(node, features, entering, left, right)
    layer = fc_layer(node.name, in_features=features, out_features=leaving, rows=rows, op=node.op)
    return replace(layer, biases=graph.elements(bias, node)) if bias else layer


def matmul(node: Node, graph: Graph) -> Layer | NotCosted:
    """MatMul with a constant on one side: leading dimensions become rows, those of a stack of matrices groups."""
    left, right = graph.shape(node.given(0), node), graph.shape(node.given(1), node)
    constant = [name in graph.constants for name in (node.given(0), node.given(1))]
    if constant == [False, False] or not left or not right:
        return not_costed(node, graph)
    rows_shape = left if len(left) > 1 else (1, *left)
    columns_shape = right if len(right) > 1 else (*right, 1)
    _check_product(node, rows_shape[-1], columns_shape[-2], left, right)
    rows, features, columns = rows_shape[-2], rows_shape[-1], columns_shape[-1]
    if constant[0]:
        # Weights times data: the same products as data times weights, transposed.
        data_stack, weight_stack, rows, columns = columns_shape[:-2], rows_shape[:-2], columns, rows
    else:
        data_stack, weight_stack = rows_shape[:-2], columns_shape[:-2]
    groups = math.prod(weight_stack)
    if groups == 1:
        rows *= math.prod(data_stack)
        return fc_layer(node.name, in_features=features, out_features=columns, rows=rows, op=node.op)
    padded = (1,) * (len(data_stack) - len(weight_stack)) + weight_stack
    if len(padded) != len(data_stack) or any(w not in (1, d) for w, d in zip(padded, data_stack, strict=True)):
        return not_costed(node, graph)
    nest = Nest(N=rows * math.prod(data_stack) // groups, G=groups, K=columns, C=features)
    return Layer(name=node.name, kind="fc", op=node.op, nest=nest)


def pool(node: Node, graph: Graph) -> Layer | NotCosted:
    """MaxPool and AveragePool over one or two axes; a MaxPool that hands out indices is not costed."""
    source, extra = foldable_pad(graph, node)
    data = graph.shape(source, node)
    if len(data) not in (3, 4) or any(node.outputs[1:]):
        return not_costed(node, graph)
    axes = len(data) - 2
    if "kernel_shape" not in node.attributes:
        raise ModelError("kernel_shape is missing", where=node.place)
    taps = node.integers("kernel_shape", axes, 1)
    stride = node.integers("strides", axes, 1)
    dilation = node.integers("dilations", axes, 1)
    leading, _ = window_padding(node, data[2:], taps, stride, dilation, extra)
    result = graph.shape(node.outputs[0], node)
    if len(result) != len(data) or result[:2] != data[:2]:
        raise ModelError(f"shape {list(data)} can't be pooled to {list(result)}", where=node.place)
    _check_window(node, result[2:], taps)
    return pool_layer(
        node.name,
        channels=data[1],
        input_size=_pair(data[2:]),
        output_size=_pair(result[2:]),
        kernel=_pair(taps),
        stride=_pair(stride),
        pad=(*_pair(leading, 0), 0, 0),
        dilation=_pair(dilation),
        batch=data[0],
        op=node.op,
    )


def global_pool(node: Node, graph: Graph) -> Layer | NotCosted:
    """GlobalAveragePool, GlobalMaxPool."""
    data = graph.shape(node.given(0), node)
    if len(data) not in (3, 4):
        return not_costed(node, graph)
    _check_window(node, (1,) * (len(data) - 2), data[2:])
    return global_pool_layer(node.name, channels=data[1], input_size=_pair(data[2:]), batch=data[0], op=node.op)


def reduce_spatial(node: Node, graph: Graph) -> Layer | NotCosted:
    """ReduceMean and ReduceMax over all spatial axes are global pools; over others they are not costed."""
    data = graph.shape(node.given(0), node)
    axes = graph.whole_numbers(node, 1, "axes")
    if axes is None or len(data) not in (3, 4) or {a % len(data) for a in axes} != set(range(2, len(data))):
        return not_costed(node, graph)
    return global_pool(node, graph)


def concat(node: Node, graph: Graph) -> Layer | Free | NotCosted:
    """Tensors side by side; not costed where sizes depend on data."""
    operands = tuple(name for name in node.inputs if name)
    if len(operands) == 1:
        return Free(source=operands[0])
    if any(name not in graph.shapes for name in operands):
        return not_costed(node, graph)
    return concat_layer(node.name, operands=[graph.elements(name, node) for name in operands], op=node.op)


def unary(node: Node, graph: Graph) -> Pointwise:
    """Activations, and normalisations whose parameters are constants."""
    return Pointwise(operands=(node.given(0),))


def batch_normalization(node: Node, graph: Graph) -> Pointwise | NotCosted:
    """Folds as inference runs it; in training mode it is not costed."""
    return not_costed(node, graph) if node.integer("training_mode", 0) else unary(node, graph)


def elementwise(node: Node, graph: Graph) -> Pointwise | Free | NotCosted:
    """Add, Mul and their like: with small constants a function of single elements, with activations a row of its own.

    Where sizes depend on data they are not costed.
    """
    if len(node.inputs) == 1:
        return Free(source=node.inputs[0])
    given = list(dict.fromkeys(filter(None, node.inputs)))
    if any(name not in graph.shapes for name in (*given, node.outputs[0])):
        return not_costed(node, graph)
    operands = tuple(
        name for name in given if name not in graph.constants or not _rides_along(graph.shape(name, node))
    )
    if len(operands) == 1 and graph.elements(operands[0], node) != graph.elements(node.outputs[0], node):
        return not_costed(node, graph)
    return Pointwise(operands=operands, biases=_biases(node, graph, operands))


def elementwise_row(node: Node, graph: Graph, operands: tuple[str, ...]) -> Layer:
    """The traffic of an element-wise operator over several tensors; zeros from a Pad are not read."""
    sources = [foldable_pad(graph, node, operand)[0] for operand in operands]
    return add_layer(
        node.name,
        operands=[graph.elements(source, node) for source in sources],
        written=graph.elements(node.outputs[0], node),
        op=node.op,
    )


def reshape(node: Node, graph: Graph) -> Free:
    """The same elements in the same order under another shape."""
    before, after = graph.shapes.get(node.given(0)), graph.shapes.get(node.outputs[0])
    if before and after and math.prod(before) != math.prod(after):
        raise ModelError(
            f"shape {list(before)} can't become {list(after)}: {math.prod(before)} and {math.prod(after)} elements",
            where=node.place,
            hint="A shape given by --shape must fit the sizes that the file fixes.",
        )
    return Free(source=node.given(0))


def same(node: Node, graph: Graph) -> Free:
    """Identity; QuantizeLinear and DequantizeLinear, which happen on write-back."""
    return Free(source=node.given(0))


def part(node: Node, graph: Graph) -> Free:
    """Slice and Split: whoever comes next reads the elements where they lie."""
    return Free(source=node.given(0), part=True)


def dropout(node: Node, graph: Graph) -> Free | NotCosted:
    """Nothing, unless the file says that it trains or asks for the mask."""
    training = graph.values.get(node.given(2))
    trains = bool(node.given(2)) and (training is None or bool(training.any()))
    mask_used = any(graph.consumers.get(name) or name in graph.outputs for name in node.outputs[1:])
    return not_costed(node, graph) if trains or mask_used else same(node, graph)


def transpose(node: Node, graph: Graph) -> Free | NotCosted:
    """Moves data, unless only axes of size 1 change places."""
    shape = graph.shapes.get(node.given(0))
    if shape is None:
        return not_costed(node, graph)
    order = tuple(reversed(range(len(shape))))
    if "perm" in node.attributes:
        order = node.integers("perm", len(shape), 0, least=0)
    if sorted(order) != list(range(len(shape))):
        raise ModelError(f"perm {list(order)} is no order of {len(shape)} axes", where=node.place)
    long_axes = [axis for axis in order if shape[axis] > 1]
    return Free(source=node.given(0)) if long_axes == sorted(long_axes) else not_costed(node, graph)


def pad(node: Node, graph: Graph) -> Free | NotCosted:
    """Part of the window that reads it where it adds zeros for one convolution, pool or sum; otherwise not costed."""
    padding = declared_padding(graph, node)
    if padding is not None and not any(padding):
        return same(node, graph)
    readers = graph.consumers.get(node.outputs[0], ())
    if len(readers) == 1 and foldable_pad(graph, readers[0], node.outputs[0])[0] != node.outputs[0]:
        return Free(source=node.given(0), part=True)
    return not_costed(node, graph)


def _rides_along(shape: Shape) -> bool:
    """A scalar or one value per channel; a larger constant is a tensor that must be fetched."""
    return sum(size > 1 for size in shape) <= 1


def _biases(node: Node, graph: Graph, operands: tuple[str, ...]) -> int:
    """Elements of the constant that Add puts on each output channel of the layer before, else 0."""
    maker = graph.producers.get(operands[0]) if len(operands) == 1 else None
    constants = [name for name in node.inputs if name in graph.constants]
    if node.op != "Add" or len(constants) != 1 or maker is None or maker.op not in ("Conv", "MatMul", "Gemm"):
        return 0
    result = graph.shape(operands[0], node)
    channel_axis = 1 if maker.op == "Conv" else len(result) - 1
    shape = graph.shape(constants[0], node)
    wanted = tuple(size if axis == channel_axis else 1 for axis, size in enumerate(result))
    return math.prod(shape) if (1,) * (len(result) - len(shape)) + shape == wanted else 0


def _pair(values: Shape, one: int = 1) -> tuple[int, int]:
    """(rows, columns); a single axis lies on the columns, with ``one`` for the rows."""
    return (values[0], values[1]) if len(values) == 2 else (one, values[0])


def _check_window(node: Node, outputs: Shape, taps: Shape) -> None:
    for positions, tap in zip(outputs, taps, strict=True):
        if positions * tap > LARGEST_WINDOW_WORK:
            raise ModelError(
                f"a window of {tap} taps at {positions} positions along one axis;"
                f" their product may be at most {LARGEST_WINDOW_WORK}",
                where=node.place,
            )


def _check_outcome(node: Node, graph: Graph, computed: Shape) -> None:
    inferred = graph.shapes.get(node.outputs[0])
    if inferred is not None and inferred != computed:
        raise ModelError(
            f"the output should have shape {list(computed)}, but the file leads to {list(inferred)}", where=node.place
        )


def _check_product(node: Node, inner: int, other: int, left: Shape, right: Shape) -> None:
    if inner != other:
        raise ModelError(
            f"shapes {list(left)} and {list(right)} can't be multiplied: {inner} is not {other}",
            where=node.place,
            hint="A shape given by --shape must fit the weights.",
        )


_UNARY = (
    "Abs Cast Ceil Celu Clip Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Mish Neg Reciprocal Relu Round"
    " Selu Shrink Sigmoid Sign Softplus Softsign Sqrt Swish Tanh ThresholdedRelu"
).split()

OPERATORS: dict[str, Operator] = {
    "Conv": convolution,
    "Gemm": gemm,
    "MatMul": matmul,
    **dict.fromkeys(("MaxPool", "AveragePool"), pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), global_pool),
    **dict.fromkeys(("ReduceMean", "ReduceMax"), reduce_spatial),
    "Concat": concat,
    "BatchNormalization": batch_normalization,
    **dict.fromkeys(_UNARY, unary),
    **dict.fromkeys(("Add", "Sum", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Pow", "PRelu"), elementwise),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), reshape),
    **dict.fromkeys(("Identity", "QuantizeLinear", "DequantizeLinear"), same),
    **dict.fromkeys(("Slice", "Split"), part),
    "Dropout": dropout,
    "Transpose": transpose,
    "Pad": pad,
}
