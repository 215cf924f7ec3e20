"""Networks made of nothing but layers to be timed, each in the surroundings that it has in a real network.

A layer alone in a network would be timed with things that its real surroundings spare it: its input reordered into the
layout that the runtime's kernels like, its output reordered back, its weights in the nearest cache because nothing else
has been there since. Here a cheap layer before it writes the input in that layout, a pool after it reads the output, and
as many others run in between as a real network has. Only the node of the layer itself is timed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from picojoule.workload.nest import Nest
from picojoule.workload.network import WEIGHTLESS, Layer

CARRIED = 32
"""Layers in one network, at most: of as many as a MobileNet has. With 12 the caches keep more, and networks are foretold 6 % too fast."""
CARRIED_BYTES = 16 * 2**20
"""Weights in one network, at most, unless a single layer has more: what a MobileNet has."""
BALLAST_BYTES = 4 * 2**20
"""Weights that pass through the caches at every run at least, so that those of a layer aren't found in the nearest."""

_OPSET, _IR = 17, 9
_FEW_CHANNELS = 4
"""Up to so many channels an input is taken for an image that comes from outside."""
_WORD_BYTES = 4


@dataclass(frozen=True, slots=True)
class LayerShape:
    """All of a layer that its latency depends on here: float32, an activation like ReLU fused into it.

    Attributes:
        kind: ``conv``, ``fc``, or ``matmul`` of two activations.
        nest: sizes, stride, dilation and padding.
    """

    kind: str
    nest: Nest

    @property
    def weight_bytes(self) -> int:
        return _WORD_BYTES * self.nest.elements("weights")


def shape_of(layer: Layer) -> LayerShape | None:
    """The shape of a layer of a network; None for a layer without loops, or one that is quantized."""
    if layer.nest is None or layer.bits is not None:
        return None
    return LayerShape({"depthwise": "conv"}.get(layer.kind, layer.kind), layer.nest)


def in_batches(shapes: Sequence[LayerShape]) -> Iterator[tuple[LayerShape, ...]]:
    """The shapes in groups that make one network each, in order."""
    batch: list[LayerShape] = []
    for shape in shapes:
        full = len(batch) == CARRIED or sum(one.weight_bytes for one in batch) + shape.weight_bytes > CARRIED_BYTES
        if batch and full:
            yield tuple(batch)
            batch = []
        batch.append(shape)
    if batch:
        yield tuple(batch)


def carrier(shapes: Sequence[LayerShape], seed: int = 0, *, bare: bool = False) -> bytes:
    """An ONNX model that runs every shape once; the node of the i-th is called by ``node_name(i)``.

    With ``bare`` the same without the layers themselves: what has to be taken off where only the whole can be measured.
    """
    build = _Builder(seed)
    if sum(shape.weight_bytes for shape in shapes) < BALLAST_BYTES:
        build.ballast()
    for place, shape in enumerate(shapes):
        build.surroundings(place, shape) if bare else build.layer(place, shape)
    return build.model()


def chain(count: int, channels: int = 64, size: int = 4, seed: int = 0) -> bytes:
    """``count`` convolutions that do next to nothing, one after the other: what remains is what a node costs."""
    build = _Builder(seed)
    source = build.input("x", (1, 1, size, size))
    source = build.convolution("entry", source, Nest(K=channels, P=size, Q=size))
    for place in range(count):
        source = build.convolution(f"link{place}", source, Nest(G=channels, P=size, Q=size))
    build.pool("exit", source)
    return build.model()


def node_name(place: int) -> str:
    """What the i-th layer of a carrier is called."""
    return f"layer{place}"


class _Builder:
    """Collects nodes, weights, inputs and outputs of an ONNX model."""

    def __init__(self, seed: int) -> None:
        import numpy as np

        self._rng = np.random.default_rng(seed)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: dict[str, tuple[int, ...]] = {}
        self._outputs: list[str] = []

    def input(self, name: str, sizes: tuple[int, ...]) -> str:
        self._inputs[name] = sizes
        return name

    def layer(self, place: int, shape: LayerShape) -> None:
        name, nest = node_name(place), shape.nest
        rows = nest.N * nest.P * nest.Q
        if shape.kind == WEIGHTLESS:
            left = self.input(f"left{place}", (nest.G, rows, nest.C))
            right = self.input(f"right{place}", (nest.G, nest.C, nest.K))
            self._node("MatMul", [left, right], name)
            self._outputs.append(name)
        elif shape.kind == "fc":
            self._linear(name, self.input(f"rows{place}", (rows, nest.C)), nest.C, nest.K)
        else:
            self.pool(f"after_{name}", self.convolution(name, self._source(place, nest), nest))

    def surroundings(self, place: int, shape: LayerShape) -> None:
        """What is around a layer, without it."""
        if shape.kind not in (WEIGHTLESS, "fc"):
            self.pool(f"after_{node_name(place)}", self._source(place, shape.nest))

    def convolution(self, name: str, source: str, nest: Nest) -> str:
        """A convolution and its activation; the name of its output."""
        weights = self._drawn(f"{name}_w", (nest.G * nest.K, nest.C, nest.R, nest.S))
        biases = self._drawn(f"{name}_b", (nest.G * nest.K,))
        self._node(
            "Conv", [source, weights, biases], name, f"{name}_sum", group=nest.G, kernel_shape=[nest.R, nest.S],
            strides=list(nest.stride), dilations=list(nest.dilation), pads=list(nest.pad),
        )  # fmt: skip
        self._node("Relu", [f"{name}_sum"], f"{name}_relu", name)
        return name

    def pool(self, name: str, source: str) -> None:
        self._node("GlobalAveragePool", [source], name)
        self._outputs.append(name)

    def ballast(self) -> None:
        side = int((BALLAST_BYTES / _WORD_BYTES) ** 0.5)
        self._linear("ballast", self.input("ballast_in", (1, side)), side, side)

    def _source(self, place: int, nest: Nest) -> str:
        """The input of a layer: from outside if it is an image, else what a cheap layer has just written."""
        channels, rows, columns = nest.G * nest.C, nest.input_rows, nest.input_columns
        if channels <= _FEW_CHANNELS:
            return self.input(f"image{channels}_{nest.N}_{rows}_{columns}", (nest.N, channels, rows, columns))
        plane = self.input(f"plane_{nest.N}_{rows}_{columns}", (nest.N, 1, rows, columns))
        return self.convolution(f"before{place}", plane, Nest(N=nest.N, K=channels, P=rows, Q=columns))

    def _linear(self, name: str, source: str, before: int, after: int) -> None:
        weights, biases = self._drawn(f"{name}_w", (before, after)), self._drawn(f"{name}_b", (after,))
        self._node("Gemm", [source, weights, biases], name)
        self._outputs.append(name)

    def _drawn(self, name: str, sizes: tuple[int, ...]) -> str:
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(self._rng.standard_normal(sizes, "float32") * 0.1, name))
        return name

    def _node(self, op: str, inputs: list[str], name: str, output: str = "", **attributes: Any) -> None:
        from onnx import helper

        self._nodes.append(helper.make_node(op, inputs, [output or name], name=name, **attributes))

    def model(self) -> bytes:
        """The model as it stands in a file."""
        from onnx import TensorProto, helper

        inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in self._inputs.items()]
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in self._outputs]
        graph = helper.make_graph(self._nodes, "carrier", inputs, outputs, self._weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        return made.SerializeToString()
