"""What the exits of a network answer: predictions and their confidences, from logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers of every exit to the same images.

    Attributes:
        confidence: the largest softmax output, exits × images, 0 … 1.
        right: whether the class of the largest output is the label's, exits × images, bool.
    """

    confidence: np.ndarray
    right: np.ndarray

    def __post_init__(self) -> None:
        if self.confidence.ndim != 2 or self.confidence.shape != self.right.shape or self.right.dtype != bool:
            raise InputError(
                f"confidences and right answers are both exits × images, got {self.confidence.shape} and"
                f" {self.right.shape} of {self.right.dtype}",
                where="answers",
            )
        if not self.confidence.size:
            raise InputError("there is no image", where="answers")
        wrong = np.argwhere(~((self.confidence >= 0) & (self.confidence <= 1)))
        if len(wrong):
            exit_, image = wrong[0]
            raise InputError(
                f"a confidence lies in 0 … 1, got {self.confidence[exit_, image]} at exit {exit_}, image {image}",
                where="confidence",
            )

    @property
    def accuracy(self) -> np.ndarray:
        """Of each exit."""
        return self.right.mean(1)


def answers(logits: np.ndarray, labels: np.ndarray, *, where: str = "logits") -> Answers:
    """Predictions and confidences.

    Args:
        logits: exits × images × classes, any float type.
        labels: integers, one per image, 0 … classes − 1.
        where: how messages name the logits.

    Raises:
        InputError: logits that are no finite numbers (says at which exit and image), or labels that don't match.

    Example:
        >>> found = answers(np.array([[[2.0, 0.0], [0.0, 0.0]]]), np.array([0, 1]))
        >>> found.confidence.round(2).tolist(), found.right.tolist()
        ([[0.88, 0.5]], [[True, False]])
    """
    logits, labels = checked_logits(logits, where, labels), np.asarray(labels)
    wide = logits.astype(np.float64)
    wide -= wide.max(2, keepdims=True)
    return Answers(confidence=1 / np.exp(wide).sum(2), right=logits.argmax(2) == labels)


def checked_logits(logits: np.ndarray, where: str, labels: np.ndarray | None = None) -> np.ndarray:
    """The logits as they are, exits × images × classes, if they and the labels are sound.

    Raises:
        InputError: logits that are no finite numbers (says at which exit and image), or labels that don't match.
    """
    logits = np.asarray(logits)
    if logits.ndim != 3 or logits.dtype.kind != "f":
        raise InputError(
            f"logits are floats of exits × images × classes, got {logits.dtype} {logits.shape}", where=where
        )
    if labels is not None:
        _check_labels(np.asarray(labels), logits, where)
    bad = np.argwhere(~np.isfinite(logits).all(2))
    if len(bad):
        exit_, image = bad[0]
        raise InputError(
            f"{len(bad)} of {logits.shape[0] * logits.shape[1]} answers are no finite numbers, the first at exit"
            f" {exit_}, image {image}",
            where=where,
            hint="Did the training diverge, or float16 overflow?",
        )
    return logits


def _check_labels(labels: np.ndarray, logits: np.ndarray, where: str) -> None:
    where = f"{where}: labels" if where not in ("", "logits") else "labels"
    if labels.shape != logits.shape[1:2] or labels.dtype.kind not in "iu":
        raise InputError(
            f"the logits are of {logits.shape[1]} images, the labels {labels.dtype} of shape {labels.shape}",
            where=where,
            hint="Give one whole number for each image, in the same order.",
        )
    classes = logits.shape[2]
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise InputError(
            f"labels lie in 0 … {classes - 1}, the logits' classes; got {labels.min()} … {labels.max()}", where=where
        )


def accuracy_from(exits: Answers, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of the answers that are given with a minimum confidence (Fig. 8).

    Args:
        exits: answers to the same images.
        thresholds: minimum confidences, 0 … 1.

    Returns:
        Accuracies and shares of images, both exits × thresholds. The accuracy is NaN where no answer is so confident.
    """
    accuracy = np.full((len(exits.confidence), len(thresholds)), np.nan)
    share = np.zeros_like(accuracy)
    for e, (confidence, right) in enumerate(zip(exits.confidence, exits.right, strict=True)):
        order = np.argsort(confidence)
        first = np.searchsorted(confidence[order], thresholds)
        left = len(order) - first
        hits = np.concatenate([np.cumsum(right[order][::-1])[::-1], [0]])[first]
        np.divide(hits, left, out=accuracy[e], where=left > 0)
        share[e] = left / len(order)
    return accuracy, share
