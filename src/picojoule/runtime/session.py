"""Running a bundle with ONNX Runtime: batches, early exits, and how long it took."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.runtime.bundle import Bundle, read_bundle
from picojoule.runtime.drift import FALSE_ALARM, WINDOW, DriftMonitor, DriftWarning
from picojoule.runtime.manifest import Manifest, Tensor
from picojoule.runtime.operation import Operation, Wish
from picojoule.runtime.session_answer import Answer
from picojoule.runtime.session_images import prepare, require_preprocessing
from picojoule.runtime.session_latency import Histogram
from picojoule.runtime.session_policy import Policy, stated_policy
from picojoule.runtime.session_opening import open_files, open_stages
from picojoule.runtime.session_stage import Stage
from picojoule.runtime.session_way import ByPoint, ByPolicy, Way

STATED = object()
"""Stands for the thresholds that the manifest states."""


class Session:
    """A bundle ready to run.

    Args:
        bundle: its folder, or what ``read_bundle`` gave.
        threads: that ONNX Runtime spreads an operator over; None lets it choose.
        alpha: importance of energy, target accuracy, or mean joules an inference (at most one of the three): which
            operating point runs where a call doesn't say.
        target_accuracy: see ``alpha``.
        energy_budget_j: see ``alpha``.
        false_alarm: chance that a window of calls is reported as changed although nothing has; at most.
        window: samples in a window, see ``picojoule.runtime.drift``.

    Attributes:
        bundle: what runs.
        latency: of every call of ``run``, as a histogram.
        monitor: compares where samples leave with calibration; None where the bundle has no operating points.

    Raises:
        UsageError: there is no such folder, fewer than 1 thread, or no operating point as asked for.
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

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        threads: int | None = None,
        alpha: float | None = None,
        target_accuracy: float | None = None,
        energy_budget_j: float | None = None,
        false_alarm: float = FALSE_ALARM,
        window: int = WINDOW,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"at least 1 thread is needed, got {threads}", where="threads")
        self.bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
        self.latency = Histogram()
        manifest = self.bundle.manifest
        self._inputs = manifest.inputs
        # Comparing a type with its name takes longer than all other checks of an input.
        self._dtypes = [np.dtype(tensor.dtype) for tensor in manifest.inputs]
        self._stated = stated_policy(manifest)
        operation = manifest.operation
        self.monitor = None if operation is None else DriftMonitor(operation, false_alarm=false_alarm, window=window)
        wish = Wish(alpha=alpha, target_accuracy=target_accuracy, energy_budget_j=energy_budget_j)
        self._usual = self._chosen(wish) if wish or operation is not None else None
        self._picojoules = None if operation is None else 1e12 * np.array(operation.energies_j)
        self._threads = threads
        self._stages = open_stages(self.bundle, threads)
        self._files: list[Stage] | None = None  # as the manifest names what flows between them: for every_tensor
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

    def point(
        self, *, alpha: float | None = None, target_accuracy: float | None = None, energy_budget_j: float | None = None
    ) -> int:
        """The number of the operating point that a call with these arguments would take.

        Raises:
            UsageError: as ``run``.
        """
        return self._chosen(Wish(alpha=alpha, target_accuracy=target_accuracy, energy_budget_j=energy_budget_j))

    def run(
        self,
        inputs: np.ndarray | Mapping[str, np.ndarray],
        *,
        policy: Policy | None | object = STATED,
        alpha: float | None = None,
        target_accuracy: float | None = None,
        energy_budget_j: float | None = None,
        point: int | None = None,
    ) -> Answer:
        """Runs a batch: at every exit but the last some samples may leave, and only the others go on.

        Args:
            inputs: the input as the network takes it (see ``prepare``), samples along the first axis; a table by name
                where there are several.
            policy: who leaves where; None sends every sample to the last exit. Left out: by the session's operating
                point if the bundle has some, else by the thresholds that it states, if it does.
            alpha: importance of energy, target accuracy, or mean joules an inference: the operating point of this call.
                At most one of the three, and no policy beside it.
            target_accuracy: see ``alpha``.
            energy_budget_j: see ``alpha``.
            point: the number of an operating point, in place of these.

        Raises:
            InputError: an array of another shape or type, or no sample.
            UsageError: an input is missing or unknown, the bundle has no operating points, or none is as asked for.

        Warns:
            DriftWarning: samples leave elsewhere than at calibration; once a window.
        """
        held = self._checked(inputs)
        began = time.perf_counter()
        wish = Wish(alpha=alpha, target_accuracy=target_accuracy, energy_budget_j=energy_budget_j)
        point = self._point(policy, wish) if point is None else self._numbered(point, policy, wish)
        if len(self._stages) == 1 and point is None:
            stage = self._stages[0]
            made = stage.run(held, stage.answer)
            outputs, exits = tuple(made), np.zeros(len(made[0]), dtype=np.int64)
        else:
            outputs, exits = self._staged(held, self._way(point, policy))
        latency_s = time.perf_counter() - began
        self.latency.add(latency_s)
        if point is None:
            energy_pj = None if self._energies is None else self._energies[exits]
            return Answer(outputs=outputs, exits=exits, latency_s=latency_s, energy_pj=energy_pj, softmax=self._softmax)
        assert self.monitor is not None and self._picojoules is not None
        *outputs, combined = outputs
        drift = self.monitor.add(point, exits)
        if drift is not None:
            warnings.warn(str(drift), DriftWarning, stacklevel=2)
        return Answer(
            outputs=tuple(outputs),
            exits=exits,
            latency_s=latency_s,
            energy_pj=self._picojoules[exits],
            softmax=self._softmax,
            point=point,
            combined=combined,
            drift=drift,
        )

    def _point(self, policy: Policy | None | object, wish: Wish) -> int | None:
        """The operating point of a call; None where a policy decides."""
        if policy is STATED:
            return self._chosen(wish) if wish else self._usual
        if wish:
            raise UsageError("either a policy decides who leaves, or an operating point", where="policy")
        return None

    def _numbered(self, point: int, policy: Policy | None | object, wish: Wish) -> int:
        """The operating point of that number, if the call names nothing else."""
        if wish or policy is not STATED:
            raise UsageError("an operating point is named, and something else that decides who leaves", where="point")
        count = len(self._operation(f"point {point}").points)
        if isinstance(point, bool) or not isinstance(point, int | np.integer) or not 0 <= point < count:
            raise UsageError(f"operating points are numbered from 0 to {count - 1}, got {point!r}", where="point")
        return int(point)

    def _way(self, point: int | None, policy: Policy | None | object) -> Way:
        if point is None:
            return ByPolicy(self._stated if policy is STATED else policy)  # type: ignore[arg-type]
        operation = self.manifest.operation
        assert operation is not None
        return ByPoint(operation.points[point])

    def _chosen(self, wish: Wish) -> int:
        return wish.choose(self._operation(str(wish)))

    def _operation(self, asked: str) -> Operation:
        operation = self.manifest.operation
        if operation is None:
            raise UsageError(
                f"this bundle has no operating points to choose from ({asked})",
                where=str(self.bundle.path),
                hint="picojoule exits deploy makes a bundle that has them, from this one and images with labels.",
            )
        return operation

    def every_exit(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, ...]]:
        """What every exit answers to a batch of which nobody leaves: for calibration and for checks.

        Raises:
            InputError, UsageError: as ``run``.
        """
        held = self._all(self._stages, inputs)
        return [tuple(held[name] for name in stage.answer) for stage in self._stages if stage.exit is not None]

    def every_tensor(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All that flows between stages, and what every exit answers, by its name in the manifest; nobody leaves.

        Raises:
            InputError, UsageError: as ``run``.
        """
        if self._files is None:
            self._files = open_files(self.bundle, self._threads)
        return self._all(self._files, inputs)

    def _all(self, stages: list[Stage], inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        held = dict(self._checked(inputs))
        for stage in stages:
            held.update(zip(stage.outputs, stage.run(held, stage.outputs), strict=True))
        return held

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

    def _staged(self, held: dict[str, np.ndarray], way: Way) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """What each sample took along where it left, and the number of that exit."""
        count = len(next(iter(held.values())))
        parts: list[tuple[int, np.ndarray | None, list[np.ndarray]]] = []
        on_way: np.ndarray | None = None  # numbers of the samples that are held; None: all of them
        number = 0
        for stage in self._stages:
            held.update(zip(stage.outputs, stage.run(held, stage.outputs), strict=True))
            rows = None  # of the samples that stay, where some left
            if stage.last:
                parts.append((number, on_way, [held[name] for name in way.answer(stage)]))
                break
            if stage.exit is not None:
                leaving = way.leaving(number, stage, held)
                some = not isinstance(leaving, bool)
                if leaving is True or (some and leaving.all()):
                    parts.append((number, on_way, [held[name] for name in way.answer(stage)]))
                    break
                if some and leaving.any():
                    left, rows = np.flatnonzero(leaving), np.flatnonzero(~leaving)
                    here = [held[name][left] for name in way.answer(stage)]
                    parts.append((number, left if on_way is None else on_way[left], here))
                    on_way = rows if on_way is None else on_way[rows]
                number += 1
            held = {name: held[name] if rows is None else held[name][rows] for name in stage.needed}
        return _gathered(parts, count)


def _gathered(
    parts: list[tuple[int, np.ndarray | None, list[np.ndarray]]], count: int
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """In the order of the batch: who left together (exit, samples, their arrays) put beside the others."""
    number, samples, arrays = parts[0]
    exits = np.empty(count, dtype=np.int64)
    if samples is None:
        exits.fill(number)
        return tuple(arrays), exits
    whole = tuple(np.empty((count, *one.shape[1:]), one.dtype) for one in arrays)
    for number, samples, arrays in parts:
        exits[samples] = number
        for all_, one in zip(whole, arrays, strict=True):
            all_[samples] = one
    return whole, exits


def _misfit(tensor: Tensor, array: np.ndarray) -> InputError:
    wanted = ", ".join(["samples", *map(str, tensor.shape)])
    return InputError(
        f"the input is {array.dtype} of {list(array.shape)}; the network takes {tensor.dtype} of [{wanted}]",
        where=tensor.name,
        hint="Session.prepare turns images into what the network takes.",
    )
