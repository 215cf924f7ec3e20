"""Shares of zeros in the tensors of every layer: counted in weights, measured in activations on real inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import InputError, MissingExtraError, ModelError, PicojouleError
from picojoule.frontends.graph import Graph, Place, Shape
from picojoule.frontends.samples import read_samples
from picojoule.frontends.walk import Operands, Walked, scaled_constant, walk
from picojoule.frontends.zero_points import zero_points

if TYPE_CHECKING:
    import numpy as np

    from picojoule.frontends.torch_calls import Program

See = Callable[[str, Any], None]
"""Is told the name of a tensor and its elements."""

LARGEST_MODEL_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Shares of zeros by layer and tensor (weights, inputs, outputs), as far as known, over so many samples."""

    zeros: dict[str, dict[str, float]]
    samples: int | None


@dataclass(slots=True)
class _Counter:
    """Zeros and elements of the tensors that are wanted, over everything seen of them."""

    wanted: frozenset[str]
    label: str
    zeros: dict[str, int] = field(default_factory=dict)
    elements: dict[str, int] = field(default_factory=dict)

    def see(self, name: str, array: Any, zero: int = 0, *, weights: str = "") -> None:
        """Counts in ``array``, a numpy array or a torch tensor, in which the number ``zero`` means zero.

        ``weights`` is what the user calls it if it is part of the model.
        """
        if name not in self.wanted:
            return
        if bool((array != array).any()):
            if weights:
                raise ModelError(f"the weights {weights!r} hold NaN", where=self.label, hint="Is the training broken?")
            raise InputError(
                f"tensor {name!r} holds NaN on this input",
                where=self.label,
                hint="Are the data prepared as the network was trained?",
            )
        self.zeros[name] = self.zeros.get(name, 0) + int((array == zero).sum())
        self.elements[name] = self.elements.get(name, 0) + _size(array)

    def share(self, names: tuple[str, ...]) -> float | None:
        """The share of zeros in several tensors together; None if one was not seen."""
        if not names or any(not self.elements.get(name) for name in names):
            return None
        return sum(self.zeros[name] for name in names) / sum(self.elements[name] for name in names)


def zeros_of_onnx(path: Path, *, shape: Mapping[str, Shape] | None, data: Path | None) -> Measured:
    """The shares of zeros in an ONNX model: of its weights, and if there are ``data`` of its activations on them.

    Raises:
        ModelError: weights are missing, or onnxruntime can't run the model.
        InputError: the data don't fit, or lead to NaN.
        MissingExtraError: onnxruntime is not installed.
    """
    from picojoule.frontends.onnx_file import read_graph

    graph, inputs, _ = read_graph(path, shape=shape)
    walked = walk(graph, inputs)
    wanted = _wanted(walked)
    # Without a run, what is stored stands for what is made of it on the way: as many of its elements are zero.
    alias = {name: _source(graph, name) for name in wanted} if data is None else {}
    counter = _Counter(wanted=wanted | frozenset(alias.values()), label=str(path))
    model = _whole_model(path)
    samples = None
    if data is None:
        _see_weights(model, counter, zero_points(model))
    else:
        samples = 0
        shapes = {name: graph.shapes[name] for name in inputs}
        run = _session(model, graph, counter, str(path))
        whole = _whole(model, inputs)
        for batch in read_samples(data, shapes, whole=whole):
            run(batch)
            samples += len(next(iter(batch.values())))
    return Measured(zeros=_by_layer(walked, counter, alias), samples=samples)


def zeros_of_archive(path: Path, *, shape: Mapping[str, Shape] | None, data: Path | None) -> Measured:
    """The same for a file of ``torch.export.save``; without ``data`` it does without torch.

    Raises:
        ModelError: weights are pickled or have no values, or torch can't run the program.
        InputError: as `zeros_of_onnx`.
        MissingExtraError: torch is not installed.
    """
    from picojoule.frontends.torch_archive import read_archive, read_weights
    from picojoule.frontends.torch_graph import graph_of, open_sizes
    from picojoule.frontends.torch_run import Runner, torch_tensor

    program = read_archive(path)
    graph = graph_of(program, label=str(path), shape=shape)
    walked = walk(graph, program.inputs)
    alias = {name: _source(graph, name) for name in _wanted(walked)}
    counter = _Counter(wanted=frozenset((*alias, *alias.values())), label=str(path))
    names: dict[str, list[str]] = {}
    views = _views(graph, counter)
    for name, weight in program.parameters.items():
        if data is not None or name in counter.wanted or name in views:
            names.setdefault(weight, []).append(name)
    state = {}
    for weight, array in read_weights(path, names):
        for name in names[weight]:
            counter.see(name, array, weights=weight)
            for view, place in views.get(name, ()):
                counter.see(view, _strided(array, place), weights=weight)
        if data is not None:
            state.update(dict.fromkeys(names[weight], torch_tensor(array)))
    samples = None
    if data is not None:
        samples = 0
        symbols = open_sizes(program, shape or {}, str(path))
        runner = Runner(program=program, state=state, symbols=symbols, label=str(path))
        whole = [name for name in program.inputs if "int" in program.types[name]]
        for batch in read_samples(data, {name: graph.shapes[name] for name in program.inputs}, whole=whole):
            runner.run(batch, counter.see)
            samples += len(next(iter(batch.values())))
    return Measured(zeros=_by_layer(walked, counter, alias), samples=samples)


def zeros_of_module(exported: Any, graph: Graph, program: Program, *, data: Path | None, label: str) -> Measured:
    """The same for a program of ``torch.export`` in memory.

    Args:
        exported: the program with its weights.
        graph: what `torch_graph` makes of it.
        program: the same as plain data.
        data: as for `zeros_of_onnx`.
        label: how messages name it.

    Raises:
        ModelError: the weights lie on the meta device.
        InputError: as `zeros_of_onnx`.
    """
    import torch

    from picojoule.frontends.torch_run import untouched

    inputs = program.inputs
    parameters = {name: target for name, target in program.parameters.items() if target}
    walked = walk(graph, inputs)
    state = {**exported.constants, **exported.state_dict}
    if any(tensor.is_meta for tensor in state.values() if isinstance(tensor, torch.Tensor)):
        raise ModelError(
            "its parameters have no values: they lie on the meta device", where=label, hint="Zeros need real weights."
        )
    alias = {name: _source(graph, name) for name in _wanted(walked)}
    counter = _Counter(wanted=frozenset((*alias, *alias.values())), label=label)
    views = _views(graph, counter)
    for name, target in parameters.items():
        counter.see(name, state[target].detach(), weights=target)
        for view, place in views.get(name, ()):
            part = state[target].detach().contiguous().as_strided(place.sizes, place.strides, place.offset)
            counter.see(view, part, weights=target)
    samples = None
    if data is not None:
        samples = 0
        held = {name: state[target] for name, target in parameters.items() if isinstance(state[target], torch.Tensor)}
        whole = [
            node.name for node in exported.graph.nodes if node.name in inputs and "int" in str(node.meta["val"].dtype)
        ]
        for batch in read_samples(data, {name: graph.shapes[name] for name in inputs}, whole=whole):
            _interpret(exported, untouched(held, program), batch, counter)
            samples += len(next(iter(batch.values())))
    return Measured(zeros=_by_layer(walked, counter, alias), samples=samples)


def _views(graph: Graph, counter: _Counter) -> dict[str, list[tuple[str, Place]]]:
    """The views of each parameter whose zeros are wanted, such as the third of a matrix that makes the keys."""
    found: dict[str, list[tuple[str, Place]]] = {}
    for view, place in graph.places.items():
        if view in counter.wanted:
            found.setdefault(place.base, []).append((view, place))
    return found


def _strided(array: np.ndarray, place: Place) -> np.ndarray:
    """What a view of ``array`` holds; also of element types that numpy itself doesn't stride over."""
    import numpy as np

    flat = np.ascontiguousarray(array).reshape(-1)
    where = np.arange(flat.size)[place.offset :]
    strides = [stride * where.itemsize for stride in place.strides]
    return flat[np.lib.stride_tricks.as_strided(where, place.sizes, strides, writeable=False)]


def _wanted(walked: Walked) -> frozenset[str]:
    names = (name for operands in walked.operands for name in (*operands.inputs, operands.weights, operands.outputs))
    return frozenset(filter(None, names))


def _source(graph: Graph, name: str) -> str:
    """The tensor that holds the same elements as ``name`` in another shape or order, or quantized around zero."""
    while name in graph.producers:
        maker = graph.producers[name]
        zero_point = graph.values.get(maker.given(2))
        around_zero = maker.op == "DequantizeLinear" and (zero_point is not None and not zero_point.any())
        widened = maker.op == "Cast" and maker.given(0) in graph.bits
        narrowed = maker.op in ("Cast", "Identity") and name in graph.bits and maker.given(0) not in graph.bits
        scaled = scaled_constant(graph, maker) if maker.op in ("Mul", "Div") else ""
        if scaled and _source(graph, scaled) not in graph.bits:
            scaled = ""  # no scale but maybe a mask, whose zeros nobody has seen
        plain = maker.op in ("Transpose", "Reshape", "Unsqueeze", "Squeeze", "Identity")
        if narrowed or not (around_zero or widened or scaled or plain):
            break
        name = scaled or maker.given(0)
    return name


def _by_layer(walked: Walked, counter: _Counter, alias: Mapping[str, str]) -> dict[str, dict[str, float]]:
    def shares(operands: Operands) -> Iterator[tuple[str, float]]:
        for tensor, names in (
            ("weights", (operands.weights,) if operands.weights else ()),
            ("inputs", operands.inputs),
            ("outputs", (operands.outputs,) if operands.outputs else ()),
        ):
            seen = (name if name in counter.elements else alias.get(name, name) for name in names)
            share = counter.share(tuple(seen))
            if share is not None:
                yield tensor, share

    return {layer.name: dict(shares(operands)) for layer, operands in zip(walked.layers, walked.operands, strict=True)}


def _whole_model(path: Path) -> Any:
    import onnx
    import onnx.inliner

    try:
        model = onnx.load(path)
    except Exception as problem:  # each way of missing external data raises its own
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise ModelError(f"its weights can't be read: {first}", where=str(path)) from problem
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _see_weights(model: Any, counter: _Counter, points: Mapping[str, str]) -> dict[str, Any]:
    """Counts in the weights; gives those of the zero points that the model holds."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    constants = {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    held = {**constants, **stored}
    values = {point: numpy_helper.to_array(held[point]) for point in points.values() if point in held}
    for name, tensor in held.items():
        zero = _zero(points.get(name, ""), values)
        if name in counter.wanted and zero is not None:
            counter.see(name, numpy_helper.to_array(tensor), zero, weights=name)
    return values


def _zero(point: str, values: Mapping[str, Any]) -> int | None:
    """The number that means zero by the zero point called ``point``; None if it is unknown or not one for all."""
    if not point:
        return 0
    of_all = set(values[point].reshape(-1).tolist()) if point in values else set()
    return of_all.pop() if len(of_all) == 1 else None


def _session(model: Any, graph: Graph, counter: _Counter, label: str) -> Callable[[dict[str, np.ndarray]], None]:
    """Runs a batch through the model as it stands, without any optimization, and shows every tensor to the counter."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError(
            "measuring zeros of an ONNX model needs onnxruntime", hint="pip install 'picojoule[runtime]'"
        ) from None
    from onnx import helper

    points = zero_points(model)
    held = _see_weights(model, counter, points)
    made = {name for node in model.graph.node for name in node.output if name}
    there = {entry.name for entry in model.graph.output}
    asked = sorted(name for name in counter.wanted if name in made)
    asked += sorted({points.get(name) for name in asked} & made - set(asked))
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in asked if name not in there)
    if model.ByteSize() > LARGEST_MODEL_BYTES:
        raise ModelError("models of more than 2 GiB can't be run here", where=label)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the C++ side raises types of its own
        raise ModelError(f"onnxruntime can't load it: {_first_line(problem)}", where=label) from problem
    types = {entry.name: _NUMPY_TYPES.get(entry.type, "float32") for entry in session.get_inputs()}

    def run(batch: dict[str, np.ndarray]) -> None:
        given = {name: array.astype(types[name]) for name, array in batch.items()}
        for name, array in given.items():
            counter.see(name, array, _zero(points.get(name, ""), held) or 0)
        try:
            results = session.run(asked, given)
        except Exception as problem:  # the C++ side raises types of its own
            raise ModelError(f"onnxruntime can't run it: {_first_line(problem)}", where=label) from problem
        made_now = {**held, **dict(zip(asked, results, strict=True))}
        for name, array in zip(asked, results, strict=True):
            zero = _zero(points.get(name, ""), made_now)
            if zero is not None and (name not in graph.constants or name not in counter.elements):
                counter.see(name, array, zero)

    return run


def _whole(model: Any, inputs: Collection[str]) -> list[str]:
    """The inputs of an ONNX model that take whole numbers."""
    from onnx import TensorProto

    types = {entry.name: entry.type.tensor_type.elem_type for entry in model.graph.input}
    return [name for name in inputs if "INT" in TensorProto.DataType.Name(types.get(name, 0))]


_NUMPY_TYPES = {
    f"tensor({theirs})": ours
    for theirs, ours in {
        "float": "float32", "double": "float64", "float16": "float16", "int64": "int64", "int32": "int32",
        "int16": "int16", "int8": "int8", "uint8": "uint8", "uint16": "uint16", "bool": "bool",
    }.items()
}  # fmt: skip


def _interpret(exported: Any, held: Mapping[str, Any], batch: dict[str, np.ndarray], counter: _Counter) -> None:
    """Runs a batch through the program with the parameters, buffers and constants in ``held``."""
    import torch

    from picojoule.frontends.torch_table import INLINED

    arguments = []
    for node in exported.graph.nodes:
        if node.op != "placeholder":
            continue
        if node.name in held:
            arguments.append(held[node.name])
        elif node.name in batch:
            wanted = node.meta["val"]
            arguments.append(torch.from_numpy(batch[node.name].copy()).to(wanted.dtype))
            counter.see(node.name, arguments[-1])
        else:
            arguments.append(None)  # an argument that is no tensor is part of the program

    class Seeing(torch.fx.Interpreter):
        """Shows what is made in parts of the program, too, by the names that `torch_graph` gives it."""

        def __init__(self, module: Any, prefix: str = "") -> None:
            super().__init__(module)
            self.prefix, self.at = prefix, ""

        def run_node(self, node: Any) -> Any:
            self.at = node.name
            try:
                value = super().run_node(node)
            except PicojouleError:
                raise
            except Exception as problem:  # kernels and their checks raise whatever they like
                raise ModelError(
                    f"PyTorch can't run it on these data: {_first_line(problem)}",
                    where=f"{counter.label}: {node.name!r} ({node.target})",
                ) from problem
            if node.op == "call_function":
                for name, tensor in (
                    [(f"{node.name}#{index}", one) for index, one in enumerate(value)]
                    if isinstance(value, list | tuple)
                    else [(node.name, value)]
                ):
                    if isinstance(tensor, torch.Tensor):
                        counter.see(f"{self.prefix}{name}", tensor)
            return value

        def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if getattr(target, "__name__", "") in INLINED:
                prefix = f"{self.prefix}{self.at}."
                args = tuple(Seeing(x, prefix).run if isinstance(x, torch.fx.GraphModule) else x for x in args)
            return super().call_function(target, args, kwargs)

    with torch.no_grad():
        Seeing(exported.graph_module).run(*arguments)


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]


def _size(array: Any) -> int:
    return int(array.size) if isinstance(getattr(array, "size", None), int) else int(array.numel())
