"""A pool of processes here: joblib's, which tell what they have through a socket or pipe of this machine."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from picojoule.errors import MissingExtraError, SystemFailure
from picojoule.jobs.handed_out import Call, Done, Early, as_they_come

_IDLE_S = 60
"""How long processes without work wait for the next round of a search."""


def on_processes(
    work: Callable[[Any], Iterable[tuple[str, Any]]], tasks: Iterable[tuple[str, Any]], jobs: int, early: bool
) -> Iterator[tuple[str, Any]]:
    """As ``many.parts``.

    Args:
        work, tasks: see there.
        jobs: processes.
        early: answers are handed over as they come, not all at the end of a task.

    Raises:
        MissingExtraError: joblib is not installed.
        SystemFailure: a process was killed.
    """
    pool = _Processes(work, jobs, early)
    whole = False
    try:
        yield from as_they_come(pool, tasks)
        whole = True
    finally:
        pool.close(kill=not whole)


class _Processes:
    def __init__(self, work: Callable[[Any], Iterable[tuple[str, Any]]], jobs: int, early: bool) -> None:
        try:
            from joblib import cpu_count
            from joblib.externals.loky import get_reusable_executor
        except ImportError as missing:
            message = "more than one process needs joblib, which is not installed"
            raise MissingExtraError(message, hint="pip install 'picojoule[study]', or use one process.") from missing
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.jobs = jobs
        self._ear = _Ear(self.inbox) if early else None
        self._call = _Tied(Call(work), os.getpid(), None if self._ear is None else self._ear.place)
        # The cores are shared out: libraries that start threads of their own would have each process take all of them.
        threads = str(max(1, cpu_count() // jobs))
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env = {name: os.environ.get(name, threads) for name in names}
        self._executor = get_reusable_executor(max_workers=jobs, timeout=_IDLE_S, env=env)

    def room(self) -> int:
        return self.jobs

    def submit(self, key: str, task: Any) -> None:
        from joblib.externals.loky.process_executor import BrokenProcessPool

        try:
            future: Future[Done] = self._executor.submit(self._call, key, task)
        except BrokenProcessPool as killed:
            future = Future()
            future.set_exception(killed)
        future.add_done_callback(lambda done: self.inbox.put((key, done)))

    def ended(self, key: str, future: Any) -> Done:
        from joblib.externals.loky.process_executor import BrokenProcessPool

        try:
            return future.result()  # type: ignore[no-any-return]
        except BrokenProcessPool as killed:
            message = "a process was killed; what was done until then is kept"
            failure = SystemFailure(message, hint="Where memory is short, use fewer jobs.")
            failure.__cause__ = killed
            return Done([], failure)

    def look(self) -> None:
        """A process that ends is told by the executor."""

    def close(self, *, kill: bool) -> None:
        """Lets the processes wait for more work, or ends them whatever they are doing."""
        if kill:
            self._executor.shutdown(wait=True, kill_workers=True)
        if self._ear is not None:
            self._ear.close()


class _Ear:
    """Listens to the processes; puts what they say into the inbox."""

    def __init__(self, inbox: queue.SimpleQueue[Any]) -> None:
        self._inbox, self._key = inbox, os.urandom(32)
        self._listener = Listener(None, authkey=self._key)
        self.place = (self._listener.address, self._key)
        threading.Thread(target=self._accept, daemon=True, name="picojoule-ear").start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            Client(self.place[0], authkey=self._key).close()  # wakes the thread that waits for the next to call
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                return
            except Exception:  # a process that was killed while it called
                continue
            threading.Thread(target=self._hear, args=(connection,), daemon=True, name="picojoule-ear").start()

    def _hear(self, connection: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._inbox.put(connection.recv())


@dataclass(frozen=True, slots=True)
class _Tied:
    """A call that ends with the process that asked for it: nobody would hear of the answer."""

    call: Call
    owner: int
    place: tuple[Any, bytes] | None

    def __call__(self, key: str, task: Any) -> Done:
        _watch(self.owner)
        if self.place is None:
            return self.call(task, None)
        with Client(self.place[0], authkey=self.place[1]) as connection:
            return self.call(task, lambda name, answer: connection.send(Early(key, name, answer)))


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
