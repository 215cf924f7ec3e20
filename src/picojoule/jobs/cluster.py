"""One function over many tasks on the workers of a Dask cluster; what a killed worker had is done by another."""

from __future__ import annotations

import pickle
import queue
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from picojoule.errors import MissingExtraError, SystemFailure, UsageError
from picojoule.jobs.handed_out import Call, Done, Early, as_they_come
from picojoule.version import __version__

_WAIT_S = 10
_PATIENCE_S = 60.0
"""How long a cluster may be without workers before the run gives up."""
_AHEAD = 2
"""Tasks on their way for every thread of a worker: one being done, one waiting."""


def on_cluster(
    work: Callable[[Any], Iterable[tuple[str, Any]]], tasks: Iterable[tuple[str, Any]], address: str, early: bool
) -> Iterator[tuple[str, Any]]:
    """As ``many.parts``.

    Args:
        work: a function of a module that the workers can import.
        tasks: with their keys.
        address: of the scheduler, ``tcp://host:8786``.
        early: answers are handed over as they come, not all at the end of a task.

    Raises:
        MissingExtraError: distributed is not installed.
        UsageError: no scheduler answers there, it has no workers, or they run another picojoule.
        SystemFailure: a task killed several workers; no worker is left; the scheduler is gone.
    """
    try:
        from distributed import Client
    except ImportError as missing:
        message = "a cluster needs distributed, which is not installed"
        raise MissingExtraError(message, hint="pip install 'picojoule[cluster]', or leave --cluster out.") from missing
    try:
        client = Client(address, timeout=_WAIT_S, set_as_default=False, direct_to_workers=False)
    except (OSError, ValueError, TimeoutError) as failure:
        hint = "Start one with `dask scheduler`, and workers with `dask worker tcp://HOST:8786 --nthreads 1`."
        raise UsageError(f"no scheduler answers: {failure}", where=f"cluster {address}", hint=hint) from None
    try:
        yield from as_they_come(_Cluster(client, address, work, early), tasks)
    finally:
        client.close()


class _Cluster:
    def __init__(
        self, client: Any, address: str, work: Callable[[Any], Iterable[tuple[str, Any]]], early: bool
    ) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.client, self.address = client, address
        self._threads = _threads(client, address)
        self._alone: float | None = None  # since when there are no workers
        self._topic = f"picojoule-{uuid.uuid4().hex}" if early else None
        self._call = _Remote(Call(work), self._topic)
        self._futures: dict[str, Any] = {}
        if self._topic is not None:
            client.subscribe_topic(self._topic, self._hear)

    def room(self) -> int:
        return _AHEAD * self._threads

    def submit(self, key: str, task: Any) -> None:
        with warnings.catch_warnings():
            # A large task is meant: what is scattered beforehand would be lost with the worker that holds it.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            future = self._futures[key] = self.client.submit(self._call, key, task, pure=False)
        future.add_done_callback(lambda done: self.inbox.put((key, done)))

    def ended(self, key: str, future: Any) -> Done:
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        del self._futures[key]
        failure: SystemFailure
        try:
            return future.result()  # type: ignore[no-any-return]
        except KilledWorker as killed:
            message = f"a task killed several workers: {key}; what was done until then is kept"
            failure = SystemFailure(message, where=f"cluster {self.address}", hint="Have workers more memory.")
            failure.__cause__ = killed
        except CancelledError as lost:
            failure = self._gone("the scheduler forgot what it was asked")
            failure.__cause__ = lost
        return Done([], failure)

    def look(self) -> None:
        """Counts the workers; those that came since get tasks, too.

        Raises:
            SystemFailure: there have been none for a while, or the scheduler doesn't answer.
        """
        try:
            threads = sum(self.client.nthreads().values())
        except (OSError, TimeoutError) as failure:
            raise self._gone("the scheduler is gone") from failure
        now = time.monotonic()
        if threads:
            self._threads, self._alone = threads, None
            return
        self._alone = self._alone or now
        if now - self._alone >= _PATIENCE_S:
            raise self._gone(f"no worker is left for {_PATIENCE_S:.0f} s")

    def _gone(self, what: str) -> SystemFailure:
        hint = f"Start workers with `dask worker {self.address} --nthreads 1`, and go on with the same command."
        return SystemFailure(f"{what}; what was done until then is kept", where=f"cluster {self.address}", hint=hint)

    def _hear(self, event: tuple[float, bytes]) -> None:
        self.inbox.put(pickle.loads(event[1]))


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


@dataclass(frozen=True, slots=True)
class _Remote:
    """A call of a worker, one at a time in each of its processes."""

    call: Call
    topic: str | None

    def __call__(self, key: str, task: Any) -> Done:
        from distributed import get_worker

        with _turn:
            if self.topic is None:
                return self.call(task, None)
            worker = get_worker()
            return self.call(task, lambda name, answer: worker.log_event(self.topic, pickle.dumps(Early(key, name, answer))))
