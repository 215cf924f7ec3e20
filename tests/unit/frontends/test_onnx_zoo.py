"""Files that other people's exporters wrote: models of the ONNX zoo, which the onnx package ships without weights.

They are of operator set 9 and IR version 3, list their weights among the inputs, and make them by ConstantOfShape.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest

from picojoule.frontends import load_model
from picojoule.workload import builtin_network

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def zoo(name: str):
    path = FOLDER / f"light_{name}.onnx"
    if not path.is_file():
        pytest.skip(f"the installed onnx {onnx.__version__} doesn't ship {path.name}")
    return load_model(path)


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        # torchvision's vgg19: 143,667,240 parameters, 19.63 GMAC
        ("vgg19", 19_632_062_464, 143_667_240),
        # torchvision's densenet121: 7,978,856 parameters, 83,648 of them in BatchNorms; 2.83 GMAC
        ("densenet121", 2_834_161_664, 7_978_856 - 83_648),
    ],
)
def test_published_counts(name, macs, params):
    network = zoo(name)
    assert (network.macs, network.params) == (macs, params)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("bvlc_alexnet", "alexnet"),
        ("resnet50", "resnet50_v1.5"),
        ("inception_v1", "googlenet"),
        ("squeezenet", "squeezenet1.1"),
    ],
)
def test_parameters_are_those_of_the_built_in_network(name, builtin):
    assert zoo(name).params == builtin_network(builtin).params


def test_resnet50_has_the_nests_of_the_built_in_network():
    def nests(network):
        return Counter((layer.nest, layer.biases) for layer in network.layers if layer.nest)

    # The zoo's convolutions have no biases, and the order of branches is another.
    assert nests(zoo("resnet50")) == nests(builtin_network("resnet50_v1.5"))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("bvlc_alexnet", {"norm": 2, "softmax": 1}),
        ("zfnet512", {"norm": 2, "softmax": 1}),
        ("inception_v1", {"norm": 2, "softmax": 1}),
        ("inception_v2", {"softmax": 1}),
        ("vgg19", {"softmax": 1}),
        ("densenet121", {}),
        # The shuffle of channels is the order in which the convolution before it writes.
        ("shufflenet", {"softmax": 1}),
    ],
)
def test_norms_and_softmax_are_rows_and_nothing_is_missing(name, rows):
    network = zoo(name)
    assert Counter(layer.kind for layer in network.layers if layer.kind in ("norm", "softmax", "move")) == rows
    assert network.not_costed == ()
