"""Readings of results: what several of them say beside each other, what binds the layers of one, and what to cite for it."""

from picojoule.analysis.citation import cite
from picojoule.analysis.comparison import Compared, Comparison, Ranking, compare
from picojoule.analysis.explanation import Explanation, LayerExplanation, explain, outline
from picojoule.analysis.occupancy import Fill, occupancy

__all__ = [
    "Compared",
    "Comparison",
    "Explanation",
    "Fill",
    "LayerExplanation",
    "Ranking",
    "cite",
    "compare",
    "explain",
    "occupancy",
    "outline",
]
