"""NetAdapt (Yang et al., ECCV 2018): step by step a little less, the layer that loses least by it, until the budget is met.

Each step asks for a reduction of the cost. For every group of layers that must change together it takes the most filters
that meet it, by a table of layers' costs; those of largest norm stay. Each such network is tuned for a few steps, and the most
accurate one is gone on with.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.compress.brief import Brief, Proposal, tuned
from picojoule.compress.channels import Group, without
from picojoule.compress.frozen_table import FrozenTable
from picojoule.compress.layers import weighted
from picojoule.compress.stages import Stages
from picojoule.compress.widths import Widths
from picojoule.errors import SystemFailure, UsageError
from picojoule.jobs import run_all
from picojoule.train.checkpoint import load_tensors
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

LEAST_STEP = 0.005
"""Of the start: however far the reduction has decayed, less is not asked for, so that every budget is come to at last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How much each step asks for.

    Attributes:
        step: share of the start's cost that the first one takes off.
        decay: what each later one asks for of that before it.
        iterations: steps in which the budget is to be met: ``step`` is then what that takes.
    """

    step: float = 0.025
    decay: float = 0.96
    iterations: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.step < 1 or not 0 < self.decay <= 1:
            raise UsageError(f"a step of {self.step!r} that decays by {self.decay!r}", where="step")
        if self.iterations is not None and self.iterations < 1:
            raise UsageError(f"at least 1 iteration, got {self.iterations!r}", where="iterations")

    def reduction(self, index: int, start: float, limit: float) -> float:
        """What step ``index`` takes off a cost that began at ``start``."""
        if self.iterations is None:
            return max(self.step * self.decay**index, LEAST_STEP) * start
        shares = sum(self.decay**i for i in range(self.iterations))
        return max((start - limit) * self.decay**index / shares, LEAST_STEP * start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a run of NetAdapt is given.

    Attributes:
        widths: of the network as it came.
        table: costs of layers.
        start: cost of the network as it came, by meter.
        limits: what it may cost in the end, by meter.
        whole: what a network takes as a whole, by meter; None where that isn't measured.
        schedule: reductions.
        grid: channels come in multiples of it.
        brief: the tuning of step ``i``.
        jobs: processes that tune proposals.
        cluster: address of a Dask scheduler, whose workers tune them in place of processes here.
    """

    widths: Widths
    table: FrozenTable
    start: Sequence[float]
    limits: Sequence[float]
    whole: Callable[[torch.nn.Module], list[float | None]]
    schedule: Schedule
    grid: int
    brief: Callable[[int], Brief]
    jobs: int
    cluster: str | None = None


def least(widths: Widths, table: FrozenTable, grid: int) -> list[tuple[float, dict[str, int]]]:
    """The least that the table foretells, by meter, over networks with the same share of all channels; and their channels.

    Args:
        widths: of the network.
        table: costs of layers.
        grid: channels come in multiples of it.
    """
    start = widths.start
    every = [
        {root: floor_to(int(count * eighths / 8), count, grid) for root, count in start.items()} for eighths in range(8)
    ]
    found = table.costs([widths.at(channels) for channels in every])
    return [
        min(((costs[i], channels) for costs, channels in zip(found, every, strict=True)), key=lambda pair: pair[0])
        for i in range(len(table.meters))
    ]


def floor_to(channels: int, most: int, grid: int) -> int:
    """Channels on the grid, at least one unit of it, at most ``most``."""
    return min(most, max(grid, channels // grid * grid))


class Run:
    """The steps of one adaptation, each kept in the folder.

    Args:
        module: the network as it came.
        example: an input of batch 1.
        asked: the rest.
        stages: the folder.
        note: called with a line at every step.
    """

    def __init__(
        self, module: torch.nn.Module, example: Any, asked: Asked, stages: Stages, note: Callable[[str], None]
    ) -> None:
        self.module, self.example, self._asked, self._stages, self._note = module, example, asked, stages, note
        self.channels = dict(asked.widths.start)
        self.costs = list(asked.start)
        self.steps: list[dict[str, Any]] = []
        self._began = time.monotonic()
        self._done_here = 0

    def go_to(self, limits: Sequence[float]) -> bool:
        """Steps until every cost is within its limit; False if nothing more can go.

        Args:
            limits: those that were asked for, or looser ones on the way to them.
        """
        while any(cost > limit for cost, limit in zip(self.costs, limits, strict=True)):
            index = len(self.steps)
            name = f"step-{index:03}"
            fresh = not (self._stages.folder / f"{name}.json").exists()
            step = self._stages.figures(name, lambda i=index, n=name: self._step(i, n, limits))
            if step["root"] is None:
                return False
            self._take(step, name)
            self._done_here += fresh
            self._note(self._said(step))
        return True

    def _take(self, step: dict[str, Any], name: str) -> None:
        if len(step["removed"]):
            self.module = without(self.module, self.example, {step["root"]: step["removed"]})
        tensors, _ = load_tensors(self._stages.folder / f"{name}.safetensors")
        self.module.load_state_dict(tensors)
        self.channels[step["root"]] = step["channels"]
        self.costs = list(step["costs"])
        self._asked.table.scales = list(step["scales"])
        self.steps.append(step)
        shutil.rmtree(self._stages.folder / name, ignore_errors=True)

    def _step(self, index: int, name: str, limits: Sequence[float]) -> dict[str, Any]:
        """Proposals, tuned and compared; what has been tuned before the run was broken off is not tuned again."""
        began = time.monotonic()
        asked = self._asked
        targets = [
            max(limit, cost - asked.schedule.reduction(index, start, last))
            for limit, last, cost, start in zip(limits, asked.limits, self.costs, asked.start, strict=True)
        ]
        chosen = self._proposals(targets)
        if not chosen:
            return {"root": None, "removed": [], "channels": 0, "costs": self.costs, "proposals": [], "scales": asked.table.scales}
        folder = (self._stages.folder / name).absolute()  # a worker of a cluster begins elsewhere
        folder.mkdir(exist_ok=True)
        brief = asked.brief(index)
        tasks, removed = {}, {}
        for root, (channels, _) in chosen.items():
            removed[root] = smallest(self.module, self._group(root), self.channels[root] - channels)
            path = folder / f"{root}.safetensors"
            if not path.exists():
                module = without(self.module, self.example, {root: removed[root]})
                tasks[root] = Proposal(module=module, brief=brief, path=path)
        run_all(tuned, tasks, jobs=asked.jobs, cluster=asked.cluster)
        _check_written(tasks)
        proposals = [
            {
                "root": root,
                "channels": channels,
                "costs": costs,
                "accuracy": load_tensors(folder / f"{root}.safetensors")[1]["accuracy"],
            }
            for root, (channels, costs) in chosen.items()
        ]
        best = max(proposals, key=lambda p: p["accuracy"])
        root = best["root"]
        after = without(self.module, self.example, {root: removed[root]})
        kept = self._stages.folder / f"{name}.safetensors"
        shutil.copy(folder / f"{root}.safetensors", kept)
        after.load_state_dict(load_tensors(kept)[0])
        costs = asked.table.calibrate(asked.widths.at({**self.channels, root: best["channels"]}), asked.whole(after))
        return {
            **best,
            "foretold": best["costs"],
            "costs": costs,
            "scales": asked.table.scales,
            "removed": removed[root],
            "targets": targets,
            "layers": list(self._group(root).layers),
            "before": self.channels[root],
            "proposals": proposals,
            "wall_s": time.monotonic() - began,
        }

    def _group(self, root: str) -> Group:
        return next(group for group in self._asked.widths.groups if group.root == root)

    def _proposals(self, targets: Sequence[float]) -> dict[str, tuple[int, list[float]]]:
        """The most channels of each group that meet all targets, with what the network then costs.

        Found by halving: where fewer channels cost more, it may be fewer than the most. Where no group alone can meet the
        targets, the widths that come closest stand in.
        """
        grid = self._asked.grid
        sizes = {
            root: [size for size in range(grid, count, grid) if size < count] for root, count in self.channels.items()
        }
        sizes = {root: options for root, options in sizes.items() if options}
        least = self._at({root: options[0] for root, options in sizes.items()})
        meeting = {root for root, costs in least.items() if within(costs, targets)}
        if not meeting:
            closer = {
                root: (sizes[root][0], costs)
                for root, costs in least.items()
                if all(new <= max(old, t) for new, old, t in zip(costs, self.costs, targets, strict=True))
                and any(new < old for new, old in zip(costs, self.costs, strict=True))
            }
            return closer
        low = {root: 0 for root in meeting}
        high = {root: len(sizes[root]) for root in meeting}
        found = {root: (sizes[root][0], least[root]) for root in meeting}
        while open_ := [root for root in meeting if high[root] - low[root] > 1]:
            middle = {root: (low[root] + high[root]) // 2 for root in open_}
            for root, costs in self._at({root: sizes[root][i] for root, i in middle.items()}).items():
                if within(costs, targets):
                    low[root] = middle[root]
                    found[root] = (sizes[root][middle[root]], costs)
                else:
                    high[root] = middle[root]
        return {root: found[root] for root in sizes if root in found}

    def _at(self, sizes: Mapping[str, int]) -> dict[str, list[float]]:
        """Costs of the network with one group at another width, for each of these groups."""
        networks = [self._asked.widths.at({**self.channels, root: size}) for root, size in sizes.items()]
        return dict(zip(sizes, self._asked.table.costs(networks), strict=True))

    def _said(self, step: dict[str, Any]) -> str:
        limits = self._asked.limits
        over = [
            f"{cost / limit - 1:.1%} above the budget" if cost > limit else "within the budget"
            for cost, limit in zip(self.costs, limits, strict=True)
        ]
        said = f"step {len(self.steps)}: {step['root']} {step['before']} → {step['channels']} · {', '.join(over)} · {step['accuracy']:.2%} right"
        left = self._left()
        if left and self._done_here:
            each = (time.monotonic() - self._began) / self._done_here
            said += f" · about {max(1, round(left * each / 60))} min for {left} more"
        return said

    def _left(self) -> int:
        """Steps that the schedule still needs, at most."""
        most = 0
        for cost, limit, start in zip(self.costs, self._asked.limits, self._asked.start, strict=True):
            index = len(self.steps)
            while cost > limit:
                cost -= self._asked.schedule.reduction(index, start, limit)
                index += 1
            most = max(most, index - len(self.steps))
        return most


def smallest(module: torch.nn.Module, group: Group, count: int) -> list[int]:
    """The channels of a group whose filters have the smallest norms, over all layers that make them."""
    torch = import_torch()
    layers = weighted(module)
    channels = layers[group.root].weight.shape[0]
    total = torch.zeros(channels, dtype=torch.float64)
    for name in dict.fromkeys((group.root, *group.layers)):
        layer = layers[name]
        # A depthwise filter follows the channel that it reads; that of a concatenation stands among others.
        if len(layer.weight) == channels and (name == group.root or getattr(layer, "groups", 1) == 1):
            total += layer.weight.detach().double().flatten(1).square().sum(1)
    return sorted(total.argsort(stable=True)[:count].tolist())


def _check_written(tasks: Mapping[str, Proposal]) -> None:
    """Raises SystemFailure unless the files of all proposals are seen here, too."""
    for proposal in tasks.values():
        if not proposal.path.exists():
            raise SystemFailure(
                "a worker wrote this file, and it isn't seen here",
                where=str(proposal.path),
                hint="Give an output folder that all machines of the cluster share, under the same path.",
            )


def within(costs: Sequence[float], targets: Sequence[float]) -> bool:
    """Whether no cost is above its target."""
    return all(cost <= target for cost, target in zip(costs, targets, strict=True))

