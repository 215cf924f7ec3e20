"""Zeros in weights down to an energy budget: which weights go, layer by layer.

All criteria share the same way: the density of every layer is chosen, then layers are pruned one after the other, the one that
takes most energy first, each solved anew on what it sees behind those that were pruned before it (``reconstruction``); last, what
stays is solved once more, from the first layer to the last.
They differ in how the densities are chosen, and in nothing else:

- ``magnitude``: one threshold for the whole network;
- ``magnitude-per-layer``: the same density everywhere;
- ``macs``: least damage within executed MACs;
- ``energy``: least damage within modelled energy, data movement included.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from picojoule.compress.countdown import silent
from picojoule.compress.damage import Divergence, rising
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.knapsack import Choice, choose
from picojoule.compress.layers import weighted
from picojoule.compress.reconstruction import moments, prune_layer
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

CRITERIA = ("magnitude", "magnitude-per-layer", "macs", "energy")
DENSITIES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.32, 0.25, 0.2, 0.15, 0.11, 0.08, 0.05)
"""Shares of a layer's weights that may stay, where layers are weighed against one another."""


def sensitivity(
    module: torch.nn.Module,
    batches: Sequence[Any],
    densities: Sequence[float] = DENSITIES,
    *,
    done: Callable[[float], None] = silent,
) -> dict[str, dict[float, float]]:
    """The damage (``damage.Divergence``) if one layer alone keeps that share of its weights: by layer, by density.

    Args:
        module: the network as it is.
        batches: inputs to solve the kept weights on, and to judge by.
        densities: in falling order; 1 changes nothing.
        done: called with the share that is measured.
    """
    damage = Divergence(module, batches)
    grown: dict[str, dict[float, float]] = {}
    layers = weighted(module)
    for place, name in enumerate(layers):
        found = moments(module, module, name, batches)
        pruned = copy.deepcopy(module)
        layer, whole = weighted(pruned)[name], layers[name].weight
        damages = []
        for turn, density in enumerate(densities):
            done((place + turn / len(densities)) / len(layers))
            if density == 1:
                damages.append(0.0)
                continue
            layer.weight.data = prune_layer(whole, density, found)
            damages.append(damage(pruned))
        grown[name] = dict(zip(densities, rising(damages), strict=True))
    return grown


def densities_within(
    criterion: str,
    budget: float,
    module: torch.nn.Module,
    energies: LayerEnergies,
    grown: Mapping[str, Mapping[float, float]],
) -> dict[str, float] | None:
    """The share of weights that stays in every layer such that the network takes at most ``budget``.

    Args:
        criterion: one of ``CRITERIA``.
        budget: energy of the network, in the unit of ``energies``.
        module: whose weights are judged by magnitude.
        energies: what layers cost.
        grown: of ``sensitivity``; a layer that has no density but 1 keeps all of its weights, whatever the criterion.

    Returns:
        None if the budget can't be met by zeros in weights.
    """
    layers = weighted(module)
    free = [name for name in layers if len(grown[name]) > 1]
    if not free:
        return None
    rest = energies.total() - sum(energies.layer(name) for name in layers)

    def energy(densities: Mapping[str, float]) -> float:
        return rest + sum(energies.layer(name, weights=1 - density) for name, density in densities.items())

    if criterion == "energy":
        options = {
            name: [Choice(energies.layer(name, weights=1 - d), damage) for d, damage in grown[name].items()]
            for name in layers
        }
        chosen = choose(options, budget - rest)
        return None if chosen is None else {name: list(grown[name])[index] for name, index in chosen.items()}
    if criterion == "macs":
        options = {
            name: [Choice(energies.nest_macs(name) * d, damage) for d, damage in grown[name].items()] for name in layers
        }

        def by_share(share: float) -> dict[str, float] | None:
            chosen = choose(options, share * sum(energies.nest_macs(name) for name in layers))
            return None if chosen is None else {name: list(grown[name])[index] for name, index in chosen.items()}

    elif criterion == "magnitude-per-layer":

        def by_share(share: float) -> dict[str, float] | None:
            return {name: share if name in free else 1.0 for name in layers}

    else:
        torch = import_torch()
        magnitudes = {name: layers[name].weight.detach().abs().flatten() for name in free}
        every = torch.cat(list(magnitudes.values())).sort(descending=True).values

        def by_share(share: float) -> dict[str, float] | None:
            threshold = every[max(0, min(len(every), round(share * len(every))) - 1)]
            shares = {name: float((own >= threshold).float().mean()) for name, own in magnitudes.items()}
            return {name: shares.get(name, 1.0) for name in layers}

    return _most(by_share, energy, budget)


def _most(
    by_share: Callable[[float], dict[str, float] | None], energy: Callable[[Mapping[str, float]], float], budget: float
) -> dict[str, float] | None:
    """The densities of the largest share within the budget, to 1/4096; a share too small for any choice gives None."""
    low, high, best = 0, 4097, None
    while high - low > 1:
        middle = (low + high) // 2
        densities = by_share(middle / 4096)
        if densities is None or energy(densities) <= budget:
            best, low = densities or best, middle
        else:
            high = middle
    return best


def prune_to(
    module: torch.nn.Module,
    densities: Mapping[str, float],
    batches: Sequence[Any],
    energies: LayerEnergies,
) -> torch.nn.Module:
    """A copy of the network of which every layer keeps that share of its weights, solved anew.

    The dearest layer goes first (Yang, Chen, Sze). Those behind it are then solved on what the layers before them were, not on what
    these become: so what stays of every layer is solved a second time, in the order of the network.
    """
    pruned = copy.deepcopy(module)
    layers = weighted(pruned)
    fewer = [name for name, density in densities.items() if density < 1]
    for name in sorted(fewer, key=energies.layer, reverse=True):
        layers[name].weight.data = prune_layer(layers[name].weight, densities[name], moments(pruned, module, name, batches))
    for name in [name for name in layers if name in fewer]:
        layers[name].weight.data = prune_layer(layers[name].weight, 1.0, moments(pruned, module, name, batches))
    return pruned
