"""Channels that go together: networks run without them, and compute what the whole one does with them at zero."""

from __future__ import annotations

import copy

import pytest
import torch
from support import digit_network
from support import prunable_networks as networks
from torch import nn

from picojoule.compress.channels import blocks, contributions, groups, shrink, without, without_block
from picojoule.compress.damage import Divergence
from picojoule.compress.layers import weighted
from picojoule.errors import ModelError, UsageError

pytest.importorskip("torch_pruning")

GROUPS = {
    networks.Depthwise: {frozenset({"expand", "depthwise"}): 8},
    networks.Concatenated: {frozenset({"left"}): 8, frozenset({"right"}): 12, frozenset({"fire"}): 6},
    networks.Residual: {frozenset({"stem", "outer"}): 8, frozenset({"inner"}): 12},
    networks.Shared: {frozenset({"first", "again"}): 8},
}


def network(kind):
    torch.manual_seed(0)
    return kind().eval()


def images(count=8):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", GROUPS)
def test_layers_that_must_lose_a_channel_together_are_one_group(kind):
    found = {frozenset(group.layers): group.channels for group in groups(network(kind), networks.EXAMPLE)}
    assert found == GROUPS[kind]


@pytest.mark.parametrize("kind", [*GROUPS, networks.Grouped])
def test_without_channels_it_computes_what_the_whole_does_with_them_at_zero(kind):
    module, x = network(kind), images()
    for group in groups(module, networks.EXAMPLE):
        small = without(module, networks.EXAMPLE, {group.root: [1]})
        assert sum(w.weight.numel() for w in weighted(small).values()) < sum(
            w.weight.numel() for w in weighted(module).values()
        )
        assert small(x).shape == module(x).shape
        zeroed = copy.deepcopy(module)
        for name in group.layers:
            if kind is networks.Grouped:
                continue
            zeroed.get_submodule(name).weight.data[1] = 0
            if zeroed.get_submodule(name).bias is not None:
                zeroed.get_submodule(name).bias.data[1] = 0
        for norm in (m for m in zeroed.modules() if isinstance(m, nn.BatchNorm2d)):
            if norm.num_features == group.channels:
                norm.weight.data[1] = norm.bias.data[1] = 0
        if kind is not networks.Grouped:
            with torch.no_grad():
                assert small(x).numpy() == pytest.approx(zeroed(x).numpy(), abs=1e-5)


def test_a_grouped_convolution_keeps_groups_of_one_size():
    module = network(networks.Grouped)
    for group in groups(module, networks.EXAMPLE):
        small = without(module, networks.EXAMPLE, {group.root: [0]})
        assert small.grouped.out_channels % small.grouped.groups == 0
        assert small.grouped.in_channels % small.grouped.groups == 0


def test_the_network_that_is_given_stays_as_it_is():
    module = network(networks.Residual)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    without(module, networks.EXAMPLE, {"inner": [0, 1]})
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_layer_without_channels_and_one_that_is_not_there_are_refused():
    module = network(networks.Residual)
    with pytest.raises(ModelError, match="no such layer"):
        without(module, networks.EXAMPLE, {"outter": [0]})
    with pytest.raises(ModelError, match="without channels"):
        without(module, networks.EXAMPLE, {"inner": list(range(12))})
    with pytest.raises(ModelError, match="no such part"):
        without_block(module, "block")


def test_a_channel_that_nobody_listens_to_brings_nothing():
    module = network(networks.Residual)
    module.outer.weight.data[:, 5] = 0
    brought = contributions(module, networks.EXAMPLE, "inner", [images()])
    assert brought.argmin() == 5
    assert brought[5] == 0


def test_blocks_are_parts_that_keep_the_shape():
    module = network(digit_network.DigitNetwork)
    assert blocks(module, digit_network.EXAMPLE) == ["block"]
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        aim = module.head(module.down(module.stem(x)).mean((2, 3)))
        assert torch.equal(without_block(module, "block")(x), aim)


def test_what_costs_least_accuracy_for_what_it_saves_goes_first_and_grids_are_kept():
    module = digit_network.trained()
    data = digit_network.data()
    batches = [torch.from_numpy(data.train.pixels[:100] / 255.0).float().permute(0, 3, 1, 2)]

    def macs(network):
        return float(sum(w.weight.numel() * (16 if n.startswith("down") else 64) for n, w in weighted(network).items()))

    damage = Divergence(module, batches)
    small, steps = shrink(
        module, digit_network.EXAMPLE, cost=macs, damage=damage, budget=0.6 * macs(module), grid=4, batches=batches
    )
    assert macs(small) <= 0.6 * macs(module) < macs(module)
    assert steps[-1].cost == macs(small)
    assert steps[-1].damage == damage(small)
    for layer in weighted(small).values():
        assert layer.weight.shape[0] % 4 == 0 or layer.weight.shape[0] == 10
    kept, steps = shrink(
        module, digit_network.EXAMPLE, cost=macs, damage=damage, budget=0.0, grid=16, batches=batches,
        keep=("stem.0", "block.conv1", "block.conv2"),
    )  # fmt: skip
    assert kept.stem[0].out_channels == 16
    assert {step.root for step in steps} <= {"down.0"}
    assert kept.down[0].out_channels == 16
    reads, steps = shrink(
        module, digit_network.EXAMPLE, cost=macs, damage=damage, budget=0.0, grid=8, batches=batches, keep=("head",)
    )
    assert reads.head.weight.shape == module.head.weight.shape, "what a kept layer reads stays, too"
    assert reads.stem[0].out_channels == 8
    with pytest.raises(UsageError, match="multiples of at least 1"):
        shrink(module, digit_network.EXAMPLE, cost=macs, damage=damage, budget=1.0, grid=0, batches=batches)
