"""A bundle without some of its exits: stages up to the next exit that stays become one, and heads left out don't run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from picojoule.errors import UsageError
from picojoule.runtime.bundle import Bundle
from picojoule.runtime.manifest import FileFacts, Manifest, Stage
from picojoule.runtime.quantization import Quantization

if TYPE_CHECKING:
    import onnx


def merged(bundle: Bundle, asked: Sequence[int]) -> Bundle:
    """The bundle with these exits only, in memory; operating points are left out.

    Args:
        bundle: with one exit a stage.
        asked: numbers of the exits that stay, rising; the last exit is among them.

    Raises:
        UsageError: there is no such exit, they don't rise, or the last is missing.
    """
    manifest, exits = bundle.manifest, len(bundle.manifest.exits)
    if list(asked) != sorted(set(asked)) or not asked or asked[0] < 0 or asked[-1] != exits - 1:
        raise UsageError(f"exits that stay rise and end with the last of {exits}, got {list(asked)}", where="asked")
    if len(asked) == exits:
        return replace(bundle, manifest=replace(manifest, operation=None))
    at = [number for number, stage in enumerate(manifest.stages) if stage.exit is not None]
    ends = [at[number] for number in asked]
    groups = [range(first, last + 1) for first, last in zip([0, *(end + 1 for end in ends)], ends, strict=False)]
    stages, models = [], []
    for group in groups:
        stage = _stage(manifest, group)
        stages.append(stage)
        outputs = [tensor.name for tensor in stage.outputs]
        models.append(bundle.models[group[0]] if len(group) == 1 else joined(bundle, group, stage.inputs, outputs))
    parity, facts = manifest.parity, manifest.quantization
    if parity is not None:
        parity = replace(
            parity,
            max_abs_difference=_some(parity.max_abs_difference, asked),
            max_abs_reference=_some(parity.max_abs_reference, asked),
        )
    return replace(
        bundle,
        models=tuple(models),
        manifest=replace(
            manifest,
            stages=tuple(stages),
            files={stage.file: FileFacts(sha256="", size_bytes=len(m)) for stage, m in zip(stages, models, strict=True)},
            parity=parity,
            quantization=None if facts is None else _quantization(facts, asked),
            operation=None,
        ),
    )


def _stage(manifest: Manifest, group: range) -> Stage:
    """Of the group: what it reads from outside and what is read of it, under the name of its exit."""
    parts, last = [manifest.stages[k] for k in group], manifest.stages[group[-1]]
    made = {tensor.name: tensor for part in parts for tensor in part.outputs}
    inputs = tuple(dict.fromkeys(name for part in parts for name in part.inputs if name not in made))
    later = {name for stage in manifest.stages[group[-1] + 1 :] for name in stage.inputs}
    answer = () if last.exit is None else last.exit.outputs
    outputs = tuple(tensor for name, tensor in made.items() if name in answer or name in later)
    energies = [part.energy_pj for part in parts if part.energy_pj is not None]
    energy = sum(energies) if len(energies) == len(parts) else None
    return replace(last, inputs=inputs, outputs=outputs, energy_pj=energy)


def joined(bundle: Bundle, group: range, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The ONNX models of some stages in a row as one, without what nobody reads.

    Args:
        bundle: it.
        group: numbers of the stages.
        inputs: names of the tensors that the model takes.
        outputs: names of those that it makes.
    """
    import onnx
    from onnx import compose

    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    entries: dict[str, onnx.ValueInfoProto] = {}
    models = [onnx.load_from_string(bundle.models[k]) for k in group]
    for k, model in zip(group, models, strict=True):
        # What is inside of a stage gets a name of its own; what flows between stages keeps its name.
        named = compose.add_prefix(model, f"stage{k}/", rename_inputs=False, rename_outputs=False)
        nodes.extend(named.graph.node)
        weights.extend(named.graph.initializer)
        entries.update({entry.name: entry for entry in [*named.graph.input, *named.graph.output]})
    kept = _needed(nodes, set(outputs))
    read = {name for node in kept for name in _names(node)}
    graph = onnx.helper.make_graph(
        kept,
        bundle.manifest.stages[group[-1]].name,
        [entries[name] for name in inputs],
        [entries[name] for name in outputs],
        [tensor for tensor in weights if tensor.name in read],
    )
    opsets = {one.domain: one for model in models for one in model.opset_import}
    made = onnx.helper.make_model(graph, opset_imports=list(opsets.values()), ir_version=models[0].ir_version)
    made.functions.extend({(one.domain, one.name): one for model in models for one in model.functions}.values())
    made.producer_name, made.producer_version = models[0].producer_name, models[0].producer_version
    return bytes(made.SerializeToString())


def _needed(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """Nodes that the outputs depend on, in their order."""
    pending, kept = set(wanted), []
    for node in reversed(nodes):
        if pending.intersection(node.output):
            kept.append(node)
            pending.update(_names(node))
    return kept[::-1]


def _names(node: onnx.NodeProto) -> Iterable[str]:
    """All that a node reads, what graphs inside of it read included."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            for inner in graph.node:
                yield from _names(inner)
            yield from (entry.name for entry in graph.output)


def _some(values: Sequence[float], asked: Sequence[int]) -> tuple[float, ...]:
    return tuple(values[number] for number in asked)


def _quantization(facts: Quantization, asked: Sequence[int]) -> Quantization:
    return replace(
        facts,
        agreement=_some(facts.agreement, asked),
        max_abs_difference=_some(facts.max_abs_difference, asked),
        accuracy_before=None if facts.accuracy_before is None else _some(facts.accuracy_before, asked),
        accuracy_after=None if facts.accuracy_after is None else _some(facts.accuracy_after, asked),
    )
