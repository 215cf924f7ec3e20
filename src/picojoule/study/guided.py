"""Points chosen by what earlier ones came to: Optuna's samplers, asked for a round at a time.

Optuna's own trials are kept in memory and made anew from the storage of the study, so that a search that was broken off goes
on, and the database sees each point once.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

from picojoule.errors import UsageError, nearest
from picojoule.study.points import Record
from picojoule.study.spec import Study
from picojoule.study.storage import distribution, optuna, trial_of

SAMPLERS = ("tpe", "nsga2", "gp")
_TRIES = 50
"""How often a sampler may name points that are known before the search gives up looking for new ones with it."""


class Guide:
    """Asks for points and learns.

    Args:
        study: whose points these are.
        sampler: one of ``SAMPLERS``.
        seed: of what is drawn.

    Raises:
        UsageError: an unknown sampler.
        MissingExtraError: what it needs is not installed.
    """

    def __init__(self, study: Study, sampler: str, seed: int) -> None:
        if sampler not in SAMPLERS:
            raise UsageError(f"unknown sampler {sampler!r}", where="sampler", hint=nearest(sampler, SAMPLERS))
        self.study, self.seed, self.sampler = study, seed, sampler
        self.name = f"{sampler}-{seed}"
        library = optuna()
        self._state = library.trial.TrialState
        self._spaces = {axis.name: distribution(axis) for axis in study.axes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of samplers that are experimental
            self._optuna = library.create_study(directions=list(study.directions), sampler=_sampler(library, sampler, study, seed))
        self._seen: dict[str, Record | None] = {}
        self._pending: dict[str, Any] = {}
        self._next = 0  # behind the numbers that are kept: a process that was killed may have left some out

    def learn(self, record: Record) -> None:
        """Takes a result; the trial that asked for it, if it was asked in this run."""
        self._seen[_mark(record.point)] = record
        self._next = max(self._next, int(record.key.rpartition("/")[2]) + 1)
        trial = self._pending.pop(record.key, None)
        values = record.values(self.study)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if trial is None:
                self._optuna.add_trial(trial_of(record, self.study))
                return
            if record.figures is not None:
                trial.set_user_attr("excess", [one.excess(record.figures) for one in self.study.constraints])
            self._optuna.tell(trial, values, state=None if values is not None else self._state.FAIL)

    def ask(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """So many new points, fewer if the sampler finds no more; what it names again is answered from what is known."""
        asked: list[tuple[str, dict[str, Any]]] = []
        misses = 0
        while len(asked) < count:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trial = self._optuna.ask(self._spaces)
            point = {axis.name: trial.params[axis.name] for axis in self.study.axes}
            mark = _mark(point)
            if mark in self._seen:
                misses += 1
                known = self._seen[mark]
                if known is None or known.values(self.study) is None:
                    self._optuna.tell(trial, state=self._state.FAIL)
                else:
                    trial.set_user_attr("excess", [one.excess(known.figures or {}) for one in self.study.constraints])
                    self._optuna.tell(trial, known.values(self.study))
                if misses < _TRIES * count:
                    continue
                break
            key = f"{self.name}/{self._next}"
            self._next += 1
            self._seen[mark], self._pending[key] = None, trial
            asked.append((key, point))
        return asked


def _mark(point: dict[str, Any]) -> str:
    return json.dumps(point, sort_keys=True)


def _sampler(library: Any, name: str, study: Study, seed: int) -> Any:
    constraints = (lambda trial: trial.user_attrs.get("excess", [1.0])) if study.constraints else None
    kinds = library.samplers
    if name == "nsga2":
        return kinds.NSGAIISampler(population_size=20, seed=seed, constraints_func=constraints)
    if name == "tpe":
        return kinds.TPESampler(seed=seed, multivariate=True, group=False, constant_liar=True, n_startup_trials=20, constraints_func=constraints)
    return kinds.GPSampler(seed=seed, n_startup_trials=20, deterministic_objective=True, constraints_func=constraints)
