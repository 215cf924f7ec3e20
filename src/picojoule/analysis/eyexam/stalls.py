"""How far the array is used, and what keeps it from more."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.analysis.eyexam.rooflines import Roofline
from picojoule.analysis.eyexam.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """Compute saturation of a layer.

    Attributes:
        achieved: MACs per cycle over the peak of the array.
        stall: the step of Eyexam at which most of the peak is lost, None where nothing is.
        lost: share of the peak that is lost there.
        waits_for: the port that the array waits for, None if it never waits.
        waiting: share of the cycles in which it waits.
    """

    achieved: float
    stall: str | None
    lost: float
    waits_for: str | None
    waiting: float


def saturation(examined: tuple[Step, ...], roof: Roofline, waiting: float) -> Saturation:
    """What becomes of the peak from step 3 on; what is above the peak before that is no loss.

    Args:
        examined: the steps of the layer.
        roof: its roofline.
        waiting: share of its cycles in which the array waits.
    """
    peak = roof.peak_macs_per_cycle
    rates = [min(peak, step.macs_per_cycle) for step in examined]
    losses = [(before - rate) / peak for before, rate in zip([peak, *rates], rates, strict=False)]
    most = max(range(len(losses)), key=lambda i: losses[i])
    first = roof.ceilings[0] if roof.ceilings and waiting > 0 else None
    return Saturation(
        achieved=roof.achieved_macs_per_cycle / peak,
        stall=examined[most].name if losses[most] > 1e-9 else None,
        lost=losses[most],
        waits_for=None if first is None else f"{first.level} {first.port}",
        waiting=waiting,
    )
