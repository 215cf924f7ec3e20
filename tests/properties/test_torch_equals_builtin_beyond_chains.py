"""Detectors, segmenters, transformers and recurrent networks: PyTorch's three forms have the layers of the built-in ones.

Where PyTorch writes in several operators what the built-in network has in one row, or has a copy that the built-in one
does without, a rule says so; all other rows are equal one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import pytest
import torch
from support.torch_detectors import SSD, DeepLab
from support.torch_files import save_onnx, save_pt2
from support.torch_networks import mobilenet_v2_backbone
from support.torch_transformers import Bert, Recurrent, VisionTransformer, language_model
from torch import nn

from picojoule.frontends import load_model
from picojoule.workload import Layer, Network, builtin_network


def images(*size: int) -> tuple[torch.Tensor, ...]:
    return (torch.empty(1, 3, *size),)


def texts() -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros(1, 128, dtype=torch.int64) for _ in range(2))


MAKE: dict[str, Callable[[], tuple[nn.Module, tuple[torch.Tensor, ...]]]] = {
    "ssd300_vgg16": lambda: (SSD(91), images(300, 300)),
    "ssd_vgg16:360x480": lambda: (SSD(21), images(360, 480)),
    "deeplabv3_mobilenet_v2": lambda: (DeepLab(mobilenet_v2_backbone(16)), images(513, 513)),
    "vit_b16": lambda: (VisionTransformer(), images(224, 224)),
    "bert_base": lambda: (Bert(), texts()),
    "llm:1b-prefill": lambda: language_model(512, 0),
    "llm:1b-decode": lambda: language_model(1, 511),
    "lstm0": lambda: (Recurrent(), tuple(torch.empty(1, 1040) for _ in range(1 + 2 * 6))),
}


def read_as(form: str, module: nn.Module, inputs: tuple[torch.Tensor, ...], folder: Path) -> Network:
    if form == "module":
        return load_model(module, inputs)
    if form == "pt2":
        return load_model(save_pt2(module, inputs, folder / "net.pt2"))
    # From this version on ONNX has attention and RMS norms as operators; before, PyTorch writes them out.
    return load_model(save_onnx(module, inputs, folder / "net.onnx", opset_version=23))


def row(layer: Layer) -> tuple[object, ...]:
    """Everything of a layer but its name and how often it repeats; ONNX has other words for some operators."""
    return (
        layer.kind, layer.nest, layer.biases, layer.read_elements, layer.read_weights, layer.written_elements,
        layer.vector_ops, layer.shared,
    )  # fmt: skip


def plain(layers: Iterable[Layer]) -> list[tuple[object, ...]]:
    return [row(layer) for layer in layers]


@pytest.mark.parametrize("form", ["module", "pt2", "onnx"])
@pytest.mark.parametrize("name", MAKE)
def test_every_form_has_the_layers_of_the_built_in_network(name, form, tmp_path):
    with torch.device("meta"):
        module, inputs = MAKE[name]()
    network, builtin = read_as(form, module.eval(), inputs, tmp_path), builtin_network(name)
    assert network.macs == builtin.macs
    COMPARE.get(name.partition(":")[0], equal)(network, builtin)


def equal(network: Network, builtin: Network) -> None:
    """One by one, to the last bias."""
    assert plain(network.layers) == plain(builtin.layers)
    assert network.params == builtin.params
    assert [one.op.lower() for one in network.not_costed] == [one.op.lower() for one in builtin.not_costed]


def detectors(network: Network, builtin: Network) -> None:
    """PyTorch norms pixels by a reduction and a division; a scale per channel rides along, in ONNX as BatchNorm's does.

    The built-in network names what decodes the boxes; the module ends before it.
    """
    (norm,) = (x for x in builtin.layers if x.kind == "norm")
    parts = [x for x in network.layers if x.kind == "reduce" or "div" in x.name.lower()]
    assert [x.written_elements for x in parts] == [norm.read_elements // norm.biases, norm.written_elements]
    rest = [x for x in network.layers if x not in parts]
    assert plain(rest) == plain(x for x in builtin.layers if x is not norm)
    assert network.params == builtin.params - (0 if network.variant == "traced by torch.export" else norm.biases)


def language(network: Network, builtin: Network) -> None:
    """A rotary embedding is two products, a sum and a copy; joining the cache with what is new is a copy, too."""
    rotary = Counter(row(x) for x in builtin.layers if x.op == "RotaryEmbedding")
    ours, theirs = Counter(plain(builtin.layers)), Counter(plain(network.layers))
    assert ours - theirs == rotary
    pieces = theirs - ours
    assert {kind for kind, *_ in pieces} == {"mul", "add", "concat"}
    operations = [sum(count * one[6] for one, count in rows.items()) for rows in (pieces, rotary)]
    assert operations[0] == operations[1]
    assert plain(x for x in network.layers if x.nest) == plain(x for x in builtin.layers if x.nest)
    assert network.params == builtin.params


def recurrent(network: Network, builtin: Network) -> None:
    """Steps are written out, the first with its weights, the later ones sharing them; side by side is a copy."""
    steps = [x for x in network.layers if x.kind != "concat"]
    once = len(steps) // 16
    assert {x.repeats for x in builtin.layers} == {16}
    for start in range(0, len(steps), once):
        shared = start > 0
        wanted = [(x.kind, x.nest, 0 if shared else x.biases, x.read_elements, x.vector_ops) for x in builtin.layers]
        assert [(x.kind, x.nest, x.biases, x.read_elements, x.vector_ops) for x in steps[start : start + once]] == wanted
        assert {key for key, _ in groupby(x.shared for x in steps[start : start + once] if x.nest)} == {shared}
    assert network.params == builtin.params


COMPARE: dict[str, Callable[[Network, Network], None]] = {
    "ssd300_vgg16": detectors,
    "ssd_vgg16": detectors,
    "llm": language,
    "lstm0": recurrent,
}
