"""How much longer than on average the slowest of many units takes that skip zeros, each its own; ``counting.md`` has the law."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from picojoule.hardware.accelerator import Accelerator, FanOut
from picojoule.workload.nest import DIMS, RELEVANT, Nest

MOST_COUNTED = 512
"""Weights of an input up to which every number of nonzeros is looked at; above, a part of a lane is left over on average."""

_BOTH = RELEVANT["weights"] & RELEVANT["inputs"]
_WEIGHTS = RELEVANT["weights"] - RELEVANT["inputs"]
_INPUTS = RELEVANT["inputs"] - RELEVANT["weights"]


def unit_fanouts(accelerator: Accelerator) -> tuple[FanOut, ...]:
    """The fan-outs whose positions skip on their own, outermost first; those inside them are the lanes of a unit."""
    names = [fanout.name for fanout in accelerator.fanouts]
    if not names or not accelerator.skipping:
        return ()
    last = accelerator.units if accelerator.units is not None else names[-1]
    return accelerator.fanouts[: names.index(last) + 1]


def pace(accelerator: Accelerator, nest: Nest, spread: Mapping[str, int], lanes: int) -> float:
    """Share of the steps of a nest that are left where zeros are skipped; at least ``accelerator.timed``, at most 1.

    Args:
        accelerator: as ``zeros.priced`` made it for the layer.
        nest: the layer.
        spread: units over which each dimension is spread.
        lanes: products of one input that a unit makes at a time.
    """
    density = {"weights": 1.0, "inputs": 1.0, **dict(accelerator.density)}
    if all(share in (0.0, 1.0) for share in density.values()):
        return accelerator.timed
    both, weights, inputs = (math.prod(spread.get(d, 1) for d in DIMS if d in dims) for dims in (_BOTH, _WEIGHTS, _INPUTS))
    ahead = dict(accelerator.run_ahead)
    own = {t: max(1.0, nest.elements(t) / (both * apart)) for t, apart in (("weights", weights), ("inputs", inputs))}
    span = {t: min(n, ahead.get(t, math.inf)) for t, n in own.items()}
    share = density["inputs"]
    of_inputs = (1 - share) / share if share > 0 else 0.0
    each = lanes * max(1, round(span["weights"] / (span["inputs"] * lanes)))
    time = _input_time(each, lanes, density["weights"])
    excess = _excess(
        (both, weights, inputs),
        time.variance / span["weights"],
        of_inputs / span["inputs"],
        time.variance * of_inputs / max(span.values()),
    )
    return min(1.0, accelerator.timed * time.mean * (1 + excess))


@dataclass(frozen=True, slots=True)
class _Time:
    """Of an input with its weights: the mean, over that of its nonzero weights shared out among the lanes; and the variance
    that a single weight brings about, over the square of the mean."""

    mean: float
    variance: float


@functools.lru_cache(maxsize=65536)
def _input_time(weights: int, lanes: int, density: float) -> _Time:
    """A unit turns to the next input once all nonzero weights are done, and takes a cycle where there are none."""
    if density in (0.0, 1.0):
        return _Time(1.0, 0.0)
    if weights > MOST_COUNTED:
        mean = weights * density / lanes + (lanes - 1) / (2 * lanes)
        variance = weights * density * (1 - density) / lanes**2
    else:
        chances = [math.comb(weights, n) * density**n * (1 - density) ** (weights - n) for n in range(weights + 1)]
        cycles = [max(1, -(-n // lanes)) for n in range(weights + 1)]
        mean = math.fsum(chance * n for chance, n in zip(chances, cycles, strict=True))
        variance = math.fsum(chance * (n - mean) ** 2 for chance, n in zip(chances, cycles, strict=True))
    return _Time(mean * lanes / (weights * density), variance / mean**2 * weights)


@functools.lru_cache(maxsize=65536)
def _excess(units: tuple[int, int, int], of_weights: float, of_inputs: float, of_pairs: float) -> float:
    """What the largest of a grid of works is above the mean of all, in means.

    Args:
        units: that differ in both operands, in weights alone, in inputs alone.
        of_weights, of_inputs, of_pairs: variances of the work relative to its mean's square, that the choice of
            weights, of inputs, and of the pairs of both bring about.
    """
    both, weights, inputs = (largest(n) for n in units)
    pairs = largest(units[1] * units[2])
    lead = weights.mean * math.sqrt(of_weights) + inputs.mean * math.sqrt(of_inputs)
    rest = weights.variance * of_weights + inputs.variance * of_inputs + pairs.variance * of_pairs
    return math.hypot(lead, pairs.mean * math.sqrt(of_pairs)) + both.mean * math.sqrt(rest)


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
