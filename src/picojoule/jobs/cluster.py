"""One function over many tasks on the workers of a Dask cluster; what a killed worker had is done by another."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from picojoule.errors import MissingExtraError, SystemFailure, UsageError
from picojoule.version import __version__

_WAIT_S = 10
_AHEAD = 2
"""Tasks on their way for every thread of a worker: one being done, one waiting."""


def on_cluster(work: Callable[..., Any], tasks: Iterable[tuple[str, Any]], address: str) -> Iterator[tuple[str, Any]]:
    """As ``many.answers``.

    Args:
        work: a function of a module that the workers can import.
        tasks: with their keys.
        address: of the scheduler, ``tcp://host:8786``.

    Raises:
        MissingExtraError: distributed is not installed.
        UsageError: no scheduler answers there, it has no workers, or they run another picojoule.
        SystemFailure: a task killed several workers.
    """
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ImportError as missing:
        message = "a cluster needs distributed, which is not installed"
        raise MissingExtraError(message, hint="pip install 'picojoule[cluster]', or leave --cluster out.") from missing
    try:
        client = Client(address, timeout=_WAIT_S, set_as_default=False, direct_to_workers=False)
    except (OSError, ValueError, TimeoutError) as failure:
        hint = "Start one with `dask scheduler`, and workers with `dask worker tcp://HOST:8786 --nthreads 1`."
        raise UsageError(f"no scheduler answers: {failure}", where=f"cluster {address}", hint=hint) from None
    try:
        threads = _threads(client, address)
        waiting, keys = iter(tasks), {}
        running = as_completed(loop=client.loop)

        def submit() -> bool:
            following = next(waiting, None)
            if following is None:
                return False
            with warnings.catch_warnings():
                # A large task is meant: what is scattered beforehand would be lost with the worker that holds it.
                warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
                future = client.submit(_One(work), following[1], pure=False)
            keys[future.key] = following[0]
            running.add(future)
            return True

        for _ in range(_AHEAD * threads):
            if not submit():
                break
        for future in running:
            key = keys.pop(future.key)
            try:
                answer, failure = future.result()
            except KilledWorker as killed:
                message = f"a task killed several workers: {key}; what was done until then is kept"
                raise SystemFailure(message, where=f"cluster {address}", hint="Have workers more memory.") from killed
            if failure is not None:
                raise failure
            submit()
            yield key, answer
            future.release()
    finally:
        client.close()


def _threads(client: Any, address: str) -> int:
    """Threads of all workers, which are asked for their picojoule.

    Raises:
        UsageError: see ``on_cluster``.
    """
    try:
        client.wait_for_workers(1, timeout=_WAIT_S)
    except TimeoutError:
        hint = f"Start some with `dask worker {address} --nthreads 1`."
        raise UsageError("the scheduler has no workers", where=f"cluster {address}", hint=hint) from None
    others = {str(found) for found in client.run(_version, on_error="return").values()} - {__version__}
    if others:
        raise UsageError(
            f"its workers run picojoule {', '.join(sorted(others))}, this is {__version__}",
            where=f"cluster {address}",
            hint="Install the same version everywhere.",
        )
    return max(1, sum(client.nthreads().values()))


def _version() -> str:
    from picojoule.version import __version__ as here

    return here


_turn = threading.Lock()


class _One:
    """A call of a worker, one at a time in each of its processes; what goes wrong comes back as an outcome."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work = work

    def __call__(self, task: Any) -> tuple[Any, Exception | None]:
        with _turn:
            try:
                return self.work(task), None
            except Exception as failure:
                return None, failure
