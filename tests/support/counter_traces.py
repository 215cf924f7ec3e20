"""Energy counters without the hardware: readings that were recorded (or made up) are played back, on a clock of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RAPL_RANGE_J = 262_143.328_850
"""Where the package counter of many Intel processors wraps: 2³² units of 61 µJ."""


@dataclass
class Trace:
    """A counter that gives one recorded reading after another.

    Attributes:
        readings: joules by domain, in order.
        wraps_j: where each domain wraps, or None.
    """

    readings: Sequence[Mapping[str, float]]
    wraps_j: Mapping[str, float | None]
    name: str = "trace"
    taken: int = 0

    def read_j(self) -> Mapping[str, float]:
        self.taken += 1
        return self.readings[self.taken - 1]


@dataclass
class Machine:
    """A machine whose clock moves only when something runs, and whose counter follows its power.

    Attributes:
        idle_w, busy_w: power while it waits and while it runs.
        run_s: what one run takes.
        start_j: what stands on the counter at first.
        wraps_j: where it wraps.
    """

    idle_w: float
    busy_w: float
    run_s: float
    start_j: float = 0.0
    wraps_j: Mapping[str, float | None] = field(default_factory=lambda: {"package-0": RAPL_RANGE_J})
    name: str = "made-up meter"
    now_s: float = 0.0
    spent_j: float = 0.0
    runs: int = 0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.spent_j += seconds * self.idle_w

    def run(self) -> None:
        self.runs += 1
        self.now_s += self.run_s
        self.spent_j += self.run_s * self.busy_w

    def read_j(self) -> Mapping[str, float]:
        return {"package-0": (self.start_j + self.spent_j) % (self.wraps_j["package-0"] or float("inf"))}


def powercap(folder: Path, zones: Mapping[str, tuple[str, int, int]]) -> Path:
    """The files in which Linux shows RAPL: ``{"intel-rapl:0": (name, microjoules, range)}``; a zone within a zone after a slash."""
    for zone, (name, micro, span) in zones.items():
        place = folder / zone
        place.mkdir(parents=True)
        (place / "name").write_text(f"{name}\n")
        (place / "energy_uj").write_text(f"{micro}\n")
        (place / "max_energy_range_uj").write_text(f"{span}\n")
    return folder
