"""Leaving at the first exit that is good enough: the rule of eq. (10), and what it achieves and takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.exits.answers import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Leave at the first exit *l* with β₁·A_train,l ≥ Ã or C_l ≥ β₂·Ã; if there is none, at the last.

    Attributes:
        train_accuracy: A_train of each exit, on the images that it was trained on.
        beta1: β₁ > 0, below 1 where a new image is answered worse than those of training.
        beta2: β₂ > 0, above 1 where confidences promise too much.
    """

    train_accuracy: tuple[float, ...]
    beta1: float = 1.0
    beta2: float = 1.0

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} is a number above 0, got {value!r}", where=name)
        if not self.train_accuracy or not all(0 <= x <= 1 for x in self.train_accuracy):
            raise InputError(f"accuracies lie in 0 … 1, got {self.train_accuracy}", where="train_accuracy")

    def exits(self, confidence: np.ndarray, desired: float) -> np.ndarray:
        """Where each image leaves.

        Args:
            confidence: exits × images.
            desired: Ã, 0 … 1.

        Returns:
            Exit numbers from 0, one per image.

        Raises:
            UsageError: Ã is out of range.
            InputError: not exits × images, or another number of exits than of training accuracies.

        >>> Rule(train_accuracy=(0.5, 0.9)).exits(np.array([[0.2, 0.8], [0.3, 0.3]]), 0.7).tolist()
        [1, 0]
        """
        if not 0 <= desired <= 1:
            raise UsageError(f"a desired accuracy lies in 0 … 1, got {desired!r}", where="desired")
        if confidence.ndim != 2:
            raise InputError(f"confidences are exits × images, got {confidence.shape}", where="confidence")
        if len(confidence) != len(self.train_accuracy):
            raise InputError(
                f"{len(confidence)} exits answer, {len(self.train_accuracy)} have a training accuracy",
                where="confidence",
            )
        good = confidence >= self.beta2 * desired
        good |= (self.beta1 * np.asarray(self.train_accuracy) >= desired)[:, None]
        good[-1] = True
        return good.argmax(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Achieved:
    """What a rule achieves for one desired accuracy.

    Attributes:
        desired: Ã.
        accuracy: share of right answers, each taken where its image left.
        energy: mean of an inference, in the unit of the exits' energies.
        shares: of images that leave at each exit.
    """

    desired: float
    accuracy: float
    energy: float
    shares: tuple[float, ...]


def achieved(rule: Rule, exits: Answers, energies: Sequence[float], desired: Sequence[float]) -> list[Achieved]:
    """Accuracy and energy by the rule (Figs. 9 and 10), one for each desired accuracy.

    Args:
        rule: how images leave.
        exits: what the exits answer to the images to be judged, which neither trained them nor chose the rule.
        energies: of an inference that leaves at each exit, everything on the way included that shall be charged.
        desired: values of Ã.

    Raises:
        InputError: another number of energies than of exits, or an energy that is none.
    """
    if len(energies) != len(exits.right):
        raise InputError(f"{len(exits.right)} exits need as many energies, got {len(energies)}", where="energies")
    if not all(math.isfinite(energy) and energy >= 0 for energy in energies):
        raise InputError(f"an energy is a number from 0, got {list(energies)}", where="energies")
    found = []
    for wanted in desired:
        left = rule.exits(exits.confidence, wanted)
        shares = np.bincount(left, minlength=len(energies)) / len(left)
        found.append(
            Achieved(
                desired=float(wanted),
                accuracy=float(exits.right[left, np.arange(len(left))].mean()),
                energy=float(shares @ np.asarray(energies, dtype=float)),
                shares=tuple(shares.tolist()),
            )
        )
    return found


def baseline_energy(accuracies: Sequence[float], energies: Sequence[float], wanted: np.ndarray) -> np.ndarray:
    """Energy of networks of fixed depth at an accuracy: straight lines between those that are worth taking.

    A network is worth taking if no other is as accurate for less. Between two of them a share of the inputs may go to
    each, at random.

    Args:
        accuracies: of the networks, 0 … 1.
        energies: of the networks, in any unit.
        wanted: accuracies at which to tell the energy.

    Returns:
        Energies, one for each wanted accuracy: NaN above the most accurate network; below the least accurate, its energy.

    Example:
        >>> baseline_energy([0.5, 0.7], [1.0, 3.0], [0.6]).tolist()
        [2.0]
    """
    order = sorted(zip(energies, accuracies, strict=True))
    front: list[tuple[float, float]] = []
    for energy, accuracy in order:
        if not front or accuracy > front[-1][1]:
            front.append((energy, accuracy))
    wanted = np.asarray(wanted, dtype=float)
    found = np.interp(wanted, [accuracy for _, accuracy in front], [energy for energy, _ in front])
    return np.where(wanted > front[-1][1], np.nan, found)
