"""Which stored number means zero in the quantized tensors of an ONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_INPUTS: dict[str, tuple[tuple[int, int], ...]] = {
    "DequantizeLinear": ((0, 2),),
    "QLinearConv": ((0, 2), (3, 5)),
    "QLinearMatMul": ((0, 2), (3, 5)),
    "ConvInteger": ((0, 2), (1, 3)),
    "MatMulInteger": ((0, 2), (1, 3)),
    "MatMulIntegerToFloat": ((0, 4), (1, 5)),
    "DynamicQuantizeMatMul": ((1, 3),),
    "DynamicQuantizeLSTM": ((1, 9), (2, 11)),
    "QGemm": ((0, 2), (3, 5)),
    "QLinearAdd": ((0, 2), (3, 5)),
    "QLinearMul": ((0, 2), (3, 5)),
    **dict.fromkeys(
        (
            "QLinearAveragePool QLinearGlobalAveragePool QLinearLeakyRelu QLinearReduceMean QLinearSigmoid"
            " QLinearSoftmax"
        ).split(),
        ((0, 2),),
    ),
}
"""By operator: the places of a quantized input and of its zero point."""

_OUTPUT: dict[str, int] = {
    "QuantizeLinear": 2,
    "QLinearConv": 7,
    "QLinearMatMul": 7,
    "QGemm": 8,
    "QLinearAdd": 7,
    "QLinearMul": 7,
    "QLinearConcat": 1,
    **dict.fromkeys(
        (
            "QLinearAveragePool QLinearGlobalAveragePool QLinearLeakyRelu QLinearReduceMean QLinearSigmoid"
            " QLinearSoftmax"
        ).split(),
        4,
    ),
}
"""By operator: the place of the zero point of its first output among the inputs."""

_PASSED_ON = frozenset(
    "Expand Flatten Gather Identity MaxPool Reshape Slice Split Squeeze Transpose Unsqueeze".split()
)
"""Operators that hand on stored numbers as they are."""


def zero_points(model: onnx.ModelProto) -> dict[str, str]:
    """For each quantized tensor of ``model`` the tensor that holds its zero point; "" where it has none, so 0."""
    points: dict[str, str] = {}

    def place(node: onnx.NodeProto, index: int) -> str:
        return node.input[index] if index < len(node.input) else ""

    for node in model.graph.node:
        for data, point in _INPUTS.get(node.op_type, ()):
            if place(node, data):
                points.setdefault(node.input[data], place(node, point))
        if node.op_type in _OUTPUT:
            points[node.output[0]] = place(node, _OUTPUT[node.op_type])
        elif node.op_type == "DynamicQuantizeLinear":
            points[node.output[0]] = node.output[2]
        elif node.op_type in _PASSED_ON and node.input[0] in points:
            points.update(dict.fromkeys(node.output, points[node.input[0]]))
    return points
