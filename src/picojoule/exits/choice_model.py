"""The conditional logit: weights on what speaks for each class, fitted by maximum likelihood.

P(class) = softmax(features · weights). One fit serves three ends: with the logits as the only feature the weight is one
over the temperature; with log-probabilities of several exits it combines them; with two classes it is logistic
regression. The loss is convex, so Newton's method finds its one optimum.
"""

from __future__ import annotations

import numpy as np

from picojoule.errors import InputError
from picojoule.runtime.scoring import log_softmax

STEPS = 100
TOLERANCE = 1e-10


def fit_weights(
    features: np.ndarray, labels: np.ndarray, *, start: np.ndarray, ridge: float = 1e-6, where: str = "fit"
) -> np.ndarray:
    """Weights of the features that make the labels likeliest.

    Args:
        features: images × classes × features, float.
        labels: the right class of each image.
        start: a first guess of the weights.
        ridge: times half the squared distance from ``start`` is added to the mean negative log-likelihood: it keeps
            the optimum finite where the data separate the classes.
        where: how messages name the fit.

    Raises:
        InputError: no optimum was found.

    Example:
        >>> x = np.array([[[2.0], [0.0]]] * 4)  # four images, two classes, one feature
        >>> fit_weights(x, np.array([0, 0, 0, 1]), start=np.ones(1), ridge=0).round(4).tolist()  # ln 3 / 2
        [0.5493]
    """
    images = np.arange(len(labels))
    weights = np.asarray(start, dtype=np.float64).copy()
    origin = weights.copy()

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        logp = log_softmax(features @ w)
        return float(-logp[images, labels].mean() + ridge / 2 * ((w - origin) ** 2).sum()), np.exp(logp)

    value, p = loss(weights)
    for _ in range(STEPS):
        mean = np.einsum("nc,ncd->nd", p, features)
        gradient = (mean - features[images, labels]).mean(0) + ridge * (weights - origin)
        second = np.einsum("nc,ncd,nce->de", p, features, features) - mean.T @ mean
        hessian = second / len(labels) + ridge * np.eye(len(weights))
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        if gradient @ step <= TOLERANCE * max(1.0, abs(value)):
            return weights
        length = 1.0
        while length > 1e-6:
            tried, p_tried = loss(weights - length * step)
            if tried < value:
                break
            length /= 2
        else:
            return weights
        weights, value, p = weights - length * step, tried, p_tried
    raise InputError(f"no optimum after {STEPS} steps of Newton's method", where=where)
