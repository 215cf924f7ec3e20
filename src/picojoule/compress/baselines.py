"""What NetAdapt is compared with, in the same recipe: the same share of channels everywhere, and MorphNet's shrinking and expanding.

MorphNet (Gordon et al., CVPR 2018) trains with a penalty on BatchNorm's factors γ that is the larger the more a channel costs,
drops channels whose γ came to nothing, and widens what is left by one factor for all layers. Here γ is drawn to zero by a
proximal step after every step of the optimizer, and no layer grows beyond what it was: there would be no weights for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from picojoule.compress.channels import Group, batchnorms, without
from picojoule.compress.netadapt import Asked, floor_to, smallest
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

PULL = 0.5
"""What a γ loses by every step, of the peak learning rate, where a channel costs as much as the mean one."""
_HALVINGS = 12


def at_one_share(asked: Asked, limits: Sequence[float]) -> dict[str, int] | None:
    """The most channels, by the same share of each group, that are within all limits; None if none are."""
    start = asked.widths.start
    return _largest(asked, limits, lambda share: {root: round(count * share) for root, count in start.items()}, 1.0)


def widened(asked: Asked, limits: Sequence[float], alive: Mapping[str, int]) -> dict[str, int] | None:
    """The channels that live, all widened or narrowed by one factor, at most to what they were, within all limits."""
    most = max(asked.widths.start[root] / max(1, count) for root, count in alive.items())
    return _largest(asked, limits, lambda factor: {root: round(n * factor) for root, n in alive.items()}, most)


def _largest(
    asked: Asked, limits: Sequence[float], at: Callable[[float], dict[str, int]], most: float
) -> dict[str, int] | None:
    start = asked.widths.start

    def costed(factor: float) -> tuple[dict[str, int], bool]:
        channels = {root: floor_to(count, start[root], asked.grid) for root, count in at(factor).items()}
        costs = asked.table.costs([asked.widths.at(channels)])[0]
        return channels, all(cost <= limit for cost, limit in zip(costs, limits, strict=True))

    low, high, best = 0.0, most, None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        channels, good = costed(middle)
        if good:
            low, best = middle, channels
        else:
            high = middle
    return best


def narrowed(
    module: torch.nn.Module,
    example: Any,
    groups: Sequence[Group],
    channels: Mapping[str, int],
    order: Callable[[torch.nn.Module, Group, int], list[int]] = smallest,
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    """The network with that many channels in each group, and a step for each.

    Args:
        module: it is not changed.
        example: an input of batch 1.
        groups: of the network.
        channels: to be left, by the group's root.
        order: which channels of a group go: (network, group, how many).
    """
    steps = []
    for group in groups:
        less = group.channels - channels[group.root]
        if less > 0:
            removed = order(module, group, less)
            module = without(module, example, {group.root: removed})
            steps.append(
                {
                    "root": group.root,
                    "layers": list(group.layers),
                    "before": group.channels,
                    "channels": channels[group.root],
                    "removed": removed,
                }
            )
    return module, steps


class Shrinking:
    """Draws the γ of all groups towards zero; called with the module after every step of an optimizer.

    Args:
        module: the network.
        example: an input of batch 1.
        asked: costs of channels.
        rate: the peak learning rate.
    """

    def __init__(self, module: torch.nn.Module, example: Any, asked: Asked, rate: float) -> None:
        self._norms = batchnorms(module, example)
        start = asked.widths.start
        asking = [asked.widths.at({root: count - min(count - 1, asked.grid)}) for root, count in start.items()]
        saved = {
            root: sum((was - now) / was for was, now in zip(asked.start, costs, strict=True)) / min(count - 1, asked.grid)
            for (root, count), costs in zip(start.items(), asked.table.costs(asking), strict=True)
        }
        mean = sum(saved.values()) / max(1, len(saved))
        self._pull = {root: PULL * rate * max(0.0, share / mean) for root, share in saved.items()} if mean else {}

    def __call__(self, module: torch.nn.Module) -> None:
        torch = import_torch()
        with torch.no_grad():
            for root, pull in self._pull.items():
                for name in self._norms.get(root, []):
                    factor = module.get_submodule(name).weight
                    factor.copy_(factor.sign() * (factor.abs() - pull).clamp_min(0))

    def strengths(self, module: torch.nn.Module, group: Group) -> Any:
        """The largest γ of each channel of a group, or None where no BatchNorm follows it."""
        torch = import_torch()
        names = self._norms.get(group.root, [])
        if not names:
            return None
        return torch.stack([module.get_submodule(name).weight.detach().abs() for name in names]).max(0).values

    def alive(self, module: torch.nn.Module, groups: Sequence[Group]) -> dict[str, int]:
        """Channels whose γ isn't zero."""
        found = {}
        for group in groups:
            strengths = self.strengths(module, group)
            found[group.root] = group.channels if strengths is None else max(1, int((strengths > 0).sum()))
        return found

    def weakest(self, module: torch.nn.Module, group: Group, count: int) -> list[int]:
        """The channels of smallest γ."""
        strengths = self.strengths(module, group)
        if strengths is None:
            return smallest(module, group, count)
        return sorted(strengths.argsort(stable=True)[:count].tolist())
