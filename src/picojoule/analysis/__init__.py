"""Readings of results: several beside each other, what binds the layers of one, whether it meets what is required, what to cite."""

from picojoule.analysis.citation import cite
from picojoule.analysis.comparison import Compared, Comparison, Ranking, compare
from picojoule.analysis.explanation import Explanation, LayerExplanation, explain, outline
from picojoule.analysis.occupancy import Fill, occupancy
from picojoule.analysis.verdict import Finding, Verdict, check

__all__ = [
    "Compared",
    "Comparison",
    "Explanation",
    "Fill",
    "Finding",
    "LayerExplanation",
    "Ranking",
    "Verdict",
    "check",
    "cite",
    "compare",
    "explain",
    "occupancy",
    "outline",
]
