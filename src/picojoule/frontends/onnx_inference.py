"""Shapes of all tensors of an ONNX graph, worked out one node at a time.

onnx infers the outputs of each node from its inputs; arithmetic on shapes is done between. Going node by node
tells where inference stops and why, and keeps from onnx what would make it abort the whole process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from picojoule.frontends.graph import Shape
from picojoule.frontends.onnx_constants import evaluate

if TYPE_CHECKING:
    import numpy as np
    import onnx

QUANTIZED_BITS = {
    "INT2": 2, "UINT2": 2, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT8": 8, "UINT8": 8, "FLOAT8E4M3FN": 8,
    "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8, "INT16": 16, "UINT16": 16,
}  # fmt: skip
"""Width of the element types in which quantized models store tensors; the others say nothing about a machine."""


_ODD = frozenset(("BOOL", "COMPLEX64", "COMPLEX128", "STRING"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What is known of the tensors of a graph.

    Attributes:
        shapes: of every tensor whose shape is known in full.
        values: contents of short constants, those that the file spells out and those worked out.
        doubts: why the shape of a tensor stayed open, where onnx gave a reason.
        bits: width of the tensors of a quantized element type.
        odd: tensors whose elements are no real or whole numbers, and what they are.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)


def infer(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> Inferred:
    """Shapes and small constants of ``model``, whose inputs have their shapes.

    Args:
        model: nodes in topological order, local functions inlined.
        values: contents of the short constants in the file.
    """
    known = Inferred(values=dict(values))
    types: dict[str, onnx.TypeProto] = {}
    for entry in (*model.graph.input, *model.graph.value_info):
        _learn(entry, known, types)
    known.shapes.update((tensor.name, tuple(tensor.dims)) for tensor in model.graph.initializer)
    for tensor in model.graph.initializer:
        _learn_width(tensor.name, tensor.data_type, known)
    alone = type(model)(ir_version=model.ir_version, opset_import=model.opset_import)
    for node in model.graph.node:
        value = evaluate(node, known.shapes, known.values, model.opset_import)
        if value is not None:
            known.values[node.output[0]] = value
            known.shapes[node.output[0]] = value.shape
            continue
        for entry in _outputs(node, alone, known, types):
            _learn(entry, known, types)
    return known


def sizes_of(entry: onnx.ValueInfoProto) -> list[int | None] | None:
    """Sizes of the tensor, None for an open one; None altogether if not even their number is known."""
    if not entry.type.HasField("tensor_type") or not entry.type.tensor_type.HasField("shape"):
        return None
    return [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None
        for dim in entry.type.tensor_type.shape.dim
    ]


def captured_names(node: onnx.NodeProto) -> set[str]:
    """Tensors that graphs inside ``node`` read; names made inside are among them, which does no harm."""
    names: set[str] = set()
    for graph in _inner_graphs(node):
        names.update(entry.name for entry in graph.output)
        names.update(name for inner in graph.node for name in inner.input)
    return names


def _outputs(
    node: onnx.NodeProto, alone: onnx.ModelProto, known: Inferred, types: Mapping[str, onnx.TypeProto]
) -> list[onnx.ValueInfoProto]:
    """The outputs of ``node`` as onnx infers them in a graph of this node alone; ``alone`` is written over."""
    from onnx import shape_inference

    read = dict.fromkeys((*node.input, *sorted(captured_names(node))))
    if not _harmless(node, known):
        return []
    try:
        _fill(alone.graph, node, list(filter(None, read)), known, types)
        return list(shape_inference.infer_shapes(alone, strict_mode=True).graph.output)
    except Exception as problem:  # the C++ side raises several types of its own
        reason = " ".join(str(problem).split())[:300]
        known.doubts.update((name, reason) for name in node.output)
        return []


def _fill(
    graph: onnx.GraphProto, node: onnx.NodeProto, read: list[str], known: Inferred, types: Mapping[str, onnx.TypeProto]
) -> None:
    """Makes ``graph`` one of ``node`` alone, whose inputs ``read`` have the shapes or values known so far."""
    from onnx import helper, numpy_helper

    graph.Clear()
    graph.name = "one node"
    graph.node.append(node)
    for name in read:
        if name in known.values:
            graph.initializer.append(numpy_helper.from_array(known.values[name], name))
        elif name in types:
            graph.input.add(name=name, type=types[name])
        else:
            graph.input.append(helper.make_empty_tensor_value_info(name))
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in node.output if name)


def _learn(entry: onnx.ValueInfoProto, known: Inferred, types: dict[str, onnx.TypeProto]) -> None:
    dims = entry.type.tensor_type.shape.dim if entry.type.HasField("tensor_type") else ()
    if any(dim.dim_value < 0 for dim in dims):
        known.doubts[entry.name] = f"it would have the sizes {[dim.dim_value for dim in dims]}"
        return
    sizes = sizes_of(entry)
    types[entry.name] = entry.type
    if entry.type.HasField("tensor_type"):
        _learn_width(entry.name, entry.type.tensor_type.elem_type, known)
    if sizes is not None and None not in sizes:
        known.shapes[entry.name] = tuple(size for size in sizes if size is not None)


def _learn_width(name: str, element_type: int, known: Inferred) -> None:
    from onnx import TensorProto

    word = next((word for word, number in TensorProto.DataType.items() if number == element_type), "")
    if word in QUANTIZED_BITS:
        known.bits[name] = QUANTIZED_BITS[word]
    elif word in _ODD:
        known.odd[name] = word.lower()


def _harmless(node: onnx.NodeProto, known: Inferred) -> bool:
    """False for what makes onnx abort, crash or run for ever, which no exception handler can catch.

    Slice aborts over sizes below 1 (onnx issues 7735, 8481), Einsum crashes or hangs on equations that
    don't fit their operands (6981, 8207). Sizes below 0 are never passed on between nodes, but inside a
    branch or a loop body nothing can be checked.
    """
    if node.op_type == "Slice":
        return not any(0 in known.shapes.get(name, ()) for name in node.input)
    if node.op_type == "Einsum":
        equation = next((attribute.s.decode("latin-1") for attribute in node.attribute), "")
        return _equation_fits(equation, [known.shapes.get(name) for name in node.input])
    return not any(inner.op_type in ("Slice", "Einsum") for graph in _inner_graphs(node) for inner in graph.node)


def _equation_fits(equation: str, shapes: list[Shape | None]) -> bool:
    """Whether each operand has as many axes as its term has letters; ellipses are beyond this."""
    equation = equation.replace(" ", "")
    if not re.fullmatch(r"[A-Za-z]+(,[A-Za-z]+)*(->[A-Za-z]*)?", equation):
        return False
    left, _, right = equation.partition("->")
    terms = left.split(",")
    return set(right) <= set(left) and [len(term) for term in terms] == [None if s is None else len(s) for s in shapes]


def _inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs inside ``node``: branches and loop bodies, at any depth."""
    found = []
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            found.append(graph)
            for inner in graph.node:
                found += _inner_graphs(inner)
    return found
