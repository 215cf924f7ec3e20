"""Iterative pruning with rewinding: train, prune by magnitude, go back to the first weights, train again.

After Frankle and Carbin: The Lottery Ticket Hypothesis (ICLR 2019); rewinding to step k after Frankle, Dziugaite, Roy, Carbin:
Linear Mode Connectivity and the Lottery Ticket Hypothesis (ICML 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from picojoule.compress.stages import Stages
from picojoule.compress.task import Task
from picojoule.train.checkpoint import load_tensors
from picojoule.train.loop import STEP
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

DENSE, TICKET, REINITIALISED, RANDOM = "dense", "ticket", "reinitialised", "random mask"


class Kind(Protocol):
    """What a ticket keeps: ``masks.WeightTickets`` or ``narrow.ChannelTickets``."""

    name: str

    def whole(self) -> Any: ...
    def fewer(self, kept: Any, trained: torch.nn.Module, share: float) -> Any: ...
    def at_random(self, kept: Any, seed: int) -> Any: ...
    def share(self, kept: Any) -> float: ...
    def applied(self, kept: Any, weights: Mapping[str, Any]) -> tuple[torch.nn.Module, Any]: ...
    def save(self, kept: Any, path: Path) -> None: ...
    def load(self, path: Path) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One training: of the whole network, of a ticket, or of a control.

    Attributes:
        what: ``dense``, ``ticket``, ``reinitialised`` or ``random mask``.
        kind: ``weights`` or ``channels``; empty for the whole network.
        round: how often was pruned; 0 for the whole network.
        share: of the weights that live.
        accuracy: on the data that report.
        chosen: on the data that choose.
    """

    what: str
    kind: str
    round: int
    share: float
    accuracy: float
    chosen: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a search ends at.

    Attributes:
        kept: masks, or indices of channels.
        module: trained.
        rows: all trainings of the search in order, the controls last.
        met: whether the last round's network is within the limit.
    """

    kept: Any
    module: torch.nn.Module
    rows: list[Trained]
    met: bool


def first(
    module: torch.nn.Module, task: Task, stages: Stages, rewind: int
) -> tuple[torch.nn.Module, dict[str, Any], Trained]:
    """The whole network trained, the weights to rewind to, and its row.

    Args:
        module: untrained.
        task: trains and judges.
        stages: the folder of the job.
        rewind: the step to whose weights every ticket goes back; 0: to those that the network came with.
    """
    folder = stages.folder / "dense"
    start = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    def train() -> torch.nn.Module:
        task.train(module, folder, None, keep_step=rewind or None)
        return module.eval()

    trained = stages.weights("dense", module, train)
    # Of callables' own trainings, too, the step is written by the task.
    weights = load_tensors(folder / STEP)[0] if rewind else start
    return trained, weights, _row(stages, task, trained, "dense", (DENSE, "", 0, 1.0))


def find(
    kind: Kind,
    trained: torch.nn.Module,
    weights: Mapping[str, Any],
    untrained: Mapping[str, Any],
    *,
    task: Task,
    stages: Stages,
    least: float,
    each: float,
    within: Callable[[torch.nn.Module], bool],
    rewind: int,
    seed: int,
    note: Callable[[str], None],
) -> Ticket:
    """Prunes and rewinds until the network is within what is asked for, then trains the controls by the same recipe.

    Args:
        kind: what a ticket keeps.
        trained: the whole network, trained.
        weights: those that tickets go back to.
        untrained: those that the network came with: the controls are made of these.
        task: trains and judges.
        stages: the folder of the job; what was broken off goes on there.
        least: no round leaves a smaller share of all weights than this.
        each: the share of the weights left that goes in a round.
        within: whether a trained network is within the budget.
        rewind: the step that ``weights`` belong to.
        seed: of the controls.
        note: told what begins.
    """
    kept, module, rows, number = kind.whole(), trained, [], 0
    met, stuck = False, False
    while not met and not stuck:
        number += 1
        name = f"{kind.name}-{number}"
        before = kind.share(kept)
        target = max(least, (1 - each) * before)
        path = stages.folder / f"{name}.kept.safetensors"
        if not path.exists():
            kind.save(kind.fewer(kept, module, target), path)
        kept = kind.load(path)
        share = kind.share(kept)
        note(f"{kind.name}: round {number}, {share:.1%} of the weights")
        module = _trained(kind, kept, weights, task, stages, name, rewind)
        rows.append(_row(stages, task, module, name, (TICKET, kind.name, number, share)))
        met = within(module)
        # Less than this is not asked for, or nothing more can go.
        stuck = share <= least * (1 + 1e-9) or share >= before
    again = shuffled(untrained, seed)
    for what, choice, given, step in (
        (REINITIALISED, kept, again, 0),
        (RANDOM, kind.at_random(kept, seed), weights, rewind),
    ):
        note(f"{kind.name}: the control, {what}")
        name = f"{kind.name}-{what.replace(' ', '-')}"
        control = _trained(kind, choice, given, task, stages, name, step)
        rows.append(_row(stages, task, control, name, (what, kind.name, number, kind.share(choice))))
    return Ticket(kept, module, rows, met)


def shuffled(weights: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Weights drawn anew by the law that drew these: every tensor of floats in another order.

    Initial weights of a tensor are independent and of one law, whatever drew them; in another order they are as likely. Constant ones
    (biases of 0, scales of 1) stay as they are.
    """
    torch = import_torch()
    draw = torch.Generator().manual_seed(seed)
    return {
        name: tensor.flatten()[torch.randperm(tensor.numel(), generator=draw)].view(tensor.shape)
        if tensor.is_floating_point()
        else tensor.clone()
        for name, tensor in sorted(weights.items())
    }


def _trained(
    kind: Kind, kept: Any, weights: Mapping[str, Any], task: Task, stages: Stages, name: str, step: int
) -> torch.nn.Module:
    module, hold = kind.applied(kept, weights)

    def train() -> torch.nn.Module:
        task.train(module, stages.folder / name, hold, first_step=step)
        return module.eval()

    return stages.weights(name, module, train).eval()


def _row(
    stages: Stages, task: Task, module: torch.nn.Module, name: str, facts: tuple[str, str, int, float]
) -> Trained:
    what, kind, number, share = facts

    def measured() -> dict[str, Any]:
        return asdict(
            Trained(
                what=what,
                kind=kind,
                round=number,
                share=share,
                accuracy=task.report(module),
                chosen=task.choose(module),
            )
        )

    return Trained(**stages.figures(f"{name}.accuracy", measured))
