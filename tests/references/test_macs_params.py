"""MACs, parameters and layer shapes of the built-in networks, exactly.

Count = multiplies of convolutions and fully connected layers; parameters = their weights and own
biases before folding.
"""

from __future__ import annotations

import json
import re

import pytest

from picojoule.workload import builtin_network
from picojoule.workload.convolution import window_outputs

NETWORKS = {
    "alexnet": "alexnet",
    "vgg16": "vgg16",
    "resnet50_v1": "resnet50",
    "resnet50_v1.5": "resnet50_v1.5",
    "squeezenet1.0": "squeezenet1.0",
    "squeezenet1.1": "squeezenet1.1",
    "mobilenetv1_1.0_224": "mobilenet_v1",
    "mobilenetv1_0.75_224": "mobilenet_v1:0.75-224",
    "mobilenetv1_0.5_224": "mobilenet_v1:0.5-224",
    "mobilenetv1_0.25_224": "mobilenet_v1:0.25-224",
    "mobilenetv1_0.5_128": "mobilenet_v1:0.5-128",
    "mobilenetv1_0.25_128": "mobilenet_v1:0.25-128",
    "mobilenetv1_1.0_128": "mobilenet_v1:1.0-128",
    "mobilenetv2_1.0_224": "mobilenet_v2",
    "googlenet": "googlenet",
}
"""Name in the table of facts → our name."""

KINDS = {"conv": "conv", "pw": "conv", "dw": "depthwise", "fc": "fc"}

OTHERS = [
    # He et al., CVPR 2016, by layer arithmetic; CIFAR networks with parameter-free shortcuts.
    ("resnet18", 1_814_073_344, 11_679_912),
    ("resnet20", 40_551_040, 268_346),
    ("resnet56", 125_485_696, 848_954),
]

TF_SLIM_MOBILENET_V2 = [
    # tensorflow/models, research/slim/nets/mobilenet/README.md: MACs in millions (cut off), parameters in millions.
    ("1.4-224", 582, "6.06"),
    ("1.3-224", 509, "5.34"),
    ("1.0-224", 300, "3.47"),
    ("1.0-192", 221, "3.47"),
    ("1.0-160", 154, "3.47"),
    ("1.0-128", 99, "3.47"),
    ("1.0-96", 56, "3.47"),
    ("0.75-224", 209, "2.61"),
    ("0.75-192", 153, "2.61"),
    ("0.75-160", 107, "2.61"),
    ("0.75-128", 69, "2.61"),
    ("0.75-96", 39, "2.61"),
    ("0.5-224", 97, "1.95"),
    ("0.5-192", 71, "1.95"),
    ("0.5-160", 50, "1.95"),
    ("0.5-128", 32, "1.95"),
    ("0.5-96", 18, "1.95"),
    ("0.35-224", 59, "1.66"),
    ("0.35-192", 43, "1.66"),
    ("0.35-160", 30, "1.66"),
    ("0.35-128", 20, "1.66"),
    ("0.35-96", 11, "1.66"),
]


@pytest.fixture(scope="module")
def totals(shared):
    return json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))["networks_macs_params"]


@pytest.fixture(scope="module")
def shapes(shared):
    return json.loads((shared / "facts" / "network_layers.json").read_text(encoding="utf-8"))


def our_name(network, row_name):
    """Rows of ResNet-50 are called s0b1_2 and s0b0_proj; ours bear torchvision's module paths."""
    match = re.fullmatch(r"s(\d)b(\d)_(\d|proj)", row_name)
    if not network.startswith("resnet50") or not match:
        return row_name
    stage, block, part = match.groups()
    return f"layer{int(stage) + 1}.{block}." + ("downsample.0" if part == "proj" else f"conv{part}")


def test_every_network_of_the_facts_is_built_in(totals, shapes):
    assert set(NETWORKS) == set(shapes) == set(totals) - {"source"}


@pytest.mark.parametrize("network", NETWORKS)
def test_totals(totals, network):
    ours, facts = builtin_network(NETWORKS[network]), totals[network]
    convolutions = [layer for layer in ours.layers if layer.kind in ("conv", "depthwise")]
    assert ours.macs == facts["macs"]
    assert ours.params == facts["params"]
    assert sum(layer.weights for layer in ours.layers) == facts["weights"]
    assert sum(layer.macs for layer in convolutions) == facts["conv_macs"]
    assert sum(layer.weights for layer in convolutions) == facts["conv_weights"]


@pytest.mark.parametrize("network", NETWORKS)
def test_layer_by_layer(shapes, network):
    layers = {layer.name: layer for layer in builtin_network(NETWORKS[network]).layers if layer.nest}
    assert set(layers) == {our_name(network, row["n"]) for row in shapes[network]}
    for row in shapes[network]:
        layer = layers[our_name(network, row["n"])]
        nest = layer.nest
        assert layer.kind == KINDS[row["kind"]]
        assert nest.dims == {
            "N": 1,
            "G": row["g"],
            "K": row["co"] // row["g"],
            "C": row["ci"] // row["g"],
            "P": row["ho"],
            "Q": row["ho"],
            "R": row["k"],
            "S": row["k"],
        }
        assert nest.stride == (row["s"], row["s"])
        assert (layer.macs, layer.weights, layer.biases) == (row["macs"], row["weights"], row["bias"])
        assert nest.elements("outputs") == row["ofm"]
        # The nest's input is what it reaches of the real one; less only where a stride leaves the last rows over.
        size = row["hin"]
        assert 0 <= size - nest.input_rows < row["s"]
        assert nest.input_columns == nest.input_rows
        assert window_outputs(size, row["k"], stride=row["s"], leading=nest.pad[0], trailing=nest.pad[2]) == row["ho"]
        if nest.input_rows == size and row["k"] >= row["s"]:
            assert nest.elements("inputs") == row["ifm"]


@pytest.mark.parametrize(("name", "macs", "params"), OTHERS)
def test_networks_outside_the_facts(name, macs, params):
    network = builtin_network(name)
    assert (network.macs, network.params) == (macs, params)


@pytest.mark.parametrize(("variant", "million_macs", "million_params"), TF_SLIM_MOBILENET_V2)
def test_mobilenet_v2_of_every_width_and_resolution(variant, million_macs, million_params):
    network = builtin_network(f"mobilenet_v2:{variant}")
    assert network.macs // 10**6 == million_macs
    assert f"{network.params / 1e6:.2f}" == million_params
