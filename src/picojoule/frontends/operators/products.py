"""Operators that multiply matrices: Gemm, MatMul, Einsum, attention, recurrent layers, and their quantized forms."""

from __future__ import annotations

from dataclasses import replace

from picojoule.errors import ModelError
from picojoule.frontends.graph import Graph, Node
from picojoule.frontends.operators.meaning import Meaning, not_costed
from picojoule.workload.convolution import add_layer, fc_layer
from picojoule.workload.network import Layer, ModelBits, NotCosted
from picojoule.workload.products import (
    GATES,
    attention_layers,
    einsum_layer,
    einsum_steps,
    product_layer,
    recurrent_layers,
)

_TO_FIT = "A shape given by --shape must fit the weights."


def gemm(node: Node, graph: Graph) -> Meaning:
    """Gemm: with weights on either side, or of two activations; what is no bias but an activation is added in a row."""
    names = data, weights, bias = node.given(0), node.given(1), node.given(2)
    left, right = graph.shape(data, node), graph.shape(weights, node)
    if len(left) != 2 or len(right) != 2:
        raise ModelError(f"shapes {list(left)} and {list(right)}; two matrices are allowed", where=node.place)
    rows, features = reversed(left) if node.integer("transA", 0) else left
    entering, leaving = reversed(right) if node.integer("transB", 0) else right
    if features != entering:
        raise ModelError(
            f"shapes {list(left)} and {list(right)} can't be multiplied: {features} is not {entering}",
            where=node.place,
            hint=_TO_FIT,
        )
    side = _weights_side(graph, names[:2])
    if side == "right":
        layer = fc_layer(node.name, in_features=features, out_features=leaving, rows=rows, op=node.op)
    else:
        layer = product_layer(node.name, left=(rows, features), right=(features, leaving), weights=side, op=node.op)
    if not bias:
        return layer
    if bias in graph.constants:
        return replace(layer, biases=graph.elements(bias, node))
    written = rows * leaving
    total = add_layer(f"{node.name}.add", operands=(written, graph.elements(bias, node)), written=written, op=node.op)
    return layer, total


def matmul(node: Node, graph: Graph) -> Layer:
    """MatMul, MatMulInteger, QLinearMatMul."""
    names = node.given(0), node.given(3 if node.op == "QLinearMatMul" else 1)
    left, right = (graph.shape(name, node) for name in names)
    try:
        return product_layer(node.name, left=left, right=right, weights=_weights_side(graph, names), op=node.op)
    except ValueError as problem:
        raise ModelError(str(problem), where=node.place, hint=_TO_FIT) from None


def matmul_few_bits(node: Node, graph: Graph) -> Layer | NotCosted:
    """onnxruntime's MatMulNBits: packed weights of 2 to 8 bits, whose sizes stand in attributes."""
    data = graph.shape(node.given(0), node)
    columns, features, bits = (node.integer(name, default) for name, default in (("N", 0), ("K", 0), ("bits", 4)))
    if data[-1] != features or columns < 1 or not 1 <= bits <= 8:
        return not_costed(node, graph)
    layer = product_layer(node.name, left=data, right=(features, columns), weights="right", op=node.op)
    return replace(layer, bits=ModelBits(weights=bits), biases=columns if node.given(5) else 0)


def einsum(node: Node, graph: Graph) -> Meaning:
    """Einsum whose operands can be multiplied from left to right as matrices; all others are not costed."""
    names = [name for name in node.inputs if name]
    steps = einsum_steps(node.text("equation", ""), [graph.shape(name, node) for name in names])
    layers: list[Layer] = []
    for index, (equation, left, right) in enumerate(steps or ()):
        before = names[0] if index == 0 else ""
        side = _weights_side(graph, (before, names[index + 1]))
        name = f"{node.name}.{index + 1}" if len(names) > 2 else node.name
        layer = einsum_layer(name, equation=equation, left=left, right=right, weights=side, op=node.op)
        if layer is None:
            return not_costed(node, graph)
        layers.append(layer)
    # A product of weights alone on the way would have been worked out beforehand.
    if not layers or len(names) > 2 and set(names[:2]) <= graph.constants:
        return not_costed(node, graph)
    return tuple(layers)


def attention(node: Node, graph: Graph) -> tuple[Layer, ...] | NotCosted:
    """Scaled dot-product attention over tensors of three axes (heads packed) or four; keys and values may have a past.

    Causal masks and windows save nothing. A softcap rides along.
    """
    query, key, value = (graph.shape(node.given(index), node) for index in range(3))
    if {len(query), len(key), len(value)} == {3}:
        heads, groups = node.integer("q_num_heads", 0), node.integer("kv_num_heads", 0)
        if heads < 1 or groups < 1 or query[-1] % heads or key[-1] % groups or value[-1] % groups:
            raise ModelError(
                f"{heads} heads of queries and {groups} of keys and values don't divide"
                f" sizes {query[-1]}, {key[-1]} and {value[-1]}",
                where=node.place,
            )
        query, key, value = (
            (shape[0], count, shape[1], shape[2] // count)
            for shape, count in ((query, heads), (key, groups), (value, groups))
        )
    if {len(query), len(key), len(value)} != {4}:
        return not_costed(node, graph)
    past = [graph.shape(node.given(index), node)[2] if node.given(index) else 0 for index in (4, 5)]
    key, value = ((*shape[:2], shape[2] + more, shape[3]) for shape, more in zip((key, value), past, strict=True))
    mask = graph.elements(node.given(3), node) if node.given(3) else 0
    return attention_layers(node.name, query=query, key=key, value=value, mask_elements=mask, op=node.op)


def recurrent(node: Node, graph: Graph) -> tuple[Layer, ...]:
    """LSTM, GRU, RNN: each direction is a layer of its own, the second one named after the first."""
    data, weights = graph.shape(node.given(0), node), graph.shape(node.given(1), node)
    states = graph.shape(node.given(2), node)
    gates = GATES[node.op]
    if len(data) != 3 or len(weights) != 3 or len(states) != 3 or weights[1] % gates or weights[2] != data[2]:
        raise ModelError(
            f"an input of shape {list(data)} and weights of shapes {list(weights)} and {list(states)} don't fit",
            where=node.place,
        )
    batch_first = node.integer("layout", 0) == 1
    steps, batch = (data[1], data[0]) if batch_first else (data[0], data[1])
    hidden = weights[1] // gates
    peepholes = graph.elements(node.given(7), node) // weights[0] if node.op == "LSTM" and node.given(7) else 0
    directions = ("",) if weights[0] == 1 else (".forward", ".reverse")
    return tuple(
        layer
        for direction in directions
        for layer in recurrent_layers(
            node.name + direction,
            cell=node.op,
            steps=steps,
            batch=batch,
            inputs=data[2],
            hidden=hidden,
            projected=states[2] if states[2] != hidden else 0,
            bias=bool(node.given(3)),
            peepholes=peepholes,
        )
    )


def _weights_side(graph: Graph, names: tuple[str, str]) -> str:
    """Which of the two operands of a product holds weights."""
    return "right" if names[1] in graph.constants else "left" if names[0] in graph.constants else ""
