"""A decision when to leave as plain data: what ``picojoule exits decide --format json`` writes and a report draws."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from picojoule.exits.curves import Curve
from picojoule.exits.deciding import Decision, Measured

SCHEMA = "picojoule/exit-decision/1"


def decision_data(
    decision: Decision, tested: Measured | None, *, unit: str, curve: Curve | None = None, curve_of: str = ""
) -> dict[str, Any]:
    """All that it takes to apply the policy, and what it rests on, as JSON can say it.

    Args:
        decision: of ``decide``.
        tested: its policy on images that had no part in it, or None.
        unit: of the energies.
        curve: its front on images, for a report.
        curve_of: which images these are.
    """
    policy = decision.policy
    scorer = policy.scorer
    manifest = decision.manifest_exits
    return {
        "schema": SCHEMA,
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
