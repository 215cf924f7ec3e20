"""A network as a bundle: ONNX files, one for each exit, that were seen to answer as the network does."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.errors import BundleError, InputError, ModelError, SystemFailure, UnknownNameError, UsageError, nearest
from picojoule.runtime.bundle import Bundle, read_bundle
from picojoule.runtime.bundle_cutting import cut
from picojoule.runtime.bundle_folder import check_folder, write_folder
from picojoule.runtime.manifest import (
    COLOURS,
    MANIFEST,
    SCORES,
    Exit,
    FileFacts,
    Manifest,
    Parity,
    Preprocessing,
    Stage,
    Tensor,
)
from picojoule.runtime.manifest_file import manifest_text, preprocessing_of
from picojoule.runtime.session import Session, first_line, open_model, ort_dtype

if TYPE_CHECKING:
    import onnx

EXITS = ("auto", "none")
SCORE_KINDS = ("auto", *SCORES, "none")
PRESETS = ("pixels", "unit", "imagenet")
PARITY_INPUTS = 8
TOLERANCE = 1e-4
LARGEST_MODEL_BYTES = 2**31 - 1
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def export_bundle(
    model: Any,
    output: str | os.PathLike[str],
    example_input: Any = None,
    *,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    exits: str = "auto",
    scores: str = "auto",
    preprocess: str | os.PathLike[str] | Preprocessing | None = None,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    confidence: float | None = None,
    thresholds: Sequence[float | None] | None = None,
    temperatures: Sequence[float] | None = None,
    energies_pj: Sequence[float] | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    trust: bool = False,
    force: bool = False,
) -> Bundle:
    """Writes a network as a bundle, after ONNX Runtime was seen to answer on its files as the network does.

    Args:
        model: an ONNX file, a factory ``package.module:factory``, an ``nn.Module``, a program of ``torch.export``, or its
            ``.pt2`` file (only with ``trust``).
        output: the folder to make. It appears whole or not at all.
        example_input: what an ``nn.Module`` is called with.
        shape: sizes of inputs by name, batch first, where the model leaves them open.
        exits: ``auto``: a network of several outputs, all batch × classes, has its exits there, in their order, and is
            cut in stages. ``none``: one stage, whatever it hands back.
        scores: what an output of batch × classes is: ``logits``, ``probabilities``, ``none`` for something else than
            scores of classes; ``auto`` takes rows that sum to 1 for probabilities, and others for logits.
        preprocess: how images become the input: ``pixels`` (0 to 255 as they are), ``unit`` (0 to 1), ``imagenet``, a JSON
            file with the fields of ``Preprocessing``, or one.
        labels: names of the classes: a file with one a line or a JSON list, or a sequence.
        confidence: from which on samples leave, at every exit but the last.
        thresholds: the same, exit by exit.
        temperatures: of each exit.
        energies_pj: of each stage's share of an inference.
        tolerance: of the largest difference over the larger of 1 and the largest answer.
        seed: of the random inputs of the check.
        trust: lets PyTorch load a ``.pt2`` file, which may run code that is in it.
        force: replaces a bundle that is there.

    Returns:
        The bundle, read from the disk again.

    Raises:
        UnknownNameError, UsageError: the model or an argument is unknown or doesn't fit.
        ModelError: the model can't be exported or cut, or the answers differ by more than the tolerance.
        InputError: labels or preprocessing that don't fit.
        OutputExistsError, SystemFailure: see ``bundle_folder.write_folder``.
    """
    target = Path(output)
    check_folder(target, force=force)
    _known(exits, EXITS, "exits")
    _known(scores, SCORE_KINDS, "scores")
    if not 0 <= tolerance < float("inf"):
        raise UsageError(f"a tolerance is a number from 0, got {tolerance:g}", where="tolerance")
    if confidence is not None and thresholds is not None:
        raise UsageError("either one confidence for all exits or thresholds", where="confidence")
    source = _source(model, example_input, shape, trust)
    names = [tensor.name for tensor in source.inputs]
    rng = np.random.default_rng(seed)
    count = PARITY_INPUTS if source.batch is None else source.batch * max(1, PARITY_INPUTS // source.batch)
    given = {tensor.name: _random(rng, tensor, count) for tensor in source.inputs}
    want = source.reference([given[name] for name in names])
    outputs = [entry.name for entry in source.model.graph.output]
    staged = exits == "auto" and _are_exits(want)
    bare = _bare(source, outputs, want, count=count, scores=scores, staged=staged)
    if confidence is not None:
        if not staged:
            raise UsageError("a network of one exit has nothing to leave early", where="confidence")
        thresholds = (confidence,) * (len(bare.models) - 1)
    manifest = replace(
        bare.manifest,
        labels=None if labels is None else _labels(labels),
        preprocessing=None if preprocess is None else _preprocessing(preprocess, bare.manifest),
        stages=_with_data(bare.manifest.stages, thresholds, temperatures, energies_pj),
        seed=seed,
    )
    parity = _parity(replace(bare, manifest=manifest, path=target), source, given, want, tolerance)
    manifest = replace(manifest, parity=parity)
    files = {stage.file: content for stage, content in zip(manifest.stages, bare.models, strict=True)}
    write_folder(target, {**files, MANIFEST: manifest_text(manifest).encode()}, force=force)
    return read_bundle(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A network in ONNX, and how to ask the original."""

    model: onnx.ModelProto
    raw: bytes | None
    inputs: tuple[Tensor, ...]
    batch: int | None
    reference: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    reference_name: str
    label: str
    name: str
    provenance: dict[str, Any]


def _source(model: Any, example_input: Any, shape: Mapping[str, tuple[int, ...]] | None, trust: bool) -> _Source:
    from picojoule.frontends.factory import FACTORY, call_factory
    from picojoule.frontends.torch_trace import is_torch_model

    label = type(model).__name__ if is_torch_model(model) else os.fspath(model) if isinstance(model, str | os.PathLike) else ""
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
) -> _Source:
    from picojoule.frontends.onnx_export import export_onnx

    made = export_onnx(model, example_input, shape=shape, label=label)
    inputs, batch = _inputs(made.model, {}, label)
    origin |= {"exporter": made.tool}
    if made.fixed_because is not None:
        origin["batch_is_fixed_because"] = made.fixed_because
    return _Source(
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


def _from_onnx(path: Path, shape: Mapping[str, tuple[int, ...]] | None, origin: dict[str, Any]) -> _Source:
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
    session = _opened(model.SerializeToString(), label, optimized=False)

    def plainly(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        feed = {tensor.name: array for tensor, array in zip(inputs, arrays, strict=True)}
        return _run(session, None, feed, label)

    import onnxruntime

    return _Source(
        model=model,
        raw=None if _external(raw) else raw,
        inputs=inputs,
        batch=batch,
        reference=lambda arrays: _in_batches(plainly, arrays, batch),
        reference_name=f"the model as it was, by onnxruntime {onnxruntime.__version__} without optimizations",
        label=label,
        name=path.stem,
        provenance=origin | {"producer": " ".join(filter(None, (model.producer_name, model.producer_version)))},
    )


def _external(raw: bytes) -> bool:
    from picojoule.runtime.bundle_tensors import outside_tensor

    return outside_tensor(raw, where="") is not None


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
            fits = len(given) == len(dims) and all(d is None or d == g for d, g in zip(dims[1:], given[1:], strict=True))
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
        found.append(_tensor(entry.name, dims[1:], dtype, label))
    if len(batches) > 1:
        raise ModelError(f"its inputs have the batches {sorted(map(str, batches))}; one for all is allowed", where=label)
    return tuple(found), batches.pop()


def _tensor(name: str, shape: Sequence[Any], dtype: str, label: str) -> Tensor:
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


def _random(rng: np.random.Generator, tensor: Tensor, count: int) -> np.ndarray:
    """Normal numbers; whole numbers from 0 to 1, or the whole range where they have 8 bits."""
    size, dtype = (count, *tensor.shape), np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(size).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, size, dtype=dtype, endpoint=True)
    return rng.integers(0, 2, size).astype(dtype)


def _are_exits(answers: Sequence[np.ndarray]) -> bool:
    """Whether several outputs are all floats of batch × the same number of classes."""
    kinds = {(value.shape, value.dtype) for value in answers}
    return len(answers) > 1 and len(kinds) == 1 and answers[0].ndim == 2 and answers[0].dtype.kind == "f"


def _bare(
    source: _Source, outputs: list[str], want: Sequence[np.ndarray], *, count: int, scores: str, staged: bool
) -> Bundle:
    """The bundle without what is given to it: its stages, and what flows between them."""
    reads = tuple(tensor.name for tensor in source.inputs)
    if staged:
        pieces = cut(source.model, outputs, lambda names: _probed(source, names), label=source.label)
        contents = [piece.model.SerializeToString() for piece in pieces]
        stages = tuple(
            Stage(
                name=outputs[number],
                file=f"stage{number}.onnx",
                inputs=piece.inputs,
                outputs=tuple(
                    _tensor(name, shape, dtype, source.label) for name, (shape, dtype) in piece.outputs.items()
                ),
                exit=Exit(outputs=(outputs[number],), scores=_kind(scores, want[number : number + 1])),
            )
            for number, piece in enumerate(pieces)
        )
    else:
        contents = [source.model.SerializeToString() if source.raw is None else source.raw]
        for name, value in zip(outputs, want, strict=True):
            if not value.ndim or len(value) != count:
                raise ModelError(
                    f"the first axis of the output {name!r} is not the batch: {list(value.shape)} for a batch of {count}",
                    where=source.label,
                )
        made = tuple(
            _tensor(name, value.shape[1:], str(value.dtype), source.label)
            for name, value in zip(outputs, want, strict=True)
        )
        exit_ = Exit(outputs=tuple(outputs), scores=_kind(scores, want))
        stages = (Stage(name="network", file="model.onnx", inputs=reads, outputs=made, exit=exit_),)
    files = {
        stage.file: FileFacts(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for stage, content in zip(stages, contents, strict=True)
    }
    manifest = Manifest(
        name=source.name,
        inputs=source.inputs,
        stages=stages,
        files=files,
        batch=source.batch,
        provenance=source.provenance,
    )
    return Bundle(path=Path(source.label), manifest=manifest, models=tuple(contents))


def _kind(scores: str, answers: Sequence[np.ndarray]) -> str | None:
    """What the first output is, see ``export_bundle``."""
    first = answers[0]
    fits = first.ndim == 2 and first.dtype.kind == "f" and first.shape[1] > 1
    if scores == "none" or (scores == "auto" and not fits):
        return None
    if not fits:
        raise UsageError(
            f"scores are floats of batch × classes; the first output is {first.dtype} of {list(first.shape)}", where="scores"
        )
    if scores != "auto":
        return scores
    sums = bool((first >= 0).all() and np.allclose(first.sum(1, dtype=np.float64), 1, atol=1e-3))
    return "probabilities" if sums else "logits"


def _probed(source: _Source, names: Sequence[str]) -> dict[int, dict[str, np.ndarray]]:
    """Values of tensors inside of the network, at two batches where any goes."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    there = {entry.name for entry in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in there)
    session = _opened(model.SerializeToString(), source.label, optimized=False)
    found = {}
    for batch in (5, 7) if source.batch is None else (source.batch,):
        rng = np.random.default_rng(0)
        feed = {tensor.name: _random(rng, tensor, batch) for tensor in source.inputs}
        found[batch] = dict(zip(names, _run(session, list(names), feed, source.label), strict=True))
    return found


def _with_data(
    stages: tuple[Stage, ...],
    thresholds: Sequence[float | None] | None,
    temperatures: Sequence[float] | None,
    energies_pj: Sequence[float] | None,
) -> tuple[Stage, ...]:
    """The stages with what is known of their exits."""
    count = len(stages)
    for name, values, wanted in (
        ("thresholds", thresholds, count - 1),
        ("temperatures", temperatures, count),
        ("energies_pj", energies_pj, count),
    ):
        if values is not None and len(values) != wanted:
            raise UsageError(f"{count} exits need {wanted} {name}, got {len(values)}", where=name)
    found = []
    for number, stage in enumerate(stages):
        assert stage.exit is not None
        exit_ = stage.exit
        if thresholds is not None and number < count - 1:
            exit_ = replace(exit_, threshold=thresholds[number])
        if temperatures is not None:
            exit_ = replace(exit_, temperature=temperatures[number])
        found.append(replace(stage, exit=exit_, energy_pj=None if energies_pj is None else energies_pj[number]))
    return tuple(found)


def _parity(
    bundle: Bundle, source: _Source, given: dict[str, np.ndarray], want: Sequence[np.ndarray], tolerance: float
) -> Parity:
    """How far the bundle's answers are from the network's.

    Raises:
        ModelError: further than the tolerance.
    """
    import onnxruntime

    session = Session(bundle)
    try:
        found = session.every_exit(given)
        # Alone, too: a batch that the exporter took for a constant shows only at another one.
        alone = session.every_exit({name: array[:1] for name, array in given.items()})
    except BundleError as error:
        raise ModelError(error.message, where=source.label) from None
    # Without exits there is one with all outputs; with exits each has one.
    wanted = [list(want)] if len(found) == 1 else [[answer] for answer in want]
    differences, largest = [], []
    for answers, single, right in zip(found, alone, wanted, strict=True):
        pairs = [*zip(answers, right, strict=True), *((a, b[:1]) for a, b in zip(single, right, strict=True))]
        if any(a.shape != b.shape for a, b in pairs):
            shapes = next((list(a.shape), list(b.shape)) for a, b in pairs if a.shape != b.shape)
            raise ModelError(f"ONNX Runtime answers {shapes[0]} where the network answers {shapes[1]}", where=source.label)
        differences.append(max(_difference(a, b) for a, b in pairs))
        largest.append(max(float(np.abs(b.astype(np.float64)).max(initial=0.0)) for b in right))
    parity = Parity(
        reference=source.reference_name,
        runtime=f"onnxruntime {onnxruntime.__version__}",
        inputs=len(next(iter(given.values()))),
        max_abs_difference=tuple(differences),
        max_abs_reference=tuple(largest),
        tolerance=tolerance,
    )
    if not parity.holds:
        worst = max(range(len(differences)), key=lambda n: differences[n] / max(1.0, largest[n]))
        raise ModelError(
            f"the bundle doesn't answer as {source.reference_name}: exit {worst} differs by {differences[worst]:.3g} where"
            f" answers reach {largest[worst]:.3g}; {tolerance:g} of it is allowed",
            where=source.label,
            hint="Networks that draw random numbers never agree; of quantized ones a rounding may fall the other way:"
            " --tolerance allows more.",
        )
    return parity


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest absolute difference; what is not finite must be the same on both sides."""
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(a - b))
    worst = float(apart.max(initial=0.0))
    # A manifest holds finite numbers, and no tolerance lets this pass.
    return worst if np.isfinite(worst) else float(np.finfo(np.float64).max)


def _opened(model: bytes, label: str, *, optimized: bool) -> Any:
    try:
        return open_model(model, threads=None, where=label, optimized=optimized)
    except BundleError as error:
        raise ModelError(error.message, where=label) from None


def _run(session: Any, names: list[str] | None, feed: dict[str, np.ndarray], label: str) -> list[np.ndarray]:
    try:
        found: list[np.ndarray] = session.run(names, feed)
    except Exception as problem:  # the C++ side raises types of its own
        raise ModelError(f"onnxruntime can't run it: {first_line(problem)}", where=label) from problem
    return found


def _preprocessing(given: str | os.PathLike[str] | Preprocessing, manifest: Manifest) -> Preprocessing:
    if isinstance(given, Preprocessing):
        return given
    text = os.fspath(given)
    if text in PRESETS:
        return _preset(text, manifest)
    path = Path(text)
    if not path.is_file():
        raise UnknownNameError(f"there is no preprocessing {text!r}", where="preprocess", hint=f"{nearest(text, PRESETS)} Or a JSON file.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise InputError(f"not JSON: {problem}", where=text) from None
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=text) from problem
    return preprocessing_of(document, where=text)


def _preset(name: str, manifest: Manifest) -> Preprocessing:
    """Images of any size are resized to what the network takes; ``imagenet`` leaves a border, as it is trained."""
    shape = manifest.inputs[0].shape
    channels = {count: colour for colour, count in COLOURS.items() if colour != "BGR"}
    last = len(shape) == 3 and shape[0] not in channels
    if len(shape) != 3 or shape[-1 if last else 0] not in channels:
        raise UsageError(f"{name!r} is for images of 1 or 3 channels; the input takes {list(shape)}", where="preprocess")
    count = shape[-1] if last else shape[0]
    rows, columns = shape[:2] if last else shape[1:]
    plain = Preprocessing(
        colour=channels[count],
        layout="NHWC" if last else "NCHW",
        resize=(rows, columns),
        scale=1.0 if name == "pixels" else 1 / 255,
        mean=(0.0,) * count,
        std=(1.0,) * count,
    )
    if name != "imagenet":
        return plain
    if count != 3:
        raise UsageError(f"'imagenet' is for images of 3 channels; the input takes {list(shape)}", where="preprocess")
    return replace(
        plain, resize=round(min(rows, columns) * 256 / 224), crop=(rows, columns), mean=_IMAGENET_MEAN, std=_IMAGENET_STD
    )


def _labels(given: str | os.PathLike[str] | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, str | os.PathLike):
        return tuple(given)
    path = Path(given)
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}", where="labels", hint="One label a line, or a JSON list.")
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix.lower() == ".json" else text.splitlines()
    except (ValueError, RecursionError) as problem:
        raise InputError(f"not readable labels: {problem}", where=str(path)) from None
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=str(path)) from problem
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise InputError("labels are a list of texts", where=str(path))
    return tuple(found)


def _known(value: str, allowed: Sequence[str], name: str) -> None:
    if value not in allowed:
        raise UnknownNameError(f"{value!r} is no {name}", where=name, hint=nearest(value, allowed))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=str(path)) from problem
