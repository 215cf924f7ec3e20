"""``prune``: a network with fewer weights or channels that meets a budget, with the accuracy that it really has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress import weights
from picojoule.compress.budgets import Budget, parse_budget
from picojoule.compress.channels import less, shrink
from picojoule.compress.costs import Costs, network_of
from picojoule.compress.damage import Divergence
from picojoule.compress.handover import ORIGINAL, export_onnx, hand_over, measured_ms
from picojoule.compress.job import Job, open_job
from picojoule.compress.layers import Masks, weighted
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.errors import UsageError, nearest
from picojoule.hardware import Accelerator
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
        raise UsageError(
            f"unknown criterion {criterion!r}",
            where="criterion",
            hint=nearest(criterion, CRITERIA),
        )
    wanted = parse_budget(budget, of=of)

    def check(subject: Subject, machine: Accelerator) -> None:
        _check(wanted, criterion, machine)
        for name in keep:
            if name not in (known := weighted(subject.module)):
                raise UsageError(
                    f"there is no layer {name!r} with weights",
                    where="keep",
                    hint=nearest(name, known),
                )

    asked = {
        "budget": budget,
        "of": of,
        "criterion": criterion,
        "bits": None if bits is None else str(bits),
        "grid": grid,
        "keep": list(keep),
    }
    job = open_job(
        model,
        example_input,
        asked,
        check=check,
        hardware=hardware,
        bits=bits,
        data=data,
        all_seen=all_seen,
        normalisation=normalisation,
        train=train,
        evaluate=evaluate,
        calibrate=calibrate,
        output=output,
        weights_file=weights_file,
        recipe=recipe,
        note=note,
    )
    estimate, before = job.modelled_once("before", job.module)
    limit = wanted.of(before.at(wanted.kind))
    if criterion == "channels":
        after, steps = _channels(job, wanted.kind, limit, grid, keep)
    else:
        after, steps = _zeros(job, estimate, limit, criterion, keep)
    accuracies = job.accuracies(after)
    _, costs = job.modelled_once("after", after)
    files = hand_over(after, job.example, job.stages.folder, {"settings": job.settings})
    before, costs = _timed(job, before, costs, files)
    used = costs.at(wanted.kind)
    assert used is not None
    return job.result(
        method=f"prune by {criterion}",
        budget=budget,
        kind=wanted.kind,
        limit=limit,
        used=used,
        met=used <= limit,
        before=before,
        after=costs,
        accuracies=accuracies,
        steps=steps,
        files=files,
        remarks=remarks_on(before, costs),
    )


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
    job: Job, estimate: Estimate, limit: float, criterion: str, keep: Sequence[str]
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    batches = job.task.calibrate()
    job.note("measuring what each layer's weights matter")
    grown = {
        name: {float(density): damage for density, damage in row.items()}
        for name, row in job.stages.figures("sensitivity", lambda: weights.sensitivity(job.module, batches)).items()
    }
    for name in keep:
        grown[name] = {1.0: 0.0}
    steps: list[dict[str, Any]] = []
    target, module = limit, job.module
    for turn in range(ROUNDS):
        energies = job.energies(module, estimate)
        densities = weights.densities_within(criterion, target, job.module, energies, grown)
        reached = densities is not None
        if densities is None:
            densities = {name: min(row) for name, row in grown.items()}
        start = job.stages.weights(
            f"start-{turn}",
            copy.deepcopy(job.module),
            lambda d=densities, e=energies: weights.prune_to(job.module, d, batches, e),  # type: ignore[misc]
        )
        job.note(f"tuning what is left: round {turn + 1}")
        module = start
        job.task.train(module, job.stages.folder / f"tuning-{turn}", Masks(module))
        module.eval()
        used = job.energies(module, estimate).total()
        steps.append({"densities": densities, "target": target, "used": used})
        if used <= limit or not reached:
            break
        target *= 0.995 * limit / used
    return module, steps


def _channels(
    job: Job, kind: str, limit: float, grid: int, keep: Sequence[str]
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    batches = job.task.calibrate()

    def cost(module: torch.nn.Module) -> float:
        if kind == "macs":  # which needs no search
            layers = network_of(module, job.example).layers
            return float(sum(layer.nest.macs * layer.repeats for layer in layers if layer.nest))
        _, costs = job.modelled(module)
        value = costs.at(kind)
        if value is None:
            raise UsageError(f"{job.machine.name} tells no {kind}", where="budget")
        return value

    def shrunk() -> list[dict[str, Any]]:
        job.note("taking channels away where they matter least")
        _, found = shrink(
            job.module,
            job.example,
            cost=cost,
            damage=Divergence(job.module, batches),
            budget=limit,
            grid=grid,
            batches=batches,
            keep=tuple(keep),
        )
        return [asdict(step) for step in found]

    steps = job.stages.figures("channels", shrunk)
    module = job.module
    for step in steps:
        module = less(module, job.example, step["root"], step["removed"], job.module, batches)
    job.note("tuning what is left")
    job.task.train(module, job.stages.folder / "tuning", None)
    return module.eval(), steps


def _timed(job: Job, before: Costs, after: Costs, files: dict[str, str]) -> tuple[Costs, Costs]:
    """Both with measured milliseconds, taken in turn."""

    def measure() -> list[float]:
        original = job.stages.folder / ORIGINAL
        export_onnx(job.module, job.example, original)
        return measured_ms(original, job.example.shape, against=job.stages.folder / files["onnx"])

    first, second = job.stages.figures("milliseconds", measure)
    return before.measured(first), after.measured(second)
