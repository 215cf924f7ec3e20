"""Products of matrices, attention, recurrent layers and transposed convolutions in ONNX files, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import TensorProto
from support.onnx_models import OnnxBuilder

from picojoule import estimate, verify
from picojoule.errors import ModelError
from picojoule.frontends import load_model
from picojoule.workload import Layer, Nest, Network
from picojoule.workload.products import einsum_layer, einsum_steps, product_layer


@pytest.fixture
def read(tmp_path):
    def read_built(net: OnnxBuilder, **options) -> Network:
        return load_model(net.save(tmp_path / "model.onnx"), **options)

    return read_built


def sizes(layer: Layer) -> dict[str, int]:
    return {dim: size for dim, size in layer.nest.dims.items() if size > 1}


# Products


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((5, 7), (7, 3), {"N": 5, "C": 7, "K": 3}),
        ((2, 4, 5, 7), (2, 4, 7, 3), {"G": 8, "N": 5, "C": 7, "K": 3}),
        ((2, 4, 5, 7), (7, 3), {"N": 40, "C": 7, "K": 3}),
        ((5, 7), (2, 7, 3), {"N": 5, "C": 7, "K": 6}),
        ((2, 1, 5, 7), (1, 4, 7, 3), {"N": 10, "C": 7, "K": 12}),
        ((2, 4, 5, 7), (1, 4, 7, 3), {"G": 4, "N": 10, "C": 7, "K": 3}),
        ((7,), (7,), {"C": 7}),
        ((2, 5, 7), (7,), {"N": 10, "C": 7}),
    ],
)
@pytest.mark.parametrize("weights", ["", "right"])
def test_axes_become_groups_rows_and_columns(left, right, expected, weights):
    layer = product_layer("m", left=left, right=right, weights=weights)
    assert sizes(layer) == expected
    product = np.matmul(np.ones(left), np.ones(right))
    assert layer.macs == product.size * left[-1]
    assert layer.nest.elements("outputs") == product.size
    assert layer.nest.elements("weights") == math.prod(right)
    assert layer.params == (math.prod(right) if weights else 0)


@pytest.mark.parametrize(("left", "right"), [((3, 5, 7), (7, 2)), ((3, 5, 7), (3, 7, 2)), ((5, 7), (3, 7, 2))])
def test_weights_on_the_left_are_the_same_products(left, right):
    layer = product_layer("m", left=left, right=right, weights="left")
    product = np.matmul(np.ones(left), np.ones(right))
    assert layer.macs == product.size * left[-1]
    assert layer.nest.elements("weights") == math.prod(left)
    assert layer.nest.elements("inputs") == math.prod(right)


@pytest.mark.parametrize(("left", "right"), [((5, 7), (6, 3)), ((2, 5, 7), (3, 7, 3)), ((), (3,))])
def test_shapes_that_do_not_fit(left, right):
    with pytest.raises(ValueError, match="can't be multiplied"):
        product_layer("m", left=left, right=right)


@pytest.mark.parametrize(
    ("equation", "left", "right", "expected"),
    [
        ("ij,jk->ik", (5, 7), (7, 3), {"N": 5, "C": 7, "K": 3}),
        ("ij,jk", (5, 7), (7, 3), {"N": 5, "C": 7, "K": 3}),
        ("bij,bkj->bik", (2, 5, 7), (2, 3, 7), {"G": 2, "N": 5, "C": 7, "K": 3}),
        ("...ij,...jk->...ik", (4, 2, 5, 7), (4, 2, 7, 3), {"G": 8, "N": 5, "C": 7, "K": 3}),
        ("...ij,jk->...ik", (4, 2, 5, 7), (7, 3), {"N": 40, "C": 7, "K": 3}),
        ("bqhd,bkhd->bhqk", (1, 9, 4, 8), (1, 6, 4, 8), {"G": 4, "N": 9, "C": 8, "K": 6}),
        ("ij,ij->", (5, 7), (5, 7), {"C": 35}),
        ("bi,bj->bij", (2, 5), (2, 7), None),
        ("ij,ij->ij", (5, 7), (5, 7), None),
    ],
)
def test_einsum_is_a_product_of_matrices(equation, left, right, expected):
    layer = einsum_layer("e", equation=equation, left=left, right=right)
    result = np.einsum(equation, np.ones(left), np.ones(right))
    if expected is None:  # nothing is summed over
        assert (layer.kind, layer.macs, layer.vector_ops) == ("mul", 0, result.size)
        assert layer.read_elements == math.prod(left) + math.prod(right)
        return
    assert sizes(layer) == expected
    assert layer.nest.elements("outputs") == result.size
    assert layer.macs == int(result.sum())  # of ones: every MAC adds one


@pytest.mark.parametrize(
    ("equation", "left", "right"),
    [("ii,ij->j", (5, 5), (5, 3)), ("ij,k->k", (5, 7), (3,)), ("ij,jk,kl->il", (5, 7), (7, 3))],
)
def test_other_equations_are_no_product_of_matrices(equation, left, right):
    assert einsum_layer("e", equation=equation, left=left, right=right) is None


def test_an_equation_that_does_not_fit():
    with pytest.raises(ValueError, match="letter 'j'"):
        einsum_layer("e", equation="ij,jk->ik", left=(5, 7), right=(6, 3))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk,kl->il", [(5, 7), (7, 3), (3, 2)]),
        ("...x,zxy,...y->...z", [(2, 5, 7), (4, 7, 3), (2, 5, 3)]),
        ("ab,ab,bc,cd->ad", [(2, 3), (1, 3), (3, 4), (4, 5)]),
        ("bi,bj,ij", [(2, 3), (2, 4), (3, 4)]),
    ],
)
def test_einsum_goes_from_left_to_right(equation, shapes):
    arrays = [np.random.default_rng(len(shapes)).normal(size=shape) for shape in shapes]
    steps = einsum_steps(equation, shapes)
    result = arrays[0]
    for (one, left, right), operand in zip(steps, arrays[1:], strict=True):
        assert (result.shape, operand.shape) == (left, right)
        # Numpy takes no Greek letters.
        result = np.einsum(one.translate({0x3B1 + i: 65 + i for i in range(16)}), result, operand)
    np.testing.assert_allclose(result, np.einsum(equation, *arrays))


def test_einsum_of_three_operands(read):
    net = OnnxBuilder(5, 7)
    net.node("Einsum", [net.last, net.weight(7, 3), net.weight(3, 2)], name="chain", equation="ij,jk,kl->il")
    layers = read(net).layers
    assert [(x.name, x.kind, sizes(x), x.params) for x in layers] == [
        ("chain.1", "fc", {"N": 5, "C": 7, "K": 3}, 21),
        ("chain.2", "fc", {"N": 5, "C": 3, "K": 2}, 6),
    ]


@pytest.mark.parametrize(("order", "equation"), [([1, 2, 0], "jk,kl,ij->il"), ([0, 1, 1], "ij,jj,jj->i")])
def test_einsum_that_is_no_chain_of_products_is_listed(read, order, equation):
    net = OnnxBuilder(5, 7)
    net.node("MatMul", ["input", net.weight(7, 7)])
    operands = [net.last, net.weight(7, 7), net.weight(7, 7)]
    net.node("Einsum", [operands[place] for place in order], name="chain", equation=equation)
    assert [(entry.op, entry.where) for entry in read(net).not_costed] == [("Einsum", "chain")]


def test_einsum_with_weights(read):
    net = OnnxBuilder(2, 5, 7)
    net.node("Einsum", ["input", net.weight(3, 7, 4)], name="heads", equation="btd,hde->bhte")
    (layer,) = read(net).layers
    assert (layer.kind, sizes(layer), layer.params) == ("fc", {"N": 10, "C": 7, "K": 12}, 84)


def test_gemm_with_a_computed_addend_adds_in_a_row(read):
    net = OnnxBuilder(5, 7)
    other = net.input("addend", 5, 3)
    net.node("Gemm", ["input", net.weight(7, 3), other], name="g")
    product, total = read(net).layers
    assert (product.name, product.params, total.name, total.read_elements) == ("g", 21, "g.add", 30)


# Attention


def test_attention_is_two_products_and_a_softmax(read):
    net = OnnxBuilder(2, 8, 5, 16, opset=23)
    key, value = net.input("key", 2, 2, 9, 16), net.input("value", 2, 2, 9, 4)
    net.node("Attention", ["input", key, value, net.input("mask", 5, 9)], name="attn", is_causal=1)
    qk, softmax, av = read(net).layers
    assert [x.name for x in (qk, softmax, av)] == ["attn.qk", "attn.softmax", "attn.av"]
    # 8 heads of queries share 2 of keys: 4 × 5 rows in each of 2 × 2 groups.
    assert sizes(qk) == {"G": 4, "N": 20, "K": 9, "C": 16}
    assert sizes(av) == {"G": 4, "N": 20, "K": 4, "C": 9}
    scores = 2 * 8 * 5 * 9
    assert (softmax.read_elements, softmax.written_elements, softmax.vector_ops) == (scores + 45, scores, 6 * scores)
    assert qk.params == av.params == 0
    assert sum(x.macs for x in (qk, softmax, av)) == scores * 16 + scores * 4


def test_attention_over_packed_heads_with_a_past(read):
    net = OnnxBuilder(1, 1, 32, opset=23)
    given = [net.input(name, 1, 1, 16) for name in ("key", "value")]
    past = [net.input(name, 1, 2, 7, 8) for name in ("past_key", "past_value")]
    net.node(
        "Attention", ["input", *given, "", *past], name="attn", q_num_heads=4, kv_num_heads=2,
        outputs=["out", "present_key", "present_value"],
    )  # fmt: skip
    qk, _, av = read(net).layers
    assert (sizes(qk), sizes(av)) == ({"G": 2, "N": 2, "K": 8, "C": 8}, {"G": 2, "N": 2, "K": 8, "C": 8})


def test_heads_that_do_not_divide_are_refused(read):
    net = OnnxBuilder(1, 5, 30, opset=23)
    net.node("Attention", ["input", "input", "input"], name="attn", q_num_heads=4, kv_num_heads=4)
    with pytest.raises(ModelError, match="don't divide|can't be inferred"):
        read(net)


# Recurrent layers


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_run_step_by_step(read, op, gates, directions):
    net = OnnxBuilder(7, 2, 5)
    weights = [
        net.weight(directions, gates * 6, 5),
        net.weight(directions, gates * 6, 6),
        net.weight(directions, 2 * gates * 6),
    ]
    net.node(
        op, ["input", *weights], name="rnn", hidden_size=6, direction="bidirectional" if directions == 2 else "forward"
    )
    network = read(net)
    names = ["rnn.forward", "rnn.reverse"] if directions == 2 else ["rnn"]
    assert [x.name for x in network.layers] == [f"{n}.{part}" for n in names for part in ("input", "recurrent", "cell")]
    for enters, recurs, cell in zip(*(network.layers[i::3] for i in range(3)), strict=True):
        assert (sizes(enters), enters.repeats) == ({"N": 14, "K": gates * 6, "C": 5}, 1)
        assert (sizes(recurs), recurs.repeats) == ({"N": 2, "K": gates * 6, "C": 6}, 7)
        assert recurs.macs == 7 * 2 * gates * 6 * 6
        assert cell.written_elements == 7 * 2 * 6 * (2 if op == "LSTM" else 1)
    assert network.params == directions * gates * 6 * (5 + 6 + 2)


def test_the_batch_of_a_recurrent_layer_may_come_first(read):
    net = OnnxBuilder(2, 7, 5, opset=14)
    net.node("LSTM", ["input", net.weight(1, 24, 5), net.weight(1, 24, 6)], name="rnn", hidden_size=6, layout=1)
    enters, recurs, _ = read(net).layers
    assert (enters.nest.N, recurs.nest.N, recurs.repeats) == (14, 2, 7)


def test_weights_that_do_not_fit_the_input_are_refused(read):
    net = OnnxBuilder(7, 2, 5)
    net.node("LSTM", ["input", net.weight(1, 24, 4), net.weight(1, 24, 6)], name="rnn", hidden_size=6)
    with pytest.raises(ModelError, match="don't fit|can't be inferred"):
        read(net)


# Transposed convolutions


@pytest.mark.parametrize(
    ("kernel", "stride", "pads", "overlaps"),
    [(2, 2, 0, False), (3, 2, 1, True), (4, 2, 1, True), (3, 3, 0, False), (2, 3, 0, True), (1, 1, 0, False)],
)
def test_a_transposed_convolution_multiplies_every_position_with_the_whole_filter(read, kernel, stride, pads, overlaps):
    net = OnnxBuilder(2, 6, 5, 7)
    weights = [net.weight(6, 4, kernel, kernel), net.weight(8)]
    net.node(
        "ConvTranspose", ["input", *weights], name="up", group=2, kernel_shape=[kernel] * 2, strides=[stride] * 2,
        pads=[pads] * 4,
    )  # fmt: skip
    network = read(net)
    up = network.layers[0]
    assert (up.kind, up.macs) == ("conv", 2 * 5 * 7 * kernel**2 * 6 * 4)
    assert up.nest == Nest(N=2, G=2, K=4 * kernel**2, C=3, P=5, Q=7)
    assert up.params == 6 * 4 * kernel**2 + 8
    written = 2 * 8 * math.prod((size - 1) * stride - 2 * pads + kernel for size in (5, 7))
    assert [x.name for x in network.layers[1:]] == (["up.overlap"] if overlaps else [])
    if overlaps:
        row = network.layers[1]
        assert (row.read_elements, row.written_elements) == (up.nest.elements("outputs"), written)
    else:
        assert up.nest.elements("outputs") == written


def test_a_result_with_a_transposed_convolution_and_shared_biases_verifies(tmp_path):
    net = OnnxBuilder(1, 4, 4, 4)
    weights = [net.weight(4, 2, 3, 3), net.weight(2)]
    net.node("ConvTranspose", ["input", *weights], name="up", kernel_shape=[3, 3], strides=[2, 2])
    result = estimate(net.save(tmp_path / "up.onnx"), hardware="eyeriss-normalized", cache=False)
    assert [(x.name, x.params) for x in result.layers] == [("up", 74), ("up.overlap", 0)]
    assert verify(result).ok


# Tables and rows


def test_an_embedding_reads_its_rows_where_weights_lie(read):
    net = OnnxBuilder(1, 5)
    net.inputs[0].type.tensor_type.elem_type = TensorProto.INT64
    net.node("Gather", [net.weight(100, 8), "input"], name="tokens")
    net.node("MatMul", [net.last, net.weight(8, 3)], name="m")
    row, _ = read(net).layers
    assert (row.kind, row.params, row.read_elements, row.read_weights, row.written_elements) == (
        "embedding",
        800,
        5,
        40,
        40,
    )
    assert row.with_batch(3).read_weights == 120


def test_a_result_with_an_embedding_verifies_and_no_other_figure_would(tmp_path):
    net = OnnxBuilder(1, 5)
    net.inputs[0].type.tensor_type.elem_type = TensorProto.INT64
    net.node("Gather", [net.weight(100, 8), "input"], name="tokens")
    net.node("MatMul", [net.last, net.weight(8, 3)], name="m")
    result = estimate(net.save(tmp_path / "e.onnx"), hardware="eyeriss-like-45nm", cache=False)
    row = result.layers[0]
    assert row.moved == {"read": 5, "written": 40, "vector_ops": 0, "weights": 40}
    assert {(a.level, a.tensor): a.reads for a in row.by if a.reads} == {("DRAM", "weights"): 40, ("DRAM", "inputs"): 5}
    assert verify(result).ok


@pytest.mark.parametrize(
    ("op", "opset", "attributes", "operations"),
    [
        ("Softmax", 13, {}, 5), ("LogSoftmax", 13, {}, 5), ("LRN", 13, {"size": 5}, 9), ("LpNormalization", 13, {}, 3),
        ("MeanVarianceNormalization", 13, {}, 5), ("CumSum", 14, {}, 1),
    ],
)  # fmt: skip
def test_rows_with_operations_on_each_element(read, op, opset, attributes, operations):
    net = OnnxBuilder(1, 3, 8, 8, opset=opset)
    net.conv("first", 4, 3)
    more = [net.constant(1)] if op == "CumSum" else []
    net.node(op, [net.last, *more], name="row", **attributes)
    row = read(net).layers[1]
    assert (row.read_elements, row.written_elements, row.vector_ops) == (144, 144, operations * 144)


@pytest.mark.parametrize(("mode", "operations"), [("nearest", 0), ("linear", 7), ("cubic", 31)])
def test_resizing_weighs_the_neighbours(read, mode, operations):
    net = OnnxBuilder(1, 3, 8, 8)
    net.conv("first", 4, 3)
    net.node("Resize", [net.last, "", net.constant([1.0, 1.0, 2.0, 2.0], np.float32)], name="up", mode=mode)
    row = read(net).layers[1]
    assert (row.kind, row.read_elements, row.written_elements, row.vector_ops) == ("resize", 144, 576, operations * 576)


def test_layer_normalization_has_its_scale_and_shift_as_parameters(read):
    net = OnnxBuilder(1, 5, 8, opset=17)
    net.node("MatMul", ["input", net.weight(8, 8)])
    net.node("LayerNormalization", [net.last, net.weight(8), net.weight(8)], name="norm")
    row = read(net).layers[1]
    assert (row.kind, row.params, row.vector_ops) == ("norm", 16, 7 * 40)


@pytest.mark.parametrize(("opset", "op"), [(13, "Tile"), (13, "DepthToSpace"), (13, "Expand")])
def test_copies_and_orders(read, opset, op):
    net = OnnxBuilder(1, 3, 8, 8, opset=opset)
    net.conv("first", 4, 3)
    more = {"Tile": [net.constant([1, 1, 2, 1])], "Expand": [net.constant([3, 4, 6, 6])]}.get(op, [])
    net.node(op, [net.last, *more], name="op", **({"blocksize": 2} if op == "DepthToSpace" else {}))
    rows = read(net).layers[1:]
    assert [(x.kind, x.read_elements, x.written_elements) for x in rows] == (
        [("move", 144, 288)] if op == "Tile" else []
    )
