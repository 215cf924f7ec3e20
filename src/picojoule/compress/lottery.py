"""``prune`` by lottery: tickets of weights and of channels within a budget, and what each saves on machines that skip zeros or don't."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from picojoule.compress.budgets import Budget
from picojoule.compress.costs import Costs, modelled, modelled_once, network_of
from picojoule.compress.energies import LayerEnergies
from picojoule.compress.handover import export_onnx, measured_ms
from picojoule.compress.stages import Stages
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING, Task
from picojoule.compress.tickets.masks import WeightTickets
from picojoule.compress.tickets.narrow import ChannelTickets
from picojoule.compress.tickets.search import Ticket, Trained, find, first
from picojoule.errors import UsageError, nearest
from picojoule.frontends import load_zeros
from picojoule.hardware import Accelerator, load_hardware
from picojoule.result import Estimate
from picojoule.train.checkpoint import save_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

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


SCRATCH_EPOCHS, SCRATCH_RATE = 12, 2e-3
FROM_SCRATCH = type(TUNING)(epochs=SCRATCH_EPOCHS, peak_rate=SCRATCH_RATE, l2=TUNING.l2, augment=True)
"""Of every training, unless another recipe is asked for."""


def check(wanted: Budget, machine: Accelerator, asked: Lottery, distil: float) -> None:
    """Refuses what can't be had.

    Raises:
        UsageError: a budget that zeros in weights can't meet, or a network that learns from one that knows nothing yet.
    """
    if distil:
        raise UsageError(
            "tickets are trained from scratch: there is no trained network to learn from", where="distil", hint="Leave it out."
        )
    if "weights" not in asked.kinds or wanted.kind == "weights":
        return
    if wanted.kind != "energy" or not machine.minds_zeros:
        raise UsageError(
            f"zeros in weights change no {wanted.kind} on {machine.name}",
            where="budget",
            hint="Ask for tickets of channels alone, or for a budget of weights: 20% of weights.",
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The ticket that is handed over, and all that is told of both.

    Attributes:
        module: trained.
        steps: what went, as ``reload`` reads it.
        told: for the result: rows of all trainings, energies, milliseconds, files.
    """

    module: torch.nn.Module
    steps: list[dict[str, Any]]
    told: dict[str, Any]


def grown(subject: Subject, task: Task, stages: Stages, asked: Lottery) -> tuple[torch.nn.Module, dict[str, Any], Trained]:
    """The whole network trained, the weights that tickets go back to (also as a file), and what it came to."""
    trained, weights, row = first(subject.module, task, stages, asked.rewind)
    path = stages.folder / "rewound.safetensors"
    if not path.exists():
        save_tensors(path, weights, {"step": asked.rewind})
    return trained, weights, row


def tickets_within(
    subject: Subject,
    untrained: Mapping[str, Any],
    weights: Mapping[str, Any],
    dense: Trained,
    *,
    machine: Accelerator,
    estimate: Estimate,
    wanted: Budget,
    limit: float,
    task: Task,
    stages: Stages,
    bits: Any,
    samples: Path,
    grid: int,
    keep: Sequence[str],
    asked: Lottery,
    seed: int,
    note: Callable[[str], None],
) -> Found:
    """Tickets of each kind within the budget, with their controls and prices.

    Args:
        subject: the network trained.
        untrained: weights that it came with.
        weights: those that tickets go back to.
        dense: what the whole network came to.
        machine: whose energy the budget means.
        estimate: of the whole network on it.
        wanted, limit: the budget, and in units.
        task, stages, bits, samples, grid, keep, seed, note: as ``prune`` has them.
        asked: how tickets are looked for.
    """
    kinds: dict[str, WeightTickets | ChannelTickets] = {}
    if "weights" in asked.kinds:
        kinds["weights"] = WeightTickets(subject.module, tuple(keep))
    if "channels" in asked.kinds:
        kinds["channels"] = ChannelTickets(subject.module, subject.example, grid, tuple(keep))
    least = limit / weight_count(subject.module) if wanted.kind == "weights" else LEAST
    network = network_of(subject.module, subject.example)

    def used(kind: str, module: torch.nn.Module) -> float:
        if wanted.kind == "weights":
            return float(weight_count(module))
        if kind == "weights":
            found = load_zeros(module, subject.example, network=network, sparsity="measured", data=samples).zeros
            return LayerEnergies(network, machine, estimate, found).total()
        value = modelled(module, subject.example, machine, bits=bits, data=samples)[1].at(wanted.kind)
        if value is None:
            raise UsageError(f"{machine.name} tells no {wanted.kind}", where="budget")
        return value

    found: dict[str, Ticket] = {}
    for name, kind in kinds.items():
        found[name] = find(
            kind,
            subject.module,
            weights,
            untrained,
            task=task,
            stages=stages,
            least=least,
            each=asked.each_round,
            within=lambda module, name=name: used(name, module) <= limit,  # type: ignore[misc]
            rewind=asked.rewind,
            seed=seed,
            note=note,
        )
    handed = "weights" if "weights" in found and (machine.minds_zeros or "channels" not in found) else "channels"
    modules = {"dense": subject.module, **{name: ticket.module for name, ticket in found.items()}}
    files = {}
    for name, ticket in found.items():
        path = stages.folder / f"ticket-{name}.kept.safetensors"
        kinds[name].save(ticket.kept, path)
        save_tensors(stages.folder / f"ticket-{name}.safetensors", ticket.module.state_dict(), {"kind": name})
        files |= {f"{name}, kept": path.name, f"{name}, trained": f"ticket-{name}.safetensors"}
    told = {
        "rewind": asked.rewind,
        "handed_over": handed,
        "rows": [asdict(dense), *(asdict(row) for ticket in found.values() for row in ticket.rows)],
        "met": {name: ticket.met for name, ticket in found.items()},
        "energies": _energies(modules, subject, machine, asked, stages, bits, samples),
        "milliseconds": stages.figures("ticket-milliseconds", lambda: _milliseconds(modules, subject, stages)),
        "files": {**files, "rewound": "rewound.safetensors"},
    }
    return Found(found[handed].module, _steps(kinds[handed], found[handed]), told)


def weight_count(module: torch.nn.Module) -> int:
    """Weights of convolutions and fully connected layers that are not zero."""
    from picojoule.compress.layers import weighted

    return sum(int((layer.weight != 0).sum()) for layer in weighted(module).values())


def _steps(kind: WeightTickets | ChannelTickets, ticket: Ticket) -> list[dict[str, Any]]:
    if isinstance(kind, WeightTickets):
        return [{"densities": {name: float(mask.float().mean()) for name, mask in ticket.kept.items()}}]
    return [
        {"root": root, "channels": len(ticket.kept[root]), "removed": gone}
        for root, gone in kind.removed(ticket.kept).items()
    ]


def _energies(
    modules: Mapping[str, torch.nn.Module],
    subject: Subject,
    machine: Accelerator,
    asked: Lottery,
    stages: Stages,
    bits: Any,
    samples: Path,
) -> list[dict[str, Any]]:
    """Of the dense network and each ticket on every machine: a row for each machine."""
    machines = {machine.name: machine}
    for other in asked.beside:
        loaded = other if isinstance(other, Accelerator) else load_hardware(other)
        machines.setdefault(loaded.name, loaded)
    rows = []
    for name, one in machines.items():
        costs: dict[str, Costs] = {}
        for what, module in modules.items():
            made = lambda m=module, a=one: modelled(m, subject.example, a, bits=bits, data=samples)  # type: ignore[misc]  # noqa: E731
            costs[what] = modelled_once(stages, f"price-{name}-{what}".replace("/", "-"), made)[1]
        rows.append(
            {
                "machine": name,
                "minds_zeros": one.minds_zeros,
                "unit": costs["dense"].unit,
                "energy": {what: cost.energy for what, cost in costs.items()},
            }
        )
    return rows


def _milliseconds(modules: Mapping[str, torch.nn.Module], subject: Subject, stages: Stages) -> dict[str, list[float]]:
    """Of each ticket: the whole network's and its own, measured in turn."""
    paths = {what: stages.folder / f"ticket-{what}.onnx" for what in modules}
    for what, module in modules.items():
        export_onnx(module, subject.example, paths[what])
    return {
        what: measured_ms(paths["dense"], subject.example.shape, against=paths[what]) for what in modules if what != "dense"
    }
