"""What a network of few classes does with images of others: a threshold on its confidence, and the rates at which it errs.

The confidence is the largest class probability (Hendrycks and Gimpel, ICLR 2017), after temperature scaling (Guo et al., ICML 2017).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_COLDEST, _HOTTEST, _HALVINGS = -3.0, 3.0, 60


def chances(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Class probabilities: images × classes."""
    scaled = logits.astype(float) / temperature
    shares = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of least cross entropy, from e⁻³ to e³: the loss is convex in its inverse, so that halving finds it.

    Of N images 1/(N + 2) of an answer counts as wrong (Platt, 1999): were all of them right, nothing else would keep the temperature from
    0, and every image, whatever it shows, from a probability of 1.
    """
    wrong = 1 / (len(labels) + 2)
    targets = np.full(logits.shape, wrong / (logits.shape[1] - 1))
    targets[np.arange(len(labels)), labels] = 1 - wrong
    centred = logits.astype(float) - logits.max(1, keepdims=True)

    def loss(log: float) -> float:
        scaled = centred / math.exp(log)
        return float((np.log(np.exp(scaled).sum(1)) - (targets * scaled).sum(1)).mean())

    low, high = _COLDEST, _HOTTEST
    for _ in range(_HALVINGS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def rejection(choosing: np.ndarray, kept: np.ndarray, others: np.ndarray, *, rejected: float) -> dict[str, Any]:
    """A threshold and its rates.

    Args:
        choosing: confidences in images of the kept classes by which the threshold is chosen.
        kept: in other images of theirs.
        others: in images of other classes.
        rejected: the share of ``choosing`` that may fall below the threshold.

    Returns:
        ``threshold``; the share of ``kept`` below it, the share of ``others`` not below it, the chance that one of ``kept`` lies above
        one of ``others`` (AUROC), and which of ``others`` are ``accepted``.
    """
    ordered = np.sort(choosing)
    threshold = float(ordered[min(len(ordered) - 1, int(rejected * len(ordered)))])
    accepted = others >= threshold
    return {
        "threshold": threshold,
        "kept_rejected": float((kept < threshold).mean()),
        "others_accepted": float(accepted.mean()),
        "auroc": auroc(kept, others),
        "accepted": accepted,
    }


def auroc(above: np.ndarray, below: np.ndarray) -> float:
    """The chance that one of ``above`` is larger than one of ``below``, equal ones counted half."""
    ordered = np.sort(below)
    places = np.searchsorted(ordered, above, "left") + np.searchsorted(ordered, above, "right")
    return float(places.mean() / (2 * len(below)))
