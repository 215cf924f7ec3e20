"""``quantize``: a network with fewer bits: INT8 that runs, or 2 to 8 bits a layer chosen within a budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.bits import (
    bits_within_energy,
    bits_within_mean,
    sensitivity_to_bits,
)
from picojoule.compress.budgets import Budget, as_asked, parse_budget
from picojoule.compress.costs import Costs
from picojoule.compress.countdown import Countdown
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.fake_quant import attach, settle
from picojoule.compress.handover import FLOAT, INT8, as_module, measured_ms
from picojoule.compress.job import Job, open_job
from picojoule.compress.layers import weight_count, weighted, zero_shares
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.rounds import CORRECTIONS
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.errors import UsageError
from picojoule.hardware import Accelerator
from picojoule.train.images import Normalisation, Splits
from picojoule.train.recipe import Recipe

if TYPE_CHECKING:
    import torch


def quantize(
    model: Any,
    example_input: Any = None,
    *,
    hardware: str | Path | Accelerator,
    budget: str | None = None,
    mean_bits: float | None = None,
    data: str | Path | Splits | None = None,
    all_seen: bool = False,
    normalisation: Normalisation | None = None,
    train: Callable[..., None] | None = None,
    evaluate: Callable[..., float] | None = None,
    calibrate: Callable[[], Sequence[Any]] | None = None,
    output: str | Path,
    weights_file: str | Path | None = None,
    teacher: torch.nn.Module | None = None,
    recipe: Recipe = TUNING,
    note: Callable[[str], None] = lambda _: None,
) -> Compression:
    """Fewer bits: INT8 as it runs in ONNX Runtime, or a width from 2 to 8 for every layer's weights.

    Without ``budget`` and ``mean_bits`` weights and activations become INT8 after training. With one of them each layer's
    weights get the width at which the network meets it at the least loss, which is measured layer by layer and chosen exactly;
    then the network is tuned on those grids. Activations are counted at 8 bits; widths below 8 have no fast kernels in ONNX
    Runtime: such a file holds the weights' values in float32.

    Args:
        model: as ``prune`` takes them.
        example_input: see ``model``.
        hardware: see ``model``.
        output: see ``model``.
        weights_file: see ``model``.
        teacher: see ``model``.
        recipe: see ``model``.
        note: see ``model``.
        data: as ``prune`` takes them.
        all_seen: see ``data``.
        normalisation: see ``data``.
        train: see ``data``.
        evaluate: see ``data``.
        calibrate: see ``data``.
        budget: of energy or of the weights' bytes, as ``prune`` takes it; a percentage is of the energy at 8 bits.
        mean_bits: bits a weight, on average over the network, 2 to 8.

    Returns:
        As ``prune``.

    Raises:
        UsageError: both a budget and a mean, or one out of range.
    """
    if budget is not None and mean_bits is not None:
        raise UsageError("a budget, or a mean of bits: not both", where="budget")
    if mean_bits is not None and not 2 <= mean_bits <= 8:
        raise UsageError(f"a mean of 2 to 8 bits is possible, got {mean_bits!r}", where="mean_bits")
    wanted = None if budget is None else _within(budget)

    def check(_: Subject, machine: Accelerator | None) -> None:
        if wanted is not None:
            wanted.check_unit(machine)

    job = open_job(
        model,
        example_input,
        {"budget": as_asked(budget), "mean_bits": mean_bits},
        check=check,
        hardware=hardware,
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
    return _int8(job) if wanted is None and mean_bits is None else _mixed(job, wanted, mean_bits)


def _int8(job: Job) -> Compression:
    folder = job.stages.folder
    target = folder / INT8
    handed = job.hand_over(job.module)
    accuracies = job.accuracies(as_module(target))
    times = job.stages.figures(
        "milliseconds",
        lambda: measured_ms(folder / FLOAT, job.example.shape, against=target),
    )
    estimate, before = job.modelled_once("before", job.module)
    at_eight, after = job.modelled_once("after", job.module, bits=8, known=estimate)
    before, after = before.measured(times[0]), after.measured(times[1])
    remarks = remarks_on(before, after)
    if times[1] > times[0]:
        remarks.append(f"INT8 is slower than float32 here: {times[1]:.3g} ms against {times[0]:.3g} ms.")
    return job.result(
        method="int8",
        budget="8 bits",
        kind="bytes",
        limit=after.bytes,
        used=after.bytes,
        met=True,
        before=before,
        after=after,
        accuracies=accuracies,
        steps=[{"calibrations": handed.calibrations}],
        files={**handed.files, **job.hand_over_estimate(at_eight)},
        remarks=remarks,
    )


def _mixed(job: Job, wanted: Budget | None, mean_bits: float | None) -> Compression:
    module = job.module
    estimate, before = job.modelled_once("before", module, bits=8)
    if wanted is None:
        assert mean_bits is not None
        kind, limit = "bits", mean_bits
    else:
        kind, limit = wanted.kind, wanted.of(before.at(wanted.kind))

    def measured() -> dict[str, Any]:
        told = Countdown(job.note, "measuring what each layer's bits matter")
        return sensitivity_to_bits(module, job.task.calibrate(), done=told)

    kept = job.stages.figures("sensitivity", measured)
    grown = {name: {int(width): damage for width, damage in row.items()} for name, row in kept.items()}
    target, energies = limit, job.energies(module, estimate)
    for turn in range(CORRECTIONS):
        bits = _bits_within(kind, target, module, before, energies, grown)
        reached = bits is not None
        if bits is None:
            bits = {name: min(row) for name, row in grown.items()}
        coarse = copy.deepcopy(module)
        attach(coarse, bits)
        job.note("tuning on the grids")
        job.task.train(coarse, job.stages.folder / (f"tuning-{turn}" if turn else "tuning"), None)
        settle(coarse)
        coarse.eval()
        after, mean = _costs_at(bits, coarse, before, job.energies(coarse, estimate))
        used = {"energy": after.energy, "bytes": after.bytes, "bits": mean}[kind]
        assert used is not None
        if used <= limit or not reached or kind != "energy":
            break
        # Zeros, which tuning changes, count on some machines.
        target = limit * (1 - max(0.005, used / target - 1))
    handed = job.hand_over(coarse, bits=bits)
    before, after = job.timed(before, after, handed.files["onnx"])
    return job.result(
        method="mixed bits",
        budget=f"{mean_bits:g} bits" if wanted is None else wanted.text,
        kind=kind,
        limit=limit,
        used=used,
        met=used <= limit,
        before=before,
        after=after,
        accuracies=job.accuracies(coarse),
        steps=[{"bits": bits, "mean": mean}],
        accuracy_int8=handed.accuracy_int8,
        files=handed.files,
        remarks=[
            *remarks_on(before, after),
            "ONNX Runtime has no kernels below 8 bits: the file holds float32 values on the grids.",
        ],
    )


def _within(budget: str) -> Budget:
    """What bits can be chosen within."""
    wanted = parse_budget(budget)
    if wanted.kind not in ("energy", "bytes"):
        raise UsageError(
            f"bits are chosen within a budget of energy or of the weights' bytes, not one of {wanted.kind}",
            where="budget",
            hint="MACs, time and activations stay as they are; for those take `prune --criterion channels` or `adapt`.",
        )
    return wanted


def _bits_within(
    kind: str, target: float, module: torch.nn.Module, before: Costs, energies: LayerEnergies, grown: Mapping[str, Mapping[int, float]]
) -> dict[str, int] | None:  # fmt: skip
    if kind == "energy":
        return bits_within_energy(target, energies, grown)
    weights = _weights(module)
    mean = target if kind == "bits" else 8 * (target - (before.bytes - weights)) / weights
    return bits_within_mean(mean, module, grown)


def _weights(module: torch.nn.Module) -> int:
    """How many there are that can have fewer bits: so many bytes at 8 bits."""
    return sum(layer.weight.numel() for layer in weighted(module).values())


def _costs_at(
    bits: Mapping[str, int], coarse: torch.nn.Module, before: Costs, energies: LayerEnergies
) -> tuple[Costs, float]:
    """What the network costs with weights of these bits and its own zeros, and the bits of a weight on average.

    Biases stay at 8 bits.
    """
    counts = {name: layer.weight.numel() for name, layer in weighted(coarse).items()}
    zeros = zero_shares(coarse)
    width = {name: replace(energies.bits[name], weights=own) for name, own in bits.items()}
    mean = sum(counts[name] * bits[name] for name in bits) / sum(counts.values())
    spared = sum(energies.nest_macs(name) * share for name, share in zeros.items())
    return replace(
        before,
        executed_macs=before.macs - spared,
        energy=energies.total(weights=zeros, bits=width),
        bytes=before.bytes - _weights(coarse) * (1 - mean / 8),
        weights=weight_count(coarse),
    ), mean
