"""When to leave a network with exits: on the terminal and as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
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
    saved = 1 - setting.energy / full if full else 0.0
    title = Text.assemble((f"{saved:.1%} less energy", "bold"), f" at accuracy {setting.accuracy:.4f}")
    lines = spread(title, Text(f"target {decision.target_accuracy:g} · rule {policy.scorer.rule}"), width)
    leaving = dict(zip(policy.asked, policy.energies.leaving(policy.asked), strict=True))
    thresholds = dict(zip(policy.asked, policy.thresholds, strict=False))
    measured = tested or decision.calibrated
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
    policy = decision.policy
    scorer = policy.scorer
    manifest = decision.manifest_exits
    return {
        "schema": DECISION_SCHEMA,
        "unit": unit or None,
        "target_accuracy": decision.target_accuracy,
        "rule": scorer.rule,
        "combined": scorer.combined,
        "asked": list(policy.asked),
        "thresholds": [t if math.isfinite(t) else None for t in policy.thresholds],
        "weights": [list(own) for own in scorer.weights],
        "coefficients": None if scorer.coefficients is None else [[list(r) for r in e] for e in scorer.coefficients],
        "energies": {"trunk": list(policy.energies.trunk), "heads": list(policy.energies.heads)},
        "manifest_exits": None if manifest is None else list(manifest),
        "choosing": {"accuracy": decision.setting.accuracy, "energy": decision.setting.energy},
        "fixed_accuracy": list(decision.fixed_accuracy),
        "guarantee": None
        if decision.delta is None
        else {
            "accuracy": decision.target_accuracy,
            "delta": decision.delta,
            "next_images": decision.next_images,
            "method": "fixed-sequence testing, exact binomial",
            "settings_tested": decision.tested,
        },
        "calibration": _measured(decision.calibrated),
        "test": _measured(tested),
        "search": {"combinations": decision.combinations, "counted": decision.counted, "status": "PROVED"},
        "curve": None if curve is None else _curve(curve, curve_of),
        "front": [
            {
                "asked": list(point.policy.asked),
                "thresholds": [t if math.isfinite(t) else None for t in point.policy.thresholds],
                "accuracy": point.accuracy,
                "energy": point.energy,
            }
            for point in decision.front
        ],
    }


def _curve(curve: Curve, of: str) -> dict[str, Any]:
    return {
        "of": of,
        "images": curve.images,
        "chosen": curve.chosen,
        "energies": list(curve.energies),
        "points": [
            {**asdict(point), "thresholds": [t if math.isfinite(t) else None for t in point.thresholds]}
            for point in curve.points
        ],
        "rule": [{"desired": p.desired, "accuracy": p.accuracy, "energy": p.energy} for p in curve.rule],
    }


def _measured(found: Measured | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "images": found.images, "accuracy": found.accuracy, "energy": found.energy, "shares": list(found.shares)
    }  # fmt: skip


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
