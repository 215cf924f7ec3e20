"""The bits of every layer's weights: least loss within a budget, chosen exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from picojoule.compress.energies import LayerEnergies
from picojoule.compress.fake_quant import FEWEST, MOST, rounded
from picojoule.compress.knapsack import Choice, choose
from picojoule.compress.layers import weighted

if TYPE_CHECKING:
    import torch

WIDTHS = tuple(range(MOST, FEWEST - 1, -1))


def sensitivity_to_bits(
    module: torch.nn.Module, loss: Callable[[torch.nn.Module], float], widths: Sequence[int] = WIDTHS
) -> dict[str, dict[int, float]]:
    """How much the loss grows if the weights of one layer alone have so many bits: by layer, by width."""
    whole = loss(module)
    grown: dict[str, dict[int, float]] = {}
    for name in weighted(module):
        grown[name] = {}
        for width in widths:
            coarse = copy.deepcopy(module)
            layer = weighted(coarse)[name]
            layer.weight.data = rounded(layer.weight, width)
            grown[name][width] = max(0.0, loss(coarse) - whole)
    return grown


def bits_within_energy(
    budget: float, energies: LayerEnergies, grown: Mapping[str, Mapping[int, float]]
) -> dict[str, int] | None:
    """The bits of every layer's weights for at most ``budget`` energy of the network; None: out of reach."""
    rest = energies.total() - sum(energies.layer(name) for name in grown)
    options = {
        name: [
            Choice(energies.layer(name, bits=replace(energies.bits[name], weights=width)), damage)
            for width, damage in row.items()
        ]
        for name, row in grown.items()
    }
    return _by_width(choose(options, budget - rest), grown)


def bits_within_mean(
    mean: float, module: torch.nn.Module, grown: Mapping[str, Mapping[int, float]]
) -> dict[str, int] | None:
    """The bits of every layer's weights for at most ``mean`` bits a weight over the network; None: out of reach."""
    counts = {name: layer.weight.numel() for name, layer in weighted(module).items()}
    options = {
        name: [Choice(counts[name] * width, damage) for width, damage in row.items()] for name, row in grown.items()
    }
    return _by_width(choose(options, mean * sum(counts[name] for name in grown)), grown)


def _by_width(
    chosen: Mapping[str, int] | None, grown: Mapping[str, Mapping[int, float]]
) -> dict[str, int] | None:
    return None if chosen is None else {name: list(grown[name])[index] for name, index in chosen.items()}
