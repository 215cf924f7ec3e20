"""What an operator of a network comes to.

A function takes the node and its graph and answers with one of

* a `Layer` or several: loop nests, or rows of traffic;
* `Pointwise`: a function of single elements, applied where its operand is written or read anyway;
* `Free`: the same data under another shape, or a part of it;
* `Rearranged`: the same data in another order;
* `NotCosted`: named in the result instead of counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from picojoule.frontends.graph import Graph, Node
from picojoule.workload.network import Layer, NotCosted


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """The output is ``source`` under another shape, element for element, or ``part`` of it.

    ``beside`` it lie elements of other tensors.
    """

    source: str
    part: bool = False
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearranged:
    """The output holds the elements of ``source`` in another order.

    Whatever wrote them writes them in that order at once; what nobody wrote (an input of the network) is moved.
    """

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointwise:
    """Every output element depends on the same element of each of the ``operands`` alone, and on constants.

    Attributes:
        operands: names of tensors, each once; constants among them are too large to ride along.
        bias: a constant that is added, and is a bias if the layer before has as many output channels.
    """

    operands: tuple[str, ...]
    bias: str = ""


Meaning = Layer | tuple[Layer, ...] | Free | Rearranged | Pointwise | NotCosted
Operator = Callable[[Node, Graph], Meaning]


def not_costed(node: Node, graph: Graph) -> NotCosted:
    """Any operator that nothing here knows."""
    return NotCosted(op=node.op, where=node.name, elements=graph.elements_moved(node))
