"""A PyTorch model as ONNX, for any batch where that can be, with the means to ask PyTorch for the same answers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import MissingExtraError, ModelError, SystemFailure, UsageError
from picojoule.frontends.torch_trace import arguments_of, evaluation_mode, import_torch, without_remarks

if TYPE_CHECKING:
    import numpy as np
    import onnx

BATCH = "batch"
"""What the open first axis is called in the ONNX file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxExport:
    """A PyTorch model that became ONNX.

    Attributes:
        model: its ONNX form.
        reference: PyTorch's answers: arrays of the inputs in their order → arrays of the outputs.
        fixed_because: why the batch is fixed to that of the example; None if any batch goes.
        tool: for example ``torch 2.13.0``.
    """

    model: onnx.ModelProto
    reference: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    fixed_because: str | None
    tool: str


def load_program(path: Path) -> Any:
    """The program of a ``.pt2`` file by PyTorch's own reader, which may run code that is in the file.

    Raises:
        ModelError: it is no such file.
        SystemFailure: it can't be read.
    """
    torch = import_torch("a .pt2 file")
    try:
        with without_remarks():
            return torch.export.load(path)
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=str(path)) from problem
    except Exception as problem:  # whatever a damaged file makes it raise
        raise ModelError(f"PyTorch can't load it: {_first_line(problem)}", where=str(path)) from problem


def export_onnx(
    model: Any, example_input: Any, *, shape: Mapping[str, tuple[int, ...]] | None, label: str
) -> OnnxExport:
    """A module or program as ONNX, as it runs in evaluation.

    Args:
        model: an ``nn.Module``, or an ``ExportedProgram``, which has its example.
        example_input: a tensor, a tuple or a dict of arguments of ``forward``.
        shape: sizes of arguments that the example leaves out, batch first.
        label: how messages name the model.

    Raises:
        ModelError: it can't be exported, has no weights (meta device), or gives what is no tensor.
        UsageError: an example for a program.
        MissingExtraError: PyTorch or onnxscript is not installed.
    """
    torch = import_torch("an nn.Module")
    _need_onnxscript()
    if hasattr(model, "graph_signature"):
        if example_input is not None or shape:
            raise UsageError("an exported program has its inputs already", where=label)
        if model.example_inputs is None:
            raise ModelError("the program holds no example inputs", where=label, hint="Export it with example inputs.")
        arguments, named = model.example_inputs
        module = model.module()
    else:
        module = model
        arguments, named = arguments_of(torch, module, example_input, shape or {}, label)
    if any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        raise ModelError(
            "the module lies on the meta device and has no weights",
            where=label,
            hint="Build and load it on the processor.",
        )
    with evaluation_mode(module), without_remarks(), torch.no_grad():
        outputs = _outputs(torch, module, arguments, named, label)
        names = ["output"] if len(outputs) == 1 else [f"output{number}" for number in range(len(outputs))]
        exported, fixed_because = _exported(torch, module, arguments, named, names, label)
    proto = exported.model_proto
    for node in _nodes(proto.graph):
        # Where on whose disk the code lay is nobody's business, and takes room.
        del node.metadata_props[:]
        node.doc_string = ""
    leaves, structure = torch.utils._pytree.tree_flatten((arguments, named))
    tensors = [index for index, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    if len(proto.graph.input) != len(tensors):
        raise ModelError(f"{len(tensors)} inputs became {len(proto.graph.input)} in ONNX", where=label)

    def reference(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = list(leaves)
        for index, array in zip(tensors, inputs, strict=True):
            given[index] = torch.from_numpy(array.copy()).to(leaves[index].device)
        args, kwargs = torch.utils._pytree.tree_unflatten(given, structure)
        with evaluation_mode(module), torch.no_grad():
            return [tensor.cpu().numpy() for tensor in _outputs(torch, module, args, kwargs, label)]

    return OnnxExport(model=proto, reference=reference, fixed_because=fixed_because, tool=f"torch {torch.__version__}")


def _exported(
    torch: Any, module: Any, arguments: tuple[Any, ...], named: Mapping[str, Any], names: list[str], label: str
) -> tuple[Any, str | None]:
    """The ONNX program, and why its batch is fixed, if it is."""
    two = torch.utils._pytree.tree_map_only(
        torch.Tensor, lambda tensor: _at_least_two(torch, tensor), (arguments, named)
    )
    bound = inspect.signature(module.forward).bind(*two[0], **two[1]).arguments
    batch = torch.export.Dim(BATCH)
    open_batch = {
        name: torch.utils._pytree.tree_map(lambda leaf: {0: batch} if isinstance(leaf, torch.Tensor) else None, value)
        for name, value in bound.items()
    }
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    reason = None
    try:
        try:
            program = torch.export.export(module, two[0], two[1], dynamic_shapes=open_batch)
        except Exception as problem:
            reason = _why_fixed(problem)
            program = torch.export.export(module, arguments, dict(named))
        return torch.onnx.export(program, dynamo=True, verbose=False, output_names=names), reason
    except Exception as problem:  # user code runs here: whatever it raises
        raise ModelError(f"PyTorch can't export it to ONNX: {_cause(problem)}", where=label) from problem
    finally:
        log.setLevel(level)


def _at_least_two(torch: Any, tensor: Any) -> Any:
    """A batch of one would be taken for a size that is always one."""
    return torch.cat([tensor, tensor]) if tensor.ndim and len(tensor) == 1 else tensor


def _outputs(torch: Any, module: Any, arguments: tuple[Any, ...], named: Mapping[str, Any], label: str) -> list[Any]:
    try:
        found = torch.utils._pytree.tree_leaves(module(*arguments, **named))
    except Exception as problem:  # the user's code: whatever it raises
        raise ModelError(f"it fails on its example: {_first_line(problem)}", where=label) from problem
    others = [leaf for leaf in found if not isinstance(leaf, torch.Tensor)]
    if others or not found:
        what = type(others[0]).__name__ if others else "nothing"
        raise ModelError(f"it gives {what}; a network in a bundle gives tensors", where=label)
    return list(found)


def drop_stack_traces(graph: Any) -> None:
    """Takes out of an ONNX graph that PyTorch wrote where on whose disk the code of each node lay; names of modules stay."""
    for node in _nodes(graph):
        kept = [(entry.key, entry.value) for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        for key, value in kept:
            node.metadata_props.add(key=key, value=value)


def _nodes(graph: Any) -> Any:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _nodes(inner)


def _need_onnxscript() -> None:
    try:
        import onnxscript  # noqa: F401 - torch.onnx imports it
    except ImportError:
        raise MissingExtraError("PyTorch writes ONNX with onnxscript", hint="pip install 'picojoule[torch]'") from None


def _why_fixed(problem: BaseException) -> str:
    """What torch says of the batch, without its advice on logs."""
    told = [line.strip(" -") for line in str(problem).splitlines() if line.strip().startswith("- ")]
    return told[0][:300] if told else _cause(problem)


def _cause(problem: BaseException) -> str:
    """The first line of what lies at the bottom of torch's chain of exceptions."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return _first_line(problem)


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
