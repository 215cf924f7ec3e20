"""The layers of a torch network whose weights can be pruned or quantized, and the zeros in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch


def weighted(module: torch.nn.Module) -> dict[str, Any]:
    """Convolutions of images and fully connected layers by name, in the order of declaration; a shared one once."""
    nn = import_torch().nn
    return {name: child for name, child in module.named_modules() if isinstance(child, nn.Conv2d | nn.Linear)}


def zero_shares(module: torch.nn.Module) -> dict[str, float]:
    """The share of exact zeros in the weights of every such layer."""
    return {name: float((layer.weight == 0).float().mean()) for name, layer in weighted(module).items()}


def weight_count(module: torch.nn.Module) -> int:
    """Weights of such layers that are not zero."""
    return sum(int((layer.weight != 0).sum()) for layer in weighted(module).values())


class Masks:
    """Zeros that stay: which weights of each layer live. Called with the module it blanks all others."""

    def __init__(self, module: torch.nn.Module, names: Mapping[str, Any] | None = None) -> None:
        layers = weighted(module)
        self._alive = {name: layers[name].weight.detach() != 0 for name in (layers if names is None else names)}

    @classmethod
    def of(cls, alive: Mapping[str, Any]) -> Masks:
        """Those that are given: of each layer, which weights live."""
        made = cls.__new__(cls)
        made._alive = dict(alive)
        return made

    def __call__(self, module: torch.nn.Module) -> None:
        with import_torch().no_grad():
            for name, layer in weighted(module).items():
                if name in self._alive:
                    layer.weight.mul_(self._alive[name])
