"""Readings of results: several beside each other, what binds the layers of one, whether it meets what is required."""

from picojoule.analysis.comparison import Compared, Comparison, Ranking, compare
from picojoule.analysis.explanation import Explanation, LayerExplanation, explain
from picojoule.analysis.verdict import Finding, Verdict, check

__all__ = [
    "Compared",
    "Comparison",
    "Explanation",
    "Finding",
    "LayerExplanation",
    "Ranking",
    "Verdict",
    "check",
    "compare",
    "explain",
]
