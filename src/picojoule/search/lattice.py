"""Which extents a dimension may have in time, and which may stand above which.

With exact factors an extent is a divisor of what is left per array position, and u stands below v if u divides v.
With imperfect factors
the last chunk of a loop may be shorter: the extents are then all ⌈n/k⌉ as well as the divisors of n, and u stands
below v if u divides v or v is n itself. In either
order a boundary at u is passed ⌈n/u⌉ times, whatever stands above it (``docs/explanation/map-space.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np


def divisors(n: int) -> list[int]:
    """All divisors of n, ascending."""
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def ceilings(n: int) -> list[int]:
    """All values of ⌈n/k⌉, ascending."""
    return sorted({-(-n // k) for k in range(1, n + 1)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """The extents of one dimension, ascending; ``below[i]`` are the indices just below value i; ``under[i, j]`` says
    that i stands below j."""

    values: np.ndarray
    below: tuple[tuple[int, ...], ...]
    under: np.ndarray


@cache
def lattice(n: int, imperfect: bool) -> Lattice:
    """The lattice of a dimension of which ``n`` indices are left per array position."""
    values = sorted(set(divisors(n)) | set(ceilings(n))) if imperfect else divisors(n)
    under = np.array([[u < v and (v % u == 0 or (imperfect and v == n)) for v in values] for u in values], dtype=bool)
    below = []
    for j in range(len(values)):
        candidates = [i for i in range(j) if under[i, j]]
        below.append(tuple(i for i in candidates if not any(under[i, k] for k in candidates)))
    return Lattice(values=np.array(values, dtype=np.int64), below=tuple(below), under=under)
