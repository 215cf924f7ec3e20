"""Readings of results: what several of them say beside each other, and what binds the layers of one."""

from picojoule.analysis.comparison import Compared, Comparison, Ranking, compare
from picojoule.analysis.explanation import Explanation, LayerExplanation, explain

__all__ = ["Compared", "Comparison", "Explanation", "LayerExplanation", "Ranking", "compare", "explain"]
