"""Work for tests of ``jobs``: a function of a module, so that other processes can call it."""

from __future__ import annotations

import os
import signal
import time
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
