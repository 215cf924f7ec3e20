"""Arithmetic on shapes inside an ONNX graph, done while reading.

Exporters write a view as Shape → Gather → Concat → Reshape, and a padding as a chain of a dozen operators.
onnx's own data propagation covers some of it, for the newer operator sets only. Here onnx's reference
implementation evaluates what depends on constants and known shapes alone, as long as it is small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnx

LARGEST_VALUE = 4096
"""Elements; shapes, axes, pads and scales are far shorter, and nothing larger is computed."""

_SHAPE_PRESERVING = frozenset(
    "Cast Ceil Concat Floor Identity Neg Not Reshape Slice Sqrt Squeeze Transpose Unsqueeze"
    " ReduceMax ReduceMin ReduceProd ReduceSum Abs Round".split()
)
_BROADCASTING = frozenset(
    "Add And Div Equal Gather Greater GreaterOrEqual Less LessOrEqual Max Min Mod Mul Or Pow Sub Where".split()
)
_CONSTANT_VALUES = frozenset(("value", "value_int", "value_ints", "value_float", "value_floats"))
_SIZED = frozenset(("ConstantOfShape", "Expand", "Range"))


def evaluate(
    node: onnx.NodeProto,
    shapes: Mapping[str, tuple[int, ...]],
    values: Mapping[str, np.ndarray],
    opset_imports: Sequence[onnx.OperatorSetIdProto],
) -> np.ndarray | None:
    """What ``node`` gives if that follows from ``values`` and ``shapes``, is a single tensor and small; else None."""
    import numpy as np

    if len(node.output) != 1 or node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in ("Shape", "Size"):
        shape = shapes.get(node.input[0]) if node.input else None
        return None if shape is None else _of_shape(node, shape)
    result = _run(node, values, opset_imports)
    if not isinstance(result, np.ndarray | np.generic) or result.size > LARGEST_VALUE:
        return None
    return np.asarray(result)


def _of_shape(node: onnx.NodeProto, shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    if node.op_type == "Size":
        return np.array(math.prod(shape) if math.prod(shape) < 2**63 else -1, dtype=np.int64)
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    return np.array(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], dtype=np.int64)


def _run(
    node: onnx.NodeProto, known: Mapping[str, np.ndarray], opset_imports: Sequence[onnx.OperatorSetIdProto]
) -> object:
    names = [name for name in node.input if name]
    if not all(name in known for name in names):
        return None
    spelt_out = node.op_type == "Constant" and all(a.name in _CONSTANT_VALUES for a in node.attribute)
    if not spelt_out and not _stays_small(node.op_type, [known[name] for name in names]):
        return None
    import numpy as np
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    inputs = [helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names)]
    graph = helper.make_graph([node], "one", inputs, [helper.make_empty_tensor_value_info(node.output[0])])
    try:
        alone = helper.make_model(graph, opset_imports=list(opset_imports))
        with np.errstate(all="ignore"):
            return ReferenceEvaluator(alone).run(None, {name: known[name] for name in names})[0]
    except Exception:  # whatever is wrong with the node, its output stays unknown and is reported where it is needed
        return None


def _stays_small(op: str, inputs: list[np.ndarray]) -> bool:
    if any(value.size > LARGEST_VALUE or value.dtype.kind not in "iufb" for value in inputs):
        return False
    if op in _BROADCASTING:
        return math.prod(max(1, value.size) for value in inputs) <= LARGEST_VALUE**2
    if op in _SIZED:
        return _elements_asked_for(op, inputs) <= LARGEST_VALUE
    return op in _SHAPE_PRESERVING and bool(inputs)


def _elements_asked_for(op: str, inputs: list[np.ndarray]) -> float:
    try:
        if op == "Range":
            start, limit, delta = (float(value.reshape(-1)[0]) for value in inputs)
            return (limit - start) / delta
        sizes = [int(size) for size in inputs[-1].reshape(-1)]
        return math.prod(sizes) * (inputs[0].size if op == "Expand" else 1) if min(sizes, default=0) >= 0 else math.inf
    except (ValueError, IndexError, ZeroDivisionError, OverflowError):
        return math.inf
