"""A budget as people write it: ``1.2mJ``, ``40%``, ``20M MACs``, ``150 kB``, ``8ms``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from picojoule.errors import UsageError, nearest
from picojoule.units import BYTES, ENERGIES_PJ, TIMES_S, nearest_unit

if TYPE_CHECKING:
    from picojoule.hardware import Accelerator

KINDS = ("energy", "macs", "bytes", "latency", "memory", "weights")
"""Energy and latency are those modelled on the machine; bytes are those of the weights, memory is that of activations at their peak; weights are those that are not zero."""

_PATTERN = re.compile(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*([^\d\s].*?)?\s*$")
_HINT = 'For example: "1.2mJ", "40%", "20 MMACs", "150 kB", "8ms".'
_UNITS: dict[str, tuple[str, float]] = {
    **{unit: ("energy", pj) for unit, pj in ENERGIES_PJ.items()},
    **{f"{prefix}MACs": ("macs", factor) for prefix, factor in (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9))},
    **{unit: ("bytes", count) for unit, count in BYTES.items()},
    **{unit: ("latency", seconds) for unit, seconds in TIMES_S.items() if unit != "min"},
}


@dataclass(frozen=True, slots=True)
class Budget:
    """At most this much.

    Attributes:
        kind: one of ``KINDS``.
        limit: pJ, MACs, bytes or seconds; or, if ``share``, a share of what the network takes now.
        share: whether ``limit`` is such a share.
        text: as it was written.
    """

    kind: str
    limit: float
    share: bool
    text: str

    def of(self, now: float | None) -> float:
        """The limit in units, for a network that takes ``now``.

        Raises:
            UsageError: there is no such figure on this machine.
        """
        if now is None:
            raise UsageError(
                f"nothing is known of the {self.kind} on this machine",
                where="budget",
                hint="Take another machine, or kind.",
            )
        return self.limit * now if self.share else self.limit

    def check_unit(self, machine: Accelerator | None) -> None:
        """Joules say nothing on a machine that counts energy in another unit.

        Raises:
            UsageError: the budget is in joules and the machine's energies aren't.
        """
        if self.kind == "energy" and not self.share and machine is not None and machine.unit != "pJ":
            raise UsageError(
                f"a budget of {self.text}, but {machine.name} counts energy in {machine.unit}, not in joules",
                where="budget",
                hint='Ask for a share of what the network takes, such as "40%", or price the machine in joules.',
            )


def as_asked(text: str | None) -> str | None:
    """A budget as requests keep it: ``5 kB`` and ``5kB`` are the same."""
    return None if text is None else "".join(text.split())


def parse_budget(text: str, *, of: str = "energy", kinds: Collection[str] = KINDS) -> Budget:
    """The budget that ``text`` says.

    Args:
        text: a number with a unit of energy, time, size (kB is 1000 bytes, KiB 1024), or MACs (``M MACs`` and the like); or a
            percentage.
        of: what a percentage is of, one of ``KINDS``; ``bytes`` in a unit of size may be ``memory`` by this, too.
        kinds: of which there may be a budget here: units of others aren't proposed.

    Raises:
        UsageError: no such form, not above 0, or a percentage above 100.
    """
    if of not in KINDS:
        raise UsageError(f"a budget can't be of {of!r}", where="budget", hint=nearest(of, KINDS))
    match = _PATTERN.match(text)
    unit = re.sub(r"\s+", "", match.group(2) or "") if match else ""
    value = float(match.group(1)) if match else math.nan
    if unit == "%" and 0 < value <= 100:
        return Budget(of, value / 100, True, text.strip())
    if unit in _UNITS and value * _UNITS[unit][1] in (0, math.inf):
        raise UsageError(
            f"{text!r} is no budget: it is {value * _UNITS[unit][1]:g} as a number",
            where="budget",
            hint="A budget is above 0 and finite.",
        )
    if unit not in _UNITS:
        raise UsageError(
            f"{text!r} is no budget",
            where="budget",
            hint=nearest_unit(unit, [one for one in _UNITS if _UNITS[one][0] in kinds]) if unit and unit != "%" else _HINT,
        )
    kind, factor = _UNITS[unit]
    if kind == "bytes" and of == "memory":
        kind = "memory"
    return Budget(kind, value * factor, False, text.strip())
