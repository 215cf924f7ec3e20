"""Published figures beside ours, in the form that tests check and ``docs/validation.md`` shows."""

from __future__ import annotations

from dataclasses import dataclass

MINDED = 0.005
"""By how much a deviation may move from the size that is on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One published figure and ours.

    Attributes:
        what: the row and column of the table.
        published, ours: in ``unit``.
        within: the relative deviation that passes without a word.
        missed: the deviation that is on record where it is larger; None where there is none.
        reason: why ours differs; must be given with ``missed``.
    """

    what: str
    published: float
    ours: float
    unit: str = ""
    within: float
    missed: float | None = None
    reason: str = ""

    @property
    def deviation(self) -> float:
        """Ours against the published one, relatively."""
        return self.ours / self.published - 1

    @property
    def complaint(self) -> str:
        """What is wrong with this row, in words; empty if all is well."""
        name = f"{self.what}: ours {self.ours:.6g}, published {self.published:.6g}, {self.deviation:+.2%}"
        if self.missed is None:
            return "" if abs(self.deviation) <= self.within else f"{name}, more than {self.within:.0%}"
        if abs(self.deviation) <= self.within:
            return f"{name}: on record as missed by {self.missed:+.1%}, but it isn't"
        if not self.reason:
            return f"{name}: no reason is on record"
        return "" if abs(self.deviation - self.missed) <= MINDED else f"{name}, on record {self.missed:+.1%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The figures of one published table.

    Attributes:
        title, source: which table, and where its figures were seen and how sure they are.
        how: what of ours stands beside them.
        figures: row by row.
        remarks: what the rows have in common.
    """

    title: str
    source: str
    how: str
    figures: tuple[Figure, ...]
    remarks: tuple[str, ...] = ()

    @property
    def complaints(self) -> list[str]:
        """What is wrong with the rows, a line each."""
        return [figure.complaint for figure in self.figures if figure.complaint]

    def markdown(self) -> str:
        """A section of the page."""
        lines = [f"## {self.title}", "", f"**Published**: {self.source}", "", f"**Ours**: {self.how}", ""]
        lines += ["| figure | published | ours | deviation | reason |", "|---|--:|--:|--:|---|"]
        for figure in self.figures:
            cells = (
                figure.what,
                f"{figure.published:.4g} {figure.unit}".strip(),
                f"{figure.ours:.4g} {figure.unit}".strip(),
                deviation_text(figure.deviation),
                figure.reason or "–",
            )
            lines.append(f"| {' | '.join(cells)} |")
        for remark in self.remarks:
            lines += ["", remark]
        return "\n".join(lines) + "\n"


def deviation_text(deviation: float) -> str:
    """``+3.1 %``; ``0.0 %`` for less than half a tenth of a percent."""
    return "0.0 %" if abs(deviation) < 5e-4 else f"{deviation:+.1%}".replace("%", " %").replace("-", "−")
