"""From the graph of a network to its layers: asks each node what it comes to, and folds what rides along.

A tensor remembers who wrote its elements last. A function of single elements costs nothing where a costed layer has
just written them: it happens on that write-back. Where what was before it is read, too, the layer writes both: a first
walk finds out of which results there is more than one version (`versions`), a second one gives each its row.
Parameters count once, at their first use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from picojoule.errors import ModelError
from picojoule.frontends.flow import FlowTracker
from picojoule.frontends.graph import Graph, Node, free_name
from picojoule.frontends.operators import meaning
from picojoule.frontends.operators.elementwise import elementwise_row
from picojoule.frontends.operators.meaning import Free, Meaning, Pointwise, Rearranged
from picojoule.frontends.operators.padding import foldable_pad
from picojoule.frontends.parameters import RESHAPING, Parameters
from picojoule.frontends.versions import Versions
from picojoule.workload.data_flow import DataFlow
from picojoule.workload.movement import move_layer, version_layer
from picojoule.workload.network import WEIGHTLESS, Layer, ModelBits, NotCosted

_PARTS = {"LSTM": 3, "GRU": 3, "RNN": 3}
"""Layers of one direction of a recurrent operator, an LSTM's projection apart; each direction starts anew."""

_OPERANDS = {
    "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3, -1),
    "ConvInteger": (0, 1, -1),
    "MatMulInteger": (0, 1, -1),
    "com.microsoft.MatMulNBits": (0, 1, 5),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (0, 1, 3)),
    "Attention": (0, 1, -1),
    "Einsum": (0, 1, -1),
}
"""Inputs that hold data, weights and bias, where they are not the first three."""

_WEIGHTS_OF: dict[str, tuple[int | None, ...]] = {
    "Attention": (1, None, 2),
    "LSTM": (1, 2, None, 8),  # no LSTM of ONNX has a projection; see `torch_products`
    "GRU": (1, 2, None),
    "RNN": (1, 2, None),
}
"""Inputs that stand in the place of the weights, for each of the layers that an operator becomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where the elements of a tensor were last written.

    Two tensors of equal shape with equal ``base`` hold functions of the same elements, place by place.
    ``by_layer`` tells that a costed layer wrote them, on whose write-back more can ride along.
    """

    base: str
    by_layer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """The tensors of the graph that a layer reads and writes; empty where one is no tensor of the graph.

    ``outputs`` is what is written in the end: what rides along has been applied to it, unless it is a version apart.
    """

    inputs: tuple[str, ...] = ()
    weights: str = ""
    outputs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What a graph comes to: layers in order, with their tensors, what no layer stands for, and who reads what.

    ``makers`` has for each layer the node that it comes of.
    """

    layers: tuple[Layer, ...]
    makers: tuple[Node, ...]
    operands: tuple[Operands, ...]
    missing: tuple[NotCosted, ...]
    flow: DataFlow | None


@dataclass(slots=True)
class _Walk:
    """What is known after the nodes so far.

    ``made`` holds the layers of each node by their indices; ``written`` what was last applied to the elements of a
    version, and ``rounded`` its width if the model rounds it; ``rows`` the layers that stand for versions beyond the
    first, of which ``kept`` tells.
    """

    graph: Graph
    flow: FlowTracker
    parameters: Parameters
    versions: Versions
    kept: dict[str, list[str]]
    makers: dict[str, Node]
    rows: dict[str, int] = field(default_factory=dict)
    rounded: dict[str, int] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    operands: list[Operands] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    missing: list[NotCosted] = field(default_factory=list)
    origins: dict[str, _Origin] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    made: dict[str, range] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)


def walk(graph: Graph, inputs: Sequence[str]) -> Walked:
    """The layers of a network in the order in which they run, what no layer stands for, and who reads what.

    Args:
        graph: of the network.
        inputs: names of the tensors that it is given.

    Raises:
        ModelError: a node that makes no sense.
    """
    first = _walk(graph, inputs, {}, {})
    kept = first.versions.kept()
    several = any(len(versions) > 1 for versions in kept.values())
    state = _walk(graph, inputs, kept, first.versions.makers) if several else first
    _give_output_widths(state, kept)
    return Walked(
        layers=tuple(state.layers),
        makers=_makers(state),
        operands=tuple(
            _in_memory(tensors, layer, state, kept)
            for tensors, layer in zip(state.operands, state.layers, strict=True)
        ),
        missing=tuple(state.missing),
        flow=state.flow.flow([layer.name for layer in state.layers]),
    )


def _makers(state: _Walk) -> tuple[Node, ...]:
    made = {index: node for node in state.graph.nodes for index in state.made.get(node.name, ())}
    made |= {index: state.makers[version] for version, index in state.rows.items()}
    return tuple(made[index] for index in range(len(state.layers)))


def _in_memory(tensors: Operands, layer: Layer, state: _Walk, kept: dict[str, list[str]]) -> Operands:
    """The operands as they lie in memory: the version that is written, and that a layer applies functions to."""
    version = kept.get(tensors.outputs, [tensors.outputs])[0]
    inputs = tensors.inputs
    if layer.nest is None:
        inputs = tuple(dict.fromkeys(state.versions.fetched(name, kept) for name in inputs))
    return replace(tensors, inputs=inputs, outputs=state.written.get(version, version))


def _walk(graph: Graph, inputs: Sequence[str], kept: dict[str, list[str]], makers: dict[str, Node]) -> _Walk:
    state = _Walk(
        graph=graph,
        flow=FlowTracker(graph, inputs),
        parameters=Parameters(graph),
        versions=Versions(graph=graph),
        kept=kept,
        makers=makers,
        widths=dict(graph.bits),
    )
    for node in graph.nodes:
        stored = scaled_constant(graph, node) or (node.given(0) if node.op in RESHAPING else "")
        if stored in state.widths:
            # Whatever a quantized tensor is turned into on reading, it lies in memory as it was stored.
            state.widths.update({name: state.widths[stored] for name in node.outputs if name not in graph.bits})
        if not all(name in graph.constants for name in node.outputs if name):
            _visit(node, state)
    state.versions.reads(sorted(graph.outputs - graph.constants))
    return state


def scaled_constant(graph: Graph, node: Node) -> str:
    """The constant that ``node`` multiplies with a smaller one, or shifts by it, as weights are dequantized; else ""."""
    if node.op not in ("Add", "Div", "Mul", "Sub") or node.outputs[0] not in graph.constants:
        return ""
    sizes = [math.prod(graph.shapes.get(name, (0,))) for name in node.inputs]
    whole = math.prod(graph.shapes.get(node.outputs[0], ()))
    return node.inputs[sizes.index(whole)] if sizes.count(whole) == 1 else ""


def _visit(node: Node, state: _Walk) -> None:
    found, outputs = _meaning(node, state.graph), [name for name in node.outputs if name]
    if isinstance(found, Pointwise):
        folded = _folds(node, state, found)
        if folded is not None:
            if state.graph.learned is not None:
                _give_learned(node, state, found.operands[0])
            elif found.bias and _unscaled(state, found.operands[0]) == state.parameters.root(folded.base):
                _give_bias(state, folded, found.bias)
            state.origins.update(dict.fromkeys(outputs, folded))
            others = [name for name in state.graph.activations(node) if name not in found.operands]
            state.versions.reads(others, applying=True)
            _apply(node, state, folded, found.operands)
            return
        found = elementwise_row(node, state.graph, found.operands)
    if isinstance(found, Rearranged):
        found = _rearranged(node, state, found)
    if isinstance(found, Free):
        source = state.origins.get(found.source, _Origin(base=found.source, by_layer=False))
        if not all(state.origins[name].by_layer if name in state.origins else False for name in found.beside):
            source = replace(source, by_layer=False)
        quantized = node.op in ("QuantizeLinear", "Cast", "Identity") and node.outputs[0] in state.graph.bits
        if quantized and source.by_layer:
            # Rounding is a function of single elements, too.
            _apply(node, state, source, (found.source,))
        else:
            state.flow.same_place(node, found.source, *found.beside)
            state.versions.reads(found.beside)
            if found.part and source.by_layer:
                state.versions.parts(node, found.source)
            else:
                state.versions.same(node, found.source)
        if node.op == "DequantizeLinear" and source.by_layer:
            state.written[state.versions.of(outputs[0])] = outputs[0]
        for name in outputs:
            state.origins[name] = _Origin(base=name, by_layer=source.by_layer) if found.part else source
            if found.source in state.widths:
                state.widths.setdefault(name, state.widths[found.source])
        return
    if isinstance(found, NotCosted):
        state.missing.append(replace(found, where=_titled(node, found.where, state)))
        state.flow.not_costed(node)
        state.versions.reads(state.graph.activations(node))
    else:
        _add_layers(node, state, found if isinstance(found, tuple) else (found,))
    for name in outputs:
        state.origins[name] = _Origin(base=name, by_layer=not isinstance(found, NotCosted))


def _meaning(node: Node, graph: Graph) -> Meaning:
    try:
        return meaning(node, graph)
    except ValueError as problem:
        raise ModelError(str(problem), where=node.place) from problem


def _folds(node: Node, state: _Walk, found: Pointwise) -> _Origin | None:
    """The origin of the output if the operator rides along on the write-back of one layer, else None."""
    origins = {state.origins.get(name) for name in found.operands}
    if len(origins) != 1:
        return None
    (origin,) = origins
    if origin is None or not origin.by_layer:
        return None
    graph, tensors = state.graph, (*found.operands, node.outputs[0])
    if any(name not in graph.shapes for name in tensors):
        return origin if len(found.operands) == 1 else None
    if len(found.operands) > 1:
        return origin if len({graph.shape(name, node) for name in tensors}) == 1 else None
    return origin if graph.elements(found.operands[0], node) == graph.elements(node.outputs[0], node) else None


def _rearranged(node: Node, state: _Walk, found: Rearranged) -> Free | Layer:
    """Free where a layer wrote the elements, which it can do in any order; else they are moved."""
    source = state.origins.get(found.source)
    if (source is not None and source.by_layer) or state.flow.is_made_here(found.source):
        return Free(source=found.source, part=True)
    elements = state.graph.elements(found.source, node)
    return move_layer(node.name, read=elements, written=elements, op=node.op)


def _add_layers(node: Node, state: _Walk, layers: tuple[Layer, ...]) -> None:
    data, weights, bias = _OPERANDS.get(node.op, (0, 1, 2))
    if node.given(0) in state.graph.constants:
        data, weights = weights, data
    first = len(state.layers)
    operands = _operands(node, state.graph, layers, data, weights)
    state.operands += operands
    places = [tensors.weights for tensors in operands]
    layers = state.parameters.settle(node, layers, places, node.given(bias) if bias >= 0 else "")
    for layer, tensors in zip(layers, operands, strict=True):
        layer = replace(layer, bits=_bits(layer, node, state, tensors), name=_titled(node, layer.name, state))
        state.layers.append(layer)
    state.versions.reads(state.graph.activations(node), applying=not any(layer.nest for layer in layers))
    state.made[node.name] = range(first, len(state.layers))
    own = len(state.layers)
    for version in (version for output in node.outputs for version in state.kept.get(output, ())[1:]):
        _add_version(version, state)
    state.flow.layers(node, [layer.name for layer in state.layers[first:]], result=state.layers[own - 1].name)


def _add_version(version: str, state: _Walk) -> None:
    """The row of one more version of the result that the layer before it writes."""
    maker = state.makers[version]
    layer = version_layer(maker.name, elements=state.graph.elements(version, maker), op=maker.op)
    state.rows[version] = len(state.layers)
    state.layers.append(replace(layer, name=_titled(maker, layer.name, state)))
    state.operands.append(Operands(outputs=version))


def _apply(node: Node, state: _Walk, origin: _Origin, operands: Sequence[str]) -> None:
    """``node`` rides along on a write-back: where its version has a row of its own, that holds the elements."""
    before = state.rounded.get(state.versions.of(operands[0]))
    version = state.versions.applied(node, operands, origin.base)
    state.written.setdefault(version, node.outputs[0])
    width = state.graph.bits.get(node.outputs[0], before)
    if width is not None:
        state.rounded[version] = width
    row = state.rows.get(version)
    if row is None:
        state.flow.same_place(node, operands[0])
    else:
        state.flow.holds(node, state.layers[row].name)


def _titled(node: Node, name: str, state: _Walk) -> str:
    """The user's name for a layer that ``node`` came to, numbered where another layer has it already."""
    return free_name((node.title or node.name) + name.removeprefix(node.name), state.names)


def _operands(node: Node, graph: Graph, layers: tuple[Layer, ...], data: int, weights: int) -> list[Operands]:
    """The first layer of a node, or of each direction of it, reads its data, the last writes its result; between them
    lies what is no tensor here."""
    op = node.like or node.op
    places: tuple[int | None, ...] = _WEIGHTS_OF.get(op, (weights,))
    if op == "Einsum":
        places = (weights, *range(2, len(node.inputs)))  # one more operand in every step
    each = len(layers)
    if op in _PARTS:
        each = _PARTS[op] + bool(node.given(8) and op == "LSTM")
        places = places[:each]
    found = []
    for index, layer in enumerate(layers):
        place = places[index % len(places)] if layer.nest else None
        read = graph.activations(node)
        if layer.nest:
            read = (foldable_pad(graph, node)[0] if data == 0 else node.given(data),)
        elif op == "torch.Write":
            read = tuple(name for name in read if name in (node.given(0), *node.inputs[2:]))  # not what it overwrites
        found.append(
            Operands(
                inputs=tuple(filter(None, read)) if index % each == 0 else (),
                weights="" if place is None else node.given(place),
                outputs=node.outputs[0] if index == len(layers) - 1 else "",
            )
        )
    return found


def _unscaled(state: _Walk, tensor: str) -> str:
    """The name of the whole numbers that ``tensor`` is a multiple of, as a dequantized product is; else its own."""
    name, graph = state.parameters.root(tensor), state.graph
    maker = graph.producers.get(name)
    if maker is None or maker.op != "Mul":
        return name
    products = (state.parameters.root(factor) for factor in maker.inputs)
    whole = [x for x in products if x in graph.producers and graph.producers[x].op in ("ConvInteger", "MatMulInteger")]
    return whole[0] if len(whole) == 1 else name


def _bits(layer: Layer, node: Node, state: _Walk, tensors: Operands) -> ModelBits | None:
    """The widths that the model itself states for a layer, which are those of the tensors that it really touches."""
    given = [state.widths.get(name) for name in tensors.inputs]
    inputs = None if None in given else max((width for width in given if width is not None), default=None)
    weights = state.widths.get(tensors.weights)
    if not layer.nest and layer.read_weights:
        weights = state.widths.get(node.given(0))
    outputs = state.graph.bits.get(tensors.outputs)
    stated = layer.bits if isinstance(layer.bits, ModelBits) else ModelBits()
    bits = ModelBits(weights=stated.weights or weights, inputs=inputs, outputs=outputs)
    return None if bits == ModelBits() else bits


def _give_output_widths(state: _Walk, kept: dict[str, list[str]]) -> None:
    """What a layer writes is as wide as the model rounds it."""
    for result, versions in kept.items():
        maker = state.graph.producers.get(result)
        made = state.made.get(maker.name) if maker else None
        for version in versions if made else ():
            index = state.rows.get(version, made[-1] if made and version == versions[0] else None)
            if index is not None and version in state.rounded:
                layer = state.layers[index]
                bits = layer.bits if isinstance(layer.bits, ModelBits) else ModelBits()
                state.layers[index] = replace(layer, bits=replace(bits, outputs=state.rounded[version]))


def _give_bias(state: _Walk, origin: _Origin, bias: str) -> None:
    """Counts a constant that is added as the bias of the layer before, if it has one element per output channel."""
    maker = state.graph.producers.get(origin.base)
    if maker is None or not state.made.get(maker.name):
        return
    layer = state.layers[state.made[maker.name][0]]
    if layer.nest is None or layer.kind == WEIGHTLESS or layer.biases:
        return
    result, shape = state.graph.shape(origin.base, maker), state.graph.shape(bias, maker)
    channel_axis = 1 if layer.kind in ("conv", "depthwise") else len(result) - 1
    wanted = tuple(size if axis == channel_axis else 1 for axis, size in enumerate(result))
    if (1,) * (len(result) - len(shape)) + shape == wanted:
        if state.parameters.claim_bias(bias):
            state.layers[state.made[maker.name][0]] = replace(layer, biases=math.prod(shape))


def _give_learned(node: Node, state: _Walk, operand: str) -> None:
    """Counts the parameters that ride along with the layer that wrote ``operand``."""
    maker = state.graph.producers.get(state.origins[operand].base)
    made = state.made.get(maker.name) if maker else None
    holders = state.flow.holders(operand)
    if made:
        index = made[0]
    else:
        index = max((i for i, layer in enumerate(state.layers) if layer.name in holders), default=len(state.layers) - 1)
    state.layers[index] = state.parameters.rides_along(node, state.layers[index])
