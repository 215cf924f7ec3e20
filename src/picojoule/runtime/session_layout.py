"""The stages of a bundle as ONNX Runtime keeps a network: optimised as a whole, then cut at the exits again.

Within a session ONNX Runtime keeps maps in blocks of channels, and reorders them at its ends. Stages that were opened
file by file would pay that at every exit. Here they are joined, optimised together by the runtime, and cut; what flows
from stage to stage then lies as kernels read it. Weights of a classifier that reads a whole map are put in the order of
the map, in place of putting the map in theirs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from picojoule.errors import BundleError, ModelError
from picojoule.runtime.bundle import Bundle
from picojoule.runtime.bundle_cutting import Piece, cut
from picojoule.runtime.bundle_merging import joined
from picojoule.runtime.bundle_sources import opened, random_input
from picojoule.runtime.manifest import Tensor
from picojoule.runtime.session_stage import first_line, open_model

if TYPE_CHECKING:
    import onnx

_MOVES = ("ReorderOutput", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
"""Operators that only move numbers."""
FEW_ROWS = 16
"""Up to so many outputs of a classifier its weights are read as they are: the runtime would pad them to 16 rows."""
_EXACT = 2**24
"""Whole numbers below it are exact in float32."""


def optimised(bundle: Bundle) -> list[Piece] | None:
    """The stages to run, without further optimisation; None where the stages must be opened as they are.

    That is where there is one, where the batch is fixed, or where an exit isn't one tensor; and where the runtime's
    graph can't be cut, or not be written.
    """
    manifest = bundle.manifest
    exits = [stage.exit.outputs[0] for stage in manifest.stages if stage.exit and len(stage.exit.outputs) == 1]
    if len(manifest.stages) < 2 or manifest.batch is not None or len(exits) < len(manifest.stages):
        return None
    label = str(bundle.path)
    outputs = [tensor for stage in manifest.stages for tensor in stage.outputs if tensor.name in exits]
    whole = joined(bundle, range(len(manifest.stages)), [one.name for one in manifest.inputs], [one.name for one in outputs])
    try:
        graph = _as_the_runtime_has_it(whole, label)
        heads = _heads_in_order(graph, manifest.inputs, label)
        pieces = cut(graph, exits, lambda names: _probed(graph, names, manifest.inputs, label), label=label)
    except (BundleError, ModelError):
        return None
    for piece in pieces:
        # An initializer that is an input, too, is no constant, and isn't packed.
        piece.model.graph.input.extend(heads[one.name] for one in piece.model.graph.initializer if one.name in heads)
    return pieces


def _as_the_runtime_has_it(whole: bytes, label: str) -> onnx.ModelProto:
    import onnx

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "optimised.onnx"
        open_model(whole, threads=1, where=label, written=path)
        try:
            return onnx.load(path)
        except Exception as problem:  # a graph beyond 2 GiB can't be read
            raise ModelError(first_line(problem), where=label) from problem


def _probed(
    graph: onnx.ModelProto, names: Sequence[str], inputs: Sequence[Tensor], label: str
) -> Mapping[int, Mapping[str, np.ndarray]]:
    """Values of tensors inside of a graph for two batches of random inputs."""
    import onnx

    told = onnx.ModelProto()
    told.CopyFrom(graph)
    there = {entry.name for entry in told.graph.output}
    told.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in there)
    session = opened(told.SerializeToString(), label, optimized=False)
    found = {}
    for batch in (2, 3):
        rng = np.random.default_rng(0)
        feed = {tensor.name: random_input(rng, tensor, batch) for tensor in inputs}
        try:
            found[batch] = dict(zip(names, session.run(list(names), feed), strict=True))
        except Exception as problem:  # the C++ side raises types of its own
            raise ModelError(first_line(problem), where=label) from problem
    return found


def _heads_in_order(graph: onnx.ModelProto, inputs: Sequence[Tensor], label: str) -> dict[str, onnx.ValueInfoProto]:
    """Lets classifiers read maps as they lie, in place.

    Returns:
        Of weights with few rows what an input of the graph would say of them, by name.
    """
    import onnx
    from onnx import helper, numpy_helper

    nodes = graph.graph.node
    maker = {name: node for node in nodes for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    found: list[tuple[onnx.NodeProto, str, list[onnx.NodeProto], np.ndarray]] = []
    for node in nodes:
        weights = _weights(node, constants)
        if weights is not None:
            source, moves = _moved(node.input[0], maker, constants)
            found.append((node, source, moves, weights))
    runs = _probed(graph, [source for _, source, _, _ in found], inputs, label) if found else {}
    few: dict[str, onnx.ValueInfoProto] = {}
    for node, source, moves, weights in found:
        shape = runs[2][source].shape[1:]
        order = _order(graph, source, shape, moves, node.input[0], label)
        if order is None or len(order) != weights.shape[1]:
            continue
        inside = f"{node.output[0]}/in order"
        mine = np.zeros((len(weights), int(np.prod(shape))), np.float32)
        mine[:, order] = weights
        graph.graph.initializer.extend(
            [numpy_helper.from_array(mine, f"{inside}/weights"), numpy_helper.from_array(np.array([-1, mine.shape[1]]), f"{inside}/shape")]
        )
        bias = list(node.input[2:])
        place = list(nodes).index(node)
        keep = {one.name: helper.get_attribute_value(one) for one in node.attribute if one.name in ("alpha", "beta")}
        del nodes[place]
        nodes.insert(place, helper.make_node("Reshape", [source, f"{inside}/shape"], [inside]))
        head = helper.make_node("Gemm", [inside, f"{inside}/weights", *bias], list(node.output), node.name, transB=1, **keep)
        nodes.insert(place + 1, head)
        if len(weights) <= FEW_ROWS:
            few[f"{inside}/weights"] = helper.make_tensor_value_info(
                f"{inside}/weights", onnx.TensorProto.FLOAT, list(mine.shape)
            )
    return few


def _weights(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> np.ndarray | None:
    """Of a product with constant float32 weights: outputs × inputs; None if it is none."""
    import onnx
    from onnx import numpy_helper

    if node.domain or node.op_type not in ("Gemm", "MatMul") or node.input[1] not in constants:
        return None
    values = {one.name: one.i for one in node.attribute}
    stored = constants[node.input[1]]
    if values.get("transA") or stored.data_type != onnx.TensorProto.FLOAT or len(stored.dims) != 2:
        return None
    weights: np.ndarray = numpy_helper.to_array(stored)
    return weights if values.get("transB") else weights.T


def _moved(
    name: str, maker: Mapping[str, onnx.NodeProto], constants: Mapping[str, onnx.TensorProto]
) -> tuple[str, list[onnx.NodeProto]]:
    """The tensor that ``name`` is but for an order or a shape, and the nodes in between."""
    moves: list[onnx.NodeProto] = []
    while name in maker and maker[name].op_type in _MOVES and all(one in constants for one in maker[name].input[1:]):
        moves.insert(0, maker[name])
        name = maker[name].input[0]
    return name, moves


def _order(
    graph: onnx.ModelProto, source: str, shape: tuple[int, ...], moves: list[onnx.NodeProto], target: str, label: str
) -> np.ndarray | None:
    """Where in a sample of ``source`` each number of a row of ``target`` stands, as the runtime itself moves them.

    None if rows aren't samples.
    """
    from onnx import TensorProto, helper

    size = int(np.prod(shape))
    if 2 * size >= _EXACT:
        return None
    numbered = np.arange(2 * size, dtype=np.float32).reshape(2, *shape)
    rows = numbered
    if moves:
        read = {name for node in moves for name in node.input}
        inner = helper.make_graph(
            moves,
            "moves",
            [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["batch", *shape])],
            [helper.make_empty_tensor_value_info(target)],
            [one for one in graph.graph.initializer if one.name in read],
        )
        model = helper.make_model(inner, opset_imports=list(graph.opset_import), ir_version=graph.ir_version)
        session = opened(model.SerializeToString(), label, optimized=False)
        try:
            rows = session.run([target], {source: numbered})[0]
        except Exception:  # a shape that isn't the batch's
            return None
    if rows.ndim != 2 or len(rows) != 2 or not np.array_equal(rows[1], rows[0] + size):
        return None
    order: np.ndarray = rows[0].astype(np.int64)
    return order if order.max(initial=0) < size and len(np.unique(order)) == len(order) else None
