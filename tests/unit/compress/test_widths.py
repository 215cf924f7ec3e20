"""Layers at other widths, worked out without the network: they are those of the network with those channels gone."""

from __future__ import annotations

import pytest
import torch
from support import digit_network, prunable_networks

from picojoule.compress.channels import without
from picojoule.compress.costs import network_of
from picojoule.compress.widths import Widths

pytest.importorskip("torch_pruning")

NETWORKS = {
    name: (getattr(prunable_networks, name), prunable_networks.EXAMPLE)
    for name in ("Depthwise", "Shared", "Concatenated", "Residual")
} | {"DigitNetwork": (digit_network.DigitNetwork, digit_network.EXAMPLE)}


@pytest.mark.parametrize("name", NETWORKS)
def test_widths_foretell_the_layers_of_the_network_without_channels(name):
    make, example = NETWORKS[name]
    torch.manual_seed(0)
    module = make().eval()
    widths = Widths(module, example)
    assert widths.groups
    channels = {root: max(1, count - 2 - place) for place, (root, count) in enumerate(widths.start.items())}
    real = module
    for root, count in channels.items():
        real = without(real, example, {root: list(range(widths.start[root] - count))})
    own = network_of(real, example)
    assert own.layers == widths.at(channels).layers
    assert own.layers != widths.network.layers


def test_a_kept_layer_rules_out_what_it_reads_and_what_it_makes():
    module = digit_network.DigitNetwork().eval()
    every = {group.root for group in Widths(module, digit_network.EXAMPLE).groups}
    kept = {group.root for group in Widths(module, digit_network.EXAMPLE, keep=["head"]).groups}
    assert every - kept == {"down.0"}
