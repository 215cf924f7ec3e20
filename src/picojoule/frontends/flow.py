"""Which layer's result every tensor of a graph lies in, followed while the graph is walked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from picojoule.frontends.graph import Graph, Node
from picojoule.workload.data_flow import DataFlow, Given


class FlowTracker:
    """Knows of every tensor which layer or input holds its elements, or that this can't be told.

    Args:
        graph: whose nodes will be told of in their order.
        inputs: names of the tensors that the network is given.
    """

    def __init__(self, graph: Graph, inputs: Sequence[str]) -> None:
        self._graph = graph
        taken = {node.name for node in graph.nodes}
        self._inputs = {name: f"{name} (input)" if name in taken else name for name in inputs}
        self._holders: dict[str, str] = dict(self._inputs)
        self._reads: dict[str, tuple[str, ...] | None] = {}

    def layers(self, node: Node, names: Sequence[str], *, result: str) -> None:
        """``node`` became layers of these names, of which ``result`` holds its outputs.

        The first reads the activations of the node. Each later one is taken to read them, too, and every one before it.
        """
        held = [self._holders.get(name) for name in self._graph.activations(node)]
        for index, name in enumerate(names):
            read = dict.fromkeys((*filter(None, held), *names[:index]))
            self._reads[name] = None if None in held else tuple(read)
        self._holders.update(dict.fromkeys(filter(None, node.outputs), result))

    def holds(self, node: Node, layer: str) -> None:
        """The outputs of ``node`` are what ``layer`` wrote."""
        self._holders.update(dict.fromkeys(filter(None, node.outputs), layer))

    def same_place(self, node: Node, source: str) -> None:
        """The outputs of ``node`` are the elements of ``source``, or take their place."""
        if source in self._holders:
            self._holders.update(dict.fromkeys(filter(None, node.outputs), self._holders[source]))

    def not_costed(self, node: Node) -> None:
        """``node`` has no layer: one result as large as its one operand takes its place, what else it makes is lost."""
        operands, outputs = self._graph.activations(node), [name for name in node.outputs if name]
        if len(operands) == len(outputs) == 1:
            before, after = (self._graph.shapes.get(name) for name in (operands[0], outputs[0]))
            if before is not None and after is not None and math.prod(before) == math.prod(after):
                self.same_place(node, operands[0])

    def flow(self, layers: Sequence[str]) -> DataFlow | None:
        """The data flow between ``layers``; None where some layer reads what can't be followed."""
        reads = [self._reads.get(name) for name in layers]
        sizes = {name: self._graph.shapes.get(name) for name in self._inputs}
        if any(names is None for names in reads) or any(shape is None for shape in sizes.values()):
            return None
        read = {name for names in reads for name in names or ()}
        handed_back = dict.fromkeys(self._holders.get(name) for name in sorted(self._graph.outputs))
        return DataFlow(
            reads=tuple(names or () for names in reads),
            given=tuple(
                Given(name=self._inputs[name], elements=math.prod(shape or ())) for name, shape in sizes.items()
            ),
            outputs=tuple(name for name in layers if name in handed_back and name in read),
        )
