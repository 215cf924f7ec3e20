"""What a bundle is made of: a network in ONNX, and how to ask the original for its answers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.errors import BundleError, ModelError, SystemFailure, UnknownNameError, UsageError, nearest
from picojoule.runtime.bundle_tensors import outside_tensor
from picojoule.runtime.manifest import Tensor
from picojoule.runtime.session_stage import first_line, open_model

if TYPE_CHECKING:
    import onnx

LARGEST_MODEL_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A network in ONNX, and how to ask the original.

    Attributes:
        model: with its weights.
        raw: the file that the model was read from, where that holds all of it; else None.
        inputs: of the network.
        batch: that every run takes; None for any.
        reference: arrays of the inputs in their order → the original's answers.
        reference_name: what gives them.
        label: how messages name the network.
        name: of the network.
        provenance: for the manifest.
    """

    model: onnx.ModelProto
    raw: bytes | None
    inputs: tuple[Tensor, ...]
    batch: int | None
    reference: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    reference_name: str
    label: str
    name: str
    provenance: dict[str, Any]


def open_source(model: Any, example_input: Any, shape: Mapping[str, tuple[int, ...]] | None, trust: bool) -> Source:
    from picojoule.frontends.factory import FACTORY, call_factory
    from picojoule.frontends.torch_trace import is_torch_model

    label = (
        type(model).__name__
        if is_torch_model(model)
        else os.fspath(model)
        if isinstance(model, str | os.PathLike)
        else ""
    )
    origin: dict[str, Any] = {"source": label}
    if not label:
        raise UsageError(f"a {type(model).__name__} can't become a bundle", where="model")
    if not is_torch_model(model):
        path = Path(label)
        if path.is_file():
            origin = {"source": path.name, "source_sha256": _sha256(path)}
            if path.suffix.lower() != ".pt2":
                if example_input is not None:
                    raise UsageError("an example input is for an nn.Module", where="example_input")
                return _from_onnx(path, shape, origin)
            if not trust:
                raise UsageError(
                    "PyTorch's reader of .pt2 files may run code that is in them",
                    where=label,
                    hint="If you trust the file, say so with --trust; or export its module, or an ONNX file.",
                )
            from picojoule.frontends.onnx_export import load_program

            model = load_program(path)
        elif FACTORY.fullmatch(label):
            model, example = call_factory(label)
            example_input = example if example_input is None else example_input
        else:
            raise UnknownNameError(
                f"there is no model file {label!r}",
                hint="A bundle is made of an .onnx or .pt2 file or of package.module:factory; built-in networks have no"
                " weights.",
            )
    return _from_torch(model, example_input, shape, label, origin)


def _from_torch(
    model: Any, example_input: Any, shape: Mapping[str, tuple[int, ...]] | None, label: str, origin: dict[str, Any]
) -> Source:
    from picojoule.frontends.onnx_export import export_onnx

    made = export_onnx(model, example_input, shape=shape, label=label)
    inputs, batch = _inputs(made.model, {}, label)
    origin |= {"exporter": made.tool}
    if made.fixed_because is not None:
        origin["batch_is_fixed_because"] = made.fixed_because
    return Source(
        model=made.model,
        raw=None,
        inputs=inputs,
        batch=batch,
        reference=lambda arrays: _in_batches(made.reference, arrays, batch),
        reference_name=made.tool,
        label=label,
        name=Path(label).stem if os.path.isfile(label) else label.rpartition(":")[2],
        provenance=origin,
    )


def _from_onnx(path: Path, shape: Mapping[str, tuple[int, ...]] | None, origin: dict[str, Any]) -> Source:
    import onnx

    label = str(path)
    try:
        raw = path.read_bytes()
        model = onnx.load(path)
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=label) from problem
    except Exception as problem:  # damaged files and missing external data raise each their own
        raise ModelError(f"not a readable ONNX model: {first_line(problem)}", where=label) from problem
    if not model.graph.node:
        raise ModelError("not a readable ONNX model: its graph has no nodes", where=label)
    if model.ByteSize() > LARGEST_MODEL_BYTES:
        raise ModelError("models of more than 2 GiB can't be bundled", where=label)
    inputs, batch = _inputs(model, shape or {}, label)
    session = opened(model.SerializeToString(), label, optimized=False)

    def plainly(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        feed = {tensor.name: array for tensor, array in zip(inputs, arrays, strict=True)}
        return answers_of(session, None, feed, label)

    import onnxruntime

    return Source(
        model=model,
        raw=None if outside_tensor(raw, where=label) is not None else raw,
        inputs=inputs,
        batch=batch,
        reference=lambda arrays: _in_batches(plainly, arrays, batch),
        reference_name=f"the model as it was, by onnxruntime {onnxruntime.__version__} without optimizations",
        label=label,
        name=path.stem,
        provenance=origin | {"producer": " ".join(filter(None, (model.producer_name, model.producer_version)))},
    )


def _inputs(
    model: onnx.ModelProto, shape: Mapping[str, tuple[int, ...]], label: str
) -> tuple[tuple[Tensor, ...], int | None]:
    """Inputs of an ONNX model that are no weights, and its batch: None if any goes."""
    import onnx

    weights = {tensor.name for tensor in model.graph.initializer}
    entries = [entry for entry in model.graph.input if entry.name not in weights]
    unknown = set(shape) - {entry.name for entry in entries}
    if unknown:
        hint = nearest(min(unknown), [entry.name for entry in entries])
        raise UnknownNameError(f"the model has no input {min(unknown)!r}", where=label, hint=hint)
    found, batches = [], set()
    for entry in entries:
        kind = entry.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
        if not dims:
            raise ModelError(f"the input {entry.name!r} has no batch: its shape is {dims}", where=label)
        given = shape.get(entry.name)
        if given is not None:
            fits = len(given) == len(dims) and all(
                d is None or d == g for d, g in zip(dims[1:], given[1:], strict=True)
            )
            if not fits:
                told = [size or "?" for size in dims]
                raise UsageError(f"{entry.name!r} has the shape {told}, not {list(given)}", where=label)
            dims = [dims[0], *given[1:]]
        if None in dims[1:]:
            raise ModelError(
                f"sizes of the input {entry.name!r} are open: {[size or '?' for size in dims]}",
                where=label,
                hint=f"Give them: --shape {entry.name}=1x3x224x224. Only the batch may stay open.",
            )
        batches.add(dims[0])
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        found.append(tensor_of(entry.name, dims[1:], dtype, label))
    if len(batches) > 1:
        raise ModelError(
            f"its inputs have the batches {sorted(map(str, batches))}; one for all is allowed", where=label
        )
    return tuple(found), batches.pop()


def tensor_of(name: str, shape: Sequence[Any], dtype: str, label: str) -> Tensor:
    try:
        return Tensor(name=name, shape=tuple(shape), dtype=dtype)
    except BundleError as error:
        raise ModelError(error.message, where=f"{label}: {error.where}") from None


def _in_batches(
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]], arrays: Sequence[np.ndarray], batch: int | None
) -> list[np.ndarray]:
    """A network of a fixed batch, run as often as it takes."""
    if batch is None:
        return run(arrays)
    runs = [run([array[n : n + batch] for array in arrays]) for n in range(0, len(arrays[0]), batch)]
    if any(not value.ndim for value in runs[0]):
        return runs[0]
    return [np.concatenate(parts) for parts in zip(*runs, strict=True)]


def random_input(rng: np.random.Generator, tensor: Tensor, count: int) -> np.ndarray:
    """Normal numbers; whole numbers from 0 to 1, or the whole range where they have 8 bits."""
    size, dtype = (count, *tensor.shape), np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(size).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, size, dtype=dtype, endpoint=True)
    return rng.integers(0, 2, size).astype(dtype)


def opened(model: bytes, label: str, *, optimized: bool) -> Any:
    try:
        return open_model(model, threads=None, where=label, optimized=optimized)
    except BundleError as error:
        raise ModelError(error.message, where=label) from None


def answers_of(session: Any, names: list[str] | None, feed: dict[str, np.ndarray], label: str) -> list[np.ndarray]:
    try:
        found: list[np.ndarray] = session.run(names, feed)
    except Exception as problem:  # the C++ side raises types of its own
        raise ModelError(f"onnxruntime can't run it: {first_line(problem)}", where=label) from problem
    return found


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=str(path)) from problem
