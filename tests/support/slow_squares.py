"""Work for tests of ``jobs``: a function of a module, so that other processes can call it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


def squared(task: int) -> int:
    return task * task


def noted(task: tuple[int, str]) -> int:
    """The square, after writing a line with the task and the process into a file."""
    number, file = task
    with Path(file).open("a", encoding="utf-8") as notes:
        notes.write(f"{number} {os.getpid()}\n")
    time.sleep(0.2)
    return number * number


def failing_at_three(task: int) -> int:
    if task == 3:
        raise ValueError("three")
    return task * task


def killed_at_three(task: int) -> int:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task * task


def in_two_parts(task: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Two answers, the second only after somebody has noted the first in a folder."""
    name, folder = task
    yield f"{name}, first", name
    for _ in range(600):
        if (Path(folder) / f"{name}, first").exists():
            break
        time.sleep(0.05)
    else:
        raise TimeoutError("nobody noted the first answer")
    yield f"{name}, second", name.upper()
