"""Operators that compute nothing: other shapes, parts, orders and copies of the same elements, and tables of them."""

from __future__ import annotations

import math
from dataclasses import replace

from picojoule.errors import ModelError
from picojoule.frontends.graph import Graph, Node
from picojoule.frontends.operators.meaning import Free, Meaning, Rearranged, not_costed
from picojoule.frontends.operators.padding import declared_padding, foldable_pad
from picojoule.frontends.parameters import learned_elements
from picojoule.workload.convolution import concat_layer
from picojoule.workload.movement import embedding_layer, move_layer, resize_layer
from picojoule.workload.network import Layer, NotCosted


def concat(node: Node, graph: Graph) -> Layer | Free | NotCosted:
    """Tensors side by side; not costed where sizes depend on data."""
    operands = tuple(name for name in node.inputs if name)
    if len(operands) == 1:
        return Free(source=operands[0])
    if any(name not in graph.shapes for name in operands):
        return not_costed(node, graph)
    layer = concat_layer(node.name, operands=[graph.elements(name, node) for name in operands], op=node.op)
    # A class token is a parameter that is laid beside activations.
    constant = [name for name in operands if name in graph.constants]
    beside = sum(graph.elements(name, node) for name in constant)
    stored = sum(graph.distinct(name, node) for name in constant)
    return replace(
        layer,
        biases=sum(learned_elements(graph, name) for name in constant),
        read_elements=layer.read_elements - beside,
        read_weights=stored,
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
    """Slice, Split and Expand: whoever comes next reads the elements where they lie."""
    return Free(source=node.given(0), part=True)


def written(node: Node, graph: Graph) -> Free:
    """A tensor after part of it was written in place: the new part, and the others where they lie."""
    changing = [name for name in node.inputs if name not in graph.constants]
    return Free(source=changing[0], part=True, beside=tuple(changing[1:]))


def write(node: Node, graph: Graph) -> Layer | NotCosted:
    """copy, fill: the first input goes into the place of what the second held; parameters come from their home.

    Whatever else it is given, such as indices, is read, too.
    """
    source, made = node.given(0), node.outputs[0]
    read = [name for name in (source, *node.inputs[2:]) if name not in graph.constants]
    if any(name not in graph.shapes for name in (source, made, *read)):
        return not_costed(node, graph)
    learned = bool(graph.learned) and source in graph.constants
    stored = graph.distinct(source, node)
    layer = move_layer(
        node.name,
        read=sum(graph.elements(name, node) for name in read),
        written=graph.elements(made, node),
        op=node.op,
    )
    return replace(layer, read_weights=stored) if learned and stored > 1 else layer


def dropout(node: Node, graph: Graph) -> Free | NotCosted:
    """Nothing, unless the file says that it trains or asks for the mask."""
    training = graph.values.get(node.given(2))
    trains = bool(node.given(2)) and (training is None or bool(training.any()))
    mask_used = any(graph.consumers.get(name) or name in graph.outputs for name in node.outputs[1:])
    return not_costed(node, graph) if trains or mask_used else same(node, graph)


def transpose(node: Node, graph: Graph) -> Free | Rearranged | NotCosted:
    """Another order of the elements, unless only axes of size 1 change places."""
    shape = graph.shapes.get(node.given(0))
    if shape is None:
        return not_costed(node, graph)
    order = tuple(reversed(range(len(shape))))
    if node.has("perm"):
        order = node.integers("perm", len(shape), 0, least=0)
    if sorted(order) != list(range(len(shape))):
        raise ModelError(f"perm {list(order)} is no order of {len(shape)} axes", where=node.place)
    long_axes = [axis for axis in order if shape[axis] > 1]
    return Free(source=node.given(0)) if long_axes == sorted(long_axes) else Rearranged(source=node.given(0))


def rearrange(node: Node, graph: Graph) -> Rearranged:
    """DepthToSpace, SpaceToDepth, ReverseSequence."""
    return Rearranged(source=node.given(0))


def pad(node: Node, graph: Graph) -> Meaning:
    """Part of the window that reads it where it adds zeros for one convolution, pool or sum; else it moves data."""
    padding = declared_padding(graph, node)
    if padding is not None and not any(padding):
        return same(node, graph)
    if padding is not None and max(padding) <= 0:
        return part(node, graph)
    readers = graph.consumers.get(node.outputs[0], ())
    if len(readers) == 1 and foldable_pad(graph, readers[0], node.outputs[0])[0] != node.outputs[0]:
        return Free(source=node.given(0), part=True)
    return move(node, graph)


def move(node: Node, graph: Graph) -> Layer | NotCosted:
    """A copy: Tile, OneHot, scattering and their like read their operands and write their results."""
    written = [name for name in node.outputs if name]
    if any(name not in graph.shapes for name in (*graph.activations(node), *written)):
        return not_costed(node, graph)
    read = sum(graph.elements(name, node) for name in graph.activations(node))
    return move_layer(node.name, read=read, written=sum(graph.elements(name, node) for name in written), op=node.op)


def gather(node: Node, graph: Graph) -> Meaning:
    """Rows of a constant table are an embedding; a constant choice of activations is read where they lie."""
    data, indices = node.given(0), node.given(1)
    if any(name not in graph.shapes for name in (data, indices, node.outputs[0])):
        return not_costed(node, graph)
    if indices in graph.constants:
        return part(node, graph)
    table = graph.shape(data, node)
    asked, written = graph.elements(indices, node), graph.elements(node.outputs[0], node)
    if data not in graph.constants:
        return move_layer(node.name, read=asked + written, written=written, op=node.op)
    if len(table) == 2 and node.integer("axis", 0) == 0 and node.op == "Gather":
        return embedding_layer(node.name, indices=asked, table=(table[0], table[1]), op=node.op)
    layer = move_layer(node.name, read=asked, written=written, op=node.op)
    return replace(layer, kind="embedding", biases=math.prod(table), read_weights=written)


def embedding_bag(node: Node, graph: Graph) -> Layer:
    """PyTorch's EmbeddingBag: rows of a table, summed up by bags before they are written."""
    table, asked = graph.shape(node.given(0), node), graph.elements(node.given(1), node)
    written = graph.elements(node.outputs[0], node)
    layer = embedding_layer(node.name, indices=asked, table=(table[0], table[1]), op=node.op)
    products = asked * table[1] if node.given(2) else 0
    return replace(
        layer,
        read_elements=asked * (2 if node.given(2) else 1),
        written_elements=written,
        vector_ops=max(0, asked * table[1] - written) + products,
    )


def resize(node: Node, graph: Graph) -> Layer:
    """Resize and Upsample: one neighbour, two (linear) or four (cubic) along each axis that changes its size."""
    before, after = graph.shape(node.given(0), node), graph.shape(node.outputs[0], node)
    neighbours = {"linear": 2, "cubic": 4}.get(node.text("mode", "nearest"), 1)
    axes = sum(a != b for a, b in zip(before, after, strict=True)) if len(before) == len(after) else 2
    return resize_layer(node.name, read=math.prod(before), written=math.prod(after), taps=neighbours**axes, op=node.op)


def grid_sample(node: Node, graph: Graph) -> Layer:
    """GridSample: the map, the places, and the neighbours of each."""
    data, grid, written = (graph.elements(name, node) for name in (node.given(0), node.given(1), node.outputs[0]))
    neighbours = {"nearest": 1, "bicubic": 4, "cubic": 4}.get(node.text("mode", "linear"), 2)
    axes = graph.shape(node.given(1), node)[-1]
    return resize_layer(node.name, read=data + grid, written=written, taps=neighbours**axes, op=node.op)


def columns_to_image(node: Node, graph: Graph) -> Layer:
    """Col2Im: blocks that overlap are summed up."""
    read, written = graph.elements(node.given(0), node), graph.elements(node.outputs[0], node)
    layer = move_layer(node.name, read=read, written=written, op=node.op)
    return replace(layer, kind="add", vector_ops=max(0, read - written))
