"""Notes on the nodes of an ONNX file, as ``metadata_props``: viewers show them, runtimes pass them by.

Nothing else of the file changes: graph, weights, versions and what others have noted down stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from picojoule.atomic_file import replace_file, replaced
from picojoule.errors import ModelError, SystemFailure, UsageError
from picojoule.frontends.onnx_file import read_graph
from picojoule.frontends.walk import walk

if TYPE_CHECKING:
    import onnx

PREFIX = "picojoule."
"""Of every key of ours; those of an earlier run are replaced."""


def layers_by_output(path: Path, *, shape: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, tuple[str, str]]:
    """For every layer of the network in an ONNX file the first output of its node, and the operator.

    Args:
        path: the file.
        shape: sizes of inputs by name, for those that the file leaves open.

    Raises:
        ModelError, UsageError, SystemFailure: as ``onnx_file.read_onnx``.
    """
    graph, inputs, _ = read_graph(path, shape=shape)
    walked = walk(graph, inputs)
    outputs = [next(filter(None, maker.outputs)) for maker in walked.makers]
    return {
        layer.name: (output, maker.op)
        for layer, output, maker in zip(walked.layers, outputs, walked.makers, strict=True)
    }


def annotate(
    path: Path, output: Path, notes: Mapping[str, Mapping[str, str]], about: Mapping[str, str]
) -> tuple[str, ...]:
    """Writes the model of ``path`` to ``output`` with notes.

    Args:
        path: an ONNX file.
        output: to write; where the model has its weights in other files, in the folder of ``path``.
        notes: for nodes, by the name of their first output; keys without ``PREFIX``.
        about: for the model as a whole.

    Returns:
        Outputs in ``notes`` that no node of the main graph has: inside local functions, which are left as they are.

    Raises:
        ModelError: no ONNX file.
        UsageError: ``output`` is ``path``, or the weights would be left behind.
        SystemFailure: a file can't be read or written.
    """
    import onnx
    from google.protobuf.message import DecodeError, EncodeError

    if replaced(output, [path]):
        raise UsageError("the notes would replace the model itself", where=f"-o {output}", hint="Name another file.")
    try:
        model = onnx.load_model(os.fspath(path), load_external_data=False)
    except DecodeError as error:
        raise ModelError("this is not an ONNX model: its bytes are not in the ONNX format", where=str(path)) from error
    except OSError as error:
        raise SystemFailure(f"the file can't be read: {error.strerror or error}", where=str(path)) from error
    _refuse_leaving_weights(model, path, output)
    left = dict(notes)
    for node in model.graph.node:
        _note(node, left.pop(next(filter(None, node.output), ""), {}))
    elsewhere = {"not_in_the_main_graph": ", ".join(left)} if left else {}
    _note(model, {**about, **elsewhere})
    try:
        content = model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise ModelError(f"the model can't be written: {error}", where=str(path)) from error
    replace_file(output, content)
    return tuple(left)


def _note(message: onnx.NodeProto | onnx.ModelProto, notes: Mapping[str, str]) -> None:
    others = [(entry.key, entry.value) for entry in message.metadata_props if not entry.key.startswith(PREFIX)]
    if len(others) < len(message.metadata_props):
        del message.metadata_props[:]
        for key, value in others:
            message.metadata_props.add(key=key, value=value)
    for key, value in notes.items():
        message.metadata_props.add(key=PREFIX + key, value=value)


def _refuse_leaving_weights(model: onnx.ModelProto, path: Path, output: Path) -> None:
    """Weights in other files are found by a path from the folder of the model."""
    tensors = [
        *model.graph.initializer,
        *(each.t for node in model.graph.node for each in node.attribute if each.HasField("t")),
    ]
    files = sorted({e.value for tensor in tensors for e in tensor.external_data if e.key == "location"})
    if files and output.resolve().parent != path.resolve().parent:
        raise UsageError(
            f"the model has weights in files beside it ({', '.join(files[:3])}), which a file elsewhere would not find",
            where=f"-o {output}",
            hint=f"Write into {path.parent}.",
        )
