"""How sure an exit is: fits what turns its probabilities into a score from 0 to 1 (``runtime.scoring`` has the rules).

Scores of images that the fit has seen promise too much; ``cross_fitted`` scores each image by a fit to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError, UsageError, nearest
from picojoule.exits.answers import checked_logits
from picojoule.exits.choice_model import fit_weights
from picojoule.runtime.scoring import RULES, gain_features, log_softmax, score, weighted

RIDGE = 1e-3
"""Of the learned score, on features in standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What the exits answer, and how sure they are.

    Attributes:
        score: exits × images, 0 … 1; more is surer.
        predicted: class numbers, exits × images.
    """

    score: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """Turns logits into answers with scores. ``fit_scorer`` makes one.

    Attributes:
        rule: one of ``RULES``.
        weights: of each exit, one for each exit up to it. The answer of exit e is softmax(Σ w_j·log softmax(logits_j)).
            Where exits are not combined all but the last are 0, and the last is one over the temperature.
        coefficients: of the learned score, else None: for each exit but the last two rows of weights, of the logits
            that the last exit mends and that it spoils the answer, on ``gain_features``.
        classes: of the logits that it was fitted to; None where that isn't known.
    """

    rule: str
    weights: tuple[tuple[float, ...], ...]
    coefficients: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    classes: int | None = None

    @property
    def combined(self) -> bool:
        """Whether exits that were passed have a say in later answers."""
        return any(w for own in self.weights for w in own[:-1])

    @property
    def temperatures(self) -> tuple[float, ...] | None:
        """By which each exit's logits are divided; None where exits are combined."""
        return None if self.combined else tuple(1 / own[-1] for own in self.weights)

    def read(self, logits: np.ndarray, *, where: str = "logits") -> Scored:
        """Answers and scores.

        Args:
            logits: exits × images × classes.

        Raises:
            InputError: logits that are no finite numbers, or of another number of exits or classes.
        """
        logits = checked_logits(logits, where)
        if len(logits) != len(self.weights):
            raise InputError(f"{len(self.weights)} exits were fitted, these logits are of {len(logits)}", where=where)
        if self.classes not in (None, logits.shape[2]):
            raise InputError(
                f"scores were fitted to logits of {self.classes} classes, these are of {logits.shape[2]}",
                where=where,
                hint="All files must come from one network.",
            )
        passed = log_softmax(logits)
        scores, predicted = [], []
        for e in range(len(self.weights)):
            logp, sure = self.answer(e, passed[: e + 1])
            predicted.append(logp.argmax(1))
            scores.append(sure)
        return Scored(score=np.array(scores), predicted=np.array(predicted))

    def answer(self, e: int, passed: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of exit e's answer, images × classes, and how sure it is.

        Args:
            e: its number.
            passed: log-probabilities of the exits up to e, each images × classes.
        """
        logp = weighted(self.weights[e], passed)
        learned = self.coefficients[e] if self.coefficients is not None and e < len(self.coefficients) else None
        return logp, score(self.rule, logp, passed, learned)


def fit_scorer(
    logits: np.ndarray, labels: np.ndarray, *, rule: str = "max", combine: bool = False, where: str = "logits"
) -> Scorer:
    """Fits temperatures, or weights of the exits passed, then the learned score if it is asked for.

    Args:
        logits: exits × images × classes, of images that didn't train the network.
        labels: one per image.
        rule: one of ``RULES``.
        combine: let exits that were passed have a say: weights on their log-probabilities instead of a temperature.
        where: how messages name the logits.

    Raises:
        UsageError: an unknown rule.
        InputError: logits and labels that don't match, are not finite, or that nothing can be fitted to.

    Example:
        >>> sharp = np.array([[[4.0, 0.0]] * 4])  # always sure of class 0, right three times out of four
        >>> fit_scorer(sharp, np.array([0, 0, 0, 1])).read(sharp).score.round(3).tolist()
        [[0.75, 0.75, 0.75, 0.75]]
    """
    if rule not in RULES:
        raise UsageError(f"no confidence rule is called {rule!r}", where="rule", hint=nearest(rule, RULES))
    logits = checked_logits(logits, where, labels)
    if not len(labels):
        raise InputError("there is no image to fit to", where=where)
    if logits.shape[2] < 2:
        raise InputError(f"two classes or more are needed, got {logits.shape[2]}", where=where)
    passed = log_softmax(logits)
    weights: list[tuple[float, ...]] = []
    for e in range(len(logits)):
        first = 0 if combine else e
        seen = np.moveaxis(passed[first : e + 1], 0, -1)
        found = fit_weights(seen, labels, start=np.eye(e + 1 - first)[-1], where=f"{where}, exit {e}")
        if found[-1] <= 0 and not combine:
            raise InputError(
                f"exit {e} is right the less often, the surer it is: no temperature mends that",
                where=where,
                hint="Do logits and labels belong together, in the same order?",
            )
        weights.append((0.0,) * first + tuple(found.tolist()))
    learned = None
    if rule == "learned":
        answers = [weighted(own, passed[: e + 1]) for e, own in enumerate(weights)]
        at_last = answers[-1].argmax(1) == labels
        learned = tuple(
            _fit_gain(gain_features(logp, passed[: e + 1]), logp.argmax(1) == labels, at_last, f"{where}, exit {e}")
            for e, logp in enumerate(answers[:-1])
        )
    return Scorer(rule=rule, weights=tuple(weights), coefficients=learned, classes=logits.shape[2])


def cross_fitted(
    logits: np.ndarray,
    labels: np.ndarray,
    *,
    rule: str = "max",
    combine: bool = False,
    folds: int = 5,
    seed: int = 0,
    where: str = "logits",
) -> Scored:
    """Answers and scores of images, each by a scorer that was fitted to the other folds.

    Args:
        logits: as ``fit_scorer`` takes them.
        labels: see ``logits``.
        rule: see ``logits``.
        combine: see ``logits``.
        where: see ``logits``.
        folds: parts, drawn at random.
        seed: of the draw.

    Raises:
        UsageError: fewer than two folds, or a seed that is none.
        InputError: fewer images than folds, and whatever ``fit_scorer`` raises.
    """
    logits = checked_logits(logits, where, labels)
    images = logits.shape[1]
    if folds < 2:
        raise UsageError(f"at least 2 folds are needed, got {folds}", where="folds")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"a whole number from 0 is needed, got {seed!r}", where="seed")
    if images < folds:
        raise InputError(f"{images} images are too few to fit to in {folds} folds", where=where)
    fold = np.random.default_rng(seed).permutation(images) % folds
    score, predicted = np.zeros((len(logits), images)), np.zeros((len(logits), images), dtype=np.int64)
    for k in range(folds):
        mine, others = fold == k, fold != k
        scorer = fit_scorer(logits[:, others], labels[others], rule=rule, combine=combine, where=where)
        scored = scorer.read(logits[:, mine], where=where)
        score[:, mine], predicted[:, mine] = scored.score, scored.predicted
    return Scored(score=score, predicted=predicted)


def _fit_gain(
    x: np.ndarray, right: np.ndarray, at_last: np.ndarray, where: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Weights of the logits that the last exit mends an answer and that it spoils one."""
    mean, spread = x.mean(0), x.std(0)
    mean[0], spread[spread == 0] = 0.0, 1.0  # the constant stays one
    z, features = (x - mean) / spread, x.shape[1]
    both = np.zeros((len(x), 3, 2 * features))
    both[:, 1, :features], both[:, 2, features:] = z, z
    outcome = np.where(at_last & ~right, 1, np.where(right & ~at_last, 2, 0))
    found = fit_weights(both, outcome, start=np.zeros(2 * features), ridge=RIDGE, where=where)
    rows = []
    for own in found.reshape(2, features) / spread:
        own[0] -= own[1:] @ mean[1:]
        rows.append(tuple(own.tolist()))
    return rows[0], rows[1]
