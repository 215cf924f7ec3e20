"""The ladder of one network made smaller, step after step, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, without_least
from picojoule.reporting.figures import NONE, energy_scale, percent, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One network of the ladder.

    Attributes:
        name: of the step.
        energy: modelled, in the unit of the ladder.
        accuracy: on the data that report; a share.
        note: what was done, and of what the accuracy is.
    """

    name: str
    energy: float
    accuracy: float
    note: str = ""


def ladder_text(model: str, hardware: str, unit: str, steps: Sequence[Step], *, width: int, color: bool) -> str:
    """A line for each step: its energy, what that is of the first and of the one before, its accuracy.

    Args:
        model: the network's name.
        hardware: the machine's.
        unit: of the energies.
        steps: at least one, in order.
        width: of the terminal.
        color: by escape sequences.
    """
    scale = energy_scale([step.energy for step in steps], unit, 4)
    first, last = steps[0], steps[-1]
    before = [first, *steps]
    columns = [
        column("step", [(printable(step.name), "") for step in steps], right=False, gap=1),
        column(f"energy {scale.unit}", [(scale.text(step.energy), "bold") for step in steps]),
        column("of the first", [(percent(step.energy / first.energy), "") for step in steps]),
        column(
            "of the last step",
            [(NONE if i == 0 else percent(step.energy / before[i].energy), "dim") for i, step in enumerate(steps)],
            worth=50,
        ),
        column("accuracy", [(f"{step.accuracy:.2%}", "") for step in steps]),
        column("", [(NONE if i == 0 else points(step.accuracy - first.accuracy), "dim") for i, step in enumerate(steps)], worth=60),
        column("what", [(printable(step.note), "dim") for step in steps], right=False, worth=10),
    ]
    head = spread(
        Text.assemble((printable(model), "bold"), f" · {printable(hardware)}"),
        Text(f"{first.energy / last.energy:.2f} times less energy in {len(steps) - 1} step{'' if len(steps) == 2 else 's'}"),
        width,
    )
    return to_text([*head, Text(), *rows(without_least(columns, width, 100))], color=color)


def points(difference: float) -> str:
    """A difference of accuracies in percentage points."""
    return f"{100 * difference:+.2f} points"
