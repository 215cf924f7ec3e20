"""What a built-in network gathers while it is laid out: layers, who reads whose result, what is not costed."""

from __future__ import annotations

from picojoule.workload.data_flow import DataFlow, Given
from picojoule.workload.network import Layer, Network, NotCosted


class Ledger:
    """The layers so far, in the order in which they run.

    Args:
        input_shape: of the network's input, with its batch.
        given: what is there before the first layer runs.
    """

    def __init__(self, input_shape: tuple[int, ...], *given: Given) -> None:
        self._input_shape = input_shape
        self._given = list(given)
        self._layers: list[Layer] = []
        self._reads: list[tuple[str, ...]] = []
        self._not_costed: list[NotCosted] = []
        self._outputs: list[str] = []

    def put(self, layer: Layer, *reads: str) -> str:
        """The next layer, with the names of those that it reads; returns its name."""
        self._layers.append(layer)
        self._reads.append(reads)
        return layer.name

    def give(self, tensor: Given) -> str:
        """A tensor that no layer makes; returns its name."""
        self._given.append(tensor)
        return tensor.name

    def keep(self, *names: str) -> None:
        """Results that the network hands back although others read them."""
        self._outputs += names

    def leave_out(self, op: str, name: str, elements: int) -> None:
        """An operator that runs here and is not costed; it reads and writes ``elements`` together."""
        self._not_costed.append(NotCosted(op=op, where=name, elements=elements))

    def network(self, name: str, *, variant: str, source: str) -> Network:
        """The network laid out so far, for a batch of one."""
        return Network(
            name=name,
            layers=tuple(self._layers),
            input_shape=self._input_shape,
            variant=variant,
            source=source,
            not_costed=tuple(self._not_costed),
            flow=DataFlow(reads=tuple(self._reads), given=tuple(self._given), outputs=tuple(self._outputs)),
        )
