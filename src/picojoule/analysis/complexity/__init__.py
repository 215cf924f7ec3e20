"""Energy complexity: what no implementation of a layer can beat on two levels of memory, and how close mappings come."""

from picojoule.analysis.complexity.bounds import BoundRow, LayerBounds, complexity_bounds
from picojoule.analysis.complexity.buffers import BufferCurve, BufferPoint, LayerReach, complexity_over_buffers
from picojoule.analysis.complexity.dataflows import Accesses, read_once_inputs, write_once_outputs

__all__ = [
    "Accesses",
    "BoundRow",
    "BufferCurve",
    "BufferPoint",
    "LayerBounds",
    "LayerReach",
    "complexity_bounds",
    "complexity_over_buffers",
    "read_once_inputs",
    "write_once_outputs",
]
