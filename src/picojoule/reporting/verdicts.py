"""What ``picojoule check`` found: on the terminal, as Markdown and as data."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, spread, to_text, total_width, without_least, wrapped
from picojoule.reporting.figures import NONE, printable
from picojoule.reporting.palette import ATTENTION, BAD, GOOD
from picojoule.reporting.tables import markdown_table, markdown_text
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.analysis import Finding, Verdict

SCHEMA = "picojoule/verdict/1"
_ALWAYS = 100
_MARKS = {"yes": ("✓", GOOD), "no": ("✗", BAD), "cannot tell": ("?", ATTENTION), "not evaluated": ("·", "dim")}
_HEAD = ("", "step", "requirement", "asked", "found", "×")


def verdict_text(verdict: Verdict, *, width: int, color: bool) -> str:
    """A line for each requirement in the order of the evaluation, what each miss needs, and the answer.

    Args:
        verdict: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    title = Text.assemble(
        (printable(verdict.model), "bold"), f" on {printable(verdict.hardware)}", f" · batch {verdict.batch}"
    )
    mark, style = _MARKS[verdict.answer]
    lines = spread(title, Text(f"{mark} {_answer(verdict)}", style=style), width)
    columns = _columns(verdict)
    if total_width(columns) > width:
        columns = without_least(columns, width, _ALWAYS)
    lines += [*rows(columns), Text()]
    for finding in verdict.findings:
        if _said(finding):
            parts = [Text(printable(part)) for part in _said(finding)]
            lines += wrapped(_what(finding), parts, width, indent=17)
    for note in verdict.notes:
        lines += wrapped("note", [Text(printable(note), style="dim")], width, indent=17)
    lines += wrapped("answer", [Text(_sentence(verdict), style=style)], width, indent=17)
    return to_text(lines, color=color)


def _columns(verdict: Verdict) -> list[Column]:
    cells = [_cells(finding) for finding in verdict.findings]
    styles = [_MARKS[finding.answer][1] for finding in verdict.findings]
    worth = (_ALWAYS, 50, _ALWAYS, _ALWAYS, _ALWAYS, 80)
    right = (False, False, False, True, True, True)
    columns = []
    for i, head in enumerate(_HEAD):
        down = [(row[i], style if i == 0 else "") for row, style in zip(cells, styles, strict=True)]
        columns.append(column(head, down, worth=worth[i], right=right[i], gap=1 if i < 2 else 2))
    return columns


def _cells(finding: Finding) -> tuple[str, ...]:
    from picojoule.analysis.requirements import REQUIREMENTS

    requirement = REQUIREMENTS[finding.key]
    found = NONE if finding.value is None else requirement.text(finding.value)
    return (
        _MARKS[finding.answer][0],
        finding.step,
        requirement.what,
        f"{'≥' if requirement.at_least else '≤'} {_round(requirement.text(finding.limit))}",
        found if finding.answer != "not evaluated" else "not evaluated",
        NONE if finding.ratio is None else significant(finding.ratio, 3),
    )


def _round(text: str) -> str:
    """What was asked for as people write it: ``33 ms``, not ``33.00 ms``."""
    return re.sub(r"\.(\d*?)0+(?!\d)", lambda found: f".{found[1]}" if found[1] else "", text)


def _said(finding: Finding) -> list[str]:
    """What the figure is of, then what it would take."""
    return [*([finding.basis] if finding.basis else []), *finding.needed]


def _what(finding: Finding) -> str:
    from picojoule.analysis.requirements import REQUIREMENTS

    return REQUIREMENTS[finding.key].what


def _answer(verdict: Verdict) -> str:
    if verdict.stopped_at is not None:
        return f"no, at {verdict.stopped_at}"
    return verdict.answer


def _sentence(verdict: Verdict) -> str:
    count = len(verdict.findings)
    if verdict.ok:
        return "yes: the only requirement is met" if count == 1 else f"yes: all {count} requirements are met"
    if verdict.stopped_at is None:
        open_ones = [_what(finding) for finding in verdict.findings if finding.answer == "cannot tell"]
        return f"cannot tell: the result doesn't say enough about {', '.join(open_ones)}"
    missed = [_what(finding) for finding in verdict.findings if finding.answer == "no"]
    left = sum(finding.answer == "not evaluated" for finding in verdict.findings)
    rest = f"; {left} later one{'' if left == 1 else 's'} not evaluated" if left else ""
    return f"no: {', '.join(missed)} missed at the step {verdict.stopped_at}{rest}"


def verdict_markdown(verdict: Verdict) -> str:
    """The same as a page or a summary of a pipeline."""
    title = f"## {markdown_text(verdict.model)} on {markdown_text(verdict.hardware)}: {_answer(verdict)}"
    body = [[finding.answer, *_cells(finding)[1:]] for finding in verdict.findings]
    table = markdown_table(("answer", *_HEAD[1:]), body, left=(0, 1, 2))
    notes = [
        f"**{_what(finding)}**: {markdown_text(' · '.join(_said(finding)))}"
        for finding in verdict.findings
        if _said(finding)
    ]
    notes += [markdown_text(note) for note in verdict.notes]
    notes.append(f"**{markdown_text(_sentence(verdict))}**")
    return "\n".join([title, "", *table, "", *(f"- {note}" for note in notes)]) + "\n"


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain data, its schema first; the result itself is not in it."""
    return {
        "schema": SCHEMA,
        "model": verdict.model,
        "hardware": verdict.hardware,
        "batch": verdict.batch,
        "objective": verdict.objective,
        "answer": verdict.answer,
        "stopped_at": verdict.stopped_at,
        "findings": [asdict(finding) for finding in verdict.findings],
        "notes": list(verdict.notes),
    }
