"""A network as the operators see it: named nodes, the shape of every tensor, and which tensors are constant.

Whatever the model was written in, its nodes are called by the names of ONNX here, so that one function per operator
serves all readers. A tensor is **constant** if it doesn't depend on what the network is given: weights, the output of
Constant, the shape of an activation (all shapes are known here), and whatever is computed from constants alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from picojoule.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int, ...]

MULTIPLYING = frozenset("Conv ConvTranspose Gemm MatMul Einsum Attention LSTM GRU RNN".split())
"""Operators that become nests, apart from those of whole numbers."""

LARGEST_TENSOR = 2**40
"""More elements than this in one tensor are taken for a mistake in the file."""


_REPEATING = frozenset("Cast Expand Identity Reshape Slice Squeeze Tile Transpose Unsqueeze".split())


class Place(NamedTuple):
    """Which elements of the tensor ``base`` a view of it holds: counted from the first, by axes, as torch does."""

    base: str
    offset: int
    sizes: Shape
    strides: Shape


class Attribute(NamedTuple):
    """A setting of a node: its type as ONNX calls it (INT, INTS, FLOAT, STRING, …) and its value."""

    kind: str
    value: Any


def attribute(value: int | float | str | tuple[int, ...] | list[int]) -> Attribute:
    """The attribute that holds ``value``."""
    if isinstance(value, int):
        return Attribute("INT", int(value))
    if isinstance(value, str):
        return Attribute("STRING", value)
    return Attribute("FLOAT", value) if isinstance(value, float) else Attribute("INTS", tuple(value))


def free_name(name: str, taken: dict[str, int]) -> str:
    """``name``, or where it is taken ``name (2)``, ``name (3)``, …; ``taken`` takes note of it.

    >>> taken = {}
    >>> [free_name("lin", taken) for _ in range(3)]
    ['lin', 'lin (2)', 'lin (3)']
    """
    unique = name
    while unique in taken:
        taken[name] += 1
        unique = f"{name} ({taken[name]})"
    taken[unique] = 1
    return unique


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator of the graph.

    Attributes:
        name: the user's own, else that of the first output; different for every node.
        op: the operator in ONNX's words; one from outside the ONNX standard carries its domain before it.
        inputs: names of tensors; an empty name is an optional input left out.
        outputs: names of tensors.
        attributes: as in the file, by name, see `attribute`.
        captures: tensors that subgraphs inside the node read from outside.
        place: file and node, for messages.
        like: the operator of ONNX that stands for one without a counterpart there; "" where ``op`` is its own.
        title: the user's name for what the node comes to, if that is not ``name``; several nodes may share it.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]
    captures: frozenset[str]
    place: str
    like: str = ""
    title: str = ""

    def given(self, index: int) -> str:
        """Name of input ``index``, or "" if the node does without it."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def integer(self, name: str, default: int) -> int:
        """The attribute ``name``, a whole number."""
        return self._read(name, "INT", default)

    def integers(self, name: str, count: int, default: int, *, least: int = 1) -> Shape:
        """The attribute ``name``, ``count`` whole numbers, each at least ``least``; all ``default`` if absent."""
        values = tuple(self._read(name, "INTS", (default,) * count))
        if len(values) != count or any(value < least for value in values):
            raise ModelError(
                f"{name} is {list(values)}; {count} whole numbers of at least {least} are allowed", where=self.place
            )
        return values

    def text(self, name: str, default: str) -> str:
        """The attribute ``name``, a string."""
        return self._read(name, "STRING", default)

    def has(self, name: str) -> bool:
        """Whether the attribute ``name`` is there."""
        return name in self.attributes

    def _read(self, name: str, kind: str, default: Any) -> Any:
        if name not in self.attributes:
            return default
        actual, value = self.attributes[name]
        if actual != kind:
            raise ModelError(f"attribute {name} has type {actual}; {kind} is allowed", where=self.place)
        return value


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
        bits: width of the tensors that are stored quantized.
        same: for parameters under several names, the name under which they count.
        learned: the tensors that are parameters; None where the file doesn't tell them from other stored data.
        places: where in a parameter a view of it lies.
        held: tensors that the network keeps from one run to the next, and the user's names for them.
    """

    label: str
    nodes: tuple[Node, ...]
    shapes: dict[str, Shape]
    constants: frozenset[str]
    values: dict[str, np.ndarray]
    outputs: frozenset[str]
    producers: dict[str, Node]
    consumers: dict[str, tuple[Node, ...]]
    doubts: dict[str, str] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    learned: frozenset[str] | None = None
    places: dict[str, Place] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)

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

    def distinct(self, tensor: str, node: Node) -> int:
        """Elements of the constant ``tensor``, those that it repeats (a class token for every input) once."""
        least = self.elements(tensor, node)
        while tensor in self.producers:
            maker = self.producers[tensor]
            if (maker.like or maker.op) not in _REPEATING or maker.given(0) not in self.shapes:
                break
            tensor = maker.given(0)
            least = min(least, math.prod(self.shapes[tensor]))
        return least

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
        count = len(node.attributes[attribute].value) if node.attributes[attribute].kind == "INTS" else 0
        return list(node.integers(attribute, count, 0, least=-(2**63)))
