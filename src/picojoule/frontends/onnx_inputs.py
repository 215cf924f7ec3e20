"""What an ONNX file holds as data and what it is given: weights set apart by name, open dimensions filled in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from picojoule.errors import ModelError, UnknownNameError, UsageError, nearest
from picojoule.frontends.graph import Shape
from picojoule.frontends.onnx_inference import sizes_of
from picojoule.frontends.onnx_wire import KEEP_BYTES

if TYPE_CHECKING:
    import numpy as np
    import onnx

_STANDARD_DOMAINS = ("", "ai.onnx")
_EXTERNAL = 1
_FIRST_IR_WITH_FREE_WEIGHTS = 4
_DATA_FIELDS = ("raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_EXAMPLE_SIZE = 224


def separate_weights(model: onnx.ModelProto, label: str) -> tuple[set[str], dict[str, np.ndarray]]:
    """Names of the tensors that the file holds as data, and the contents of the short ones.

    Tensors without their data (large, external, or left out) become graph inputs of their
    shape: that is all shape inference needs, and nothing can ask for bytes that aren't there.

    Raises:
        ModelError: a short tensor whose data don't fill its shape.
    """
    from onnx import helper

    graph = model.graph
    names: set[str] = set()
    values: dict[str, np.ndarray] = {}
    bare: list[onnx.ValueInfoProto] = []

    def keeps_data(name: str, tensor: onnx.TensorProto, place: str) -> bool:
        names.add(name)
        contents = _contents(tensor, f"{label}: {place}")
        if contents is None:
            bare.append(helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
            return False
        values[name] = contents
        return True

    for index in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[index]
        if not keeps_data(tensor.name, tensor, f"initializer {tensor.name!r}"):
            del graph.initializer[index]
    for sparse in graph.sparse_initializer:
        names.add(sparse.values.name)
        bare.append(helper.make_tensor_value_info(sparse.values.name, sparse.values.data_type, list(sparse.dims)))
    del graph.sparse_initializer[:]
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if node.op_type != "Constant" or node.domain not in _STANDARD_DOMAINS or len(node.output) != 1:
            continue
        for attribute in node.attribute:
            if attribute.name == "value_ints":
                values[node.output[0]] = _whole_array(attribute.ints)
            if attribute.name == "value_int":
                values[node.output[0]] = _whole_array([attribute.i])
        tensor = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        place = f"node {node.name or node.output[0]!r} (Constant)"
        if tensor is not None and not keeps_data(node.output[0], tensor, place):
            del graph.node[index]
    names.update(entry.name for entry in bare)
    for index in reversed(range(len(graph.input))):
        # Files of the first IR versions list their weights among the inputs.
        if graph.input[index].name in names:
            del graph.input[index]
    graph.input.extend(bare)
    # Under older IR versions inference overlooks weights that are no inputs.
    model.ir_version = max(model.ir_version, _FIRST_IR_WITH_FREE_WEIGHTS)
    # Constant nodes that stayed are nodes like others; only what no node makes is a weight.
    return names - {name for node in graph.node for name in node.output}, values


def data_inputs(model: onnx.ModelProto, weights: set[str]) -> list[onnx.ValueInfoProto]:
    """The inputs that the user of the network supplies."""
    return [entry for entry in model.graph.input if entry.name not in weights]


def apply_shapes(model: onnx.ModelProto, shape: Mapping[str, Shape], weights: set[str], label: str) -> None:
    """Gives every input the sizes asked for, and drops what the file says of tensors in between.

    Those statements may hold for other input sizes. For the outputs of operators from
    outside the standard, whose shapes nothing can infer, they stay if no size was given.

    Raises:
        ModelError: an input has a dimension that neither the file nor ``shape`` gives, or of size 0.
        UsageError: ``shape`` names no input, or has another number of dimensions.
    """
    inputs = {entry.name: entry for entry in data_inputs(model, weights)}
    for name, sizes in shape.items():
        if name not in inputs:
            raise UnknownNameError(f"the model has no input {name!r}", where=label, hint=nearest(name, inputs))
        if not sizes or any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in sizes):
            raise UsageError(f"a shape is whole numbers of at least 1; {name!r} got {list(sizes)}", where=label)
        tensor = inputs[name].type.tensor_type
        if tensor.HasField("shape") and len(tensor.shape.dim) != len(sizes):
            raise UsageError(
                f"input {name!r} has {len(tensor.shape.dim)} dimensions, {_stated(inputs[name])}; got {list(sizes)}",
                where=label,
            )
        tensor.shape.ClearField("dim")
        for size in sizes:
            tensor.shape.dim.add().dim_value = size
    for entry in inputs.values():
        _check_closed(entry, label)
    foreign = set() if shape else {
        name for node in model.graph.node if node.domain not in _STANDARD_DOMAINS for name in node.output
    }
    for index in reversed(range(len(model.graph.value_info))):
        if model.graph.value_info[index].name not in foreign:
            del model.graph.value_info[index]
    for entry in model.graph.output:
        if entry.name not in foreign and entry.type.HasField("tensor_type"):
            entry.type.tensor_type.ClearField("shape")


def _contents(tensor: onnx.TensorProto, place: str) -> np.ndarray | None:
    """The numbers in ``tensor``, or None where the file as read doesn't hold them."""
    from onnx import numpy_helper

    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"its shape is {list(tensor.dims)}; sizes below 0 are not allowed", where=place)
    elements = math.prod(tensor.dims)
    has_data = any(len(getattr(tensor, field)) for field in _DATA_FIELDS)
    if tensor.data_location == _EXTERNAL or (elements and not has_data):
        return None
    if elements > 8 * KEEP_BYTES:  # longer data than KEEP_BYTES were left out on reading
        raise ModelError(f"it claims {elements} elements, shape {list(tensor.dims)}, but holds few", where=place)
    try:
        return numpy_helper.to_array(tensor)
    except Exception as problem:  # unknown types, too few bytes: each raises its own
        reason = " ".join(str(problem).split())[:200]
        raise ModelError(f"its data don't fill its shape {list(tensor.dims)} ({reason})", where=place) from problem


def _whole_array(numbers: object) -> np.ndarray:
    import numpy as np

    return np.array(numbers, dtype=np.int64)


def _stated(entry: onnx.ValueInfoProto) -> str:
    return "[" + ", ".join(dim.dim_param or str(dim.dim_value or "?") for dim in entry.type.tensor_type.shape.dim) + "]"


def _check_closed(entry: onnx.ValueInfoProto, label: str) -> None:
    if not entry.type.HasField("tensor_type"):
        return  # a sequence or map: the node that needs its shape will say so
    sizes = sizes_of(entry)
    if sizes is not None and 0 in sizes:
        raise ModelError(f"input {entry.name!r} has a dimension of size 0: {sizes}", where=label)
    if sizes is not None and None not in sizes:
        return
    if sizes is None:
        example, what = f"1x3x{_EXAMPLE_SIZE}x{_EXAMPLE_SIZE}", "no shape in the file"
    else:
        guesses = [size or (1 if axis == 0 else _EXAMPLE_SIZE) for axis, size in enumerate(sizes)]
        example, what = "x".join(map(str, guesses)), f"open dimensions: {_stated(entry)}"
    raise ModelError(
        f"input {entry.name!r} has {what}",
        where=label,
        hint=f"Give every size, for example: --shape {entry.name}={example}",
    )
