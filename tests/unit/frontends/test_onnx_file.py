"""A whole ONNX file: what it needs to be, and what is said when it isn't."""

from __future__ import annotations

import os
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.onnx_models import OnnxBuilder

from picojoule.errors import ModelError, SystemFailure, UnknownNameError, UsageError
from picojoule.frontends import load_model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def small(*shape: int | str, opset: int = 13) -> OnnxBuilder:
    net = OnnxBuilder(*(shape or (1, 3, 8, 8)), opset=opset)
    net.conv("c", 4, 3, activation="Relu")
    return net


def refusal(path, **options) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_model(path, **options)
    assert caught.value.exit_code == 3
    assert str(path) in caught.value.where
    return caught.value


# What the network says of itself


def test_name_shape_variant_and_source(path):
    network = load_model(small(2, 3, 8, 8).save(path))
    assert (network.name, network.input_shape) == ("net", (2, 3, 8, 8))
    assert network.variant == "ONNX opset 13, written by picojoule tests"
    assert network.source == "the model file net.onnx"


@pytest.mark.parametrize("opset", [9, 11, 13, 15, 17, 18, 21])
def test_operator_sets_from_9_on(path, opset):
    assert load_model(small(opset=opset).save(path)).macs == 4 * 27 * 36


@pytest.mark.parametrize("opset", [1, 8])
def test_older_operator_sets_are_refused_with_the_remedy(path, opset):
    error = refusal(small(opset=opset).save(path))
    assert error.message == f"it uses operator set {opset}; 9 and newer are allowed"
    assert "onnx.version_converter.convert_version" in error.hint


def test_operator_sets_of_the_future_are_refused(path):
    error = refusal(small(opset=999).save(path))
    assert "it uses operator set 999; the installed onnx" in error.message
    assert "pip install --upgrade onnx" in error.hint


# Weights


def test_weights_may_lie_in_the_file_in_every_form(path):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((64, 3, 3, 3)).astype(np.float32)
    forms = {
        "raw": numpy_helper.from_array(data, "w"),
        "typed": helper.make_tensor("w", TensorProto.FLOAT, data.shape, data.reshape(-1).tolist()),
        "half": numpy_helper.from_array(data.astype(np.float16), "w"),
        "without data": TensorProto(name="w", dims=data.shape, data_type=TensorProto.FLOAT),
    }
    found = set()
    for tensor in forms.values():
        net = OnnxBuilder(1, 3, 8, 8)
        net.initializers.append(tensor)
        net.node("Conv", ["input", "w"], name="c")
        found.add(load_model(net.save(path)).layers)
    assert len(found) == 1


def test_weights_may_be_constant_nodes(path):
    net = OnnxBuilder(1, 3, 8, 8)
    data = np.zeros((64, 3, 3, 3), dtype=np.float32)
    weights = net.node("Constant", [], value=numpy_helper.from_array(data))
    net.node("Conv", ["input", weights], name="c")
    assert load_model(net.save(path)).params == 64 * 27


def test_weights_may_be_listed_among_the_inputs(path):
    """IR version 3 demands it."""
    net = small()
    net.inputs.append(helper.make_tensor_value_info(net.initializers[0].name, TensorProto.FLOAT, [4, 3, 3, 3]))
    network = load_model(net.save(path))
    assert (network.macs, network.input_shape) == (4 * 27 * 36, (1, 3, 8, 8))


def test_sparse_weights_have_the_shape_they_state(path):
    net = OnnxBuilder(1, 192)
    net.node("Gemm", ["input", "w"], name="g")
    model = net.model()
    entries = numpy_helper.from_array(np.ones(2, dtype=np.float32), "w")
    places = numpy_helper.from_array(np.array([3, 9], dtype=np.int64), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(entries, places, [192, 10]))
    path.write_bytes(model.SerializeToString())
    assert load_model(path).macs == 1920


def test_external_data_are_not_opened(path):
    net = small()
    net.initializers[0].external_data[0].value = "../../../etc/passwd"
    net.save(path)
    load_model(path)  # what is imported on the way opens files, too
    armed, opened = True, []

    def watch(event, arguments):
        if armed and event == "open":
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    load_model(path)
    armed = False
    assert opened == [str(path)]


def test_a_short_tensor_that_claims_to_be_long_is_refused(path):
    net = OnnxBuilder(1, 3, 8, 8)
    net.initializers.append(
        TensorProto(name="w", dims=[2**20, 3, 3, 3], data_type=TensorProto.FLOAT, raw_data=b"\0" * 64)
    )
    net.node("Conv", ["input", "w"], name="c")
    error = refusal(net.save(path))
    assert "initializer 'w'" in error.where
    assert "it claims 28311552 elements, shape [1048576, 3, 3, 3], but holds few" in error.message


def test_data_that_do_not_fill_their_shape_are_refused(path):
    net = OnnxBuilder(1, 3, 8, 8)
    net.initializers.append(TensorProto(name="w", dims=[4, 3, 3, 3], data_type=TensorProto.FLOAT, raw_data=b"\0" * 8))
    net.node("Conv", ["input", "w"], name="c")
    assert "its data don't fill its shape [4, 3, 3, 3]" in refusal(net.save(path)).message


def test_negative_sizes_of_a_tensor_are_refused(path):
    net = OnnxBuilder(1, 3, 8, 8)
    net.initializers.append(TensorProto(name="w", dims=[-4, 3, 3, 3], data_type=TensorProto.FLOAT))
    net.node("Conv", ["input", "w"], name="c")
    assert "its shape is [-4, 3, 3, 3]; sizes below 0 are not allowed" in refusal(net.save(path)).message


@pytest.mark.parametrize("shape", [(2**40, 3, 3, 3), (4, 3, 2**30, 2**30)])
def test_a_tensor_beyond_all_measure_is_refused(path, shape):
    net = OnnxBuilder(1, 3, 8, 8)
    net.node("Conv", ["input", net.weight(*shape)], name="c")
    error = refusal(net.save(path))
    assert f"claims {np.prod([int(s) for s in shape], dtype=object)} elements" in error.message
    assert "at most 1099511627776 are allowed" in error.message


@pytest.mark.parametrize("op", ["Expand", "Tile"])
def test_operators_that_would_make_a_huge_tensor_allocate_nothing(path, op):
    net = small()
    net.node(op, [net.last, net.constant([2**40, 1, 1, 1])], name="huge")
    net.conv("behind", 4, 3)
    error = refusal(net.save(path))
    assert f"node {'huge' if op == 'Tile' else 'behind'!r}" in error.where
    assert "claims 158329674399744 elements, shape [1099511627776, 4, 6, 6]" in error.message


def test_a_huge_constant_is_never_computed(path):
    net = small(opset=11)
    features = net.last
    huge = net.node("ConstantOfShape", [net.constant([2**40])])
    net.node("Reshape", [huge, net.constant([2**20, 2**20])])
    net.node("ReduceProd", axes=[0], keepdims=0)
    net.node("Reshape", [features, net.last])
    net.fc("late", 144, 10)
    assert "can't be inferred" in refusal(net.save(path)).message


# Shapes


def test_open_dimensions_are_named_with_the_flag_to_give(path):
    error = refusal(small("batch", 3, "height", 160).save(path))
    assert error.message == "input 'input' has open dimensions: [batch, 3, height, 160]"
    assert error.hint == "Give every size, for example: --shape input=1x3x224x160"


def test_an_input_without_any_shape_is_named(path):
    net = small()
    net.inputs[0].type.tensor_type.ClearField("shape")
    error = refusal(net.save(path))
    assert error.message == "input 'input' has no shape in the file"
    assert "--shape input=" in error.hint


def test_a_shape_closes_open_dimensions(path):
    network = load_model(small("N", 3, "H", "W").save(path), shape={"input": (2, 3, 10, 12)})
    assert network.input_shape == (2, 3, 10, 12)
    assert {d: s for d, s in network.layers[0].nest.dims.items() if d in "NPQ"} == {"N": 2, "P": 8, "Q": 10}


def test_a_shape_replaces_what_the_file_says_of_tensors_in_between(path):
    net = small()
    model = net.model()
    between = model.graph.node[0].output[0]
    model.graph.value_info.append(helper.make_tensor_value_info(between, TensorProto.FLOAT, [1, 4, 6, 6]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(net.last, TensorProto.FLOAT, [1, 4, 6, 6]))
    path.write_bytes(model.SerializeToString())
    assert load_model(path, shape={"input": (1, 3, 16, 16)}).macs == 4 * 27 * 14 * 14


def test_a_shape_for_no_input_names_the_nearest(path):
    with pytest.raises(UnknownNameError, match="the model has no input 'inptu'") as caught:
        load_model(small("N", 3, 8, 8).save(path), shape={"inptu": (1, 3, 8, 8)})
    assert "Did you mean 'input'?" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_weight_is_no_input(path):
    net = small()
    with pytest.raises(UnknownNameError):
        load_model(net.save(path), shape={net.initializers[0].name: (4, 3, 3, 3)})


def test_a_shape_of_another_rank_is_refused(path):
    with pytest.raises(UsageError, match=r"'input' has 4 dimensions, \[N, 3, 8, 8\]; got \[3, 8, 8\]"):
        load_model(small("N", 3, 8, 8).save(path), shape={"input": (3, 8, 8)})


@pytest.mark.parametrize("sizes", [(0, 3, 8, 8), (1, 3, 8.0, 8), (True, 3, 8, 8), ()])
def test_a_shape_is_positive_whole_numbers(path, sizes):
    with pytest.raises(UsageError, match="whole numbers of at least 1"):
        load_model(small("N", 3, 8, 8).save(path), shape={"input": sizes})


def test_a_shape_that_the_weights_do_not_fit_is_refused(path):
    net = OnnxBuilder(1, 3, 8, 8)
    net.fc("fc", 192, 10)
    error = refusal(net.save(path), shape={"input": (1, 3, 16, 16)})
    assert "shapes [1, 768] and [10, 192] can't be multiplied: 768 is not 192" in error.message


@pytest.mark.parametrize("shape", [(1, 3, 0, 8), (0, 3, 8, 8)])
def test_an_input_of_size_zero_is_refused(path, shape):
    assert "has a dimension of size 0" in refusal(small(*shape).save(path)).message


def test_a_tensor_of_size_zero_is_refused(path):
    net = small()
    net.node("Slice", [net.last, net.constant([3]), net.constant([3]), net.constant([2])], name="nothing")
    net.conv("late", 4, 1)
    error = refusal(net.save(path))
    assert "node 'late'" in error.where
    assert "has a dimension of size 0: [1, 4, 0, 6]" in error.message


def test_a_shape_that_nothing_can_infer_names_node_and_tensor(path):
    net = small()
    net.node("Mystery", domain="my.domain", name="veil", outputs=["hidden"])
    net.conv("late", 4, 3)
    error = refusal(net.save(path))
    assert "node 'late' (Conv)" in error.where
    assert error.message == (
        "the shape of tensor 'hidden' can't be inferred; node 'veil' (my.domain.Mystery) leaves its output open"
    )
    assert "static shapes" in error.hint


def test_an_unknown_shape_is_traced_to_where_it_begins(path):
    net = small()
    net.node("Expand", [net.last, net.constant([4, 5])], name="culprit")
    for _ in range(3):
        net.node("Relu")
    net.conv("late", 4, 3)
    error = refusal(net.save(path))
    assert "node 'late' (Conv)" in error.where
    assert "can't be inferred; node 'culprit' (Expand) leaves its output open: [ShapeInferenceError]" in error.message


def test_windows_that_leave_less_than_nothing_before_a_slice(path):
    """onnx aborts the whole process when it infers a Slice over a negative size."""
    net = OnnxBuilder(1, 3, 8, 8)
    net.node("Conv", ["input", net.weight(4, 3, 10, 10)], name="too large")
    net.node("Slice", [net.last, *(net.constant([v]) for v in (3, 0, 2, -1))], name="s")
    error = refusal(net.save(path))
    assert "node 'too large' (Conv)" in error.where
    assert "a window of 10 does not fit in an input of 8" in error.message


@pytest.mark.parametrize("equation", ["\x91>", "...i->...i", "ij->j", "abcd,e->a", "abcd->z", ""])
def test_einsum_equations_on_which_onnx_hangs_or_crashes_are_left_alone(path, equation):
    net = small()
    net.node("Einsum", equation=equation, name="e")
    net.conv("late", 4, 3)
    assert "node 'e' (Einsum) leaves its output open" in refusal(net.save(path)).message


def test_other_einsum_equations_have_a_shape(path):
    net = small()
    net.node("Einsum", equation="nchw -> nhwc", name="e")
    net.node("Gemm", [net.node("Flatten"), net.weight(144, 10)], name="fc")
    network = load_model(net.save(path))
    assert network.layers[1].macs == 1440
    assert [(item.op, item.elements) for item in network.not_costed] == [("Einsum", 288)]


def test_the_file_may_state_the_shape_behind_a_foreign_operator(path):
    net = small()
    net.node("Mystery", domain="my.domain", name="veil", outputs=["hidden"])
    net.conv("late", 4, 3)
    model = net.model()
    model.graph.value_info.append(helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [1, 4, 5, 5]))
    path.write_bytes(model.SerializeToString())
    assert load_model(path).layers[1].macs == 4 * 4 * 9 * 9
    # For inputs of another size that statement may be wrong.
    assert "can't be inferred" in refusal(path, shape={"input": (1, 3, 16, 16)}).message


# Broken graphs


def test_nothing_to_cost(path):
    net = OnnxBuilder(1, 3, 8, 8)
    net.node("Relu")
    net.node("MaxPool", kernel_shape=[2, 2])
    net.node("Relu")
    error = refusal(net.save(path))
    assert error.message == (
        "nothing to cost: no convolution, fully connected layer or product of matrices"
        " among 3 operators (Relu ×2, MaxPool ×1)"
    )


def test_a_tensor_from_nowhere(path):
    net = small()
    net.node("Relu", ["ghost"], name="r")
    error = refusal(net.save(path))
    assert "node 'r' (Relu)" in error.where
    assert error.message == "it reads tensor 'ghost', which no input, weight or earlier node makes"


def test_a_circle(path):
    net = small()
    net.nodes[0].input[0] = net.last
    assert "which no input, weight or earlier node makes" in refusal(net.save(path)).message


def test_a_tensor_made_twice(path):
    net = small()
    net.node("Relu", ["input"], outputs=[net.last])
    assert "is made a second time" in refusal(net.save(path)).message


def test_functions_that_call_themselves(path):
    net = small()
    net.node("Loop", ["input"], domain="my", name="l")
    model = net.model()
    body = [helper.make_node("Loop", ["a"], ["b"], domain="my")]
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("my", 1)]
    model.functions.append(helper.make_function("my", "Loop", ["a"], ["b"], body, imports))
    path.write_bytes(model.SerializeToString())
    assert "its local functions can't be inlined" in refusal(path).message


# No ONNX at all


def test_an_empty_file(path):
    path.write_bytes(b"")
    assert refusal(path).message == "the file is empty"


def test_a_pointer_of_git_lfs(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "git lfs pull" in refusal(path).hint


@pytest.mark.parametrize(
    "content", [b"\xff" * 100, b"hello, world", b"PK\x03\x04" + b"\0" * 100, b"\x08", b"\x00" * 50]
)
def test_other_files(path, content):
    path.write_bytes(content)
    assert refusal(path).message.startswith("not a readable ONNX model")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (onnx.ModelProto(ir_version=8), "it holds no graph"),
        (onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(name="g")), "its graph has no nodes"),
    ],
)
def test_a_model_of_nothing(path, model, message):
    path.write_bytes(model.SerializeToString())
    assert message in refusal(path).message


def test_a_model_without_operator_set(path):
    model = small().model()
    del model.opset_import[:]
    path.write_bytes(model.SerializeToString())
    assert "it doesn't say which operator set it uses" in refusal(path).message


def test_names_that_are_no_text(path):
    net = small()
    path.write_bytes(net.model().SerializeToString().replace(net.last.encode(), b"\xff" * len(net.last)))
    assert "a name in it is not UTF-8 text" in refusal(path).message


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(path):
    small().save(path)
    path.chmod(0)
    with pytest.raises(SystemFailure, match="can't be read"):
        load_model(path)


@pytest.mark.parametrize("kind", ["STRING", "COMPLEX64", "BOOL"])
def test_what_is_no_number_can_not_be_multiplied(path, kind):
    number = getattr(onnx.TensorProto, kind)
    ends = [helper.make_tensor_value_info(n, number, s) for n, s in (("x", [2, 4]), ("w", [4, 3]), ("y", [2, 3]))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="m")], "g", ends[:2], ends[2:])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString())
    with pytest.raises(ModelError, match=f"multiplies {kind.lower()} elements; real and whole") as caught:
        load_model(path)
    assert (caught.value.exit_code, "node 'm'" in caught.value.where) == (3, True)
