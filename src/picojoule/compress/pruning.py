"""``prune``: a network with fewer weights or channels that meets a budget, with the accuracy that it really has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress import weights
from picojoule.compress.budgets import Budget, as_asked, parse_budget
from picojoule.compress.channels import less, shrink
from picojoule.compress.classes import REJECTED, few_classes, images_of
from picojoule.compress.costs import network_of
from picojoule.compress.countdown import Countdown
from picojoule.compress.damage import Divergence
from picojoule.compress.job import Job, open_job
from picojoule.compress.layers import weighted
from picojoule.compress.lottery import FROM_SCRATCH, Lottery, prune_by_lottery
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.rounds import CORRECTIONS, Rounds, sensitivities
from picojoule.compress.subject import Subject, subject_of
from picojoule.compress.task import TUNING
from picojoule.errors import UsageError, nearest
from picojoule.hardware import Accelerator
from picojoule.train.images import Normalisation, Splits
from picojoule.train.recipe import Recipe

if TYPE_CHECKING:
    import torch

CRITERIA = (*weights.CRITERIA, "channels", "lottery")


def prune(
    model: Any,
    example_input: Any = None,
    *,
    hardware: str | Path | Accelerator,
    budget: str | None = None,
    lose: float | None = None,
    of: str | None = None,
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
    recipe: Recipe | None = None,
    lottery: Lottery | None = None,
    classes: str | Sequence[str | int] | None = None,
    reject: float = REJECTED,
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
        of: what a percentage is of: energy, macs, bytes, latency, memory, weights; by default energy, in the lottery weights.
        criterion: how weights are chosen (``magnitude``, ``magnitude-per-layer``, ``macs``, ``energy``), or ``channels``; ``lottery``
            trains the network, which comes untrained, and looks for a part of it that trains as well from the same weights.
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
        recipe: of training by our loop; by default ``task.TUNING``, in the lottery ``lottery.FROM_SCRATCH``.
        lottery: how tickets are looked for; by default as ``Lottery()`` says.
        classes: those that are kept, by name or number: the head loses the others, and all else is judged on images of these.
        reject: the share of images of the kept classes that the threshold against others may reject.
        note: called with a line of text at every step.

    Returns:
        What it came to; its files lie in ``output``. ``met`` is False if the budget can't be reached: then they hold the
        smallest network that was found; or the network as it came, where the first round lost more points than it may.

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
    of = of or ("weights" if criterion == "lottery" else "energy")
    recipe = recipe or (FROM_SCRATCH if criterion == "lottery" else TUNING)
    tickets = (lottery or Lottery()) if criterion == "lottery" else None
    if lottery is not None and tickets is None:
        raise UsageError("that is for tickets", where="lottery", hint="Take --criterion lottery.")
    wanted = None if budget is None else parse_budget(budget, of=of)

    def check(subject: Subject, machine: Accelerator) -> None:
        if wanted is not None:
            wanted.check_unit(machine)
        if tickets is not None:
            tickets.check(wanted, machine, distil=recipe.distil, lose=lose)
        else:
            _check(wanted, lose, criterion, machine)
        for name in keep:
            if name not in (known := weighted(subject.module)):
                raise UsageError(
                    f"there is no layer {name!r} with weights",
                    where="keep",
                    hint=nearest(name, known),
                )

    asked: dict[str, Any] = {
        "budget": as_asked(budget),
        "lose": lose,
        "of": of,
        "criterion": criterion,
        "bits": None if bits is None else str(bits),
        "grid": grid,
        "keep": list(keep),
    }
    if tickets is not None:
        asked["lottery"] = tickets.to_data()
    few = None
    if classes is not None:
        if tickets is not None:
            raise UsageError(
                "tickets come from an untrained network, which has no classes to choose from yet",
                where="classes",
                hint="Train on images of these classes alone, or take another criterion.",
            )
        subject = subject_of(model, example_input, weights=weights_file)
        few = few_classes(subject, classes, images_of(data, all_seen), normalisation, reject)
        model, example_input, weights_file = few.subject, None, None
        data, all_seen, normalisation = few.data, False, few.normalisation
        asked |= {"classes": list(few.names), "reject": reject}
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
    if tickets is not None:
        assert wanted is not None
        return prune_by_lottery(job, wanted, tickets, grid=grid, keep=keep, seed=recipe.seed)
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
    calibration = None if few is None else few.recalibrated(after, job.task)
    handed = job.hand_over(after)
    found, costs = job.modelled_once("after", after, known=estimate)
    before, costs = job.timed(before, costs, handed.files["onnx"])
    if wanted is None or limit is None:
        kind, limit, used = "points", lose or 0.0, job.points_lost(after)
    else:
        kind, used = wanted.kind, costs.at(wanted.kind)
    assert used is not None
    remarks = remarks_on(before, costs)
    unchanged = lose is not None and not any(step["accepted"] for step in steps)
    if unchanged:
        remarks.append("Already the first round lost more than it may: the network is as it came.")
    return job.result(
        method=f"prune by {criterion}",
        budget=budget or f"{lose:g} points",
        kind=kind,
        limit=limit,
        used=used,
        met=used <= limit and not unchanged,
        before=before,
        after=costs,
        accuracies=job.accuracies(after),
        accuracy_int8=handed.accuracy_int8,
        steps=steps,
        files={**handed.files, **job.hand_over_estimate(found)},
        remarks=remarks,
        classes=None if few is None or calibration is None else few.told(after, calibration),
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
    """The network within the limit after tuning: zeros of activations, which tuning changes, count in energy and time on some machines."""
    module, target, steps = job.module, limit, list[dict[str, Any]]()
    for turn in range(CORRECTIONS):
        suffix = f"-{turn}" if turn else ""
        module, taken = _narrowed(job, module, suffix, kind, target, grid, keep)
        steps += taken
        if kind not in ("energy", "latency") or not job.machine or not job.machine.minds_zeros:
            break
        _, costs = job.modelled_once(f"tuned{suffix}", module)
        used = costs.at(kind)
        if not taken or used is None or used <= limit:
            break
        target = limit * (1 - max(0.005, used / limit - 1))
    return module, steps


def _narrowed(
    job: Job, start: torch.nn.Module, suffix: str, kind: str, target: float, grid: int, keep: Sequence[str]
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    """``start`` with fewer channels, tuned, and what was taken."""
    batches = job.task.calibrate()

    def cost(module: torch.nn.Module) -> float:
        if kind == "macs":  # which needs no search
            layers = network_of(module, job.example).layers
            return float(sum(layer.nest.macs * layer.repeats for layer in layers if layer.nest))
        _, costs = job.modelled(module)
        value = costs.at(kind)
        if value is None:
            raise UsageError(f"{job.settings['hardware']} tells no {kind}", where="budget")
        return value

    def shrunk() -> list[dict[str, Any]]:
        told = Countdown(job.note, "taking channels away where they matter least")
        _, found = shrink(
            start,
            job.example,
            cost=cost,
            damage=Divergence(job.module, batches),
            budget=target,
            grid=grid,
            batches=batches,
            keep=tuple(keep),
            done=told,
        )
        return [asdict(step) for step in found]

    steps = job.stages.figures(f"channels{suffix}", shrunk)
    module = start
    for step in steps:
        module = less(module, job.example, step["root"], step["removed"], job.module, batches)
    if not steps:
        return copy.deepcopy(module), steps
    job.note("tuning what is left")
    job.task.train(module, job.stages.folder / f"tuning{suffix}", None)
    return module.eval(), steps
