"""What stays of a pruned network is solved in the network's order, on what its layers then see."""

from __future__ import annotations

import copy

import pytest
from support import digit_network

from picojoule.compress.damage import Divergence
from picojoule.compress.layers import weighted, zero_shares
from picojoule.compress.reconstruction import moments, prune_layer
from picojoule.compress.weights import CRITERIA, DENSITIES, densities_within, prune_to


class Dear:
    """Later layers take more energy, so that they are pruned first."""

    def layer(self, name: str) -> float:
        return float(list(weighted(digit_network.trained())).index(name))


def test_the_second_pass_brings_the_answers_nearer_and_no_weight_back():
    module, batches = digit_network.trained(), digit_network.batches()
    densities = dict.fromkeys(weighted(module), 0.25)
    once = copy.deepcopy(module)
    for name in sorted(densities, key=Dear().layer, reverse=True):
        layer = weighted(once)[name]
        layer.weight.data = prune_layer(layer.weight, 0.25, moments(once, module, name, batches))
    twice = prune_to(module, densities, batches, Dear())
    damage = Divergence(module, batches)
    assert damage(twice) < 0.9 * damage(once)
    assert zero_shares(twice) == pytest.approx(zero_shares(once))
    for name, layer in weighted(twice).items():
        assert bool(((layer.weight == 0) == (weighted(once)[name].weight == 0)).all())


class Counted(Dear):
    """A weight costs one."""

    def layer(self, name: str, weights: float = 0.0) -> float:
        return self.nest_macs(name) * (1 - weights)

    def nest_macs(self, name: str) -> int:
        return weighted(digit_network.trained())[name].weight.numel()

    def total(self) -> float:
        return sum(map(self.layer, weighted(digit_network.trained())))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_layer_that_is_kept_keeps_its_weights_by_every_criterion(criterion):
    module, costs = digit_network.trained(), Counted()
    grown = {name: {d: 1 - d for d in DENSITIES} for name in weighted(module)} | {"head": {1.0: 0.0}}
    chosen = densities_within(criterion, 0.5 * costs.total(), module, costs, grown)
    assert chosen["head"] == 1.0
    assert min(chosen.values()) < 1
    assert sum(costs.layer(name, 1 - density) for name, density in chosen.items()) <= 0.5 * costs.total()
    assert densities_within(criterion, 0.5 * costs.total(), module, costs, {name: {1.0: 0.0} for name in grown}) is None
