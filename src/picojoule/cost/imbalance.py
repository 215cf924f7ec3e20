"""How much longer than on average the slowest of many units takes that skip zeros, each its own; ``counting.md`` has the law."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from picojoule.hardware.accelerator import Accelerator, FanOut
from picojoule.workload.nest import DIMS, RELEVANT, Nest

_BOTH = RELEVANT["weights"] & RELEVANT["inputs"]
_WEIGHTS = RELEVANT["weights"] - RELEVANT["inputs"]
_INPUTS = RELEVANT["inputs"] - RELEVANT["weights"]


def unit_fanouts(accelerator: Accelerator) -> tuple[FanOut, ...]:
    """The fan-outs whose positions skip on their own, outermost first; those inside them work in step."""
    names = [fanout.name for fanout in accelerator.fanouts]
    if not names or not accelerator.skipping:
        return ()
    last = accelerator.units if accelerator.units is not None else names[-1]
    return accelerator.fanouts[: names.index(last) + 1]


def stretch(accelerator: Accelerator, nest: Nest, spread: Mapping[str, int]) -> float:
    """Time of the slowest unit over that of the average one, at least 1.

    Args:
        accelerator: as ``zeros.priced`` made it for the layer.
        nest: the layer.
        spread: units over which each dimension is spread.
    """
    density = {"weights": 1.0, "inputs": 1.0, **dict(accelerator.density)}
    odds = {t: (1 - share) / share if share > 0 else 0.0 for t, share in density.items()}
    if not any(odds.values()):
        return 1.0
    both, weights, inputs = (math.prod(spread.get(d, 1) for d in DIMS if d in dims) for dims in (_BOTH, _WEIGHTS, _INPUTS))
    ahead = dict(accelerator.run_ahead)
    own = {t: max(1.0, nest.elements(t) / (both * apart)) for t, apart in (("weights", weights), ("inputs", inputs))}
    span = {t: min(n, ahead.get(t, math.inf)) for t, n in own.items()}
    excess = _excess(
        (both, weights, inputs),
        odds["weights"] / span["weights"],
        odds["inputs"] / span["inputs"],
        odds["weights"] * odds["inputs"] / max(span.values()),
    )
    most = 1 / math.prod(density.values()) if all(density.values()) else math.inf
    return min(1 + excess, most)


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
