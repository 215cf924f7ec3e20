"""A simple bound for all spatial assignments at once: what no boundary changes, and each keep where it alone costs
least, whether it fits there or not.

Every factor of it depends on one dimension, or on the two of a window. So each is worked out once for every way to
spread these, and looked up for all assignments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from picojoule.verification.space import Way
from picojoule.verification.terms import WINDOWS, Keep, Spread, Terms, irrelevant
from picojoule.workload.nest import DIMS, TENSORS


def simple_bounds(terms: Terms, ways: Sequence[Way]) -> np.ndarray:
    """What no nest of each assignment can cost less than."""
    table = _Columns(ways, len(terms.machine.fanouts))
    total = constant(terms, ways)
    for keep in terms.keeps["weights"] + terms.keeps["outputs"]:
        total += keep.price_sent * _fewest_visits(terms, table, keep, keep.served)
        total += keep.price_received * _fewest_visits(terms, table, keep, keep.outside)
    for k, keep in enumerate(terms.keeps["inputs"]):
        rows = np.ones((2, len(ways)))
        for axis, (_, p, r) in enumerate(WINDOWS):
            rows *= table.of((p, r), lambda spreads, axis=axis, k=k: terms.fewest(axis, k, spreads)).T
        total += keep.price_sent * _fewest_visits(terms, table, keep, keep.served) * rows[0]
        total += keep.price_received * _fewest_visits(terms, table, keep, keep.outside) * rows[1]
    return total


def constant(terms: Terms, ways: Sequence[Way]) -> np.ndarray:
    """Equations 4 and 5, for every assignment: the MACs' own reads and updates, less the first touches of partial sums,
    and what is finished at a width of its own."""
    table = _Columns(ways, len(terms.machine.fanouts))
    result = np.zeros(len(table.factors))
    for tensor in TENSORS:
        keep = terms.operands[tensor]
        part = np.full(len(table.factors), keep.price_sent)
        for d in irrelevant(tensor):
            part *= table.of((d,), lambda spreads, d=d, keep=keep: terms.visits(d, spreads[0], keep.served, 1))
        if tensor == "inputs":
            for axis, (_, p, r) in enumerate(WINDOWS):
                part *= table.of((p, r), lambda spreads, axis=axis: terms.operand_window(axis, spreads))
        result += part
    result += terms.finished
    for spared, outside in terms.first_touches:
        part = np.full(len(table.factors), spared)
        for d in irrelevant("outputs"):
            part *= table.of((d,), lambda spreads, d=d, outside=outside: terms.copies(d, spreads[0], outside))
        result -= part
    return result


def _fewest_visits(terms: Terms, table: _Columns, keep: Keep, apart: frozenset[int]) -> np.ndarray:
    """Visits where the keep stands at the top, above all loops in time."""
    result = np.ones(len(table.factors))
    for d in irrelevant(keep.tensor):
        result *= table.of((d,), lambda spreads, d=d: terms.visits(d, spreads[0], apart, terms.left(d, spreads[0])))
    return result


class _Columns:
    """Assignments as an array, of which few columns are looked at together."""

    def __init__(self, ways: Sequence[Way], fanouts: int) -> None:
        self.factors = np.array(ways, dtype=np.int64).reshape(len(ways), fanouts, len(DIMS))

    def of(self, dims: Sequence[str], figure: Callable[[tuple[Spread, ...]], object]) -> np.ndarray:
        """``figure`` of how each assignment spreads these dimensions, made once for equal ones."""
        columns = self.factors[:, :, [DIMS.index(d) for d in dims]]
        different, which = np.unique(columns.reshape(len(columns), -1), axis=0, return_inverse=True)
        spreads = different.reshape(len(different), -1, len(dims)).transpose(0, 2, 1).tolist()
        figures = np.array([figure(tuple(tuple(s) for s in one)) for one in spreads], dtype=np.float64)
        return figures[which.reshape(-1)]
