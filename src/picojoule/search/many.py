"""Searching many layers, one after the other or side by side; Ctrl-C keeps what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait

from picojoule.cost.zeros import priced
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.mapping import Mapping as Nesting
from picojoule.search.compiling import compile_ahead, compiled
from picojoule.search.costed import Found, unsearched
from picojoule.search.layer import search_layer
from picojoule.search.neighbour import fitted, neighbour
from picojoule.search.policy import Exact, Progress
from picojoule.search.refusals import named
from picojoule.search.workers import Workers
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.zeros import Zeros

Key = tuple[Nest, Bits, Zeros]
"""A layer to search: zeros only as far as the machine minds them, so that equal layers are searched once."""

Keep = Callable[[Key, Found, float], None]
"""Called with a layer, what its search came to, and the seconds that it took."""


def search_layers(
    wanted: Mapping[Key, str],
    machine: Accelerator,
    objective: str,
    policy: Exact,
    jobs: int = 1,
    progress: Callable[[Progress], None] | None = None,
    keep: Keep | None = None,
    with_parts: bool = False,
) -> dict[Key, Found]:
    """The best mapping of every layer in ``wanted`` (layer → name), by the same key; ``keep`` hears of each.
    ``with_parts`` has every part of the map spaces kept, for a certificate.

    After Ctrl-C the layer at hand keeps its best mapping, and those not begun get a plain one; all of these are
    marked ``INTERRUPTED``.
    """
    if wanted and not compiled():
        if progress is not None:
            note = "compiling the search kernels (once; they are kept in a cache)"
            progress(Progress(layer="", index=0, layers=len(wanted), note=note))
        try:
            compile_ahead()
        except KeyboardInterrupt:
            return {key: plain(key, machine, objective) for key in wanted}
    if jobs > 1 and len(wanted) > 1:
        return _side_by_side(wanted, machine, objective, policy, jobs, progress, keep, with_parts)
    found: dict[Key, Found] = {}
    interrupted = False
    for index, (key, name) in enumerate(wanted.items()):
        if interrupted:
            found[key] = plain(key, machine, objective)
            continue

        def tell(value: float, bound: float, visited: int, index: int = index, name: str = name) -> None:
            if progress is not None:
                progress(
                    Progress(layer=name, index=index, layers=len(wanted), value=value, bound=bound, visited=visited)
                )

        # What a limit in nodes leaves must not depend on what was searched before.
        hint = None if policy.node_limit is not None else _hint(key, found, machine)
        try:
            with named(name):
                found[key], seconds = timed(key, machine, objective, policy, with_parts, tell, hint)
            interrupted = found[key].status == "INTERRUPTED"
            tell(found[key].value, found[key].bound, found[key].visited)
            if keep is not None:
                keep(key, found[key], seconds)
        except KeyboardInterrupt:
            interrupted = True
            found.setdefault(key, plain(key, machine, objective))
    return found


def _hint(key: Key, found: Mapping[Key, Found], machine: Accelerator) -> Nesting | None:
    """The mapping of the most similar layer so far, cut to the size of this one."""
    nest, bits, zeros = key
    near = neighbour(nest, ((known, one.best.mapping) for (known, widths, _), one in found.items() if widths == bits))
    return None if near is None else fitted(near[1], near[0], nest, priced(machine, nest, bits, zeros), bits)


def plain(key: Key, machine: Accelerator, objective: str) -> Found:
    """A layer that the search never came to."""
    nest, bits, zeros = key
    return unsearched(nest, bits, priced(machine, nest, bits, zeros), objective)


def timed(
    key: Key,
    machine: Accelerator,
    objective: str,
    policy: Exact,
    with_parts: bool,
    tell: Callable[[float, float, int], None] | None = None,
    hint: Nesting | None = None,
) -> tuple[Found, float]:
    """A search of one layer, and the seconds that it took."""
    began = time.perf_counter()
    nest, bits, zeros = key
    found = search_layer(nest, priced(machine, nest, bits, zeros), bits, objective, policy, tell, with_parts, hint)
    return found, time.perf_counter() - began


def _side_by_side(
    wanted: Mapping[Key, str],
    machine: Accelerator,
    objective: str,
    policy: Exact,
    jobs: int,
    progress: Callable[[Progress], None] | None,
    keep: Keep | None,
    with_parts: bool,
) -> dict[Key, Found]:
    found: dict[Key, Found] = {}
    running: dict[Future[tuple[Found, float] | None], Key] = {}

    def take(future: Future[tuple[Found, float] | None]) -> None:
        key = running[future]
        with named(wanted[key]):
            answer = future.result()
        if answer is not None:
            one, seconds = answer
            found[key] = one
            if keep is not None:
                keep(key, one, seconds)
            if progress is not None:
                state = {"value": one.value, "bound": one.bound, "visited": one.visited}
                progress(Progress(layer=wanted[key], index=len(found) - 1, layers=len(wanted), **state))
        del running[future]

    workers = Workers(min(jobs, len(wanted)))
    try:
        futures = workers.submit((key, machine, objective, policy, with_parts) for key in wanted)
        running.update(zip(futures, wanted, strict=True))
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                take(future)
    except KeyboardInterrupt:
        workers.stop()
        for future in list(running):
            if not future.cancel():
                take(future)
    finally:
        workers.close()
    return {key: found[key] if key in found else plain(key, machine, objective) for key in wanted}
