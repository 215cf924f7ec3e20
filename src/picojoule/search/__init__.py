"""The best legal mapping of a layer on a machine, with proof or gap."""

from picojoule.search.policy import Exact, Progress

__all__ = ["Exact", "Progress"]
