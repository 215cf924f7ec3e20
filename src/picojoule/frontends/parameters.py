"""Which parameters the layers of a graph count, each element once, whatever way it takes to the layer that reads it.

A constant may be a parameter, a part of one, or worked out from several beforehand (a norm of weights, rows of a table
for positions that are fixed, an adapter merged into its matrix). However it comes about, the first layer that reads it
counts the parameters behind it:

* in the place of weights a slice counts its own elements, so that a matrix that several layers share counts once;
* anywhere else (tables, position embeddings) a parameter counts as a whole, even if the network reads a few rows of it.

An ONNX file doesn't tell parameters from other stored data. There what stands in the place of weights counts as such,
and elsewhere what is large and reaches its layer without arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from picojoule.frontends.graph import Graph, Node, Place
from picojoule.workload.network import WEIGHTLESS, Layer

if TYPE_CHECKING:
    import numpy as np

RESHAPING = frozenset(
    "Cast DequantizeLinear Flatten Identity QuantizeLinear Reshape Squeeze Transpose Unsqueeze".split()
)
"""What leaves parameters the same parameters."""

_FORMS = RESHAPING | frozenset("Expand Gather GatherElements GatherND Slice Split Tile".split())
"""What hands on, repeats or picks from stored elements, without computing anything."""

FOLDED = frozenset(("BatchNormalization", "PRelu"))
"""Operators whose own parameters are not counted where they ride along."""

_READ_BY = {"Attention": {0: 0, 1: 0, 2: 2, 3: 1, 4: 0, 5: 2}, **dict.fromkeys(("LSTM", "GRU", "RNN"), {5: 1, 6: 2})}
"""Which of an operator's layers reads its inputs; of other operators, the first."""

_MOST_RUNS = 2**20


class _Part(NamedTuple):
    """Elements of a parameter: those of a view, or all."""

    root: str
    place: Place | None


class _Claim(NamedTuple):
    """Elements that nobody counted before, and all that there are."""

    new: int
    all: int


class Parameters:
    """Keeps account of the parameters that the layers so far count.

    Args:
        graph: of the network.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._parts: dict[str, frozenset[_Part]] = {}
        self._counted: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._names: set[str] = set()
        self._same: dict[str, str] = {}
        first: dict[Any, str] = {}
        for name in graph.learned or ():
            place = graph.places.get(name)
            self._parts[name] = frozenset([_Part(name, place)])
        for node in graph.nodes:
            if not all(name in graph.constants for name in node.outputs if name):
                continue
            behind = frozenset().union(*(self._of(name) for name in node.inputs if name))
            for index, name in enumerate(filter(None, node.outputs)):
                self._parts[name] = self._placed(name) or behind
                if node.op in _FORMS:  # the same part of the same thing is one, however often it is taken
                    settings = tuple(sorted((key, str(value.value)) for key, value in node.attributes.items()))
                    read = tuple(self._read(tensor) for tensor in node.inputs)
                    self._same[name] = first.setdefault((node.op, settings, read, index, self._place(name)), name)

    def _place(self, name: str) -> Any:
        place = self._graph.places.get(name)
        return place[1:] if place is not None else self._graph.shapes.get(name)

    def _of(self, tensor: str) -> frozenset[_Part]:
        found = self._parts.get(tensor)
        return found if found is not None else self._placed(tensor)

    def _placed(self, tensor: str) -> frozenset[_Part]:
        place = self._graph.places.get(tensor)
        known = place is not None and self._graph.learned is not None and place.base in self._graph.learned
        return frozenset([_Part(place.base, place)]) if known and place is not None else frozenset()

    def _read(self, tensor: str) -> Any:
        values = self._graph.values.get(tensor)
        if values is not None:
            return (values.dtype.str, values.shape, values.tobytes())
        return self._same.get(tensor, self._graph.same.get(tensor, tensor))

    def root(self, tensor: str) -> str:
        """The name under which the stored elements in ``tensor`` count."""
        graph = self._graph
        tensor = self._same.get(tensor, tensor)
        while tensor in graph.producers and graph.producers[tensor].op in RESHAPING:
            tensor = graph.producers[tensor].given(0)
            tensor = self._same.get(tensor, tensor)
        return graph.same.get(tensor, tensor)

    def is_learned(self, tensor: str) -> bool:
        """Whether parameters are behind the constant ``tensor``, as far as the file says."""
        return bool(self._of(tensor)) and tensor in self._graph.constants

    def _is_made(self, tensor: str) -> bool:
        """Whether nothing that the model stores is behind the constant ``tensor`` of a PyTorch program."""
        if self._graph.learned is None or tensor in self._graph.same:
            return False
        maker = self._graph.producers.get(tensor)
        return maker is None or all(map(self._is_made, filter(None, maker.inputs)))

    def settle(
        self, node: Node, layers: Sequence[Layer], weights: Sequence[str], bias: str
    ) -> tuple[Layer, ...]:
        """The layers of ``node`` with the parameters that are theirs to count.

        Args:
            node: the operator.
            layers: what it becomes; each nest counts all of its weights and biases.
            weights: the tensor in the place of the weights of each, "" where there is none.
            bias: the tensor that holds the biases.
        """
        constants = list(dict.fromkeys(name for name in node.inputs if name in self._graph.constants))
        found = list(layers)
        left = [name for name in constants if name]
        nests = [i for i, layer in enumerate(layers) if layer.nest and layer.kind != WEIGHTLESS]
        rest = next((name for name in (*weights, *constants) if name in constants), "")
        if nests and bias in left:  # before what more there may be behind the weights
            self._settle_biases(found, bias)
            left.remove(bias)
        for tensor in dict.fromkeys(weights[i] if weights[i] in constants else rest for i in nests):
            readers = [i for i in nests if (weights[i] if weights[i] in constants else rest) == tensor]
            self._settle_weights(found, readers, tensor)
            left = [name for name in left if name != tensor]
        rows = all(layer.nest is None for layer in layers)
        if self._graph.learned is None or rows and not any(map(self.is_learned, left)):
            self._settle_stored(found, rest if rows else left[-1] if left else "", left)
        else:
            found = [layer if layer.nest else replace(layer, biases=0) for layer in found]
            for tensor in left:
                index = _READ_BY.get(node.like or node.op, {}).get(node.inputs.index(tensor), 0)
                self._add(found, index, tensor)
        return tuple(found)

    def rides_along(self, node: Node, layer: Layer) -> Layer:
        """``layer`` with the parameters of a function of single elements that is applied on its write-back."""
        found = [layer]
        if (node.like or node.op) not in FOLDED and not node.op.endswith("prelu"):
            for tensor in dict.fromkeys(node.inputs):
                if self.is_learned(tensor):
                    self._add(found, 0, tensor)
        return found[0]

    def claim_bias(self, tensor: str) -> bool:
        """Whether the stored ``tensor`` is counted now for the first time."""
        new = self.root(tensor) not in self._names
        self._names.add(self.root(tensor))
        return new

    def _add(self, layers: list[Layer], index: int, tensor: str) -> None:
        if not self.is_learned(tensor):
            self._names.add(self.root(tensor))
            return
        layer, claim = layers[index], self._claim(tensor, whole=layers[index].nest is None)
        unread = layer.nest is None and not layer.biases + claim.new and bool(layer.read_weights)
        layers[index] = replace(layer, biases=layer.biases + claim.new, shared=layer.shared or unread)
        if layer.nest is None and layers[index].biases:
            layers[index] = replace(layers[index], shared=False)

    def _settle_weights(self, layers: list[Layer], readers: list[int], tensor: str) -> None:
        """What stands in the place of the weights: whole nests where it is new, else what is new of it."""
        claim = self._claim(tensor, whole=False)
        sizes = sum(layers[i].weights for i in readers)
        learned = self.is_learned(tensor)
        if claim.new == claim.all and (not learned or claim.new >= sizes):
            more = claim.new - sizes if learned else 0
        else:
            more = claim.new if learned else 0
            for i in readers:
                layers[i] = replace(layers[i], shared=True)
        if more:
            layers[readers[0]] = replace(layers[readers[0]], biases=layers[readers[0]].biases + more)

    def _settle_biases(self, layers: list[Layer], bias: str) -> None:
        claim = self._claim(bias, whole=False)
        stated = sum(layer.biases for layer in layers if layer.nest)
        if claim.new == (stated if self.is_learned(bias) else claim.all) and not self._is_made(bias):
            return
        for i, layer in enumerate(layers):
            if layer.nest:
                layers[i] = replace(layer, biases=claim.new if i == 0 and self.is_learned(bias) else 0)

    def _settle_stored(self, layers: list[Layer], owned: str, constants: Iterable[str]) -> None:
        """Rows of an ONNX file, or of buffers: all that the operator says, where it is new."""
        if owned and self.root(owned) in self._names:
            for i, layer in enumerate(layers):
                if layer.biases and not layer.nest:
                    layers[i] = replace(layer, biases=0, shared=bool(layer.read_weights))
        self._names.update(self.root(name) for name in constants)

    def _claim(self, tensor: str, *, whole: bool) -> _Claim:
        """Counts what ``tensor`` holds, or ``whole`` parameters of which it holds a part."""
        if not self.is_learned(tensor):
            size, root = math.prod(self._graph.shapes.get(tensor, ())), self.root(tensor)
            new = root not in self._names
            self._names.add(root)
            return _Claim(size if new else 0, size)
        self._names.add(self.root(tensor))
        new = every = 0
        roots: dict[str, list[Place | None]] = {}
        for part in self._of(tensor):
            roots.setdefault(part.root, []).append(None if whole else part.place)
        for root, places in roots.items():
            one, size = self._graph.same.get(root, root), math.prod(self._graph.shapes.get(root, ()))
            runs = [_runs(place, size) if place is not None else None for place in places]
            asked = _united([run if run is not None else _all(size) for run in runs])
            before = self._counted.get(one)
            after = asked if before is None else _united([before, asked])
            new += _length(after) - (_length(before) if before is not None else 0)
            every += _length(asked)
            self._counted[one] = after
        return _Claim(new, every)


def learned_elements(graph: Graph, tensor: str) -> int:
    """Elements of what the constant ``tensor`` of a graph is read from, where it isn't known what is a parameter.

    0 if it is worked out, or if it is known what is one: then `Parameters` counts them.
    """
    if graph.learned is not None:
        return 0
    while tensor in graph.producers and graph.producers[tensor].op in _FORMS:
        tensor = graph.producers[tensor].given(0)
    stored = tensor not in graph.producers and tensor in graph.constants
    return math.prod(graph.shapes.get(tensor, ())) if stored else 0


def _all(size: int) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    return np.array([0]), np.array([size])


def _runs(place: Place, size: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The elements of a view as runs of neighbours, by first and last (exclusive); None if there are too many runs."""
    import numpy as np

    axes = sorted((stride, length) for length, stride in zip(place.sizes, place.strides, strict=True) if length > 1)
    run, outer = 1, []
    for stride, length in axes:
        if stride == 0:
            continue
        if stride == run and not outer:
            run *= length
        else:
            outer.append((stride, length))
    if math.prod(length for _, length in outer) > _MOST_RUNS:
        return None
    starts = np.array([place.offset], dtype=np.int64)
    for stride, length in outer:
        starts = (starts[:, None] + stride * np.arange(length, dtype=np.int64)).reshape(-1)
    if starts.size == 0 or starts.min() < 0 or starts.max() + run > size:
        return None
    return starts, starts + run


def _united(runs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The union of runs of elements, in order and apart."""
    import numpy as np

    starts, ends = (np.concatenate(side) for side in zip(*runs, strict=True))
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    first = np.concatenate(([True], starts[1:] > ends[:-1]))
    last = np.concatenate((first[1:], [True]))
    return starts[first], ends[last]


def _length(runs: tuple[np.ndarray, np.ndarray]) -> int:
    return int((runs[1] - runs[0]).sum())
