"""Tickets of weights: a mask over each layer, by magnitude over the whole network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.layers import Masks, weighted
from picojoule.train.checkpoint import load_tensors, save_tensors
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

Kept = dict[str, Any]
"""Of each layer: which of its weights live, as a tensor of truth values."""


class WeightTickets:
    """What a ticket of weights keeps; the layers in ``keep`` stay whole.

    Args:
        module: untrained, or of any weights; its shapes count.
        keep: layers that lose nothing.
    """

    name = "weights"

    def __init__(self, module: torch.nn.Module, keep: tuple[str, ...] = ()) -> None:
        self._module, self._keep = module, keep

    def whole(self) -> Kept:
        """Everything."""
        torch = import_torch()
        return {name: torch.ones_like(layer.weight, dtype=torch.bool) for name, layer in weighted(self._module).items()}

    def fewer(self, kept: Kept, trained: torch.nn.Module, share: float) -> Kept:
        """Of what is kept, the weights of largest magnitude once trained, until that share of all weights is left."""
        torch = import_torch()
        sizes = {name: layer.weight.detach().abs() for name, layer in weighted(trained).items()}
        fixed = sum(int(kept[name].sum()) for name in self._keep)
        wanted = max(1, math.floor(share * sum(mask.numel() for mask in kept.values()) * (1 + 1e-12)) - fixed)
        free = [name for name in kept if name not in self._keep]
        # Zeros that the training left may live; what a mask blanked may not.
        every = torch.cat([torch.where(kept[name], sizes[name], -1.0).flatten() for name in free])
        alive = torch.zeros(len(every), dtype=torch.bool)
        alive[every.topk(min(wanted, int((every >= 0).sum()))).indices] = True
        parts = alive.split([kept[name].numel() for name in free])
        return {
            **kept,
            **{name: part.view(kept[name].shape) & kept[name] for name, part in zip(free, parts, strict=True)},
        }

    def at_random(self, kept: Kept, seed: int) -> Kept:
        """As many weights of every layer, drawn."""
        torch = import_torch()
        draw = torch.Generator().manual_seed(seed)
        return {
            name: mask.flatten()[torch.randperm(mask.numel(), generator=draw)].view(mask.shape)
            for name, mask in kept.items()
        }

    def share(self, kept: Kept) -> float:
        """Of the weights of all layers, what lives."""
        return sum(int(mask.sum()) for mask in kept.values()) / sum(mask.numel() for mask in kept.values())

    def applied(
        self, kept: Kept, weights: Mapping[str, Any]
    ) -> tuple[torch.nn.Module, Callable[[torch.nn.Module], None]]:
        """The network with those weights as far as they are kept, and what holds it there while it trains."""
        module = copy.deepcopy(self._module)
        module.load_state_dict(weights)
        hold = Masks.of(kept)
        hold(module)
        return module, hold

    def save(self, kept: Kept, path: Path) -> None:
        """Writes the masks: a tensor of truth values for each layer."""
        save_tensors(path, kept, {"kind": self.name, "share": self.share(kept)})

    def load(self, path: Path) -> Kept:
        """The masks of a file."""
        return load_tensors(path)[0]
