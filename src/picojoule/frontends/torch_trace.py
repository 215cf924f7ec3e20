"""A PyTorch module becomes a traced program: ``torch.export`` runs it on tensors without data."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import operator
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import MissingExtraError, ModelError, UnknownNameError, UsageError, nearest
from picojoule.frontends.graph import Shape
from picojoule.frontends.torch_calls import Call, Program, Ref, Size, single_calls, target_of

if TYPE_CHECKING:
    import torch

    from picojoule.workload import Network

_OWN_CODE = Path(__file__).resolve().parents[1]
_CONTROL_FLOW = "Where the path depends on data, use torch.where or torch.cond, or give a module of the path that runs."


def import_torch(what: str) -> Any:
    """The package torch.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import torch
        import torch.export
    except ImportError:
        raise MissingExtraError(f"{what} needs PyTorch", hint="pip install 'picojoule[torch]'") from None
    return torch


def is_torch_model(model: object) -> bool:
    """Whether ``model`` is a module or an exported program; doesn't import torch."""
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(model).__mro__}
    return not names.isdisjoint(("torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram"))


def export_module(
    module: torch.nn.Module, example_input: object, shape: Mapping[str, Shape] | None, label: str
) -> torch.export.ExportedProgram:
    """The program that ``module`` runs on an input like the example, as ``torch.export`` gives it.

    Args:
        module: may lie on the meta device: no weights are needed.
        example_input: a tensor, a tuple of positional or a dict of named arguments, or None.
        shape: sizes of the arguments that the example leaves out, by name.
        label: how messages name the module.

    Raises:
        ModelError: the module can't be traced, fails on such an input, or there is neither example nor shape.
        UsageError: a shape for an argument that isn't there.
    """
    torch = import_torch("an nn.Module")
    arguments, named = arguments_of(torch, module, example_input, shape or {}, label)
    try:
        with without_remarks(), torch.no_grad():
            return torch.export.export(module, arguments, named)
    except Exception as problem:  # user code runs here: whatever it raises
        raise _not_traced(problem, label) from problem


@contextlib.contextmanager
def evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    """Puts ``module`` and its parts in evaluation mode for a while, without calling ``eval()``, which may do more."""
    before = [(part, part.training) for part in module.modules()]
    try:
        for part, _ in before:
            part.training = False
        yield
    finally:
        for part, training in before:
            part.training = training


def refuse_difference(training: Network, evaluation: Network, label: str) -> None:
    """Raises ModelError where a module in training mode is another network than in evaluation mode."""
    if training.layers == evaluation.layers and training.not_costed == evaluation.not_costed:
        return
    layers = zip(training.layers, evaluation.layers, strict=False)
    place = next((one.name for one, other in layers if one != other), None)
    raise ModelError(
        "the network is in training mode, and another one than in evaluation:"
        f" {_extent(training)} in training, {_extent(evaluation)} in evaluation",
        where=f"{label}: {place!r}" if place else label,
        hint="Call module.eval() first: inference is what runs on an accelerator.",
    )


def _extent(network: Network) -> str:
    names = [layer.name for layer in network.layers]
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} layer{'s' * (len(names) != 1)} ({shown}) with {network.macs} MACs"


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """Keeps torch from remarks on its own ways of tracing: warnings, log records, and the dump of a program that it
    couldn't finish. What the user's code writes while it can be traced is handed on."""
    log, written = logging.getLogger("torch"), io.StringIO()
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(written):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
    sys.stderr.write(written.getvalue())


def from_exported(exported: torch.export.ExportedProgram) -> Program:
    """The program in an ``ExportedProgram``."""
    torch = import_torch("an ExportedProgram")
    kinds, results = torch.export.graph_signature.InputKind, torch.export.graph_signature.OutputKind
    parameters: dict[str, str] = {}
    inputs = []
    learned = set()
    first: dict[int, str] = {}
    one: dict[str, str] = {}
    for spec in exported.graph_signature.input_specs:
        if spec.kind == kinds.USER_INPUT:
            if type(spec.arg).__name__ == "TensorArgument":
                inputs.append(spec.arg.name)
            continue
        tensor = exported.state_dict.get(spec.target)
        parameters[spec.arg.name] = spec.target
        if spec.kind == kinds.PARAMETER:
            learned.add(spec.arg.name)
        one[spec.target] = spec.target if tensor is None else first.setdefault(id(tensor), spec.target)
    changed = {spec.target for spec in exported.graph_signature.output_specs if spec.kind == results.BUFFER_MUTATION}
    program = _from_graph(exported.graph_module)
    return Program(
        inputs=tuple(inputs),
        parameters=parameters,
        same=one,
        learned=frozenset(learned),
        kept=frozenset(name for name, target in parameters.items() if target in changed),
        sizes=program.sizes,
        types=program.types,
        outputs=program.outputs,
        calls=program.calls,
        ranges={str(symbol): (_end(one.lower), _end(one.upper)) for symbol, one in exported.range_constraints.items()},
    )


def _end(number: Any) -> int | None:
    """One end of the range of an open size; None where it is open."""
    return int(number) if number.is_Integer else None


def _from_graph(module: Any) -> Program:
    import torch
    from torch.fx.node import Node as FxNode

    sizes: dict[str, tuple[Size, ...]] = {}
    types: dict[str, str] = {}
    names: dict[Any, str] = {}
    inputs, calls, outputs = [], [], []

    def learn(name: str, value: Any) -> str:
        sizes[name] = tuple(_size(size) for size in value.shape)
        types[name] = str(value.dtype).removeprefix("torch.")
        return name

    def plain(value: Any) -> Any:
        if isinstance(value, FxNode):
            if value.op == "get_attr" and value not in names:
                return _from_graph(getattr(module, value.target))
            known = value.meta.get("val")
            return Ref(names[value]) if value in names else _size(known) if isinstance(known, torch.SymInt) else None
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return _size(value) if isinstance(value, torch.SymInt) else value

    for node in module.graph.nodes:
        value = node.meta.get("val")
        if node.op == "placeholder":
            inputs.append(learn(node.name, value) if isinstance(value, torch.Tensor) else "")
            names[node] = node.name
        elif node.op == "get_attr":
            if isinstance(value, torch.Tensor):
                names[node] = learn(node.name, value)
        elif node.op == "output":
            outputs = [ref.name for ref in _flat(plain(node.args)) if isinstance(ref, Ref)]
        elif node.target is operator.getitem:
            if isinstance(value, torch.Tensor):
                names[node] = learn(f"{node.args[0].name}#{node.args[1]}", value)
        else:
            several = isinstance(value, list | tuple)
            made = [
                learn(f"{node.name}#{index}" if several else node.name, one)
                for index, one in enumerate(value if several else [value])
                if isinstance(one, torch.Tensor)
            ]
            if made:
                names[node] = node.name
            calls += single_calls(
                Call(
                    target=_target(node.target),
                    name=node.name,
                    arguments=_bound(node, plain),
                    outputs=tuple(made),
                    modules=_modules(node.meta.get("nn_module_stack") or {}),
                    trace=node.meta.get("stack_trace") or "",
                    changes=_changes(node.target),
                )
            )
    return Program(
        inputs=tuple(inputs),
        sizes=sizes,
        types=types,
        outputs=tuple(outputs),
        calls=tuple(calls),
    )


def _target(target: Any) -> str:
    own = getattr(target, "__name__", str(target))
    if getattr(target, "namespace", "") == "higher_order":
        return f"higher_order.{own}"
    if hasattr(target, "_schema"):
        return str(target)
    known = target_of(f"{getattr(target, '__module__', '')}.{own}")
    return known if known.startswith("functorch.") else own


def _bound(node: Any, plain: Any) -> dict[str, Any]:
    schema = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema else []
    positional = {names[i] if i < len(names) else str(i): plain(value) for i, value in enumerate(node.args)}
    return {**positional, **{name: plain(value) for name, value in node.kwargs.items()}}


def _changes(target: Any) -> tuple[str, ...]:
    """The arguments that an operator writes to; the statistics of a norm it doesn't in evaluation."""
    schema = getattr(target, "_schema", None)
    written = [one.name for one in schema.arguments if one.alias_info and one.alias_info.is_write] if schema else []
    return tuple(name for name in written if not name.startswith("running_"))


def _modules(stack: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (path, kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}")
        for path, kind in stack.values()
    )


def _size(size: Any) -> Size:
    if isinstance(size, int):
        return size
    import sympy

    return sympy.srepr(size.node.expr)


def _flat(value: Any) -> list[Any]:
    return [inner for item in value for inner in _flat(item)] if isinstance(value, list) else [value]


def arguments_of(
    torch: Any, module: torch.nn.Module, example: object, shape: Mapping[str, Shape], label: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments for ``forward``, on the device of the module."""
    signature = inspect.signature(module.forward)
    wanted = [
        name
        for name, p in signature.parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if example is None and not shape:
        named = " ".join(f"--shape {name}=1x3x224x224" for name in wanted)
        raise ModelError(
            "an nn.Module needs an example input",
            where=label,
            hint=f"Give a tensor, a tuple or a dict of tensors after the module, or sizes: {named}"
            if named
            else "Give a tensor, a tuple or a dict of tensors after the module.",
        )
    positional = () if example is None or isinstance(example, Mapping) else example
    if not isinstance(positional, tuple | list):
        positional = (positional,)
    try:
        bound = signature.bind_partial(*positional, **(example if isinstance(example, Mapping) else {}))
    except TypeError as problem:
        raise ModelError(f"the example input doesn't fit forward{signature}: {problem}", where=label) from None
    device, kind = _where(torch, module)
    for name, sizes in shape.items():
        if name not in signature.parameters:
            raise UnknownNameError(
                f"forward{signature} has no argument {name!r}", where=label, hint=nearest(name, signature.parameters)
            )
        if not sizes or any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in sizes):
            raise UsageError(f"a shape is whole numbers of at least 1; {name!r} got {list(sizes)}", where=label)
        known = bound.arguments.get(name)
        bound.arguments[name] = torch.zeros(sizes, device=device, dtype=getattr(known, "dtype", kind))
    missing = [name for name in wanted if name not in bound.arguments]
    if missing:
        raise ModelError(
            f"no example for {', '.join(map(repr, missing))} of forward{signature}",
            where=label,
            hint=f"Give it, too, or its size: --shape {missing[0]}=1x3x224x224",
        )
    for tensor in torch.utils._pytree.tree_leaves((bound.args, bound.kwargs)):
        if isinstance(tensor, torch.Tensor) and (tensor.is_nested or tensor.layout != torch.strided):
            what = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
            raise ModelError(f"an input is a {what} tensor; dense ones are allowed", where=label)
    moved = torch.utils._pytree.tree_map_only(
        torch.Tensor, lambda tensor: tensor.to(device), (bound.args, bound.kwargs)
    )
    for tensor in torch.utils._pytree.tree_leaves(moved):
        if isinstance(tensor, torch.Tensor) and (tensor.dtype.is_complex or tensor.is_quantized):
            raise ModelError(
                f"an input of {str(tensor.dtype).removeprefix('torch.')} elements; real and whole numbers are allowed",
                where=label,
            )
        if isinstance(tensor, torch.Tensor) and 0 in tensor.shape:
            raise ModelError(f"an input has a dimension of size 0: {list(tensor.shape)}", where=label)
    return moved


def _where(torch: Any, module: torch.nn.Module) -> tuple[Any, Any]:
    """Device of the module and the element type of its floating parameters."""
    tensors = [*module.parameters(), *module.buffers()]
    floating = [tensor.dtype for tensor in tensors if tensor.dtype.is_floating_point]
    return tensors[0].device if tensors else torch.device("cpu"), floating[0] if floating else torch.float32


def _not_traced(problem: Exception, label: str) -> ModelError:
    place = _user_line(problem)
    message = next((line for line in str(problem).splitlines() if line.strip()), type(problem).__name__).strip()
    depends = re.search(
        r"data-dependent|GuardOnDataDependent|dynamic control flow|Could not guard",
        f"{type(problem).__name__} {problem}",
    )
    if depends:
        return ModelError(
            f"{label} can't be traced: its control flow depends on data ({message[:200]})",
            where=place or label,
            hint=_CONTROL_FLOW,
        )
    return ModelError(
        f"{label} fails when torch.export runs it: {type(problem).__name__}: {message[:300]}",
        where=place or label,
        hint="Does module(example_input) run? Its sizes and element types must fit.",
    )


def _user_line(problem: BaseException | None) -> str:
    """``file:line`` of the innermost code that is neither PyTorch's nor ours on the way to a failure."""
    import torch

    theirs, standard = Path(torch.__file__).resolve().parent, Path(traceback.__file__).resolve().parent
    installed = []
    seen: set[int] = set()
    while problem is not None and id(problem) not in seen:
        seen.add(id(problem))
        for frame in reversed(traceback.extract_tb(problem.__traceback__)):
            path, place = Path(frame.filename).resolve(), f"{frame.filename}:{frame.lineno}"
            if not path.is_file() or path.is_relative_to(theirs) or path.is_relative_to(_OWN_CODE):
                continue
            if "site-packages" in path.parts:
                installed.append(place)
            elif not path.is_relative_to(standard):
                return place
        problem = problem.__cause__ or problem.__context__
    # A model that somebody installed, or a library that torch uses.
    return installed[0] if installed else ""
