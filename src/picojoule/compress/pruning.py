"""``prune``: a network with fewer weights or channels that meets a budget, with the accuracy that it really has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress import weights
from picojoule.compress.budgets import Budget, parse_budget
from picojoule.compress.channels import less, shrink
from picojoule.compress.costs import network_of
from picojoule.compress.damage import Divergence
from picojoule.compress.job import Job, open_job
from picojoule.compress.layers import weighted
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.rounds import Rounds, sensitivities
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.errors import UsageError, nearest
from picojoule.hardware import Accelerator
from picojoule.train.images import Normalisation, Splits
from picojoule.train.recipe import Recipe

if TYPE_CHECKING:
    import torch

CRITERIA = (*weights.CRITERIA, "channels")


def prune(
    model: Any,
    example_input: Any = None,
    *,
    hardware: str | Path | Accelerator,
    budget: str | None = None,
    lose: float | None = None,
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
    sensitivity_file: str | Path | None = None,
    teacher: torch.nn.Module | None = None,
    recipe: Recipe = TUNING,
    note: Callable[[str], None] = lambda _: None,
) -> Compression:
    """Removes weights or channels until the network meets a budget, tunes the rest, and hands the network over.

    Args:
        model: an ``nn.Module`` or ``package.module:factory``.
        example_input: an input of batch 1.
        hardware: whose energy and latency are modelled.
        budget: ``"1.2mJ"``, ``"40%"`` of what it takes now, ``"20 MMACs"``, ``"150 kB"``, ``"8ms"``.
        lose: percentage points of accuracy, on the data that choose, that may be lost: weights are then pruned round after
            round, each by a tenth of the energy and tuned, for as long as that holds; no further than the budget, if there is one.
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
        sensitivity_file: where what each layer's weights matter is kept: measuring it takes long, and several runs on one network
            and the same data can share it.
        teacher: the network that fine-tuning by our loop learns from; by default the one that is given.
        recipe: of fine-tuning by our loop.
        note: called with a line of text at every step.

    Returns:
        What it came to; its files lie in ``output``. ``met`` is False if the budget can't be reached: then they hold the
        smallest network that was found.

    Raises:
        UsageError: an unknown criterion or layer, a budget of zeros in weights on a machine that minds none, neither a budget nor
            points to lose, …
    """
    if criterion not in CRITERIA:
        raise UsageError(
            f"unknown criterion {criterion!r}",
            where="criterion",
            hint=nearest(criterion, CRITERIA),
        )
    if budget is None and lose is None:
        raise UsageError("a budget, or points to lose, is needed", where="budget")
    wanted = None if budget is None else parse_budget(budget, of=of)

    def check(subject: Subject, machine: Accelerator) -> None:
        _check(wanted, lose, criterion, machine)
        for name in keep:
            if name not in (known := weighted(subject.module)):
                raise UsageError(
                    f"there is no layer {name!r} with weights",
                    where="keep",
                    hint=nearest(name, known),
                )

    asked = {
        "budget": budget,
        "lose": lose,
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
        teacher=teacher,
        recipe=recipe,
        note=note,
    )
    estimate, before = job.modelled_once("before", job.module)
    limit = None if wanted is None else wanted.of(before.at(wanted.kind))
    if criterion == "channels":
        assert wanted is not None and limit is not None
        after, steps = _channels(job, wanted.kind, limit, grid, keep)
    else:
        grown = sensitivities(job, keep, None if sensitivity_file is None else Path(sensitivity_file))
        rounds = Rounds(job=job, estimate=estimate, criterion=criterion, grown=grown)
        if lose is not None:
            after = rounds.while_accurate(lose, limit)
        else:
            assert limit is not None
            after = rounds.to_budget(limit)
        steps = rounds.steps
    handed = job.hand_over(after)
    _, costs = job.modelled_once("after", after)
    before, costs = job.timed(before, costs, handed.files["onnx"])
    if wanted is None or limit is None:
        kind, limit, used = "points", lose or 0.0, job.points_lost(after)
    else:
        kind, used = wanted.kind, costs.at(wanted.kind)
    assert used is not None
    remarks = remarks_on(before, costs)
    if lose is not None and not any(step["accepted"] for step in steps):
        remarks.append("Already the first round lost more than it may: the network is as it came.")
    return job.result(
        method=f"prune by {criterion}",
        budget=budget or f"{lose:g} points",
        kind=kind,
        limit=limit,
        used=used,
        met=used <= limit,
        before=before,
        after=costs,
        accuracies=job.accuracies(after),
        accuracy_int8=handed.accuracy_int8,
        steps=steps,
        files=handed.files,
        remarks=remarks,
    )


def _check(wanted: Budget | None, lose: float | None, criterion: str, machine: Accelerator) -> None:
    if lose is not None and not 0 <= lose < 100:
        raise UsageError(f"from 0 to 100 points can be lost, got {lose!r}", where="lose")
    if criterion == "channels":
        if lose is not None or wanted is None:
            raise UsageError("channels go to a budget, not until accuracy falls", where="lose", hint="Name a budget.")
        return
    if wanted is not None and wanted.kind != "energy":
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
