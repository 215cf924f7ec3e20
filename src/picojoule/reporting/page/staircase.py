"""The ladder of one network made smaller, step after step: what each step takes, and how accurate it is."""

from __future__ import annotations

from picojoule.reporting.figures import NONE, energy, energy_scale, percent
from picojoule.reporting.ladder import Step, points
from picojoule.reporting.page.bars import Bar, Part, bars
from picojoule.reporting.page.figure import Figure, Table, cell


def staircase(steps: list[Step], unit: str) -> Figure:
    """Energy of every step, the first on top; dark is what the step before took more.

    Args:
        steps: at least two, in order.
        unit: of their energies.
    """
    scale = energy_scale([step.energy for step in steps], unit, 4)
    drawn = []
    for before, step in zip([steps[0], *steps], steps, strict=False):
        gone = max(0.0, before.energy - step.energy)
        drawn.append(
            Bar(
                name=step.name,
                text=f"{energy(step.energy, unit)} · {step.accuracy:.2%}",
                parts=[
                    Part(size=step.energy, colour="var(--accent)", tip=f"{step.name}: {energy(step.energy, unit)}, {step.accuracy:.2%}"),
                    Part(size=gone, colour="var(--soft)", tip=f"{energy(gone, unit)} less than {before.name}"),
                ],
                tip=step.note,
            )
        )
    first, last = steps[0], steps[-1]
    return Figure(
        name="ladder",
        title="From step to step",
        finding=[
            f"From {first.name} to {last.name} energy falls {first.energy / last.energy:.2f} times, to {percent(last.energy / first.energy)};"
            f" accuracy goes from {first.accuracy:.2%} to {last.accuracy:.2%}."
        ],
        drawing=bars(drawn, max(step.energy for step in steps), class_="ladder"),
        table=Table(
            head=("step", f"energy {scale.unit}", "of the first", "of the one before", "accuracy", "points", "what"),
            rows=[
                [
                    cell(step.name),
                    cell(scale.text(step.energy), step.energy),
                    cell(percent(step.energy / first.energy), step.energy / first.energy),
                    cell(NONE if i == 0 else percent(step.energy / steps[i - 1].energy), None if i == 0 else step.energy / steps[i - 1].energy),
                    cell(f"{step.accuracy:.2%}", step.accuracy),
                    cell(NONE if i == 0 else points(step.accuracy - first.accuracy), step.accuracy - first.accuracy),
                    cell(step.note),
                ]
                for i, step in enumerate(steps)
            ],
            words=frozenset({6}),
        ),
        note="Pale is what the step saves of the one above. Accuracies of different classes are of different questions.",
    )
