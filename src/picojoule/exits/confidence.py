"""How sure an exit is: rules that turn its probabilities into a score from 0 to 1.

max      the largest probability
margin   the largest less the second largest
entropy  1 − H/log(classes): 1 where one class has it all, 0 where all have the same
learned  ½ less half of what going on to the last exit is expected to gain: its chance to mend a wrong answer less that
         to spoil a right one, by logistic regression on the largest probabilities and the exits passed

Scores of images that the fit has seen promise too much; ``cross_fitted`` scores each image by a fit to others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError, UsageError, nearest
from picojoule.exits.answers import checked_logits
from picojoule.exits.choice_model import fit_weights, log_softmax

RULES = ("max", "margin", "entropy", "learned")
"""How sure an exit is: its largest probability, that less the next, 1 less the relative entropy, or a fitted score."""
TOP = 3
"""Logarithms of so many largest probabilities go into the learned score."""
RIDGE = 1e-3
"""Of the learned score, on features in standard deviations."""
SMALLEST = -20.0
"""Logarithm below which a probability counts as this one."""


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
            that the last exit mends and that it spoils the answer, on the features of ``_features``.
    """

    rule: str
    weights: tuple[tuple[float, ...], ...]
    coefficients: tuple[tuple[tuple[float, ...], ...], ...] | None = None

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
            InputError: logits that are no finite numbers, or of another number of exits.
        """
        logits = checked_logits(logits, where)
        if len(logits) != len(self.weights):
            raise InputError(f"{len(self.weights)} exits were fitted, these logits are of {len(logits)}", where=where)
        passed = log_softmax(logits)
        scores, predicted = [], []
        for e, weights in enumerate(self.weights):
            logp = log_softmax(np.tensordot(weights, passed[: e + 1], 1))
            predicted.append(logp.argmax(1))
            scores.append(self._score(e, logp, passed[: e + 1]))
        return Scored(score=np.array(scores), predicted=np.array(predicted))

    def _score(self, e: int, logp: np.ndarray, passed: np.ndarray) -> np.ndarray:
        if self.rule == "learned":
            assert self.coefficients is not None
            if e == len(self.coefficients):
                return np.full(len(logp), 0.5)
            mends, spoils = (_features(logp, passed) @ np.array(self.coefficients[e]).T).T
            p = np.exp(log_softmax(np.stack([np.zeros_like(mends), mends, spoils], axis=1)))
            return (1 - p[:, 1] + p[:, 2]) / 2
        p = np.exp(logp)
        if self.rule == "max":
            return p.max(1)
        if self.rule == "margin":
            two = np.partition(p, -2, axis=1)[:, -2:]
            return two[:, 1] - two[:, 0]
        return np.clip(1 + (p * logp).sum(1) / np.log(p.shape[1]), 0, 1)


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
        answers = [log_softmax(np.tensordot(own, passed[: e + 1], 1)) for e, own in enumerate(weights)]
        at_last = answers[-1].argmax(1) == labels
        learned = tuple(
            _fit_gain(_features(logp, passed[: e + 1]), logp.argmax(1) == labels, at_last, f"{where}, exit {e}")
            for e, logp in enumerate(answers[:-1])
        )
    return Scorer(rule=rule, weights=tuple(weights), coefficients=learned)


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
        UsageError: fewer than two folds.
        InputError: fewer images than folds, and whatever ``fit_scorer`` raises.
    """
    logits = checked_logits(logits, where, labels)
    images = logits.shape[1]
    if folds < 2:
        raise UsageError(f"at least 2 folds are needed, got {folds}", where="folds")
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


def _features(logp: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Of the learned score, images × features: a constant, the largest log-probabilities, the entropy, and after the
    first exit the share of exits passed that gave the same answer and their mean log-probability of it."""
    top = min(TOP, logp.shape[1])
    largest = -np.sort(-logp, axis=1)[:, :top]
    entropy = -(np.exp(logp) * logp).sum(1)
    columns = [np.ones(len(logp)), *np.maximum(largest, SMALLEST).T, entropy]
    if len(passed) > 1:
        answer, before = logp.argmax(1), passed[:-1]
        columns.append((before.argmax(2) == answer).mean(0))
        columns.append(np.maximum(before[:, np.arange(len(answer)), answer], SMALLEST).mean(0))
    return np.stack(columns, axis=1)
