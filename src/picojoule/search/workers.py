"""Processes that search layers side by side, and stop when they are told to.

Ctrl-C on a terminal goes to all processes at once, whatever they are doing. Here it is the parent's alone: it is
blocked in the workers from their very start, and the parent tells them to stop through a pipe. A thread of each worker
listens and interrupts the search at hand as Ctrl-C would. Nothing here loads the search before there is one to do.
"""

from __future__ import annotations

import _thread
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picojoule.search.costed import Found


class Workers:
    """So many processes that search layers; ``stop`` ends it soon, and what still waits is never begun."""

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._told, self._tell = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(self._told,))

    def submit(self, searches: Iterable[Sequence[object]]) -> list[Future[tuple[Found, float] | None]]:
        """Hands in searches by the arguments of ``many.timed``; one that was never begun comes to None."""
        with _without_ctrl_c():
            return [self._pool.submit(_search, *arguments) for arguments in searches]

    def stop(self) -> None:
        """Tells the workers to stop: each hands back the best of the search at hand."""
        self._tell.send_bytes(b"stop")  # nobody takes it out of the pipe, so that every worker finds it there

    def close(self) -> None:
        """Waits for what is running, and ends the processes."""
        self._pool.shutdown(cancel_futures=True)
        self._told.close()
        self._tell.close()


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Holds Ctrl-C back until the end of the block; processes that are started in it have SIGINT blocked for good."""
    missed: list[tuple[int, Any]] = []
    handler, main = signal.getsignal(signal.SIGINT), threading.current_thread() is threading.main_thread()
    if main and callable(handler):
        # Another thread of this process may have the signal delivered even where this one blocks it.
        signal.signal(signal.SIGINT, lambda *event: missed.append(event))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if main and callable(handler):
            signal.signal(signal.SIGINT, handler)
            if missed:
                handler(*missed[0])


# In the worker -------------------------------------------------------------------------------------------------------

_told: Connection | None = None
_busy = False


def _begin(told: Connection) -> None:
    """Sets a worker up."""
    global _told
    _told = told
    signal.signal(signal.SIGINT, _interrupt)
    threading.Thread(target=_listen, daemon=True).start()


def _interrupt(*_: object) -> None:
    if _busy:
        raise KeyboardInterrupt


def _stopped() -> bool:
    return _told is not None and _told.poll(0)


def _listen() -> None:
    assert _told is not None
    _told.poll(None)  # there is a word, or nobody is left who could say one
    _thread.interrupt_main(signal.SIGINT)
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the parent was killed: nobody wants the result


def _search(*arguments: Any) -> tuple[Found, float] | None:
    """A search and the seconds that it took, unless the workers were told to stop before it began."""
    global _busy
    answer = None
    try:
        _busy = True
        if not _stopped():
            from picojoule.search.many import timed  # takes a while, in which we may be told to stop

            if not _stopped():
                answer = timed(*arguments)
        _busy = False
    except KeyboardInterrupt:
        pass
    finally:
        _busy = False
    return answer
