"""An ONNX graph as the operators see it: named nodes, the shape of every tensor, and which tensors are constant.

A tensor is **constant** if it doesn't depend on what the network is given: weights, the output of Constant,
the shape of an activation (all shapes are known here), and whatever is computed from constants alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError
from picojoule.frontends.onnx_inference import Inferred, Shape, captured_names

if TYPE_CHECKING:
    import numpy as np
    import onnx

LARGEST_TENSOR = 2**40
"""More elements than this in one tensor are taken for a mistake in the file."""

_SHAPE_OF = frozenset(("Shape", "Size"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator of the graph.

    Attributes:
        name: the user's own, else that of the first output; different for every node.
        op: the operator; one from outside the ONNX standard carries its domain before it.
        inputs: names of tensors; an empty name is an optional input left out.
        outputs: names of tensors.
        attributes: as in the file, by name.
        captures: tensors that subgraphs inside the node read from outside.
        place: file and node, for messages.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    captures: frozenset[str]
    place: str

    def given(self, index: int) -> str:
        """Name of input ``index``, or "" if the node does without it."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def integer(self, name: str, default: int) -> int:
        """The attribute ``name``, a whole number."""
        return self._read(name, "INT", "i", default)

    def integers(self, name: str, count: int, default: int, *, least: int = 1) -> Shape:
        """The attribute ``name``, ``count`` whole numbers, each at least ``least``; all ``default`` if absent."""
        values = tuple(self._read(name, "INTS", "ints", (default,) * count))
        if len(values) != count or any(value < least for value in values):
            raise ModelError(
                f"{name} is {list(values)}; {count} whole numbers of at least {least} are allowed", where=self.place
            )
        return values

    def text(self, name: str, default: str) -> str:
        """The attribute ``name``, a string."""
        value = self._read(name, "STRING", "s", default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def _read(self, name: str, kind: str, field: str, default: Any) -> Any:
        attribute = self.attributes.get(name)
        if attribute is None:
            return default
        actual = attribute.AttributeType.Name(attribute.type)
        if actual != kind:
            raise ModelError(f"attribute {name} has type {actual}; {kind} is allowed", where=self.place)
        return getattr(attribute, field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The nodes in the order in which they run, and what is known of the tensors between them.

    Attributes:
        label: how messages name the file.
        shapes: of every tensor whose shape is known.
        constants: names of the constant tensors.
        values: contents of short constant tensors.
        outputs: what the network hands back.
        producers: the node that makes a tensor.
        consumers: the nodes that read a tensor.
        doubts: why the shape of a tensor stayed open, where there is a reason to tell.
    """

    label: str
    nodes: tuple[Node, ...]
    shapes: dict[str, Shape]
    constants: frozenset[str]
    values: dict[str, np.ndarray]
    outputs: frozenset[str]
    producers: dict[str, Node]
    consumers: dict[str, tuple[Node, ...]]
    doubts: dict[str, str]

    def shape(self, tensor: str, node: Node) -> Shape:
        """Shape of ``tensor``, which ``node`` needs.

        Raises:
            ModelError: it is unknown, holds a zero, or is beyond `LARGEST_TENSOR`.
        """
        if not tensor:
            raise ModelError(f"an input that {node.op} needs is missing", where=node.place)
        shape = self.shapes.get(tensor)
        if shape is None:
            raise ModelError(
                f"the shape of tensor {tensor!r} can't be inferred{self._reason(tensor)}",
                where=node.place,
                hint="Export the model with static shapes, or run it through onnxsim or"
                " onnxruntime's symbolic shape inference first.",
            )
        if 0 in shape:
            raise ModelError(f"tensor {tensor!r} has a dimension of size 0: {list(shape)}", where=node.place)
        if math.prod(shape) > LARGEST_TENSOR:
            raise ModelError(
                f"tensor {tensor!r} claims {math.prod(shape)} elements, shape {list(shape)};"
                f" at most {LARGEST_TENSOR} are allowed",
                where=node.place,
            )
        return shape

    def _reason(self, tensor: str) -> str:
        """Where shapes begin to be unknown on the way to ``tensor``, and why."""
        maker = self.producers.get(tensor)
        while maker is not None:
            tensor = next((name for name in maker.inputs if name and name not in self.shapes), "")
            if not tensor:
                doubt = next((f": {self.doubts[name]}" for name in maker.outputs if name in self.doubts), "")
                return f"; node {maker.name!r} ({maker.op}) leaves its output open{doubt}"
            maker = self.producers.get(tensor)
        return f"; {tensor!r} has none"

    def elements(self, tensor: str, node: Node) -> int:
        """Number of elements of ``tensor``; raises as `shape` does."""
        return math.prod(self.shape(tensor, node))

    def elements_moved(self, node: Node) -> int | None:
        """Activations that ``node`` reads and elements that it writes, or None if a shape is unknown."""
        tensors = (*self.activations(node), *filter(None, node.outputs))
        shapes = [self.shapes.get(name) for name in tensors]
        return None if None in shapes else sum(math.prod(shape) for shape in shapes if shape is not None)

    def activations(self, node: Node) -> tuple[str, ...]:
        """The inputs of ``node`` that depend on what the network is given, each once."""
        return tuple(dict.fromkeys(name for name in node.inputs if name and name not in self.constants))

    def whole_numbers(self, node: Node, index: int, attribute: str) -> list[int] | None:
        """Axes or pads, which newer operator sets hand over as input ``index`` and older ones as an attribute.

        None if they are absent, or computed in a way that can't be followed.
        """
        tensor = node.given(index)
        if tensor:
            values = self.values.get(tensor)
            if values is None or values.dtype.kind not in "iu":
                return None
            return [int(value) for value in values.reshape(-1)]
        if attribute not in node.attributes:
            return None
        return list(node.integers(attribute, len(node.attributes[attribute].ints), 0, least=-(2**63)))


def make_graph(
    model: onnx.ModelProto, *, label: str, weights: Iterable[str], inferred: Inferred
) -> Graph:
    """The graph of ``model``, whose shapes have been inferred.

    Args:
        model: nodes in topological order, local functions already inlined.
        label: how messages name the file.
        weights: names of initializers and of what else the file holds as data.
        inferred: shapes, short constants, and where shapes stayed open.

    Raises:
        ModelError: a node reads a tensor that nothing before it makes, or a tensor is made twice.
    """
    constants = set(weights)
    made = constants | {entry.name for entry in model.graph.input}
    nodes: list[Node] = []
    producers: dict[str, Node] = {}
    consumers: dict[str, list[Node]] = {}
    for proto, name in zip(model.graph.node, _names(model.graph.node), strict=True):
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
        op = f"{domain}{proto.op_type}"
        node = Node(
            name=name,
            op=op,
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            attributes={attribute.name: attribute for attribute in proto.attribute},
            captures=frozenset(captured_names(proto)),
            place=f"{label}: node {name!r} ({op})",
        )
        for tensor in node.inputs:
            if tensor and tensor not in made:
                raise ModelError(
                    f"it reads tensor {tensor!r}, which no input, weight or earlier node makes", where=node.place
                )
        if not any(node.outputs):
            raise ModelError("it has no output", where=node.place)
        for tensor in filter(None, node.outputs):
            if tensor in made:
                raise ModelError(f"tensor {tensor!r} is made a second time", where=node.place)
            made.add(tensor)
            producers[tensor] = node
        for tensor in {*node.inputs, *node.captures}:
            consumers.setdefault(tensor, []).append(node)
        if _is_constant(node, constants):
            constants.update(node.outputs)
        nodes.append(node)
    return Graph(
        label=label,
        nodes=tuple(nodes),
        shapes=inferred.shapes,
        constants=frozenset(constants),
        values=inferred.values,
        outputs=frozenset(entry.name for entry in model.graph.output),
        producers=producers,
        consumers={tensor: tuple(readers) for tensor, readers in consumers.items()},
        doubts=inferred.doubts,
    )


def _is_constant(node: Node, constants: set[str]) -> bool:
    if node.op in _SHAPE_OF or node.op == "Constant":
        return True
    given = [name for name in node.inputs if name]
    return bool(given) and not node.captures and all(name in constants for name in given)


def _names(protos: Iterable[onnx.NodeProto]) -> list[str]:
    """A name for every node, each different: its own, else its first output's, with a suffix where taken."""
    wanted = [proto.name or next(filter(None, proto.output), "") or proto.op_type or "node" for proto in protos]
    taken: set[str] = set(wanted)
    seen: set[str] = set()
    names = []
    for name in wanted:
        unique, count = name, 1
        while unique in seen or (count > 1 and unique in taken):
            count += 1
            unique = f"{name}_{count}"
        seen.add(unique)
        names.append(unique)
    return names
