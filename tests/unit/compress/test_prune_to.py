"""What stays of a pruned network is solved in the network's order, on what its layers then see."""

from __future__ import annotations

import copy

import pytest
from support import digit_network

from picojoule.compress.damage import Divergence
from picojoule.compress.layers import weighted, zero_shares
from picojoule.compress.reconstruction import moments, prune_layer
from picojoule.compress.weights import prune_to


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
