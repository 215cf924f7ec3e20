"""What a session answers to a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.errors import UsageError
from picojoule.runtime.drift import Drift
from picojoule.runtime.manifest import Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a session answers to a batch.

    Attributes:
        outputs: of the exit where each sample left, batch first.
        exits: number of that exit for each sample; int64.
        latency_s: of the run, from checked inputs to answers.
        energy_pj: of each sample's inference, if the bundle knows the energies of its stages; float64.
        softmax: how scores become probabilities, by exit; None where the network doesn't classify.
        point: number of the operating point that ran; None without one.
        combined: probabilities of the classes as the operating point answers them; None without one.
        drift: a change of the exit rates since calibration that this batch brought to light; None if there is none.
    """

    outputs: tuple[np.ndarray, ...]
    exits: np.ndarray
    latency_s: float
    energy_pj: np.ndarray | None
    softmax: tuple[Exit, ...] | None
    point: int | None = None
    combined: np.ndarray | None = None
    drift: Drift | None = None

    def __len__(self) -> int:
        return len(self.exits)

    @property
    def probabilities(self) -> np.ndarray:
        """Of the classes, by the temperature of the exit: samples × classes, float32 or wider.

        Raises:
            UsageError: the network doesn't classify.
        """
        if self.combined is not None:
            return self.combined
        if self.softmax is None:
            raise UsageError("the outputs of this bundle are no scores of classes", hint="Take Answer.outputs.")
        if len(self.softmax) == 1:
            return probabilities_of(self.outputs[0], self.softmax[0])
        found = np.empty(self.outputs[0].shape, dtype=np.result_type(self.outputs[0].dtype, np.float32))
        for number, exit_ in enumerate(self.softmax):
            here = self.exits == number
            if here.any():
                found[here] = probabilities_of(self.outputs[0][here], exit_)
        return found

    def top(self, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """The k likeliest classes of each sample and their probabilities, best first; of equals the first.

        Args:
            k: at least 1; more than there are classes gives all.

        Raises:
            UsageError: the network doesn't classify, or k is below 1.
        """
        if k < 1:
            raise UsageError(f"at least 1 class is shown, got {k}", where="top_k")
        found = self.probabilities
        order = np.argsort(-found, axis=1, kind="stable")[:, :k]
        return order, found[np.arange(len(found))[:, None], order]


def probabilities_of(scores: np.ndarray, exit_: Exit) -> np.ndarray:
    """Scores of classes as probabilities by the exit's temperature: samples × classes."""
    if scores.dtype.itemsize < 4:
        scores = scores.astype(np.float32)
    if exit_.scores == "probabilities":
        if exit_.temperature == 1:
            return scores
        scores = np.log(np.maximum(scores, np.finfo(scores.dtype).tiny))
    if exit_.temperature != 1:
        scores = scores / scores.dtype.type(exit_.temperature)
    found = scores - scores.max(1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(1, keepdims=True)
    return found


def logits_of(scores: np.ndarray, exit_: Exit) -> np.ndarray:
    """Scores of classes as logits of which the softmax is the probabilities, before any temperature."""
    if exit_.scores == "probabilities":
        scores = scores.astype(np.result_type(scores.dtype, np.float32))
        return np.log(np.maximum(scores, np.finfo(scores.dtype).tiny))
    return scores
