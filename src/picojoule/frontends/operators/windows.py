"""Operators that slide a window: convolutions, transposed ones, and pools."""

from __future__ import annotations

import math
from dataclasses import replace

from picojoule.errors import ModelError
from picojoule.frontends.graph import Graph, Node, Shape
from picojoule.frontends.operators.meaning import not_costed
from picojoule.frontends.operators.padding import foldable_pad, window_padding
from picojoule.workload.convolution import conv_layer, global_pool_layer, pool_layer, window_outputs
from picojoule.workload.network import WEIGHTLESS, Layer, NotCosted
from picojoule.workload.transposed import transposed_layers

LARGEST_WINDOW_WORK = 2**23
"""Positions of a window along one axis times its taps; more are taken for a mistake in the file."""

_FILTERS = {"QLinearConv": (3, 8), "ConvInteger": (1, 4)}
"""Inputs that hold filters and bias, where they are not the second and third; index 4 of ConvInteger is none."""


def convolution(node: Node, graph: Graph) -> Layer | NotCosted:
    """Conv, QLinearConv and ConvInteger over one or two axes; over three it is not costed."""
    source, extra = foldable_pad(graph, node)
    data = graph.shape(source, node)
    weights, bias = (node.given(index) for index in _FILTERS.get(node.op, (1, 2)))
    filters = graph.shape(weights, node)
    if len(data) not in (3, 4):
        return not_costed(node, graph)
    axes = len(data) - 2
    groups = node.integer("group", 1)
    if len(filters) != len(data) or data[1] != filters[1] * groups:
        raise ModelError(
            f"filters of shape {list(filters)} in {groups} groups don't fit an input of shape {list(data)}",
            where=node.place,
        )
    taps = node.integers("kernel_shape", axes, 1) if node.has("kernel_shape") else filters[2:]
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
    if bias in graph.producers and graph.producers[bias].op == "Expand":
        bias = ""  # one number spread out, as PyTorch writes a missing bias: nobody learned it
    if bias and graph.elements(bias, node) != filters[0]:
        raise ModelError(f"the bias has not one element for each of {filters[0]} output channels", where=node.place)
    layer = conv_layer(
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
        bias=bool(bias),
        op=node.op,
    )
    # Filters that are computed come with every input anew: they are activations, whatever the operator is called.
    return layer if weights in graph.constants else replace(layer, kind=WEIGHTLESS)


def transposed_convolution(node: Node, graph: Graph) -> tuple[Layer, ...] | NotCosted:
    """ConvTranspose over one or two axes with constant filters."""
    data, filters = graph.shape(node.given(0), node), graph.shape(node.given(1), node)
    if len(data) not in (3, 4) or node.given(1) not in graph.constants:
        return not_costed(node, graph)
    groups = node.integer("group", 1)
    if len(filters) != len(data) or data[1] != filters[0]:
        raise ModelError(f"filters of shape {list(filters)} don't fit an input of shape {list(data)}", where=node.place)
    result = graph.shape(node.outputs[0], node)
    if len(result) != len(data) or result[:2] != (data[0], filters[1] * groups):
        raise ModelError(f"shape {list(data)} can't become {list(result)}", where=node.place)
    return transposed_layers(
        node.name,
        input_size=_pair(data[2:]),
        output_size=_pair(result[2:]),
        in_channels=data[1],
        out_channels=result[1],
        kernel=_pair(filters[2:]),
        groups=groups,
        batch=data[0],
        bias=bool(node.given(2)),
        op=node.op,
    )


def pool(node: Node, graph: Graph) -> Layer | NotCosted:
    """MaxPool, AveragePool and LpPool over one or two axes; the indices that a MaxPool hands out are written, too."""
    source, extra = foldable_pad(graph, node)
    data = graph.shape(source, node)
    if len(data) not in (3, 4):
        return not_costed(node, graph)
    axes = len(data) - 2
    if not node.has("kernel_shape"):
        raise ModelError("kernel_shape is missing", where=node.place)
    taps = node.integers("kernel_shape", axes, 1)
    stride = node.integers("strides", axes, 1)
    dilation = node.integers("dilations", axes, 1)
    leading, _ = window_padding(node, data[2:], taps, stride, dilation, extra)
    result = graph.shape(node.outputs[0], node)
    if len(result) != len(data) or result[:2] != data[:2]:
        raise ModelError(f"shape {list(data)} can't be pooled to {list(result)}", where=node.place)
    _check_window(node, result[2:], taps)
    layer = pool_layer(
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
    return replace(layer, written_elements=len(list(filter(None, node.outputs))) * layer.written_elements)


def global_pool(node: Node, graph: Graph) -> Layer | NotCosted:
    """GlobalAveragePool, GlobalMaxPool, GlobalLpPool."""
    data = graph.shape(node.given(0), node)
    if len(data) not in (3, 4):
        return not_costed(node, graph)
    _check_window(node, (1,) * (len(data) - 2), data[2:])
    return global_pool_layer(node.name, channels=data[1], input_size=_pair(data[2:]), batch=data[0], op=node.op)


def adaptive_pool(node: Node, graph: Graph) -> Layer | NotCosted:
    """PyTorch's adaptive pools: output i of n sees the inputs from ⌊i·size/n⌋ to ⌈(i+1)·size/n⌉."""
    data, result = graph.shape(node.given(0), node), graph.shape(node.outputs[0], node)
    if len(data) not in (3, 4) or len(result) != len(data) or result[:2] != data[:2]:
        return not_costed(node, graph)
    _check_window(node, result[2:], data[2:])
    taps = math.prod(
        sum(-(-(i + 1) * size // outputs) - i * size // outputs for i in range(outputs))
        for size, outputs in zip(data[2:], result[2:], strict=True)
    )
    maps, written = math.prod(data[:2]), math.prod(result)
    return Layer(
        name=node.name,
        kind="pool",
        op=node.op,
        read_elements=math.prod(data),
        written_elements=written,
        vector_ops=maps * taps - written,
    )


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
