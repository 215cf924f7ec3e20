"""An ONNX file becomes a `Network`: read its structure, fix the shapes, ask each operator what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from picojoule.errors import ModelError
from picojoule.frontends.onnx_flow import FlowTracker
from picojoule.frontends.onnx_graph import Graph, Node, make_graph
from picojoule.frontends.onnx_inference import infer
from picojoule.frontends.onnx_inputs import apply_shapes, data_inputs, separate_weights
from picojoule.frontends.onnx_operators import OPERATORS, Free, Pointwise, elementwise_row, not_costed
from picojoule.frontends.onnx_wire import not_onnx, read_structure
from picojoule.workload.network import Layer, Network, NotCosted

if TYPE_CHECKING:
    import onnx
    from google.protobuf.message import Message

OLDEST_OPSET = 9


def read_onnx(path: Path, *, shape: Mapping[str, tuple[int, ...]] | None = None) -> Network:
    """The network in an ONNX file. Weights are never read, external ones least of all.

    Args:
        path: the file.
        shape: sizes of inputs by name, for those that the file leaves open.

    Raises:
        ModelError: the file is no ONNX model, older than opset 9, has shapes that can't be found out, or holds no
            convolution and no fully connected layer.
        UsageError: ``shape`` names an input that isn't there, or with the wrong number of dimensions.
        SystemFailure: the file can't be read.
    """
    label = str(path)
    model = _parse(path, label)
    opset = _opset(model, label)
    weights, values = separate_weights(model, label)
    apply_shapes(model, shape or {}, weights, label)
    graph = make_graph(model, label=label, weights=weights, inferred=infer(model, values))
    inputs = [entry.name for entry in data_inputs(model, weights)]
    tracker = FlowTracker(graph, inputs)
    layers, missing = _walk(graph, tracker)
    if not any(layer.nest for layer in layers):
        raise ModelError(
            "nothing to cost: no convolution and no fully connected layer with constant weights"
            f" among {_census(graph)}",
            where=label,
            hint="picojoule costs Conv over one or two axes, and Gemm and MatMul with constant weights.",
        )
    producer = " ".join(filter(None, (model.producer_name, model.producer_version)))
    return Network(
        name=path.stem,
        layers=tuple(layers),
        input_shape=graph.shapes.get(inputs[0], ()) if inputs else (),
        variant=f"ONNX opset {opset}" + (f", written by {producer}" if producer else ""),
        source=f"the model file {path.name}",
        not_costed=tuple(missing),
        flow=tracker.flow([layer.name for layer in layers]),
    )


def _parse(path: Path, label: str) -> onnx.ModelProto:
    structure = read_structure(path, label)
    import onnx
    import onnx.inliner
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(structure)
    except DecodeError as problem:
        raise not_onnx(label, "its bytes are not in the ONNX format") from problem
    if not _readable_texts(model):
        raise not_onnx(label, "a name in it is not UTF-8 text")
    if not model.HasField("graph") or not model.graph.node:
        raise not_onnx(label, "it holds no graph" if not model.HasField("graph") else "its graph has no nodes")
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as problem:  # the C++ side raises several types of its own
            raise ModelError(f"its local functions can't be inlined: {_first_line(problem)}", where=label) from problem
    return model


def _readable_texts(message: Message) -> bool:
    """Whether all strings in the message are text; protobuf hands the others over as bytes."""
    for field, value in message.ListFields():
        several = not isinstance(value, str | bytes) and hasattr(value, "__len__")
        for item in value if several else (value,):
            if field.type == field.TYPE_MESSAGE and not _readable_texts(item):
                return False
            if field.type == field.TYPE_STRING and isinstance(item, bytes):
                return False
    return True


def _opset(model: onnx.ModelProto, label: str) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise not_onnx(label, "it doesn't say which operator set it uses")
    if max(versions) < OLDEST_OPSET:
        raise ModelError(
            f"it uses operator set {max(versions)}; {OLDEST_OPSET} and newer are allowed",
            where=label,
            hint="Convert it: onnx.save(onnx.version_converter.convert_version(onnx.load(FILE), 13), NEW_FILE).",
        )
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if max(versions) > newest:
        raise ModelError(
            f"it uses operator set {max(versions)}; the installed onnx {onnx.__version__} knows up to {newest}",
            where=label,
            hint="Install a newer onnx: pip install --upgrade onnx.",
        )
    return max(versions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where the elements of a tensor were last written.

    Two tensors of equal shape with equal ``base`` hold functions of the same elements, place by place.
    ``by_layer`` tells that a costed layer wrote them, on whose write-back more can ride along.
    """

    base: str
    by_layer: bool


def _walk(graph: Graph, tracker: FlowTracker) -> tuple[list[Layer], list[NotCosted]]:
    layers: dict[str, Layer] = {}
    missing: list[NotCosted] = []
    origins: dict[str, _Origin] = {}
    for node in graph.nodes:
        outputs = [name for name in node.outputs if name]
        if all(name in graph.constants for name in outputs):
            continue
        meaning = _meaning(node, graph)
        if isinstance(meaning, Pointwise):
            folded = _folds(node, graph, meaning, origins)
            if folded is not None:
                origins.update(dict.fromkeys(outputs, folded))
                tracker.same_place(node, meaning.operands[0])
                _give_biases(layers, graph.producers.get(meaning.operands[0]), meaning.biases)
                continue
            several = len(meaning.operands) > 1
            meaning = elementwise_row(node, graph, meaning.operands) if several else not_costed(node, graph)
        if isinstance(meaning, Free):
            tracker.same_place(node, meaning.source)
            source = origins.get(meaning.source, _Origin(base=meaning.source, by_layer=False))
            for name in outputs:
                origins[name] = _Origin(base=name, by_layer=source.by_layer) if meaning.part else source
            continue
        if isinstance(meaning, Layer):
            layers[node.name] = meaning
            tracker.layer(node)
        else:
            tracker.not_costed(node)
            missing.append(meaning)
        for name in outputs:
            origins[name] = _Origin(base=name, by_layer=isinstance(meaning, Layer))
    return list(layers.values()), missing


def _meaning(node: Node, graph: Graph) -> Layer | Free | Pointwise | NotCosted:
    try:
        return OPERATORS.get(node.op, not_costed)(node, graph)
    except ValueError as problem:
        raise ModelError(str(problem), where=node.place) from problem


def _folds(node: Node, graph: Graph, meaning: Pointwise, origins: dict[str, _Origin]) -> _Origin | None:
    """The origin of the output if the operator rides along on the write-back of one layer, else None."""
    found = {origins.get(name) for name in meaning.operands}
    if len(found) != 1:
        return None
    (origin,) = found
    if origin is None or not origin.by_layer:
        return None
    if len(meaning.operands) > 1 and len({graph.shape(name, node) for name in (*meaning.operands, *node.outputs)}) > 1:
        return None
    return origin


def _give_biases(layers: dict[str, Layer], maker: Node | None, biases: int) -> None:
    layer = layers.get(maker.name) if maker and biases else None
    if layer is not None and layer.nest and not layer.biases:
        layers[layer.name] = replace(layer, biases=biases)


def _census(graph: Graph) -> str:
    counts = Counter(node.op for node in graph.nodes).most_common()
    listed = ", ".join(f"{op} ×{count}" for op, count in counts[:8])
    return f"{len(graph.nodes)} operators ({listed}{', …' if len(counts) > 8 else ''})"


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
