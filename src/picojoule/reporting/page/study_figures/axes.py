"""How much each axis of a study matters for each objective."""

from __future__ import annotations

from picojoule.reporting.page.bars import Bar, Part, bars
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import tag
from picojoule.study.reading import Summary

PLACE = 20


def figure(found: Summary) -> Figure | None:
    if not found.effects:
        return None
    drawn, rows = [], []
    for name in found.objectives:
        effects = [one for one in found.effects if one.objective == name]
        drawn.append(tag("h3", name))
        drawn.append(
            bars(
                [
                    Bar(
                        name=one.axis, text=f"{100 * one.share:.0f} %",
                        parts=[Part(size=one.share, colour="var(--accent)", tip=_means(one.means))],
                    )
                    for one in effects
                ],
                1.0,
            )  # fmt: skip
        )
        rows += [
            [cell(one.axis), cell(name), cell(f"{100 * one.share:.1f} %", one.share), cell(value), cell(f"{mean:.5g}", mean), cell(str(n), n)]
            for one in effects
            for value, mean, n in one.means
        ]
    most = {name: next(one for one in found.effects if one.objective == name) for name in found.objectives}
    finding = [f"{one.axis} explains most of {name}: {100 * one.share:.0f} % of its spread." for name, one in most.items() if one.share > 0]
    return Figure(
        name="axes", title="What each axis does", finding=finding or ["No axis changes anything."], drawing=tag("div", drawn),
        table=Table(head=("axis", "objective", "explains", "value", "mean", "points"), rows=rows, words=frozenset({1, 3})),
        note="Share of the variance of the objective's logarithm that the means over the values of one axis explain; what axes do "
        "together is in none of them. Means are geometric. In a guided study the points are no fair sample.",
    )  # fmt: skip


def _means(means: tuple[tuple[str, float, int], ...]) -> str:
    return ", ".join(f"{value}: {mean:.4g}" for value, mean, _ in means[:8])
