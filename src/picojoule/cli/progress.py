"""How far a search is: one line on standard error that vanishes when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from picojoule.reporting.figures import counted, printable, shortened

if TYPE_CHECKING:
    from picojoule.search import Progress


@contextmanager
def drawn(*, color: bool) -> Iterator[Callable[[Progress], None]]:
    """A line that follows the search; hand what it yields to ``estimate`` as ``progress``.

    Args:
        color: draw in colours.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Line

    console = Console(stderr=True, force_terminal=True, no_color=not color)
    columns = (BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Line(*columns, console=console, transient=True) as line:
        task = line.add_task("", total=None)

        def update(state: Progress) -> None:
            line.update(task, total=state.layers, completed=state.index, description=sentence(state))

        yield update


def sentence(state: Progress) -> str:
    """What is going on, in a few words: the layer, how far it is proved, or the search's own note."""
    parts = [shortened(printable(state.layer), 32)]
    if state.note:
        parts.append(printable(state.note))
    elif state.value and state.bound is not None:
        parts.append(f"gap {100 * (state.value - state.bound) / state.value:.1f} %")
    if state.visited:
        parts.append(f"{counted(state.visited)} visited")
    if state.leader:
        parts.append(printable(state.leader))
    return " · ".join(part for part in parts if part)
