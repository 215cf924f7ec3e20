"""All spatial assignments, each once."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from oracle.random_cases import random_accelerator

from picojoule.hardware.accelerator import Accelerator, Axis, FanOut
from picojoule.search.assignment import spatial_assignments
from picojoule.search.lattice import divisors
from picojoule.workload.nest import DIMS, Nest


def by_fanout(machine: Accelerator, ways: np.ndarray) -> set[tuple[tuple[int, ...], ...]]:
    """``[fan-out][dimension]`` factors of every way."""
    result = set()
    for way in ways:
        axis, rows = 0, []
        for fanout in machine.fanouts:
            rows.append(tuple(way[axis : axis + len(fanout.axes)].prod(axis=0).tolist()))
            axis += len(fanout.axes)
        result.add(tuple(rows))
    return result


def every(machine: Accelerator, nest: Nest, frozen: str) -> set[tuple[tuple[int, ...], ...]]:
    """The same from a plain enumeration of every factor on every axis."""
    axes = [(f, axis) for f, fanout in enumerate(machine.fanouts) for axis in fanout.axes]
    rows = [
        [
            row
            for row in itertools.product(
                *(divisors(nest.dims[d]) if d in axis.dims and d not in frozen else [1] for d in DIMS)
            )
            if math.prod(row) <= axis.size
        ]
        for _, axis in axes
    ]
    result = set()
    for chosen in itertools.product(*rows):
        total = [[1] * len(DIMS) for _ in machine.fanouts]
        for (f, _), row in zip(axes, chosen, strict=True):
            total[f] = [a * b for a, b in zip(total[f], row, strict=True)]
        if all(n % math.prod(t[i] for t in total) == 0 for i, n in enumerate(nest.dims.values())):
            result.add(tuple(map(tuple, total)))
    return result


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("frozen", ["", "G"])
def test_every_split_over_the_fanouts_comes_up_once(seed: int, frozen: str) -> None:
    rng = random.Random(seed)
    machine = random_accelerator(rng)
    nest = Nest(**{d: rng.choice((1, 2, 3, 4, 6)) for d in rng.sample(DIMS, 3)})
    ways = spatial_assignments(nest, machine, frozenset(frozen), imperfect=False)
    assert ways.shape[1:] == (sum(len(f.axes) for f in machine.fanouts), len(DIMS))
    expected = every(machine, nest, frozen)
    assert by_fanout(machine, ways) == expected
    assert len(ways) == len(expected)


def test_no_axis_carries_more_than_it_has() -> None:
    rng = random.Random(3)
    machine = random_accelerator(rng)
    while len(machine.fanouts) < 2:
        machine = random_accelerator(rng)
    axes = [axis for fanout in machine.fanouts for axis in fanout.axes]
    nest = Nest(K=12, C=6, P=4)
    for imperfect in (False, True):
        ways = spatial_assignments(nest, machine, frozenset(), imperfect=imperfect)
        for i, axis in enumerate(axes):
            assert (ways[:, i].prod(axis=1) <= axis.size).all()
            barred = [d not in axis.dims for d in DIMS]
            assert (ways[:, i][:, barred] == 1).all()


def test_imperfect_factors_waste_no_position() -> None:
    base = random_accelerator(random.Random(0))
    fan = FanOut(name="F", axes=(Axis(name="x", size=6, dims=("K",)),))
    machine = Accelerator(
        name="one axis", hierarchy=(base.levels[0], fan), unit="pJ", bits=base.bits, mac=base.mac
    )  # fmt: skip
    ways = spatial_assignments(Nest(K=7), machine, frozenset(), imperfect=True)
    # 5 and 6 positions leave two each, as 4 do.
    assert sorted(ways[:, 0, DIMS.index("K")].tolist()) == [1, 2, 3, 4]
