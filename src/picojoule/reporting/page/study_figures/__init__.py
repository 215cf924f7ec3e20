"""Figures of the page about a study, one file each: ``PLACE``, and ``figure(found)`` of its summary."""

from __future__ import annotations

from collections.abc import Iterator

from picojoule.reporting.page.figure import Figure
from picojoule.reporting.page.figures import drawn_by
from picojoule.study.reading import Summary


def figures(found: Summary) -> Iterator[Figure]:
    """The figures that a study has the data for, in the order of the page."""
    yield from drawn_by(__name__, __path__, found)
