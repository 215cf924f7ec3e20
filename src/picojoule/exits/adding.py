"""Exits on a network as it came: places, classifiers, their training, and files that ``decide`` and ``deploy`` take."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.atomic_file import replace_file
from picojoule.compress.costs import STEADY
from picojoule.compress.handover import INPUT, PARITY, WEIGHTS, export_onnx, quiet
from picojoule.compress.request import request_of
from picojoule.compress.stages import Stages
from picojoule.compress.subject import Subject, subject_of
from picojoule.compress.task import LEAST_AUGMENTED, preprocessing_of
from picojoule.errors import InputError, ModelError, UsageError
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.exits.added import Added, AddedExit, CrossFitted
from picojoule.exits.curves import curve_of
from picojoule.exits.cutting import Cuttable, cuttable
from picojoule.exits.deciding import Decision, decide
from picojoule.exits.decision_data import decision_data
from picojoule.exits.energies import ExitEnergies
from picojoule.exits.heads import head_of
from picojoule.exits.network_with_exits import NewExit, for_training, holder, with_exits
from picojoule.exits.places import Probe, chosen_by_saving, energies_with, refuse_useless, sized, spaced
from picojoule.hardware import Accelerator, load_hardware
from picojoule.result import Estimate
from picojoule.result_file import estimate_from_data
from picojoule.runtime import export_bundle
from picojoule.train.checkpoint import load_tensors, save_tensors
from picojoule.train.datasets import read_dataset
from picojoule.train.images import Images, Normalisation, Splits, augmented
from picojoule.train.loop import few_steps, fit, predict, steps_of_an_epoch
from picojoule.train.recipe import Recipe
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

FILE = "result.json"
ONNX, BUNDLE, ENERGIES, CHOOSE, TEST = "network.onnx", "bundle", "energies.json", "choose.npz", "test.npz"

ON_FROZEN = Recipe(epochs=10, peak_rate=3e-3, l2=1e-4, augment=True, distil=0.5)
"""Training of the classifiers alone, half of it after the last exit's answers; more epochs where they make fewer than 1,000 steps."""

WITH_BACKBONE = Recipe(epochs=3, peak_rate=1e-3, l2=1e-5, augment=True, distil=0.9)
"""Training of all weights together, mostly after the network as it came."""

_PROBE_STEPS, _STEPS = 200, 1000
_OF_A_CLASS, _CHOOSING = 10, 50


def add(
    model: Any,
    example_input: Any = None,
    *,
    hardware: str | Path | Accelerator,
    data: str | os.PathLike[str] | Splits,
    output: str | os.PathLike[str],
    at: str | Sequence[str] = "auto",
    head_energy: float = 0.05,
    most: int = 3,
    lose: float = 0.2,
    train_backbone: bool = False,
    recipe: Recipe | Mapping[str, Any] | None = None,
    all_seen: bool = False,
    normalisation: Normalisation | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    bits: Any = None,
    note: Callable[[str], None] = lambda _: None,
) -> Added:
    """Gives a network exits where they save most, trains them, and writes what ``decide`` and ``deploy`` take.

    An exit can stand wherever one tensor alone is handed on: between the layers of a network in a row, between the blocks of a residual
    one. With ``at="auto"`` a classifier at each of up to ten such places is trained for 200 steps; those with which thresholds chosen on the
    choosing images would save most are taken. Then the classifiers are trained, the backbone as it is or with them.

    Args:
        model: an ``nn.Module`` or ``package.module:factory``: one tensor in, one of batch × classes out. It stays as it is.
        example_input: an input; needed unless the factory gives one, too.
        hardware: the machine whose energy is meant, as ``estimate`` takes it.
        data: labelled images: ``digits``, a folder with CIFAR-10, or ``Splits``.
        output: the folder; what was broken off there goes on.
        at: ``auto``, or names of layers or blocks to stand behind.
        head_energy: share of the network's energy that one classifier may take; the largest that does is built.
        most: exits that ``auto`` adds at most.
        lose: points of accuracy on the choosing images that may be lost when exits are weighed.
        train_backbone: train all weights, after the network as it came; the last exit then answers otherwise than before.
        recipe: of the training, or what is to differ from the default by its fields: 10 epochs (or 1,000 steps, if these are more),
            with the backbone 3.
        all_seen: as in ``prune``: the network has learnt the choosing images, too, so that 2,000 test images choose.
        normalisation: mean and deviation of pixels (0–255) by channel; by default of the training images.
        weights_file: a safetensors file with the network's weights.
        bits: as ``estimate`` takes them.
        note: called with a line of text at every step.

    Returns:
        What the exits take, know and save. The folder holds ``network.safetensors``, ``network.onnx`` (an output for each exit), ``bundle``,
        ``energies.json``, ``choose.npz`` and ``test.npz`` (images, labels and logits), and ``result.json``.

    Raises:
        UsageError, UnknownNameError: an argument out of range, a name that is no place, or another job in the folder.
        ModelError: a forward that can't be cut (says where, and what to change).
        InputError: too little data, labels of other classes, or no exit that saves anything.
        PicojouleError: whatever ``estimate`` and ``train.fit`` raise.
    """
    _check(head_energy, most, lose)
    subject = subject_of(model, example_input, weights=weights_file)
    cut = cuttable(subject.module, subject.example)
    named = None if at == "auto" else _names(at)
    if named is not None:
        cut.named(named)
    machine = load_hardware(hardware) if isinstance(hardware, str | Path) else hardware
    splits = data if isinstance(data, Splits) else read_dataset(data, all_seen=all_seen)
    _check_data(splits, subject, cut)
    normal = normalisation or splits.normalisation()
    recipe = recipe if isinstance(recipe, Recipe) else _recipe(splits, train_backbone, recipe or {})
    asked = {
        "at": named or "auto", "bits": bits, "head_energy": head_energy, "most": most, "lose": lose, "train_backbone": train_backbone,
    }  # fmt: skip
    settings = request_of(subject, asked, machine=machine, data=splits, normalisation=normalisation, recipe=recipe)
    stages = Stages(Path(output), settings)
    note(f"{len(cut.places)} places; pricing heads on {machine.name}")
    alone = _alone(stages, subject, machine, bits)
    exits, probes = _exits(stages, cut, named, subject, splits, alone, machine, bits, head_energy, most, lose, recipe, normal, note)
    network = with_exits(cut, exits, seed=recipe.seed).to(memory_format=import_torch().channels_last)
    _train(network, holder(cut.traced), splits, recipe, normal, stages.folder, subject.module if train_backbone else None, note)
    note("pricing the network with its exits")
    parts = _parts(stages, cut, exits, subject, machine, bits)
    logits = {part: predict(network, images, normal) for part, images in (("choose", splits.choose), ("test", splits.test))}
    note("choosing thresholds")
    decision = _decision(logits["choose"], splits.choose.labels, parts, lose)
    files = _write(network, subject, cut, exits, parts, logits, splits, normal, stages.folder, settings)
    added = _told(subject, machine, alone, cut, exits, probes, parts, logits, splits, decision, lose, stages.folder, files, train_backbone, normal)
    replace_file(stages.folder / FILE, json.dumps(added.to_data(), indent=1, ensure_ascii=False) + "\n")
    return added


def load_added(model: Any, example_input: Any = None, *, folder: str | os.PathLike[str]) -> torch.nn.Module:
    """The module that ``add`` trained, from its folder: images to a list of logits, one tensor an exit.

    Args:
        model: the network as it was given to ``add``; its weights don't matter.
        example_input: an input of batch 1.
        folder: where the result lies.

    Raises:
        InputError: there is no result, or one of another network.
    """
    path = Path(folder) / WEIGHTS
    tensors, facts = load_tensors(path)
    subject = subject_of(model, example_input)
    cut = cuttable(subject.module, subject.example)
    try:
        network = with_exits(cut, _from_plain(cut, facts["exits"]))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError, UsageError, ModelError) as problem:
        raise InputError(f"the exits are those of another network: {problem}", where=str(path)) from None
    return network


def _check(head_energy: float, most: int, lose: float) -> None:
    if not 0 < head_energy < 1:
        raise UsageError(f"a share of the network's energy lies between 0 and 1, got {head_energy!r}", where="head_energy")
    if most < 1:
        raise UsageError(f"at least 1 exit is added, got {most!r}", where="most")
    if not 0 <= lose < 100:
        raise UsageError(f"points of accuracy from 0 may be lost, got {lose!r}", where="lose")


def _names(at: str | Sequence[str]) -> list[str]:
    return [name.strip() for name in at.split(",") if name.strip()] if isinstance(at, str) else list(at)


def _check_data(splits: Splits, subject: Subject, cut: Cuttable) -> None:
    wanted, got = tuple(subject.example.shape[1:]), splits.train.pixels.shape[1:]
    if wanted != (got[2], *got[:2]):
        raise InputError(
            f"the network takes {' × '.join(map(str, wanted))}, images have {got[2]} × {got[0]} × {got[1]}",
            where="data",
            hint="Channels × rows × columns of the example input and of the images must be the same.",
        )
    for name, images, least in (
        ("train", splits.train, _OF_A_CLASS * cut.classes), ("choose", splits.choose, _CHOOSING), ("test", splits.test, _CHOOSING)
    ):  # fmt: skip
        if len(images) < least:
            raise InputError(f"{len(images)} images {name}, at least {least} are needed", where=f"data, {name}")
        if images.labels.min() < 0 or images.labels.max() >= cut.classes:
            raise InputError(
                f"the network tells {cut.classes} classes apart, labels lie in {images.labels.min()} … {images.labels.max()}",
                where=f"data, {name}",
            )


def _recipe(splits: Splits, train_backbone: bool, changes: Mapping[str, Any]) -> Recipe:
    recipe = WITH_BACKBONE if train_backbone else ON_FROZEN
    if splits.train.pixels.shape[1] < LEAST_AUGMENTED:
        recipe = replace(recipe, augment=False)  # moved by 4 pixels or mirrored, a small image is another
    if not train_backbone:
        recipe = replace(recipe, epochs=max(recipe.epochs, -(-_STEPS // steps_of_an_epoch(len(splits.train), recipe))))
    return replace(recipe, **changes)


def _alone(stages: Stages, subject: Subject, machine: Accelerator, bits: Any) -> Estimate:
    found = stages.figures(
        "alone", lambda: estimate_uninterrupted(subject.module, subject.example, hardware=machine, bits=bits, search=STEADY).to_data()
    )
    return estimate_from_data(found, where="alone.json")


def _exits(
    stages: Stages, cut: Cuttable, named: list[str] | None, subject: Subject, splits: Splits, alone: Estimate, machine: Accelerator,
    bits: Any, head_energy: float, most: int, lose: float, recipe: Recipe, normal: Normalisation, note: Callable[[str], None],
) -> tuple[list[NewExit], tuple[Probe, ...]]:  # fmt: skip
    """The exits to be trained, and those that were tried; kept in the folder."""

    def work_out() -> Any:
        places = cut.named(named) if named is not None else spaced(cut, alone)
        exits, parts = sized(cut, places, subject.example, alone, share=head_energy, hardware=machine, bits=bits)
        if named is not None:
            useless = [place for place in places if place.node not in {one.place.node for one in exits}]
            if useless:
                raise refuse_useless(useless[0], cut, head_energy, alone)
            return {"exits": [_plain(one) for one in exits], "probes": []}
        if not exits:
            raise InputError(
                f"no place has a classifier that takes at most {head_energy:.1%} of the network's energy and saves some",
                where="at",
                hint="Allow classifiers more (head_energy).",
            )
        note(f"trying {len(exits)} places: {', '.join(one.place.name for one in exits)}")
        logits = _probed(cut, exits, splits, recipe, normal)
        probes = chosen_by_saving(exits, logits, splits.choose.labels, parts, lose=lose / 100, most=most)
        taken = [_plain(one) for one, probe in zip(exits, probes, strict=True) if probe.rank is not None]
        return {"exits": taken, "probes": [asdict(probe) for probe in probes]}

    found = stages.figures("places", work_out)
    exits = _from_plain(cut, found["exits"])
    note(f"exits after {', '.join(f'{one.place.name} ({one.head.shown})' for one in exits)}")
    return exits, tuple(Probe(**one) for one in found["probes"])


def _plain(one: NewExit) -> dict[str, Any]:
    return {"place": one.place.name, "convs": [list(conv) for conv in one.head.convs], "cells": one.head.cells}


def _from_plain(cut: Cuttable, found: Sequence[dict[str, Any]]) -> list[NewExit]:
    return [
        NewExit(place=place, head=head_of(place.shape, one["convs"], cut.classes, cells=one["cells"]))
        for place, one in zip(cut.named([one["place"] for one in found]), found, strict=True)
    ]


def _probed(cut: Cuttable, exits: Sequence[NewExit], splits: Splits, recipe: Recipe, normal: Normalisation) -> np.ndarray:
    """Logits of the choosing images after a short training of all these exits at once, the backbone as it is."""
    network = with_exits(cut, exits, seed=recipe.seed).to(memory_format=import_torch().channels_last)
    training, teacher = for_training(network, holder(cut.traced), backbone=False, taught=recipe.distil > 0)
    random = np.random.default_rng([recipe.seed, len(exits)])
    batches = []
    for _ in range(_PROBE_STEPS):
        shown = random.integers(0, len(splits.train), recipe.batch)
        pixels = splits.train.pixels[shown]
        batches.append((augmented(pixels, random) if recipe.augment else pixels, splits.train.labels[shown]))
    few_steps(training, batches, recipe, normalisation=normal, teacher=teacher)
    return predict(network, splits.choose, normal)


def _train(
    network: Any, heads: str, splits: Splits, recipe: Recipe, normal: Normalisation, folder: Path, original: Any, note: Callable[[str], None]
) -> None:  # fmt: skip
    training, teacher = for_training(network, heads, backbone=original is not None, taught=recipe.distil > 0)

    def told(line: dict[str, Any]) -> None:
        right = " ".join(f"{share:.2%}" for share in line["choose_accuracy"])
        note(f"epoch {line['epoch'] + 1} of {recipe.epochs}: {right} of the choosing images right, by exit")

    fit(
        training, splits, recipe, folder=folder / "training", normalisation=normal, note=told,
        teacher=teacher if original is None else original,
    )  # fmt: skip
    network.requires_grad_(False).eval()


def _parts(
    stages: Stages, cut: Cuttable, exits: Sequence[NewExit], subject: Subject, machine: Accelerator, bits: Any
) -> ExitEnergies:
    path = Path(ENERGIES).stem
    found = stages.figures(
        path, lambda: asdict(energies_with(cut, exits, subject.example, hardware=machine, bits=bits, search=STEADY)[0])
    )
    return ExitEnergies(trunk=tuple(found["trunk"]), heads=tuple(found["heads"]))


def _decision(logits: np.ndarray, labels: np.ndarray, parts: ExitEnergies, lose: float) -> Decision:
    """Thresholds of least energy at the last exit's accuracy less what may be lost, with or without combining."""
    target = float((logits[-1].argmax(1) == labels).mean()) - lose / 100
    target = min(max(target, 1e-9), 1 - 1e-9)
    found = [decide(logits, labels, parts, target_accuracy=target, rule="margin", ask="best")]
    try:
        found.append(decide(logits, labels, parts, target_accuracy=target, rule="margin", ask="best", combine=True))
    except InputError:
        pass  # combined answers don't reach it
    return min(found, key=lambda one: one.setting.energy)


def _write(
    network: Any, subject: Subject, cut: Cuttable, exits: Sequence[NewExit], parts: ExitEnergies, logits: dict[str, np.ndarray],
    splits: Splits, normal: Normalisation, folder: Path, settings: dict[str, Any],
) -> dict[str, str]:  # fmt: skip
    """All files; the network read back by ONNX Runtime answers as it does."""
    save_tensors(folder / WEIGHTS, network.state_dict(), {"exits": [_plain(one) for one in exits], "settings": settings})
    names = [*(one.place.name for one in exits), "last"]
    export_onnx(network, subject.example, folder / ONNX, outputs=[f"after {name}" for name in names[:-1]] + ["last"])
    with quiet():
        export_bundle(
            folder / ONNX, folder / BUNDLE, preprocess=preprocessing_of(splits.train.pixels.shape, normal),
            shape={INPUT: tuple(subject.example.shape)}, labels=splits.names or None, energies_pj=np.diff([0.0, *parts.leaving()]).tolist(),
            tolerance=PARITY, force=True,
        )  # fmt: skip
    for name, part, images in ((CHOOSE, "choose", splits.choose), (TEST, "test", splits.test)):
        _save(folder / name, images, logits[part])
    return {
        "weights": WEIGHTS, "onnx": ONNX, "bundle": BUNDLE, "energies": ENERGIES, "choose": CHOOSE, "test": TEST, "result": FILE
    }  # fmt: skip


def _save(path: Path, images: Images, logits: np.ndarray) -> None:
    temporary = path.with_name(f".{path.name}")
    np.savez_compressed(temporary, **{INPUT: images.pixels, "labels": images.labels, "logits": logits})
    temporary.replace(path)


def _told(
    subject: Subject, machine: Accelerator, alone: Estimate, cut: Cuttable, exits: Sequence[NewExit], probes: tuple[Probe, ...],
    parts: ExitEnergies, logits: dict[str, np.ndarray], splits: Splits, decision: Decision, lose: float, folder: Path,
    files: dict[str, str], train_backbone: bool, normal: Normalisation,
) -> Added:  # fmt: skip
    names = [*(one.place.name for one in exits), "last"]
    right = {
        part: (logits[part].argmax(2) == images.labels).mean(1).tolist()
        for part, images in (("choose", splits.choose), ("test", splits.test))
    }
    before = predict(subject.module, splits.test, normal)[-1] if train_backbone else logits["test"][-1]
    notes = []
    if train_backbone:
        notes.append("the backbone was trained, too: its last exit no longer answers as the network did")
        if any(getattr(node.target, "__name__", "") == "dropout" for node in cut.traced.graph.nodes):
            notes.append("functional dropout was off while it trained, as it was recorded for evaluation")
    policy, unit = decision.policy, str(alone.table["unit"])
    tested = policy.measure(logits["test"], splits.test.labels)
    curve = curve_of(decision, logits["test"], splits.test.labels)
    return Added(
        model=subject.name,
        hardware=machine.name,
        unit=unit,
        alone=alone.energy_pj_per_inference,
        accuracy_alone=float((before.argmax(1) == splits.test.labels).mean()),
        exits=tuple(
            AddedExit(
                name=name,
                head=exits[index].head.shown if index < len(exits) else "",
                energy=parts.leaving()[index],
                head_energy=parts.heads[index],
                accuracy_choosing=right["choose"][index],
                accuracy=right["test"][index],
            )
            for index, name in enumerate(names)
        ),
        probes=probes,
        lose=lose,
        asked=tuple(names[index] for index in policy.asked),
        combined=policy.scorer.combined,
        target_accuracy=decision.target_accuracy,
        choosing=CrossFitted(
            images=len(splits.choose), accuracy=decision.setting.accuracy, energy=decision.setting.energy
        ),
        test=tested,
        decision=decision_data(decision, tested, unit=unit, curve=curve, curve_of="test"),
        folder=str(folder),
        files=files,
        notes=tuple(notes),
    )
