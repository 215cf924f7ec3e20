"""How much a change of one layer changes what the network says: the measure by which layers are weighed against one another.

The mean Kullback-Leibler divergence of its class probabilities from those of the network as it came, on calibration inputs. Unlike
the loss it needs no labels, is never below 0, and is smooth where the loss is noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch


class Divergence:
    """Called with a network: how far its answers are from those of ``original``, in nats.

    Args:
        original: the network as it came.
        batches: inputs.
    """

    def __init__(self, original: torch.nn.Module, batches: Sequence[Any]) -> None:
        self._batches = batches
        self._aims = [self._log_shares(original, batch) for batch in batches]

    def __call__(self, module: torch.nn.Module) -> float:
        torch = import_torch()
        total, count = 0.0, 0
        for batch, aim in zip(self._batches, self._aims, strict=True):
            own = self._log_shares(module, batch)
            total += float(torch.nn.functional.kl_div(own, aim, log_target=True, reduction="sum"))
            count += len(aim)
        return total / count

    @staticmethod
    def _log_shares(module: torch.nn.Module, batch: Any) -> Any:
        torch = import_torch()
        with torch.inference_mode():
            logits = module.eval()(batch)
        return torch.nn.functional.log_softmax(logits.float().flatten(0, -2), -1)


def rising(damages: Sequence[float]) -> list[float]:
    """The same, where no later one is below an earlier: who removes more does no less damage, whatever the sample says."""
    return [float(x) for x in np.maximum.accumulate(damages)]
