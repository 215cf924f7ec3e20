"""``prune`` by lottery: tickets of weights and of channels within a budget, and what each saves on machines that skip zeros or don't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.budgets import Budget
from picojoule.compress.handover import export_onnx, measured_ms
from picojoule.compress.job import Job
from picojoule.compress.layers import weight_count
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.task import TUNING
from picojoule.compress.tickets.masks import WeightTickets
from picojoule.compress.tickets.narrow import ChannelTickets
from picojoule.compress.tickets.search import TICKET, Kind, Ticket, find, first
from picojoule.errors import UsageError, nearest
from picojoule.hardware import Accelerator, load_hardware
from picojoule.result import Estimate
from picojoule.train.checkpoint import save_tensors

if TYPE_CHECKING:
    import torch

REWOUND = "rewound.safetensors"
KINDS = ("weights", "channels")
BESIDE = ("eyeriss-v2", "eyeriss-methodology", "eyeriss-like-45nm")
"""Machines on which the tickets are priced beside the one that is asked for: the first skips zeros, the second gates them, the third does neither."""
EACH_ROUND = 0.3
LEAST = 0.01
"""Of the weights, where the budget is of something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lottery:
    """How tickets are looked for.

    Attributes:
        rewind: the step to whose weights every round goes back; 0: to those that the network came with.
        each_round: the share of the weights left that goes in a round.
        kinds: of tickets: ``weights``, ``channels``, or both.
        beside: machines to price the tickets on beside the one that is asked for.

    Raises:
        UsageError: out of range, or an unknown kind.
    """

    rewind: int = 0
    each_round: float = EACH_ROUND
    kinds: tuple[str, ...] = KINDS
    beside: tuple[str | Path | Accelerator, ...] = BESIDE

    def __post_init__(self) -> None:
        if not isinstance(self.rewind, int) or self.rewind < 0:
            raise UsageError(f"a step from 0 is needed, got {self.rewind!r}", where="rewind")
        if not 0 < self.each_round < 1:
            raise UsageError(f"a share between 0 and 1 goes in a round, got {self.each_round!r}", where="each_round")
        if not self.kinds:
            raise UsageError("no kind of ticket is asked for", where="kinds", hint=f"There are {', '.join(KINDS)}.")
        for kind in self.kinds:
            if kind not in KINDS:
                raise UsageError(f"unknown kind of ticket {kind!r}", where="kinds", hint=nearest(kind, KINDS))

    def check(self, wanted: Budget | None, machine: Accelerator, *, distil: float, lose: float | None) -> None:
        """Refuses what can't be had.

        Raises:
            UsageError: no budget, one that zeros in weights can't meet, or a network that learns from one that knows nothing yet.
        """
        if wanted is None or lose is not None:
            raise UsageError("tickets go to a budget, not until accuracy falls", where="lose", hint="Name a budget: 20%.")
        if distil:
            raise UsageError(
                "tickets are trained from scratch: there is no trained network to learn from",
                where="distil",
                hint="Leave it out.",
            )
        if "weights" not in self.kinds or wanted.kind == "weights":
            return
        if wanted.kind != "energy" or not machine.minds_zeros:
            raise UsageError(
                f"zeros in weights change no {wanted.kind} on {machine.name}",
                where="budget",
                hint="Ask for tickets of channels alone (--kinds channels), or for a share of the weights (--of weights).",
            )

    def to_data(self) -> dict[str, Any]:
        """As it stands in a request."""
        names = [one.name if isinstance(one, Accelerator) else str(one) for one in self.beside]
        return {**asdict(replace(self, beside=())), "beside": names}


FROM_SCRATCH = replace(TUNING, epochs=12, peak_rate=2e-3, distil=0.0)
"""Of every training, unless another recipe is asked for."""


def prune_by_lottery(
    job: Job, budget: Budget, asked: Lottery, *, grid: int, keep: Sequence[str], seed: int
) -> Compression:
    """Tickets of each kind within the budget, with their controls and prices; one is handed over.

    Args:
        job: with the untrained network, which is trained in place.
        budget: of what the whole network takes once trained.
        asked: how tickets are looked for.
        grid: of channels.
        keep: layers that lose nothing.
        seed: of the controls.
    """
    untrained = {name: tensor.clone() for name, tensor in job.module.state_dict().items()}
    job.note("training the whole network")
    dense, weights, row = first(job.module, job.task, job.stages, asked.rewind)
    save_tensors(job.stages.folder / REWOUND, weights, {"step": asked.rewind})
    estimate, before = job.modelled_once("before", dense)
    limit = budget.of(before.at(budget.kind))
    kinds: dict[str, WeightTickets | ChannelTickets] = {}
    if "weights" in asked.kinds:
        kinds["weights"] = WeightTickets(dense, tuple(keep))
    if "channels" in asked.kinds:
        kinds["channels"] = ChannelTickets(dense, job.example, grid, tuple(keep))
    found: dict[str, Ticket] = {}
    for name, kind in kinds.items():
        found[name] = find(
            kind,
            dense,
            weights,
            untrained,
            task=job.task,
            stages=job.stages,
            least=limit / weight_count(dense) if budget.kind == "weights" else LEAST,
            each=asked.each_round,
            within=lambda module, name=name: _used(job, estimate, budget, name, module) <= limit,  # type: ignore[misc]
            rewind=asked.rewind,
            seed=seed,
            note=job.note,
        )
    handed = "weights" if "weights" in found and (job.machine.minds_zeros or "channels" not in found) else "channels"
    after = found[handed].module
    handed_over = job.hand_over(after)
    _, costs = job.modelled_once("after", after, known=estimate)
    modules = {"dense": dense, **{name: ticket.module for name, ticket in found.items()}}
    times = job.stages.figures("ticket-milliseconds", lambda: _milliseconds(job, modules))
    first_ms, own_ms = times[handed]
    before, costs = before.measured(first_ms), costs.measured(own_ms)
    used = costs.at(budget.kind)
    assert used is not None
    rows = [row, *(one for ticket in found.values() for one in ticket.rows)]
    return job.result(
        method="prune by lottery",
        budget=budget.text,
        kind=budget.kind,
        limit=limit,
        used=used,
        met=used <= limit,
        before=before,
        after=costs,
        accuracies=(row.accuracy, next(one.accuracy for one in reversed(rows) if (one.what, one.kind) == (TICKET, handed))),
        steps=_steps(kinds[handed], found[handed]),
        files={**handed_over.files, **_kept_files(job, kinds, found)},
        remarks=remarks_on(before, costs),
        accuracy_int8=handed_over.accuracy_int8,
        tickets={
            "rewind": asked.rewind,
            "handed_over": handed,
            "met": {name: ticket.met for name, ticket in found.items()},
            "rows": [asdict(one) for one in rows],
            "energies": _energies(job, modules, handed, asked.beside),
            "milliseconds": times,
        },
    )


def _used(job: Job, estimate: Estimate, budget: Budget, kind: str, module: torch.nn.Module) -> float:
    if budget.kind == "weights":
        return float(weight_count(module))
    if kind == "weights":
        return job.energies(module, estimate).total()
    value = job.modelled(module)[1].at(budget.kind)
    if value is None:
        raise UsageError(f"{job.machine.name} tells no {budget.kind}", where="budget")
    return value


def _kept_files(job: Job, kinds: Mapping[str, Kind], found: Mapping[str, Ticket]) -> dict[str, str]:
    """What each ticket keeps and its trained weights, as files, and the weights that it went back to."""
    files = {"rewound": REWOUND}
    for name, ticket in found.items():
        kept, trained = f"ticket-{name}.kept.safetensors", f"ticket-{name}.safetensors"
        kinds[name].save(ticket.kept, job.stages.folder / kept)
        save_tensors(job.stages.folder / trained, ticket.module.state_dict(), {"kind": name})
        files |= {f"{name}, kept": kept, f"{name}, trained": trained}
    return files


def _steps(kind: WeightTickets | ChannelTickets, ticket: Ticket) -> list[dict[str, Any]]:
    """What went, as ``reload`` reads it."""
    if isinstance(kind, WeightTickets):
        return [{"densities": {name: float(mask.float().mean()) for name, mask in ticket.kept.items()}}]
    return [
        {"root": root, "channels": len(ticket.kept[root]), "removed": gone}
        for root, gone in kind.removed(ticket.kept).items()
    ]


def _energies(
    job: Job, modules: Mapping[str, torch.nn.Module], handed: str, beside: Sequence[str | Path | Accelerator]
) -> list[dict[str, Any]]:
    """Of the whole network and each ticket: a row for each machine."""
    machines = {job.machine.name: job.machine}
    for other in beside:
        loaded = other if isinstance(other, Accelerator) else load_hardware(other)
        machines.setdefault(loaded.name, loaded)
    rows = []
    for name, machine in machines.items():
        there = replace(job, machine=machine)
        # The same search twice, cut off by time, would find two prices for one network.
        own = {"dense": "before", handed: "after"} if name == job.machine.name else {}
        costs = {
            what: there.modelled_once(own.get(what, f"price-{name}-{what}".replace("/", "-")), module)[1]
            for what, module in modules.items()
        }
        rows.append(
            {
                "machine": name,
                "minds_zeros": machine.minds_zeros,
                "unit": costs["dense"].unit,
                "energy": {what: cost.energy for what, cost in costs.items()},
            }
        )
    return rows


def _milliseconds(job: Job, modules: Mapping[str, torch.nn.Module]) -> dict[str, list[float]]:
    """Of each ticket: the whole network's and its own, measured in turn."""
    paths = {what: job.stages.folder / f"ticket-{what}.onnx" for what in modules}
    for what, module in modules.items():
        export_onnx(module, job.example, paths[what])
    shape = job.example.shape
    return {what: measured_ms(paths["dense"], shape, against=paths[what]) for what in modules if what != "dense"}
