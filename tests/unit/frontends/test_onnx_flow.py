"""Who reads whose result in an ONNX file: through shapes and activations, past what isn't costed, up to what is lost."""

from __future__ import annotations

import numpy as np
import pytest
from support.onnx_models import OnnxBuilder

from picojoule.frontends import load_model
from picojoule.workload import Bits
from picojoule.workload.data_flow import live_bits


@pytest.fixture
def flow_of(tmp_path):
    def flow_of(net, **options):
        network = load_model(net.save(tmp_path / "net.onnx"), **options)
        return network.flow and (
            dict(zip((layer.name for layer in network.layers), network.flow.reads, strict=True)),
            network.flow,
        )

    return flow_of


def test_activations_and_shapes_pass_a_tensor_on(flow_of):
    net = OnnxBuilder(1, 3, 8, 8)
    first = net.conv("a", 4, 3, pad=1, batch_norm=True, activation="Relu")
    net.conv("b", 4, 3, pad=1)
    net.node("Add", [net.last, first], name="sum")
    net.node("Flatten", name="flat")
    net.node("Gemm", [net.last, net.weight(256, 10)], name="fc")
    reads, flow = flow_of(net)
    assert reads == {"a": ("input",), "b": ("a",), "sum": ("b", "a"), "fc": ("sum",)}
    assert [(tensor.name, tensor.elements, tensor.held) for tensor in flow.given] == [("input", 192, False)]
    assert (flow.outputs, flow.chain) == ((), False)


def test_a_result_that_is_read_before_and_behind_its_activation_is_written_twice(flow_of, tmp_path):
    """By hand: ``a`` makes 4 × 8 × 8 = 256 elements, and 256 more behind the ReLU while its own input is there."""
    net = OnnxBuilder(1, 3, 8, 8)
    plain = net.conv("a", 4, 3, pad=1)
    net.node("Relu", name="relu")
    net.conv("b", 4, 3, pad=1)
    net.node("Add", [net.last, plain], name="sum")
    reads, flow = flow_of(net)
    assert reads == {"a": ("input",), "relu": ("input", "a"), "b": ("relu",), "sum": ("b", "a")}
    network = load_model(net.save(tmp_path / "net.onnx"))
    relu = network.layers[1]
    assert (relu.kind, relu.read_elements, relu.written_elements, relu.vector_ops) == ("pointwise", 0, 256, 0)
    widths = [Bits(weights=8, inputs=8, outputs=8, psums=8)] * 4
    assert [bits // 8 for bits in live_bits(network.layers, widths, flow)] == [
        192 + 256,
        192 + 256 + 256,
        256 + 256 + 256,
        256 + 256 + 256,
    ]


@pytest.mark.parametrize("whole", [True, False])
def test_parts_have_versions_of_their_own(flow_of, whole):
    """One half is convolved behind a gate: nothing is kept twice, unless somebody reads the whole as it was."""
    net = OnnxBuilder(1, 3, 8, 8)
    plain = net.conv("a", 4, 3, pad=1)
    net.node("Split", [plain], outputs=["left", "right"], axis=1)
    net.node("Sigmoid", ["right"], name="gate")
    net.node("Conv", [net.last, net.weight(4, 2, 1, 1)], name="b")
    if whole:
        net.node("MaxPool", [plain], name="pool", kernel_shape=[2, 2])
    reads, _ = flow_of(net)
    assert ("gate" in reads) == whole
    assert reads["b"] == (("gate",) if whole else ("a",))


def test_layers_without_nest_apply_functions_while_they_read(flow_of):
    """The state of a cell is kept plain; a product reads it through a tanh, a square behind that is read, too."""
    net = OnnxBuilder(1, 3, 8, 8)
    state = net.conv("a", 3, 1)
    net.node("Tanh", name="tanh")
    net.node("Mul", [net.last, "input"], name="gated")
    net.node("Add", [state, "input"], name="sum")
    reads, _ = flow_of(net)
    assert reads == {"a": ("input",), "gated": ("a", "input"), "sum": ("a", "input")}


def test_a_result_that_is_handed_back_and_read(flow_of):
    net = OnnxBuilder(1, 3, 8, 8)
    early = net.conv("a", 4, 3, activation="Relu")
    net.conv("b", 4, 3)
    net.outputs = [early]
    _, flow = flow_of(net)
    assert flow.outputs == ("a",)


def test_an_operator_that_is_not_costed_and_changes_no_size_takes_the_place_of_its_operand(flow_of):
    net = OnnxBuilder(1, 4, 8, 8, opset=15)
    net.conv("a", 4, 3)
    net.node("Bernoulli", name="odd")
    net.conv("b", 4, 3)
    reads, _ = flow_of(net)
    assert reads == {"a": ("input",), "b": ("a",)}


def test_behind_an_operator_that_is_not_costed_and_changes_the_size_nothing_is_known(flow_of):
    net = OnnxBuilder(1, 4, 8, 8)
    net.conv("a", 4, 3)
    net.node("MaxRoiPool", [net.last, net.constant([[0, 0, 0, 4, 4]], np.float32)], name="odd", pooled_shape=[2, 2])
    assert flow_of(net) is not None  # nobody reads it
    net.conv("b", 4, 1)
    assert flow_of(net) is None


def test_of_attention_each_layer_reads_what_the_operator_reads(flow_of):
    net = OnnxBuilder(1, 2, 5, 8, opset=23)
    k, v = net.input("k", 1, 2, 7, 8), net.input("v", 1, 2, 7, 8)
    net.node("Attention", ["input", k, v], name="mix")
    reads, flow = flow_of(net)
    assert reads == {
        "mix.qk": ("input", "k", "v"),
        "mix.softmax": ("input", "k", "v", "mix.qk"),
        "mix.av": ("input", "k", "v", "mix.qk", "mix.softmax"),
    }
    assert flow.outputs == ()


def test_two_inputs_and_one_that_is_called_like_a_layer(flow_of):
    net = OnnxBuilder(1, 4, 8, 8, name="a")
    other = net.input("other", 1, 4, 6, 6)
    net.conv("a", 4, 3)
    net.node("Add", [net.last, other], name="sum")
    reads, flow = flow_of(net)
    assert reads == {"a": ("a (input)",), "sum": ("a", "other")}
    assert [tensor.name for tensor in flow.given] == ["a (input)", "other"]
