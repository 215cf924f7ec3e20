"""BatchNorm after a change of weights: its statistics are those of the network that was; here they are taken anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch


def reestimate(module: torch.nn.Module, batches: Iterable[Any]) -> None:
    """Sets the running mean and variance of every BatchNorm to the means over these batches, in place."""
    torch = import_torch()
    norms = [m for m in module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    rates = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    was = module.training
    module.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        for batch in batches:
            module(batch)
    for norm, rate in zip(norms, rates, strict=True):
        norm.momentum = rate
    module.train(was)
