"""Budgets of an adaptation: what counts them, what they come to for a network, and whether they can be met at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.baselines import narrowed
from picojoule.compress.budgets import Budget, parse_budget
from picojoule.compress.frozen_table import FILE, FrozenTable
from picojoule.compress.handover import ORIGINAL, SAMPLES, export_onnx
from picojoule.compress.job import Job
from picojoule.compress.meters import (
    Clock,
    Macs,
    MeasuredByRunner,
    MeasuredHere,
    Meter,
    Modelled,
)
from picojoule.compress.netadapt import least
from picojoule.compress.stages import REQUEST
from picojoule.compress.widths import Widths
from picojoule.errors import UsageError, nearest
from picojoule.hardware import Accelerator, load_hardware
from picojoule.search.policy import Exact
from picojoule.units import energy_text, significant

if TYPE_CHECKING:
    import torch

MEASURED = "measured"
KINDS = ("latency", "energy", "macs")
_START = "start"
_CANDIDATE = "candidate.onnx"
_OF = re.compile(r"(.*%)\s*([A-Za-z]+)\s*")


@dataclass(frozen=True, slots=True)
class Bound:
    """A budget and what counts it.

    Attributes:
        budget: as asked for.
        meter: its currency.
        limit: in the meter's unit; 0 until the network was looked at.
        start: what the network takes as it came.
    """

    budget: Budget
    meter: Meter
    limit: float = 0.0
    start: float = 0.0

    @property
    def name(self) -> str:
        """As part of the name of a file."""
        return re.sub(r"[^\w.]+", "-", self.budget.text.partition("%")[0]).strip("-")


def bounds_of(
    budget: str | Sequence[str],
    hardware: str | Path | Accelerator | Sequence[str | Path | Accelerator],
    of: str | None,
    runner: str | None,
    timeout: float,
    bits: Any,
    search: Exact,
    jobs: int,
) -> tuple[list[Bound], Accelerator | None]:
    """The budgets with their meters, and the machine that is modelled, if one is; the arguments are those of ``adapt``.

    Raises:
        UsageError: no such budget, or nothing that counts it.
    """
    named = [hardware] if isinstance(hardware, str | Path | Accelerator) else list(hardware)
    machines = [one if isinstance(one, Accelerator) else load_hardware(one) for one in named if one != MEASURED]
    measured = MEASURED in named
    if len(machines) > 1:
        raise UsageError("one machine can be modelled at a time", where="hardware")
    if runner is not None and not measured:
        raise UsageError("a runner measures: name the hardware 'measured'", where="runner")
    machine = machines[0] if machines else None
    texts = [budget] if isinstance(budget, str) else list(budget)
    if not texts:
        raise UsageError("a budget is needed", where="budget")
    meters: dict[str, Meter] = {}

    def meter(kind: str) -> Meter:
        if kind not in meters:
            meters[kind] = _meter(kind, machine, measured, runner, timeout, bits, search, jobs)
        return meters[kind]

    default = of or ("latency" if measured else "energy")
    wanted = [_parsed(text, default) for text in texts]
    for one in wanted:
        one.check_unit(machine)
    return [Bound(one, meter(one.kind)) for one in wanted], machine


def _parsed(text: str, of: str) -> Budget:
    match = _OF.fullmatch(text)
    kind = match.group(2).lower() if match else of
    if kind not in KINDS:
        raise UsageError(
            f"networks are adapted to budgets of {', '.join(KINDS)}, not of {kind!r}", where="budget", hint=nearest(kind, KINDS)
        )
    found = replace(parse_budget(match.group(1) if match else text, of=kind, kinds=KINDS), text=text.strip())
    if found.kind not in KINDS:
        raise UsageError(
            f"networks are adapted to budgets of {', '.join(KINDS)}, not of {found.kind}",
            where="budget",
            hint="`picojoule prune --criterion channels` knows it.",
        )
    return found


def _meter(
    kind: str,
    machine: Accelerator | None,
    measured: bool,
    runner: str | None,
    timeout: float,
    bits: Any,
    search: Exact,
    jobs: int,
) -> Meter:
    if kind == "macs":
        return Macs()
    if kind == "latency" and measured:
        if runner is not None:
            from picojoule.runtime.command_runner import CommandRunner

            return MeasuredByRunner(CommandRunner(runner, timeout_s=timeout))
        from picojoule.runtime.latency_table import LatencyTable, default_path

        return MeasuredHere(LatencyTable(default_path()))
    if machine is None:
        raise UsageError(
            f"a budget of {kind} needs a machine that is modelled",
            where="hardware",
            hint="Name one beside 'measured': --hardware measured --hardware eyeriss-v1.",
        )
    if kind == "latency" and machine.clock_hz is None:
        raise UsageError(f"{machine.name} has no clock, and so no seconds", where="hardware")
    return Modelled(kind, machine, bits=bits, search=search, jobs=jobs)


def waypoints_of(texts: Sequence[str], bounds: Sequence[Bound]) -> list[Bound]:
    """The looser budgets on the way to the only one, each counted as that is.

    Raises:
        UsageError: there are several budgets, or a waypoint is of something else, named twice, or not looser than the budget, as far as
            that can be said without the network.
    """
    if texts and len(bounds) > 1:
        raise UsageError(f"on the way to {len(bounds)} budgets there are no waypoints", where="waypoint", hint="Ask for one budget.")
    found = [replace(bounds[0], budget=_parsed(text, bounds[0].budget.kind)) for text in texts]
    for place, one in enumerate(found):
        if one.budget.kind != bounds[0].budget.kind:
            raise UsageError(
                f"a waypoint of {one.budget.kind} is not on the way to a budget of {bounds[0].budget.kind}", where="waypoint"
            )
        same = [other for other in found[:place] if other.name == one.name or _limit(other) == _limit(one)]
        if same:
            raise UsageError(f"{one.budget.text} is named twice", where="waypoint")
        if one.budget.share == bounds[0].budget.share and one.budget.limit <= bounds[0].budget.limit:
            raise _not_on_the_way(one, bounds[0])
    return found


def _limit(bound: Bound) -> tuple[bool, float]:
    return bound.budget.share, bound.budget.limit


def _not_on_the_way(waypoint: Bound, goal: Bound) -> UsageError:
    return UsageError(
        f"{waypoint.budget.text} is not on the way to {goal.budget.text}",
        where="waypoint",
        hint="Waypoints are looser than the budget.",
    )


def refuse_or_go(
    job: Job,
    table: FrozenTable,
    widths: Widths,
    bounds: Sequence[Bound],
    waypoints: Sequence[Bound],
    grid: int,
    *,
    keep: Sequence[str],
    new: Sequence[Path] | None,
) -> tuple[list[Bound], list[Bound]]:
    """Budgets and waypoints with their limits, waypoints from the loosest.

    What is refused leaves the folder as it was; but what a clock has measured stays there, and isn't measured again.

    Args:
        keep: layers that must not change.
        new: folders that weren't there before, the innermost first; None if the job was begun earlier.

    Raises:
        UsageError: a budget is above what the network takes, or below what it can be brought to; a waypoint is not above it.
    """
    seen = job.stages.figures(_START, lambda: _looked_at(job, table, widths, grid))
    table.scales = seen["scales"]
    try:
        looked = list(zip(seen["start"], seen["least"], strict=True))
        going = [_checked(bound, *one, keep) for bound, one in zip(bounds, looked, strict=True)]
        over = [_checked(waypoint, *looked[0], keep) for waypoint in waypoints]
        for waypoint in over:
            if waypoint.limit <= going[0].limit:
                raise _not_on_the_way(waypoint, going[0])
        return going, sorted(over, key=lambda waypoint: -waypoint.limit)
    except UsageError as refusal:
        if new is not None:
            table.close()
            timed = any(isinstance(bound.meter, MeasuredByRunner) for bound in bounds)
            for name in (REQUEST, SAMPLES, ORIGINAL, f"{_START}.json", *(() if timed else (FILE,))):
                (job.stages.folder / name).unlink(missing_ok=True)
            for folder in new:
                if not any(folder.iterdir()):
                    folder.rmdir()
            if timed:
                hint = f"{refusal.hint} What the runner measured stays in {job.stages.folder}: ask again there."
                raise UsageError(refusal.message, where=refusal.where, hint=hint) from None
        raise


def _looked_at(job: Job, table: FrozenTable, widths: Widths, grid: int) -> dict[str, list[float]]:
    """What the network takes now, by how much the table is off where the whole is measured, and the least."""
    whole = [
        meter.whole(original(job), tuple(job.example.shape)) if isinstance(meter, Clock) else None for meter in table.meters
    ]
    start = table.calibrate(widths.network, whole)
    narrowest = least(widths, table, grid)
    lowest = [cost for cost, _ in narrowest]
    for place, (meter, (_, channels)) in enumerate(zip(table.meters, narrowest, strict=True)):
        if isinstance(meter, Clock):  # sums of layers are too much for narrow networks
            narrow, _ = narrowed(job.module, job.example, widths.groups, channels)
            lowest[place] = min(lowest[place], ratio(job, meter, narrow) * start[place])
    return {"start": start, "scales": table.scales, "least": lowest}


def original(job: Job) -> Path:
    """The network as it came, as ONNX."""
    path = job.stages.folder / ORIGINAL
    if not path.exists():
        temporary = path.with_name(f".{ORIGINAL}")
        export_onnx(job.module, job.example, temporary)
        temporary.replace(path)
    return path


def ratio(job: Job, meter: Clock, module: torch.nn.Module) -> float:
    """What a network takes of what it took as it came, run in turn with it."""
    candidate = job.stages.folder / _CANDIDATE
    export_onnx(module, job.example, candidate)
    try:
        return meter.ratio(candidate, original(job), tuple(job.example.shape))
    finally:
        candidate.unlink(missing_ok=True)


def _checked(bound: Bound, start: float, lowest: float, keep: Sequence[str]) -> Bound:
    limit = bound.budget.of(start)
    unit = bound.meter.unit
    if limit >= start:
        raise UsageError(
            f"the network takes {amount(start, unit)}, which is within the budget of {bound.budget.text}: nothing was changed",
            where="budget",
            hint=f"Ask for less than {amount(start, unit)}.",
        )
    if limit < lowest:
        raise UsageError(
            f"a budget of {bound.budget.text} is below the least that can be reached, {amount(lowest, unit)}"
            f" ({lowest / start:.0%} of what the network takes)",
            where="budget",
            hint=f"Ask for more,{' keep fewer layers,' if keep else ''} or take a smaller grid.",
        )
    return replace(bound, limit=limit, start=start)


def amount(value: float, unit: str) -> str:
    """A cost for people."""
    if unit == "s":
        return f"{significant(value * 1e3)} ms"
    if unit == "MACs":
        return f"{significant(value / 1e6)} M MACs"
    return energy_text(value, unit)
