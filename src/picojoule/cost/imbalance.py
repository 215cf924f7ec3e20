"""How long the slowest of many units takes that skip zeros, each its own; ``counting.md`` has the law."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

MOST_COUNTED = 1024
"""Weights of an input up to which every number of nonzeros is looked at; more are taken for so many after each other."""
STEPS = 96
"""The law is taken at one density more than this, and is straight between them."""
_GRID = (1 - np.cos(np.pi * np.arange(STEPS + 1) / STEPS)) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a unit does between two waits.

    Attributes:
        rounds: steps in which an input stays in its place and meets one weight per lane in each.
        columns: different sets of weights that meet an input so.
        inputs: different inputs.
        visits: inputs that come into their place, each as often as it does.
    """

    rounds: int
    columns: float
    inputs: float
    visits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How many units differ in both operands, in weights alone, in inputs alone; and the lanes of each."""

    both: int
    weights: int
    inputs: int
    lanes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonzero:
    """Shares of nonzeros in the operands that are skipped, 1 in those that aren't; ``looks`` if a unit looks for inputs."""

    weights: float
    inputs: float
    looks: bool


def paced(nonzero: Nonzero, units: Units, block: Block) -> float:
    """Share of the steps that take time, as the slowest unit has it: at least that of the MACs left, at most 1.

    Works are taken for normally distributed, which a few that are nearly dense are not. So what the law says of more nonzeros
    is a limit: that of dense inputs, and those of all higher densities of weights.
    """
    mean, variance = (x[:, block.rounds - 1] for x in _times(block.rounds, units.lanes, nonzero.looks))
    rounds, columns, visits = (np.float64(n) for n in (block.rounds, block.columns, block.visits))
    return _limited(nonzero, units, (mean, variance), rounds, columns, block.inputs, visits)


def least_paced(nonzero: Nonzero, units: Units, *, rounds: int, weights: float, inputs: float) -> float:
    """What ``paced`` can't get below for any block that has no more of anything than this.

    Args:
        rounds: in which an input stays in its place.
        weights, inputs: different ones, those of all lanes together.
    """
    every = np.arange(1, max(1, min(rounds, int(weights) // units.lanes)) + 1)
    times = tuple(x[:, every - 1] for x in _times(len(every), units.lanes, nonzero.looks))
    columns = np.maximum(weights / (every * units.lanes), 1.0)
    return _limited(nonzero, units, times, every, columns, inputs, columns * inputs)


def _limited(nonzero: Nonzero, units: Units, times, rounds, columns, inputs: float, visits) -> float:  # type: ignore[no-untyped-def]
    """The law at one density, of one block or the least of several: ``times`` is ``[density, block]``, or ``[density]``."""
    if nonzero.inputs == 0:
        return 0.0
    first = min(int(np.searchsorted(_GRID, nonzero.weights, side="right")) - 1, STEPS - 1)
    mean, variance = (x[first:] for x in times)
    of_weights = np.divide(variance, mean**2, out=np.zeros_like(mean), where=mean > 0)
    shares = np.ones(len(mean))
    for share in (nonzero.inputs, 1.0):
        of_inputs = (1 - share) / share
        excess = _excess(units, of_weights / columns, of_inputs / inputs, of_weights * of_inputs / visits)
        here = share * mean / rounds * (1 + excess)
        shares = np.minimum(shares, here if here.ndim == 1 else here.min(axis=1))
    # Nowhere more than at a higher density.
    limited = np.minimum.accumulate(shares[::-1])[::-1]
    left, right = _GRID[first], _GRID[first + 1]
    return float(limited[0] + (limited[1] - limited[0]) * (nonzero.weights - left) / (right - left))


def _times(rounds: int, lanes: int, looks: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the cycles of an input, ``[density of its weights, rounds − 1]``, up to ``rounds`` at least."""
    return _times_up_to(1 << max(4, (rounds - 1).bit_length()), lanes, looks)


@functools.lru_cache(maxsize=64)
def _times_up_to(rounds: int, lanes: int, looks: bool) -> tuple[np.ndarray, np.ndarray]:
    """A unit turns to the next input once all nonzero weights are done; where it looks for inputs, an input takes a cycle
    in any case."""
    mean, variance = np.empty((2, STEPS + 1, rounds))
    whole = min(rounds, max(1, MOST_COUNTED // lanes))
    chances = np.ones((STEPS + 1, 1))
    density = _GRID[:, None]
    for one in range(whole):
        for _ in range(lanes):
            chances = np.pad(chances * (1 - density), ((0, 0), (0, 1))) + np.pad(chances * density, ((0, 0), (1, 0)))
        cycles = np.maximum(1.0 if looks else 0.0, -(-np.arange(chances.shape[1]) // lanes))
        mean[:, one] = chances @ cycles
        variance[:, one] = chances @ cycles**2 - mean[:, one] ** 2
    more = np.arange(whole + 1, rounds + 1) / whole
    mean[:, whole:], variance[:, whole:] = np.outer(mean[:, whole - 1], more), np.outer(variance[:, whole - 1], more)
    return mean, np.maximum(variance, 0.0)


def _excess(units: Units, of_weights, of_inputs, of_pairs):  # type: ignore[no-untyped-def]
    """What the largest of a grid of works is above the mean of all, in means; numbers or arrays.

    Args:
        of_weights, of_inputs, of_pairs: variances of the work relative to its mean's square, that the choice of
            weights, of inputs, and of the pairs of both bring about.
    """
    both, weights, inputs = (largest(n) for n in (units.both, units.weights, units.inputs))
    pairs = largest(units.weights * units.inputs)
    lead = weights.mean * np.sqrt(of_weights) + inputs.mean * np.sqrt(of_inputs)
    rest = weights.variance * of_weights + inputs.variance * of_inputs + pairs.variance * of_pairs
    return np.hypot(lead, pairs.mean * np.sqrt(of_pairs)) + both.mean * np.sqrt(rest)


@dataclass(frozen=True, slots=True)
class Largest:
    """Mean and variance of the largest of several standard normal numbers."""

    mean: float
    variance: float


_REACH = 12.0


@functools.cache
def largest(count: int) -> Largest:
    """Of ``count`` independent ones.

    Example:
        >>> round(largest(2).mean, 6)  # 1 / √π
        0.56419
    """
    if count == 1:
        return Largest(0.0, 1.0)
    at = np.linspace(-_REACH, _REACH, 4801)
    below = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in at])
    # Sums over a fine grid are as good as integrals of what falls off so fast.
    density = np.gradient(at) * count * np.exp(-(at**2) / 2) / math.sqrt(2 * math.pi) * below ** (count - 1)
    mean = float((at * density).sum())
    return Largest(mean, float((at**2 * density).sum()) - mean**2)
