"""Running a bundle with ONNX Runtime: batches, early exits, and how long it took."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.errors import BundleError, InputError, MissingExtraError, UsageError
from picojoule.runtime.bundle import Bundle, read_bundle
from picojoule.runtime.manifest import Exit, Manifest, Tensor
from picojoule.runtime.session_images import prepare, require_preprocessing
from picojoule.runtime.session_latency import Histogram
from picojoule.runtime.session_policy import Policy, stated_policy

STATED = object()
"""Stands for the thresholds that the manifest states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a session answers to a batch.

    Attributes:
        outputs: of the exit where each sample left, batch first.
        exits: number of that exit for each sample; int64.
        latency_s: of the run, from checked inputs to answers.
        energy_pj: of each sample's inference, if the bundle knows the energies of its stages; float64.
        softmax: how scores become probabilities, by exit; None where the network doesn't classify.
    """

    outputs: tuple[np.ndarray, ...]
    exits: np.ndarray
    latency_s: float
    energy_pj: np.ndarray | None
    softmax: tuple[Exit, ...] | None

    def __len__(self) -> int:
        return len(self.exits)

    @property
    def probabilities(self) -> np.ndarray:
        """Of the classes, by the temperature of the exit: samples × classes, float32 or wider.

        Raises:
            UsageError: the network doesn't classify.
        """
        if self.softmax is None:
            raise UsageError("the outputs of this bundle are no scores of classes", hint="Take Answer.outputs.")
        if len(self.softmax) == 1:
            return _probabilities(self.outputs[0], self.softmax[0])
        found = np.empty(self.outputs[0].shape, dtype=np.result_type(self.outputs[0].dtype, np.float32))
        for number, exit_ in enumerate(self.softmax):
            here = self.exits == number
            if here.any():
                found[here] = _probabilities(self.outputs[0][here], exit_)
        return found

    def top(self, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """The k likeliest classes of each sample and their probabilities, best first; of equals the first.

        Args:
            k: at least 1; more than there are classes gives all.

        Raises:
            UsageError: the network doesn't classify, or k is below 1.
        """
        if k < 1:
            raise UsageError(f"at least 1 class is shown, got {k}", where="top_k")
        found = self.probabilities
        order = np.argsort(-found, axis=1, kind="stable")[:, :k]
        return order, found[np.arange(len(found))[:, None], order]


class Session:
    """A bundle ready to run.

    Args:
        bundle: its folder, or what ``read_bundle`` gave.
        threads: that ONNX Runtime spreads an operator over; None lets it choose.

    Attributes:
        bundle: what runs.
        latency: of every call of ``run``, as a histogram.

    Raises:
        UsageError: there is no such folder, or fewer than 1 thread.
        BundleError: it isn't what it says, see ``read_bundle``; or a stage's file doesn't match the manifest.
        MissingExtraError: onnxruntime is not installed.

    Example:
        >>> import numpy as np, onnx.parser, tempfile
        >>> from picojoule.runtime import Session, export_bundle
        >>> head = '<ir_version: 9, opset_import: ["": 17]>'
        >>> text = head + "net (float[n, 3] x) => (float[n, 3] y) { y = Neg(x) }"
        >>> folder = tempfile.TemporaryDirectory()
        >>> onnx.save(onnx.parser.parse_model(text), f"{folder.name}/net.onnx")
        >>> bundle = export_bundle(f"{folder.name}/net.onnx", f"{folder.name}/net.bundle", labels=["a", "b", "c"])
        >>> session = Session(bundle, threads=1)
        >>> classes, probabilities = session.run(np.array([[0.5, 2.0, -3.0]], dtype=np.float32)).top(2)
        >>> [session.manifest.labels[c] for c in classes[0]], f"{probabilities[0, 0]:.3f}"
        (['c', 'a'], '0.964')
        >>> session.latency.count
        1
        >>> folder.cleanup()
    """

    def __init__(self, bundle: str | os.PathLike[str] | Bundle, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"at least 1 thread is needed, got {threads}", where="threads")
        self.bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
        self.latency = Histogram()
        manifest = self.bundle.manifest
        self._inputs = manifest.inputs
        # Comparing a type with its name takes longer than all other checks of an input.
        self._dtypes = [np.dtype(tensor.dtype) for tensor in manifest.inputs]
        self._stated = stated_policy(manifest)
        models = zip(manifest.stages, self.bundle.models, strict=True)
        self._stages = [
            _Stage.open(number, manifest, model, threads, where=f"{self.bundle.path / stage.file}")
            for number, (stage, model) in enumerate(models)
        ]
        self._softmax = None if manifest.classes is None else manifest.exits
        energies = [stage.energy_pj for stage in manifest.stages]
        known = [energy for energy in energies if energy is not None]
        self._energies = (
            np.cumsum(known)[[s.exit is not None for s in manifest.stages]] if len(known) == len(energies) else None
        )

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself."""
        return self.bundle.manifest

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Images as the network takes them.

        Args:
            pixels: uint8, images × rows × columns × channels (red, green, blue; or one grey).

        Raises:
            UsageError: the bundle doesn't say how.
            InputError: these are no such images.
            MissingExtraError: they must be resized, and Pillow is not installed.
        """
        return prepare(pixels, require_preprocessing(self.manifest.preprocessing), self._inputs[0])

    def run(self, inputs: np.ndarray | Mapping[str, np.ndarray], *, policy: Policy | None | object = STATED) -> Answer:
        """Runs a batch: at every exit but the last some samples may leave, and only the others go on.

        Args:
            inputs: the input as the network takes it (see ``prepare``), samples along the first axis; a table by name
                where there are several.
            policy: who leaves where; None sends every sample to the last exit. Left out: by the thresholds that the
                bundle states, if it does.

        Raises:
            InputError: an array of another shape or type, or no sample.
            UsageError: an input is missing or unknown.
        """
        held = self._checked(inputs)
        began = time.perf_counter()
        chosen = self._stated if policy is STATED else policy
        stages = self._stages
        if len(stages) == 1:
            stage = stages[0]
            made = stage.run(held, stage.answer)
            outputs, exits = tuple(made), np.zeros(len(made[0]), dtype=np.int64)
        else:
            outputs, exits = self._staged(held, chosen)  # type: ignore[arg-type]
        latency_s = time.perf_counter() - began
        self.latency.add(latency_s)
        energy_pj = None if self._energies is None else self._energies[exits]
        return Answer(outputs=outputs, exits=exits, latency_s=latency_s, energy_pj=energy_pj, softmax=self._softmax)

    def every_exit(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, ...]]:
        """What every exit answers to a batch of which nobody leaves: for calibration and for checks.

        Raises:
            InputError, UsageError: as ``run``.
        """
        held, found = self._checked(inputs), []
        for stage in self._stages:
            held.update(zip(stage.outputs, stage.run(held, stage.outputs), strict=True))
            if stage.exit is not None:
                found.append(tuple(held[name] for name in stage.answer))
        return found

    def _checked(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        wanted = self._inputs
        if isinstance(inputs, np.ndarray):
            if len(wanted) != 1:
                raise UsageError(
                    f"the network has {len(wanted)} inputs: {', '.join(one.name for one in wanted)}", where="inputs"
                )
            given = {wanted[0].name: inputs}
        elif isinstance(inputs, Mapping):
            given = dict(inputs)
            if given.keys() != {one.name for one in wanted}:
                raise UsageError(
                    f"the network takes {', '.join(one.name for one in wanted)}; got {', '.join(given) or 'nothing'}",
                    where="inputs",
                )
        else:
            raise UsageError(f"inputs are numpy arrays, got {type(inputs).__name__}", where="inputs")
        count = None
        for tensor, dtype in zip(wanted, self._dtypes, strict=True):
            array = given[tensor.name]
            if not isinstance(array, np.ndarray):
                raise UsageError(f"inputs are numpy arrays, got {type(array).__name__}", where=tensor.name)
            if array.dtype != dtype or array.shape[1:] != tensor.shape or not array.ndim:
                raise _misfit(tensor, array)
            if count is not None and len(array) != count:
                raise InputError(f"{len(array)} samples; the first input has {count}", where=tensor.name)
            count = len(array)
        if not count:
            raise InputError("there is no sample", where=wanted[0].name)
        return given

    def _staged(self, held: dict[str, np.ndarray], policy: Policy | None) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Outputs where each sample left, and the number of that exit."""
        count = len(next(iter(held.values())))
        left_at = np.empty(count, dtype=np.int64)
        answers: list[np.ndarray] | None = None
        on_way: np.ndarray | None = None  # numbers of the samples that are held; None: all of them
        exit_number = 0
        for stage in self._stages:
            held.update(zip(stage.outputs, stage.run(held, stage.outputs), strict=True))
            if stage.exit is not None:
                leaving = self._leaving(stage, exit_number, held, policy)
                if leaving is None or leaving.any():
                    whole = leaving is None or bool(leaving.all())
                    if whole and on_way is None:
                        left_at[:] = exit_number
                        return tuple(held[name] for name in stage.answer), left_at
                    if answers is None:
                        answers = [np.empty((count, *held[n].shape[1:]), held[n].dtype) for n in stage.answer]
                    here = np.arange(count) if on_way is None else on_way
                    gone = here if whole else here[leaving]
                    left_at[gone] = exit_number
                    for answer, name in zip(answers, stage.answer, strict=True):
                        answer[gone] = held[name] if whole else held[name][leaving]
                    if whole:
                        break
                    assert leaving is not None
                    stay = np.flatnonzero(~leaving)
                    on_way = here[stay]
                    held = {name: held[name][stay] for name in stage.needed}
                exit_number += 1
            held = {name: held[name] for name in stage.needed}
        assert answers is not None
        return tuple(answers), left_at

    def _leaving(
        self, stage: _Stage, number: int, held: Mapping[str, np.ndarray], policy: Policy | None
    ) -> np.ndarray | None:
        """Which samples leave here; None: all of them."""
        if stage.last:
            return None
        scores = held[stage.answer[0]]
        assert stage.exit is not None
        if policy is None or stage.exit.scores is None:
            return np.zeros(len(scores), dtype=bool)
        leaving = np.asarray(policy.leaves(number, _probabilities(scores, stage.exit)))
        if leaving.shape != (len(scores),) or leaving.dtype != bool:
            raise UsageError(
                f"it gave {leaving.dtype} of {list(leaving.shape)} for {len(scores)} samples; one bool each is needed",
                where="policy",
            )
        return leaving


@dataclass(slots=True, kw_only=True)
class _Stage:
    """A stage and the session of ONNX Runtime that runs it."""

    session: Any
    inputs: tuple[str, ...]
    outputs: list[str]
    answer: list[str]
    needed: tuple[str, ...]
    exit: Exit | None
    last: bool
    batch: int | None
    where: str

    @classmethod
    def open(cls, number: int, manifest: Manifest, model: bytes, threads: int | None, *, where: str) -> _Stage:
        stage = manifest.stages[number]
        session = open_model(model, threads=threads, where=where)
        known = {tensor.name: tensor for tensor in manifest.inputs}
        known.update((tensor.name, tensor) for before in manifest.stages for tensor in before.outputs)
        _compare("inputs", session.get_inputs(), [known[name] for name in stage.inputs], manifest.batch, where)
        _compare("outputs", session.get_outputs(), stage.outputs, manifest.batch, where)
        later = {name for after in manifest.stages[number + 1 :] for name in after.inputs}
        held = [tensor.name for tensor in manifest.inputs]
        held += [tensor.name for before in manifest.stages[: number + 1] for tensor in before.outputs]
        return cls(
            session=session,
            inputs=stage.inputs,
            outputs=[tensor.name for tensor in stage.outputs],
            answer=list(stage.exit.outputs) if stage.exit else [],
            needed=tuple(name for name in held if name in later),
            exit=stage.exit,
            last=number == len(manifest.stages) - 1,
            batch=manifest.batch,
            where=where,
        )

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


def open_model(model: bytes, *, threads: int | None, where: str, optimized: bool = True) -> Any:
    """A session of ONNX Runtime for the bytes of an ONNX file.

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
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the C++ side raises types of its own
        raise BundleError(f"onnxruntime can't load it: {first_line(problem)}", where=where) from problem


def first_line(problem: BaseException) -> str:
    """The first line of what an exception says."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]


_ORT_TYPES = {"float": "float32", "double": "float64"}


def ort_dtype(kind: str) -> str:
    """The name in numpy of ONNX Runtime's ``tensor(float)``."""
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return _ORT_TYPES.get(inner, inner)


def _compare(what: str, found: Sequence[Any], told: Sequence[Tensor], batch: int | None, where: str) -> None:
    """Raises BundleError where an ONNX file doesn't take or make what the manifest says."""
    there = {one.name: one for one in found}
    for tensor in told:
        if tensor.name not in there:
            raise BundleError(
                f"the manifest tells of the {what} {[one.name for one in told]}, the file has {list(there)}",
                where=where,
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
            )
    if what == "inputs" and len(there) != len(told):
        extra = sorted(set(there) - {tensor.name for tensor in told})
        raise BundleError(f"the file reads {extra[0]!r}, of which the manifest doesn't tell", where=where)


def _misfit(tensor: Tensor, array: np.ndarray) -> InputError:
    wanted = ", ".join(["samples", *map(str, tensor.shape)])
    return InputError(
        f"the input is {array.dtype} of {list(array.shape)}; the network takes {tensor.dtype} of [{wanted}]",
        where=tensor.name,
        hint="Session.prepare turns images into what the network takes.",
    )


def _probabilities(scores: np.ndarray, exit_: Exit) -> np.ndarray:
    """Scores of classes as probabilities by the exit's temperature: samples × classes."""
    if scores.dtype.itemsize < 4:
        scores = scores.astype(np.float32)
    if exit_.scores == "probabilities":
        if exit_.temperature == 1:
            return scores
        scores = np.log(np.maximum(scores, np.finfo(scores.dtype).tiny))
    if exit_.temperature != 1:
        scores = scores / scores.dtype.type(exit_.temperature)
    found = scores - scores.max(1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(1, keepdims=True)
    return found
