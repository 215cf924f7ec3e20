"""BibTeX of what a result rests on."""

from __future__ import annotations

from typing import Any

from picojoule.analysis import cite
from picojoule.reporting.exports.target import Source, Target, one_of


def _text(sources: tuple[Source, ...], **_: Any) -> str:
    return cite(one_of(sources))


TARGET = Target(
    name="bibtex", meaning="BibTeX of picojoule, the machine, the energy table and the papers behind them.", text=_text
)
