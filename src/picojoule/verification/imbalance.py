"""How much longer the slowest unit takes that skips zeros, derived anew; the law is ``docs/explanation/counting.md``."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

from picojoule.hardware.accelerator import Accelerator
from picojoule.verification.least import touched
from picojoule.workload.nest import Nest

CHOOSE = {"both": "GCRS", "weights": "K", "inputs": "NPQ"}
"""Dimensions whose positions have both operands of their own, weights alone, or inputs alone."""


def units_of(machine: Accelerator) -> tuple[str, ...]:
    """Names of the fan-outs whose positions skip on their own, from the outermost."""
    names: list[str] = []
    for fanout in machine.fanouts if machine.skipping else ():
        names.append(fanout.name)
        if fanout.name == machine.units:
            break
    return tuple(names)


def timed_share(machine: Accelerator, nest: Nest, positions: Mapping[str, int], lanes: int) -> float:
    """Share of the steps that take time, with so many positions of every dimension, and lanes in each of them."""
    density = dict(machine.density)
    if all(share in (0.0, 1.0) for share in density.values()):
        return machine.timed
    count = {who: math.prod(positions[d] for d in dims) for who, dims in CHOOSE.items()}
    deviation, span = {}, {}
    for operand in ("weights", "inputs"):
        share = density.get(operand, 1.0)
        has = touched(nest, operand) / (count["both"] * count[operand])
        span[operand] = max(1.0, min([has, *(n for t, n in machine.run_ahead if t == operand)]))
        deviation[operand] = math.sqrt((1.0 - share) / share) if share > 0 else 0.0
    rounds = max(1, round(span["weights"] / (span["inputs"] * lanes)))
    lost, of_a_weight = _in_rounds(rounds, lanes, density.get("weights", 1.0))
    deviation["weights"] = math.sqrt(of_a_weight)
    pair = deviation["weights"] * deviation["inputs"] / math.sqrt(max(span["weights"], span["inputs"]))
    single = {operand: deviation[operand] / math.sqrt(span[operand]) for operand in span}
    top = {who: moments(count[who]) for who in CHOOSE}
    tops = moments(count["weights"] * count["inputs"])
    inner = sum(top[operand][0] * single[operand] for operand in single)
    inner = math.sqrt(inner**2 + (tops[0] * pair) ** 2)
    spread = sum(top[operand][1] * single[operand] ** 2 for operand in single) + tops[1] * pair**2
    slowest = 1.0 + inner + top["both"][0] * math.sqrt(spread)
    return min(1.0, machine.timed * slowest * lost)


@functools.cache
def _in_rounds(rounds: int, lanes: int, density: float) -> tuple[float, float]:
    """Cycles of an input with its weights, over those of its nonzeros in full lanes: by the chance that more than so many
    rounds are needed, one round in any case. And their variance, over the mean's square and by weight."""
    weights = rounds * lanes
    if density in (0.0, 1.0):
        return 1.0, 0.0
    full = weights * density / lanes
    if weights > 512:
        mean = full + (lanes - 1) / (2 * lanes)
        return mean / full, full * (1 - density) / lanes / mean**2 * weights
    # P(at most n nonzeros), by adding one weight after the other.
    at = [1.0] + [0.0] * weights
    for _ in range(weights):
        at = [at[n] * (1 - density) + (at[n - 1] * density if n else 0.0) for n in range(weights + 1)]
    more = [1.0 - math.fsum(at[: r * lanes + 1]) for r in range(1, rounds)]
    mean = 1.0 + math.fsum(more)
    # E[T²] = Σ (2r + 1) P(T > r)
    square = 1.0 + math.fsum((2 * r + 1) * chance for r, chance in enumerate(more, start=1))
    return mean / full, (square - mean**2) / mean**2 * weights


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
