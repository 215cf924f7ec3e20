"""How far a stage is that takes minutes, and about how long it still takes: a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_S = 5.0
"""Between two lines, at least."""


class Countdown:
    """Says that a stage begins, and from time to time how far it is.

    Args:
        note: called with each line.
        what: the stage, as the line begins.
        clock: seconds that only rise.
    """

    def __init__(
        self, note: Callable[[str], None], what: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._note, self._what, self._clock = note, what, clock
        self._begun = self._said = clock()
        note(what)

    def __call__(self, done: float) -> None:
        """A share ``done`` (0 to 1) of the stage is behind; what is left is taken to go as fast."""
        now = self._clock()
        if now - self._said < EVERY_S or not 0 < done < 1:
            return
        self._said = now
        left_s = (now - self._begun) * (1 - done) / done
        left = f"{left_s / 60:.0f} min" if left_s >= 90 else f"{left_s:.0f} s"
        self._note(f"{self._what}: {done:.0%}, about {left} left")


def silent(_: float) -> None:
    """Says nothing."""
