"""``prune``: a network with fewer weights or channels that meets a budget, with the accuracy that it really has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress import weights
from picojoule.compress.budgets import Budget, parse_budget
from picojoule.compress.channels import less, shrink
from picojoule.compress.costs import Costs, modelled, modelled_once, network_of
from picojoule.compress.damage import Divergence
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.handover import hand_over, measured_ms, samples_file
from picojoule.compress.layers import Masks, weighted
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.stages import Stages, digest
from picojoule.compress.subject import Subject, subject_of
from picojoule.compress.task import TUNING, Task, task_of
from picojoule.errors import UsageError, nearest
from picojoule.frontends import load_zeros
from picojoule.hardware import Accelerator, load_hardware
from picojoule.result import Estimate
from picojoule.train.images import Normalisation, Splits
from picojoule.train.recipe import Recipe

if TYPE_CHECKING:
    import torch

CRITERIA = (*weights.CRITERIA, "channels")
ROUNDS = 3
"""Zeros of activations change when a network is tuned: if it then takes more than the budget, it is pruned a little further."""


def prune(
    model: Any,
    example_input: Any = None,
    *,
    hardware: str | Path | Accelerator,
    budget: str,
    of: str = "energy",
    criterion: str = "energy",
    data: str | Path | Splits | None = None,
    all_seen: bool = False,
    normalisation: Normalisation | None = None,
    train: Callable[..., None] | None = None,
    evaluate: Callable[..., float] | None = None,
    calibrate: Callable[[], Sequence[Any]] | None = None,
    output: str | Path,
    bits: Any = None,
    grid: int = 8,
    keep: Sequence[str] = (),
    weights_file: str | Path | None = None,
    recipe: Recipe = TUNING,
    note: Callable[[str], None] = lambda _: None,
) -> Compression:
    """Removes weights or channels until the network meets a budget, tunes the rest, and hands the network over.

    Args:
        model: an ``nn.Module`` or ``package.module:factory``.
        example_input: an input of batch 1.
        hardware: whose energy and latency are modelled.
        budget: ``"1.2mJ"``, ``"40%"`` of what it takes now, ``"20 MMACs"``, ``"150 kB"``, ``"8ms"``.
        of: what a percentage is of: energy, macs, bytes, latency, memory.
        criterion: how weights are chosen (``magnitude``, ``magnitude-per-layer``, ``macs``, ``energy``), or ``channels``.
        data: labelled images: ``"digits"``, a folder with CIFAR-10, or ``Splits``.
        all_seen: the network was trained on all training images: then 2,000 test images choose.
        normalisation: mean and deviation of pixels (0–255) by channel, as the network was trained; by default those of the
            training images.
        train: instead of data, callables of your own (``task.task_of_callables``): they may use your
            loop and your cluster.
        evaluate: see ``train``.
        calibrate: see ``train``.
        output: a folder; a run that was broken off goes on there.
        bits: as ``estimate`` takes them.
        grid: channels come in multiples of it.
        keep: layers that must not lose channels or weights.
        weights_file: safetensors with the network's weights, if the factory doesn't load them.
        recipe: of fine-tuning by our loop.
        note: called with a line of text at every step.

    Returns:
        What it came to; its files lie in ``output``. ``met`` is False if the budget can't be reached: then they hold the
        smallest network that was found.

    Raises:
        UsageError: an unknown criterion or layer, a budget of zeros in weights on a machine that minds none, …
    """
    if criterion not in CRITERIA:
        raise UsageError(f"unknown criterion {criterion!r}", where="criterion", hint=nearest(criterion, CRITERIA))
    wanted = parse_budget(budget, of=of)
    subject = subject_of(model, example_input, weights=weights_file)
    machine = hardware if isinstance(hardware, Accelerator) else load_hardware(hardware)
    _check(wanted, criterion, machine)
    for name in keep:
        if name not in (known := weighted(subject.module)):
            raise UsageError(f"there is no layer {name!r} with weights", where="keep", hint=nearest(name, known))
    settings = {
        "model": subject.name,
        "weights": digest(subject.module),
        "hardware": machine.name,
        "budget": budget,
        "of": of,
        "criterion": criterion,
        "bits": None if bits is None else str(bits),
        "grid": grid,
        "keep": list(keep),
        "recipe": asdict(recipe),
    }
    task = task_of(
        data,
        all_seen=all_seen,
        normalisation=normalisation,
        train=train,
        evaluate=evaluate,
        calibrate=calibrate,
        recipe=recipe,
        teacher=subject.module,
        note=note,
    )
    stages = Stages(Path(output), settings)
    samples = samples_file(stages.folder, task.calibrate())

    def priced(name: str, module: torch.nn.Module) -> tuple[Estimate, Costs]:
        return modelled_once(stages, name, lambda: modelled(module, subject.example, machine, bits=bits, data=samples))

    estimate, before = priced("before", subject.module)
    limit = wanted.of(before.at(wanted.kind))
    if criterion == "channels":
        after, steps = _channels(subject, machine, wanted.kind, limit, task, stages, bits, samples, grid, keep, note)
    else:
        after, steps = _zeros(subject, machine, estimate, limit, criterion, task, stages, bits, samples, keep, note)
    accuracies = stages.figures("accuracy", lambda: [task.report(subject.module), task.report(after)])
    _, costs = priced("after", after)
    files = hand_over(after, subject.example, stages.folder, {"settings": settings})
    before, costs, timed = _timed(subject, before, costs, stages, files)
    used = costs.at(wanted.kind)
    assert used is not None
    remarks = remarks_on(before, costs) + timed
    result = Compression(
        model=subject.name,
        hardware=machine.name,
        method=f"prune by {criterion}",
        budget=budget,
        kind=wanted.kind,
        limit=limit,
        used=used,
        met=used <= limit,
        before=before,
        after=costs,
        accuracy_before=accuracies[0],
        accuracy_after=accuracies[1],
        settings=settings,
        steps=steps,
        files=files,
        remarks=remarks,
    )
    result.save(stages.folder)
    return result


def _check(wanted: Budget, criterion: str, machine: Accelerator) -> None:
    if criterion == "channels":
        return
    if wanted.kind not in ("energy",):
        raise UsageError(
            f"zeros in weights are chosen within an energy budget, not one of {wanted.kind}",
            where="budget",
            hint="Take --criterion channels for such a budget.",
        )
    if not machine.minds_zeros:
        raise UsageError(
            f"{machine.name} saves nothing by zeros",
            where="hardware",
            hint="Take --criterion channels, or a machine that gates, skips or compresses zeros (eyeriss-v2, eyeriss-methodology).",
        )


def _zeros(
    subject: Subject,
    machine: Accelerator,
    estimate: Any,
    limit: float,
    criterion: str,
    task: Task,
    stages: Stages,
    bits: Any,
    samples: Path,
    keep: Sequence[str],
    note: Callable[[str], None],
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    network = network_of(subject.module, subject.example)
    batches = task.calibrate()

    def energies_of(module: torch.nn.Module) -> LayerEnergies:
        found = load_zeros(module, subject.example, network=network, sparsity="measured", data=samples).zeros
        return LayerEnergies(network, machine, estimate, found)

    note("measuring what each layer's weights matter")
    grown = {
        name: {float(density): damage for density, damage in row.items()}
        for name, row in stages.figures("sensitivity", lambda: weights.sensitivity(subject.module, batches)).items()
    }
    for name in keep:
        grown[name] = {1.0: 0.0}
    steps: list[dict[str, Any]] = []
    target, module = limit, subject.module
    for turn in range(ROUNDS):
        energies = energies_of(module)
        densities = weights.densities_within(criterion, target, subject.module, energies, grown)
        reached = densities is not None
        if densities is None:
            densities = {name: min(row) for name, row in grown.items()}
        start = stages.weights(
            f"start-{turn}",
            copy.deepcopy(subject.module),
            lambda d=densities, e=energies: weights.prune_to(subject.module, d, batches, e),  # type: ignore[misc]
        )
        note(f"tuning what is left: round {turn + 1}")
        module = start
        task.train(module, stages.folder / f"tuning-{turn}", Masks(module))
        module.eval()
        used = energies_of(module).total()
        steps.append({"densities": densities, "target": target, "used": used})
        if used <= limit or not reached:
            break
        target *= 0.995 * limit / used
    return module, steps


def _channels(
    subject: Subject,
    machine: Accelerator,
    kind: str,
    limit: float,
    task: Task,
    stages: Stages,
    bits: Any,
    samples: Path,
    grid: int,
    keep: Sequence[str],
    note: Callable[[str], None],
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    batches = task.calibrate()

    def cost(module: torch.nn.Module) -> float:
        if kind == "macs":  # which needs no search
            layers = network_of(module, subject.example).layers
            return float(sum(layer.nest.macs * layer.repeats for layer in layers if layer.nest))
        _, costs = modelled(module, subject.example, machine, bits=bits, data=samples)
        value = costs.at(kind)
        if value is None:
            raise UsageError(f"{machine.name} tells no {kind}", where="budget")
        return value

    def shrunk() -> list[dict[str, Any]]:
        note("taking channels away where they matter least")
        _, found = shrink(
            subject.module,
            subject.example,
            cost=cost,
            damage=Divergence(subject.module, batches),
            budget=limit,
            grid=grid,
            batches=batches,
            keep=tuple(keep),
        )
        return [asdict(step) for step in found]

    steps = stages.figures("channels", shrunk)
    module = subject.module
    for step in steps:
        module = less(module, subject.example, step["root"], step["removed"], subject.module, batches)
    note("tuning what is left")
    task.train(module, stages.folder / "tuning", None)
    return module.eval(), steps


def _timed(
    subject: Subject, before: Costs, after: Costs, stages: Stages, files: dict[str, str]
) -> tuple[Costs, Costs, list[str]]:
    """Both with measured milliseconds, taken in turn."""
    from picojoule.compress.handover import export_onnx

    def measure() -> list[float]:
        original = stages.folder / "original.onnx"
        export_onnx(subject.module, subject.example, original)
        return measured_ms(original, subject.example.shape, against=stages.folder / files["onnx"])

    first, second = stages.figures("milliseconds", measure)
    return replace(before, measured_ms=first), replace(after, measured_ms=second), []
