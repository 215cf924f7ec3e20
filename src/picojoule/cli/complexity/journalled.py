"""Runs that keep every answer as it comes, so that the same command goes on where an earlier one was stopped."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from picojoule.cli.estimate import followed
from picojoule.cli.options import Output
from picojoule.cli.streams import paint

Result = TypeVar("Result")


def journalled(run: Callable[..., Result], path: Path | None, progress: str, output: Output) -> Result | None:
    """What ``run(journal, follow)`` returns; None after Ctrl-C, which is told.

    Args:
        run: takes a journal or None, and what hears of progress or None.
        path: of the journal; None keeps none.
        progress: when to show it.
        output: of the command.
    """
    from picojoule.jobs import Journal

    with ExitStack() as stack:
        if path is not None:
            stack.callback(_leave_no_empty, path, existed=path.exists())
        journal = None if path is None else stack.enter_context(Journal(path))
        if journal is not None and journal.answers:
            output.note(f" going on with {len(journal.answers)} points of {journal.path}")
        if journal is not None and journal.damaged:
            output.note(f" {journal.damaged} damaged lines of {journal.path} are left out: those points are done again")
        follow: Any = stack.enter_context(followed(progress, output))
        try:
            return run(journal, follow)
        except KeyboardInterrupt:
            if journal is None:
                raise
            kept = f"{len(journal.answers)} points are kept in {shlex.quote(str(journal.path))}"
            output.note(paint("interrupted:", "red", output.color) + f" {kept}; the same command goes on from there")
            return None


def _leave_no_empty(path: Path, *, existed: bool) -> None:
    """Takes away a journal of this run in which nothing stands: it failed before anything was done."""
    from picojoule.jobs.journal import SCHEMA

    with contextlib.suppress(OSError):
        if not existed and path.stat().st_size <= len(SCHEMA) + 1:
            path.unlink()
