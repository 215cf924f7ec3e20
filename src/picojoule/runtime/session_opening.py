"""From a bundle to stages that run: checked against the manifest, optimised together, with the scores of operating points."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.errors import BundleError, MissingExtraError
from picojoule.runtime.bundle import Bundle
from picojoule.runtime.session_stage import Stage, check_session, open_model

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What a stage is opened from: an ONNX model, and the names of what it makes for later stages and its exit."""

    model: bytes | onnx.ModelProto
    makes: tuple[str, ...]
    optimized: bool


def open_stages(bundle: Bundle, threads: int | None) -> list[Stage]:
    """The stages of a bundle; without onnx, which joins stages and adds nodes, they run as their files have them.

    Raises:
        MissingExtraError: onnxruntime is not installed; or onnx isn't, and there are operating points.
        BundleError: a stage's file can't be loaded, or doesn't match the manifest.
    """
    manifest = bundle.manifest
    if len(manifest.stages) == 1 and manifest.operation is None:
        return open_files(bundle, threads)
    if importlib.util.find_spec("onnx") is None:
        if manifest.operation is None:
            return _linked(bundle, open_files(bundle, threads))
        raise MissingExtraError("operating points are scored by nodes of the stages, which takes onnx", hint="pip install onnx")
    open_files(bundle, threads, optimized=False)  # to be checked
    from picojoule.runtime.session_layout import optimised

    pieces = optimised(bundle)
    if pieces is not None:
        parts = [_Part(model=one.model, makes=tuple(one.outputs), optimized=False) for one in pieces]
        try:
            return _opened(bundle, parts, threads)
        except BundleError:
            pass  # a graph that the runtime wrote and can't read: then as the files have it
    return _opened(bundle, _files(bundle, optimized=True), threads)


def open_files(bundle: Bundle, threads: int | None, *, optimized: bool = True) -> list[Stage]:
    """The stages as their files have them, so that every tensor between them bears its name in the manifest."""
    stages = [_stage(bundle, n, part, part.model, threads, None) for n, part in enumerate(_files(bundle, optimized))]
    for number, stage in enumerate(stages):
        check_session(stage.session, number, bundle.manifest, stage.where)
    return stages


def _files(bundle: Bundle, optimized: bool) -> list[_Part]:
    stages = zip(bundle.manifest.stages, bundle.models, strict=True)
    return [_Part(model=m, makes=tuple(one.name for one in s.outputs), optimized=optimized) for s, m in stages]


def _opened(bundle: Bundle, parts: Sequence[_Part], threads: int | None) -> list[Stage]:
    """With the scores of the operating points, where there are some."""
    operation, classes, exits = bundle.manifest.operation, bundle.manifest.classes, bundle.manifest.exits
    if operation is None:
        return _linked(bundle, [_stage(bundle, n, part, part.model, threads, None) for n, part in enumerate(parts)])
    from picojoule.runtime.session_scores import OLDEST, with_scores

    assert classes is not None
    stages: list[Stage] = []
    number = 0
    for n, part in enumerate(parts):
        model: Any = part.model
        scored = None
        if bundle.manifest.stages[n].exit is not None:
            model = with_scores(_recent(model, OLDEST), number, exits, operation, classes)
            scored = number < len(exits) - 1
            number += 1
        stages.append(_stage(bundle, n, part, model, threads, scored))
    return _linked(bundle, stages)


def _recent(model: bytes | onnx.ModelProto, oldest: int) -> onnx.ModelProto:
    """The model, of an opset of at least ``oldest``."""
    import onnx

    found = onnx.load_from_string(model) if isinstance(model, bytes) else model
    versions = [one.version for one in found.opset_import if one.domain in ("", "ai.onnx")]
    return found if max(versions, default=oldest) >= oldest else onnx.version_converter.convert_version(found, oldest)


def _stage(
    bundle: Bundle, number: int, part: _Part, model: Any, threads: int | None, scored: bool | None
) -> Stage:
    """``scored``: whether operating points have a score here; None where they have neither score nor probabilities."""
    from picojoule.runtime.session_scores import PROBABILITIES, SCORE

    manifest = bundle.manifest
    stage = manifest.stages[number]
    where = f"{bundle.path / stage.file}"
    content = model if isinstance(model, bytes) else model.SerializeToString()
    session = open_model(content, threads=threads, where=where, optimized=part.optimized)
    extra = [] if scored is None else [PROBABILITIES, SCORE] if scored else [PROBABILITIES]
    return Stage(
        session=session,
        inputs=tuple(one.name for one in session.get_inputs()),
        outputs=[*part.makes, *extra],
        answer=list(stage.exit.outputs) if stage.exit else [],
        needed=(),
        exit=stage.exit,
        last=number == len(manifest.stages) - 1,
        batch=manifest.batch,
        where=where,
        probabilities=PROBABILITIES if extra else None,
        score=SCORE if scored else None,
    )


def _linked(bundle: Bundle, stages: list[Stage]) -> list[Stage]:
    """Tells each stage what of all that is there by then later ones read."""
    held = [tensor.name for tensor in bundle.manifest.inputs]
    for number, stage in enumerate(stages):
        held += [name for name in stage.outputs if name not in held]
        later = {name for after in stages[number + 1 :] for name in after.inputs}
        stage.needed = tuple(name for name in held if name in later)
    return stages
