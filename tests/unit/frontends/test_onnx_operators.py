"""Every operator: what it comes to, where its traffic goes, and when it is listed instead."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper
from support.onnx_models import OnnxBuilder

from picojoule.errors import ModelError
from picojoule.frontends import load_model
from picojoule.workload import ModelBits, Nest
from picojoule.workload.convolution import add_layer, concat_layer, conv_layer, fc_layer, global_pool_layer, pool_layer
from picojoule.workload.movement import move_layer, pointwise_layer


@pytest.fixture
def read(tmp_path):
    def read_built(net: OnnxBuilder, **options):
        return load_model(net.save(tmp_path / "model.onnx"), **options)

    return read_built


def image(*shape: int, opset: int = 13) -> OnnxBuilder:
    """A model whose first layer is a convolution to 4 channels of 6 × 6, so that something precedes."""
    net = OnnxBuilder(*(shape or (1, 3, 8, 8)), opset=opset)
    net.conv("first", 4, 3)
    return net


def after_first(network):
    """Layers behind the first, and what is not costed as (op, name)."""
    return network.layers[1:], [(item.op, item.where) for item in network.not_costed]


# Convolutions


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {}),
        ({"strides": [2, 3]}, {"stride": (2, 3)}),
        ({"pads": [1, 2, 3, 0]}, {"pad": (1, 2, 3, 0)}),
        ({"dilations": [2, 1]}, {"dilation": (2, 1)}),
        ({"auto_pad": "VALID"}, {}),
        ({"auto_pad": "NOTSET", "pads": [1, 1, 1, 1]}, {"pad": (1, 1, 1, 1)}),
        # 9 rows in steps of 2 make 5: (5−1)·2 + 3 − 9 = 2 rows of padding; 10 columns make 5: one of padding.
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"stride": (2, 2), "pad": (1, 0, 1, 1)}),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, {"stride": (2, 2), "pad": (1, 1, 1, 0)}),
        ({"auto_pad": "SAME_UPPER", "dilations": [3, 3]}, {"dilation": (3, 3), "pad": (3, 3, 3, 3)}),
    ],
)
def test_conv_takes_its_window_from_the_attributes(read, attributes, expected):
    net = OnnxBuilder(2, 6, 9, 10)
    net.node("Conv", ["input", net.weight(8, 6, 3, 3)], name="c", kernel_shape=[3, 3], **attributes)
    wanted = conv_layer("c", input_size=(9, 10), in_channels=6, out_channels=8, kernel=(3, 3), batch=2, **expected)
    assert read(net).layers == (wanted,)


def test_conv_without_kernel_shape_has_that_of_its_filters(read):
    net = OnnxBuilder(1, 3, 9, 9)
    net.node("Conv", ["input", net.weight(8, 3, 5, 1), net.weight(8)], name="c")
    wanted = conv_layer("c", input_size=(9, 9), in_channels=3, out_channels=8, kernel=(5, 1), bias=True)
    assert read(net).layers == (wanted,)


@pytest.mark.parametrize(("groups", "out", "kind"), [(2, 8, "conv"), (6, 6, "depthwise"), (6, 12, "depthwise")])
def test_groups_and_depthwise(read, groups, out, kind):
    net = OnnxBuilder(1, 6, 9, 9)
    net.node("Conv", ["input", net.weight(out, 6 // groups, 3, 3)], name="c", group=groups)
    (layer,) = read(net).layers
    assert layer.kind == kind
    assert (layer.nest.G, layer.nest.K, layer.nest.C) == (groups, out // groups, 6 // groups)


def test_a_one_dimensional_conv_lies_on_the_columns(read):
    net = OnnxBuilder(1, 3, 100)
    net.node(
        "Conv", ["input", net.weight(8, 3, 5)], name="c", strides=[2], pads=[4, 2], dilations=[2], kernel_shape=[5]
    )
    wanted = conv_layer(
        "c", input_size=(1, 100), in_channels=3, out_channels=8, kernel=(1, 5),
        stride=(1, 2), pad=(0, 4, 0, 2), dilation=(1, 2),
    )  # fmt: skip
    assert read(net).layers == (wanted,)
    assert (wanted.nest.P, wanted.nest.R, wanted.nest.Q) == (1, 1, 49)


def test_a_three_dimensional_conv_is_listed_with_what_it_moves(read):
    net = image()
    net.node("Unsqueeze", [net.last, net.constant([2])])
    net.node("Conv", [net.last, net.weight(2, 4, 1, 3, 3)], name="volume")
    network = read(net)
    assert after_first(network) == ((), [("Conv", "volume")])
    assert network.not_costed[0].elements == 4 * 6 * 6 + 2 * 4 * 4


def test_computed_weights_are_a_nest_too(read):
    net = OnnxBuilder(1, 3, 9, 9)
    filters = net.input("filters", 8, 3, 3, 3)
    net.node("Conv", ["input", filters], name="c")
    (layer,) = read(net).layers
    wanted = conv_layer("c", input_size=(9, 9), in_channels=3, out_channels=8, kernel=(3, 3))
    assert layer == replace(wanted, kind="matmul")
    assert layer.params == 0


@pytest.mark.parametrize(
    ("filters", "attributes", "message"),
    [
        ((8, 4, 3, 3), {}, r"filters of shape \[8, 4, 3, 3\] in 1 groups don't fit an input of shape \[1, 3, 9, 9\]"),
        ((8, 3, 3), {}, "don't fit"),
        ((8, 3, 3, 3), {"kernel_shape": [5, 5]}, r"kernel_shape is \[5, 5\], but the filters have"),
        ((8, 3, 3, 3), {"strides": [0, 1]}, r"strides is \[0, 1\]; 2 whole numbers of at least 1"),
        ((8, 3, 3, 3), {"strides": [1]}, r"strides is \[1\]; 2 whole numbers"),
        ((8, 3, 3, 3), {"strides": 2}, "attribute strides has type INT; INTS is allowed"),
        ((8, 3, 3, 3), {"pads": [-1, 0, 0, 0]}, r"pads is \[-1, 0, 0, 0\]; 4 whole numbers of at least 0"),
        ((8, 3, 3, 3), {"auto_pad": "SAME"}, "auto_pad is 'SAME'"),
        ((8, 3, 3, 3), {"group": 0}, "in 0 groups"),
        ((8, 3, 11, 11), {}, "a window of 11 does not fit in an input of 9"),
        ((8, 3, 3, 3), {"pads": [2**40] * 4}, "may be at most"),
    ],
)
def test_a_conv_that_makes_no_sense_is_refused_by_name(read, filters, attributes, message):
    net = OnnxBuilder(1, 3, 9, 9)
    net.node("Conv", ["input", net.weight(*filters)], name="odd one", **attributes)
    with pytest.raises(ModelError, match=message) as caught:
        read(net)
    assert "model.onnx: node 'odd one' (Conv)" in caught.value.where


def test_a_bias_of_the_wrong_length_is_refused(read):
    net = OnnxBuilder(1, 3, 9, 9)
    net.node("Conv", ["input", net.weight(8, 3, 3, 3), net.weight(7)], name="c")
    with pytest.raises(ModelError, match="not one element for each of 8 output channels"):
        read(net)


# Fully connected


@pytest.mark.parametrize("left_transposed", [0, 1])
@pytest.mark.parametrize("right_transposed", [0, 1])
def test_gemm_follows_its_transpositions(read, left_transposed, right_transposed):
    net = OnnxBuilder(*((10, 5) if left_transposed else (5, 10)))
    weights = net.weight(*((7, 10) if right_transposed else (10, 7)))
    net.node("Gemm", ["input", weights, net.weight(7)], name="g", transA=left_transposed, transB=right_transposed)
    assert read(net).layers == (fc_layer("g", in_features=10, out_features=7, rows=5, bias=True),)


@pytest.mark.parametrize(("bias", "expected"), [(None, 0), ((7,), 7), ((1, 7), 7), ((1,), 1), ((5, 7), 35)])
def test_gemm_counts_its_bias_as_it_is_stored(read, bias, expected):
    net = OnnxBuilder(5, 10)
    net.node("Gemm", ["input", net.weight(10, 7), *([net.weight(*bias)] if bias else [])], name="g")
    assert read(net).layers[0].biases == expected


def test_matmul_by_constants_takes_leading_dimensions_as_rows(read):
    net = OnnxBuilder(2, 3, 5, 10)
    net.node("MatMul", ["input", net.weight(10, 7)], name="m")
    assert read(net).layers == (fc_layer("m", in_features=10, out_features=7, rows=30, op="MatMul"),)


def test_matmul_of_vectors(read):
    net = OnnxBuilder(10)
    net.node("MatMul", ["input", net.weight(10, 7)], name="m")
    net.node("MatMul", [net.last, net.weight(7)], name="dot")
    assert read(net).layers == (
        fc_layer("m", in_features=10, out_features=7, op="MatMul"),
        fc_layer("dot", in_features=7, out_features=1, op="MatMul"),
    )


def test_constants_on_the_left_are_weights_too(read):
    net = OnnxBuilder(2, 10, 5)
    net.node("MatMul", [net.weight(7, 10), "input"], name="m")
    assert read(net).layers == (fc_layer("m", in_features=10, out_features=7, rows=10, op="MatMul"),)


def test_a_stack_of_weight_matrices_makes_groups(read):
    net = OnnxBuilder(2, 3, 5, 10)
    net.node("MatMul", ["input", net.weight(3, 10, 7)], name="m")
    (layer,) = read(net).layers
    assert {d: s for d, s in layer.nest.dims.items() if s > 1} == {"N": 10, "G": 3, "K": 7, "C": 10}
    assert layer.weights == 3 * 10 * 7


def test_one_input_for_a_stack_of_weight_matrices_has_their_columns_side_by_side(read):
    net = OnnxBuilder(1, 10)
    net.node("MatMul", ["input", net.weight(10, 10)], name="m")
    net.node("MatMul", [net.last, net.weight(3, 10, 7)], name="stack")
    wanted = fc_layer("stack", in_features=10, out_features=21, op="MatMul")
    assert after_first(read(net)) == ((wanted,), [])


def test_add_behind_matmul_is_its_bias(read):
    net = OnnxBuilder(1, 5, 10)
    net.node("MatMul", ["input", net.weight(10, 7)], name="m")
    net.node("Add", [net.weight(7), net.last], name="bias")
    net.node("Add", [net.last, net.weight(7)], name="a second one folds, but is no bias")
    network = read(net)
    assert network.layers == (fc_layer("m", in_features=10, out_features=7, rows=5, bias=True, op="MatMul"),)
    assert network.not_costed == ()


@pytest.mark.parametrize(("shape", "biases"), [((4, 1, 1), 4), ((1, 4, 1, 1), 4), ((6,), 0), ((1,), 0)])
def test_add_behind_conv_is_its_bias_if_it_is_one_value_per_channel(read, shape, biases):
    net = image()
    net.node("Add", [net.last, net.weight(*shape)], name="bias")
    network = read(net)
    assert (network.layers[0].biases, network.not_costed) == (biases, ())


def test_a_layer_with_a_bias_gets_no_second_one(read):
    net = OnnxBuilder(5, 10)
    net.node("Gemm", ["input", net.weight(10, 7), net.weight(1)], name="g")
    net.node("Add", [net.last, net.weight(7)], name="shift")
    assert [(layer.name, layer.biases) for layer in read(net).layers] == [("g", 1)]


def test_products_of_two_activations_have_no_parameters(read):
    net = image()
    net.node("MatMul", [net.last, net.last], name="scores")
    other = net.input("matrix", 6, 6)
    net.node("Reshape", [net.last, net.constant([24, 6])])
    net.node("Gemm", [net.last, other], name="g")
    (scores, product), missing = after_first(read(net))
    assert (scores.kind, scores.nest, scores.params) == ("matmul", Nest(G=4, N=6, K=6, C=6), 0)
    assert (product.kind, product.nest, product.params) == ("matmul", Nest(N=24, K=6, C=6), 0)
    assert missing == []
    # Every input of a batch brings matrices of its own.
    assert scores.with_batch(3).nest == Nest(G=12, N=6, K=6, C=6)


@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_matrices_that_do_not_fit_are_refused(read, op):
    net = OnnxBuilder(5, 10)
    net.node(op, ["input", net.weight(11, 7)], name="m")
    with pytest.raises(ModelError, match=r"shapes \[5, 10\] and \[11, 7\] can't be multiplied: 10 is not 11"):
        read(net)


# Pools


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("pad", [0, 1])
def test_pools_read_what_their_windows_touch(read, op, ceil, pad):
    net = image(2, 3, 9, 10)
    net.node(op, name="p", kernel_shape=[3, 2], strides=[3, 3], ceil_mode=ceil, pads=[pad] * 4)
    # Over 7 × 8: rows 1 + ⌊4/3⌋ or ⌈4/3⌉, columns 1 + 6/3. Padded: 1 + 6/3, and 1 + ⌊8/3⌋ or ⌈8/3⌉, the
    # last window starting inside.
    rows, columns = (3, 3 + ceil) if pad else (2 + ceil, 3)
    wanted = pool_layer(
        "p", channels=4, input_size=(7, 8), output_size=(rows, columns), kernel=(3, 2), stride=(3, 3),
        pad=(pad,) * 4, batch=2, op=op,
    )  # fmt: skip
    assert after_first(read(net)) == ((wanted,), [])


def test_same_padding_of_a_pool(read):
    net = image()
    net.node("MaxPool", name="p", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER")
    wanted = pool_layer(
        "p", channels=4, input_size=(6, 6), output_size=(3, 3), kernel=(3, 3), stride=(2, 2), pad=(1, 1, 0, 0)
    )
    assert after_first(read(net)) == ((wanted,), [])


def test_a_one_dimensional_pool(read):
    net = OnnxBuilder(1, 3, 100)
    net.node("Conv", ["input", net.weight(4, 3, 1)], name="first")
    net.node("MaxPool", name="p", kernel_shape=[4], strides=[4])
    wanted = pool_layer("p", channels=4, input_size=(1, 100), output_size=(1, 25), kernel=(1, 4), stride=(1, 4))
    assert after_first(read(net)) == ((wanted,), [])


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(read, op):
    net = image()
    net.node(op, name="p")
    assert after_first(read(net)) == ((global_pool_layer("p", channels=4, input_size=(6, 6), op=op),), [])


@pytest.mark.parametrize(("opset", "axes"), [(13, [2, 3]), (13, [-1, -2]), (18, [2, 3])])
@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax"])
def test_a_reduction_over_the_image_is_a_global_pool(read, op, opset, axes):
    net = image(opset=opset)
    if opset < 18:
        net.node(op, name="r", axes=axes, keepdims=0)
    else:
        net.node(op, [net.last, net.constant(axes)], name="r", keepdims=0)
    assert after_first(read(net)) == ((global_pool_layer("r", channels=4, input_size=(6, 6), op=op),), [])


@pytest.mark.parametrize(
    ("attributes", "written"), [({"axes": [1]}, 36), ({"axes": [2]}, 24), ({"axes": [1, 2, 3]}, 1), ({}, 1)]
)
def test_other_reductions_are_rows(read, attributes, written):
    net = image()
    net.node("ReduceMean", name="r", **attributes)
    (row,), missing = after_first(read(net))
    assert (row.kind, row.read_elements, row.written_elements) == ("reduce", 144, written)
    assert row.vector_ops == 144 - written
    assert missing == []


def test_the_indices_of_a_max_pool_are_written_too(read):
    net = image()
    net.node("MaxPool", name="p", kernel_shape=[2, 2], outputs=["pooled", "indices"])
    (row,), missing = after_first(read(net))
    assert (row.read_elements, row.written_elements, row.vector_ops) == (144, 2 * 100, 3 * 100)
    assert missing == []


# Sums, concatenations


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Mean"])
def test_element_wise_operators_on_two_activations_are_rows(read, op):
    net = image()
    first = net.last
    net.last = "input"
    net.conv("second", 4, 3)
    net.node(op, [first, net.last], name="both")
    wanted = add_layer("both", operands=(144, 144), written=144, op=op)
    assert after_first(read(net))[0][1:] == (replace(wanted, kind="mul" if op == "Mul" else "add"),)


def test_a_sum_of_three(read):
    net = image()
    first, third = net.last, net.input("third", 1, 4, 6, 6)
    net.last = "input"
    net.conv("second", 4, 3)
    net.node("Sum", [first, net.last, third], name="sum")
    assert read(net).layers[2] == add_layer("sum", operands=(144,) * 3, written=144, op="Sum")


def test_a_gate_per_channel_is_read_once(read):
    """Squeeze and excitation: the gate is broadcast over the map."""
    net = image()
    features = net.last
    net.node("GlobalAveragePool", name="squeeze")
    net.conv("excite", 4, 1, activation="HardSigmoid")
    net.node("Mul", [features, net.last], name="scale")
    layers, missing = after_first(read(net))
    assert layers[2] == replace(add_layer("scale", operands=(144, 4), written=144, op="Mul"), kind="mul")
    assert missing == []


@pytest.mark.parametrize(("shape", "elements"), [((1, 4, 6, 6), 144), ((6, 6), 36)])
def test_a_large_constant_is_read_where_weights_lie(read, shape, elements):
    """A position embedding is about as large as what it is added to: it doesn't ride along."""
    net = image()
    net.node("Add", [net.last, net.weight(*shape)], name="positions")
    (row,), missing = after_first(read(net))
    assert (row.kind, row.read_elements, row.read_weights, row.params) == ("add", 144, elements, elements)
    assert (row.written_elements, row.vector_ops, missing) == (144, 144, [])
    assert row.with_batch(2).read_weights == elements


def test_a_tensor_times_itself_in_another_shape_is_a_row(read):
    net = image()
    net.node("GlobalAveragePool", name="p")
    column = net.last
    net.node("Flatten")
    net.node("Mul", [column, net.last], name="outer")
    wanted = add_layer("outer", operands=(4, 4), written=16, op="Mul")
    assert after_first(read(net))[0][1] == replace(wanted, kind="mul")


def test_concat_reads_and_writes_everything(read):
    net = image()
    net.node("Concat", ["input", "input"], name="c", axis=1)
    assert after_first(read(net)) == ((concat_layer("c", operands=(192, 192)),), [])


# What folds

POINTWISE = {
    "Relu": {}, "LeakyRelu": {}, "Sigmoid": {}, "HardSigmoid": {}, "Tanh": {}, "Elu": {}, "Selu": {}, "Softplus": {},
    "Erf": {}, "Abs": {}, "Cast": {"to": TensorProto.FLOAT16}, "HardSwish": {},
}  # fmt: skip


@pytest.mark.parametrize("op", POINTWISE)
@pytest.mark.parametrize("behind", ["first", "Add", "GlobalAveragePool", "Concat", "Reshape", "BatchNormalization"])
def test_activations_ride_along_on_what_was_written_before(read, op, behind):
    net = image(opset=14)
    first = net.last
    extra = {
        "Add": lambda: net.node("Add", [first, net.input("other", 1, 4, 6, 6)], name="row"),
        "Concat": lambda: net.node("Concat", [first, first], axis=1, name="row"),
        "GlobalAveragePool": lambda: net.node("GlobalAveragePool", name="row"),
        "Reshape": lambda: net.node("Reshape", [first, net.constant([1, -1])]),
        "BatchNormalization": lambda: net.node(
            "BatchNormalization", [first, *(net.weight(4) for _ in range(4))], epsilon=1e-5
        ),
    }
    extra.get(behind, lambda: first)()
    net.node(op, name="act", **POINTWISE[op])
    network = read(net)
    has_row = behind in ("Add", "Concat", "GlobalAveragePool")
    assert [layer.name for layer in network.layers] == (["first", "row"] if has_row else ["first"])
    assert network.not_costed == ()


@pytest.mark.parametrize("op", ["Relu", "Sigmoid", "Cast"])
def test_an_activation_of_the_input_is_a_row(read, op):
    net = OnnxBuilder(1, 3, 8, 8)
    net.node(op, name="early", **POINTWISE[op])
    net.conv("first", 4, 3)
    network = read(net)
    assert network.layers[0] == pointwise_layer("early", elements=192, op=op)
    assert network.not_costed == ()


def test_an_activation_of_something_not_costed_is_a_row(read):
    net = image()
    net.node("Det", name="odd one")
    net.node("Relu", name="late")
    assert after_first(read(net)) == ((pointwise_layer("late", elements=4, op="Relu"),), [("Det", "odd one")])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max"])
@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1)])
def test_small_constants_fold(read, op, shape):
    net = image()
    net.node(op, [net.last, net.weight(*shape)], name="affine")
    net.node("Relu")
    assert after_first(read(net)) == ((), [])


def test_clip_with_bounds_folds(read):
    net = OnnxBuilder(1, 3, 8, 8)
    net.conv("first", 4, 3, activation="Clip")
    assert after_first(read(net)) == ((), [])


def test_a_constant_that_widens_the_result_does_not_fold(read):
    net = OnnxBuilder(1, 3)
    net.node("MatMul", ["input", net.weight(3, 1)], name="first")
    net.node("Mul", [net.last, net.weight(1, 9)], name="outer product")
    (row,), missing = after_first(read(net))
    assert (row.name, row.read_elements, row.written_elements, row.vector_ops) == ("outer product", 1, 9, 9)
    assert missing == []


@pytest.mark.parametrize("pattern", ["silu", "hardswish", "twice"])
def test_a_tensor_times_a_function_of_itself_folds(read, pattern):
    net = image()
    source = net.last
    if pattern == "silu":
        net.node("Sigmoid")
    if pattern == "hardswish":
        net.node("Add", [source, net.constant(3.0, np.float32)])
        net.node("Clip", [net.last, net.constant(0.0, np.float32), net.constant(6.0, np.float32)])
        net.node("Div", [net.last, net.constant(6.0, np.float32)])
    net.node("Mul", [source, net.last], name="gate")
    assert after_first(read(net)) == ((), [])


def test_two_parts_of_a_tensor_are_two_operands(read):
    """A gated linear unit multiplies one half of the channels with the other."""
    net = image()
    net.node("Split", [net.last, net.constant([2, 2])], outputs=["left", "right"], axis=1)
    net.node("Sigmoid", ["right"])
    net.node("Mul", ["left", net.last], name="glu")
    wanted = add_layer("glu", operands=(72, 72), written=72, op="Mul")
    assert after_first(read(net)) == ((replace(wanted, kind="mul"),), [])


def test_batch_norm_in_training_mode_is_listed(read):
    net = image(opset=14)
    inputs = [net.last, *(net.weight(4) for _ in range(4))]
    net.node("BatchNormalization", inputs, name="bn", training_mode=1, outputs=["y", "mean", "variance"])
    assert after_first(read(net)) == ((), [("BatchNormalization", "bn")])


# What is free


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_shapes_computed_from_shapes_cost_nothing(read, opset):
    """The way torch exports x.view(x.size(0), -1), which onnx itself follows in newer operator sets only."""
    net = image(opset=opset)
    features = net.last
    net.node("Shape", [features])
    net.node("Gather", [net.last, net.constant(0)], axis=0)
    net.node("Cast", to=TensorProto.INT64)
    if opset < 13:
        net.node("Unsqueeze", axes=[0])
    else:
        net.node("Unsqueeze", [net.last, net.constant([0])])
    net.node("Concat", [net.last, net.constant([-1])], axis=0)
    net.node("Reshape", [features, net.last])
    net.node("Gemm", [net.last, net.weight(10, 144)], name="fc", transB=1)
    assert after_first(read(net)) == ((fc_layer("fc", in_features=144, out_features=10),), [])


def test_views_cost_nothing(read):
    net = image()
    net.node("Identity")
    net.node("Dropout")
    net.node("Flatten")
    net.node("Unsqueeze", [net.last, net.constant([0])])
    net.node("Squeeze", [net.last, net.constant([0])])
    net.node("QuantizeLinear", [net.last, net.constant(0.1, np.float32), net.constant(0, np.int8)])
    net.node("DequantizeLinear", [net.last, net.constant(0.1, np.float32), net.constant(0, np.int8)])
    net.node("Slice", [net.last, net.constant([0]), net.constant([100]), net.constant([1])])
    net.node("Gemm", [net.last, net.weight(100, 10)], name="fc")
    wanted = fc_layer("fc", in_features=100, out_features=10)
    assert after_first(read(net)) == ((replace(wanted, bits=ModelBits(inputs=8)),), [])


def test_weights_that_are_dequantized_are_constants(read):
    net = OnnxBuilder(1, 3, 8, 8)
    data = net.node("QuantizeLinear", ["input", net.constant(0.1, np.float32), net.constant(0, np.int8)])
    data = net.node("DequantizeLinear", [data, net.constant(0.1, np.float32), net.constant(0, np.int8)])
    stored = net.constant(np.zeros((10, 192)), np.int8)
    weights = net.node("DequantizeLinear", [stored, net.constant(0.1, np.float32), net.constant(0, np.int8)])
    net.node("Flatten", [data])
    net.node("Gemm", [net.last, weights], name="fc", transB=1)
    network = read(net)
    wanted = fc_layer("fc", in_features=192, out_features=10)
    assert (network.layers, network.not_costed) == ((replace(wanted, bits=ModelBits(weights=8, inputs=8)),), ())


@pytest.mark.parametrize("shape", [[1, 1, 4, 36], [4, 36, 1, 1], [2, 2, 6, 6]])
def test_a_layer_writes_in_the_order_that_a_transposition_asks_for(read, shape):
    net = image()
    net.node("Reshape", [net.last, net.constant(shape)])
    net.node("Transpose", name="t", perm=[2, 0, 1, 3])
    assert after_first(read(net)) == ((), [])


@pytest.mark.parametrize(("shape", "moved"), [((1, 1, 8, 3), False), ((3, 1, 1, 8), False), ((2, 2, 6, 3), True)])
def test_a_transposition_of_the_input_moves_it_unless_its_order_stays(read, shape, moved):
    net = OnnxBuilder(*shape)
    net.node("Transpose", name="t", perm=[2, 0, 1, 3])
    net.node("MatMul", [net.last, net.weight(shape[3], 5)], name="m")
    rows = read(net).layers[:-1]
    elements = math.prod(shape)
    assert rows == ((move_layer("t", read=elements, written=elements, op="Transpose"),) if moved else ())


def test_a_transposition_without_perm_turns_all_axes(read):
    net = OnnxBuilder(2, 3)
    net.node("Transpose", name="t")
    net.node("MatMul", [net.last, net.weight(2, 5)], name="m")
    assert [layer.name for layer in read(net).layers] == ["t", "m"]


def test_what_comes_out_in_another_order_is_another_tensor(read):
    """A square matrix plus its transpose: two different elements for each place of the sum."""
    net = OnnxBuilder(6, 3)
    made = net.node("MatMul", ["input", net.weight(3, 6)], name="m")
    net.node("Transpose")
    net.node("Add", [made, net.last], name="sum")
    assert after_first(read(net)) == ((add_layer("sum", operands=(36, 36), written=36),), [])


@pytest.mark.parametrize(("training", "listed"), [(False, []), (True, [("Dropout", "d")])])
def test_dropout_is_free_in_inference_only(read, training, listed):
    net = image()
    net.node("Dropout", [net.last, net.constant(0.5, np.float32), net.constant(training, np.bool_)], name="d")
    assert after_first(read(net)) == ((), listed)


def test_a_reshape_that_loses_elements_is_refused(read):
    net = image()
    net.node("Reshape", [net.last, net.constant([1, 7])], name="view")
    with pytest.raises(ModelError, match=r"shape \[1, 4, 6, 6\] can't become \[1, 7\]: 144 and 7 elements") as caught:
        read(net)
    assert "node 'view'" in caught.value.where


# Pad


def padded(net: OnnxBuilder, pads: list[int], value: float | None = None, **attributes) -> str:
    inputs = [net.last, net.constant(pads)]
    if value is not None:
        inputs.append(net.constant(value, np.float32))
    return net.node("Pad", inputs, name="pad", **attributes)


@pytest.mark.parametrize("value", [None, 0.0])
def test_zeros_before_a_conv_become_its_padding(read, value):
    net = OnnxBuilder(1, 3, 8, 8)
    padded(net, [0, 0, 1, 2, 0, 0, 3, 0], value)
    net.conv("c", 4, 3, pad=1)
    network = read(net)
    wanted = conv_layer("c", input_size=(8, 8), in_channels=3, out_channels=4, kernel=(3, 3), pad=(2, 3, 4, 1))
    assert (network.layers, network.not_costed) == ((wanted,), ())


def test_zeros_before_same_padding(read):
    net = OnnxBuilder(1, 3, 8, 8)
    padded(net, [0, 0, 1, 1, 0, 0, 0, 0])
    net.conv("c", 4, 3, pad="same", stride=2)
    # 9 × 9 after the Pad: 5 outputs, (5−1)·2 + 3 − 9 = 2 more, one on each side.
    wanted = conv_layer(
        "c", input_size=(8, 8), in_channels=3, out_channels=4, kernel=(3, 3), stride=(2, 2), pad=(2, 2, 1, 1)
    )
    assert read(net).layers == (wanted,)


def test_zeros_before_a_pool_are_not_read(read):
    net = image()
    padded(net, [0, 0, 1, 1, 0, 0, 1, 1])
    net.node("MaxPool", name="p", kernel_shape=[2, 2], strides=[2, 2])
    wanted = pool_layer(
        "p", channels=4, input_size=(6, 6), output_size=(4, 4), kernel=(2, 2), stride=(2, 2), pad=(1, 1, 1, 1)
    )
    assert after_first(read(net)) == ((wanted,), [])


def test_the_pad_of_opset_9_has_attributes(read):
    net = OnnxBuilder(1, 3, 8, 8, opset=9)
    net.node("Pad", name="pad", pads=[0, 0, 1, 1, 0, 0, 1, 1])
    net.conv("c", 4, 3)
    wanted = conv_layer("c", input_size=(8, 8), in_channels=3, out_channels=4, kernel=(3, 3), pad=(1, 1, 1, 1))
    assert read(net).layers == (wanted,)


def test_the_pad_of_opset_18_names_axes(read):
    net = OnnxBuilder(1, 3, 8, 8, opset=18)
    net.node("Pad", ["input", net.constant([1, 2]), "", net.constant([-2])], name="pad")
    net.conv("c", 4, 3)
    wanted = conv_layer("c", input_size=(8, 8), in_channels=3, out_channels=4, kernel=(3, 3), pad=(1, 0, 2, 0))
    assert read(net).layers == (wanted,)


def test_channels_of_zeros_are_not_read_by_a_sum(read):
    net = image()
    main = net.input("main", 1, 8, 6, 6)
    padded(net, [0, 2, 0, 0, 0, 2, 0, 0])
    net.node("Add", [main, net.last], name="sum")
    assert after_first(read(net)) == ((add_layer("sum", operands=(288, 144), written=288),), [])


def test_a_pad_of_nothing_is_free(read):
    net = image()
    padded(net, [0] * 8)
    net.node("Relu", name="r")
    assert after_first(read(net)) == ((), [])


def test_the_chain_that_torch_writes_for_padding_is_worked_out(read):
    """F.pad's list runs from the last axis to the first; torch turns it round with ten operators."""
    net = OnnxBuilder(1, 3, 8, 8, opset=11)
    net.node("ConstantOfShape", [net.constant([4])])
    net.node("Concat", [net.constant([1, 2, 3, 4]), net.last], axis=0)
    net.node("Reshape", [net.last, net.constant([-1, 2])])
    bounds = [net.constant([v]) for v in (-1, -(2**63) + 1, 0, -1)]
    net.node("Slice", [net.last, *bounds])
    net.node("Transpose", perm=[1, 0])
    net.node("Reshape", [net.last, net.constant([-1])])
    pads = net.node("Cast", to=TensorProto.INT64)
    net.node("Pad", ["input", pads], name="pad")
    net.conv("c", 4, 3)
    # left 1, right 2, top 3, bottom 4
    wanted = conv_layer("c", input_size=(8, 8), in_channels=3, out_channels=4, kernel=(3, 3), pad=(3, 1, 4, 2))
    assert (read(net).layers, read(net).not_costed) == ((wanted,), ())


@pytest.mark.parametrize(
    ("pads", "value", "attributes"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], 1.0, {}),
        ([0, 0, 1, 1, 0, 0, 1, 1], None, {"mode": "reflect"}),
        ([0, 1, 0, 0, 0, 0, 0, 0], None, {}),
        ([0, 0, -1, 0, 0, 0, 0, 0], None, {}),
    ],
)
def test_other_padding_before_a_conv_moves_data(read, pads, value, attributes):
    net = image()
    padded(net, pads, value, **attributes)
    channels = 4 + pads[1]
    net.node("Conv", [net.last, net.weight(2, channels, 3, 3)], name="c")
    layers, missing = after_first(read(net))
    written = channels * (6 + pads[2] + pads[6]) * (6 + pads[3] + pads[7])
    wanted = (move_layer("pad", read=144, written=written, op="Pad"),) if min(pads) >= 0 else ()
    assert (layers[:-1], missing) == (wanted, [])
    assert layers[-1].nest.pad == (0, 0, 0, 0)


def test_a_pad_with_two_readers_moves_data(read):
    net = image()
    twice = padded(net, [0, 0, 1, 1, 0, 0, 1, 1])
    net.conv("left", 4, 3)
    net.last = twice
    net.conv("right", 4, 3)
    (moved, *layers), missing = after_first(read(net))
    assert (moved.kind, moved.read_elements, moved.written_elements, missing) == ("move", 144, 256, [])
    assert [layer.nest.pad for layer in layers] == [(0,) * 4] * 2


def test_a_pad_that_is_an_output_moves_data(read):
    net = image()
    net.outputs.append(padded(net, [0, 0, 1, 1, 0, 0, 1, 1]))
    net.conv("c", 4, 3)
    assert [layer.name for layer in after_first(read(net))[0]] == ["pad", "c"]


# What is listed


@pytest.mark.parametrize(
    ("op", "attributes"),
    [("NonZero", {}), ("Det", {}), ("TopK", {}), ("Compress", {"axis": 1})],
)
def test_anything_else_is_listed_with_name_and_elements(read, op, attributes):
    net = image()
    more = {"Compress": [net.constant([True] * 4, np.bool_)], "TopK": [net.constant([2])]}.get(op, [])
    outputs = ["values", "indices"] if op == "TopK" else []
    net.node(op, [net.last, *more], name="this one", outputs=outputs, **attributes)
    network = read(net)
    elements = {"Det": 144 + 4, "TopK": 144 + 2 * 48}.get(op)
    assert [(i.op, i.where, i.elements) for i in network.not_costed] == [(op, "this one", elements)]


def test_operators_from_outside_the_standard_carry_their_domain(read):
    net = image()
    net.node("FusedConv", name="f", domain="com.microsoft")
    network = read(net)
    assert [(i.op, i.where, i.elements) for i in network.not_costed] == [("com.microsoft.FusedConv", "f", None)]


def test_sums_of_unknown_size_are_listed(read):
    net = image()
    net.node("Mystery", domain="my.domain", name="m")
    twice = net.last
    net.node("Add", [twice, "input"], name="a")
    net.node("Concat", [twice, net.last], name="c", axis=1)
    assert after_first(read(net)) == ((), [("my.domain.Mystery", "m"), ("Add", "a"), ("Concat", "c")])


def branches(tensor: str) -> dict[str, object]:
    """The two graphs of an If, each of which reads ``tensor`` from outside."""
    return {
        f"{side}_branch": helper.make_graph(
            [helper.make_node("Relu", [tensor], [side])], side, [], [helper.make_empty_tensor_value_info(side)]
        )
        for side in ("then", "else")
    }


def test_branches_are_listed(read):
    net = image()
    features = net.last
    flag = net.input("flag", 1)
    net.node("Cast", [flag], to=TensorProto.BOOL, name="cast")
    net.node("If", [net.last], name="choice", **branches(features))
    assert after_first(read(net)) == ((pointwise_layer("cast", elements=1, op="Cast"),), [("If", "choice")])


def test_a_pad_that_a_branch_reads_too_moves_data(read):
    net = image()
    pad = padded(net, [0, 0, 1, 1, 0, 0, 1, 1])
    net.conv("c", 4, 3)
    net.node("If", [net.constant(True, np.bool_)], name="choice", **branches(pad))
    (moved, layer), missing = after_first(read(net))
    assert (moved.name, missing) == ("pad", [("If", "choice")])
    assert layer.nest.pad == (0,) * 4


# Names


def test_names_are_the_users_own(read):
    net = OnnxBuilder(1, 3, 8, 8)
    net.conv("/features/0/Conv", 4, 3)
    net.node("Conv", [net.last, net.weight(4, 4, 1, 1)], outputs=["second.out"])
    net.conv("twin", 4, 1)
    net.conv("twin", 4, 1)
    assert [layer.name for layer in read(net).layers] == ["/features/0/Conv", "second.out", "twin", "twin_2"]


def test_a_suffix_never_takes_a_users_name(read):
    net = OnnxBuilder(1, 3, 8, 8)
    for name in ("twin", "twin", "twin_2"):
        net.conv(name, 3, 1)
    assert [layer.name for layer in read(net).layers] == ["twin", "twin_3", "twin_2"]


def test_shared_weights_are_parameters_of_the_first_layer_that_runs_them(read):
    net = OnnxBuilder(1, 4, 8, 8)
    weights = net.weight(4, 4, 1, 1)
    net.node("Conv", ["input", weights], name="a")
    net.node("Conv", [net.last, weights], name="b")
    network = read(net)
    assert [(layer.weights, layer.shared, layer.macs) for layer in network.layers] == [
        (16, False, 1024),
        (0, True, 1024),
    ]
    assert network.params == 16


def test_local_functions_are_taken_apart(tmp_path):
    net = OnnxBuilder(1, 3, 8, 8)
    net.node("Block", ["input", net.weight(4, 3, 3, 3)], domain="my.blocks", name="block")
    model = net.model()
    body = [helper.make_node("Conv", ["x", "w"], ["y"], name="inner"), helper.make_node("Relu", ["y"], ["z"])]
    imports = [helper.make_opsetid("", 13)]
    model.functions.append(helper.make_function("my.blocks", "Block", ["x", "w"], ["z"], body, imports))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    network = load_model(path)
    assert ([layer.macs for layer in network.layers], network.not_costed) == ([4 * 3 * 9 * 36], ())
