"""Whatever bytes a file holds, the answer is a network or an error that says so."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import OnnxBuilder
from support.onnx_networks import NETWORKS

from picojoule.errors import ModelError, PicojouleError
from picojoule.frontends import load_model
from picojoule.workload import Network


def winding_model() -> OnnxBuilder:
    """A small model with every kind of node that the reader treats in its own way."""
    net = OnnxBuilder(1, 3, 8, 8, opset=11)
    net.node("Pad", ["input", net.constant([0, 0, 1, 1, 0, 0, 1, 1])], name="pad")
    first = net.conv("first", 4, 3, bias=True, batch_norm=True, activation="Relu")
    net.conv("second", 4, 3, pad="same", groups=2)
    net.node("Sigmoid")
    net.node("Add", [first, net.last], name="sum")
    net.node("Concat", [first, net.last], name="concat", axis=1)
    net.pool("pool", 2, 2)
    features = net.last
    net.node("Shape", [features])
    net.node("Gather", [net.last, net.constant(0)], axis=0)
    net.node("Unsqueeze", axes=[0])
    net.node("Concat", [net.last, net.constant([-1])], axis=0)
    net.node("Reshape", [features, net.last])
    net.node("MatMul", [net.last, net.weight(128, 10)], name="product")
    net.node("Add", [net.last, net.constant(np.zeros(10), np.float32)], name="bias")
    net.node("Softmax", name="prob")
    return net


GOOD = {
    "winding": winding_model().model().SerializeToString(),
    "merkel:L3": NETWORKS["merkel:L3"]().model().SerializeToString(),
}


def load(content: bytes) -> Network | PicojouleError:
    """The network or the error that was raised on purpose; any other exception passes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(content)
        try:
            return load_model(path)
        except PicojouleError as error:
            assert error.exit_code == 3
            assert str(error)
            return error


def test_the_good_models_are_good():
    network = load(GOOD["winding"])
    assert [layer.name for layer in network.layers] == ["first", "second", "sum", "concat", "pool", "product", "prob"]
    assert [layer.biases for layer in network.layers] == [4, 0, 0, 0, 0, 10, 0]
    assert network.not_costed == ()
    assert load(GOOD["merkel:L3"]).macs > 0


@given(st.binary(max_size=400))
def test_random_bytes(content):
    assert isinstance(load(content), ModelError)


@given(st.binary(max_size=200))
def test_random_bytes_that_begin_like_a_model(content):
    assert isinstance(load(b"\x08\x07\x3a" + content), ModelError)


@pytest.mark.parametrize("name", GOOD)
def test_every_truncation(name):
    content = GOOD[name]
    whole = load(content)
    for length in range(0, len(content), 7):
        found = load(content[:length])
        assert isinstance(found, ModelError), length
    assert isinstance(whole, Network)


@given(
    name=st.sampled_from(sorted(GOOD)),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True),
            st.sampled_from(("set", "drop", "insert")),
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=8,
    ),
)
@settings(max_examples=400)
def test_damaged_models(name, edits):
    content = bytearray(GOOD[name])
    for place, kind, data in edits:
        index = int(place * len(content))
        if kind == "set":
            content[index : index + len(data)] = data
        elif kind == "drop":
            del content[index : index + len(data)]
        else:
            content[index:index] = data
    load(bytes(content))
