"""What every setting of a front does on images, beside the rule of eq. (10): what a report draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.exits.answers import answers, checked_logits
from picojoule.exits.deciding import Decision
from picojoule.exits.deploying import thinned
from picojoule.exits.front import leaving
from picojoule.exits.rule import Achieved, Rule, achieved

MOST = 64
DESIRED = np.linspace(0, 1, 101)
BETAS = ((1.0, 1.0), (0.8, 1.1))
"""β₁ and β₂ of the document's figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One setting on the images.

    Attributes:
        thresholds: of each exit asked but the last; ∞ where none leaves.
        accuracy: share of right answers.
        energy: mean of an image, in the unit of the exits' energies.
        left: images that left at each exit of the network.
        right: of these, those that were answered right.
    """

    thresholds: tuple[float, ...]
    accuracy: float
    energy: float
    left: tuple[int, ...]
    right: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A front on images that may have had no part in it.

    Attributes:
        images: how many.
        points: of the settings with the exits that the decision asks, from the cheapest to the most accurate on the
            choosing images; 64 at most.
        chosen: number of the point that was decided for.
        energies: of an image that leaves at each exit of the network; None where an exit isn't asked.
        rule: what the rule of eq. (10) achieves on the same images for accuracies desired from 0 to 1 and both pairs of β
            of the document, all heads passed charged; its A_train are the accuracies of the exits on the choosing images.
    """

    images: int
    points: tuple[CurvePoint, ...]
    chosen: int
    energies: tuple[float | None, ...]
    rule: tuple[Achieved, ...]


def curve_of(decision: Decision, logits: np.ndarray, labels: np.ndarray, *, where: str = "logits") -> Curve:
    """The front of a decision on images.

    Args:
        decision: of ``decide``.
        logits: exits × images × classes, of all exits of the network.
        labels: one per image.
        where: how messages name the logits.

    Raises:
        InputError: logits and labels that don't match.
    """
    logits, labels = checked_logits(logits, where, labels), np.asarray(labels)
    asked = decision.policy.asked
    mine = [setting for setting in decision.front if setting.policy.asked == asked]
    kept = thinned(mine, MOST)
    shown = [one for one in mine if one is decision.setting or any(one is other for other in kept)]
    scored = decision.policy.scorer.read(logits[list(asked)], where=where)
    good = scored.predicted == labels
    exits = len(logits)
    energies: list[float | None] = [None] * exits
    for number, energy in zip(asked, decision.policy.energies.leaving(asked), strict=True):
        energies[number] = energy
    points = []
    for setting in shown:
        left = leaving(scored.score, setting.policy.thresholds)
        hit, at = good[left, np.arange(len(left))], np.array(asked)[left]
        counts = np.bincount(at, minlength=exits)
        points.append(
            CurvePoint(
                thresholds=setting.policy.thresholds,
                accuracy=float(hit.mean()),
                energy=float(sum(counts[e] * (energies[e] or 0.0) for e in asked) / len(left)),
                left=tuple(counts.tolist()),
                right=tuple(np.bincount(at[hit], minlength=exits).tolist()),
            )
        )
    said, taken = answers(logits, labels, where=where), decision.policy.energies.leaving()
    rules = [Rule(train_accuracy=decision.fixed_accuracy, beta1=beta1, beta2=beta2) for beta1, beta2 in BETAS]
    return Curve(
        images=len(labels),
        points=tuple(points),
        chosen=[one is decision.setting for one in shown].index(True),
        energies=tuple(energies),
        rule=tuple(point for rule in rules for point in achieved(rule, said, taken, DESIRED.tolist())),
    )
