"""The energy of a layer on a machine with the best mapping: one task of many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from picojoule.hardware.accelerator import Accelerator
from picojoule.jobs import Journal, Step, run_all
from picojoule.search.cache import key_of
from picojoule.search.policy import Exact, Progress
from picojoule.study.validation.recount import timeloop_form
from picojoule.study.validation.sweeps import Convolution
from picojoule.workload.nest import Bits, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What the search of a layer came to, in the unit of the machine's table: best energy, bound, share of the MACs.

    ``recounted`` is what Timeloop would print for a mapping near to the best (``recount``), or None if nobody asked.
    """

    energy: float
    bound: float
    macs: float
    status: str
    recounted: float | None = None

    @property
    def data(self) -> float:
        """Of everything but the MACs."""
        return self.energy - self.macs


@dataclass(frozen=True, slots=True)
class _Task:
    nest: Nest
    machine: Accelerator
    policy: Exact
    recount: bool


Where = tuple[Convolution, Bits]
"""A layer, and the widths of the machine that it was searched on."""


def search_points(
    wanted: Iterable[tuple[Convolution, Accelerator]],
    policy: Exact,
    *,
    recount: Collection[Where] = (),
    jobs: int = 1,
    cluster: str | None = None,
    journal: Journal | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> dict[Where, Point]:
    """The least energy of every layer on its machine, with the machine's own widths.

    Args:
        wanted: may repeat; each is searched once. Machines differ in their widths if they differ at all.
        policy: of every search.
        recount: which of them to put into Timeloop's terms as well.
        jobs, cluster, journal: as for ``jobs.run_all``.
        progress: called as the layers are done.
    """
    machines = {(layer, machine.bits): machine for layer, machine in wanted}
    tasks_at = {
        where: _Task(where[0].nest, machine, policy, where in recount) for where, machine in machines.items()
    }
    keys = {where: _key(task) for where, task in tasks_at.items()}
    tasks = {keys[where]: task for where, task in tasks_at.items()}
    names = {key: _name(layer) for (layer, _), key in keys.items()}

    def tell(step: Step) -> None:
        if progress is not None:
            note = f"{step.recalled} recalled" if step.recalled else ""
            progress(Progress(layer=names.get(step.key, ""), index=step.done, layers=step.total, note=note))

    if tasks:
        _compile(len(tasks), progress)
    answers = run_all(_search, tasks, jobs=jobs, cluster=cluster, journal=journal, progress=tell)
    return {where: Point(**answers[key]) for where, key in keys.items()}


def _search(task: _Task) -> dict[str, float | str]:
    from picojoule.search.layer import search_layer

    nest, machine, policy = task.nest, task.machine, task.policy
    found = search_layer(nest, machine, machine.bits, "energy", policy)
    if found.status == "INTERRUPTED":
        # A search keeps the best it has; here a point is done or it is not.
        raise KeyboardInterrupt
    macs = nest.macs * machine.mac.at(machine.bits)
    answer = {"energy": float(found.value), "bound": float(found.bound), "macs": float(macs), "status": found.status}
    if task.recount:
        answer["recounted"] = timeloop_form(nest, machine, found.best.mapping)[1]
    return answer


def _key(task: _Task) -> str:
    """All that decides the answer; limits, too: they may cut a search short."""
    policy = task.policy
    search = key_of(task.nest, task.machine.bits, task.machine, "energy", policy)
    return f"{search}/{policy.time_limit_s}/{policy.node_limit}{'/recount' if task.recount else ''}"


def _name(layer: Convolution) -> str:
    return f"d {layer.d}, q {layer.q}, n {layer.n}, r {layer.r}, s {layer.s}"


def _compile(layers: int, progress: Callable[[Progress], None] | None) -> None:
    """Compiles the kernels once, before processes would do so each for itself."""
    from picojoule.search.compiling import compile_ahead, compiled

    if not compiled():
        if progress is not None:
            note = "compiling the search kernels (once; they are kept in a cache)"
            progress(Progress(layer="", index=0, layers=layers, note=note))
        compile_ahead()
