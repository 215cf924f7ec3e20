"""When to leave a network with exits: scores, thresholds and a guarantee put together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.exits.answers import checked_logits
from picojoule.exits.confidence import Scorer, cross_fitted, fit_scorer
from picojoule.exits.energies import ExitEnergies
from picojoule.exits.front import best_thresholds, leaving
from picojoule.exits.guarantee import check_apart, check_delta, check_images, check_target, guaranteed, lower_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How a setting does on images.

    Attributes:
        images: how many.
        accuracy: share of right answers, each taken where its image left.
        energy: mean of an image, in the unit of the exits' energies.
        shares: of images that leave at each exit.
    """

    images: int
    accuracy: float
    energy: float
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How samples leave: at the first exit whose score reaches its threshold, else at the last.

    Attributes:
        asked: numbers of the exits whose classifiers run, rising; the last exit is among them.
        scorer: logits of these exits → answers and scores.
        thresholds: of each exit asked but the last; ∞ where none leaves.
        energies: of the whole network.
    """

    asked: tuple[int, ...]
    scorer: Scorer
    thresholds: tuple[float, ...]
    energies: ExitEnergies

    def apply(self, logits: np.ndarray, *, where: str = "logits") -> tuple[np.ndarray, np.ndarray]:
        """Where each sample leaves, and what it is taken for.

        Args:
            logits: exits × images × classes, of all exits of the network.

        Returns:
            Exit numbers and class numbers, one of each per image.

        Raises:
            InputError: logits that are no finite numbers, or of another number of exits.
        """
        logits = _of_exits(checked_logits(logits, where), self.energies, where)
        scored = self.scorer.read(logits[list(self.asked)], where=where)
        left = leaving(scored.score, self.thresholds)
        return np.array(self.asked)[left], scored.predicted[left, np.arange(len(left))]

    def measure(self, logits: np.ndarray, labels: np.ndarray, *, where: str = "logits") -> Measured:
        """Accuracy and energy on images.

        Raises:
            InputError: logits and labels that don't match, or no image.
        """
        logits, labels = checked_logits(logits, where, labels), np.asarray(labels)
        if not len(labels):
            raise InputError("there is no image", where=where)
        left, predicted = self.apply(logits, where=where)
        return self._measured(left, predicted == labels)

    def _measured(self, left: np.ndarray, right: np.ndarray) -> Measured:
        energies = np.zeros(len(self.energies.heads))
        energies[list(self.asked)] = self.energies.leaving(self.asked)
        shares = np.bincount(left, minlength=len(energies)) / len(left)
        return Measured(
            images=len(left), accuracy=float(right.mean()), energy=float(shares @ energies), shares=tuple(shares.tolist())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A policy with what it did on the choosing images.

    Attributes:
        policy: it.
        accuracy: share of right answers and mean energy, each image scored by a fit to other folds.
        energy: see ``accuracy``.
    """

    policy: Policy
    accuracy: float
    energy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A policy for a target, and what it rests on.

    Attributes:
        setting: to be used.
        target_accuracy: that was asked for.
        delta: the target is missed with a probability of at most δ; None without calibration images: no guarantee.
        next_images: those that the guarantee is for; None: in the long run.
        calibrated: the policy on the calibration images; None without.
        at_least: accuracy that the calibration images would grant this policy alone with confidence 1 − δ, had they not
            taken part in its choice; None without.
        tested: settings tested on calibration images.
        fixed_accuracy: of each exit, were all images to leave there; on the choosing images.
        front: every setting worth taking on the choosing images, from the cheapest to the most accurate.
        combinations: of exits asked and thresholds that were searched.
        counted: of these, looked at; the others lie in branches that a bound ruled out.
    """

    setting: Setting
    target_accuracy: float
    delta: float | None
    next_images: int | None
    calibrated: Measured | None
    at_least: float | None
    tested: int
    fixed_accuracy: tuple[float, ...]
    front: tuple[Setting, ...]
    combinations: int
    counted: int

    @property
    def policy(self) -> Policy:
        """Of the setting to be used."""
        return self.setting.policy

    @property
    def manifest_exits(self) -> tuple[dict[str, float | None], ...] | None:
        """Temperature and threshold of each exit that is asked, as a bundle's manifest has them; None if a manifest
        can't say it: it knows the largest probability, and no combining."""
        temperatures = self.policy.scorer.temperatures
        if self.policy.scorer.rule != "max" or temperatures is None:
            return None
        thresholds = [*(t if math.isfinite(t) else None for t in self.policy.thresholds), None]
        return tuple(
            {"temperature": temperature, "threshold": threshold}
            for temperature, threshold in zip(temperatures, thresholds, strict=True)
        )


MOST_SUBSETS = 128
"""Sets of exits that are tried at most: eight exits."""


def decide(
    logits: np.ndarray,
    labels: np.ndarray,
    energies: Sequence[float] | ExitEnergies,
    *,
    target_accuracy: float,
    calibration: tuple[np.ndarray, np.ndarray] | None = None,
    delta: float = 0.1,
    next_images: int | None = None,
    rule: str = "max",
    combine: bool = False,
    ask: str = "all",
    levels: int | None = None,
    folds: int = 5,
    seed: int = 0,
    where: str = "logits",
    calibration_where: str = "calibration",
) -> Decision:
    """The thresholds of least energy for a target accuracy, with a guarantee if there are images to test them on.

    Args:
        logits: exits × images × classes, of images that didn't train the network: they fit scores and choose thresholds.
        labels: one per image.
        energies: of a sample that leaves at each exit, layers and heads passed included; in any unit. Or by parts.
        target_accuracy: 0 … 1, both excluded.
        calibration: logits and labels of other images, drawn as those to come. Without them the target holds on the
            choosing images, and nothing is promised.
        delta: δ, the probability with which the target may be missed.
        next_images: guarantee the target on the next so many images, not in the long run.
        rule: how sure an exit is: max, margin, entropy or learned.
        combine: let exits that were passed have a say in the answers.
        ask: ``all`` exits, or the ``best`` set of them: every set is tried, and heads left out cost nothing.
        levels: thresholds tried at each exit; see ``best_thresholds``.
        folds: of the cross-fitted scores that thresholds are chosen on.
        seed: see ``folds``.
        where: how messages name the two sets of images.
        calibration_where: see ``where``.

    Raises:
        UsageError: a target, δ, rule or number that is out of range, or arguments that do nothing together.
        InputError: data that don't match, an empty calibration set, or a target that can't be met or guaranteed.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 2, 400)
        >>> logits = np.stack([s * (2 * np.eye(2)[labels] - 1) + rng.normal(size=(400, 2)) for s in (0.7, 1.5)])
        >>> found = decide(logits, labels, [1.0, 4.0], target_accuracy=0.95)
        >>> found.setting.accuracy >= 0.95 and found.setting.energy < 4
        True
    """
    check_target(target_accuracy)
    check_delta(delta)
    logits, labels = checked_logits(logits, where, labels), np.asarray(labels)
    parts = energies if isinstance(energies, ExitEnergies) else ExitEnergies.of_stages(energies)
    logits = _of_exits(logits, parts, where)
    if calibration is None and next_images is not None:
        raise UsageError(
            "without calibration images nothing is guaranteed, nor on the next images",
            where="next_images",
            hint="Give calibration images, or leave it out.",
        )
    if calibration is not None:
        _of_exits(checked_logits(calibration[0], calibration_where, calibration[1]), parts, calibration_where)
        check_images(len(calibration[1]), target_accuracy, delta, calibration_where)
        check_apart(logits.swapaxes(0, 1), np.asarray(calibration[0]).swapaxes(0, 1), calibration_where)
    settings: list[Setting] = []
    combinations = counted = 0
    sets = _sets(len(logits), ask)
    if len(sets) > 1 and not any(parts.heads[:-1]):
        raise UsageError(
            "no energy of a head is known, so that leaving an exit out would save nothing",
            where="ask",
            hint="Give the energies of trunk and heads apart, or ask all exits.",
        )
    for asked in sets:
        found, tried, looked_at = settings_of(
            logits, labels, parts, asked, rule=rule, combine=combine, levels=levels, folds=folds, seed=seed, where=where
        )
        settings += found
        combinations += tried
        counted += looked_at
    worth = _front(settings)
    held: tuple[Measured, int] | None = None
    if calibration is None:
        setting = _cheapest(worth, target_accuracy, where)
    else:
        setting, *rest = _guaranteed(worth, calibration, target_accuracy, delta, next_images, calibration_where)
        held = rest[0], rest[1]
    return Decision(
        setting=setting,
        target_accuracy=target_accuracy,
        delta=delta if held else None,
        next_images=next_images if held else None,
        calibrated=held[0] if held else None,
        at_least=lower_bound(round(held[0].accuracy * held[0].images), held[0].images, delta) if held else None,
        tested=held[1] if held else 0,
        fixed_accuracy=tuple((logits.argmax(2) == labels).mean(1).tolist()),
        front=worth,
        combinations=combinations,
        counted=counted,
    )


def settings_of(
    logits: np.ndarray,
    labels: np.ndarray,
    energies: ExitEnergies,
    asked: tuple[int, ...],
    *,
    rule: str = "max",
    combine: bool = False,
    levels: int | None = None,
    folds: int = 5,
    seed: int = 0,
    where: str = "logits",
) -> tuple[list[Setting], int, int]:
    """The front of the exits that are asked: its settings from the cheapest on, combinations searched, and those counted.

    Args:
        logits: as ``decide`` takes them.
        labels: see ``logits``.
        energies: see ``logits``.
        asked: numbers of the exits whose classifiers run.
        rule: see ``logits``.
        combine: see ``logits``.
        levels: see ``logits``.
        folds: see ``logits``.
        seed: see ``logits``.
        where: see ``logits``.
    """
    mine = _of_exits(logits, energies, where)[list(asked)]
    scored = cross_fitted(mine, labels, rule=rule, combine=combine, folds=folds, seed=seed, where=where)
    front = best_thresholds(scored.score, scored.predicted == labels, energies.leaving(asked), levels=levels)
    scorer = fit_scorer(mine, labels, rule=rule, combine=combine, where=where)
    found = [
        Setting(
            policy=Policy(asked=asked, scorer=scorer, thresholds=point.thresholds, energies=energies),
            accuracy=point.accuracy,
            energy=point.energy,
        )
        for point in front.points
    ]
    return found, front.combinations, front.counted


def _of_exits(logits: np.ndarray, energies: ExitEnergies, where: str) -> np.ndarray:
    if len(logits) != len(energies.heads):
        raise InputError(
            f"{len(logits)} exits answer, {len(energies.heads)} have an energy", where=where, hint="Give one for each."
        )
    return logits


def _sets(exits: int, ask: str) -> list[tuple[int, ...]]:
    if ask == "all":
        return [tuple(range(exits))]
    if ask != "best":
        raise UsageError(f"exits to ask are 'all' or 'best', got {ask!r}", where="ask")
    if 2 ** (exits - 1) > MOST_SUBSETS:
        raise UsageError(
            f"{exits} exits make {2 ** (exits - 1)} sets, {MOST_SUBSETS} are tried at most",
            where="ask",
            hint="Ask all, or leave exits out of the logits beforehand.",
        )
    early = range(exits - 1)
    return [(*some, exits - 1) for size in range(exits) for some in itertools.combinations(early, size)]


def _front(settings: list[Setting]) -> tuple[Setting, ...]:
    """Those that none beats, from the cheapest to the most accurate."""
    found: list[Setting] = []
    for setting in sorted(settings, key=lambda one: (one.energy, -one.accuracy)):
        if not found or setting.accuracy > found[-1].accuracy:
            found.append(setting)
    return tuple(found)


def _cheapest(front: tuple[Setting, ...], target: float, where: str) -> Setting:
    found = next((setting for setting in front if setting.accuracy >= target), None)
    if found is None:
        raise InputError(
            f"no setting reaches an accuracy of {target:g} on these images: the most accurate reaches"
            f" {front[-1].accuracy:.4f}",
            where=where,
            hint="Ask for less, let exits be combined, or train the network on.",
        )
    return found


def _guaranteed(
    front: tuple[Setting, ...],
    calibration: tuple[np.ndarray, np.ndarray],
    target: float,
    delta: float,
    next_images: int | None,
    where: str,
) -> tuple[Setting, Measured, int]:
    """The last setting of the sequence that passes, how it does on the calibration images, and how many were tested."""
    logits, labels = np.asarray(calibration[0]), np.asarray(calibration[1])
    sequence = front[::-1]
    measured: list[Measured] = []
    scored: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}

    def hits() -> Iterator[int]:
        for setting in sequence:
            policy = setting.policy
            if policy.asked not in scored:
                read = policy.scorer.read(logits[list(policy.asked)], where=where)
                scored[policy.asked] = read.score, read.predicted == labels
            score, right = scored[policy.asked]
            left = leaving(score, policy.thresholds)
            measured.append(policy._measured(np.array(policy.asked)[left], right[left, np.arange(len(left))]))
            yield round(measured[-1].accuracy * len(labels))

    found = guaranteed(hits(), len(labels), target=target, delta=delta, next_images=next_images, where=where)
    return sequence[found.index], measured[found.index], found.tested
