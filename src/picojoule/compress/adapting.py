"""``adapt``: fewer channels, chosen by what the platform itself costs, until the network meets a budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.bounds import MEASURED, Bound, bounds_of, refuse_or_go
from picojoule.compress.baselines import Shrinking, at_one_share, narrowed, widened
from picojoule.compress.brief import check_takes_steps
from picojoule.compress.costs import Costs, network_of
from picojoule.compress.frozen_table import FrozenTable
from picojoule.compress.handover import ORIGINAL, export_onnx
from picojoule.compress.job import Job, open_job
from picojoule.compress.layers import weighted
from picojoule.compress.netadapt import Asked, Run, Schedule
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.compress.widths import Widths
from picojoule.errors import ModelError, UsageError, nearest
from picojoule.estimation import estimate
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
"""How often the table's limit is lowered where the network as a whole takes longer than the table foretold."""
_SPARE = 0.995
"""Below the limit that was missed, so that noise doesn't miss it again."""
_CANDIDATE = "candidate.onnx"


def adapt(
    model: Any,
    example_input: Any = None,
    *,
    budget: str | Sequence[str],
    hardware: str | Path | Accelerator | Sequence[str | Path | Accelerator] = MEASURED,
    of: str | None = None,
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
    if data is None:
        check_takes_steps(train)

    def check(subject: Subject, _: Accelerator | None) -> None:
        for name in keep:
            if name not in (known := weighted(subject.module)):
                raise UsageError(f"there is no layer {name!r} with weights", where="keep", hint=nearest(name, known))

    asked = {
        "hardware": " + ".join(dict.fromkeys(bound.meter.where or "macs" for bound in bounds)),
        "budget": [bound.budget.text for bound in bounds],
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
    fresh = not (Path(output) / "request.json").exists()
    job = open_job(
        model, example_input, asked, check=check, hardware=machine, bits=bits,
        **dict(zip(("data", "all_seen", "normalisation", "train", "evaluate", "calibrate"), given, strict=True)),
        output=output, weights_file=weights_file, teacher=None, recipe=recipe, note=note,
    )  # fmt: skip
    table = FrozenTable([bound.meter for bound in bounds])
    table.freeze(job.stages.folder)
    try:
        note("working out what layers cost")
        widths = Widths(job.module, job.example, keep)
        bounds = refuse_or_go(job, table, widths, bounds, grid, fresh=fresh, original=original)
        run_asked = Asked(
            widths=widths,
            table=table,
            start=[bound.start for bound in bounds],
            schedule=schedule,
            grid=grid,
            brief=lambda index: job.task.brief(steps, index, judged_on),
            jobs=jobs,
            cluster=cluster,
        )
        after, path, used = _within(job, run_asked, bounds, METHOD_OF[method](job, run_asked))
        networks = widths.network, _as_foretold(after, job, widths, path)
    finally:
        table.close()
    return _ended(job, method, bounds, after, networks, path, used)


Way = Callable[[Sequence[float]], tuple["torch.nn.Module", list[dict[str, Any]], list[float], bool]]
"""From limits by meter to a network, the steps to it, what it costs by the table, and whether that is within the limits."""


def _netadapt(job: Job, asked: Asked) -> Way:
    run = Run(job.module, job.example, asked, job.stages, job.note)

    def go(limits: Sequence[float]) -> tuple[torch.nn.Module, list[dict[str, Any]], list[float], bool]:
        met = run.go_to(limits)
        return run.module, run.steps, run.costs, met

    return go


def _uniform(job: Job, asked: Asked) -> Way:
    def go(limits: Sequence[float]) -> tuple[torch.nn.Module, list[dict[str, Any]], list[float], bool]:
        channels = at_one_share(asked, limits)
        return _narrow(job, asked, job.module, channels, None)

    return go


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

    def go(limits: Sequence[float]) -> tuple[torch.nn.Module, list[dict[str, Any]], list[float], bool]:
        return _narrow(job, asked, module, widened(asked, limits, alive), shrinking.weakest)

    return go


def _narrow(job: Job, asked: Asked, module: torch.nn.Module, channels: Any, order: Any) -> Any:
    met = channels is not None
    if channels is None:
        channels = {root: min(count, asked.grid) for root, count in asked.widths.start.items()}
    after, steps = narrowed(module, job.example, asked.widths.groups, channels, *([] if order is None else [order]))
    costs = asked.table.costs([asked.widths.at(channels)])[0]
    return after, [{**one, "costs": costs} for one in steps], costs, met


METHOD_OF = {"netadapt": _netadapt, "uniform": _uniform, "morphnet": _morphnet}


def _within(
    job: Job, asked: Asked, bounds: Sequence[Bound], way: Way
) -> tuple[torch.nn.Module, list[dict[str, Any]], list[float]]:
    """The network that is within all limits as a whole, too, where that can be measured: if not, the table's are lowered."""
    limits = [bound.limit for bound in bounds]
    for turn in range(ROUNDS):
        module, path, costs, met = way(limits)
        used = list(costs)
        missed = False
        for place, bound in enumerate(bounds):
            ratio = _ratio(job, bound, module, f"whole-{turn}-{place}")
            if ratio is not None:
                used[place] = ratio * bound.start
                if used[place] > bound.limit:
                    missed = True
                    limits[place] = costs[place] * bound.limit / used[place] * _SPARE
                    job.note(f"measured as a whole it takes {used[place] / bound.limit - 1:.1%} more than the budget: going on")
        if not missed or not met:
            break
    (job.stages.folder / _CANDIDATE).unlink(missing_ok=True)
    return module, path, used


def _ratio(job: Job, bound: Bound, module: torch.nn.Module, name: str) -> float | None:
    if not bound.meter.measured:
        return None

    def made() -> float:
        candidate = job.stages.folder / _CANDIDATE
        export_onnx(module, job.example, candidate)
        return bound.meter.ratio(candidate, original(job), tuple(job.example.shape))

    return float(job.stages.figures(name, made))


def original(job: Job) -> Path:
    """The network as it came, as ONNX."""
    path = job.stages.folder / ORIGINAL
    if not path.exists():
        temporary = path.with_name(f".{ORIGINAL}")
        export_onnx(job.module, job.example, temporary)
        temporary.replace(path)
    return path


def _as_foretold(module: torch.nn.Module, job: Job, widths: Widths, path: list[dict[str, Any]]) -> Network:
    """The layers of the network that was come to: those that the table was asked about."""
    own = network_of(module, job.example)
    foretold = widths.at({step["root"]: step["channels"] for step in path})
    if [layer.nest for layer in own.layers] != [layer.nest for layer in foretold.layers]:
        raise ModelError("the network has other layers than were foretold from its widths", where=job.subject.name)
    return own


def _ended(
    job: Job, method: str, bounds: Sequence[Bound], module: torch.nn.Module, networks: tuple[Network, Network],
    path: list[dict[str, Any]], used: Sequence[float],
) -> Compression:  # fmt: skip
    """Tuned for long, judged, handed over."""
    job.note("tuning what is left")
    job.task.train(module, job.stages.folder / "tuning", None)
    module.eval()
    accuracies = job.accuracies(module)
    handed = job.hand_over(module)
    before, after = job.timed(*(_costs(job, network) for network in networks), handed.files["onnx"])
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
        met=all(u <= b.limit for b, u in zip(bounds, used, strict=True)),
        before=before,
        after=after,
        accuracies=accuracies,
        steps=path,
        files=handed.files,
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
    found = estimate(network, hardware=job.machine, bits=job.bits, search=Exact(**job.settings["search"]))
    return Costs(
        macs=found.macs, executed_macs=found.macs, energy=found.energy_pj, unit=found.table["unit"],
        latency_s=found.latency_s, bytes=found.weight_bytes, memory=found.peak_activation_bytes,
    )  # fmt: skip
