"""Tickets of channels: whole filters on a grid, by magnitude. What is left is a dense network, which every machine is faster with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.channels import groups, without
from picojoule.compress.layers import weighted
from picojoule.train.checkpoint import load_tensors, save_tensors
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

Kept = dict[str, Any]
"""Of each group of channels, by its root: the indices that live, rising."""


class ChannelTickets:
    """What a ticket of channels keeps: a multiple of ``grid`` of every group that can lose some.

    Args:
        module: untrained, or of any weights; its shapes count.
        example: an input of batch 1.
        grid: counts of channels are multiples of it.
        keep: layers that lose nothing.
    """

    name = "channels"

    def __init__(self, module: torch.nn.Module, example: Any, grid: int, keep: tuple[str, ...] = ()) -> None:
        self._module, self._example, self._grid = module, example, grid
        found = groups(module, example)
        self._layers = {group.root: group.layers for group in found if not set(group.layers) & set(keep)}
        self._channels = {group.root: group.channels for group in found if group.root in self._layers}
        self._all = _size(module)

    def whole(self) -> Kept:
        """Everything."""
        torch = import_torch()
        return {root: torch.arange(count) for root, count in self._channels.items()}

    def fewer(self, kept: Kept, trained: torch.nn.Module, share: float) -> Kept:
        """Of what is kept, without the channels whose filters are smallest once trained, against the others of their group.

        They go by the grid, from the group in which they are smallest, until no more than that share of all weights is left, or
        nothing more can go.
        """
        layers = weighted(trained)
        sizes = {}
        for root, members in self._layers.items():
            own = [layers[name].weight.detach().flatten(1).square().sum(1) for name in members]
            total = sum(one for one in own if len(one) == len(kept[root])).sqrt()
            sizes[root] = total / total.mean()
        orders = {root: size.argsort(descending=True) for root, size in sizes.items()}
        left = {root: len(indices) for root, indices in kept.items()}
        result = dict(kept)
        while self.share(result) > share:
            moves = {root: target for root, count in left.items() if (target := self._next(count)) < count}
            if not moves:
                break
            root = min(moves, key=lambda root: float(sizes[root][orders[root][moves[root] : left[root]]].mean()))
            left[root] = moves[root]
            result[root] = kept[root][orders[root][: left[root]].sort().values]
        return result

    def at_random(self, kept: Kept, seed: int) -> Kept:
        """As many channels of every group, drawn."""
        torch = import_torch()
        draw = torch.Generator().manual_seed(seed)
        return {
            root: torch.randperm(self._channels[root], generator=draw)[: len(indices)].sort().values
            for root, indices in kept.items()
        }

    def share(self, kept: Kept) -> float:
        """Of the weights of all layers, what is left."""
        return _size(self._narrow(self._module, kept)) / self._all

    def applied(self, kept: Kept, weights: Mapping[str, Any]) -> tuple[torch.nn.Module, None]:
        """The network with those weights, without the channels that went; nothing need be held while it trains."""
        module = copy.deepcopy(self._module)
        module.load_state_dict(weights)
        return self._narrow(module, kept), None

    def removed(self, kept: Kept) -> dict[str, list[int]]:
        """The indices that went, by root."""
        return {
            root: sorted(set(range(count)) - set(kept[root].tolist()))
            for root, count in self._channels.items()
            if len(kept[root]) < count
        }

    def save(self, kept: Kept, path: Path) -> None:
        """Writes the indices that live, by root."""
        save_tensors(path, kept, {"kind": self.name, "share": self.share(kept), "grid": self._grid})

    def load(self, path: Path) -> Kept:
        """The indices of a file."""
        return load_tensors(path)[0]

    def _next(self, count: int) -> int:
        """The grid's next number below; the count itself at the end."""
        return max((count - 1) // self._grid * self._grid, 0) or count

    def _narrow(self, module: torch.nn.Module, kept: Kept) -> torch.nn.Module:
        gone = self.removed(kept)
        return without(module, self._example, gone) if gone else copy.deepcopy(module)


def _size(module: torch.nn.Module) -> int:
    return sum(layer.weight.numel() for layer in weighted(module).values())
