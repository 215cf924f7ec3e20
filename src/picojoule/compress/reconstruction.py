"""Weights that make up for those that were removed: closed-form least squares on what a layer really sees.

After Yang, Chen, Sze: Designing Energy-Efficient Convolutional Neural Networks Using Energy-Aware Pruning (CVPR 2017), §3.3-3.4:
remove by magnitude, restore those whose removal changes the outputs most, then solve each filter's kept weights for the
outputs of the unpruned layer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.compress.layers import weighted
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

RESTORED = 0.3
"""Of the weights that are to stay, the share that is picked by its effect on the outputs instead of by magnitude."""

RIDGE = 1e-4
"""Added to the diagonal of the normal equations, as a share of its mean: inputs that are always zero have no solution."""

POSITIONS = 64
"""Output positions that are drawn from every image; neighbours tell nearly the same."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Second moments of a layer's patches, by group: of what it sees now (``seen``: G × n × n), and of that with the
    outputs to aim for, bias left out (``aimed``: G × n × K), with n inputs of a filter and K filters a group."""

    seen: Any
    aimed: Any


def moments(
    pruned: torch.nn.Module,
    original: torch.nn.Module,
    name: str,
    batches: Iterable[Any],
    *,
    seed: int = 0,
) -> Moments:
    """Gathers the moments of layer ``name``: its inputs in ``pruned``, its outputs in ``original``, on the same images."""
    torch = import_torch()
    now, then = weighted(pruned)[name], weighted(original)[name]
    draw = torch.Generator().manual_seed(seed)
    seen, aimed = 0.0, 0.0
    with torch.inference_mode():
        for batch in batches:
            x = _called_with(pruned, now, batch)
            y = then(x if pruned is original else _called_with(original, then, batch))
            if then.bias is not None:
                y = y - (then.bias if y.ndim == 2 else then.bias.view(-1, *[1] * (y.ndim - 2)))
            patches, outputs = _patches(torch, now, x, y, draw)
            seen = seen + torch.einsum("gsn,gsm->gnm", patches, patches)
            aimed = aimed + torch.einsum("gsn,gsk->gnk", patches, outputs)
    return Moments(seen, aimed)


def prune_layer(weight: Any, keep: float, found: Moments) -> Any:
    """The weights of a layer of which a share ``keep`` stays, solved anew.

    Args:
        weight: K·G × n… as the layer has them; zeros count as removed.
        keep: share of all its weights.
        found: the layer's moments.
    """
    torch = import_torch()
    groups = found.seen.shape[0]
    flat = weight.detach().double().reshape(groups, -1, found.seen.shape[1])
    alive = _kept(torch, flat, max(1, round(keep * flat.numel())), found)
    solved = torch.zeros_like(flat)
    for g in range(groups):
        seen, aimed = found.seen[g].double(), found.aimed[g].double()
        ridge = RIDGE * seen.diagonal().mean() + 1e-12
        for k in range(flat.shape[1]):
            index = alive[g, k].nonzero()[:, 0]
            if len(index):
                matrix = seen[index][:, index] + ridge * torch.eye(len(index), dtype=seen.dtype)
                # Pulled to the weight that stands there, not to zero: what the data don't tell stays.
                target = aimed[index, k] + ridge * flat[g, k, index]
                solved[g, k, index] = torch.linalg.solve(matrix, target)
    # An exact zero would count as removed ever after.
    solved[alive & (solved == 0)] = torch.finfo(torch.float32).tiny
    return solved.reshape(weight.shape).to(weight.dtype)


def _kept(torch: Any, flat: Any, count: int, found: Moments) -> Any:
    """Which weights stay: most by magnitude, the rest by how much the outputs change without them."""
    living = flat != 0
    count = min(count, int(living.sum()))
    certain = round(count * (1 - RESTORED))
    magnitude = torch.where(living, flat.abs(), -1.0)
    kept = torch.zeros(flat.numel(), dtype=torch.bool)
    kept[magnitude.flatten().topk(certain).indices] = True
    kept = kept.view(flat.shape)
    removed = torch.where(kept, 0.0, flat)
    seen = found.seen.double()
    change = torch.einsum("gkn,gnm->gkm", removed, seen)
    diagonal = seen.diagonal(dim1=1, dim2=2)[:, None, :]
    # The squared error falls by this if one weight comes back.
    gain = 2 * removed * change - removed**2 * diagonal
    gain = torch.where(living & ~kept, gain, -torch.inf)
    if count > certain:
        flags = kept.flatten()
        flags[gain.flatten().topk(count - certain).indices] = True
        kept = flags.view(flat.shape)
    return kept


class _ReachedError(Exception):
    """The layer was called: what the network does behind it is of no interest."""


def _called_with(module: torch.nn.Module, layer: Any, batch: Any) -> Any:
    caught: list[Any] = []

    def catch(_: Any, inputs: tuple[Any, ...]) -> None:
        caught.append(inputs[0])
        raise _ReachedError

    handle = layer.register_forward_pre_hook(catch)
    try:
        with contextlib.suppress(_ReachedError):
            module.eval()(batch)
    finally:
        handle.remove()
    return caught[0]


def _patches(torch: Any, layer: Any, x: Any, y: Any, draw: Any) -> tuple[Any, Any]:
    """Drawn patches and their outputs, float32: G × samples × n and G × samples × K."""
    if isinstance(layer, torch.nn.Linear):
        return x.reshape(1, -1, x.shape[-1]).float(), y.reshape(1, -1, y.shape[-1]).float()
    columns = torch.nn.functional.unfold(
        x.float(), layer.kernel_size, dilation=layer.dilation, padding=_padding(layer), stride=layer.stride
    )
    places = columns.shape[2]
    drawn = torch.randperm(places, generator=draw)[: min(places, POSITIONS)]
    columns, outputs = columns[:, :, drawn], y.float().flatten(2)[:, :, drawn]
    groups = layer.groups
    columns = columns.view(len(x), groups, -1, len(drawn)).permute(1, 0, 3, 2).flatten(1, 2)
    outputs = outputs.view(len(x), groups, -1, len(drawn)).permute(1, 0, 3, 2).flatten(1, 2)
    return columns, outputs


def _padding(layer: Any) -> tuple[int, ...]:
    if layer.padding == "valid":
        return (0, 0)
    if layer.padding == "same":
        return tuple(d * (k - 1) // 2 for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
    return tuple(layer.padding)
