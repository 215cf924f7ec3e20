"""Bounds and optima of a network over the size of the buffer, down to where compulsory traffic is all there is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from picojoule.analysis.complexity.bounds import (
    LayerBounds,
    Optimum,
    bounded_layers,
    layer_bounds,
    optimum_of,
    two_level,
)
from picojoule.cost.communication import communication_accesses, compulsory_accesses
from picojoule.errors import UsageError
from picojoule.hardware import Accelerator
from picojoule.jobs import Journal, Step, run_all
from picojoule.search.cache import key_of
from picojoule.search.compiling import compile_ahead, compiled
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact, Progress
from picojoule.workload.nest import Nest
from picojoule.workload.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReach:
    """Where a layer moves what is compulsory and nothing else.

    Attributes:
        layer: its name.
        needed: numbers that the buffer must hold at least for that, whatever the implementation.
        reached: the first of the buffers' numbers with which our optimum does; None if none of them.
    """

    layer: str
    needed: int
    reached: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferPoint:
    """All layers of a network together, with one buffer; accesses are numbers that pass between DRAM and the buffer.

    Attributes:
        buffer_bits, numbers: its size, and what it holds.
        lower_document, lower_triplets, lower_communication, compulsory: lower bounds; see ``BoundRow``.
        bound: the sum of every layer's own.
        optimum, optimum_bound: of our mapper, and what no nest of its map space undercuts.
        mean_ratio: optimum ÷ bound, the geometric mean over different layers.
        worst_ratio, worst_layer: the largest.
        compulsory_layers: of how many different layers our optimum is what is compulsory.
        proved: whether every optimum is.
    """

    buffer_bits: int
    numbers: int
    lower_document: float
    lower_triplets: float
    lower_communication: int
    compulsory: int
    bound: int
    optimum: int
    optimum_bound: int
    mean_ratio: float
    worst_ratio: float
    worst_layer: str
    compulsory_layers: int
    proved: bool

    @property
    def ratio(self) -> float:
        """Optimum ÷ bound of the whole network."""
        return self.optimum / self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferCurve:
    """A network over buffers of growing size.

    Attributes:
        model: the network.
        bits: of a number.
        each: all layers with each buffer.
        points: the whole network with each buffer.
        reaches: where each different layer gets to compulsory traffic.
    """

    model: str
    bits: int
    each: tuple[LayerBounds, ...]
    points: tuple[BufferPoint, ...]
    reaches: tuple[LayerReach, ...]

    @property
    def needed(self) -> int:
        """Numbers with which no layer is bound to move more than what is compulsory; with fewer some are."""
        return max(reach.needed for reach in self.reaches)

    @property
    def reached(self) -> int | None:
        """The first of the buffers' numbers with which our optimum moves only that, in every layer; None if none of them."""
        found = [reach.reached for reach in self.reaches]
        return None if None in found else max(number for number in found if number is not None)


def complexity_over_buffers(
    network: Network,
    *,
    buffers: Sequence[int],
    bits: int = 8,
    search: Exact | None = None,
    jobs: int = 1,
    journal: Journal | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> BufferCurve:
    """Bounds and optima of a network with each of several buffers.

    Args:
        network: the network.
        buffers: their sizes in bits, rising.
        bits: of every number; partial sums are as wide as the rest.
        search: when the search of a layer stops.
        jobs: processes that search side by side.
        journal: a file in which every optimum is kept as it is found; those that it holds are not searched again.
        progress: called as the layers are done.

    Raises:
        HardwareError: a buffer holds fewer than the three numbers that a MAC needs.
        UsageError: no buffers, or not in rising order; no layer with a nest.
    """
    if not buffers or any(after <= before for before, after in zip(buffers, buffers[1:], strict=False)):
        raise UsageError("buffers must rise in size, one at least", where="buffers")
    layers = bounded_layers(network)
    machines = [two_level(size, bits) for size in buffers]
    policy = search or Exact()
    tasks = {
        _key(task): task for task in (_Task(nest, machine, policy) for machine in machines for nest in layers)
    }

    def tell(step: Step) -> None:
        if progress is not None:
            task = tasks.get(step.key)
            note = f"{step.recalled} recalled" if step.recalled else ""
            name = "" if task is None else layers[task.nest]
            progress(Progress(layer=name, index=step.done, layers=step.total, note=note))

    if not compiled():
        compile_ahead()
    answers = run_all(_search, tasks, jobs=jobs, journal=journal, progress=tell)
    each = []
    for machine in machines:
        optima = {nest: Optimum(**answers[_key(_Task(nest, machine, policy))]) for nest in layers}
        each.append(layer_bounds(network, machine, optima))
    return BufferCurve(
        model=network.name,
        bits=bits,
        each=tuple(each),
        points=tuple(map(_point, each)),
        reaches=tuple(_reach(nest, name, each) for nest, name in layers.items()),
    )


def least_room(nest: Nest) -> int:
    """Numbers below which more than compulsory traffic must pass, whatever the order of the MACs."""
    compulsory = compulsory_accesses(nest)
    rooms = range(3, max(compulsory, 3))
    return 3 + bisect_left(rooms, True, key=lambda room: communication_accesses(nest, room) <= compulsory)


@dataclass(frozen=True, slots=True)
class _Task:
    nest: Nest
    machine: Accelerator
    policy: Exact


def _key(task: _Task) -> str:
    """All that decides the answer; limits, too: they may cut a search short."""
    search = key_of(task.nest, task.machine.bits, task.machine, "energy", task.policy)
    return f"{search}/{task.policy.time_limit_s}/{task.policy.node_limit}"


def _search(task: _Task) -> dict[str, int | float | str]:
    found = search_layer(task.nest, task.machine, task.machine.bits, "energy", task.policy)
    if found.status == "INTERRUPTED":
        raise KeyboardInterrupt
    return asdict(optimum_of(task.nest, task.machine, found))


def _reach(nest: Nest, name: str, each: Sequence[LayerBounds]) -> LayerReach:
    reached = None
    for bounds in each:
        row = next(row for row in bounds.rows if row.layer == name)
        if row.optimum == row.compulsory:
            reached = bounds.numbers
            break
    return LayerReach(layer=name, needed=least_room(nest), reached=reached)


def _point(bounds: LayerBounds) -> BufferPoint:
    rows = bounds.rows
    different = [row for row in rows if row.same_as is None]
    return BufferPoint(
        buffer_bits=bounds.machine.levels[-1].capacity_bits or 0,
        numbers=bounds.numbers,
        lower_document=math.fsum(row.lower_document for row in rows),
        lower_triplets=math.fsum(row.lower_triplets for row in rows),
        lower_communication=sum(row.lower_communication for row in rows),
        compulsory=sum(row.compulsory for row in rows),
        bound=sum(math.ceil(row.bound) for row in rows),
        optimum=sum(row.optimum for row in rows),
        optimum_bound=sum(row.optimum_bound for row in rows),
        mean_ratio=bounds.mean_ratio,
        worst_ratio=bounds.worst.ratio,
        worst_layer=bounds.worst.layer,
        compulsory_layers=sum(row.optimum == row.compulsory for row in different),
        proved=all(row.status == "PROVED" for row in different),
    )
