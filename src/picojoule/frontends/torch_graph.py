"""A traced PyTorch program becomes a `Network`: closed shapes, the user's names, the nodes of the common graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from picojoule.errors import ModelError, UnknownNameError, UsageError, nearest
from picojoule.frontends.graph import Graph, Node, Shape
from picojoule.frontends.torch_calls import Call, Program, Ref, closed_shape, symbol_of
from picojoule.frontends.torch_names import call_name
from picojoule.frontends.torch_scribe import Scribe
from picojoule.frontends.torch_table import ATEN, CONSTANT, INLINED, NAMESPACES, NOTHING
from picojoule.frontends.torch_views import VIEWS, kind_of, part_in, written_by, written_inputs
from picojoule.frontends.walk import walk
from picojoule.workload.network import Network

QUANTIZED_BITS = {
    "int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "float8_e4m3fn": 8, "float8_e4m3fnuz": 8, "float8_e5m2": 8,
    "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
}  # fmt: skip
"""As `onnx_inference.QUANTIZED_BITS`, in PyTorch's words."""


def network_of(program: Program, *, name: str, label: str, shape: Mapping[str, Shape] | None, source: str) -> Network:
    """The network that a traced program is.

    Args:
        program: as `torch_trace` or `torch_archive` give it.
        name: what the report calls the network.
        label: how messages name it.
        shape: sizes of inputs by name, for those that the program leaves open.
        source: where the shapes come from.

    Raises:
        ModelError: sizes stay open, the network is in training mode, or an operator makes no sense.
        UsageError: ``shape`` doesn't fit the inputs.
    """
    graph = graph_of(program, label=label, shape=shape)
    walked = walk(graph, program.inputs)
    if not any(layer.nest for layer in walked.layers):
        raise ModelError(
            "nothing to cost: no convolution, fully connected layer or product of matrices among"
            f" {len(program.calls)} operators",
            where=label,
            hint="docs/reference/operators.md lists the operators that picojoule costs.",
        )
    return Network(
        name=name,
        layers=walked.layers,
        input_shape=next((graph.shapes[given] for given in program.inputs if given in graph.shapes), ()),
        variant="traced by torch.export",
        source=source,
        not_costed=walked.missing,
        flow=walked.flow,
    )


def graph_of(program: Program, *, label: str, shape: Mapping[str, Shape] | None) -> Graph:
    """The common graph of a traced program.

    Raises:
        ModelError, UsageError: as `network_of`.
    """
    symbols = open_sizes(program, shape or {}, label)
    scribe = Scribe(label=label)
    held = _held(program)
    scribe.constants.update(name for name in program.parameters if name not in held)
    _learn(program, scribe, symbols, {})
    for call in program.calls:
        _write(call, scribe, symbols, program.parameters)
    for name in program.outputs:
        scribe.reread(name)
    return _graph(program, scribe, held)


def _held(program: Program) -> dict[str, str]:
    """What the network keeps for its next run (caches, states): buffers that it writes to, and their names."""
    changed = (program.kept | written_inputs(program)) - program.learned
    return {name: own for name, own in program.parameters.items() if name in changed}


def open_sizes(program: Program, shape: Mapping[str, Shape], label: str) -> dict[str, int]:
    """The open sizes of the program by their symbols, as the shapes given close them.

    Raises:
        ModelError: sizes stay open.
        UsageError: ``shape`` doesn't fit the inputs.
    """
    symbols: dict[str, int] = {}
    for name, sizes in shape.items():
        if name not in program.inputs:
            raise UnknownNameError(f"the model has no input {name!r}", where=label, hint=nearest(name, program.inputs))
        stated = program.sizes[name]
        if len(stated) != len(sizes):
            raise UsageError(f"input {name!r} has {len(stated)} dimensions; got {list(sizes)}", where=label)
        for size, given in zip(stated, sizes, strict=True):
            symbol = symbol_of(size)
            if symbol is None and size != given:
                raise UsageError(
                    f"input {name!r} has the fixed shape {_shown(stated)}; got {list(sizes)}",
                    where=label,
                    hint="Export the network for that size, or with dynamic_shapes.",
                )
            if symbol is not None and symbols.setdefault(symbol, given) != given:
                raise UsageError(f"{symbol} would be {symbols[symbol]} and {given}", where=label)
    for symbol, number in symbols.items():
        least, most = program.ranges.get(symbol, (None, None))
        if number < (least or 0) or most is not None and number > most:
            bounds = f"at least {least}" if most is None else f"from {least or 0} to {most}"
            raise UsageError(
                f"{symbol} would be {number}; the program was exported for {bounds}",
                where=label,
                hint="Export it with other dynamic_shapes.",
            )
    for name in program.inputs:
        stated = program.sizes[name]
        if closed_shape(stated, symbols) is None:
            example = "x".join(str(size) if isinstance(size, int) else "1" for size in stated)
            raise ModelError(
                f"input {name!r} has open dimensions: {_shown(stated)}",
                where=label,
                hint=f"Give every size, for example: --shape {name}={example}",
            )
    return symbols


def _shown(sizes: tuple[int | str, ...]) -> str:
    return "[" + ", ".join(str(size) if isinstance(size, int) else symbol_of(size) or "?" for size in sizes) + "]"


def _learn(program: Program, scribe: Scribe, symbols: Mapping[str, int], names: Mapping[str, str]) -> None:
    """Takes over the shapes of a program or a part of one, whose inputs have the ``names`` of outside."""
    for tensor, sizes in program.sizes.items():
        shape = closed_shape(sizes, symbols)
        name = names.get(tensor, tensor)
        scribe.types.setdefault(name, program.types.get(tensor, ""))
        if shape is not None:
            scribe.shapes.setdefault(name, shape)


def _write(
    call: Call, scribe: Scribe, symbols: Mapping[str, int], parameters: Mapping[str, str], prefix: str = ""
) -> None:
    """The nodes of one call; ``prefix`` stands before the names of tensors in the part of the program that it is in."""
    namespace, kind, inside = call.target.partition(".")[0], kind_of(call), part_in(call)
    if kind in INLINED and inside is not None:
        _inline(call, inside, scribe, symbols, parameters, f"{prefix}{call.name}.")
        return
    targets = written_by(call)
    if not (call.outputs or targets) or kind in NOTHING:
        return
    outputs = tuple(scribe.names.get(name, name) for name in call.outputs)
    own = f"{prefix}{call.name}"
    unnamed = [target for target, made in targets.items() if not made]
    new = dict(zip(unnamed, _names(own, len(unnamed), alone=not outputs), strict=True))
    weight = call.arguments.get("weight")
    owned = parameters.get(weight.name, "") if isinstance(weight, Ref) else ""
    scribe.begin(call, call_name(call.modules, kind or call.name, owned), (*outputs, *new.values()))
    for target, made in new.items():
        scribe.like(made, scribe.tensor_of(target))
    if targets:
        scribe.writes_to(next(iter(targets)))
        over = {"out", *(set(call.changes) - {"self"} if kind in ATEN and namespace in NAMESPACES else ())}
        call = replace(call, arguments={name: value for name, value in call.arguments.items() if name not in over})
    if kind in CONSTANT and namespace in NAMESPACES:
        scribe.constants.update(outputs)
    elif kind in ATEN and namespace in NAMESPACES:
        ATEN[kind](call, scribe)
    else:
        scribe.write(scribe.own_name(call), scribe.all_tensors(call))
    for target, made in targets.items():
        scribe.written(target, new.get(target) or scribe.names.get(made, made))
    if not targets and kind in VIEWS:
        source = next((value for value in call.arguments.values() if isinstance(value, Ref)), None)
        if source is not None:
            scribe.storages.view(call, scribe.names.get(source.name, source.name), list(outputs), scribe.shapes)


def _names(call: str, count: int, *, alone: bool) -> list[str]:
    """Names for what a call writes to and doesn't hand back; ``alone`` if it hands back nothing at all."""
    return [call] if alone and count == 1 else [f"{call}/written{index}" for index in range(count)]


def _inline(
    call: Call,
    inside: Program,
    scribe: Scribe,
    symbols: Mapping[str, int],
    parameters: Mapping[str, str],
    prefix: str,
) -> None:
    """The calls of a part of the program as if they stood where it is called."""
    given = [value for key, value in sorted(call.numbered()) if not isinstance(value, Program)]
    given = given[len(given) - len(inside.inputs) :]
    outer = dict(scribe.names)
    inner = {name: f"{prefix}{name}" for name in inside.sizes}
    for name, value in zip(inside.inputs, given, strict=True):
        if isinstance(value, Ref):
            inner[name] = outer.get(value.name, value.name)
    for made, result in zip(inside.outputs, call.outputs, strict=False):
        if made not in inside.inputs:
            inner[made] = outer.get(result, result)
    _learn(inside, scribe, symbols, inner)
    scribe.names = {**outer, **inner}
    owned = {name: parameters[inner[name]] for name in inner if inner[name] in parameters}
    for one in inside.calls:
        _write(one, scribe, symbols, owned, prefix)
    scribe.names = outer
    for made, result in zip(inside.outputs, call.outputs, strict=False):
        if made in inside.inputs:  # handed back as it came
            scribe.names[result] = inner[made]


def _graph(program: Program, scribe: Scribe, held: dict[str, str]) -> Graph:
    producers: dict[str, Node] = {}
    consumers: dict[str, list[Node]] = {}
    for node in scribe.nodes:
        producers.update(dict.fromkeys(node.outputs, node))
        for tensor in filter(None, dict.fromkeys(node.inputs)):
            consumers.setdefault(tensor, []).append(node)
    return Graph(
        label=scribe.label,
        nodes=tuple(scribe.nodes),
        shapes=scribe.shapes,
        constants=frozenset(scribe.constants),
        values={},
        outputs=frozenset(scribe.tensor_of(name) for name in program.outputs),
        producers=producers,
        consumers={tensor: tuple(readers) for tensor, readers in consumers.items()},
        bits={**_stored_widths(scribe), **scribe.bits},
        same={tensor: program.same.get(own, own) for tensor, own in program.parameters.items()},
        learned=program.learned,
        places={name: place for name, place in scribe.storages.places.items() if place.base in program.learned},
        held=held,
    )


def _stored_widths(scribe: Scribe) -> dict[str, int]:
    """Widths of the tensors of a quantized element type."""
    return {name: QUANTIZED_BITS[kind] for name, kind in scribe.types.items() if kind in QUANTIZED_BITS}
