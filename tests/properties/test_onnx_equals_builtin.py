"""The same network as ONNX file and as built-in gives the same layers, written down twice and apart."""

from __future__ import annotations

import pytest
from support.onnx_networks import NETWORKS

from picojoule.frontends import load_model
from picojoule.workload import builtin_names, builtin_network

WITHOUT_TWIN = {
    "yolov3", "ssd300_vgg16", "unet", "deeplabv3_mobilenet_v2", "vit_b16", "bert_base", "mlp0", "lstm0",
}  # fmt: skip
"""Their ONNX files are those that PyTorch writes: `test_torch_equals_builtin` and `…_beyond_chains`."""


@pytest.mark.parametrize("name", NETWORKS)
def test_the_onnx_file_gives_the_built_in_networks_layers(name, tmp_path):
    builtin = builtin_network(name)
    network = load_model(NETWORKS[name]().save(tmp_path / "model.onnx"))
    assert {layer.name: layer for layer in network.layers} == {layer.name: layer for layer in builtin.layers}
    assert [layer.name for layer in network.layers] == [layer.name for layer in builtin.layers]
    assert network.not_costed == builtin.not_costed == ()
    # A sum's operands stand in either order.
    assert list(map(set, network.flow.reads)) == list(map(set, builtin.flow.reads))
    assert (network.flow.given, network.flow.outputs) == (builtin.flow.given, builtin.flow.outputs)
    assert (network.macs, network.params, network.input_shape) == (builtin.macs, builtin.params, builtin.input_shape)


def test_every_plain_built_in_network_has_its_onnx_twin():
    assert {name for name in builtin_names() if ":" not in name} - WITHOUT_TWIN <= set(NETWORKS)


@pytest.mark.parametrize("name", ["resnet18", "merkel:L6"])
def test_a_batch_in_the_file_is_the_batch_of_the_network(name, tmp_path):
    path = NETWORKS[name]().save(tmp_path / "model.onnx")
    one = load_model(path)
    four = load_model(path, shape={"input": (4, *one.input_shape[1:])})
    assert four.layers == one.with_batch(4).layers
    assert four.input_shape == (4, *one.input_shape[1:])
