"""A guarantee on an accuracy, by testing settings in a fixed order on images that chose none of them.

Learn then test (Angelopoulos et al., arXiv 2110.01052) with fixed-sequence testing: settings are tested from the most
accurate to the cheapest, in an order that other images have fixed, each against "its accuracy is below the target" by
the exact binomial test. At the first that fails the sequence ends. For images drawn as the calibration images were, the
setting that is taken falls short of the target with a probability of at most δ, however many were tested.

That is the accuracy in the long run. The next so many images are a draw of their own: for them half of δ is spent on
the test, of a higher accuracy, and half on their falling short of it by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.runtime.binomial import lower_bound, p_value, samples_needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Guaranteed:
    """The last setting that passed.

    Attributes:
        index: in the sequence.
        p_value: of its test.
        tested: settings, the first that failed among them.
    """

    index: int
    p_value: float
    tested: int


def long_run(target: float, images: int, delta: float) -> float:
    """The accuracy in the long run with which so many images fall short of a target with a probability of at most δ.

    >>> round(long_run(0.9, 10, 0.1), 4)  # 0.1 = P(8 or fewer of 10)
    0.9455
    """
    least = math.ceil(target * images - 1e-9)
    low, high = target, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        # Falling short is at least so many wrong answers.
        low, high = (low, middle) if p_value(images - least + 1, images, 1 - middle) <= delta else (middle, high)
    return high


def guaranteed(
    right: Iterable[int],
    images: int,
    *,
    target: float,
    delta: float,
    next_images: int | None = None,
    where: str = "",
) -> Guaranteed:
    """Goes down a fixed sequence of settings as long as each is sure enough to reach the target.

    Args:
        right: right answers of each setting among the calibration images, from the setting that is expected to be the
            most accurate to the cheapest. Only as many are taken as are tested.
        images: calibration images.
        target: accuracy, 0 … 1, both excluded.
        delta: δ, the share of cases in which the target may be missed, 0 … 1, both excluded.
        next_images: guarantee the accuracy on the next so many images, not in the long run.
        where: how messages name the calibration images.

    Raises:
        UsageError: a target, δ or number of images out of range.
        InputError: no image, or even the first setting is not sure enough; says how many images would do.

    Example:
        >>> guaranteed([95, 93, 80], 100, target=0.88, delta=0.1).index
        1
    """
    check_target(target)
    check_delta(delta)
    check_images(images, target, delta, where)
    asked = ""
    if next_images is not None:
        if next_images < 1:
            raise UsageError(f"the next images are at least 1, got {next_images}", where="next_images")
        asked = f"{target:.6g} on the next {next_images} images, in the long run "
        target, delta = long_run(target, next_images, delta / 2), delta / 2
    passed: Guaranteed | None = None
    for index, hits in enumerate(right):
        p = p_value(hits, images, target)
        if p > delta:
            if passed is None:
                raise _not_guaranteed(hits, images, target, delta, where, asked)
            return Guaranteed(index=passed.index, p_value=passed.p_value, tested=index + 1)
        passed = Guaranteed(index=index, p_value=p, tested=index + 1)
    if passed is None:
        raise InputError("there is no setting to test", where=where or "calibration")
    return passed


def check_target(target: float) -> None:
    """Raises UsageError unless a target accuracy lies between 0 and 1."""
    if isinstance(target, bool) or not isinstance(target, Real):
        raise UsageError(f"a target accuracy is a number, got {target!r}", where="target_accuracy")
    if not 0 < target < 1:
        hint = "Divide percentages by 100." if 1 < target <= 100 else ""
        raise UsageError(f"a target accuracy lies between 0 and 1, got {target!r}", where="target_accuracy", hint=hint)


def check_delta(delta: float) -> None:
    """Raises UsageError unless δ lies between 0 and 1."""
    if not 0 < delta < 1:
        raise UsageError(f"δ lies between 0 and 1, got {delta!r}", where="delta")


def check_images(images: int, target: float, delta: float, where: str) -> None:
    """Raises InputError if there is no calibration image; says how many would do at best."""
    if images < 1:
        raise InputError(
            "the calibration set is empty: nothing can be guaranteed",
            where=where or "calibration",
            hint=f"Even if every answer is right, {samples_needed(1.0, target, delta)} samples are needed.",
        )


SHARED = 0.02
"""Of samples that are to be apart from others, how many may be equal to one of these: data sets have some samples twice."""


def check_apart(choosing: np.ndarray, calibration: np.ndarray, where: str) -> None:
    """Raises InputError if calibration samples are choosing samples: what they promise they were chosen for.

    Args:
        choosing: samples × anything.
        calibration: the same of those that are to be others.
        where: how messages name these.
    """
    shared = _shared(choosing, calibration)
    if shared:
        raise InputError(
            f"{shared} of {len(calibration)} calibration samples are among those that choose: they can't guarantee anything",
            where=where or "calibration",
            hint="Calibrate on samples that had no part in the choice.",
        )


def check_reports(test: np.ndarray, choosing: np.ndarray, calibration: np.ndarray | None, where: str) -> None:
    """Raises InputError if samples that report had a part in what they report on; see ``check_apart``."""
    for samples, what in ((choosing, "choose"), (calibration, "calibrate")):
        shared = 0 if samples is None else _shared(samples, test)
        if shared:
            raise InputError(
                f"{shared} of {len(test)} test samples are among those that {what}: they report too much",
                where=where,
                hint="Report on samples that decided nothing.",
            )


def _shared(known: np.ndarray, samples: np.ndarray) -> int:
    """How many samples are among the known ones; 0 if no more than a data set may have twice."""
    seen = {sample.tobytes() for sample in known}
    if len(seen) < (1 - SHARED) * len(known):
        return 0  # there are few different samples: equal ones say nothing
    found = sum(sample.tobytes() in seen for sample in samples)
    return found if found > SHARED * len(samples) else 0


def _not_guaranteed(hits: int, images: int, target: float, delta: float, where: str, asked: str) -> InputError:
    """``asked``: what the target follows from, in words."""
    accuracy = hits / images
    needed = samples_needed(accuracy, target, delta)
    bound = lower_bound(hits, images, delta)
    if needed is None:
        perfect = samples_needed(1.0, target, delta) or 0
        hint = (
            f"At this accuracy no number of samples would do: ask for less than {accuracy:.4f}; {bound:.4f} could be"
            " guaranteed here."
        )
        if images < perfect:
            hint += f" {images} samples are too few for any: {perfect} are needed if every answer is right."
    else:
        hint = f"About {needed} samples would do at this accuracy, or ask for {bound:.4f} at most."
    return InputError(
        f"an accuracy of {asked}{target:.6g} can't be guaranteed with δ = {delta:g} by {images} samples: the most accurate"
        f" setting answers {accuracy:.4f} of them right",
        where=where or "calibration",
        hint=hint,
    )
