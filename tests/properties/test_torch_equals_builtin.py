"""The same network as PyTorch module, as program of torch.export, as ONNX file written by PyTorch, and as built-in."""

from __future__ import annotations

import pytest
from support.torch_files import save_onnx, save_pt2
from support.torch_networks import MODULES, on_meta

from picojoule.frontends import load_model
from picojoule.workload import Bits, Layer, Network, builtin_network
from picojoule.workload.data_flow import live_bits


def figures(network: Network) -> list[tuple[object, ...]]:
    """Everything of the layers but their names, in order."""
    return [
        (x.kind, x.op, x.nest, x.biases, x.read_elements, x.written_elements, x.vector_ops, x.repeats, x.shared)
        for x in network.layers
    ]


def wanted(name: str) -> Network:
    """The built-in network as far as the modules go: they have no LRN and no softmax."""
    builtin = builtin_network(name)
    layers = tuple(layer for layer in builtin.layers if layer.kind not in ("norm", "softmax"))
    assert layers != ()
    return Network(name=name, layers=layers, input_shape=builtin.input_shape)


@pytest.mark.parametrize("name", MODULES)
def test_the_module_gives_the_layers_of_the_built_in_network(name):
    network = load_model(*on_meta(name))
    assert figures(network) == figures(wanted(name))
    assert (network.not_costed, network.input_shape) == ((), wanted(name).input_shape)


@pytest.mark.parametrize("name", MODULES)
def test_the_exported_program_gives_the_same_layers(name, tmp_path):
    module, example = on_meta(name)
    network = load_model(save_pt2(module, (example,), tmp_path / "net.pt2"))
    assert network.layers == load_model(module, example).layers
    assert figures(network) == figures(wanted(name))


@pytest.mark.parametrize("name", MODULES)
def test_the_onnx_file_that_torch_writes_gives_the_same_layers(name, tmp_path):
    module, example = on_meta(name)
    network = load_model(save_onnx(module, (example,), tmp_path / "net.onnx"))

    def rows(layers: tuple[Layer, ...]) -> list[tuple[object, ...]]:
        return [
            (x.name, x.kind, x.nest, x.biases, x.read_elements, x.written_elements, x.vector_ops)
            for x in layers
            if x.kind != "concat"  # ONNX has another word for torch.cat, and so for its layer
        ]

    assert rows(network.layers) == rows(load_model(module, example).layers)
    assert [x[:1] + x[2:] for x in figures(network)] == [x[:1] + x[2:] for x in figures(wanted(name))]
    assert network.not_costed == ()


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16", "alexnet"])
def test_layers_have_the_names_of_the_modules(name):
    assert [x.name for x in load_model(*on_meta(name)).layers] == [x.name for x in wanted(name).layers]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("alexnet", "googlenet")])
def test_the_module_needs_the_memory_of_the_built_in_network(name):
    """Who reads what is followed in programs as well; the two left out have LRN rows that the modules don't have."""

    def peak(network: Network) -> int:
        widths = [Bits(weights=8, inputs=8, outputs=8, psums=24)] * len(network.layers)
        return max(live_bits(network.layers, widths, network.flow) or ())

    assert peak(load_model(*on_meta(name))) == peak(builtin_network(name))
