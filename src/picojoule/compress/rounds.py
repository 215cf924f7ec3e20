"""Zeros in weights, round after round: prune, solve what is left anew, tune, look at what came of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.atomic_file import replace_file
from picojoule.compress import weights
from picojoule.compress.countdown import Countdown
from picojoule.compress.job import Job
from picojoule.compress.layers import Masks
from picojoule.compress.stages import digest
from picojoule.errors import InputError
from picojoule.result import Estimate

if TYPE_CHECKING:
    import torch

CORRECTIONS = 3
"""Zeros of activations change when a network is tuned: if it then takes more than the budget, what was tuned is pruned a little further."""

DEEPER = 0.9
"""Energy of a round, of the round before, where accuracy says when to stop."""

MOST = 40
"""Rounds; after so many nothing would be left."""

WEIGHED_ON = 500
"""Inputs on which what weights matter is measured: of each layer, at every density. More take long and order layers alike."""


@dataclass(kw_only=True)
class Rounds:
    """The rounds of one job.

    Attributes:
        job: whose network it is.
        estimate: of the network as it came: its mappings hold in every round.
        criterion: one of ``weights.CRITERIA``.
        grown: what layers' weights matter, by layer and density.
        steps: what happened, round by round.
    """

    job: Job
    estimate: Estimate
    criterion: str
    grown: Mapping[str, Mapping[float, float]]
    steps: list[dict[str, Any]] = field(default_factory=list)

    def to_budget(self, limit: float) -> torch.nn.Module:
        """The network within the limit, or the smallest that there is."""
        target, module = limit, self.job.module
        for _ in range(CORRECTIONS):
            module, used, reached = self._round(target, module)
            if used <= limit or not reached:
                break
            # The next tuning brings less than this one, which began with other zeros: half as much is allowed for.
            target = limit * (1 - max(0.005, (used / target - 1) / 2))
        return module

    def while_accurate(self, points: float, limit: float | None) -> torch.nn.Module:
        """The network of the last round that loses at most so many percentage points on the choosing data.

        Each round prunes what the round before left. It ends at the limit, if there is one.
        """
        start = self.job.stages.figures("choosing", lambda: self.job.task.choose(self.job.module))
        best = self.job.module
        target, goal = self.job.energies(best, self.estimate).total(), limit or 0.0
        for turn in range(MOST):
            target = max(target * DEEPER, goal)
            module, used, reached = self._round(target, best)
            accuracy = self.job.stages.figures(f"choosing-{turn}", lambda m=module: self.job.task.choose(m))  # type: ignore[misc]
            accepted = loses_at_most(points, start, accuracy)
            self.steps[-1] |= {"accuracy_choosing": accuracy, "accepted": accepted}
            if not accepted:
                break
            best = module
            if not reached or (limit is not None and used <= limit):
                break
            if limit is not None and target <= goal:
                goal *= 0.995 * limit / used
            # What the tuning brought by zeros in activations is no reason to prune less in the next round.
            target = min(target, used)
        return best

    def _round(self, target: float, start: torch.nn.Module) -> tuple[torch.nn.Module, float, bool]:
        """``start`` pruned to the target, with its zeros of activations, and tuned; what it takes; whether zeros suffice."""
        job, turn = self.job, len(self.steps)
        energies = job.energies(start, self.estimate)
        densities = weights.densities_within(self.criterion, target, start, energies, self.grown)
        reached = densities is not None
        if densities is None:
            densities = {name: min(row) for name, row in self.grown.items()}
        module = job.stages.weights(
            f"start-{turn}",
            copy.deepcopy(start),
            lambda: weights.prune_to(start, densities, job.task.calibrate(), energies),
        )
        job.note(f"tuning what is left: round {turn + 1}")
        job.task.train(module, job.stages.folder / f"tuning-{turn}", Masks(module))
        module.eval()
        used = job.energies(module, self.estimate).total()
        self.steps.append({"densities": densities, "target": target, "used": used})
        return module, used, reached


def loses_at_most(points: float, before: float, after: float) -> bool:
    """Whether an accuracy falls by so many percentage points at most; differences of shares aren't exact."""
    return 100 * (before - after) <= points + 1e-9


def sensitivities(job: Job, keep: Sequence[str], path: Path | None) -> dict[str, dict[float, float]]:
    """What each layer's weights matter: measured once a job, or once a file if there is one.

    Raises:
        InputError: the file is of another network.
    """

    def measured() -> dict[str, Any]:
        told = Countdown(job.note, "measuring what each layer's weights matter")
        return weights.sensitivity(job.module, _first(job.task.calibrate(), WEIGHED_ON), done=told)

    def shared() -> Any:
        assert path is not None
        own = digest(job.module)
        if not path.exists():
            replace_file(path, json.dumps({"weights": own, "grown": measured()}, indent=1) + "\n")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["weights"] == own:
                return found["grown"]
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise InputError(f"no sensitivities can be read: {problem}", where=str(path)) from None
        raise InputError("these are sensitivities of another network", where=str(path), hint="Name another file.")

    kept = job.stages.figures("sensitivity", measured if path is None else shared)
    grown = {name: {float(density): damage for density, damage in row.items()} for name, row in kept.items()}
    return grown | {name: {1.0: 0.0} for name in keep}


def _first(batches: Sequence[Any], count: int) -> Sequence[Any]:
    """As many whole batches as hold that many inputs, the first at least."""
    held = 0
    for place, batch in enumerate(batches):
        held += len(batch)
        if held >= count:
            return batches[: place + 1]
    return batches
