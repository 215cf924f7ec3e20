"""Tasks handed to workers elsewhere, and their answers taken as they come.

Whatever the workers are, all that is heard of them comes into one inbox: an answer that a task gave on its way, and the end of a
task with all of its answers once more, so that none is lost where a message was.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

LOOK_S = 5.0
"""How often those who wait look whether there still is somebody to wait for."""


@dataclass(frozen=True, slots=True)
class Early:
    """An answer of a task that is still being done."""

    task: str
    key: str
    answer: Any


@dataclass(frozen=True, slots=True)
class Done:
    """The answers of a task that ended, and what went wrong."""

    answers: list[tuple[str, Any]]
    failure: BaseException | None


class Pool(Protocol):
    """Workers to whom tasks are handed."""

    inbox: queue.SimpleQueue[Any]
    """``Early``, and ``(task, future)`` of a task that ended."""

    def submit(self, key: str, task: Any) -> None:
        """Hands a task in, whose end is put into the inbox."""

    def ended(self, key: str, future: Any) -> Done:
        """What came of it."""

    def room(self) -> int:
        """How many tasks may be on their way."""

    def look(self) -> None:
        """Raises if nobody is left who could answer."""


def as_they_come(pool: Pool, tasks: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Every answer once, with its key. No more tasks are taken than there is room for.

    Args:
        pool: that does them.
        tasks: with keys of their own.
    """
    waiting, running = iter(tasks), dict[str, set[str]]()

    def hand_out() -> None:
        while len(running) < pool.room() and (following := next(waiting, None)) is not None:
            key, task = following
            running[key] = set()
            pool.submit(key, task)

    hand_out()
    while running:
        try:
            heard = pool.inbox.get(timeout=LOOK_S)
        except queue.Empty:
            pool.look()
            continue
        if isinstance(heard, Early):
            seen = running.get(heard.task)  # None: its end was here first
            if seen is not None and heard.key not in seen:
                seen.add(heard.key)
                yield heard.key, heard.answer
            continue
        key, future = heard
        done = pool.ended(key, future)
        seen = running.pop(key)
        if done.failure is None:
            hand_out()
        yield from ((name, answer) for name, answer in done.answers if name not in seen)
        if done.failure is not None:
            raise done.failure


@dataclass(frozen=True, slots=True)
class Call:
    """A task's work, done where it is called; what goes wrong comes back as an outcome.

    Raised over there, the answers that are on their way would be lost.
    """

    work: Callable[[Any], Iterable[tuple[str, Any]]]

    def __call__(self, task: Any, told: Callable[[str, Any], None] | None) -> Done:
        """All answers, each of them told as it comes."""
        answers: list[tuple[str, Any]] = []
        try:
            for key, answer in self.work(task):
                answers.append((key, answer))
                if told is not None:
                    told(key, answer)
        except (Exception, KeyboardInterrupt) as failure:
            return Done(answers, failure)
        return Done(answers, None)


@dataclass(frozen=True, slots=True)
class Whole:
    """A work that gives one answer, as one that gives several."""

    work: Callable[[Any], Any]

    def __call__(self, task: tuple[str, Any]) -> Iterator[tuple[str, Any]]:
        key, own = task
        yield key, self.work(own)
