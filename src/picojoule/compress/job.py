"""What ``prune``, ``quantize`` and ``adapt`` have in common: a network, a machine, a task and a folder to begin with, and a result to end with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.atomic_file import replace_file
from picojoule.compress.costs import Costs, modelled, modelled_once, network_of
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.handover import (
    FLOAT,
    INT8,
    ORIGINAL,
    as_module,
    export_onnx,
    hand_over,
    measured_ms,
    samples_file,
)
from picojoule.compress.int8 import best_calibration
from picojoule.compress.request import callable_name, request_of
from picojoule.compress.result import Compression
from picojoule.compress.stages import Stages, digest
from picojoule.compress.subject import Subject, subject_of
from picojoule.compress.task import Task, fitting, task_of
from picojoule.frontends import load_zeros
from picojoule.hardware import Accelerator, load_hardware
from picojoule.result import Estimate
from picojoule.train.datasets import read_dataset
from picojoule.train.images import Normalisation, Splits
from picojoule.train.recipe import Recipe

if TYPE_CHECKING:
    import torch


ESTIMATE = "estimate.json"
CALIBRATED = 2
"""Batches by which ranges of INT8 activations are chosen: histograms of more are slow and tell no more."""


@dataclass(frozen=True, slots=True)
class Handed:
    """Files by what they are, the score of each INT8 calibration on the data that choose, the accuracy of the best on those that report."""

    files: dict[str, str]
    calibrations: dict[str, float]
    accuracy_int8: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A network to be made smaller, in a folder in which all that was worked out stays.

    Attributes:
        subject: the network as it came.
        machine: whose energy and latency are modelled; None where none are.
        bits: at which they are modelled, as ``estimate`` takes them.
        task: what the network is for.
        stages: the folder.
        samples: a file of inputs on which zeros of activations are measured.
        settings: all that decides the result.
        note: called with a line of text at every step.
    """

    subject: Subject
    machine: Accelerator | None
    bits: Any
    task: Task
    stages: Stages
    samples: Path
    settings: dict[str, Any]
    note: Callable[[str], None]

    @property
    def module(self) -> torch.nn.Module:
        """The network as it came."""
        return self.subject.module

    @property
    def example(self) -> Any:
        """An input of batch 1."""
        return self.subject.example

    def modelled(
        self, module: torch.nn.Module, bits: Any = None, known: Estimate | None = None
    ) -> tuple[Estimate, Costs]:
        """The estimate of a network and what it costs, at the job's bits unless others are given; ``known`` as ``estimate`` takes it."""
        assert self.machine is not None
        width = self.bits if bits is None else bits
        return modelled(module, self.example, self.machine, bits=width, data=self.samples, known=known)

    def modelled_once(
        self, name: str, module: torch.nn.Module, bits: Any = None, known: Estimate | None = None
    ) -> tuple[Estimate, Costs]:
        """The same, kept in the folder by that name."""
        return modelled_once(self.stages, name, lambda: self.modelled(module, bits, known))

    def energies(self, module: torch.nn.Module, estimate: Estimate) -> LayerEnergies:
        """What the layers cost with this network's zeros under the estimate's mappings."""
        network = network_of(self.module, self.example)
        zeros = load_zeros(
            module,
            self.example,
            network=network,
            sparsity="measured",
            data=self.samples,
        ).zeros
        assert self.machine is not None
        return LayerEnergies(network, self.machine, estimate, zeros)

    def hand_over(self, module: torch.nn.Module, **facts: Any) -> Handed:
        """Writes all files of the network that results, with these facts beside its weights; INT8 by the best calibration."""
        folder = self.stages.folder
        files = hand_over(module, self.example, folder, {"settings": self.settings, **facts}, self.task.preprocessing)
        self.note("comparing calibrations")
        batches = [batch.contiguous().numpy() for batch in self.task.calibrate()[:CALIBRATED]]

        def choose(path: Path) -> float:
            return self.task.choose(as_module(path))

        scores = self.stages.figures(
            "calibrations", lambda: best_calibration(folder / FLOAT, folder / INT8, batches, choose)
        )
        int8 = self.stages.figures("accuracy-int8", lambda: self.task.report(as_module(folder / INT8)))
        return Handed({**files, "int8": INT8}, scores, int8)

    def hand_over_estimate(self, estimate: Estimate) -> dict[str, str]:
        """Writes the estimate that the reported energy is of, with its mappings; the file by what it is."""
        replace_file(self.stages.folder / ESTIMATE, estimate.to_json())
        return {"estimate": ESTIMATE}

    def timed(self, before: Costs, after: Costs, onnx: str) -> tuple[Costs, Costs]:
        """Both with measured milliseconds, taken in turn, the network that results by its ONNX file."""

        def measure() -> list[float]:
            original = self.stages.folder / ORIGINAL
            export_onnx(self.module, self.example, original)
            return measured_ms(original, self.example.shape, against=self.stages.folder / onnx)

        first, second = self.stages.figures("milliseconds", measure)
        return before.measured(first), after.measured(second)

    def points_lost(self, after: torch.nn.Module) -> float:
        """Percentage points below the network as it came, on the data that choose."""
        found = self.stages.figures("points", lambda: [self.task.choose(self.module), self.task.choose(after)])
        return round(100 * (found[0] - found[1]), 9)

    def accuracies(self, after: torch.nn.Module) -> tuple[float, float]:
        """On the data that report, before and after; kept in the folder."""
        found = self.stages.figures("accuracy", lambda: [self.task.report(self.module), self.task.report(after)])
        return found[0], found[1]

    def result(
        self,
        *,
        method: str,
        budget: str,
        kind: str,
        limit: float,
        used: float,
        met: bool,
        before: Costs,
        after: Costs,
        accuracies: tuple[float, float],
        steps: list[dict[str, Any]],
        files: dict[str, str],
        remarks: list[str],
        tickets: dict[str, Any] | None = None,
        classes: dict[str, Any] | None = None,
        accuracy_int8: float | None = None,
        budgets: list[dict[str, Any]] | None = None,
    ) -> Compression:
        """What it came to, saved in the folder; see ``Compression``."""
        made = Compression(
            model=self.subject.name,
            hardware=self.settings["hardware"],
            method=method,
            budget=budget,
            kind=kind,
            limit=limit,
            used=used,
            met=met,
            before=before,
            after=after,
            accuracy_before=accuracies[0],
            accuracy_after=accuracies[1],
            settings=self.settings,
            steps=steps,
            files=files,
            remarks=remarks,
            tickets=tickets,
            classes=classes,
            accuracy_int8=accuracy_int8,
            budgets=budgets or [],
        )
        made.save(self.stages.folder)
        return made


def open_job(
    model: Any,
    example_input: Any,
    asked: Mapping[str, Any],
    *,
    check: Callable[[Subject, Accelerator | None], None] = lambda *_: None,
    hardware: str | Path | Accelerator | None,
    bits: Any = None,
    data: str | Path | Splits | None,
    all_seen: bool,
    normalisation: Normalisation | None,
    train: Callable[..., None] | None,
    evaluate: Callable[..., float] | None,
    calibrate: Callable[[], Sequence[Any]] | None,
    output: str | Path,
    weights_file: str | Path | None,
    teacher: torch.nn.Module | None,
    recipe: Recipe,
    note: Callable[[str], None],
    kept: Collection[str] = (),
) -> Job:
    """The job that the arguments of ``prune``, ``quantize`` or ``adapt`` describe: new in its folder, or the one that lies there.

    Args:
        model: as ``prune`` takes it, or what was made of that; so are all arguments that are not named here.
        example_input: as ``prune`` takes it.
        asked: what else decides the result, by name.
        check: called before a folder is made; raises what is wrong with the request.
        kept: as ``Stages`` takes it.

    Raises:
        UsageError: the arguments don't fit, or another job lies in the folder.
    """
    subject = model if isinstance(model, Subject) else subject_of(model, example_input, weights=weights_file)
    machine = load_hardware(hardware) if isinstance(hardware, str | Path) else hardware
    check(subject, machine)
    splits = read_dataset(data, all_seen=all_seen) if isinstance(data, str | Path) else data
    task = task_of(
        splits,
        all_seen=all_seen,
        normalisation=normalisation,
        train=train,
        evaluate=evaluate,
        calibrate=calibrate,
        recipe=recipe,
        teacher=subject.module if teacher is None else teacher,
        note=note,
    )
    own = {"train": train, "evaluate": evaluate, "calibrate": calibrate}
    settings = request_of(
        subject,
        {
            **asked,
            "teacher": None if teacher is None else digest(teacher),
            "callables": {name: callable_name(one) for name, one in own.items()},
        },
        machine=machine,
        data=splits,
        normalisation=normalisation,
        recipe=fitting(recipe, splits),
    )
    stages = Stages(Path(output), settings, kept=kept)
    samples = samples_file(stages.folder, task.calibrate())
    return Job(
        subject=subject, machine=machine, bits=bits, task=task, stages=stages, samples=samples, settings=settings, note=note
    )  # fmt: skip
