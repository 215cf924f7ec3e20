"""One function over many tasks: here, over processes or on a cluster, each answer kept as soon as it is there."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from picojoule.errors import MissingExtraError, SystemFailure
from picojoule.jobs.journal import Journal

Task = TypeVar("Task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a run is: ``done`` of ``total`` tasks have an answer, ``recalled`` of them from the journal."""

    key: str
    done: int
    total: int
    recalled: int = 0


def run_all(
    work: Callable[[Task], Any],
    tasks: Mapping[str, Task],
    *,
    jobs: int = 1,
    cluster: str | None = None,
    journal: Journal | None = None,
    progress: Callable[[Step], None] | None = None,
) -> dict[str, Any]:
    """The answer of ``work`` to every task, by the tasks' keys and in their order.

    Whatever ends the run, every answer that was there is in the journal; a run with the same journal does the rest.

    Args:
        work: a function of a module, called in this process (one job) or in others; its answers are plain data, as
            JSON can hold it, if there is a journal.
        tasks: by a key that says all that decides the answer.
        jobs, cluster: as for ``answers``.
        journal: holds the answers of earlier runs, and takes those of this one.
        progress: called first with what the journal held, and then after each answer.

    Raises:
        MissingExtraError, UsageError, SystemFailure: as ``answers``.
    """
    known = {} if journal is None else {key: journal.answers[key] for key in tasks if key in journal.answers}
    missing = {key: task for key, task in tasks.items() if key not in known}
    recalled = len(known)
    if progress is not None:
        progress(Step(key="", done=recalled, total=len(tasks), recalled=recalled))
    for key, answer in answers(work, missing.items(), jobs=min(jobs, max(1, len(missing))), cluster=cluster):
        known[key] = answer
        if journal is not None:
            journal.add(key, answer)
        if progress is not None:
            progress(Step(key=key, done=len(known), total=len(tasks), recalled=recalled))
    return {key: known[key] for key in tasks}


def answers(
    work: Callable[[Task], Any], tasks: Iterable[tuple[str, Task]], *, jobs: int = 1, cluster: str | None = None
) -> Iterator[tuple[str, Any]]:
    """The answer of ``work`` to every task with its key, in the order in which they come.

    No more tasks are taken than are being worked on, so that there may be any number.

    Args:
        work: a function of a module.
        tasks: with their keys.
        jobs: processes; more than one need joblib.
        cluster: address of a Dask scheduler; its workers do the work in place of processes here.

    Raises:
        MissingExtraError: joblib or distributed is not installed.
        UsageError: no scheduler answers, or its workers run another picojoule.
        SystemFailure: a process was killed; a task killed several workers of a cluster.
    """
    if cluster is not None:
        from picojoule.jobs.cluster import on_cluster

        yield from on_cluster(work, tasks, cluster)
    elif jobs > 1:
        yield from _side_by_side(work, tasks, jobs)
    else:
        for key, task in tasks:
            yield key, work(task)


def _side_by_side(
    work: Callable[[Task], Any], tasks: Iterable[tuple[str, Task]], jobs: int
) -> Iterator[tuple[str, Any]]:
    try:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError
    except ImportError as missing:
        message = "more than one process needs joblib, which is not installed"
        raise MissingExtraError(message, hint="pip install 'picojoule[study]', or use one process.") from missing
    # One task at a time: of a batch, all answers would be lost with the last of them.
    pool = Parallel(n_jobs=jobs, batch_size=1, pre_dispatch=jobs, return_as="generator_unordered")
    outcomes = pool(delayed(_Tied(work, os.getpid()))(key, task) for key, task in tasks)
    try:
        for key, answer, failure in outcomes:
            if failure is not None:
                raise failure
            yield key, answer
    except TerminatedWorkerError as killed:
        message = "a process was killed; what was done until then is kept"
        raise SystemFailure(message, hint="Where memory is short, use fewer jobs.") from killed
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that what was begun is given up: it is meant
            outcomes.close()


@dataclass(frozen=True, slots=True)
class _Tied(Generic[Task]):
    """A call that ends with the process that asked for it: nobody would hear of the answer.

    What goes wrong comes back as an outcome: raised over there, joblib would drop the answers that are on their way.
    """

    work: Callable[[Task], Any]
    owner: int

    def __call__(self, key: str, task: Task) -> tuple[str, Any, BaseException | None]:
        _watch(self.owner)
        try:
            return key, self.work(task), None
        except (Exception, KeyboardInterrupt) as failure:
            return key, None, failure


_watched: set[int] = set()


def _watch(owner: int) -> None:
    """Has this process end soon after ``owner``, its parent, does."""
    if owner in _watched or os.getppid() != owner:
        return
    _watched.add(owner)

    def wait() -> None:
        while os.getppid() == owner:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="picojoule-owner").start()
