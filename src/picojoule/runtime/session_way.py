"""Who leaves at an exit while a batch runs: by a policy, or by an operating point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from picojoule.errors import UsageError
from picojoule.runtime.operation import OperatingPoint
from picojoule.runtime.session_answer import probabilities_of
from picojoule.runtime.session_policy import Policy
from picojoule.runtime.session_stage import Stage


class Way(Protocol):
    """Decides for one batch."""

    def leaving(self, number: int, stage: Stage, held: Mapping[str, np.ndarray]) -> np.ndarray | bool:
        """Which of the samples on the way leave at a stage's exit, which isn't the last; or whether all do, or none.

        Args:
            number: of the exit.
            stage: that ran.
            held: all tensors of the samples on the way, by name.
        """
        ...

    def answer(self, stage: Stage) -> list[str]:
        """Names of the tensors that who leaves here takes along."""
        ...


class ByPolicy:
    """A ``Policy``, or none: then all go to the last exit."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy

    def leaving(self, number: int, stage: Stage, held: Mapping[str, np.ndarray]) -> np.ndarray | bool:
        """See ``Way``."""
        assert stage.exit is not None
        if self._policy is None or stage.exit.scores is None:
            return False
        scores = held[stage.answer[0]]
        leaving = np.asarray(self._policy.leaves(number, probabilities_of(scores, stage.exit)))
        if leaving.shape != (len(scores),) or leaving.dtype != bool:
            raise UsageError(
                f"it gave {leaving.dtype} of {list(leaving.shape)} for {len(scores)} samples; one bool each is needed",
                where="policy",
            )
        return leaving

    def answer(self, stage: Stage) -> list[str]:
        """See ``Way``."""
        return stage.answer


class ByPoint:
    """An operating point, whose scores are outputs of the stages (``session_scores``); probabilities go along."""

    def __init__(self, point: OperatingPoint) -> None:
        self._thresholds = point.thresholds

    def leaving(self, number: int, stage: Stage, held: Mapping[str, np.ndarray]) -> np.ndarray | bool:
        """See ``Way``."""
        threshold = self._thresholds[number]
        assert stage.score is not None
        if threshold is None:
            return False
        scores = held[stage.score]
        if len(scores) == 1:  # a Python float is compared in a tenth of the time
            return bool(scores.item() >= threshold)
        leaving: np.ndarray = scores >= threshold
        return leaving

    def answer(self, stage: Stage) -> list[str]:
        """See ``Way``."""
        assert stage.probabilities is not None
        return [*stage.answer, stage.probabilities]
