"""The trainings of document 001: each network alone, all exits at once, or the exits after the backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.exits.networks import all_exits, freeze_backbone, one_exit
from picojoule.train import Recipe, Splits, fit, load_tensors
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

Note = Callable[[dict[str, Any]], None]


def train_one(
    depth: int, data: Splits, recipe: Recipe, *, folder: Path, width: int = 64, drop: float = 0.8, note: Note = print
) -> torch.nn.Module:
    """The network of ``depth`` layers and ``width`` filters, alone.

    Args:
        depth: layers with weights, 1 … 11.
        data: images to fit, to choose and to report on.
        recipe: how long and how fast.
        folder: for checkpoints and log; a training that stopped there goes on.
        width: filters of each convolution, 1 … 64.
        drop: share of the classifier's inputs that are dropped, 0 … 1.
        note: is told of every epoch.

    Raises:
        PicojouleError: whatever ``train.fit`` raises.
    """
    network = _seeded(recipe, lambda: one_exit(depth, width=width, drop=drop))
    fit(network, data, recipe, folder=folder, note=note)
    return network


def train_combined(
    data: Splits, recipe: Recipe, *, folder: Path, depth: int = 6, drop: float = 0.8, note: Note = print
) -> torch.nn.Module:
    """All exits of a network of ``depth`` layers at once: the loss is the sum of theirs.

    Args:
        data: images to fit, to choose and to report on.
        recipe: how long and how fast.
        folder: for checkpoints and log; a training that stopped there goes on.
        depth: exits, 1 … 11.
        drop: share of each classifier's inputs that are dropped, 0 … 1.
        note: is told of every epoch.

    Raises:
        PicojouleError: whatever ``train.fit`` raises.
    """
    network = _seeded(recipe, lambda: all_exits(depth, drop=drop))
    fit(network, data, recipe, folder=folder, note=note)
    return network


def train_individual(
    backbone: Path, data: Splits, recipe: Recipe, *, folder: Path, depth: int = 6, drop: float = 0.8, note: Note = print
) -> torch.nn.Module:
    """Phase 2 of individual training: classifiers on the frozen features of a network that was trained alone.

    Args:
        backbone: ``best.safetensors`` of the network of ``depth`` layers alone (phase 1).
        data: images to fit, to choose and to report on.
        recipe: how long and how fast.
        folder: for checkpoints and log; a training that stopped there goes on.
        depth: layers with weights, 1 … 11.
        drop: share of a classifier's inputs that are dropped, 0 … 1.
        note: is told of every epoch.

    Raises:
        PicojouleError: whatever ``train.fit`` raises.
    """
    network = _seeded(recipe, lambda: all_exits(depth, drop=drop))
    weights, _ = load_tensors(backbone)
    network.load_state_dict({**network.state_dict(), **weights})
    freeze_backbone(network)
    fit(network, data, recipe, folder=folder, note=note)
    return network


def halve_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Rounds the weights to float16, in place, and returns them so: what is published is what is measured."""
    torch = import_torch()
    halves = {name: tensor.half() for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.float() for name, tensor in halves.items()})
    assert all(bool(torch.isfinite(tensor).all()) for tensor in halves.values())
    return halves


def _seeded(recipe: Recipe, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """First weights that depend on the recipe's seed alone, in the layout in which convolutions are fast."""
    torch = import_torch()
    torch.manual_seed(int(np.random.SeedSequence([recipe.seed]).generate_state(1)[0]))
    return make().to(memory_format=torch.channels_last)
