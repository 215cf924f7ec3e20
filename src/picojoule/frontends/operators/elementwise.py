"""Operators on single elements, and those that need statistics over several: norms, softmax, reductions."""

from __future__ import annotations

from dataclasses import replace

from picojoule.frontends.graph import Graph, Node, Shape
from picojoule.frontends.operators.meaning import Free, Meaning, Pointwise, not_costed
from picojoule.frontends.operators.padding import foldable_pad
from picojoule.frontends.operators.windows import global_pool
from picojoule.frontends.parameters import learned_elements
from picojoule.workload.convolution import add_layer
from picojoule.workload.movement import (
    neighbour_norm_layer,
    norm_layer,
    pointwise_layer,
    reduce_layer,
    rotary_layer,
    scan_layer,
    softmax_layer,
)
from picojoule.workload.network import Layer, NotCosted


def unary(node: Node, graph: Graph) -> Pointwise:
    """Activations, and normalisations whose parameters are constants."""
    return Pointwise(operands=(node.given(0),))


def batch_normalization(node: Node, graph: Graph) -> Pointwise | NotCosted:
    """Folds as inference runs it; in training mode it is not costed."""
    return not_costed(node, graph) if node.integer("training_mode", 0) else unary(node, graph)


def elementwise(node: Node, graph: Graph) -> Pointwise | Free | NotCosted:
    """Add, Mul and their like: with small constants a function of single elements, with activations a row of its own.

    A single number that is computed rides along, too. Where sizes depend on data they are not costed.
    """
    if len(node.inputs) == 1:
        return Free(source=node.inputs[0])
    given = list(dict.fromkeys(filter(None, node.inputs)))
    if any(name not in graph.shapes for name in (*given, node.outputs[0])):
        return not_costed(node, graph)
    several = graph.elements(node.outputs[0], node) > 1
    operands = tuple(
        name
        for name in given
        if not (_rides_along(graph.shape(name, node)) if name in graph.constants else several and _single(graph, name))
    )
    bias = next((name for name in given if name in graph.constants), "") if node.op == "Add" else ""
    return Pointwise(operands=operands or (given[0],), bias=bias if len(operands) == 1 else "")


def elementwise_row(node: Node, graph: Graph, operands: tuple[str, ...]) -> Layer:
    """The traffic of an element-wise operator that doesn't ride along; zeros from a Pad are not read.

    A constant among the operands is parameters, read where weights lie.
    """
    written = graph.elements(node.outputs[0], node)
    learned = [name for name in operands if name in graph.constants]
    sources = [foldable_pad(graph, node, operand)[0] for operand in operands if operand not in learned]
    sizes = [graph.elements(source, node) for source in sources]
    parameters = sum(learned_elements(graph, name) for name in learned)
    if len(operands) == 1 and sizes == [written]:
        return pointwise_layer(node.name, elements=written, op=node.op)
    layer = add_layer(node.name, operands=sizes, written=written, op=node.op)
    return replace(
        layer,
        kind="mul" if node.op == "Mul" else layer.kind,
        biases=parameters,
        read_weights=sum(graph.distinct(name, node) for name in learned),
        vector_ops=max(1, len(operands) - 1) * written,
    )


def softmax(node: Node, graph: Graph) -> Layer:
    """Softmax, LogSoftmax, Hardmax."""
    return softmax_layer(node.name, elements=graph.elements(node.given(0), node), op=node.op)


def norm(node: Node, graph: Graph) -> Layer:
    """LayerNormalization, GroupNormalization, InstanceNormalization and RMSNormalization, scale and shift included."""
    parameters = [graph.elements(name, node) for name in (node.given(1), node.given(2)) if name]
    return norm_layer(
        node.name,
        elements=graph.elements(node.given(0), node),
        parameters=sum(parameters),
        affine=len(parameters),
        statistics="root mean square" if node.op == "RMSNormalization" else "mean and variance",
        op=node.op,
    )


def plain_norm(node: Node, graph: Graph) -> Layer:
    """MeanVarianceNormalization and LpNormalization, which have no parameters."""
    statistics = "root mean square" if node.op == "LpNormalization" else "mean and variance"
    return norm_layer(node.name, elements=graph.elements(node.given(0), node), statistics=statistics, op=node.op)


def neighbour_norm(node: Node, graph: Graph) -> Layer:
    """LRN."""
    elements = graph.elements(node.given(0), node)
    return neighbour_norm_layer(node.name, elements=elements, size=node.integer("size", 1), op=node.op)


def reduce(node: Node, graph: Graph) -> Meaning:
    """Sums, means, extremes over some axes; means and maxima over all spatial axes of a map are global pools."""
    if node.outputs[0] not in graph.shapes:
        return not_costed(node, graph)
    data = graph.shape(node.given(0), node)
    read, written = graph.elements(node.given(0), node), graph.elements(node.outputs[0], node)
    axes = graph.whole_numbers(node, 1, "axes")
    if node.op in ("ReduceMean", "ReduceMax") and axes is not None and len(data) in (3, 4) and len(node.outputs) == 1:
        if {axis % len(data) for axis in axes} == set(range(2, len(data))):
            return global_pool(node, graph)
    if read == written:
        return Pointwise(operands=(node.given(0),))
    layer = reduce_layer(node.name, read=read, written=written, op=node.op)
    extra = sum(graph.elements(name, node) for name in node.outputs[1:] if name)
    return replace(layer, written_elements=written + extra)


def scan(node: Node, graph: Graph) -> Layer:
    """CumSum, CumProd: each element from the one before it."""
    return scan_layer(node.name, elements=graph.elements(node.given(0), node), op=node.op)


def rotary(node: Node, graph: Graph) -> Layer:
    """RotaryEmbedding: two products and a sum for each element; constant sines and cosines ride along."""
    elements = graph.elements(node.given(0), node)
    angles = sum(graph.elements(name, node) for name in node.inputs[1:3] if name not in graph.constants)
    return rotary_layer(node.name, elements=elements, angles=angles, op=node.op)


def dynamic_quantize(node: Node, graph: Graph) -> Layer:
    """DynamicQuantizeLinear: the smallest, the largest, then the rounding of every element."""
    return scan_layer(node.name, elements=graph.elements(node.given(0), node), operations=3, op=node.op)


def _single(graph: Graph, name: str) -> bool:
    return all(size == 1 for size in graph.shapes[name])


def _rides_along(shape: Shape) -> bool:
    """A scalar or one value per channel; a larger constant is a tensor that must be fetched."""
    return sum(size > 1 for size in shape) <= 1
