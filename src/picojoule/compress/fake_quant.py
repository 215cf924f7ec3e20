"""Weights on a grid of few bits, per filter, with scales that are learnt while the network trains.

After Esser et al.: Learned Step Size Quantization (ICLR 2020): rounding passes the gradient on as it is, and the scale gets its own.
Grids are symmetric about zero, which stays exact, so that pruned weights stay pruned.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from picojoule.compress.layers import weighted
from picojoule.errors import UsageError
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

FEWEST, MOST = 2, 8
CLIPPED = tuple(ratio / 20 for ratio in range(6, 21))
"""Shares of a filter's largest weight at which its grid may end; the one of least squared error is taken."""


def levels(bits: int) -> int:
    """The largest whole number of the grid: −n … n for n = 2^(bits−1) − 1.

    Raises:
        UsageError: not 2 to 8 bits.
    """
    if not isinstance(bits, int) or isinstance(bits, bool) or not FEWEST <= bits <= MOST:
        raise UsageError(f"weights take {FEWEST} to {MOST} bits, got {bits!r}", where="bits")
    return int(2 ** (bits - 1) - 1)


def best_scales(weight: Any, bits: int) -> Any:
    """The scale of every filter (first axis) with the least squared error among the clippings, shaped to divide by."""
    torch = import_torch()
    top = levels(bits)
    flat = weight.detach().flatten(1)
    largest = flat.abs().amax(1, keepdim=True).clamp_min(1e-12)
    errors, scales = [], []
    for ratio in CLIPPED:
        scale = largest * ratio / top
        errors.append(((flat / scale).round().clamp(-top, top) * scale - flat).square().sum(1))
        scales.append(scale)
    chosen = torch.stack(errors).argmin(0)
    picked = torch.stack(scales)[chosen, torch.arange(len(flat))]
    return picked.view(-1, *[1] * (weight.ndim - 1))


def rounded(weight: Any, bits: int) -> Any:
    """The weights on their best grid of so many bits."""
    top, scale = levels(bits), best_scales(weight, bits)
    return (weight.detach() / scale).round().clamp(-top, top) * scale


def attach(module: torch.nn.Module, bits: Mapping[str, int]) -> None:
    """Makes the layers named compute with weights of so many bits, in place; ``settle`` undoes it and keeps the values."""
    torch = import_torch()
    layers = weighted(module)
    for name, width in bits.items():
        layer = layers[name]
        grid = _grid_class()(best_scales(layer.weight, width), levels(width))
        torch.nn.utils.parametrize.register_parametrization(layer, "weight", grid)


def settle(module: torch.nn.Module) -> dict[str, Any]:
    """Replaces each parametrized weight by its values on the grid, in place. Returns the scales by layer."""
    torch = import_torch()
    scales = {}
    for name, layer in weighted(module).items():
        if torch.nn.utils.parametrize.is_parametrized(layer, "weight"):
            scales[name] = layer.parametrizations.weight[0].scale.detach().abs().clone()
            torch.nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return scales


@functools.cache
def _grid_class() -> Any:
    torch = import_torch()
    import torch.nn.utils.parametrize  # noqa: F401 - registers itself

    class Grid(torch.nn.Module):
        def __init__(self, scale: Any, top: int) -> None:
            super().__init__()
            self.scale, self.top = torch.nn.Parameter(scale), top

        def forward(self, weight: Any) -> Any:
            # The step of the scale would be far larger than that of a weight: LSQ's g.
            share = 1 / (weight[0].numel() * self.top) ** 0.5
            scale = (self.scale * share) + (self.scale * (1 - share)).detach()
            scale = scale.abs().clamp_min(1e-12)
            x = (weight / scale).clamp(-self.top, self.top)
            return (x + (x.round() - x).detach()) * scale

    return Grid
