"""An ONNX file becomes a `Network`: read its structure, fix the shapes, ask each operator what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from picojoule.errors import ModelError
from picojoule.frontends.graph import Graph
from picojoule.frontends.onnx_contrib import standardise
from picojoule.frontends.onnx_graph import make_graph
from picojoule.frontends.onnx_inference import infer
from picojoule.frontends.onnx_inputs import apply_shapes, data_inputs, separate_weights
from picojoule.frontends.onnx_wire import not_onnx, read_structure
from picojoule.frontends.walk import walk
from picojoule.workload.network import Network

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
    graph, inputs, variant = read_graph(path, shape=shape)
    walked = walk(graph, inputs)
    if not any(layer.nest for layer in walked.layers):
        raise ModelError(
            f"nothing to cost: no convolution, fully connected layer or product of matrices among {_census(graph)}",
            where=label,
            hint="docs/reference/operators.md lists the operators that picojoule costs.",
        )
    return Network(
        name=path.stem,
        layers=walked.layers,
        input_shape=graph.shapes.get(inputs[0], ()) if inputs else (),
        variant=variant,
        source=f"the model file {path.name}",
        not_costed=walked.missing,
        flow=walked.flow,
    )


def read_graph(path: Path, *, shape: Mapping[str, tuple[int, ...]] | None = None) -> tuple[Graph, list[str], str]:
    """The graph in an ONNX file, the names of its inputs, and which operators and what tool it is written with.

    Raises:
        ModelError, UsageError, SystemFailure: as `read_onnx`.
    """
    label = str(path)
    model = _parse(path, label)
    opset = _opset(model, label)
    weights, values = separate_weights(model, label)
    apply_shapes(model, shape or {}, weights, label)
    graph = make_graph(model, label=label, weights=weights, inferred=infer(model, values))
    producer = " ".join(filter(None, (model.producer_name, model.producer_version)))
    variant = f"ONNX opset {opset}" + (f", written by {producer}" if producer else "")
    return graph, [entry.name for entry in data_inputs(model, weights)], variant


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
    standardise(model)
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


def _census(graph: Graph) -> str:
    counts = Counter(node.op for node in graph.nodes).most_common()
    listed = ", ".join(f"{op} ×{count}" for op, count in counts[:8])
    return f"{len(graph.nodes)} operators ({listed}{', …' if len(counts) > 8 else ''})"


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
