"""An ONNX network with several exits, cut into one ONNX model per exit.

The stage of an exit is what the exit needs and no earlier exit has computed. What a stage reads of earlier ones must
have the batch along its first axis, since samples that left are taken out of it. Sizes (``Shape``) and constants are
worked out anew in every stage: a size may hold the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Probe = Callable[[Sequence[str]], Mapping[int, Mapping[str, np.ndarray]]]
    """Names of tensors → their values by batch, in runs of different batches."""

_WORKED_OUT_ANEW = ("Constant", "Shape", "Size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stage.

    Attributes:
        model: its ONNX model.
        inputs: names of what it reads.
        outputs: what it makes, its exit first: name → shape without the batch, and type.
    """

    model: onnx.ModelProto
    inputs: tuple[str, ...]
    outputs: dict[str, tuple[tuple[int, ...], str]]


@dataclass(slots=True)
class _Plan:
    exit: str
    nodes: set[int]
    reads: list[str]
    makes: list[str]


def cut(model: onnx.ModelProto, exits: Sequence[str], probe: Probe, *, label: str) -> list[Piece]:
    """One model for each of ``exits``, in order.

    Args:
        model: the network; its weights in it.
        exits: outputs of the network, from the first to leave at to the last.
        probe: runs the network.
        label: how messages name the network.

    Raises:
        ModelError: an exit adds nothing to an earlier one, or what flows from stage to stage has no batch.
    """
    plans = _plans(model, exits, label)
    asked = list(dict.fromkeys([*exits, *(name for plan in plans for name in plan.makes)]))
    runs = probe(asked)
    facts = {name: _facts(name, {n: run[name] for n, run in runs.items()}, model, label) for name in asked}
    return [_piece(model, plan, facts) for plan in plans]


def _plans(model: onnx.ModelProto, exits: Sequence[str], label: str) -> list[_Plan]:
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    inputs = {entry.name for entry in graph.input} - weights
    made = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    reads = [list(_reads(node)) for node in graph.node]
    anew = _worked_out_anew(graph, reads, made, weights)
    done: dict[int, str] = {}
    plans: list[_Plan] = []
    for exit_ in exits:
        plan = _Plan(exit_, set(), [], [exit_])
        if exit_ not in made or made[exit_] in done:
            earlier = f"{done[made[exit_]]!r}" if exit_ in made else "an input"
            raise ModelError(
                f"the exit {exit_!r} adds nothing to {earlier}",
                where=label,
                hint="Exits come in the order of their depth: hand them back from the first to the last. To leave the"
                " network whole, export it without exits.",
            )
        pending = [exit_]
        while pending:
            name = pending.pop()
            index = made.get(name)
            if name in inputs or (index is not None and index in done):
                if name not in plan.reads:
                    plan.reads.append(name)
            elif index is not None and index not in plan.nodes:
                plan.nodes.add(index)
                pending.extend(reads[index])
        done.update((index, exit_) for index in plan.nodes - anew)
        plans.append(plan)
    for number, plan in enumerate(plans):
        for later in plans[number + 1 :]:
            plan.makes += [n for n in later.reads if n not in inputs and made[n] in plan.nodes and n not in plan.makes]
    return plans


def _worked_out_anew(
    graph: onnx.GraphProto, reads: Sequence[Sequence[str]], made: Mapping[str, int], weights: set[str]
) -> set[int]:
    """Nodes that depend on no data but sizes."""
    found: set[int] = set()
    for index, node in enumerate(graph.node):
        plain = all(name in weights or made.get(name) in found for name in reads[index])
        if node.op_type in _WORKED_OUT_ANEW or plain:
            found.add(index)
    return found


def _reads(node: Any) -> Iterator[str]:
    """All that a node reads, what the graphs inside of it read from outside included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            own = {entry.name for entry in graph.input} | {tensor.name for tensor in graph.initializer}
            for inner in graph.node:
                yield from (name for name in _reads(inner) if name not in own)
                own.update(inner.output)
            yield from (entry.name for entry in graph.output if entry.name not in own)


def _facts(
    name: str, values: Mapping[int, np.ndarray], model: onnx.ModelProto, label: str
) -> tuple[tuple[int, ...], str]:
    """Shape without the batch, and type, of a tensor that passes from stage to stage."""
    fits = all(value.ndim and len(value) == batch for batch, value in values.items())
    rests = {value.shape[1:] for value in values.values()}
    if not fits or len(rests) != 1:
        maker = next(node for node in model.graph.node if name in node.output)
        shapes = ", ".join(f"{list(value.shape)} for a batch of {batch}" for batch, value in values.items())
        raise ModelError(
            f"it can't be cut in stages: {name!r} passes from one to the next, and its first axis is not the batch:"
            f" {shapes}",
            where=f"{label}: {maker.op_type} {maker.name!r}",
            hint="Keep the samples along the first axis of what later exits read, or export it without exits.",
        )
    return rests.pop(), str(next(iter(values.values())).dtype)


def _piece(model: onnx.ModelProto, plan: _Plan, facts: Mapping[str, tuple[tuple[int, ...], str]]) -> Piece:
    import numpy as np
    import onnx

    graph = model.graph
    nodes = [node for index, node in enumerate(graph.node) if index in plan.nodes]
    read = {name for node in nodes for name in _reads(node)}
    own = {entry.name: entry for entry in graph.input}
    batch = next(
        (d.dim_value or d.dim_param for entry in graph.input for d in entry.type.tensor_type.shape.dim[:1]), ""
    )

    def info(name: str) -> onnx.ValueInfoProto:
        if name in own:
            return own[name]
        shape, dtype = facts[name]
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return onnx.helper.make_tensor_value_info(name, kind, [batch or "batch", *shape])

    inner = onnx.helper.make_graph(
        nodes,
        f"{graph.name or 'network'}-{plan.exit}",
        [info(name) for name in plan.reads],
        [info(name) for name in plan.makes],
        [tensor for tensor in graph.initializer if tensor.name in read],
        sparse_initializer=[tensor for tensor in graph.sparse_initializer if tensor.values.name in read],
    )
    stage = onnx.helper.make_model(
        inner, opset_imports=list(model.opset_import), functions=list(model.functions), ir_version=model.ir_version
    )
    return Piece(model=stage, inputs=tuple(plan.reads), outputs={name: facts[name] for name in plan.makes})
