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
        kept = {}
        for name, own in graph.held.items():
            given = {*taken, *self._inputs.values(), *kept.values()}
            kept[name] = own if own not in given else f"{own} (state)"
        self._held = kept
        self._holders = {name: (given,) for name, given in (*self._inputs.items(), *kept.items())}
        self._reads: dict[str, tuple[str, ...] | None] = {}

    def layers(self, node: Node, names: Sequence[str], *, result: str) -> None:
        """``node`` became layers of these names, of which ``result`` holds its outputs.

        The first reads the activations of the node. Each later one is taken to read them, too, and every one before it.
        """
        held = [self._holders.get(name) for name in self._graph.activations(node)]
        for index, name in enumerate(names):
            read = dict.fromkeys((*(name for many in held for name in many or ()), *names[:index]))
            self._reads[name] = None if None in held else tuple(read)
        self._holders.update(dict.fromkeys(filter(None, node.outputs), (result,)))

    def holds(self, node: Node, layer: str) -> None:
        """The outputs of ``node`` are what ``layer`` wrote."""
        self._holders.update(dict.fromkeys(filter(None, node.outputs), (layer,)))

    def same_place(self, node: Node, *sources: str) -> None:
        """The outputs of ``node`` are the elements of the ``sources``, or take their place."""
        if all(source in self._holders for source in sources):
            holders = tuple(dict.fromkeys(name for source in sources for name in self._holders[source]))
            self._holders.update(dict.fromkeys(filter(None, node.outputs), holders))

    def is_made_here(self, tensor: str) -> bool:
        """Whether layers alone wrote ``tensor``, in this run or, what is held, in an earlier one."""
        holders = self.holders(tensor)
        return bool(holders) and not {*holders} & {*self._inputs.values()}

    def holders(self, tensor: str) -> tuple[str, ...]:
        """The layers and inputs whose results ``tensor`` lies in, as far as they are known."""
        return self._holders.get(tensor, ())

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
        given = {**self._inputs, **self._held}
        sizes = {name: self._graph.shapes.get(name) for name in given}
        if any(names is None for names in reads) or any(shape is None for shape in sizes.values()):
            return None
        read = {name for names in reads for name in names or ()}
        handed_back = {name for tensor in self._graph.outputs for name in self.holders(tensor)}
        return DataFlow(
            reads=tuple(names or () for names in reads),
            given=tuple(
                Given(name=given[name], elements=math.prod(shape or ()), held=name in self._held)
                for name, shape in sizes.items()
            ),
            outputs=tuple(name for name in layers if name in handed_back and name in read),
        )
