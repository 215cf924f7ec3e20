"""Fixed mappings recosted: the energies of ``estimate`` for the same mappings, zeros and bits."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import digit_network

from picojoule.compress.costs import modelled, network_of
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.layers import weighted
from picojoule.frontends import load_zeros
from picojoule.hardware import load_hardware


@pytest.fixture(scope="module", params=["eyeriss-methodology", "eyeriss-v2"])
def priced(request, tmp_path_factory):
    """An untrained network that has zeros, its estimate, and its layers' energies."""
    torch.manual_seed(0)
    module = digit_network.DigitNetwork().eval()
    weight = module.block.conv1.weight.data
    weight[weight.abs() < weight.abs().median()] = 0
    samples = tmp_path_factory.mktemp("samples") / "samples.npz"
    np.savez(samples, input=np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32))
    machine = load_hardware(request.param)
    estimate, costs = modelled(module, digit_network.EXAMPLE, machine, data=samples)
    network = network_of(module, digit_network.EXAMPLE)
    zeros = load_zeros(module, digit_network.EXAMPLE, network=network, sparsity="measured", data=samples).zeros
    return module, machine, estimate, costs, LayerEnergies(network, machine, estimate, zeros)


def test_the_same_zeros_cost_what_the_estimate_says(priced):
    *_, estimate, costs, energies = priced
    assert energies.total() == pytest.approx(estimate.energy_pj, rel=1e-9) == costs.energy
    for row in estimate.layers:
        assert energies.layer(row.name) == pytest.approx(row.energy_pj, rel=1e-9)


def test_more_zeros_and_fewer_bits_cost_less_and_at_least_what_a_search_finds(priced):
    module, machine, _, costs, energies = priced
    names = list(weighted(module))
    assert energies.total(weights=dict.fromkeys(names, 0.9)) < costs.energy
    narrow = {name: replace(energies.bits[name], weights=4) for name in names}
    fewer = energies.total(bits=narrow)
    assert fewer < costs.energy
    pruned = copy.deepcopy(module)
    shares = {}
    for name, layer in weighted(pruned).items():
        smallest = layer.weight.data.flatten().abs().argsort()[: round(0.9 * layer.weight.numel())]
        layer.weight.data.view(-1)[smallest] = 0
        shares[name] = float((layer.weight == 0).float().mean())
    searched, _ = modelled(pruned, digit_network.EXAMPLE, machine)
    alone = LayerEnergies(network_of(pruned, digit_network.EXAMPLE), machine, searched, {})
    assert alone.total(weights=shares) >= searched.energy_pj * (1 - 1e-9)


def test_macs_of_a_layer_count_its_zeros(priced):
    *_, energies = priced
    assert energies.nest_macs("block.conv1") == 16 * 16 * 9 * 64
