"""Fused groups: chains of layers whose intermediates stay on the chip, where a result has them."""

from __future__ import annotations

from picojoule.reporting.page.figure import Figure
from picojoule.reporting.page.reading import Reading

PLACE = 85


def figure(reading: Reading) -> Figure | None:
    return None
