"""A stage of a bundle in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import BundleError, MissingExtraError
from picojoule.runtime.manifest import Exit, Manifest, Tensor


@dataclass(slots=True, kw_only=True)
class Stage:
    """A stage and the session of ONNX Runtime that runs it.

    Attributes:
        session: of ONNX Runtime.
        inputs: that it reads.
        outputs: all that it makes.
        answer: what of it is its exit's answer.
        needed: what of all that is there by now later stages read.
        exit: None where nobody leaves.
        last: whether it is the last.
        probabilities: name of the output that an operating point answers with, score: of that which it decides by; None
            without operating points, and the score at the last exit.
        batch: that every run takes; None for any.
        where: how messages name its file.
    """

    session: Any
    inputs: tuple[str, ...]
    outputs: list[str]
    answer: list[str]
    needed: tuple[str, ...]
    exit: Exit | None
    last: bool
    batch: int | None
    where: str
    probabilities: str | None = None
    score: str | None = None

    def run(self, held: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """The outputs for all samples that are held."""
        feed = {name: held[name] for name in self.inputs}
        try:
            if self.batch is not None:
                return self._in_pieces(feed, outputs, self.batch)
            found: list[np.ndarray] = self.session.run(outputs, feed)
        except Exception as problem:  # the C++ side raises types of its own
            raise BundleError(f"onnxruntime can't run it: {first_line(problem)}", where=self.where) from problem
        return found

    def _in_pieces(self, feed: Mapping[str, np.ndarray], outputs: list[str], batch: int) -> list[np.ndarray]:
        """A network of a fixed batch: run by run, the last filled up with its last sample."""
        count = len(next(iter(feed.values())))
        pieces = []
        for first in range(0, count, batch):
            piece = {name: array[first : first + batch] for name, array in feed.items()}
            short = batch - min(batch, count - first)
            if short:
                piece = {name: np.concatenate([array, *[array[-1:]] * short]) for name, array in piece.items()}
            pieces.append(self.session.run(outputs, piece))
        return [np.concatenate(parts)[:count] for parts in zip(*pieces, strict=True)]


def open_model(
    model: bytes, *, threads: int | None, where: str, optimized: bool = True, written: Path | None = None
) -> Any:
    """A session of ONNX Runtime for the bytes of an ONNX file.

    Args:
        model: the file's contents.
        threads: that the runtime spreads an operator over; None lets it choose.
        where: how messages name the file.
        optimized: by the runtime.
        written: a file for the graph as the runtime has optimised it for this processor.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BundleError: it can't load the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError(
            "running a network needs onnxruntime", hint="pip install 'picojoule[runtime]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if threads is not None:
        options.intra_op_num_threads = threads
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if written is not None:
        options.optimized_model_filepath = str(written)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the C++ side raises types of its own
        raise BundleError(f"onnxruntime can't load it: {first_line(problem)}", where=where) from problem


def first_line(problem: BaseException) -> str:
    """The first line of what an exception says."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]


_ANEW = "This is no file of that stage. Copy the bundle anew from where it came, or export it again."
_ORT_TYPES = {"float": "float32", "double": "float64"}


def ort_dtype(kind: str) -> str:
    """The name in numpy of ONNX Runtime's ``tensor(float)``."""
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return _ORT_TYPES.get(inner, inner)


def check_session(session: Any, number: int, manifest: Manifest, where: str) -> None:
    """Raises BundleError where a stage's file doesn't take or make what the manifest says."""
    stage = manifest.stages[number]
    known = {tensor.name: tensor for tensor in manifest.inputs}
    known.update((tensor.name, tensor) for before in manifest.stages for tensor in before.outputs)
    _compare("inputs", session.get_inputs(), [known[name] for name in stage.inputs], manifest.batch, where)
    _compare("outputs", session.get_outputs(), stage.outputs, manifest.batch, where)


def _compare(what: str, found: Sequence[Any], told: Sequence[Tensor], batch: int | None, where: str) -> None:
    """Raises BundleError where an ONNX file doesn't take or make what the manifest says."""
    there = {one.name: one for one in found}
    for tensor in told:
        if tensor.name not in there:
            raise BundleError(
                f"the manifest tells of the {what} {[one.name for one in told]}, the file has {list(there)}",
                where=where,
                hint=_ANEW,
            )
        one = there[tensor.name]
        shape = list(one.shape or [])
        sizes = zip(shape[1:], tensor.shape, strict=False)
        first = shape[0] if shape else None
        # An open size is a name, or None: it takes any.
        fits = len(shape) == len(tensor.shape) + 1 and all(not isinstance(a, int) or a == b for a, b in sizes)
        fits = fits and ort_dtype(one.type) == tensor.dtype and (not isinstance(first, int) or first == batch)
        if not fits:
            raise BundleError(
                f"{tensor.name!r} is {ort_dtype(one.type)} of {shape} in the file, and {tensor.dtype} of"
                f" {[batch or 'batch', *tensor.shape]} in the manifest",
                where=where,
                hint=_ANEW,
            )
    if what == "inputs" and len(there) != len(told):
        extra = sorted(set(there) - {tensor.name for tensor in told})
        raise BundleError(f"the file reads {extra[0]!r}, of which the manifest doesn't tell", where=where, hint=_ANEW)
