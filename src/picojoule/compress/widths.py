"""A network's layers at other numbers of channels, without building it: what every channel of a group adds to them.

Each size of a layer grows by the same amount with every channel of a group, so that one network with one channel less
tells how the layers look at any width. That holds for sums, concatenations, depthwise and fully connected layers alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from picojoule.compress.channels import Group, groups, without
from picojoule.compress.costs import network_of
from picojoule.errors import ModelError
from picojoule.workload.network import Layer, Network

if TYPE_CHECKING:
    import torch

_SIZES = ("G", "K", "C")
_COUNTS = ("biases", "read_elements", "written_elements", "vector_ops", "read_weights")


@dataclass(frozen=True, slots=True)
class Share:
    """What one channel of a group adds to one layer.

    Attributes:
        layer: its place in the network.
        sizes: of its loops, by letter.
        counts: of elements, by the layer's fields.
    """

    layer: int
    sizes: dict[str, int]
    counts: dict[str, int]


class Widths:
    """How the layers of a network depend on the channels of its groups.

    Args:
        module: the network; it is not changed.
        example: an input of batch 1.
        keep: layers that must not change: groups that touch one are left out.
    """

    def __init__(self, module: torch.nn.Module, example: Any, keep: Sequence[str] = ()) -> None:
        self.network: Network = network_of(module, example)
        self.groups: list[Group] = []
        self._shares: dict[str, list[Share]] = {}
        for group in groups(module, example):
            fewer = network_of(without(module, example, {group.root: [0]}), example)
            shares = _shares(self.network, fewer, group.root)
            touched = {self.network.layers[share.layer].name for share in shares}
            if not (touched | set(group.layers)) & set(keep):
                self.groups.append(group)
                self._shares[group.root] = shares

    @property
    def start(self) -> dict[str, int]:
        """Channels of every group as the network came, by the group's root."""
        return {group.root: group.channels for group in self.groups}

    def at(self, channels: Mapping[str, int]) -> Network:
        """The network with that many channels in these groups, and all in the others.

        Args:
            channels: by the group's root.
        """
        layers = list(self.network.layers)
        for root, count in channels.items():
            less = self.start[root] - count
            if less:
                for share in self._shares[root]:
                    layers[share.layer] = _smaller(layers[share.layer], share, less)
        return replace(self.network, layers=tuple(layers))


def _shares(whole: Network, fewer: Network, root: str) -> list[Share]:
    if [layer.name for layer in whole.layers] != [layer.name for layer in fewer.layers]:
        raise ModelError("without a channel the network has other layers", where=root)
    found = []
    for place, (was, now) in enumerate(zip(whole.layers, fewer.layers, strict=True)):
        sizes = {}
        if was.nest is not None and now.nest is not None:
            sizes = {d: by for d in _SIZES if (by := getattr(was.nest, d) - getattr(now.nest, d))}
        counts = {field: by for field in _COUNTS if (by := getattr(was, field) - getattr(now, field))}
        if sizes or counts:
            found.append(Share(place, sizes, counts))
    return found


def _smaller(layer: Layer, share: Share, less: int) -> Layer:
    nest = layer.nest
    if nest is not None and share.sizes:
        nest = replace(nest, **{d: getattr(nest, d) - by * less for d, by in share.sizes.items()})
    return replace(
        layer, nest=nest, **{field: getattr(layer, field) - by * less for field, by in share.counts.items()}
    )
