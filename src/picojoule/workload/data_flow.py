"""Who reads whose result, and what of it is in memory while a layer runs.

The rules are those of docs/explanation/counting.md: layers run one after the other in their order, every layer makes
one tensor of its own, and a tensor stays from the layer that makes it to the last one that reads it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from picojoule.workload.nest import Bits

if TYPE_CHECKING:
    from picojoule.workload.network import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A tensor that no layer makes: an input of the network, or what it keeps from one run to the next.

    Attributes:
        name: different from those of all layers.
        elements: for the batch as given.
        held: it stays in memory after its last reader, as the keys and values of earlier tokens do.
    """

    name: str
    elements: int
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFlow:
    """The edges of the network's graph.

    Attributes:
        reads: for each layer, in order, the names of the layers and given tensors whose elements it reads.
        given: what is there before the first layer runs.
        outputs: layers whose results the network hands back although other layers read them; what nobody reads is
            handed back anyway.
        chain: nothing of this was stated. Each layer is taken to hold what it reads and what it writes, nothing else.
    """

    reads: tuple[tuple[str, ...], ...] = ()
    given: tuple[Given, ...] = ()
    outputs: tuple[str, ...] = ()
    chain: bool = False

    def check(self, layers: Sequence[str]) -> None:
        """Raises ValueError unless every name is that of a given tensor or of an earlier one of ``layers``."""
        if self.chain:
            return
        if len(self.reads) != len(layers):
            raise ValueError(f"the data flow has {len(self.reads)} entries for {len(layers)} layers")
        known = {tensor.name for tensor in self.given}
        for name, reads in zip(layers, self.reads, strict=True):
            for read in reads:
                if read not in known:
                    raise ValueError(f"{name!r} reads {read!r}, which is neither given nor an earlier layer")
            known.add(name)
        for name in self.outputs:
            if name not in known:
                raise ValueError(f"the output {name!r} is no layer")

    def with_batch(self, batch: int) -> DataFlow:
        """The same for ``batch`` times as many inputs."""
        given = tuple(replace(tensor, elements=tensor.elements * batch) for tensor in self.given)
        return replace(self, given=given)


def live_bits(layers: Sequence[Layer], widths: Sequence[Bits], flow: DataFlow | None) -> list[int] | None:
    """Bits of all tensors that are in memory while each layer runs, its inputs and its result among them.

    A tensor has the width at which it is read, the widest if its readers differ; what nobody reads has that of its
    maker's outputs. None where it is not known who reads what.
    """
    if flow is None:
        return None
    steps = list(zip(layers, widths, strict=True))
    if flow.chain:
        return [_read(layer) * bits.inputs + layer.output_elements * bits.outputs for layer, bits in steps]
    last: dict[str, int] = {}
    width: dict[str, int] = {}
    for step, ((_, bits), reads) in enumerate(zip(steps, flow.reads, strict=True)):
        for name in reads:
            last[name] = step
            width[name] = max(width.get(name, 0), bits.inputs)
    end = len(steps) - 1
    change = [0] * (len(steps) + 1)
    for step, (layer, bits) in enumerate(steps):
        size = layer.output_elements * width.get(layer.name, bits.outputs)
        change[step] += size
        change[(end if layer.name in flow.outputs else last.get(layer.name, end)) + 1] -= size
    for tensor in flow.given:
        if tensor.held or tensor.name in last:
            size = tensor.elements * width.get(tensor.name, widths[0].inputs)
            change[0] += size
            change[(end if tensor.held else last[tensor.name]) + 1] -= size
    return list(itertools.accumulate(change[:-1]))


def _read(layer: Layer) -> int:
    return layer.nest.elements("inputs") if layer.nest else layer.read_elements
