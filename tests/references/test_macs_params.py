"""MACs, parameters and layer shapes of the built-in networks, exactly.

Count = multiplies of convolutions and fully connected layers; parameters = their weights and own
biases before folding.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.published import Figure, Table

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

NORM_FIGURES = {"plain": 0, "all four figures of BatchNorm": 4}

PUBLISHED_PARAMETERS = [
    # The count of floats in the authors' weight file (as readers of it assert; seen in several of them).
    ("yolov3", 62_001_757, "all four figures of BatchNorm", "yolov3.weights of pjreddie.com"),
    ("ssd300_vgg16", 35_641_826, "plain", "torchvision, SSD300_VGG16_Weights.COCO_V1, num_params (seen)"),
    ("ssd_vgg16:360x480", 26_285_486, "plain", "SSD300 for VOC, as amdegroot/ssd.pytorch lays it out (from memory)"),
    ("unet", 31_030_658, "plain", "counts of the paper's layout by several implementations (seen)"),
    ("vit_b16", 86_567_656, "plain", "torchvision, ViT_B_16_Weights.IMAGENET1K_V1, num_params (seen)"),
    ("bert_base", 109_482_240, "plain", "Hugging Face, BertModel bert-base-uncased (seen)"),
    ("llm:1b-prefill", 1_235_814_400, "plain", "meta-llama/Llama-3.2-1B, tied embeddings (seen)"),
    ("llm:1b-decode", 1_235_814_400, "plain", "meta-llama/Llama-3.2-1B, tied embeddings (seen)"),
]
"""Exact, except that our parameters leave BatchNorm's out."""

PUBLISHED_MACS = [
    # name, published, its digits, our deviation where there is one, source and how sure
    ("yolov3", 65.86e9 / 2, 4, None, "pjreddie.com/darknet/yolo: 65.86 BFLOPs, two for a MAC (from memory)"),
    ("ssd300_vgg16", 34.858e9, 5, None, "torchvision's table of detectors: 34.86 GFLOPS, one for a MAC (from memory)"),
    # 117 GOPs for a detector whose heads and classes aren't published: ours has those of VOC.
    ("ssd_vgg16:360x480", 117e9 / 2, 3, "+1.3%", "source 000: VGG-SSD 117 GOPs (seen)"),
    # The figure is rounded, and what else was counted is not said.
    ("deeplabv3_mobilenet_v2", 2.75e9, 3, "-0.3%", "tensorflow/models, research/deeplab, model zoo: 2.75 B (seen)"),
    ("vit_b16", 17.56e9, 4, None, "torchvision's table of classifiers: 17.56 GFLOPS, one for a MAC (from memory)"),
    # Counts element-wise operations, too.
    ("bert_base", 22.5e9 / 2, 3, "-0.7%", "Sun et al.: MobileBERT, table 4: 22.5 B, two for a MAC (from memory)"),
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


def table(shared: Path) -> Table:
    facts = json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))["networks_macs_params"]
    rows = []
    for published, name in NETWORKS.items():
        network = builtin_network(name)
        rows.append(Figure(what=f"{name}: MACs", published=facts[published]["macs"], ours=network.macs, within=0))
        rows.append(Figure(what=f"{name}: parameters", published=facts[published]["params"], ours=network.params, within=0))
    missed = {
        "ssd_vgg16:360x480": (0.013, "heads and classes of the published detector are not known"),
        "bert_base": (-0.007, "the published figure counts element-wise operations, too"),
    }
    for name, macs, digits, _, source in PUBLISHED_MACS:
        off, reason = missed.get(name, (None, ""))
        rows.append(
            Figure(
                what=f"{name}: MACs ({source})", published=macs, ours=builtin_network(name).macs,
                within=0.005 if digits == 3 else 0.001, missed=off, reason=reason,
            )
        )  # fmt: skip
    return Table(
        title="MACs and parameters of networks",
        source="derived from the published layers, and found or recalled where a row says so.",
        how="the built-in networks: multiplies of convolutions, fully connected layers and products; weights and biases.",
        figures=tuple(rows),
    )


def test_the_table(shared: Path) -> None:
    assert table(shared).complaints == []


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


@pytest.mark.parametrize(("name", "published", "what", "source"), PUBLISHED_PARAMETERS)
def test_parameters_of_detectors_segmenters_and_transformers(name, published, what, source):
    network = builtin_network(name)
    assert network.params + _batch_norm(name) * NORM_FIGURES[what] == published, source


@pytest.mark.parametrize(("name", "published_macs", "digits", "deviation", "source"), PUBLISHED_MACS)
def test_macs_of_detectors_segmenters_and_transformers(name, published_macs, digits, deviation, source):
    """A published figure with so many digits; where ours differs, the size of the difference is the documented one."""
    ours = builtin_network(name).macs
    if deviation is None:
        assert f"{ours:.{digits - 1}e}" == f"{published_macs:.{digits - 1}e}", source
    else:
        assert f"{ours / published_macs - 1:+.1%}" == deviation, source


def test_deeplab_has_the_published_millions_of_parameters():
    """MobileNetV2, table 7: 2.11 M, BatchNorm's scales and shifts among them."""
    network = builtin_network("deeplabv3_mobilenet_v2")
    assert f"{(network.params + 2 * _batch_norm('deeplabv3_mobilenet_v2')) / 1e6:.2f}" == "2.11"
    sizes = {layer.name: layer.nest.P for layer in network.layers if layer.nest}
    assert [sizes[name] for name in ("conv1", "b1_dw", "b3_dw", "b6_dw", "b15_dw", "logits")] == [
        257,
        129,
        65,
        33,
        33,
        33,
    ]
    dilations = {layer.nest.dilation[0] for layer in network.layers if layer.name in ("b14_dw", "b15_dw", "b16_dw")}
    assert dilations == {2}
    assert next(layer for layer in network.layers if layer.name == "b13_dw").nest.dilation == (1, 1)


def test_unet_shrinks_as_in_figure_1():
    network = builtin_network("unet")
    rows = [layer.nest.P for layer in network.layers if layer.nest and layer.op == "Conv"]
    down = [570, 568, 282, 280, 138, 136, 66, 64, 30, 28]
    assert rows == down + [54, 52, 102, 100, 198, 196, 390, 388, 388]
    assert (
        sum(layer.op == "Conv" for layer in network.layers)
        + sum(layer.op == "ConvTranspose" for layer in network.layers)
        == 23
    )
    crops = {layer.name: layer.read_elements for layer in network.layers if layer.kind == "concat"}
    assert crops["up4.concat"] == 1024 * 56 * 56


def test_ssd_has_the_published_boxes():
    """SSD300 proposes 8,732 boxes (the paper, section 3.1)."""
    layers = {layer.name: layer for layer in builtin_network("ssd300_vgg16").layers}
    assert layers["loc"].written_elements == 4 * 8732
    assert layers["conf"].written_elements == 91 * 8732


@pytest.mark.parametrize(("name", "app"), [("mlp0", "MLP0"), ("lstm0", "LSTM0")])
def test_networks_of_the_first_tpu_meet_their_published_totals(shared, name, app):
    """Shapes are ours; weights in millions, fully connected layers and MACs per weight and batch are published."""
    facts = json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))["tpu_v1"]
    row = dict(zip(facts["columns"], next(row for row in facts["rows"] if row[0] == app), strict=True))
    network = builtin_network(name)
    matrices = [layer for layer in network.layers if layer.kind == "fc"]
    assert len(matrices) == {"mlp0": row["layers"], "lstm0": 24}[name]
    assert round(sum(layer.weights for layer in matrices) / 1e6) == row["weights_M"]
    batch = network.with_batch(row["batch"])
    read = sum(layer.weights * layer.repeats for layer in batch.layers)
    assert batch.macs / read == row["MACops_per_weight_byte"]


def test_a_token_of_the_language_model_reads_every_matrix_once():
    prefill, decode = builtin_network("llm:1b-prefill"), builtin_network("llm:1b-decode")
    matrices = sum(layer.macs for layer in decode.layers if layer.kind == "fc")
    # The head's matrix is the table of the tokens: it is read, and counted there.
    assert (
        matrices
        == sum(x.nest.elements("weights") for x in decode.layers if x.kind == "fc")
        == 1_235_814_400 - 33 * 2048
    )
    attention = [layer for layer in decode.layers if layer.kind == "matmul"]
    assert sum(layer.macs for layer in attention) == 2 * 16 * 32 * 64 * 512
    assert sum(layer.params for layer in attention) == 0
    # Keys and values of 512 tokens: 16 blocks × 2 × 8 heads × 64.
    cached = sum(tensor.elements for tensor in decode.flow.given if tensor.held)
    assert cached + 16 * 2 * 8 * 64 == 512 * 16 * 2 * 8 * 64
    head = 128_256 * 2048
    assert prefill.macs - head == 512 * (matrices - head) + 512 * sum(layer.macs for layer in attention)


def _batch_norm(name: str) -> int:
    """Channels that BatchNorm normalises: those of the convolutions without a bias."""
    return sum(layer.nest.G * layer.nest.K for layer in builtin_network(name).layers if layer.nest and not layer.biases)
