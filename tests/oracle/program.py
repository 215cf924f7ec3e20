"""The program that a mapping stands for: its temporal steps, and who holds which tensor for how long.

Half of the oracle (the other is ``execute.py``). It shares no code with ``picojoule.cost`` or ``picojoule.search``,
only their vocabulary (nest, machine, mapping) and the contract, ``docs/explanation/counting.md``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.hardware.accelerator import Accelerator, FanOut
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.workload.nest import DIMS, Nest

WHO_SELECTS = {"weights": "GKCRS", "inputs": "NGCPQRS", "outputs": "NGKPQ"}
WINDOW_LOOPS = "PQRS"

Time = tuple[int, ...]  # iteration of every temporal loop, outermost first
Position = tuple[int, ...]  # chunk of every spread, outermost first
Index = dict[str, int]
Element = tuple[int, ...]
Step = tuple[Time, list[tuple[Position, Index]]]


class NotRunnable(Exception):
    """The mapping is malformed, not legal on this machine, or reads a value that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One storage level (or the MACs: ``level`` is None) as holder of one tensor.

    Attributes:
        visit_loops: temporal loops, counted from the outermost, up to and with the fetch loop.
        slides: the fetch loop runs over a window dimension of the inputs.
        outside: the spreads over fan-outs outside the level; they tell its instances apart.
    """

    level: str | None
    tensor: str
    visit_loops: int
    slides: bool
    outside: tuple[int, ...]


def walk(nest: Nest, mapping: Mapping) -> Iterator[Step]:
    """Every temporal step with the array positions that are busy in it and the nest index each works on.

    Raises:
        NotRunnable: a range has more than one index left when it reaches the MACs.
    """

    def descend(depth: int, time: Time, busy: list[tuple[Position, dict[str, range]]]) -> Iterator[Step]:
        if depth == len(mapping.nodes):
            for _, ranges in busy:
                if any(len(r) != 1 for r in ranges.values()):
                    raise NotRunnable(f"a MAC is left with the ranges {ranges}")
            yield time, [(position, {d: r[0] for d, r in ranges.items()}) for position, ranges in busy]
            return
        match mapping.nodes[depth]:
            case Keep():
                yield from descend(depth + 1, time, busy)
            case Loop(dim, tile):
                cut = [(position, ranges, chunks(ranges[dim], tile)) for position, ranges in busy]
                for i in range(max(len(mine) for _, _, mine in cut)):
                    still_busy = [(pos, ranges | {dim: mine[i]}) for pos, ranges, mine in cut if i < len(mine)]
                    yield from descend(depth + 1, (*time, i), still_busy)
            case Spread(dim, tile, _, _):
                placed = [
                    ((*position, i), ranges | {dim: chunk})
                    for position, ranges in busy
                    for i, chunk in enumerate(chunks(ranges[dim], tile))
                ]
                yield from descend(depth + 1, time, placed)

    yield from descend(0, (), [((), {d: range(n) for d, n in nest.dims.items()})])


def chunks(indices: range, tile: int) -> list[range]:
    """The indices cut into chunks of ``tile``, the last one perhaps shorter."""
    return [indices[i : i + tile] for i in range(0, len(indices), tile)]


def full_trips(nest: Nest, mapping: Mapping) -> Iterator[tuple[Loop | Spread | Keep, int]]:
    """Every node with its number of chunks along the unclipped range that arrives there; 1 for a keep."""
    arriving = {d: range(n) for d, n in nest.dims.items()}
    for node in mapping.nodes:
        if isinstance(node, Keep):
            yield node, 1
        else:
            cut = chunks(arriving[node.dim], node.tile)
            yield node, len(cut)
            arriving[node.dim] = cut[0]


def path(nest: Nest, accelerator: Accelerator, mapping: Mapping, tensor: str) -> list[Holder]:
    """The holders of ``tensor``: its home first, the MACs last.

    Raises:
        NotRunnable: the keeps of ``tensor`` are not legal.
    """
    spreads = [node for node in mapping.nodes if isinstance(node, Spread)]
    holders: list[Holder] = []
    loops_above, fetch_loop, slides = 0, 0, False
    for node, trips in full_trips(nest, mapping):
        if isinstance(node, Keep):
            if node.tensor == tensor:
                outside = spreads_outside(accelerator, node.level, spreads)
                holders.append(
                    Holder(level=node.level, tensor=tensor, visit_loops=fetch_loop, slides=slides, outside=outside)
                )
        elif not holders:
            raise NotRunnable(f"{node} stands above the home of {tensor}")
        elif isinstance(node, Loop):
            loops_above += 1
            if is_fetch_loop(node, trips, tensor):
                fetch_loop, slides = loops_above, is_window_loop(node, tensor)
    check_path(accelerator, tensor, [holder.level for holder in holders])
    every_spread = tuple(range(len(spreads)))
    macs = Holder(level=None, tensor=tensor, visit_loops=loops_above, slides=False, outside=every_spread)
    return [*holders, macs]


def is_fetch_loop(node: Loop, trips: int, tensor: str) -> bool:
    """Whether each iteration of this loop starts with a fetch of ``tensor``, for keeps with no such loop further in."""
    return trips > 1 and node.dim in WHO_SELECTS[tensor]


def is_window_loop(node: Loop, tensor: str) -> bool:
    """Whether consecutive iterations of this loop may share input elements that stay where they are."""
    return tensor == "inputs" and node.dim in WINDOW_LOOPS


def spreads_outside(accelerator: Accelerator, level: str, spreads: list[Spread]) -> tuple[int, ...]:
    """Which spreads lie over a fan-out that multiplies ``level``."""
    names = []
    for entry in accelerator.hierarchy:
        if isinstance(entry, FanOut):
            names.append(entry.name)
        elif entry.name == level:
            return tuple(i for i, spread in enumerate(spreads) if spread.fanout in names)
    raise NotRunnable(f"there is no level {level}")


def check_path(accelerator: Accelerator, tensor: str, kept_at: list[str | None]) -> None:
    """The legality of a tensor's keeps: outermost level first, once each, all that must, none that can't.

    Raises:
        NotRunnable: they are not legal.
    """
    order = [level.name for level in accelerator.levels]
    places = [order.index(name) for name in kept_at]
    if places != sorted(set(places)):
        raise NotRunnable(f"{tensor} is kept at {kept_at}, not outermost first and once each")
    for level in accelerator.levels:
        if tensor in level.keeps and level.name not in kept_at:
            raise NotRunnable(f"{level.name} must keep {tensor}")
        if tensor not in level.keeps + level.may_keep and level.name in kept_at:
            raise NotRunnable(f"{level.name} can't keep {tensor}")
    if accelerator.fanouts_outside(kept_at[0]):
        raise NotRunnable(f"the home of {tensor}, {kept_at[0]}, exists more than once")


def check_axes(nest: Nest, accelerator: Accelerator, mapping: Mapping) -> None:
    """Spreads fit on their axes, and only dimensions that an axis allows lie along it.

    Raises:
        NotRunnable: they don't.
    """
    taken: dict[tuple[str, str], int] = defaultdict(lambda: 1)
    for node, trips in full_trips(nest, mapping):
        if isinstance(node, Spread):
            axis = next(a for a in accelerator.fanout(node.fanout).axes if a.name == node.axis)
            taken[node.fanout, node.axis] *= trips
            if taken[node.fanout, node.axis] > axis.size or node.dim not in axis.dims:
                raise NotRunnable(f"{node} does not fit on {axis}")


def element(nest: Nest, tensor: str, index: Index) -> Element | None:
    """The element of ``tensor`` that the MAC at ``index`` touches; None is padding."""
    where = coordinates(nest, tensor, index)
    if tensor != "inputs":
        return where
    return where if 0 <= where[3] < nest.input_rows and 0 <= where[4] < nest.input_columns else None


def coordinates(nest: Nest, tensor: str, index: Index) -> Element:
    """Where in ``tensor`` the MAC at ``index`` reaches; rows and columns in the padding lie outside the input."""
    n, g, k, c, p, q, r, s = (index[d] for d in DIMS)
    if tensor == "weights":
        return g, k, c, r, s
    if tensor == "outputs":
        return n, g, k, p, q
    row = p * nest.stride[0] + r * nest.dilation[0] - nest.pad[0]
    column = q * nest.stride[1] + s * nest.dilation[1] - nest.pad[1]
    return n, g, c, row, column
