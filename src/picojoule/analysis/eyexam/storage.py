"""Which ways to spread a layer over the array leave tiles that fit into the memories."""

from __future__ import annotations

import math

import numpy as np

from picojoule.analysis.eyexam.subject import Subject
from picojoule.hardware.accelerator import Level
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Nest

_AXIS = {"P": ("R", "rows"), "Q": ("S", "columns")}


def fitting(subject: Subject, ways: np.ndarray) -> np.ndarray:
    """Which spatial assignments let the least tiles of all tensors fit into every level that must hold them.

    With every loop in time outside of a keep, its tile is what the positions inside work on at a time, and no mapping of the
    space has a smaller one. So without rules for tiles the answer is exact. Rules that ask for more make the least tile
    larger; rules that set limits are left out: then some that are called fitting may not be.

    Args:
        subject: the layer.
        ways: ``[assignment, axis, dimension]`` factors, as ``search.assignment`` enumerates them.
    """
    machine = subject.machine
    by_fanout, first = {}, 0
    for fanout in machine.fanouts:
        by_fanout[fanout.name] = ways[:, first : first + len(fanout.axes)].prod(axis=1)
        first += len(fanout.axes)
    one = np.ones((len(ways), len(DIMS)), dtype=np.int64)
    fits = np.ones(len(ways), dtype=bool)
    for level in machine.levels:
        outside = machine.fanouts_outside(level.name)
        inside = math.prod((f for name, f in by_fanout.items() if name not in outside), start=one)
        around = math.prod((f for name, f in by_fanout.items() if name in outside), start=one)
        held = [t for t in TENSORS if t in level.keeps and machine.home(t) is not level]
        elements = {t: _elements(subject.nest, t, _extents(subject.nest, level, t, inside, around)) for t in held}
        if level.latch:
            for tensor in held:
                fits &= elements[tensor] <= 1
        elif level.usable_bits is not None:
            room = sum((elements[t] * level.tile_bits(t, subject.bits) for t in held), np.zeros(len(ways)))
            fits &= room <= level.usable_bits
    return fits


def _extents(nest: Nest, level: Level, tensor: str, inside: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Indices of each dimension that a tile covers at least: those of the positions inside, and those that rules ask for."""
    extents = inside.copy()
    for rule in level.tiles:
        if rule.tensor == tensor and rule.dim in RELEVANT[tensor]:
            at = DIMS.index(rule.dim)
            there = -(-nest.dims[rule.dim] // around[:, at])
            wanted = there if rule.all else np.minimum(rule.least or 1, there)
            extents[:, at] = np.maximum(extents[:, at], wanted)
    return extents


def _elements(nest: Nest, tensor: str, extents: np.ndarray) -> np.ndarray:
    if tensor != "inputs":
        return extents[:, [DIMS.index(d) for d in RELEVANT[tensor]]].astype(float).prod(axis=1)
    elements = extents[:, [DIMS.index(d) for d in "NGC"]].astype(float).prod(axis=1)
    for outer, (inner, axis) in _AXIS.items():
        _, _, stride, dilation, _, _ = nest.window(axis)
        pairs, where = np.unique(extents[:, [DIMS.index(outer), DIMS.index(inner)]], axis=0, return_inverse=True)
        touched = [len({p * stride + r * dilation for p in range(ps) for r in range(rs)}) for ps, rs in pairs.tolist()]
        elements *= np.array(touched, dtype=float)[where.reshape(-1)]
    return elements
