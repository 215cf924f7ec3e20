"""SqueezeNet 1.0 and 1.1."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network

SOURCE = "Iandola et al.: SqueezeNet, arXiv 1602.07360; layout of forresti/SqueezeNet"
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
"""Channels of the squeeze and of each of the two expansions, by fire module."""


def squeezenet_1_0() -> Network:
    """SqueezeNet 1.0 for 227 × 227 images: 833 M MACs, 1.25 M parameters."""
    return _squeezenet("squeezenet1.0", conv1=(96, 7), pools_after=(1, 4, 8))


def squeezenet_1_1() -> Network:
    """SqueezeNet 1.1 for 227 × 227 images: 388 M MACs, 1.24 M parameters."""
    return _squeezenet("squeezenet1.1", conv1=(64, 3), pools_after=(1, 3, 5))


def _squeezenet(name: str, *, conv1: tuple[int, int], pools_after: tuple[int, ...]) -> Network:
    chain = Chain(3, 227)
    channels, kernel = conv1
    chain.conv("conv1", channels, kernel, stride=2, bias=True)
    chain.max_pool("pool1", 3, 2, ceil=True)
    for module, (squeeze, expand) in FIRES.items():
        _fire(chain, f"fire{module}", squeeze, expand)
        if module in pools_after:
            chain.max_pool(f"pool{module}", 3, 2, ceil=True)
    chain.conv("conv10", 1000, 1, bias=True)
    chain.global_pool("pool10")
    chain.softmax("prob")
    return chain.network(
        name,
        variant=f"conv1 {kernel} × {kernel} with {channels} filters, unpadded; pools after {_list(pools_after)}, "
        "rounded up; conv10 unpadded; 227 × 227 input",
        source=SOURCE,
    )


def _fire(chain: Chain, name: str, squeeze: int, expand: int) -> None:
    chain.conv(f"{name}/squeeze", squeeze, 1, bias=True)
    squeezed = chain.at
    chain.conv(f"{name}/e1", expand, 1, bias=True)
    ones = chain.at
    chain.at = squeezed
    chain.conv(f"{name}/e3", expand, 3, pad=1, bias=True)
    chain.concat(f"{name}/concat", [ones, chain.at])


def _list(pools_after: tuple[int, ...]) -> str:
    return ", ".join("conv1" if module == 1 else f"fire{module}" for module in pools_after)
