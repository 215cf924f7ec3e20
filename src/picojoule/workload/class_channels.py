"""The channels of a network that stand for classes, and the network with fewer: arithmetic on its table, nothing is trained.

They are the output channels of its last nests, those whose results no other nest reads, where these come in a multiple of the
number of classes: the one fully connected layer of a classifier, the six convolutions of an SSD.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from picojoule.errors import UsageError
from picojoule.workload.network import Layer, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChannels:
    """What depends on the number of classes.

    Attributes:
        network: with the fewer classes.
        head: the layers whose channels are classes.
        other_heads: last nests whose channels are not, such as those of boxes.
        now, kept: classes.
        macs: of the whole network as it was.
        head_macs, kept_macs: of ``head``, before and after.
        other_macs: of ``other_heads``.
    """

    network: Network
    head: tuple[str, ...]
    other_heads: tuple[str, ...]
    now: int
    kept: int
    macs: int
    head_macs: int
    kept_macs: int
    other_macs: int

    @property
    def backbone_macs(self) -> int:
        """Of all that is no head."""
        return self.macs - self.head_macs - self.other_macs


def with_fewer_classes(network: Network, now: int, kept: int) -> ClassChannels:
    """The network whose class channels are as if it told ``kept`` classes apart instead of ``now``, the background among them.

    Args:
        network: to change.
        now: the classes that it tells apart; of a detector with the background.
        kept: fewer, at least 1.

    Raises:
        UsageError: not fewer, or no last layer has a multiple of so many channels.
    """
    if not 1 <= kept < now:
        raise UsageError(f"fewer classes than {now}, at least 1, can be kept; got {kept}", where="classes")
    last = _last(network)
    head = tuple(layer.name for layer in last if layer.nest and layer.nest.K % now == 0)
    if not head:
        counts = ", ".join(f"{layer.name} {layer.nest.K}" for layer in last if layer.nest)
        raise UsageError(
            f"no last layer has a multiple of {now} channels",
            where="classes",
            hint=f"Channels of the last layers: {counts}.",
        )
    after = _after(network, set(head))
    layers = tuple(_fewer(layer, now, kept) if layer.name in after else layer for layer in network.layers)
    smaller = replace(network, layers=layers, variant=_said(network.variant, f"{kept} classes in place of {now}"))
    others = tuple(layer.name for layer in last if layer.name not in head)

    def macs(names: tuple[str, ...], of: Network) -> int:
        return sum(layer.macs for layer in of.layers if layer.name in names)

    return ClassChannels(
        network=smaller,
        head=head,
        other_heads=others,
        now=now,
        kept=kept,
        macs=network.macs,
        head_macs=macs(head, network),
        kept_macs=macs(head, smaller),
        other_macs=macs(others, network),
    )


def _last(network: Network) -> list[Layer]:
    """The nests whose results reach no other; where it isn't known who reads what, the last one."""
    nests = [layer for layer in network.layers if layer.nest]
    flow = network.flow
    if flow is None or flow.chain:
        return nests[-1:]
    reads = dict(zip((layer.name for layer in network.layers), flow.reads, strict=True))
    reaching: set[str] = set()
    for layer in reversed(network.layers):
        if layer.nest or layer.name in reaching:
            reaching |= set(reads[layer.name])
    return [layer for layer in nests if layer.name not in reaching]


def _after(network: Network, head: set[str]) -> set[str]:
    """The head, and the rows that read nothing but what comes from it."""
    found = set(head)
    flow = network.flow
    if flow is not None and not flow.chain:
        for layer, reads in zip(network.layers, flow.reads, strict=True):
            if reads and layer.nest is None and found.issuperset(reads):
                found.add(layer.name)
    return found


def _fewer(layer: Layer, now: int, kept: int) -> Layer:
    if layer.nest:
        return replace(
            layer, nest=replace(layer.nest, K=layer.nest.K // now * kept), biases=layer.biases // now * kept
        )
    return replace(
        layer,
        read_elements=layer.read_elements // now * kept,
        written_elements=layer.written_elements // now * kept,
        vector_ops=layer.vector_ops // now * kept,
    )


def _said(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
