"""How much longer the slowest unit takes that skips zeros, derived anew; the law is ``docs/explanation/counting.md``."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

COUNTED = 1024
"""Most weights of an input of which every number of nonzeros is looked at; more come in several such lots."""
DENSITIES = tuple(math.sin(math.pi * i / 192) ** 2 for i in range(97))
"""Densities of the weights at which the law is taken; between them it is straight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skips:
    """Densities of both operands; whether inputs are among those that are skipped; how many units differ in both operands,
    in weights alone, in inputs alone; the lanes of each."""

    weights: float
    inputs: float
    of_inputs: bool
    both: int
    apart_in_weights: int
    apart_in_inputs: int
    lanes: int


def share(skips: Skips, rounds: int, columns: float, inputs: float, visits: float) -> float:
    """Share of the steps that take time, of units that meet in a block so many different inputs and columns of weights."""
    return _straight(skips, _shares(skips, (rounds,), np.array([columns]), inputs, np.array([visits]))[:, 0])


def least_share(skips: Skips, most_rounds: int, weights: int, inputs: int) -> float:
    """The least of that for all blocks which have no more of anything."""
    rounds = tuple(range(1, max(1, min(most_rounds, weights // skips.lanes)) + 1))
    columns = np.array([max(1.0, weights / (n * skips.lanes)) for n in rounds])
    return _straight(skips, _shares(skips, rounds, columns, inputs, columns * inputs).min(axis=1))


def _straight(skips: Skips, law: np.ndarray) -> float:
    """The law at the density of the weights from those beside it, each at most what it is at any higher density."""
    after = next(i for i in range(1, len(DENSITIES)) if skips.weights < DENSITIES[i] or i == len(DENSITIES) - 1)
    high = float(law[after:].min())
    low = min(high, float(law[after - 1]))
    return low + (high - low) * (skips.weights - DENSITIES[after - 1]) / (DENSITIES[after] - DENSITIES[after - 1])


def _shares(
    skips: Skips, rounds: tuple[int, ...], columns: np.ndarray, inputs: float, visits: np.ndarray
) -> np.ndarray:
    """``[density of the weights, block]``, with the inputs as they are or, if that is less, all nonzero."""
    mean, of_a_visit = _visits(rounds, skips.lanes, skips.of_inputs)
    if skips.inputs == 0.0:
        return np.zeros_like(mean)
    weights_top, inputs_top = moments(skips.apart_in_weights), moments(skips.apart_in_inputs)
    pairs_top, both_top = moments(skips.apart_in_weights * skips.apart_in_inputs), moments(skips.both)
    law = np.ones_like(mean)
    for nonzero in (skips.inputs, 1.0):
        rare = 1.0 / nonzero - 1.0
        by_weights, by_inputs, by_pairs = of_a_visit / columns, rare / inputs, of_a_visit * rare / visits
        inner = (weights_top[0] * by_weights**0.5 + inputs_top[0] * by_inputs**0.5) ** 2 + pairs_top[0] ** 2 * by_pairs
        outer = weights_top[1] * by_weights + inputs_top[1] * by_inputs + pairs_top[1] * by_pairs
        law = np.minimum(law, nonzero * mean / np.array(rounds) * (1.0 + inner**0.5 + both_top[0] * outer**0.5))
    return law


@functools.lru_cache(maxsize=1024)
def _visits(rounds: tuple[int, ...], lanes: int, of_inputs: bool) -> tuple[np.ndarray, np.ndarray]:
    """``_visit`` at every density, for each number of rounds."""
    both = np.array([[_visit(n, lanes, density, of_inputs) for n in rounds] for density in DENSITIES])
    return both[:, :, 0], both[:, :, 1]


@functools.lru_cache(maxsize=1 << 17)
def _visit(rounds: int, lanes: int, density: float, of_inputs: bool) -> tuple[float, float]:
    """Cycles of a nonzero input, and their variance over the mean's square: by the chance that more than so many are
    needed."""
    lot = max(1, COUNTED // lanes)
    if rounds > lot:
        mean, relative = _visit(lot, lanes, density, of_inputs)
        return mean * rounds / lot, relative * lot / rounds
    if density == 1.0:
        return float(rounds), 0.0
    if density == 0.0:
        return float(of_inputs), 0.0
    weights = rounds * lanes
    number = np.arange(weights + 1)
    logs = _factorials(weights)
    chances = np.exp(
        logs[weights] - logs[number] - logs[weights - number]
        + number * math.log(density) + (weights - number) * math.log1p(-density)
    )  # fmt: skip
    # P(T > t) is the chance of more than t · lanes nonzeros; E[T] and E[T²] are sums of it.
    more = np.cumsum(chances[::-1])[::-1][1 :: lanes]
    if of_inputs:
        more[0] = 1.0
    mean = float(more.sum())
    square = float(((2 * np.arange(len(more)) + 1) * more).sum())
    return mean, max(0.0, square / mean**2 - 1.0) if mean > 0 else 0.0


@functools.lru_cache(maxsize=1024)
def _factorials(most: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


@functools.cache
def moments(count: int) -> tuple[float, float]:
    """Mean and variance of the largest of ``count`` standard normal numbers: Simpson's rule over its density."""
    steps, reach = 4000, 10.0
    width = 2 * reach / steps
    first = second = 0.0
    for i in range(steps + 1):
        x = -reach + i * width
        below = 0.5 * math.erfc(-x / math.sqrt(2.0))
        density = count * math.exp(-x * x / 2) / math.sqrt(2 * math.pi) * below ** (count - 1)
        weight = 1 if i in (0, steps) else 4 if i % 2 else 2
        first, second = first + weight * x * density, second + weight * x * x * density
    mean = first * width / 3
    return mean, second * width / 3 - mean * mean
