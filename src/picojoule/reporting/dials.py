"""Width and depth of one network as two dials: on the terminal and as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, wrapped
from picojoule.reporting.figures import grouped
from picojoule.reporting.palette import GOOD
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.exits.widths import DialPoint, Dials

DIALS_SCHEMA = "picojoule/dials/1"
FRONTS = {"both": "widths and exits", "depth": "exits alone", "width": "widths alone"}
_SHOWN = 12
"""Points of a front that the terminal shows at most."""


def dials_text(found: Dials, *, unit: str, target: float, width: int, color: bool) -> str:
    """The front of both dials, and what each saves at a target.

    Args:
        found: to show.
        unit: of the energies.
        target: accuracy to reach on the choosing images.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    best = found.cheapest("both", target)
    title = Text(f"{len(found.widths)} widths", style="bold")
    if best is not None:
        title = Text.assemble((f"{found.saved(best):.1%} less energy", "bold"), f" at accuracy {best.tested.accuracy:.4f}")
    lines = spread(title, Text(f"target {target:g} on the choosing images"), width)
    shown = thinned(found.both, best)

    def cells(values: Sequence[str]) -> list[tuple[str, str]]:
        return [(v, GOOD if p is best else "") for p, v in zip(shown, values, strict=True)]

    exits = range(len(found.widths[0].energies.heads))
    columns = [
        column("width", cells([f"{found.widths[p.width].width:g}" for p in shown])),
        column(f"energy {unit}".strip(), cells([_energy(p.tested.energy) for p in shown])),
        column("of all", cells([f"{p.tested.energy / found.full:.1%}" if found.full else "–" for p in shown])),
        column("accuracy", cells([f"{p.tested.accuracy:.4f}" for p in shown])),
    ]
    if len(exits) > 1:
        columns += [column(f"leave at {e}", cells([f"{p.tested.shares[e]:.0%}" for p in shown])) for e in exits]
    lines += [*rows(columns), Text()]
    for name, said in FRONTS.items():
        point = found.cheapest(name, target)
        told = "no setting reaches the target"
        if point is not None:
            told = f"{found.saved(point):.1%} saved at accuracy {point.tested.accuracy:.4f}"
        lines += wrapped(name, [Text(f"{said}: {told}"), Text(f"{len(getattr(found, name))} settings")], width)
    whole = found.widths[-1]
    lines += wrapped(
        "of all",
        [
            Text(f"{_energy(found.full)} {unit}".strip() + ", the widest network to its last exit"),
            Text(f"accuracy {found.tested:.4f}"),
            *([] if whole.parameters is None else [Text(f"{grouped(whole.parameters, 0)} parameters for all widths")]),
        ],
        width,
    )
    lines += wrapped("images", [Text("chosen on the choosing images"), Text("shown on the test images")], width)
    return to_text(lines, color=color)


def dials_data(found: Dials, *, unit: str, target: float) -> dict[str, Any]:
    """Everything, for JSON."""
    chosen = {name: found.cheapest(name, target) for name in FRONTS}
    return {
        "schema": DIALS_SCHEMA,
        "unit": unit or None,
        "target_accuracy": target,
        "full": {"energy": found.full, "choosing_accuracy": found.accuracy, "test_accuracy": found.tested},
        "widths": [
            {
                "width": one.width,
                "parameters": one.parameters,
                "energies": {"trunk": list(one.energies.trunk), "heads": list(one.energies.heads)},
            }
            for one in found.widths
        ],
        "fronts": {name: [_point(found, point) for point in getattr(found, name)] for name in FRONTS},
        "chosen": {
            name: None if point is None else {**_point(found, point), "saved": found.saved(point)}
            for name, point in chosen.items()
        },
    }


def _point(found: Dials, point: DialPoint) -> dict[str, Any]:
    policy = point.setting.policy
    return {
        "width": found.widths[point.width].width,
        "asked": list(policy.asked),
        "thresholds": [t if math.isfinite(t) else None for t in policy.thresholds],
        "choosing": {"accuracy": point.setting.accuracy, "energy": point.setting.energy},
        "test": {
            "accuracy": point.tested.accuracy,
            "energy": point.tested.energy,
            "shares": list(point.tested.shares),
        },
    }


def thinned(points: Sequence[DialPoint], best: DialPoint | None) -> list[DialPoint]:
    """At most so many as the terminal shows, evenly along the front, ``best`` among them."""
    if len(points) <= _SHOWN:
        return list(points)
    step = (len(points) - 1) / (_SHOWN - 1)
    kept = {round(k * step) for k in range(_SHOWN)}
    return [point for k, point in enumerate(points) if k in kept or point is best]


def _energy(value: float) -> str:
    return grouped(value, 0) if value >= 100 else significant(value)
