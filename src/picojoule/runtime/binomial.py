"""What right answers among so many samples say of an accuracy: exact binomial tests and bounds, numpy alone."""

from __future__ import annotations

import math

import numpy as np

MOST_SAMPLES = 1 << 40


def p_value(right: int, images: int, target: float) -> float:
    """The probability of at least so many right answers if the accuracy were just the target; exact binomial.

    Args:
        right: answers that are.
        images: there are.
        target: accuracy, 0 to 1.

    >>> round(p_value(9, 10, 0.5), 6)  # (10 + 1) / 2¹⁰
    0.010742
    """
    if target <= 0 or right <= 0:
        return 1.0 if right <= 0 else 0.0
    if target >= 1:
        return 1.0
    wrong = images - right
    k = np.arange(wrong + 1)
    steps = np.log((images - k[1:] + 1) / k[1:])
    logs = np.concatenate([[0.0], np.cumsum(steps)]) + k * math.log1p(-target) + (images - k) * math.log(target)
    most = float(logs.max())
    return min(1.0, math.exp(most) * float(np.exp(logs - most).sum()))


def lower_bound(right: int, images: int, delta: float) -> float:
    """The accuracy that is undercut with a probability of at most δ (Clopper–Pearson, one-sided).

    Args:
        right: answers that are.
        images: there are.
        delta: δ.

    >>> round(lower_bound(10, 10, 0.1), 4)  # 0.1^(1/10)
    0.7943
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(right, images, middle) <= delta else (low, middle)
    return low


def samples_needed(accuracy: float, target: float, delta: float) -> int | None:
    """About how many samples guarantee a target if so large a share of them is answered right; None if none do.

    Args:
        accuracy: that share.
        target: accuracy to guarantee, 0 to 1.
        delta: the probability with which the guarantee may fail.

    >>> samples_needed(1.0, 0.9, 0.1)  # 0.9²² ≤ 0.1
    22
    """
    if accuracy <= target:
        return None

    def enough(n: int) -> bool:
        return p_value(math.floor(accuracy * n + 1e-9), n, target) <= delta

    high = 1
    while not enough(high):
        high *= 2
        # Beyond a few millions the normal approximation is as good, and quick.
        if high > 1 << 22:
            z = _normal_quantile(1 - delta)
            n = (z * math.sqrt(target * (1 - target)) / (accuracy - target)) ** 2
            return math.ceil(n) if n < MOST_SAMPLES else None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)
