"""The same network as ONNX file and as built-in gives the same layers, written down twice and apart."""

from __future__ import annotations

import pytest
from support.onnx_networks import NETWORKS

from picojoule.frontends import load_model
from picojoule.workload import builtin_names, builtin_network


@pytest.mark.parametrize("name", NETWORKS)
def test_the_onnx_file_gives_the_built_in_networks_layers(name, tmp_path):
    builtin = builtin_network(name)
    network = load_model(NETWORKS[name]().save(tmp_path / "model.onnx"))
    # What a built-in network only lists (LRN, softmax) has a row in a model that is read.
    listed = {(entry.op, entry.where, entry.elements) for entry in builtin.not_costed}
    rows = {(x.op, x.name, x.read_elements + x.written_elements) for x in network.layers if not x.nest}
    assert listed <= rows
    layers = [layer for layer in network.layers if layer.name not in {where for _, where, _ in listed}]
    assert layers == list(builtin.layers)
    assert network.not_costed == ()
    assert (network.macs, network.params, network.input_shape) == (builtin.macs, builtin.params, builtin.input_shape)


def test_every_plain_built_in_network_has_its_onnx_twin():
    assert {name for name in builtin_names() if ":" not in name} <= set(NETWORKS)


@pytest.mark.parametrize("name", ["resnet18", "merkel:L6"])
def test_a_batch_in_the_file_is_the_batch_of_the_network(name, tmp_path):
    path = NETWORKS[name]().save(tmp_path / "model.onnx")
    one = load_model(path)
    four = load_model(path, shape={"input": (4, *one.input_shape[1:])})
    assert four.layers == one.with_batch(4).layers
    assert four.input_shape == (4, *one.input_shape[1:])
