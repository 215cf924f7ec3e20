"""Quantized ONNX models give their layers the widths of their tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.onnx_models import OnnxBuilder

from picojoule import estimate, verify
from picojoule.frontends import load_model
from picojoule.reporting.headline import widths_text
from picojoule.workload import ModelBits

INT8 = TensorProto.INT8


class Quantized(OnnxBuilder):
    """Writes QuantizeLinear and DequantizeLinear around tensors, in any element type."""

    def stored(self, kind: int, *shape: int) -> str:
        """Weights of a quantized type whose data are elsewhere."""
        name = self.weight(*shape)
        self.initializers[-1].data_type = kind
        return name

    def zero(self, kind: int) -> str:
        tensor = helper.make_tensor(self.fresh("zero"), kind, [], [0])
        self.initializers.append(tensor)
        return tensor.name

    def dequantized(self, tensor: str, kind: int) -> str:
        return self.node("DequantizeLinear", [tensor, self.constant(0.1, np.float32), self.zero(kind)])

    def through(self, tensor: str, kind: int) -> str:
        """The tensor, quantized and dequantized again."""
        stored = self.node("QuantizeLinear", [tensor, self.constant(0.1, np.float32), self.zero(kind)])
        return self.dequantized(stored, kind)


def bits(path: Path) -> dict[str, ModelBits | None]:
    return {layer.name: layer.bits for layer in load_model(path).layers}


@pytest.mark.parametrize(
    ("weights", "activations", "wide", "narrow"),
    [
        (INT8, TensorProto.UINT8, 8, 8),
        (TensorProto.INT4, TensorProto.INT8, 4, 8),
        (TensorProto.INT4, TensorProto.UINT16, 4, 16),
        (TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FN, 8, 8),
        (TensorProto.UINT2, TensorProto.UINT4, 2, 4),
    ],
)
def test_quantize_and_dequantize_around_a_convolution(tmp_path, weights, activations, wide, narrow):
    net = Quantized(1, 3, 8, 8, opset=25)
    data = net.through("input", activations)
    net.node("Conv", [data, net.dequantized(net.stored(weights, 4, 3, 3, 3), weights)], name="c")
    net.node("Relu")
    result = net.through(net.last, activations)
    net.node("Conv", [result, net.dequantized(net.stored(weights, 4, 4, 1, 1), weights)], name="last")
    assert bits(net.save(tmp_path / "net.onnx")) == {
        "c": ModelBits(weights=wide, inputs=narrow, outputs=narrow),
        # Its result is float: how wide that is in memory is the machine's affair.
        "last": ModelBits(weights=wide, inputs=narrow),
    }


def test_a_bias_between_quantizations_belongs_to_its_layer(tmp_path):
    net = Quantized(1, 5, 8)
    data = net.through("input", INT8)
    net.node("MatMul", [data, net.dequantized(net.stored(INT8, 8, 3), INT8)], name="m")
    net.node("Add", [net.last, net.weight(3)], name="bias")
    net.through(net.last, INT8)
    (layer,) = load_model(net.save(tmp_path / "net.onnx")).layers
    assert (layer.params, layer.bits) == (27, ModelBits(weights=8, inputs=8, outputs=8))


def test_rows_have_widths_too(tmp_path):
    net = Quantized(1, 3, 8, 8)
    one = net.through("input", INT8)
    net.node("Conv", [one, net.dequantized(net.stored(INT8, 3, 3, 1, 1), INT8)], name="c")
    other = net.through(net.last, INT8)
    net.node("Add", [one, other], name="sum")
    net.through(net.last, INT8)
    assert bits(net.save(tmp_path / "net.onnx"))["sum"] == ModelBits(inputs=8, outputs=8)


def test_operators_on_whole_numbers(tmp_path):
    net = Quantized(1, 3, 8, 8)
    scale = net.constant(0.1, np.float32)
    net.node("QuantizeLinear", ["input", scale, net.zero(TensorProto.UINT8)])
    filters, bias = net.stored(INT8, 4, 3, 3, 3), net.stored(TensorProto.INT32, 4)
    zeros = net.zero(TensorProto.UINT8), net.zero(INT8), net.zero(TensorProto.UINT8)
    net.node("QLinearConv", [net.last, scale, zeros[0], filters, scale, zeros[1], scale, zeros[2], bias], name="conv")
    net.node("Flatten")
    weights = net.stored(INT8, 144, 5)
    net.node("QLinearMatMul", [net.last, scale, zeros[0], weights, scale, zeros[1], scale, zeros[2]], name="product")
    net.node("MatMulInteger", [net.last, net.stored(INT8, 5, 2)], name="whole")
    layers = {layer.name: layer for layer in load_model(net.save(tmp_path / "net.onnx")).layers}
    every = ModelBits(weights=8, inputs=8, outputs=8)
    assert {name: layer.bits for name, layer in layers.items()} == {
        "conv": every, "product": every, "whole": ModelBits(weights=8, inputs=8),
    }  # fmt: skip
    assert (layers["conv"].macs, layers["conv"].params) == (4 * 27 * 36, 108 + 4)
    assert (layers["product"].macs, layers["product"].params) == (720, 720)


def test_convolution_of_whole_numbers(tmp_path):
    net = Quantized(1, 3, 8, 8)
    net.node("DynamicQuantizeLinear", ["input"], outputs=["q", "scale", "zero"], name="quantize")
    net.node("ConvInteger", ["q", net.stored(INT8, 4, 3, 3, 3), "zero"], name="conv")
    net.node("Cast", to=TensorProto.FLOAT)
    net.node("Mul", [net.last, "scale"], name="rescale")
    row, conv = load_model(net.save(tmp_path / "net.onnx")).layers
    assert (row.op, row.vector_ops) == ("DynamicQuantizeLinear", 3 * 192)
    assert (conv.macs, conv.params, conv.bits) == (4 * 27 * 36, 108, ModelBits(weights=8, inputs=8))


def test_the_bias_of_a_product_of_whole_numbers_is_added_to_its_fractions(tmp_path):
    """As onnxruntime quantizes a convolution and a linear layer dynamically."""
    net = Quantized(1, 3, 8, 8)
    net.node("DynamicQuantizeLinear", ["input"], outputs=["q", "scale", "zero"])
    net.node("ConvInteger", ["q", net.stored(INT8, 4, 3, 3, 3), "zero"], name="conv")
    net.node("Cast", to=TensorProto.FLOAT)
    net.node("Mul", [net.last, "scale"])
    net.node("Add", [net.last, net.weight(1, 4, 1, 1)])
    net.node("Relu")
    net.node("Flatten")
    net.node("DynamicQuantizeLinear", outputs=["q2", "scale2", "zero2"])
    net.node("MatMulInteger", ["q2", net.stored(INT8, 144, 5), "zero2"], name="product")
    net.node("Cast", to=TensorProto.FLOAT)
    net.node("Mul", ["scale2", net.last])
    net.node("Mul", [net.last, net.weight(5)])
    net.node("Add", [net.last, net.weight(5)])
    layers = {layer.name: layer for layer in load_model(net.save(tmp_path / "net.onnx")).layers}
    assert layers["conv"].biases == 4
    assert layers["product"].biases == 0, "after another factor a sum is no bias any more"


def test_whole_numbers_that_become_fractions_are_not_stored_in_eight_bits(tmp_path):
    net = Quantized(5, 4)
    net.node("DynamicQuantizeLinear", ["input"], outputs=["q", "scale", "zero"])
    given = ["q", net.stored(INT8, 4, 3), "scale", net.constant(0.1, np.float32), "zero"]
    net.node("MatMulIntegerToFloat", given, name="m", domain="com.microsoft")
    assert bits(net.save(tmp_path / "net.onnx"))["m"] == ModelBits(weights=8, inputs=8)


def test_weights_that_are_cast_and_scaled(tmp_path):
    net = Quantized(1, 4, opset=25)
    net.node("Cast", [net.stored(TensorProto.FLOAT8E4M3FN, 4, 3)], to=TensorProto.FLOAT)
    net.node("Mul", [net.last, net.weight(3)])
    net.node("MatMul", ["input", net.last], name="m")
    network = load_model(net.save(tmp_path / "net.onnx"))
    assert ([x.bits for x in network.layers], network.params) == ([ModelBits(weights=8)], 12)


def test_widths_beyond_an_older_operator_set_in_onnxruntimes_words(tmp_path):
    """Its tool writes Q and DQ of 16 bits that way, where the model's operator set has none."""
    net = Quantized(1, 4)
    scale, zero = net.constant(0.1, np.float32), net.zero(TensorProto.UINT16)
    net.node("QuantizeLinear", ["input", scale, zero], domain="com.microsoft")
    net.node("DequantizeLinear", [net.last, scale, zero], domain="com.microsoft")
    net.node("MatMul", [net.last, net.dequantized(net.stored(INT8, 4, 3), INT8)], name="m")
    assert bits(net.save(tmp_path / "net.onnx"))["m"] == ModelBits(weights=8, inputs=16)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_recurrent_layer_with_quantized_weights(tmp_path, direction):
    """onnxruntime's has the last two axes of its weights the other way round."""
    ways = 1 + (direction == "bidirectional")
    plain, small = (Quantized(7, 2, 8) for _ in range(2))
    settings = {"hidden_size": 16, "direction": direction, "name": "lstm"}
    shapes = (ways, 64, 8), (ways, 64, 16), (ways, 128)
    plain.node("LSTM", ["input", *(plain.weight(*shape) for shape in shapes)], **settings)
    scale, zero = small.constant(0.1, np.float32), small.zero(INT8)
    weights = [small.stored(INT8, ways, 8, 64), small.stored(INT8, ways, 16, 64), small.weight(ways, 128)]
    given = ["input", *weights, "", "", "", "", scale, zero, scale, zero]
    small.node("DynamicQuantizeLSTM", given, domain="com.microsoft", **settings)
    before, after = load_model(plain.save(tmp_path / "p.onnx")), load_model(small.save(tmp_path / "s.onnx"))
    assert [(x.name, x.macs, x.params) for x in after.layers] == [(x.name, x.macs, x.params) for x in before.layers]
    assert [x.bits for x in after.layers if x.nest] == [ModelBits(weights=8)] * 2 * ways


def test_between_the_layers_of_a_transposed_convolution_nothing_is_quantized(tmp_path):
    """Its products are no tensor of the model: only what it reads and what it writes in the end lie in 8 bits."""
    net = Quantized(1, 3, 8, 8)
    filters = net.dequantized(net.stored(INT8, 3, 4, 3, 3), INT8)
    net.node("ConvTranspose", [net.through("input", INT8), filters], name="up")
    net.through(net.last, INT8)
    assert bits(net.save(tmp_path / "net.onnx")) == {
        "up": ModelBits(weights=8, inputs=8),
        "up.overlap": ModelBits(outputs=8),
    }


def test_state_and_gates_of_a_recurrent_layer_are_not_quantized(tmp_path):
    """The inputs and both weight matrices are, each at its own width; both directions begin with the inputs."""
    net = Quantized(7, 2, 8, opset=21)
    data = net.through("input", INT8)
    kinds = INT8, TensorProto.INT16
    weights = [net.dequantized(net.stored(kind, 2, 64, n), kind) for kind, n in zip(kinds, (8, 16), strict=True)]
    net.node("LSTM", [data, *weights], name="lstm", hidden_size=16, direction="bidirectional")
    assert bits(net.save(tmp_path / "net.onnx")) == {
        f"lstm.{way}.{part}": widths
        for way in ("forward", "reverse")
        for part, widths in {
            "input": ModelBits(weights=8, inputs=8),
            "recurrent": ModelBits(weights=16),
            "cell": None,
        }.items()
    }


def test_packed_weights_of_four_bits(tmp_path):
    net = Quantized(1, 5, 64)
    packed = net.stored(TensorProto.UINT8, 32, 2, 16)
    net.node(
        "MatMulNBits",
        ["input", packed, net.weight(64)],
        name="m",
        domain="com.microsoft",
        K=64,
        N=32,
        bits=4,
        block_size=32,
    )
    (layer,) = load_model(net.save(tmp_path / "net.onnx")).layers
    assert (layer.macs, layer.params, layer.bits) == (5 * 64 * 32, 2048, ModelBits(weights=4))


def test_the_widths_reach_the_result(tmp_path):
    net = Quantized(1, 3, 8, 8, opset=21)
    data = net.through("input", INT8)
    net.node("Conv", [data, net.dequantized(net.stored(TensorProto.INT4, 4, 3, 3, 3), TensorProto.INT4)], name="c")
    path = net.save(tmp_path / "net.onnx")
    result = estimate(path, hardware="eyeriss-like-45nm", cache=False)
    machine = result.bits
    assert result.layers[0].bits == {**machine, "weights": 4, "inputs": 8}
    assert verify(result).ok
    asked = estimate(path, hardware="eyeriss-like-45nm", bits="weights=2", cache=False)
    assert asked.layers[0].bits == {**machine, "weights": 2, "inputs": 8}
    assert asked.weight_bytes == result.weight_bytes / 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_what_onnxruntime_quantizes(tmp_path, form):
    quantization = pytest.importorskip("onnxruntime.quantization")
    plain, small = tmp_path / "plain.onnx", tmp_path / "small.onnx"
    shapes = {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "w3": (16, 5), "w4": (5, 2), "b4": (2,)}
    initializers = [
        onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="c1"),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="c2"),
        helper.make_node("GlobalAveragePool", ["c2"], ["p"], name="pool"),
        helper.make_node("Concat", ["p", "p", "p", "p"], ["four"], name="four", axis=1),
        helper.make_node("Flatten", ["four"], ["f"]),
        helper.make_node("MatMul", ["f", "w3"], ["m"], name="fc"),
        helper.make_node("Gemm", ["m", "w4", "b4"], ["y"], name="head"),
    ]
    ends = [helper.make_tensor_value_info(name, 1, sizes) for name, sizes in (("x", [1, 3, 8, 8]), ("y", [1, 2]))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), plain)

    class Data(quantization.CalibrationDataReader):
        rows = iter([{"x": np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)}])

        def get_next(self):
            return next(self.rows, None)

    quantization.quantize_static(
        plain,
        small,
        Data(),
        quant_format=getattr(quantization.QuantFormat, form),
        weight_type=quantization.QuantType.QInt8,
    )
    before, after = load_model(plain), load_model(small)
    assert [(x.macs, x.params) for x in after.layers if x.nest] == [(x.macs, x.params) for x in before.layers if x.nest]
    every = ModelBits(weights=8, inputs=8, outputs=8)
    assert [x.bits for x in after.layers if x.nest] == [every] * 4
    assert {x.kind for x in after.layers} == {x.kind for x in before.layers}


@pytest.mark.parametrize(("second", "said"), [(INT8, "8 bit, psums 16"), (TensorProto.INT4, "bits by layer")])
def test_the_headline_shows_the_models_widths(tmp_path, second, said):
    net = Quantized(5, 4, opset=21)
    for kind in (INT8, second):
        data = net.through(net.last, INT8)
        net.node("MatMul", [data, net.dequantized(net.stored(kind, 4, 4), kind)])
    net.through(net.last, INT8)
    result = estimate(net.save(tmp_path / "net.onnx"), hardware="eyeriss-normalized", cache=False)
    assert widths_text(result) == said
