"""Who leaves at an exit while a batch runs: by a policy, or by an operating point."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from picojoule.errors import UsageError
from picojoule.runtime.manifest import Exit
from picojoule.runtime.operation import Operation
from picojoule.runtime.scoring import log_softmax, score, weighted
from picojoule.runtime.session_answer import logits_of, probabilities_of
from picojoule.runtime.session_policy import Policy


class Way(Protocol):
    """Decides for one batch."""

    def leaving(self, number: int, exit_: Exit, scores: np.ndarray, *, last: bool) -> np.ndarray | None:
        """Which of the samples on the way leave; None: all of them."""
        ...

    def gone(self, samples: np.ndarray, rows: np.ndarray | slice) -> None:
        """Told which samples of the batch leave, and their rows among those on the way."""
        ...

    def stay(self, rows: np.ndarray) -> None:
        """Told the rows of those that go on."""
        ...


class ByPolicy:
    """A ``Policy``, or none: then all go to the last exit."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy

    def leaving(self, number: int, exit_: Exit, scores: np.ndarray, *, last: bool) -> np.ndarray | None:
        """See ``Way``."""
        if last:
            return None
        if self._policy is None or exit_.scores is None:
            return np.zeros(len(scores), dtype=bool)
        leaving = np.asarray(self._policy.leaves(number, probabilities_of(scores, exit_)))
        if leaving.shape != (len(scores),) or leaving.dtype != bool:
            raise UsageError(
                f"it gave {leaving.dtype} of {list(leaving.shape)} for {len(scores)} samples; one bool each is needed",
                where="policy",
            )
        return leaving

    def gone(self, samples: np.ndarray, rows: np.ndarray | slice) -> None:
        """Nothing is kept."""

    def stay(self, rows: np.ndarray) -> None:
        """Nothing is kept."""


class ByPoint:
    """An operating point; keeps what the exits passed said of the samples on the way where that matters.

    Attributes:
        probabilities: of the classes, samples of the batch × classes, filled as they leave.
    """

    def __init__(self, operation: Operation, point: int, samples: int, classes: int) -> None:
        self._operation = operation
        self._thresholds = (*operation.points[point].thresholds, None)
        self._passed: list[np.ndarray] = []
        self._logp = np.empty((0, classes))
        self.probabilities = np.empty((samples, classes))

    def leaving(self, number: int, exit_: Exit, scores: np.ndarray, *, last: bool) -> np.ndarray | None:
        """See ``Way``."""
        operation = self._operation
        mine = log_softmax(logits_of(scores, exit_))
        if operation.looks_back:
            self._passed.append(mine)
        else:
            # Weights on exits passed are 0: what they said isn't looked at.
            self._passed = [mine] * (number + 1)
        self._logp = weighted(operation.weights[number], self._passed)
        threshold = self._thresholds[number]
        if last:
            return None
        if threshold is None:
            return np.zeros(len(mine), dtype=bool)
        learned = None if operation.coefficients is None else operation.coefficients[number]
        leaving: np.ndarray = score(operation.rule, self._logp, self._passed, learned) >= threshold
        return leaving

    def gone(self, samples: np.ndarray, rows: np.ndarray | slice) -> None:
        """See ``Way``."""
        self.probabilities[samples] = np.exp(self._logp[rows])

    def stay(self, rows: np.ndarray) -> None:
        """See ``Way``."""
        if self._operation.looks_back:
            self._passed = [one[rows] for one in self._passed]
