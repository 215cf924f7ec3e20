"""Readings of results: what several of them say beside each other."""

from picojoule.analysis.comparison import Compared, Comparison, Ranking, compare

__all__ = ["Compared", "Comparison", "Ranking", "compare"]
