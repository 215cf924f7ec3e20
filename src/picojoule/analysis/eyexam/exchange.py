"""What energy and latency trade for each other along a front: what each picojoule buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from picojoule.errors import ResultFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One point of a front, and what it takes to get there from the next slower one, of less energy.

    Attributes:
        latency_cycles, energy_pj, bound_pj: of the point; nothing that is as fast needs less than the bound.
        saturation: MACs per cycle over the peak of the array; None where no layer has loops.
        spent_pj: more than at the next slower point; None at the point of least energy.
        saved_cycles: fewer than there.
        cycles_per_pj: what each picojoule (or unit of the table) of these buys.
    """

    latency_cycles: float
    energy_pj: float
    bound_pj: float
    saturation: float | None
    spent_pj: float | None
    saved_cycles: float | None
    cycles_per_pj: float | None


def exchanges(points: Sequence[Mapping[str, float]] | None, busy_cycles: float) -> tuple[Exchange, ...] | None:
    """A front from the fastest point to that of least energy, with the price of speed between neighbours.

    Args:
        points: as they stand in a result; None gives None, and so does a front of energy against accuracy.
        busy_cycles: that all MACs would take at the peak of the array.

    Raises:
        ResultFileError: a point lacks one of its figures.
    """
    if points is None or all("accuracy" in point for point in points):
        return None
    missing = next((key for point in points for key in ("latency_cycles", "energy_pj", "bound_pj") if key not in point), None)
    if missing is not None:
        raise ResultFileError(f"a point of the front has no {missing}", where="front", hint="Run the estimate again.")
    found = []
    for point, slower in zip(points, [*points[1:], None], strict=True):
        spent = saved = None
        if slower is not None:
            spent = point["energy_pj"] - slower["energy_pj"]
            saved = slower["latency_cycles"] - point["latency_cycles"]
        cycles = point["latency_cycles"]
        found.append(
            Exchange(
                latency_cycles=cycles,
                energy_pj=point["energy_pj"],
                bound_pj=point["bound_pj"],
                saturation=busy_cycles / cycles if cycles and busy_cycles else None,
                spent_pj=spent,
                saved_cycles=saved,
                cycles_per_pj=saved / spent if saved is not None and spent else None,
            )
        )
    return tuple(found)
