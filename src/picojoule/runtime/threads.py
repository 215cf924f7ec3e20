"""Threads, and the processors that they are held on while something is measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from picojoule.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """How many threads a measurement had, and where.

    Attributes:
        count: threads that work on one operator; operators run one after the other.
        cpus: processors that they were held on; empty if they were free to move.
        reason: why they weren't held; empty if they were.
    """

    count: int
    cpus: tuple[int, ...]
    reason: str = ""


def usable_cpus() -> tuple[int, ...]:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


@contextmanager
def pinned(count: int) -> Iterator[Threads]:
    """Holds this process, and the threads that it starts meanwhile, on the last ``count`` of its processors.

    The last, because systems serve interrupts on the first.

    Raises:
        UsageError: there are fewer processors.
    """
    cpus = usable_cpus()
    if not 1 <= count <= len(cpus):
        raise UsageError(f"{count} threads, and this process may use {len(cpus)} processors", where="--threads")
    if not hasattr(os, "sched_setaffinity"):
        yield Threads(count=count, cpus=(), reason="this system can't hold a process on processors")
        return
    held = cpus[-count:]
    try:
        os.sched_setaffinity(0, held)
    except OSError as failure:
        yield Threads(count=count, cpus=(), reason=f"the system refused: {failure.strerror}")
        return
    try:
        yield Threads(count=count, cpus=held)
    finally:
        os.sched_setaffinity(0, cpus)
