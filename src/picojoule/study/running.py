"""A study, run: points are handed out in tasks, here or on a cluster, and kept as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from picojoule.errors import UsageError, nearest
from picojoule.jobs import parts
from picojoule.search.policy import Progress
from picojoule.study.axes import grid_point, random_grid_order, random_point
from picojoule.study.guided import Guide
from picojoule.study.points import Record, Task, solve
from picojoule.study.spec import Study
from picojoule.study.storage import Store

WAYS = ("grid", "random", "guided")
TASK = 32
"""Points of a task at most. Each is kept as soon as it is there; a process that is killed loses the one that it was at."""
ROUND = 20
"""Points that a guided search chooses before it looks at their results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a run went.

    Attributes:
        name: of the study.
        wanted: points that were asked for.
        done: of these, how many are kept, ``recalled`` from earlier runs.
        failed: points of this run that have no figures.
        cpu_s: of the points of this run.
        wall_s: of the run.
        interrupted: Ctrl-C ended it.
    """

    name: str
    wanted: int
    done: int
    recalled: int
    failed: int
    cpu_s: float
    wall_s: float
    interrupted: bool


def run_study(
    study: Study,
    *,
    storage: str,
    search: str = "grid",
    points: int | None = None,
    seed: int = 0,
    sampler: str = "tpe",
    jobs: int = 1,
    cluster: str | None = None,
    cache: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Ran:
    """Solves the points of a study; those that its storage holds are not done again.

    The results do not depend on where and in which order points are solved.

    Args:
        study: of ``read_study``.
        storage: a file, or the URL of a database as Optuna takes it.
        search: ``grid``, ``random`` or ``guided``.
        points: how many; of a grid the first so many. All of a grid if left out.
        seed: of what is drawn.
        sampler: of a guided search: ``tpe``, ``nsga2`` or ``gp``.
        jobs: processes.
        cluster: address of a Dask scheduler, whose workers do the work in place of processes here.
        cache: take what earlier runs found for equal layers from the cache on disk, and keep there what is found.
        progress: called after every point.

    Returns:
        How it went. After Ctrl-C all that is finished is kept.

    Raises:
        UsageError: a search that needs a number of points has none, or a grid an axis without steps.
        StudyError, SystemFailure, MissingExtraError: see ``Store`` and ``jobs.answers``.
    """
    if search not in WAYS:
        raise UsageError(f"unknown search {search!r}", where="search", hint=nearest(search, WAYS))
    size = study.size
    if points is not None and points < 1:
        raise UsageError(f"points must be at least 1, got {points}", where="points")
    if search == "grid" and size is None:
        names = ", ".join(axis.name for axis in study.axes if axis.values is None)
        raise UsageError(f"no grid: {names} has no steps", where="search", hint="Give it a step, or search at random or guided.")
    if search != "grid" and points is None:
        raise UsageError(f"a {search} search needs a number of points", where="points", hint="--points 200")
    wanted = points if size is None else min(points or size, size)
    assert wanted is not None
    run = _Run(study, Store(storage, study), wanted, cache, progress)
    try:
        if search == "guided":
            run.guided(Guide(study, sampler, seed), jobs, cluster)
        else:
            run.all(_numbered(study, search, wanted, seed), jobs, cluster)
    except KeyboardInterrupt:
        run.interrupted = True
    finally:
        run.store.close()
    return run.outcome()


def _numbered(study: Study, search: str, wanted: int, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Numbers and points of a grid or a random sample."""
    if study.size is None:
        for n in range(wanted):
            yield f"random-{seed}/{n}", random_point(study.axes, seed, n)
        return
    # A sample in the order of the grid shares the more work.
    numbers = range(wanted) if search == "grid" else sorted(random_grid_order(study.size, seed, wanted))
    for n in numbers:
        yield f"grid/{n}", grid_point(study.axes, n)


class _Run:
    """What a run has in hand."""

    def __init__(
        self, study: Study, store: Store, wanted: int, cache: bool, progress: Callable[[Progress], None] | None
    ) -> None:
        self.study, self.store, self.wanted, self.cache, self.progress = study, store, wanted, cache, progress
        self.began = time.perf_counter()
        self.first = self.began
        self.done = self.recalled = self.failed = 0
        self.cpu_s = 0.0
        self.interrupted = False

    def all(self, points: Iterator[tuple[str, dict[str, Any]]], jobs: int, cluster: str | None) -> None:
        """Solves all that are not kept yet."""
        known = self.store.keys()
        left = self._missing(points, known)
        tasks = ((task.points[0][0], task) for task in self._tasks(left))
        self._tell("")
        for _, record in parts(solve, tasks, jobs=jobs, cluster=cluster):
            self._keep(record)

    def guided(self, guide: Guide, jobs: int, cluster: str | None) -> None:
        """Round after round: the search chooses points, and learns what came of them."""
        kept = sorted((r for r in self.store.records() if r.key.startswith(f"{guide.name}/")), key=lambda r: int(r.key.rpartition("/")[2]))
        for record in kept[: self.wanted]:
            guide.learn(record)
        self.done = self.recalled = min(len(kept), self.wanted)
        self._tell("")
        while self.done < self.wanted and (asked := guide.ask(min(ROUND, self.wanted - self.done))):
            size = max(1, -(-len(asked) // max(jobs, 1))) if cluster is None else 1
            tasks = [Task(self.study, tuple(asked[n : n + size]), self.cache) for n in range(0, len(asked), size)]
            round_: list[Record] = []
            numbered = ((str(n), task) for n, task in enumerate(tasks))
            for _, record in parts(solve, numbered, jobs=min(jobs, len(tasks)), cluster=cluster):
                self._keep(record)
                round_.append(record)
            for record in sorted(round_, key=lambda one: int(one.key.rpartition("/")[2])):
                guide.learn(record)

    def _missing(self, points: Iterator[tuple[str, dict[str, Any]]], known: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        for key, point in points:
            if key in known:
                self.done += 1
                self.recalled += 1
            else:
                yield key, point

    def _tasks(self, points: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[Task]:
        """Points that share work, so many at most; a new task where the machines can't share any more."""
        apart = [axis.name for axis in self.study.axes if not axis.shared]
        held: list[tuple[str, dict[str, Any]]] = []
        for key, point in points:
            if held and (len(held) == TASK or any(held[-1][1][name] != point[name] for name in apart)):
                yield Task(self.study, tuple(held), self.cache)
                held = []
            held.append((key, point))
        if held:
            yield Task(self.study, tuple(held), self.cache)

    def _keep(self, record: Record) -> None:
        self.store.add(record, self.study)
        self.done += 1
        if self.done - self.recalled == 1:
            self.first = time.perf_counter()
        self.failed += bool(record.failed)
        self.cpu_s += record.cpu_s
        self._tell(record.key)

    def _tell(self, key: str) -> None:
        if self.progress is None:
            return
        seconds = _left(time.perf_counter() - self.first, self.done - self.recalled, self.wanted - self.done)
        left = "" if seconds is None else f"{_span(seconds)} left"
        said = " · ".join(part for part in (f"{self.recalled} recalled" if self.recalled else "", left) if part)
        self.progress(Progress(layer=key, index=self.done, layers=self.wanted, note=said))

    def outcome(self) -> Ran:
        return Ran(
            name=self.study.name, wanted=self.wanted, done=self.done, recalled=self.recalled, failed=self.failed,
            cpu_s=self.cpu_s, wall_s=time.perf_counter() - self.began, interrupted=self.interrupted,
        )  # fmt: skip


def _left(since_first_s: float, solved: int, missing: int) -> float | None:
    """Seconds that the missing points take at the pace since the first one, which compiling had delayed; None while too few tell.

    Points of one task share their work, the first one bearing most of it: where there are many, more than a task has to be solved.
    """
    if solved < min(TASK + 1, max(3, (solved + missing) // 10)):
        return None
    return since_first_s / (solved - 1) * missing


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


