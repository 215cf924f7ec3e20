"""How sure an exit is, from its logits and those of the exits passed: numpy alone.

max      the largest probability
margin   the largest less the second largest
entropy  1 − H/log(classes): 1 where one class has it all, 0 where all have the same
learned  ½ less half of what going on to the last exit is expected to gain: its chance to mend a wrong answer less that
         to spoil a right one, by logistic regression on the largest probabilities and the exits passed

``picojoule.exits`` fits the weights; a session applies them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RULES = ("max", "margin", "entropy", "learned")
"""How sure an exit is: its largest probability, that less the next, 1 less the relative entropy, or a fitted score."""
TOP = 3
"""Logarithms of so many largest probabilities go into the learned score."""
SMALLEST = -20.0
"""Logarithm below which a probability counts as this one."""


def log_softmax(values: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax along the last axis, float64."""
    shifted = np.asarray(values, dtype=np.float64)
    shifted = shifted - shifted.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def weighted(weights: Sequence[float], passed: Sequence[np.ndarray]) -> np.ndarray:
    """The answer of an exit: softmax(Σ w_j·log-probabilities of exit j) as logarithms, samples × classes.

    Args:
        weights: one for each exit up to this one.
        passed: log-probabilities of these exits, this one's last.
    """
    total = weights[-1] * passed[-1]
    for weight, one in zip(weights[:-1], passed[:-1], strict=True):
        if weight:
            total = total + weight * one
    return log_softmax(total)


def score(
    rule: str, logp: np.ndarray, passed: Sequence[np.ndarray], coefficients: Sequence[Sequence[float]] | None
) -> np.ndarray:
    """How sure an exit is of each sample, 0 … 1.

    Args:
        rule: one of ``RULES``.
        logp: its answer, see ``weighted``.
        passed: log-probabilities of the exits up to this one.
        coefficients: of the learned score: of the logits that the last exit mends and that it spoils the answer. None
            at the last exit, and for the other rules.
    """
    if rule == "learned":
        if coefficients is None:
            return np.full(len(logp), 0.5)
        mends, spoils = (gain_features(logp, passed) @ np.array(coefficients).T).T
        p = np.exp(log_softmax(np.stack([np.zeros_like(mends), mends, spoils], axis=1)))
        gain: np.ndarray = (1 - p[:, 1] + p[:, 2]) / 2
        return gain
    p = np.exp(logp)
    if rule == "max":
        largest: np.ndarray = p.max(1)
        return largest
    if rule == "margin":
        two = np.partition(p, -2, axis=1)[:, -2:]
        margin: np.ndarray = two[:, 1] - two[:, 0]
        return margin
    return np.clip(1 + (p * logp).sum(1) / np.log(p.shape[1]), 0, 1)


def gain_features(logp: np.ndarray, passed: Sequence[np.ndarray]) -> np.ndarray:
    """Of the learned score, samples × features: a constant, the largest log-probabilities, the entropy, and after the
    first exit the share of exits passed that gave the same answer and their mean log-probability of it."""
    top = min(TOP, logp.shape[1])
    largest = -np.sort(-logp, axis=1)[:, :top]
    entropy = -(np.exp(logp) * logp).sum(1)
    columns = [np.ones(len(logp)), *np.maximum(largest, SMALLEST).T, entropy]
    if len(passed) > 1:
        answer, before = logp.argmax(1), np.asarray(passed[:-1])
        columns.append((before.argmax(2) == answer).mean(0))
        columns.append(np.maximum(before[:, np.arange(len(answer)), answer], SMALLEST).mean(0))
    return np.stack(columns, axis=1)
