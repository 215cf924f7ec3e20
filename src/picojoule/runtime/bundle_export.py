"""A network as a bundle: ONNX files, one for each exit, that were seen to answer as the network does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import BundleError, ModelError, UnknownNameError, UsageError, nearest
from picojoule.runtime.bundle import Bundle, read_bundle
from picojoule.runtime.bundle_cutting import cut
from picojoule.runtime.bundle_folder import check_folder, write_folder
from picojoule.runtime.bundle_given import given_labels, given_preprocessing, with_data
from picojoule.runtime.bundle_sources import Source, answers_of, open_source, opened, random_input, tensor_of
from picojoule.runtime.manifest import MANIFEST, SCORES, Exit, FileFacts, Manifest, Parity, Preprocessing, Stage
from picojoule.runtime.manifest_file import manifest_text
from picojoule.runtime.session import Session

EXITS = ("auto", "none")
SCORE_KINDS = ("auto", *SCORES, "none")
PARITY_INPUTS = 8
TOLERANCE = 1e-4


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
        model: an ONNX file, a factory ``package.module:factory``, an ``nn.Module``, a program of ``torch.export``, or
            its ``.pt2`` file (only with ``trust``).
        output: the folder to make. It appears whole or not at all.
        example_input: what an ``nn.Module`` is called with.
        shape: sizes of inputs by name, batch first, where the model leaves them open.
        exits: ``auto``: a network of several outputs, all batch × classes, has its exits there, in their order, and is
            cut in stages. ``none``: one stage, whatever it hands back.
        scores: what an output of batch × classes is: ``logits``, ``probabilities``, ``none`` for something else than
            scores of classes; ``auto`` takes rows that sum to 1 for probabilities, and others for logits.
        preprocess: how images become the input: ``pixels`` (0 to 255 as they are), ``unit`` (0 to 1), ``imagenet``, a
            JSON file with the fields of ``Preprocessing``, or one.
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
    source = open_source(model, example_input, shape, trust)
    names = [tensor.name for tensor in source.inputs]
    rng = np.random.default_rng(seed)
    count = PARITY_INPUTS if source.batch is None else source.batch * max(1, PARITY_INPUTS // source.batch)
    given = {tensor.name: random_input(rng, tensor, count) for tensor in source.inputs}
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
        labels=None if labels is None else given_labels(labels),
        preprocessing=None if preprocess is None else given_preprocessing(preprocess, bare.manifest),
        stages=with_data(bare.manifest.stages, thresholds, temperatures, energies_pj),
        seed=seed,
    )
    parity = _parity(replace(bare, manifest=manifest, path=target), source, given, want, tolerance)
    manifest = replace(manifest, parity=parity)
    return write_bundle(target, manifest, bare.models, force=force)


def write_bundle(output: str | os.PathLike[str], manifest: Manifest, models: Sequence[bytes], *, force: bool) -> Bundle:
    """Writes a bundle whole or not at all, and reads it from the disk again.

    Args:
        output: the folder.
        manifest: whose ``files`` may be of other contents: they are counted anew.
        models: the ONNX file of every stage.
        force: replaces a bundle that is there.

    Raises:
        OutputExistsError, SystemFailure: see ``bundle_folder.write_folder``.
        BundleError: what is written contradicts itself.
    """
    files = {stage.file: content for stage, content in zip(manifest.stages, models, strict=True)}
    manifest = replace(manifest, files={name: _facts_of(content) for name, content in files.items()})
    write_folder(Path(output), {**files, MANIFEST: manifest_text(manifest).encode()}, force=force)
    return read_bundle(output)


def _facts_of(content: bytes) -> FileFacts:
    return FileFacts(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _are_exits(answers: Sequence[np.ndarray]) -> bool:
    """Whether several outputs are all floats of batch × the same number of classes."""
    kinds = {(value.shape, value.dtype) for value in answers}
    return len(answers) > 1 and len(kinds) == 1 and answers[0].ndim == 2 and answers[0].dtype.kind == "f"


def _bare(
    source: Source, outputs: list[str], want: Sequence[np.ndarray], *, count: int, scores: str, staged: bool
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
                    tensor_of(name, shape, dtype, source.label) for name, (shape, dtype) in piece.outputs.items()
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
                    f"the first axis of the output {name!r} is not the batch:"
                    f" {list(value.shape)} for a batch of {count}",
                    where=source.label,
                )
        made = tuple(
            tensor_of(name, value.shape[1:], str(value.dtype), source.label)
            for name, value in zip(outputs, want, strict=True)
        )
        exit_ = Exit(outputs=tuple(outputs), scores=_kind(scores, want))
        stages = (Stage(name="network", file="model.onnx", inputs=reads, outputs=made, exit=exit_),)
    files = {
        stage.file: _facts_of(content)
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
            f"scores are floats of batch × classes; the first output is {first.dtype} of {list(first.shape)}",
            where="scores",
        )
    if scores != "auto":
        return scores
    sums = bool((first >= 0).all() and np.allclose(first.sum(1, dtype=np.float64), 1, atol=1e-3))
    return "probabilities" if sums else "logits"


def _probed(source: Source, names: Sequence[str]) -> dict[int, dict[str, np.ndarray]]:
    """Values of tensors inside of the network, at two batches where any goes."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    there = {entry.name for entry in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in there)
    session = opened(model.SerializeToString(), source.label, optimized=False)
    found = {}
    for batch in (5, 7) if source.batch is None else (source.batch,):
        rng = np.random.default_rng(0)
        feed = {tensor.name: random_input(rng, tensor, batch) for tensor in source.inputs}
        found[batch] = dict(zip(names, answers_of(session, list(names), feed, source.label), strict=True))
    return found


def _parity(
    bundle: Bundle, source: Source, given: dict[str, np.ndarray], want: Sequence[np.ndarray], tolerance: float
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
            raise ModelError(
                f"ONNX Runtime answers {shapes[0]} where the network answers {shapes[1]}", where=source.label
            )
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
            f"the bundle doesn't answer as {source.reference_name}: exit {worst} differs by {differences[worst]:.3g}"
            f" where answers reach {largest[worst]:.3g}; {tolerance:g} of it is allowed",
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


def _known(value: str, allowed: Sequence[str], name: str) -> None:
    if value not in allowed:
        raise UnknownNameError(f"{value!r} is no {name}", where=name, hint=nearest(value, allowed))
