"""Everything in a folder or a file run through a bundle."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import UsageError
from picojoule.runtime.drift import Drift, DriftWarning
from picojoule.runtime.manifest import Manifest
from picojoule.runtime.operation import OperatingPoint, Wish
from picojoule.runtime.session import STATED, Session
from picojoule.runtime.session_inputs import read_batches
from picojoule.runtime.session_latency import Histogram
from picojoule.runtime.session_policy import Policy, stated_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a bundle answered to all samples, and how long that took.

    Attributes:
        path: of the bundle.
        manifest: of the bundle.
        names: of the samples.
        exits: where each left, from 0.
        classes: samples × k, the likeliest first; None where the network doesn't classify.
        probabilities: of those classes.
        labels: right classes, or None.
        energy_pj: of each sample's inference, or None.
        latency: of the batches, from checked inputs to answers.
        batch: samples that were asked to run together.
        threads: of ONNX Runtime; None: as it chose.
        runtime: for example ``onnxruntime 1.32.0``.
        policy: who decided, in words; None where nobody did.
        wall_s: with reading and preparing the inputs.
        interrupted: not all samples were run.
        point: the operating point that ran; None where none did.
        wish: what it was chosen for, in words; empty where nothing was asked for.
        drift: the last change of the exit rates since calibration that was found; None without one.
    """

    path: str
    manifest: Manifest
    names: tuple[str, ...]
    exits: np.ndarray
    classes: np.ndarray | None
    probabilities: np.ndarray | None
    labels: np.ndarray | None
    energy_pj: np.ndarray | None
    latency: Histogram
    batch: int
    threads: int | None
    runtime: str
    policy: str | None
    wall_s: float
    interrupted: bool
    point: OperatingPoint | None = None
    wish: str = ""
    drift: Drift | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of the samples whose likeliest class is right; None without labels. An answer that is no number is wrong."""
        if self.labels is None or self.classes is None:
            return None
        return float(((self.classes[:, 0] == self.labels) & ~self._unsaid).mean())

    @property
    def not_numbers(self) -> int:
        """Samples whose answer is NaN: the network overflowed, or was fed NaN."""
        return int(self._unsaid.sum())

    @property
    def _unsaid(self) -> np.ndarray:
        if self.probabilities is None:
            return np.zeros(len(self.exits), bool)
        return np.isnan(self.probabilities).any(axis=1)

    @property
    def shares(self) -> list[float]:
        """Of the samples that left at each exit."""
        counts = np.bincount(self.exits, minlength=len(self.manifest.exits))
        return [float(count) / len(self.exits) for count in counts]


def run_inputs(
    session: Session,
    inputs: str | os.PathLike[str],
    *,
    batch: int = 32,
    top_k: int = 5,
    policy: Policy | None | object = STATED,
    alpha: float | None = None,
    target_accuracy: float | None = None,
    energy_budget_j: float | None = None,
    outputs: str | os.PathLike[str] | None = None,
    threads: int | None = None,
) -> Run:
    """Runs all that lies in ``inputs``.

    Args:
        session: the bundle.
        inputs: a folder of images, or an ``.npz`` file, see ``session_inputs.read_batches``.
        batch: samples that run together.
        top_k: how many classes are kept of each sample.
        policy: who leaves where, see ``Session.run``.
        alpha: which operating point runs, see ``Session.run``.
        target_accuracy: see ``alpha``.
        energy_budget_j: see ``alpha``.
        outputs: an ``.npz`` file to write with the outputs as they are, and ``exits``.
        threads: that the session was made with, to be told.

    Raises:
        UsageError, InputError: see ``read_batches`` and ``Session.run``.
    """
    if top_k < 1:
        raise UsageError(f"at least 1 class is shown, got {top_k}", where="top_k")
    import onnxruntime

    manifest = session.manifest
    wish = {"alpha": alpha, "target_accuracy": target_accuracy, "energy_budget_j": energy_budget_j}
    points: list[int | None] = []
    drift: Drift | None = None
    began = time.perf_counter()
    names: list[str] = []
    answers, tops, labels, interrupted = [], [], [], False
    try:
        for part in read_batches(Path(inputs), manifest, batch):
            with warnings.catch_warnings():
                # It stands in the result.
                warnings.simplefilter("ignore", DriftWarning)
                answer = session.run(part.feed, policy=policy, **wish)
            points.append(answer.point)
            drift = answer.drift or drift
            answers.append((answer.exits, answer.energy_pj, answer.outputs if outputs is not None else ()))
            if manifest.classes is not None:
                tops.append(answer.top(top_k))
            labels.append(part.labels)
            names += part.names
    except KeyboardInterrupt:
        if not names:
            raise
        # What is kept are whole batches.
        interrupted = True
        whole = min(len(answers), len(labels), len(tops) if manifest.classes is not None else len(labels))
        answers, tops, labels = answers[:whole], tops[:whole], labels[:whole]
        names = names[: sum(len(exits) for exits, _, _ in answers)]
    wall_s = time.perf_counter() - began
    exits = np.concatenate([one for one, _, _ in answers])
    if outputs is not None:
        _write_outputs(Path(outputs), manifest, [one for _, _, one in answers], exits)
    return Run(
        path=str(session.bundle.path),
        manifest=manifest,
        names=tuple(names),
        exits=exits,
        classes=np.concatenate([classes for classes, _ in tops]) if tops else None,
        probabilities=np.concatenate([found for _, found in tops]) if tops else None,
        labels=np.concatenate(labels) if labels[0] is not None else None,
        energy_pj=None if answers[0][1] is None else np.concatenate([one for _, one, _ in answers]),
        latency=session.latency,
        batch=batch,
        threads=threads,
        runtime=f"onnxruntime {onnxruntime.__version__}",
        policy=_of_point(manifest, points[0])
        if points[0] is not None
        else _told(stated_policy(manifest) if policy is STATED else policy),
        wall_s=wall_s,
        interrupted=interrupted,
        point=None if points[0] is None or manifest.operation is None else manifest.operation.points[points[0]],
        wish=str(Wish(**wish)),
        drift=drift,
    )


def _of_point(manifest: Manifest, point: int) -> str:
    operation = manifest.operation
    assert operation is not None
    combined = " combined" if operation.looks_back else ""
    return f"{operation.rule}{combined}, point {point + 1} of {len(operation.points)}"


def _told(policy: Any) -> str | None:
    thresholds = getattr(policy, "thresholds", None)
    if thresholds is None:
        return None if policy is None else type(policy).__name__
    shown = ["never" if one is None else f"{one:g}" for one in thresholds]
    return f"confidence ≥ {shown[0] if len(set(shown)) == 1 else ', '.join(shown)}"


def _write_outputs(path: Path, manifest: Manifest, made: list[tuple[np.ndarray, ...]], exits: np.ndarray) -> None:
    import io

    from picojoule.atomic_file import replace_file

    names = manifest.exits[-1].outputs
    arrays = {name: np.concatenate(parts) for name, parts in zip(names, zip(*made, strict=True), strict=True)}
    stream = io.BytesIO()
    np.savez(stream, **{**arrays, "exits": exits})  # type: ignore[arg-type]
    replace_file(path, stream.getvalue())
