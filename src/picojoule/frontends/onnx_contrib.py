"""Operators of onnxruntime that are standard ones with scales and zero points among their inputs, or an activation.

onnx infers no shapes for them. Their figures are those of the standard operator, so they are rewritten into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_DOMAIN = "com.microsoft"

_DATA_INPUTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "QuantizeLinear": ("QuantizeLinear", (0, 1, 2)),
    "DequantizeLinear": ("DequantizeLinear", (0, 1, 2)),
    "QGemm": ("Gemm", (0, 3, 6)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "QLinearLeakyRelu": ("LeakyRelu", (0,)),
    "QLinearReduceMean": ("ReduceMean", (0,)),
    "QLinearSigmoid": ("Sigmoid", (0,)),
    "QLinearSoftmax": ("Softmax", (0,)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMulInteger", (0, 1)),
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "FusedMatMul": ("MatMul", (0, 1)),
    "Gelu": ("Gelu", (0,)),
    "FastGelu": ("Gelu", (0,)),
    "QuickGelu": ("Gelu", (0,)),
}
"""The standard operator, and which inputs are its own."""

_TURNS = frozenset(("transA", "transB", "transBatchA", "transBatchB"))
_OF_THE_STANDARD = frozenset(
    "auto_pad axes axis ceil_mode count_include_pad dilations direction group hidden_size keepdims kernel_shape pads"
    " strides transA transB".split()
)


def standardise(model: onnx.ModelProto) -> None:
    """Rewrites the nodes of ``model`` that are standard operators in other words."""
    newest = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    _turn_recurrent_weights(model.graph)
    for node in model.graph.node:
        if node.domain == _DOMAIN and node.op_type == "QLinearConcat" and len(node.input) > 2:
            _become(node, "Concat", list(node.input[2::3]))
        if node.domain != _DOMAIN or node.op_type not in _DATA_INPUTS or not _is_plain(node):
            continue
        op, places = _DATA_INPUTS[node.op_type]
        given = [node.input[place] for place in places if place < len(node.input)]
        if len(given) >= min(2, len(places)):
            # Older operator sets know no Gelu, but the function that it is made of.
            _become(node, "Erf" if op == "Gelu" and newest < 20 else op, given)


def _is_plain(node: onnx.NodeProto) -> bool:
    """Whether nothing is asked for that the standard operator can't do: channels last, a sum, turned stacks."""
    settings = {attribute.name: attribute.i for attribute in node.attribute}
    turned = node.op_type == "FusedMatMul" and any(settings.get(name) for name in _TURNS)
    sum_too = node.op_type == "FusedConv" and len(node.input) > 3
    wide = node.op_type == "QGemm" and not any(node.input[7:])  # without a scale of its own, the result isn't quantized
    return not (settings.get("channels_last") or turned or sum_too or wide)


def _turn_recurrent_weights(graph: onnx.GraphProto) -> None:
    """DynamicQuantizeLSTM becomes an LSTM: its weights have their last two axes the other way round."""
    from onnx import helper

    nodes = []
    for node in graph.node:
        if node.domain == _DOMAIN and node.op_type == "DynamicQuantizeLSTM":
            turned = [f"{node.output[0] or node.name}/{name} turned" for name in "WR"]
            for name, result in zip(node.input[1:3], turned, strict=True):
                nodes.append(helper.make_node("Transpose", [name], [result], perm=[0, 2, 1]))
            _become(node, "LSTM", [node.input[0], *turned, *node.input[3:8]])
        nodes.append(node)
    if len(nodes) > len(graph.node):
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)


def _become(node: onnx.NodeProto, op: str, inputs: list[str]) -> None:
    node.op_type, node.domain = op, ""
    del node.input[:]
    node.input.extend(inputs)
    kept = [attribute for attribute in node.attribute if attribute.name in _OF_THE_STANDARD]
    del node.attribute[:]
    node.attribute.extend(kept)
