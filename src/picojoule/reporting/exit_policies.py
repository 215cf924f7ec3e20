"""When to leave a network with exits: on the terminal and as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, wrapped
from picojoule.reporting.figures import grouped
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.exits import Curve, Decision, Measured

DECISION_SCHEMA = "picojoule/exit-decision/1"


def decision_text(decision: Decision, tested: Measured | None, *, unit: str, width: int, color: bool) -> str:
    """Thresholds and shares by exit, what they achieve on which images, and what is guaranteed.

    Args:
        decision: to show.
        tested: its policy on images that had no part in it, or None.
        unit: of the energies.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    policy, setting = decision.policy, decision.setting
    full = policy.energies.leaving()[-1]
    measured = tested or decision.calibrated
    which = "test" if tested is not None else "held-out" if measured is not None else "choosing"
    accuracy, energy = (measured.accuracy, measured.energy) if measured is not None else (setting.accuracy, setting.energy)
    saved = 1 - energy / full if full else 0.0
    title = Text.assemble(
        (f"{saved:.1%} less energy", "bold"), f" than asking all exits, at accuracy {accuracy:.4f} on {which} images"
    )
    lines = spread(title, Text(f"target {decision.target_accuracy:g} · rule {policy.scorer.rule}"), width)
    leaving = dict(zip(policy.asked, policy.energies.leaving(policy.asked), strict=True))
    thresholds = dict(zip(policy.asked, policy.thresholds, strict=False))
    temperatures = policy.scorer.temperatures
    shown = dict(zip(policy.asked, temperatures, strict=True)) if temperatures else {}
    exits = range(len(policy.energies.heads))

    def cells(values: Sequence[str]) -> list[tuple[str, str]]:
        return [(value, "" if e in leaving else "dim") for e, value in zip(exits, values, strict=True)]

    columns = [
        column("exit", cells([str(e) for e in exits])),
        column("alone", cells([f"{accuracy:.4f}" for accuracy in decision.fixed_accuracy])),
        column(f"energy {unit}".strip(), cells([_energy(leaving[e]) if e in leaving else "not asked" for e in exits])),
    ]
    if shown:
        columns.append(column("temperature", cells([f"{shown[e]:.3f}" if e in shown else "" for e in exits])))
    columns.append(column("leaves from", cells([_threshold(thresholds.get(e), e, leaving) for e in exits])))
    if measured is not None:
        columns.append(column("share", cells([f"{share:.1%}" for share in measured.shares])))
    lines += [*rows(columns), Text()]
    lines += wrapped("choosing", [Text(part) for part in _on(None, setting.accuracy, setting.energy, full, unit)], width)
    if decision.calibrated is not None:
        held = decision.calibrated
        lines += wrapped(
            "held out", [Text(p) for p in _on(held.images, held.accuracy, held.energy, full, unit)], width
        )
    if tested is not None:
        lines += wrapped("test", [Text(p) for p in _on(tested.images, tested.accuracy, tested.energy, full, unit)], width)
    lines += wrapped("guarantee", [Text(part) for part in _guarantee(decision)], width)
    lines += wrapped(
        "search",
        [
            Text(f"{grouped(decision.combinations, 0)} combinations of thresholds"),
            Text(f"{grouped(decision.counted, 0)} counted, the others ruled out"),
            Text("optimum of the grid"),
        ],
        width,
    )
    return to_text(lines, color=color)


def decision_data(
    decision: Decision, tested: Measured | None, *, unit: str, curve: Curve | None = None, curve_of: str = ""
) -> dict[str, Any]:
    """The decision as JSON holds it: all that it takes to apply the policy, and what it rests on.

    Args:
        decision: to show.
        tested: its policy on images that had no part in it, or None.
        unit: of the energies.
        curve: its front on images, for a report.
        curve_of: which images these are.
    """
    from picojoule.exits.decision_data import decision_data

    return decision_data(decision, tested, unit=unit, curve=curve, curve_of=curve_of)


def _guarantee(decision: Decision) -> list[str]:
    if decision.delta is None:
        return ["none: no calibration images were given, so the target holds on the choosing images alone"]
    over = "in the long run" if decision.next_images is None else f"on the next {decision.next_images}"
    return [
        f"accuracy ≥ {decision.target_accuracy:g} {over} with confidence {1 - decision.delta:g}, for images drawn as those"
        " of calibration",
        f"{decision.tested} settings tested in a fixed sequence",
    ]


def _on(images: int | None, accuracy: float, energy: float, full: float, unit: str) -> list[str]:
    parts = [f"accuracy {accuracy:.4f}", f"energy {_energy(energy)} {unit}".rstrip()]
    if full:
        parts.append(f"{energy / full:.1%} of all exits")
    return parts + ([f"{grouped(images, 0)} images"] if images is not None else ["cross-fitted"])


def _threshold(value: float | None, e: int, leaving: dict[int, float]) -> str:
    if e not in leaving:
        return ""
    if value is None or value == 0:
        return "all"
    return f"{value:.4f}" if math.isfinite(value) else "none"


def _energy(value: float) -> str:
    return grouped(value, 0) if value >= 100 else significant(value)
