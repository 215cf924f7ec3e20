"""Šíma's dataflows for a convolution over two levels of memory: what they cost in closed form, and the loops themselves.

A layer has p output maps of m × m and q input maps of n × n, n = m·s, filters of r × r and stride s; where a filter
sticks out of a map it meets zeros. An input map falls into s² grid submaps of m × m; all neurons of a submap meet the
same weights. Accesses count numbers that pass between DRAM and the buffer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from picojoule.workload.nest import Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Accesses:
    """Numbers that pass between DRAM and the buffer, and the most that the buffer holds at a time.

    ``outputs`` are written, and read back where a dataflow returns to them; ``biases`` are read.
    """

    weights: int
    inputs: int
    outputs: int
    biases: int
    most_held: int

    @property
    def total(self) -> int:
        return self.weights + self.inputs + self.outputs + self.biases


def write_once_outputs(p: int, q: int, m: int, r: int, s: int) -> Accesses:
    """Outputs complete in the buffer, every weight read once, inputs again for every output map.

    p·q·n² inputs, p·m² outputs, p·q·r² weights, p biases; the buffer holds 2m² + 1 numbers.
    """
    _check(p, q, m, r, s)
    return Accesses(
        weights=p * q * r**2, inputs=p * q * (m * s) ** 2, outputs=p * m**2, biases=p, most_held=2 * m**2 + 1
    )


def read_once_inputs(p: int, q: int, m: int, r: int, s: int) -> Accesses:
    """Every input and weight read once; partial sums return to the buffer for every submap of every input map.

    q·n² inputs, p·q·r² weights, p biases, and p·m²·(2·q·s² − 1) outputs: the first time they start from the bias.
    """
    _check(p, q, m, r, s)
    return Accesses(
        weights=p * q * r**2,
        inputs=q * (m * s) ** 2,
        outputs=p * m**2 * (2 * q * s**2 - 1),
        biases=p,
        most_held=2 * m**2 + 1,
    )


def is_square(nest: Nest) -> bool:
    """Whether a layer is one that the document's dataflows are for, batch and groups apart."""
    return nest.P == nest.Q and nest.R == nest.S and nest.stride[0] == nest.stride[1] and nest.dilation == (1, 1)


def dataflows_of(nest: Nest) -> tuple[Accesses, Accesses]:
    """Write-once outputs and read-once inputs of a layer as it is: of its input only what some MAC touches is read.

    In the document n = m·s. Without padding and with r > s the fields reach further, and the largest submap has more
    than m² numbers, which the buffer must hold beside m² sums and a weight; with r < s only r² of the s² submaps meet a
    weight, and the others are left where they are. Batch and groups are run one after the other.

    Args:
        nest: a square layer (``is_square``).

    Raises:
        ValueError: it is none.
    """
    if not is_square(nest):
        raise ValueError(f"the dataflows are for square layers without dilation, got {nest}")
    times, (p, q, m, r, s) = nest.N * nest.G, (nest.K, nest.C, nest.P, nest.R, nest.stride[0])
    touched, largest = 1, 1
    for axis, pad in (("rows", nest.pad[0]), ("columns", nest.pad[1])):
        places = nest.touched(axis)
        touched *= len(places)
        largest *= max(Counter((place + pad) % s for place in places).values(), default=0)
    submaps = min(r, s) ** 2
    held = m**2 + largest + 1
    same = {"weights": times * p * q * r**2, "biases": times * p, "most_held": held}
    return (
        Accesses(**same, inputs=times * p * q * touched, outputs=times * p * m**2),
        Accesses(**same, inputs=times * q * touched, outputs=times * p * m**2 * (2 * q * submaps - 1)),
    )


class Buffer:
    """Counts what passes into it and out of it, and refuses to hold more than its capacity."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.held, self.most = capacity, 0, 0
        self.moved = {"weights": 0, "inputs": 0, "outputs": 0, "biases": 0}

    def take(self, kind: str | None, numbers: int) -> None:
        """Room for ``numbers`` more, read from DRAM if a kind is given."""
        if kind is not None:
            self.moved[kind] += numbers
        self.held += numbers
        self.most = max(self.most, self.held)
        if self.held > self.capacity:
            raise OverflowError(f"the buffer holds {self.held} numbers, {self.capacity} fit")

    def drop(self, numbers: int, written: str | None = None) -> None:
        """Gives up ``numbers``, written to DRAM first if a kind is given."""
        if written is not None:
            self.moved[written] += numbers
        self.held -= numbers

    def accesses(self) -> Accesses:
        return Accesses(**self.moved, most_held=self.most)


def run_write_once_outputs(
    inputs: np.ndarray, weights: np.ndarray, biases: np.ndarray, stride: int
) -> tuple[np.ndarray, Accesses]:
    """The document's loops, executed: outputs ``[p, m, m]`` before ReLU, and what passed.

    Args:
        inputs: ``[q, n, n]`` with n a multiple of the stride.
        weights: ``[p, q, r, r]``.
        biases: ``[p]``.
        stride: of the filters.

    Raises:
        ValueError: n is no multiple of the stride.
    """
    p, q, r = weights.shape[:3]
    m = _output_size(inputs, stride)
    buffer, outputs = Buffer(2 * m**2 + 1), np.zeros((p, m, m))
    for f in range(p):
        buffer.take("biases", 1)
        buffer.drop(1)
        buffer.take(None, m**2)
        sums = np.full((m, m), float(biases[f]))
        for g in range(q):
            for i0, j0 in _submaps(stride):
                submap = inputs[g, i0::stride, j0::stride]
                buffer.take("inputs", submap.size)
                for i, j in _shared_weights(i0, j0, r, stride):
                    buffer.take("weights", 1)
                    sums += weights[f, g, i, j] * _shifted(submap, (i - i0) // stride, (j - j0) // stride)
                    buffer.drop(1)
                buffer.drop(submap.size)
        outputs[f] = sums
        buffer.drop(m**2, "outputs")
    return outputs, buffer.accesses()


def run_read_once_inputs(
    inputs: np.ndarray, weights: np.ndarray, biases: np.ndarray, stride: int
) -> tuple[np.ndarray, Accesses]:
    """The other dataflow, executed; arguments and results as for ``run_write_once_outputs``."""
    p, q, r = weights.shape[:3]
    m = _output_size(inputs, stride)
    buffer, outputs = Buffer(2 * m**2 + 1), np.zeros((p, m, m))
    begun = np.zeros(p, dtype=bool)
    for g in range(q):
        for i0, j0 in _submaps(stride):
            submap = inputs[g, i0::stride, j0::stride]
            buffer.take("inputs", submap.size)
            for f in range(p):
                if begun[f]:
                    buffer.take("outputs", m**2)
                else:
                    buffer.take("biases", 1)
                    buffer.drop(1)
                    buffer.take(None, m**2)
                    outputs[f] = biases[f]
                    begun[f] = True
                for i, j in _shared_weights(i0, j0, r, stride):
                    buffer.take("weights", 1)
                    outputs[f] += weights[f, g, i, j] * _shifted(submap, (i - i0) // stride, (j - j0) // stride)
                    buffer.drop(1)
                buffer.drop(m**2, "outputs")
            buffer.drop(submap.size)
    return outputs, buffer.accesses()


def _output_size(inputs: np.ndarray, stride: int) -> int:
    n = inputs.shape[1]
    if stride < 1 or n % stride or inputs.shape[2] != n:
        raise ValueError(f"inputs must be square and their size a multiple of the stride, got {inputs.shape} and {stride}")
    return n // stride


def _submaps(stride: int) -> Iterator[tuple[int, int]]:
    return ((i0, j0) for i0 in range(stride) for j0 in range(stride))


def _shared_weights(i0: int, j0: int, r: int, stride: int) -> Iterator[tuple[int, int]]:
    """The places in a filter whose weights a submap meets."""
    return ((i, j) for i in range(i0, r, stride) for j in range(j0, r, stride))


def _shifted(submap: np.ndarray, down: int, right: int) -> np.ndarray:
    """The inputs that meet a weight further down and right in the filter; beyond the map they are zero."""
    moved = np.zeros_like(submap)
    rows, columns = max(submap.shape[0] - down, 0), max(submap.shape[1] - right, 0)
    moved[:rows, :columns] = submap[down : down + rows, right : right + columns]
    return moved


def _check(*sizes: int) -> None:
    if min(sizes) < 1:
        raise ValueError(f"p, q, m, r and s must be at least 1, got {sizes}")
