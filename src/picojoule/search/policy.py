"""How long to search, how exact to be, and what a search tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.errors import UsageError, nearest

FACTORS = ("any", "exact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Search until the gap is proved to be small enough, or a limit is reached.

    Attributes:
        gap: stop when ``(value − bound) / value`` is at most this; 0 asks for the optimum.
        time_limit_s: per layer; None is unlimited. What depends on time can differ between runs; use ``node_limit``
            where that matters.
        node_limit: per layer: spatial assignments and groups of them visited; None is unlimited.
        factors: ``any``: a tile need not divide its dimension; ``exact``: all do, which is a smaller space.

    Raises:
        UsageError: a negative gap or limit, or other factors.
    """

    gap: float = 0.0
    time_limit_s: float | None = 3.0
    node_limit: int | None = None
    factors: str = "any"

    def __post_init__(self) -> None:
        if not 0 <= self.gap < 1:
            raise UsageError(f"gap must be at least 0 and below 1, got {self.gap!r}")
        if self.time_limit_s is not None and not self.time_limit_s > 0:
            raise UsageError(f"time limit must be positive, got {self.time_limit_s!r}")
        if self.node_limit is not None and self.node_limit < 1:
            raise UsageError(f"node limit must be at least 1, got {self.node_limit!r}")
        if self.factors not in FACTORS:
            raise UsageError(f"factors are {' or '.join(FACTORS)}, got {self.factors!r}", hint=nearest(str(self.factors), FACTORS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a running estimate stands: layer ``index`` of ``layers`` (from 0), its best value and bound so far.

    ``note`` says something worth one line, such as that a kernel is being compiled; ``leader`` which what-if pays most so far.
    """

    layer: str
    index: int
    layers: int
    value: float | None = None
    bound: float | None = None
    visited: int = 0
    note: str = ""
    leader: str = ""
