"""An ONNX graph, checked and with names for all nodes, as the operators see it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError
from picojoule.frontends.graph import MULTIPLYING, Attribute, Graph, Node
from picojoule.frontends.onnx_inference import Inferred, captured_names
from picojoule.frontends.operators import CONSTANT
from picojoule.frontends.torch_names import call_name

if TYPE_CHECKING:
    import onnx

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
        ModelError: a node reads a tensor that nothing before it makes, a tensor is made twice, or what is multiplied
            are no numbers.
    """
    constants = set(weights)
    made = constants | {entry.name for entry in model.graph.input}
    nodes: list[Node] = []
    producers: dict[str, Node] = {}
    consumers: dict[str, list[Node]] = {}
    for proto, (name, title) in zip(model.graph.node, _names(model.graph.node, constants), strict=True):
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
        op = f"{domain}{proto.op_type}"
        node = Node(
            name=name,
            op=op,
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            attributes={entry.name: _attribute(entry) for entry in proto.attribute},
            captures=frozenset(captured_names(proto)),
            place=f"{label}: node {name!r} ({op})",
            title=title,
        )
        for tensor in node.inputs:
            if tensor and tensor not in made:
                raise ModelError(
                    f"it reads tensor {tensor!r}, which no input, weight or earlier node makes", where=node.place
                )
        if not any(node.outputs):
            raise ModelError("it has no output", where=node.place)
        odd = next((inferred.odd[name] for name in node.inputs[:2] if name in inferred.odd), "")
        if odd and node.op in MULTIPLYING:
            raise ModelError(f"it multiplies {odd} elements; real and whole numbers are allowed", where=node.place)
        for tensor in filter(None, node.outputs):
            if tensor in made:
                raise ModelError(f"tensor {tensor!r} is made a second time", where=node.place)
            made.add(tensor)
            producers[tensor] = node
        if _is_constant(proto, constants):
            constants.update(node.outputs)
        else:
            for tensor in {*node.inputs, *node.captures}:
                consumers.setdefault(tensor, []).append(node)
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
        bits=inferred.bits,
    )


def _torch_name(proto: onnx.NodeProto) -> str:
    """What PyTorch's exporter notes down: the modules around the call, and the call itself as the last of them."""
    notes = {entry.key: entry.value for entry in proto.metadata_props}
    try:
        paths = ast.literal_eval(notes["pkg.torch.onnx.name_scopes"])
        kinds = ast.literal_eval(notes["pkg.torch.onnx.class_hierarchy"])
        modules = [(str(path), str(kind)) for path, kind in zip(paths, kinds, strict=True)]
        function = modules[-1][1].split(".")[1]
    except (KeyError, ValueError, SyntaxError, TypeError, IndexError, MemoryError, RecursionError):
        return ""
    return call_name(modules[:-1], function)


_FIELDS = {"INT": "i", "INTS": "ints", "FLOAT": "f", "FLOATS": "floats", "STRING": "s", "TENSOR": "t"}


def _attribute(proto: onnx.AttributeProto) -> Attribute:
    kind = proto.AttributeType.Name(proto.type)
    value: Any = getattr(proto, _FIELDS[kind]) if kind in _FIELDS else proto
    if kind == "STRING":
        value = value.decode("utf-8", "replace")
    return Attribute(kind, tuple(value) if kind in ("INTS", "FLOATS") else value)


def _is_constant(proto: onnx.NodeProto, constants: set[str]) -> bool:
    if proto.domain in ("", "ai.onnx") and proto.op_type in CONSTANT:
        return True
    # CastLike takes nothing but a type from its second input.
    given = [name for name in proto.input[: 1 if proto.op_type == "CastLike" else None] if name]
    return bool(given) and all(name in constants for name in given) and not captured_names(proto)


def _names(protos: Iterable[onnx.NodeProto], weights: Iterable[str]) -> list[tuple[str, str]]:
    """A name for every node, each different: its own, else its first output's, with a suffix where taken.

    Where PyTorch wrote the file, its own is the path of the user's module; that alone comes second, "" elsewhere.
    """
    wanted, titles, constants = [], [], set(weights)
    for proto in protos:
        constant = _is_constant(proto, constants)
        if constant:
            constants.update(proto.output)
        users = "" if constant else _torch_name(proto)
        titles.append(users)
        wanted.append(users or proto.name or next(filter(None, proto.output), "") or proto.op_type or "node")
    taken: set[str] = set(wanted)
    seen: set[str] = set()
    counts: dict[str, int] = {}
    names = []
    for name in wanted:
        unique, count = name, counts.get(name, 1)
        while unique in seen or (count > 1 and unique in taken):
            count += 1
            unique = f"{name}_{count}"
        counts[name] = count
        seen.add(unique)
        names.append(unique)
    return list(zip(names, titles, strict=True))
