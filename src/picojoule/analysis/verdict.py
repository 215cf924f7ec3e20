"""Is a network on a machine a viable solution? Four questions in order, and the first no ends it.

The order is that of "Efficient Processing of Deep Neural Networks: A Tutorial and Survey" (Sze, Chen, Yang and Emer, Proceedings
of the IEEE, 2017): accuracy, latency and throughput, energy and power, cost. What a result can't answer is neither yes nor no.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from picojoule.analysis.answers import Answer, answered
from picojoule.analysis.requirements import STEPS, Limit, limits_of
from picojoule.analysis.subjects import is_result_file, read_subject
from picojoule.errors import UsageError
from picojoule.result import Estimate
from picojoule.units import parse_share

if TYPE_CHECKING:
    from picojoule.frontends.resolve import Model

YES, NO, UNKNOWN, NOT_ASKED = "yes", "no", "cannot tell", "not evaluated"
"""Answers to one requirement; the last of them stands behind a no in an earlier step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One requirement and what the result says to it.

    Attributes:
        key: of ``requirements.REQUIREMENTS``.
        step: of the evaluation.
        answer: yes, no, cannot tell, or not evaluated.
        limit, value, unit: what was asked for and what is; None where the result can't say, or wasn't asked.
        ratio: of value to limit.
        basis: what the value is of, in words; empty where it needs none.
        needed: what it would take, a sentence each; empty for a yes.
    """

    key: str
    step: str
    answer: str
    limit: float
    value: float | None
    unit: str
    ratio: float | None
    basis: str
    needed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a network on a machine meets what is required of it.

    Attributes:
        model, hardware, batch, objective: of the result.
        answer: yes if all requirements are met; no if one is missed; else cannot tell.
        stopped_at: the step at which the first no came; None without one.
        findings: in the order of the evaluation.
        notes: what to know about the figures.
        estimate: the result itself.
    """

    model: str
    hardware: str
    batch: int
    objective: str
    answer: str
    stopped_at: str | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    estimate: Estimate

    @property
    def ok(self) -> bool:
        """Whether every requirement is met."""
        return self.answer == YES


def check(
    model: Model | Estimate,
    example_input: Any = None,
    *,
    require: str | os.PathLike[str] | Mapping[str, object] | None = None,
    min_accuracy: str | float | None = None,
    max_latency: str | None = None,
    min_throughput: str | None = None,
    max_energy: str | None = None,
    max_power: str | None = None,
    max_area: str | None = None,
    max_memory: str | None = None,
    accuracy: str | float | None = None,
    hardware: Any = None,
    **options: Any,
) -> Verdict:
    """Whether a network on a machine meets its requirements: accuracy, then latency and throughput, then energy and power, then cost.

    The evaluation stops after the step of the first no. A requirement that the result can't answer (an accuracy that nobody
    measured, an area that the machine doesn't state) is neither met nor missed; with one the answer is "cannot tell" at best.

    Args:
        model: a result (an ``Estimate`` or its file), or what ``estimate`` takes: then that is run first.
        example_input: as for ``estimate``.
        require: a YAML file of limits, or a table of them: the names of the arguments below.
        min_accuracy: share of inputs that must be right: ``0.9`` or ``"90%"``.
        max_latency: of a batch: ``"33 ms"``.
        min_throughput: inferences a second: ``"30/s"``.
        max_energy: of an inference: ``"5 mJ"``.
        max_power: on average: ``"1 W"``; at ``fps`` inferences a second where the result has them, else at ``min_throughput``,
            else without a pause.
        max_area: of the machine: ``"20 mm2"``.
        max_memory: all storage on the chip: ``"192 KiB"``.
        accuracy: that was measured elsewhere; it stands in place of the result's own.
        hardware: a machine, where ``model`` is no result.
        options: further arguments of ``estimate``.

    Returns:
        A ``Verdict``; ``ok`` if everything is met.

    Raises:
        RequirementsError: a requirement that can't be read.
        UsageError: nothing is required, or ``hardware`` is missing, or given with a result.
        PicojouleError: as ``estimate``.

    Example:
        >>> import picojoule
        >>> verdict = picojoule.check("merkel:L1", hardware="eyeriss-v1", max_latency="1 ms", max_energy="1 nJ", max_area="1 mm2")
        >>> verdict.answer, verdict.stopped_at
        ('no', 'energy and power')
        >>> [(finding.key, finding.answer) for finding in verdict.findings]
        [('max_latency', 'yes'), ('max_energy', 'no'), ('max_area', 'not evaluated')]
    """
    given = {
        "min_accuracy": min_accuracy, "max_latency": max_latency, "min_throughput": min_throughput, "max_energy": max_energy,
        "max_power": max_power, "max_area": max_area, "max_memory": max_memory,
    }  # fmt: skip
    limits = limits_of(require, given)
    measured = None if accuracy is None else parse_share(accuracy)
    notes: list[str] = []
    if isinstance(model, Estimate) or is_result_file(model):
        if hardware is not None or example_input is not None or options:
            named = "hardware" if hardware is not None else next(iter(options), "example_input")
            raise UsageError(
                "a result has its machine and its settings already",
                where=named,
                hint="Give a model in place of the result, or leave this out.",
            )
        estimate, altered = read_subject(model)  # type: ignore[arg-type]
        if altered:
            notes.append("the result was changed after it was written: its content hash is another (picojoule verify)")
    else:
        if hardware is None:
            raise UsageError(
                f"{model} is no result file, and to estimate a model takes a machine",
                where="hardware",
                hint="Name one: --hardware eyeriss-v1; `picojoule hardware list` shows them.",
            )
        from picojoule.estimation import estimate as run

        estimate = run(model, example_input, hardware=hardware, **options)
    if measured is not None:
        estimate = replace(estimate, accuracy=measured)
    return _evaluated(estimate, limits, [*notes, *_caveats(estimate)])


def _evaluated(estimate: Estimate, limits: Sequence[Limit], notes: Sequence[str]) -> Verdict:
    findings: list[Finding] = []
    stopped = None
    rate = next((limit.value for limit in limits if limit.requirement.key == "min_throughput"), None)
    for step in STEPS:
        for limit in limits:
            if limit.requirement.step == step:
                told = None if stopped else answered(estimate, limit, rate)
                findings.append(_finding(limit, told))
        if stopped is None and any(finding.answer == NO for finding in findings):
            stopped = step
    answers = {finding.answer for finding in findings}
    return Verdict(
        model=estimate.model,
        hardware=str(estimate.hardware["name"]),
        batch=estimate.batch,
        objective=estimate.objective,
        answer=NO if stopped else UNKNOWN if UNKNOWN in answers else YES,
        stopped_at=stopped,
        findings=tuple(findings),
        notes=tuple(notes),
        estimate=estimate,
    )


def _finding(limit: Limit, told: Answer | None) -> Finding:
    requirement = limit.requirement
    answer = NOT_ASKED if told is None else {True: YES, False: NO, None: UNKNOWN}[told.met]
    value = None if told is None else told.value
    return Finding(
        key=requirement.key,
        step=requirement.step,
        answer=answer,
        limit=limit.value,
        value=value,
        unit=requirement.unit,
        ratio=None if value is None or not limit.value else value / limit.value,
        basis="" if told is None else told.basis,
        needed=() if told is None else told.needed,
    )


def _caveats(estimate: Estimate) -> list[str]:
    notes = []
    if estimate.table.get("estimated"):
        notes.append(f"nobody published energies of {estimate.hardware['name']}: they come from rules made for others")
    share = estimate.coverage.get("bytes")
    if estimate.coverage["not_costed"]:
        costed = "an unknown share" if share is None else f"{100 * share:.1f} %"
        listed = ", ".join(sorted({str(entry["op"]) for entry in estimate.coverage["not_costed"]}))
        notes.append(f"{costed} of the bytes are costed; not costed: {listed}")
    if estimate.status == "INTERRUPTED":
        notes.append("the search was interrupted: what is checked is the best found until then")
    return notes
