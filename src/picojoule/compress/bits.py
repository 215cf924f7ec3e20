"""The bits of every layer's weights: least damage within a budget, chosen exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from picojoule.compress.countdown import silent
from picojoule.compress.damage import Divergence, rising
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.fake_quant import FEWEST, MOST, rounded
from picojoule.compress.knapsack import Choice, choose
from picojoule.compress.layers import weighted

if TYPE_CHECKING:
    import torch

WIDTHS = tuple(range(MOST, FEWEST - 1, -1))


def sensitivity_to_bits(
    module: torch.nn.Module,
    batches: Sequence[Any],
    widths: Sequence[int] = WIDTHS,
    *,
    done: Callable[[float], None] = silent,
) -> dict[str, dict[int, float]]:
    """The damage (``damage.Divergence``) if the weights of one layer alone have so many bits: by layer, by width.

    Args:
        module: the network as it is.
        batches: inputs to judge by.
        widths: in falling order.
        done: called with the share that is measured.
    """
    damage = Divergence(module, batches)
    grown: dict[str, dict[int, float]] = {}
    layers = weighted(module)
    for place, name in enumerate(layers):
        coarse = copy.deepcopy(module)
        layer, whole = weighted(coarse)[name], layers[name].weight
        damages = []
        for turn, width in enumerate(widths):
            done((place + turn / len(widths)) / len(layers))
            layer.weight.data = rounded(whole, width)
            damages.append(damage(coarse))
        grown[name] = dict(zip(widths, rising(damages), strict=True))
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


def _by_width(chosen: Mapping[str, int] | None, grown: Mapping[str, Mapping[int, float]]) -> dict[str, int] | None:
    return None if chosen is None else {name: list(grown[name])[index] for name, index in chosen.items()}
