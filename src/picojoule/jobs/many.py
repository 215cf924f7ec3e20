"""One function over many tasks: here, over processes or on a cluster, each answer kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from picojoule.jobs.handed_out import Whole
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

    Args:
        work: a function of a module.
        tasks: with their keys.
        jobs, cluster: as for ``parts``.

    Raises:
        MissingExtraError, UsageError, SystemFailure: as ``parts``.
    """
    keyed = ((key, (key, task)) for key, task in tasks)
    return _handed_out(Whole(work), keyed, jobs, cluster, early=False)


def parts(
    work: Callable[[Task], Iterable[tuple[str, Any]]],
    tasks: Iterable[tuple[str, Task]],
    *,
    jobs: int = 1,
    cluster: str | None = None,
) -> Iterator[tuple[str, Any]]:
    """The answers of a ``work`` that gives several to a task, each with its key, as soon as it is there.

    No more tasks are taken than are being worked on, so that there may be any number.

    Args:
        work: a function of a module; what it answers to a task are keys and answers, one after the other.
        tasks: with their keys.
        jobs: processes; more than one need joblib.
        cluster: address of a Dask scheduler; its workers do the work in place of processes here.

    Raises:
        MissingExtraError: joblib or distributed is not installed.
        UsageError: no scheduler answers, or its workers run another picojoule.
        SystemFailure: a process was killed; a task killed several workers of a cluster, or none of them is left.
    """
    return _handed_out(work, tasks, jobs, cluster, early=True)


def _handed_out(
    work: Callable[[Any], Iterable[tuple[str, Any]]],
    tasks: Iterable[tuple[str, Any]],
    jobs: int,
    cluster: str | None,
    early: bool,
) -> Iterator[tuple[str, Any]]:
    if cluster is not None:
        from picojoule.jobs.cluster import on_cluster

        yield from on_cluster(work, tasks, cluster, early)
    elif jobs > 1:
        from picojoule.jobs.processes import on_processes

        yield from on_processes(work, tasks, jobs, early)
    else:
        for _, task in tasks:
            yield from work(task)
