"""Compiling the search kernels, once per machine: in two processes side by side, through the cache on disk.

Nothing depends on this: a kernel that is not compiled ahead compiles when it is first called.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np

from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.search import kernel
from picojoule.search.groups import Grouping
from picojoule.search.problem import Problem
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest


def compiled() -> bool:
    """Whether the kernels lie in the cache."""
    return any(Path(kernel.sweep.stats.cache_path).glob("kernel.sweep*.nbi"))


def compile_ahead() -> None:
    """Compiles all kernels into the cache; a second process takes the half that needs nothing of the first."""
    other = None
    if sys.executable:
        other = subprocess.Popen(
            [sys.executable, "-c", "from picojoule.search.compiling import compile_tables; compile_tables()"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        tiny = _tiny(fill=False)
        found = np.zeros((len(tiny.places), 10), dtype=np.int64)
        common = (tiny.layer, tiny.lattices, tiny.windows, tiny.scratch)
        _compile(kernel.shortest_chain, tiny.window_ids[0], tiny.room, 1.0, tiny.sliding, *common, tiny.ahead)
        _compile(kernel.trace, tiny.window_ids[0], tiny.room, tiny.sliding, *common, found)
    finally:
        if other is not None:
            other.wait()
    _tiny(fill=True).bounds()


def compile_tables() -> None:
    """The half of the other process: the window tables, what lays out an assignment, and what bounds a group."""
    tiny = _tiny(fill=True)
    common = (tiny.layer, tiny.lattices, tiny.prices, tiny.windows, tiny.scratch)
    _compile(kernel.lay_out, tiny.factors[0], tiny.window_ids[0], *common)
    Grouping(tiny).narrowed(np.arange(1), None, 1.0)


def _compile(function: numba.core.dispatcher.Dispatcher, *arguments: object) -> None:
    function.compile(tuple(numba.typeof(argument) for argument in arguments))


def _tiny(fill: bool) -> Problem:
    """A layer whose arrays have the types of every layer's."""
    energies = uniform_energies(read=1, write=1, update=1)
    machine = Accelerator(
        name="tiny",
        hierarchy=(
            Level(name="far", keeps=TENSORS, word_bits=8, energy_per_word=energies),
            FanOut(name="PE", axes=(Axis(name="x", size=2, dims=DIMS),)),
            Level(name="near", keeps=TENSORS, word_bits=8, capacity_bits=8000, energy_per_word=energies),
        ),
        unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=8),
        mac=MacEnergy(bits=8, multiply=1),
    )
    paths = {t: machine.path(t) for t in TENSORS}
    factors = np.ones((1, 1, len(DIMS)), dtype=np.int64)
    nest = Nest(K=2, C=2, P=2, R=2)
    return Problem(nest, machine, machine.bits, paths, Level.energy_per_bit, factors, imperfect=False, fill=fill)
