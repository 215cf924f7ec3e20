"""Reading the structure of a file without its weights."""

from __future__ import annotations

import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.onnx_models import OnnxBuilder

from picojoule.errors import ModelError, SystemFailure
from picojoule.frontends import load_model
from picojoule.frontends.onnx_wire import KEEP_BYTES, read_structure


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def structure_of(model: onnx.ModelProto, path) -> onnx.ModelProto:
    path.write_bytes(model.SerializeToString())
    return onnx.ModelProto.FromString(read_structure(path, "a file"))


def test_only_the_data_of_large_tensors_are_left_out(tmp_path):
    net = OnnxBuilder(1, 3, 8, 8)
    small, large = np.arange(KEEP_BYTES // 8), np.arange(KEEP_BYTES // 8 + 1)
    net.initializers += [numpy_helper.from_array(small, "small"), numpy_helper.from_array(large, "large")]
    net.initializers.append(helper.make_tensor("typed", TensorProto.FLOAT, (2 * large.size,), [0.5] * (2 * large.size)))
    constant = net.node("Constant", [], value=numpy_helper.from_array(large, "inside"))
    net.node("Add", [constant, "large"], name="a" * 5000, doc_string="kept")
    model = net.model()
    found = structure_of(model, tmp_path / "m.onnx")
    for tensor in (model.graph.initializer[1], model.graph.initializer[2], model.graph.node[0].attribute[0].t):
        for field in ("raw_data", "float_data"):
            tensor.ClearField(field)
    assert found == model


def test_a_subgraph_keeps_its_structure(tmp_path):
    large = numpy_helper.from_array(np.zeros(KEEP_BYTES), "w")
    body = helper.make_graph(
        [helper.make_node("Relu", ["w"], ["y"])], "body", [], [helper.make_empty_tensor_value_info("y")], [large]
    )
    net = OnnxBuilder(1)
    net.node("If", ["input"], then_branch=body, else_branch=body)
    model = net.model()
    found = structure_of(model, tmp_path / "m.onnx")
    for attribute in model.graph.node[0].attribute:
        attribute.g.initializer[0].ClearField("raw_data")
    assert found == model


def test_large_weights_cost_no_memory(tmp_path):
    net = OnnxBuilder(1, 4096)
    net.initializers.append(numpy_helper.from_array(np.zeros((4096, 4096), dtype=np.float32), "w"))
    net.node("MatMul", ["input", "w"], name="m")
    path = net.save(tmp_path / "m.onnx")
    assert path.stat().st_size > 2**26
    tracemalloc.start()
    try:
        read_structure(path, "a file")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    assert load_model(path).macs == 4096 * 4096


def test_a_file_over_two_gigabytes(tmp_path):
    """onnx itself can't write or read one; here the weights are a hole in the file."""
    net = OnnxBuilder(1, 2**15)
    net.node("MatMul", ["input", "w"], name="m")
    model = net.model()
    sizes = 2**15, 2**15
    tensor = TensorProto(name="w", dims=sizes, data_type=TensorProto.FLOAT).SerializeToString()
    data_bytes = 4 * sizes[0] * sizes[1]
    tensor += varint(9 << 3 | 2) + varint(data_bytes)
    initializer = varint(5 << 3 | 2) + varint(len(tensor) + data_bytes) + tensor
    graph = model.graph.SerializeToString() + initializer
    model.ClearField("graph")
    head = model.SerializeToString() + varint(7 << 3 | 2) + varint(len(graph) + data_bytes) + graph
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data_bytes)
    assert path.stat().st_size > 2**32
    network = load_model(path)
    assert (network.macs, network.params) == (2**30, 2**30)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (varint(7 << 3 | 2) + varint(10**6) + b"abc", "it ends before the field that starts at byte 0 does"),
        (varint(7 << 3 | 3), "unknown wire type 3 at byte 0"),
        (b"\x08" + b"\xff" * 11, "a number is cut off at byte 11"),
        (b"\x08\x80", "a number is cut off at byte 2"),
    ],
)
def test_bytes_that_are_no_message(tmp_path, content, reason):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_structure(path, "a file")
    assert caught.value.message == f"not a readable ONNX model: {reason}"
    assert caught.value.where == "a file"


def test_messages_nested_without_end(tmp_path):
    inner = varint(10 << 3 | 2) + varint(2 * KEEP_BYTES) + b"\0" * 2 * KEEP_BYTES
    for _ in range(100):
        for number in (6, 5, 1):  # a graph in an attribute in a node in a graph
            inner = varint(number << 3 | 2) + varint(len(inner)) + inner
    path = tmp_path / "m.onnx"
    path.write_bytes(varint(7 << 3 | 2) + varint(len(inner)) + inner)
    with pytest.raises(ModelError, match="messages nested more than 100 deep"):
        read_structure(path, "a file")


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(SystemFailure, match="the file can't be read: No such file") as caught:
        read_structure(tmp_path / "gone.onnx", "gone.onnx")
    assert caught.value.where == "gone.onnx"
