"""Who decides which samples leave at an exit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from picojoule.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from picojoule.runtime.manifest import Manifest


class Policy(Protocol):
    """Decides at every exit but the last, where all leave.

    A policy may be another one for every call of ``Session.run``, and may remember what it saw.
    """

    def leaves(self, exit: int, probabilities: np.ndarray) -> np.ndarray:
        """Which samples leave.

        Args:
            exit: its number, from 0.
            probabilities: samples × classes, by the exit's temperature; of the samples that are still on the way.

        Returns:
            One bool a sample.
        """
        ...


@dataclass(frozen=True, slots=True)
class Confidence:
    """A sample leaves at the first exit whose largest probability is at least the exit's threshold.

    Attributes:
        thresholds: one for each exit but the last, 0 … 1; None lets nobody leave there.
    """

    thresholds: tuple[float | None, ...]

    def __post_init__(self) -> None:
        for number, threshold in enumerate(self.thresholds):
            if threshold is not None and not 0 <= threshold <= 1:
                raise UsageError(f"a confidence lies in 0 … 1, got {threshold!r}", where=f"thresholds[{number}]")

    def leaves(self, exit: int, probabilities: np.ndarray) -> np.ndarray:
        """See ``Policy``.

        Example:
            >>> import numpy as np
            >>> Confidence((0.8,)).leaves(0, np.array([[0.9, 0.1], [0.5, 0.5]])).tolist()
            [True, False]
        """
        threshold = self.thresholds[exit]
        highest = probabilities.max(1)
        # Above 1 no probability comes, so that None lets nobody leave.
        leaving: np.ndarray = highest >= (2.0 if threshold is None else threshold)
        return leaving


def stated_policy(manifest: Manifest) -> Policy | None:
    """The thresholds that the manifest states as a policy; None if it states none."""
    thresholds = [one.threshold for one in manifest.exits[:-1]]
    return None if all(threshold is None for threshold in thresholds) else Confidence(tuple(thresholds))


def uniform_policy(manifest: Manifest, confidence: float) -> Policy:
    """One threshold for all exits before the last.

    Raises:
        UsageError: the bundle has but one exit, its exits don't classify, or the confidence is out of range.
    """
    early: Sequence[object] = manifest.exits[:-1]
    if not early:
        raise UsageError("this bundle has one exit: there is nothing to leave early", where="confidence")
    if manifest.classes is None:
        raise UsageError("the exits of this bundle don't classify, so there is no confidence", where="confidence")
    return Confidence((confidence,) * len(early))
