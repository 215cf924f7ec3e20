"""GoogLeNet (Inception v1) without the auxiliary classifiers."""

from __future__ import annotations

from typing import NamedTuple

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network


class Inception(NamedTuple):
    """Output channels of the six convolutions of a module."""

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool_projection: int


MODULES = {
    "3a": Inception(64, 96, 128, 16, 32, 32),
    "3b": Inception(128, 128, 192, 32, 96, 64),
    "4a": Inception(192, 96, 208, 16, 48, 64),
    "4b": Inception(160, 112, 224, 24, 64, 64),
    "4c": Inception(128, 128, 256, 24, 64, 64),
    "4d": Inception(112, 144, 288, 32, 64, 64),
    "4e": Inception(256, 160, 320, 32, 128, 128),
    "5a": Inception(256, 160, 320, 32, 128, 128),
    "5b": Inception(384, 192, 384, 48, 128, 128),
}
POOL_AFTER = {"3b": "pool3", "4e": "pool4"}


def googlenet() -> Network:
    """GoogLeNet for 224 × 224 images: 1.58 G MACs, 7.00 M parameters."""
    chain = Chain(3, 224)
    chain.conv("conv1", 64, 7, stride=2, pad=3, bias=True)
    chain.max_pool("pool1", 3, 2, ceil=True)
    chain.local_norm("norm1")
    chain.conv("conv2_red", 64, 1, bias=True)
    chain.conv("conv2", 192, 3, pad=1, bias=True)
    chain.local_norm("norm2")
    chain.max_pool("pool2", 3, 2, ceil=True)
    for name, widths in MODULES.items():
        _inception(chain, name, widths)
        if name in POOL_AFTER:
            chain.max_pool(POOL_AFTER[name], 3, 2, ceil=True)
    chain.global_pool("pool5")
    chain.fc("fc", 1000)
    chain.softmax("prob")
    return chain.network(
        "googlenet",
        variant="no auxiliary classifiers, true 5 × 5 branches, no BatchNorm, pools rounded up, 224 × 224 input",
        source="Szegedy et al.: Going deeper with convolutions, CVPR 2015 (arXiv 1409.4842), table 1; "
        "layout of Caffe's bvlc_googlenet",
    )


def _inception(chain: Chain, name: str, widths: Inception) -> None:
    entry = chain.at
    branches = []
    chain.conv(f"{name}_1x1", widths.one, 1, bias=True)
    branches.append(chain.at)
    chain.at = entry
    chain.conv(f"{name}_3r", widths.three_reduce, 1, bias=True)
    chain.conv(f"{name}_3", widths.three, 3, pad=1, bias=True)
    branches.append(chain.at)
    chain.at = entry
    chain.conv(f"{name}_5r", widths.five_reduce, 1, bias=True)
    chain.conv(f"{name}_5", widths.five, 5, pad=2, bias=True)
    branches.append(chain.at)
    chain.at = entry
    chain.max_pool(f"{name}_pool", 3, 1, pad=1)
    chain.conv(f"{name}_pp", widths.pool_projection, 1, bias=True)
    branches.append(chain.at)
    chain.concat(f"{name}_concat", branches)
