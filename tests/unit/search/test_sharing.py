"""Splitting a shared memory: no way to share it is lost, the answer that overfilled it is excluded, and it ends."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest

from picojoule.hardware.accelerator import Level
from picojoule.search.sharing import halves, overfull

TENSORS = ("weights", "inputs", "outputs")


def memory(capacity_bits: int | None, tensors: int) -> SimpleNamespace:
    """What ``sharing`` asks a problem for: one memory that holds so many tensors."""
    level = Level(name="shared", keeps=TENSORS[:tensors], word_bits=1, capacity_bits=capacity_bits, energy_per_word=())
    return SimpleNamespace(places=[SimpleNamespace(level=level) for _ in range(tensors)])


def test_only_what_exceeds_the_capacity_is_overfull() -> None:
    assert overfull(memory(10, 2), [4.0, 6.0]) is None
    assert overfull(memory(10, 2), [5.0, 6.0]) == ([0, 1], [5.0, 6.0])
    assert overfull(memory(None, 2), [5.0, 1e9]) is None


def test_a_case_that_needs_too_much_at_least_is_dropped() -> None:
    """The relaxation may use less than a case needs at least; split again, such a case would come back for ever."""
    room = np.array([10.0, 10.0])
    assert halves(memory(10, 2), room, np.array([6.0, 7.0]), [0, 1], [5.0, 6.0]) == []
    smaller, larger = halves(memory(10, 2), room, np.zeros(2), [0, 1], [5.0, 6.0])
    assert smaller[0][1] < 6  # neither case allows 5 and 6 again
    assert larger[0][0] < 5


@pytest.mark.parametrize("seed", range(150))
def test_the_cases_cover_all_that_fits_and_come_to_an_end(seed: int) -> None:
    """A search over random tables of tile sizes and costs: the least of what fits, by splitting and by trying all."""
    rng = random.Random(seed)
    tensors, capacity = rng.choice((2, 3)), rng.randint(6, 40)
    options = [[(rng.randint(1, 30), rng.randint(0, 4)) for _ in range(8)] + [(1, 9)] for _ in range(tensors)]
    every = itertools.product(*options)
    least = min((sum(c for _, c in chosen) for chosen in every if sum(b for b, _ in chosen) <= capacity), default=None)
    problem, best, split = memory(capacity, tensors), None, 0
    stack = [(np.full(tensors, float(capacity)), np.zeros(tensors))]
    while stack:
        room, at_least = stack.pop()
        fitting = [[o for o in mine if o[0] <= room[m]] for m, mine in enumerate(options)]
        if not all(fitting):
            continue
        # The relaxation of the search: each place for itself, anything among the cheapest.
        chosen = [min(mine, key=lambda o: (o[1], rng.random())) for mine in fitting]
        cost = sum(c for _, c in chosen)
        if best is not None and cost >= best:
            continue
        over = overfull(problem, [float(b) for b, _ in chosen])
        if over is None:
            best = cost
            continue
        split += 1
        assert split < 2000, "the splitting doesn't end"
        for smaller, least_used in halves(problem, room, at_least, *over):
            assert (smaller <= room).all()
            assert (least_used >= at_least).all()
            stack.append((smaller, least_used))
    assert best == least
