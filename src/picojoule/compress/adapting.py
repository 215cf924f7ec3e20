"""``adapt``: fewer channels, chosen by what the platform itself costs, until the network meets a budget."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.baselines import Shrinking, at_one_share, narrowed, widened
from picojoule.compress.bounds import (
    MEASURED,
    Bound,
    bounds_of,
    ratio,
    refuse_or_go,
    waypoints_of,
)
from picojoule.compress.brief import check_takes_steps
from picojoule.compress.budgets import as_asked
from picojoule.compress.channels import Group
from picojoule.compress.costs import Costs, network_of
from picojoule.compress.frozen_table import FILE as TABLE
from picojoule.compress.frozen_table import FrozenTable
from picojoule.compress.job import Job, open_job
from picojoule.compress.layers import weighted
from picojoule.compress.meters import Clock, MeasuredByRunner
from picojoule.compress.netadapt import Asked, Run, Schedule, smallest, within
from picojoule.compress.result import FILE, Compression, remarks_on
from picojoule.compress.stages import REQUEST, Stages
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.compress.widths import Widths
from picojoule.errors import ModelError, UsageError, nearest
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.hardware import Accelerator
from picojoule.search.policy import Exact
from picojoule.train.checkpoint import load_tensors
from picojoule.train.images import Normalisation, Splits
from picojoule.train.loop import LAST
from picojoule.train.recipe import Recipe
from picojoule.workload.network import Network

if TYPE_CHECKING:
    import torch

METHODS = ("netadapt", "uniform", "morphnet")
SEARCH = Exact(factors="exact")
"""Of every layer that the table lacks, unless another is asked for."""
STEPS, JUDGED_ON = 50, 1000
ROUNDS = 5
"""How often the table is calibrated by networks with one share of all channels, at most."""
AT = "at-"
"""Begins the name of the folder of a waypoint."""

Order = Callable[["torch.nn.Module", Group, int], list[int]]
"""Which channels of a group go: (network, group, how many)."""


def adapt(
    model: Any,
    example_input: Any = None,
    *,
    budget: str | Sequence[str],
    hardware: str | Path | Accelerator | Sequence[str | Path | Accelerator] = MEASURED,
    of: str | None = None,
    waypoint: str | Sequence[str] = (),
    method: str = "netadapt",
    step: float = 0.025,
    decay: float = 0.96,
    iterations: int | None = None,
    steps: int = STEPS,
    judged_on: int = JUDGED_ON,
    data: str | Path | Splits | None = None,
    all_seen: bool = False,
    normalisation: Normalisation | None = None,
    train: Callable[..., None] | None = None,
    evaluate: Callable[..., float] | None = None,
    calibrate: Callable[[], Sequence[Any]] | None = None,
    output: str | Path,
    bits: Any = None,
    search: Exact = SEARCH,
    grid: int = 8,
    keep: Sequence[str] = (),
    runner: str | None = None,
    timeout: float = 60.0,
    weights_file: str | Path | None = None,
    recipe: Recipe = TUNING,
    jobs: int = 1,
    cluster: str | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Compression:
    """Takes filters away, step by step where accuracy suffers least, until the network meets its budgets; then tunes it.

    This is NetAdapt (Yang et al., ECCV 2018). What was worked out stays in ``output``: a run that was broken off goes on
    there and ends with the same network.

    Args:
        model: an ``nn.Module`` or ``package.module:factory``.
        example_input: an input of batch 1.
        budget: ``"8ms"``, ``"1.2mJ"``, ``"20 MMACs"``, ``"40%"`` of what it takes now, ``"40% macs"``; or several, all to be met.
        hardware: ``"measured"`` (here, or by ``runner``), a machine whose energy and latency are modelled, or both.
        of: what a bare percentage is of: ``latency``, ``energy`` or ``macs``; by default latency where it is measured, else energy.
        waypoint: looser budgets on the way: the network that first meets one is tuned and handed over, too, in ``at-BUDGET``.
        method: ``netadapt``, or what it is compared with: ``uniform`` (the same share of every layer), ``morphnet``.
        step: share of the start's cost that the first step takes off.
        decay: what every later one takes off of that before it.
        iterations: steps in which the budget is to be met; ``step`` is then worked out.
        steps: of the optimizer for each proposal.
        judged_on: choosing images on which proposals are compared, at most.
        data: as ``prune`` takes it; so are ``all_seen``, ``normalisation``, ``evaluate``, ``calibrate``.
        all_seen: see ``data``.
        normalisation: see ``data``.
        train: as ``prune`` takes it, but called with ``steps=``, too: so many for a proposal, None for the whole training.
        evaluate: see ``data``.
        calibrate: see ``data``.
        output: a folder.
        bits: as ``estimate`` takes them.
        search: how far each layer is searched on a modelled machine.
        grid: channels come in multiples of it.
        keep: layers that must not change, neither their filters nor what they read.
        runner: a command that measures an ONNX file elsewhere, as ``measure`` takes it.
        timeout: seconds that a call of the runner may take.
        weights_file: safetensors with the network's weights, if the factory doesn't load them.
        recipe: of tuning, short and long.
        jobs: processes that tune proposals, with one thread each.
        cluster: address of a Dask scheduler, whose workers tune them in place of processes here. They must see ``output``
            under the same path, and import what the network and its training are made of.
        note: called with a line of text at every step.

    Returns:
        What it came to, every step in ``steps``; its files lie in ``output``.

    Raises:
        UsageError: a budget below the least that can be reached or above what the network takes; unknown names; …
        SystemFailure, InputError: the runner failed; what it measured before is kept. A worker doesn't share the folder.
    """
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}", where="method", hint=nearest(method, METHODS))
    if steps < 0 or judged_on < 1 or grid < 1 or jobs < 1:
        raise UsageError(f"{steps} steps, judged on {judged_on} images, grid {grid}, {jobs} jobs", where="steps")
    schedule = Schedule(step=step, decay=decay, iterations=iterations)
    bounds, machine = bounds_of(budget, hardware, of, runner, timeout, bits, search, jobs)
    waypoints = waypoints_of([waypoint] if isinstance(waypoint, str) else waypoint, bounds)
    if data is None:
        check_takes_steps(train)

    def check(subject: Subject, _: Accelerator | None) -> None:
        for name in keep:
            if name not in (known := weighted(subject.module)):
                raise UsageError(f"there is no layer {name!r} with weights", where="keep", hint=nearest(name, known))

    asked = {
        "hardware": " + ".join(dict.fromkeys(bound.meter.where or "macs" for bound in bounds)),
        "budget": [as_asked(bound.budget.text) for bound in bounds],
        "waypoints": [as_asked(one.budget.text) for one in waypoints],
        "kinds": [bound.meter.kind for bound in bounds],
        "method": method,
        "schedule": asdict(schedule),
        "steps": steps,
        "judged_on": judged_on,
        "bits": None if bits is None else str(bits),
        "search": asdict(search),
        "grid": grid,
        "keep": list(keep),
    }
    given = (data, all_seen, normalisation, train, evaluate, calibrate)
    new = None if (Path(output) / REQUEST).exists() else [one for one in (Path(output), *Path(output).parents) if not one.exists()]
    job = open_job(
        model, example_input, asked, check=check, hardware=machine, bits=bits,
        **dict(zip(("data", "all_seen", "normalisation", "train", "evaluate", "calibrate"), given, strict=True)),
        output=output, weights_file=weights_file, teacher=None, recipe=recipe, note=note, kept=(TABLE,),
    )  # fmt: skip
    table = FrozenTable([bound.meter for bound in bounds])
    table.freeze(job.stages.folder)
    try:
        note("working out what layers cost")
        widths = Widths(job.module, job.example, keep)
        bounds, stops = refuse_or_go(job, table, widths, bounds, waypoints, grid, keep=keep, new=new)
        run_asked = Asked(
            widths=widths,
            table=table,
            start=[bound.start for bound in bounds],
            limits=[bound.limit for bound in bounds],
            whole=functools.partial(_whole, job, bounds),
            schedule=schedule,
            grid=grid,
            brief=lambda index: job.task.brief(steps, index, judged_on),
            jobs=jobs,
            cluster=cluster,
        )
        way = METHOD_OF[method](job, run_asked)
        for stop in stops:
            made = way([stop.limit])
            _ended(_at(job, stop), method, [stop], widths, *made)
            note(f"{stop.budget.text} is come to; going on")
        made = way(run_asked.limits)
    finally:
        table.close()
    return _ended(job, method, bounds, widths, *made, {stop.budget.text: f"{AT}{stop.name}/{FILE}" for stop in stops})


def _at(job: Job, stop: Bound) -> Job:
    """The part of a job that ends at a waypoint, in a folder of its own."""
    settings = {**job.settings, "budget": [as_asked(stop.budget.text)], "waypoints": []}
    return replace(job, settings=settings, stages=Stages(job.stages.folder / f"{AT}{stop.name}", settings))


Way = Callable[[Sequence[float]], tuple["torch.nn.Module", list[dict[str, Any]], list[float]]]
"""From limits by meter to a network, the steps to it, and what it costs."""


def _netadapt(job: Job, asked: Asked) -> Way:
    run = Run(job.module, job.example, asked, job.stages, job.note)

    def go(limits: Sequence[float]) -> tuple[torch.nn.Module, list[dict[str, Any]], list[float]]:
        run.go_to(limits)
        return copy.deepcopy(run.module), list(run.steps), run.costs

    return go


def _uniform(job: Job, asked: Asked) -> Way:
    return _fitted(job, asked, job.module, lambda limits: at_one_share(asked, limits), smallest)


def _morphnet(job: Job, asked: Asked) -> Way:
    job.note("shrinking by BatchNorm's factors")
    module, folder = copy.deepcopy(job.module), job.stages.folder / "shrinking"
    shrinking = Shrinking(module, job.example, asked, job.settings["recipe"]["peak_rate"])
    job.task.train(module, folder, shrinking)
    if (folder / LAST).exists():  # the last epoch, not the most accurate one, which is the least shrunk
        state, _ = load_tensors(folder / LAST)
        weights = {name: state[f"module.{name}"] for name in module.state_dict()}
        module.load_state_dict(weights)
    module.eval()
    alive = shrinking.alive(module, asked.widths.groups)
    return _fitted(job, asked, module, lambda limits: widened(asked, limits, alive), shrinking.weakest)


def _fitted(
    job: Job, asked: Asked, module: torch.nn.Module, widest: Callable[[Sequence[float]], dict[str, int] | None], order: Order
) -> Way:
    """The widest network within limits; where it can be measured as a whole the table is calibrated by it, and asked again."""

    def made(channels: dict[str, int]) -> tuple[torch.nn.Module, list[dict[str, Any]], list[float]]:
        after, steps = narrowed(module, job.example, asked.widths.groups, channels, order)
        counts = "-".join(str(channels[group.root]) for group in asked.widths.groups)
        name = f"whole-{hashlib.sha256(counts.encode()).hexdigest()[:16]}"
        whole = job.stages.figures(name, lambda: asked.whole(after))
        costs = asked.table.calibrate(asked.widths.at(channels), whole)
        return after, [{**one, "costs": costs} for one in steps], costs

    def go(limits: Sequence[float]) -> tuple[torch.nn.Module, list[dict[str, Any]], list[float]]:
        tried: list[dict[str, int]] = []
        best, last, most = None, None, 0
        for _ in range(ROUNDS):
            channels = widest(limits)
            if channels is None:
                channels = {root: min(count, asked.grid) for root, count in asked.widths.start.items()}
            if channels in tried:
                break
            tried.append(channels)
            last = made(channels)
            if within(last[2], limits) and sum(channels.values()) > most:
                best, most = last, sum(channels.values())
        assert last is not None
        return best or last

    return go


METHOD_OF = {"netadapt": _netadapt, "uniform": _uniform, "morphnet": _morphnet}


def _whole(job: Job, bounds: Sequence[Bound], module: torch.nn.Module) -> list[float | None]:
    """What a network takes as a whole, where that can be measured."""
    return [
        ratio(job, bound.meter, module) * bound.start if isinstance(bound.meter, Clock) else None for bound in bounds
    ]


def _as_foretold(module: torch.nn.Module, job: Job, widths: Widths, path: Sequence[dict[str, Any]]) -> Network:
    """The layers of the network that was come to: those that the table was asked about."""
    own = network_of(module, job.example)
    foretold = widths.at({step["root"]: step["channels"] for step in path})
    if [layer.nest for layer in own.layers] != [layer.nest for layer in foretold.layers]:
        raise ModelError("the network has other layers than were foretold from its widths", where=job.subject.name)
    return own


def _ended(
    job: Job, method: str, bounds: Sequence[Bound], widths: Widths, module: torch.nn.Module, path: Sequence[dict[str, Any]],
    used: Sequence[float], waypoints: dict[str, str] | None = None,
) -> Compression:  # fmt: skip
    """Tuned for long, judged, handed over."""
    networks = widths.network, _as_foretold(module, job, widths, path)
    job.note("tuning what is left")
    job.task.train(module, job.stages.folder / "tuning", None)
    module.eval()
    accuracies = job.accuracies(module)
    handed = job.hand_over(module)
    before, after = (_costs(job, network) for network in networks)
    by_runner = [(b.start, u) for b, u in zip(bounds, used, strict=True) if isinstance(b.meter, MeasuredByRunner)]
    if by_runner:  # the platform's own time, not this computer's
        before, after = (costs.measured(1e3 * seconds) for costs, seconds in zip((before, after), by_runner[0], strict=True))
    else:
        before, after = job.timed(before, after, handed.files["onnx"])
    tightest = max(range(len(bounds)), key=lambda i: used[i] / bounds[i].limit)
    bound = bounds[tightest]
    budgets = [
        {"budget": b.budget.text, "kind": b.meter.kind, "where": b.meter.where, "unit": b.meter.unit, "start": b.start,
         "limit": b.limit, "used": u}
        for b, u in zip(bounds, used, strict=True)
    ]  # fmt: skip
    path = [{**one, "kinds": [b.meter.kind for b in bounds]} for one in path]
    return job.result(
        method=f"adapt by {method}",
        budget=" and ".join(b.budget.text for b in bounds),
        kind=bound.meter.kind,
        limit=bound.limit,
        used=used[tightest],
        met=within(used, [b.limit for b in bounds]),
        before=before,
        after=after,
        accuracies=accuracies,
        steps=path,
        files={**handed.files, **(waypoints or {})},
        remarks=remarks_on(before, after),
        accuracy_int8=handed.accuracy_int8,
        budgets=budgets,
    )


def _costs(job: Job, network: Network) -> Costs:
    """In all currencies, every element taken for non-zero."""
    if job.machine is None:
        return Costs(
            macs=network.macs, executed_macs=network.macs, energy=None, unit="pJ", latency_s=None, bytes=4.0 * network.params,
            memory=None,
        )  # fmt: skip
    found = estimate_uninterrupted(network, hardware=job.machine, bits=job.bits, search=Exact(**job.settings["search"]))
    return Costs(
        macs=found.macs, executed_macs=found.macs, energy=found.energy_pj, unit=found.table["unit"],
        latency_s=found.latency_s, bytes=found.weight_bytes, memory=found.peak_activation_bytes,
    )  # fmt: skip
