"""Operating points in a bundle: from images with labels to thresholds that a session chooses from in every call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.exits.answers import checked_logits
from picojoule.exits.deciding import Setting, decide, settings_of
from picojoule.exits.energies import ExitEnergies
from picojoule.exits.front import leaving
from picojoule.exits.guarantee import check_apart, check_delta, check_images, check_target
from picojoule.runtime.binomial import lower_bound
from picojoule.runtime.bundle import Bundle, read_bundle
from picojoule.runtime.bundle_export import write_bundle
from picojoule.runtime.bundle_folder import check_folder
from picojoule.runtime.bundle_merging import merged
from picojoule.runtime.manifest import Manifest
from picojoule.runtime.operation import OperatingPoint, Operation, Wish
from picojoule.runtime.session import Session
from picojoule.runtime.session_answer import logits_of
from picojoule.runtime.session_inputs import read_batches

POINTS = 32
PJ = 1e-12
BATCH = 50

Labelled = tuple[np.ndarray, np.ndarray]


def logits_of_bundle(bundle: str | os.PathLike[str] | Bundle | Session, samples: np.ndarray) -> np.ndarray:
    """Logits of every exit as the bundle's own stages make them: exits × samples × classes.

    Args:
        bundle: to run.
        samples: as the network takes them.

    Raises:
        UsageError: it doesn't classify.
        InputError: samples that don't fit.
    """
    session = bundle if isinstance(bundle, Session) else Session(bundle)
    manifest = session.manifest
    if manifest.classes is None:
        raise UsageError("the exits of this bundle don't classify", where="bundle")
    step = manifest.batch or BATCH
    parts = [
        [logits_of(answer[0], exit_) for answer, exit_ in zip(answers, manifest.exits, strict=True)]
        for answers in (session.every_exit(samples[n : n + step]) for n in range(0, len(samples), step))
    ]
    return np.stack([np.concatenate(one) for one in zip(*parts, strict=True)])


def read_labelled(path: Path, manifest: Manifest) -> Labelled:
    """Samples of a file as the network takes them, and their labels.

    Args:
        path: as ``picojoule run --input`` takes it.
        manifest: of the bundle.

    Raises:
        UsageError: there is no such file, or a network of several inputs.
        InputError: contents that don't fit, or no labels.
    """
    if len(manifest.inputs) != 1:
        raise UsageError(f"a bundle of one input is deployed, this one has {len(manifest.inputs)}", where="bundle")
    parts = list(read_batches(path, manifest, BATCH))
    labels = [part.labels for part in parts if part.labels is not None]
    if len(labels) < len(parts) or not parts:
        raise InputError(
            "there are no labels", where=str(path), hint="np.savez(FILE, input=array, labels=one whole number a sample)"
        )
    name = manifest.inputs[0].name
    return np.concatenate([part.feed[name] for part in parts]), np.concatenate(labels)


def deploy(
    bundle: str | os.PathLike[str] | Bundle,
    output: str | os.PathLike[str],
    choosing: Labelled,
    energies_pj: ExitEnergies | Sequence[float],
    *,
    calibration: Labelled | None = None,
    machine: str = "",
    target_accuracy: float | None = None,
    delta: float = 0.1,
    rule: str = "margin",
    combine: bool = False,
    ask: str = "all",
    levels: int | None = None,
    points: int = POINTS,
    folds: int = 5,
    seed: int = 0,
    force: bool = False,
) -> Bundle:
    """Writes a bundle with operating points: a session then takes α, a target accuracy or a budget of energy per call.

    The bundle's own stages answer the samples, so that what is calibrated is what runs, 8 bits included.

    Args:
        bundle: with exits. One of a single exit gets the one point that there is, for a ``Dial``.
        output: the folder to make.
        choosing: samples as the network takes them and their labels: they fit scores and choose thresholds.
        energies_pj: of a sample that leaves at each exit, heads passed included; or by parts.
        calibration: other samples with labels: accuracies, rates and guarantees come from these. Without them nothing
            is guaranteed, and rates are of the choosing samples.
        machine: that the energies are of.
        target_accuracy: the point for it runs where a call asks for nothing; by default the most accurate one does.
        delta: δ: a target accuracy is missed with a probability of at most δ; each target for itself.
        rule: how sure an exit is: max, margin, entropy or learned.
        combine: let exits that were passed have a say in the answers.
        ask: ``all`` exits, or the ``best`` set of them for the target accuracy: the others are taken out of the bundle.
        levels: thresholds tried at each exit.
        points: at most so many are kept.
        folds: of cross-fitted scores.
        seed: see ``folds``.
        force: replaces a bundle that is there.

    Raises:
        UsageError: an argument out of range, or a bundle that doesn't classify.
        InputError: data that don't fit, an empty calibration set, or a target that can't be met or guaranteed (says how
            many samples would do).
    """
    check_folder(Path(output), force=force, option="output")
    if points < 1:
        raise UsageError(f"at least 1 point is kept, got {points}", where="points")
    if target_accuracy is not None:
        check_target(target_accuracy)
    check_delta(delta)
    if ask == "best" and target_accuracy is None:
        raise UsageError("the best exits to ask are those for a target accuracy", where="target_accuracy")
    source = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    session = Session(source)
    parts = energies_pj if isinstance(energies_pj, ExitEnergies) else ExitEnergies.of_stages(energies_pj)
    labels = np.asarray(choosing[1])
    if not len(labels):
        raise InputError("there is no sample to choose thresholds on", where="choosing")
    logits = checked_logits(logits_of_bundle(session, choosing[0]), "choosing", labels)
    held: Labelled | None = None
    if calibration is not None:
        check_images(len(calibration[1]), target_accuracy or 0.5, delta, "calibration")
        check_apart(choosing[0], calibration[0], "calibration")
        held = logits_of_bundle(session, calibration[0]), np.asarray(calibration[1])
        checked_logits(held[0], "calibration", held[1])
    asked = tuple(range(len(logits)))
    more = {"rule": rule, "combine": combine, "levels": levels, "folds": folds, "seed": seed}
    if ask != "all":
        assert target_accuracy is not None
        found = decide(logits, labels, parts, target_accuracy=target_accuracy, ask=ask, **more)  # type: ignore[arg-type]
        asked = found.policy.asked
    settings, _, _ = settings_of(logits, labels, parts, asked, **more)  # type: ignore[arg-type]
    operation = operation_of(thinned(settings, points), (logits, labels), held, delta=delta, machine=machine)
    if target_accuracy is not None:
        operation = replace(operation, default=_default(operation, target_accuracy))
    source = merged(source, asked)
    stages = tuple(
        replace(stage, energy_pj=energy)
        for stage, energy in zip(source.manifest.stages, np.diff([0.0, *parts.leaving(asked)]).tolist(), strict=True)
    )
    return write_bundle(output, replace(source.manifest, operation=operation, stages=stages), source.models, force=force)


def thinned(settings: Sequence[Setting], count: int) -> list[Setting]:
    """At most so many of a front, evenly along its energies; the first and the last are among them."""
    if len(settings) <= count:
        return list(settings)
    energies = np.array([setting.energy for setting in settings])
    wanted = np.linspace(energies[0], energies[-1], count) if count > 1 else energies[-1:]
    return [settings[k] for k in sorted({int(np.abs(energies - one).argmin()) for one in wanted})]


def operation_of(
    settings: Sequence[Setting],
    choosing: Labelled,
    calibration: Labelled | None = None,
    *,
    delta: float = 0.1,
    machine: str = "",
) -> Operation:
    """Operating points of settings of one front, all of one scorer: what each achieves, takes and guarantees.

    The settings are tested from the most accurate to the cheapest, in the order that the choosing images give; what a
    point guarantees is the least bound of those up to it, which is what testing them in sequence for any one target
    accuracy guarantees.

    Args:
        settings: from the cheapest to the most accurate. The points are of the exits that these ask alone.
        choosing: logits of all exits, and labels.
        calibration: the same of other images; without them nothing is guaranteed.
        delta: δ of the guarantee.
        machine: that the energies, in picojoule, are of.
    """
    policy = settings[-1].policy
    logits, labels = choosing if calibration is None else calibration
    scored = policy.scorer.read(logits[list(policy.asked)], where="choosing" if calibration is None else "calibration")
    right = scored.predicted == labels
    energies = np.array(policy.energies.leaving(policy.asked)) * PJ
    found: list[OperatingPoint] = []
    sure = 1.0
    for setting in settings[::-1]:
        left = leaving(scored.score, setting.policy.thresholds)
        hits = int(right[left, np.arange(len(left))].sum())
        counts = np.bincount(left, minlength=len(energies))
        sure = min(sure, lower_bound(hits, len(left), delta))
        found.append(
            OperatingPoint(
                thresholds=tuple(float(t) if np.isfinite(t) else None for t in setting.policy.thresholds),
                accuracy=setting.accuracy if calibration is None else hits / len(left),
                at_least=None if calibration is None else sure,
                energy_j=float(counts @ energies) / len(left),
                left=tuple(counts.tolist()),
            )
        )
    return Operation(
        rule=policy.scorer.rule,
        weights=policy.scorer.weights,
        coefficients=policy.scorer.coefficients,
        energies_j=tuple(energies.tolist()),
        machine=machine,
        images=len(labels),
        held_out=calibration is not None,
        delta=None if calibration is None else delta,
        points=tuple(found[::-1]),
        default=len(found) - 1,
    )


def _default(operation: Operation, target: float) -> int:
    try:
        return Wish(target_accuracy=target).choose(operation)
    except UsageError as error:
        where = "calibration" if operation.held_out else "choosing"
        raise InputError(error.message, where=where, hint=error.hint) from None
