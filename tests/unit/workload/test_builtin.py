"""Built-in networks: names, what is no nest, and the sizes that padding and rounding decide."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from picojoule.errors import UnknownNameError
from picojoule.workload import builtin_names, builtin_network
from picojoule.workload.builtin.resnet import resnet_cifar

NESTS = {"conv", "depthwise", "fc", "matmul"}
ROWS = {"pool", "add", "concat", "mul", "norm", "softmax", "resize", "embedding", "reduce"}


def layers_of(name):
    return {layer.name: layer for layer in builtin_network(name).layers}


def test_every_name_gives_a_network_of_that_name():
    names = builtin_names()
    assert len(names) == len(set(names)) == 21 + 16 + 22 + 11 + 1 + 2
    for name in names:
        network = builtin_network(name)
        assert network.name == name
        assert network.variant and network.source
        assert network.input_shape[0] == 1
        assert len({layer.name for layer in network.layers}) == len(network.layers)
        for layer in network.layers:
            assert layer.kind in (NESTS if layer.nest else ROWS)
            assert layer.bits is None


def test_plain_names_stand_for_the_full_networks():
    for family in ("mobilenet_v1", "mobilenet_v2"):
        assert builtin_network(family).layers == builtin_network(f"{family}:1.0-224").layers


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet19", "Did you mean 'resnet18'? Allowed: alexnet, bert_base, "),
        ("ResNet18", "Did you mean 'resnet18'?"),
        ("mobilenet", "Did you mean 'mobilenet_v"),
        ("mobilenet_v1:0.50-128", "Did you mean 'mobilenet_v1:0.5-128'? Allowed: mobilenet_v1:0.25-128, "),
        ("merkel:L12", "Did you mean 'merkel:L"),
        ("merkel", "Allowed: merkel:L1, merkel:L10, "),
        ("resnet18:", "Did you mean 'resnet18'?"),
        ("resnet18:1.0-224", "Did you mean 'resnet18'?"),
        ("", "Allowed: alexnet, "),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_spelling(name, hint):
    with pytest.raises(UnknownNameError) as caught:
        builtin_network(name)
    assert caught.value.message == f"no built-in network is called {name!r}"
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "kinds", "not_costed"),
    [
        ("alexnet", {"pool": 3, "norm": 2, "softmax": 1}, []),
        ("vgg16", {"pool": 5, "softmax": 1}, []),
        ("googlenet", {"pool": 4 + 9 + 1, "concat": 9, "norm": 2, "softmax": 1}, []),
        ("resnet18", {"pool": 2, "add": 8}, []),
        ("resnet50", {"pool": 2, "add": 16}, []),
        ("resnet20", {"pool": 1, "add": 9}, []),
        ("squeezenet1.0", {"pool": 4, "concat": 8, "softmax": 1}, []),
        ("mobilenet_v1", {"pool": 1, "depthwise": 13, "softmax": 1}, []),
        ("mobilenet_v2", {"pool": 1, "add": 10, "depthwise": 17, "softmax": 1}, []),
        ("merkel:L6", {"softmax": 1}, []),
        ("yolov3", {"add": 23, "resize": 2, "concat": 2}, [f"YoloDetection yolo_{i}" for i in (82, 94, 106)]),
        ("unet", {"pool": 4, "concat": 4}, []),
        ("ssd300_vgg16", {"pool": 5, "norm": 1, "concat": 2, "softmax": 1}, ["DetectionOutput detections"]),
        ("lstm0", {"mul": 18, "add": 6}, []),
        ("vit_b16", {"concat": 1, "norm": 25, "matmul": 24, "softmax": 12, "add": 25}, []),
        ("bert_base", {"embedding": 2, "norm": 25, "matmul": 24, "softmax": 12, "add": 26}, []),
        ("llm:1b-decode", {"embedding": 1, "norm": 33, "matmul": 32, "softmax": 16, "add": 32, "mul": 48}, []),
    ],
)
def test_what_is_no_nest_has_a_row_or_is_listed(name, kinds, not_costed):
    network = builtin_network(name)
    counted = Counter(layer.kind for layer in network.layers if layer.kind not in ("conv", "fc"))
    assert counted == kinds
    assert [f"{item.op} {item.where}" for item in network.not_costed] == not_costed


def test_padding_is_what_is_reached():
    pads = {name: layer.nest.pad for name, layer in layers_of("resnet18").items() if layer.nest}
    assert pads["conv1"] == (3, 3, 2, 2)
    assert pads["layer2.0.conv1"] == (1, 1, 0, 0)
    assert pads["layer2.0.conv2"] == (1, 1, 1, 1)
    assert layers_of("resnet18")["conv1"].nest.input_rows == 224
    mobile = layers_of("mobilenet_v1")
    assert mobile["conv1"].nest.pad == mobile["dw2"].nest.pad == (0, 0, 1, 1)
    assert mobile["dw1"].nest.pad == (1, 1, 1, 1)


def test_pools_of_alexnet_and_googlenet():
    pool1 = layers_of("alexnet")["pool1"]
    assert (pool1.read_elements, pool1.written_elements) == (96 * 55 * 55, 96 * 27 * 27)
    assert pool1.vector_ops == 8 * 96 * 27 * 27
    inner = layers_of("googlenet")["3a_pool"]
    assert (inner.read_elements, inner.written_elements) == (192 * 28 * 28, 192 * 28 * 28)
    assert layers_of("googlenet")["pool3"].written_elements == 480 * 14 * 14  # rounded up; down would give 13
    assert layers_of("googlenet")["3a_concat"].written_elements == 256 * 28 * 28


def test_layers_stand_in_running_order():
    names = [layer.name for layer in builtin_network("resnet50").layers]
    assert names[:8] == [
        "conv1",
        "maxpool",
        "layer1.0.conv1",
        "layer1.0.conv2",
        "layer1.0.conv3",
        "layer1.0.downsample.0",
        "layer1.0.add",
        "layer1.1.conv1",
    ]
    assert names[-2:] == ["avgpool", "fc"]


def test_residual_sums_read_both_operands():
    add = layers_of("resnet18")["layer1.0.add"]
    assert (add.read_elements, add.written_elements, add.vector_ops) == (2 * 64 * 56 * 56, 64 * 56 * 56, 64 * 56 * 56)
    # CIFAR: the shortcut is every other row and column of 16 channels; the 16 channels of zeros are not read.
    add = layers_of("resnet20")["layer2.0.add"]
    assert add.read_elements == 32 * 16 * 16 + 16 * 16 * 16


def test_where_the_stride_of_resnet50_is():
    v1, v1_5 = layers_of("resnet50"), layers_of("resnet50_v1.5")
    assert [v1[f"layer2.0.conv{i}"].nest.stride[0] for i in (1, 2, 3)] == [2, 1, 1]
    assert [v1_5[f"layer2.0.conv{i}"].nest.stride[0] for i in (1, 2, 3)] == [1, 2, 1]


def test_batch_multiplies_everything_but_parameters():
    one, four = builtin_network("resnet18"), builtin_network("resnet18").with_batch(4)
    assert (four.macs, four.params) == (4 * one.macs, one.params)
    assert four.input_shape == (4, 3, 224, 224)


def test_batch_gives_every_input_its_own_product_of_activations():
    one, three = (builtin_network("bert_base").with_batch(batch).layers for batch in (1, 3))
    before, after = (next(layer for layer in layers if layer.name == "layers.0.qk") for layers in (one, three))
    assert (before.nest.G, before.nest.N) == (12, 128)
    assert (after.nest.G, after.nest.N) == (36, 128)
    assert after.params == 0


def test_steps_multiply_macs_and_not_parameters():
    gate = layers_of("lstm0")["cell0.forget"]
    assert gate.repeats == 16
    assert gate.macs == 16 * gate.weights == 16 * 2080 * 1040
    assert gate.params == gate.weights + 1040


def test_darknets_numbers_are_those_of_its_file():
    """[yolo] stands at 82, 94 and 106 of yolov3.cfg, its routes back lead to 61 and 36."""
    network = builtin_network("yolov3")
    reads = dict(zip((layer.name for layer in network.layers), network.flow.reads, strict=True))
    assert reads["route_86"] == ("upsample_85", "shortcut_61")
    assert reads["route_98"] == ("upsample_97", "shortcut_36")
    assert reads["conv_84"] == ("conv_79",)
    assert reads["conv_105"] == ("conv_104",)


@pytest.mark.parametrize("depth", [18, 2, 21])
def test_cifar_resnets_have_6n_plus_2_layers(depth):
    with pytest.raises(ValueError, match=f"6n \\+ 2 layers, got {depth}"):
        resnet_cifar(depth)


def test_the_documented_table_is_true():
    page = Path(__file__).parents[3] / "docs" / "reference" / "built-in-networks.md"
    row_form = r"^\| `(.+?)` \| (.+?) \| (.+?) \| ([\d,]+) \| ([\d,]+) \|$"
    rows = re.findall(row_form, page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {row[0] for row in rows} >= {name for name in builtin_names() if ":" not in name}
    for name, variant, shape, macs, params in rows:
        network = builtin_network(name)
        assert variant == network.variant
        assert shape == " × ".join(map(str, network.input_shape[1:]))
        assert (macs, params) == (f"{network.macs:,}", f"{network.params:,}")


def modules_after(statement):
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_importing_the_room_is_light():
    heavy = {"numpy", "pydantic", "ruamel.yaml", "onnx", "torch"}
    assert not heavy & set(modules_after("import picojoule.workload"))
    assert "ruamel.yaml" in modules_after("import picojoule.workload, ruamel.yaml")  # the check can fail
