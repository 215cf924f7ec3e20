"""A study as it is kept, read once and summed up: counts, front, best points, effects of the axes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from picojoule.study.fronts import Effect, Sensitivity, Values, nondominated, signed
from picojoule.study.metrics import METRICS, Constraint, parse_constraint
from picojoule.study.points import Record
from picojoule.study.storage import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a study came to so far.

    Attributes:
        name: of the study.
        place: where it is kept.
        objectives: their names.
        constraints: as written.
        axes: their names.
        size: points of the grid; None without steps.
        points, failed, infeasible: kept; without figures; that miss a constraint.
        unproved: points of which some layer is not proved optimal.
        reasons: why points failed, with how many.
        front: points that keep all constraints and that no other beats, by the first objective.
        best: objective → the point that is best in it.
        effects: how much each axis matters.
        cpu_s: of all points.
        unit: of energies.
    """

    name: str
    place: str
    objectives: tuple[str, ...]
    constraints: tuple[str, ...]
    axes: tuple[str, ...]
    size: int | None
    points: int
    failed: int
    infeasible: int
    unproved: int
    reasons: dict[str, int]
    front: tuple[Record, ...]
    best: dict[str, Record]
    effects: tuple[Effect, ...]
    cpu_s: float
    unit: str

    @property
    def refusal(self) -> str:
        """Why there is no best point; empty where there is one."""
        if self.best:
            return ""
        if not self.points:
            return "no points yet"
        return "no point could be estimated" if self.failed == self.points else "no point keeps all constraints"

    def value(self, record: Record, objective: str) -> float:
        """The figure of an objective."""
        assert record.figures is not None
        return float(record.figures[METRICS[objective]])


def read_points(place: str, name: str | None = None) -> tuple[dict[str, Any], Iterator[Record]]:
    """What a study is about, and its points.

    Args:
        place: where its points are kept: an SQLite file, or the URL of a database.
        name: of the study, if several are kept there.

    Raises:
        UnknownNameError, StudyError, SystemFailure, MissingExtraError: see ``Store``.
    """
    store = Store(place, name=name)

    def records() -> Iterator[Record]:
        try:
            yield from store.records()
        finally:
            store.close()

    return {**json.loads(store.about["text"]), "name": store.name}, records()


def summary(place: str, name: str | None = None) -> Summary:
    """Reads a study and sums it up.

    Args:
        place: file or URL of its storage.
        name: of the study; may be left out where there is one alone.

    Raises:
        UnknownNameError, StudyError, SystemFailure, MissingExtraError: see ``Store``.
    """
    about, records = read_points(place, name)
    objectives = tuple(about["objectives"])
    constraints = [parse_constraint(text) for text in about["constraints"]]
    axes = tuple(axis["name"] for axis in about["axes"])
    sums = Sensitivity(axes, objectives)
    counts = {"points": 0, "failed": 0, "infeasible": 0, "unproved": 0}
    reasons: dict[str, int] = {}
    best: dict[str, tuple[float, Record]] = {}
    cpu_s, unit = 0.0, "pJ"

    def feasible() -> Iterator[tuple[Values, Record]]:
        nonlocal cpu_s, unit
        for record in records:
            counts["points"] += 1
            cpu_s += record.cpu_s
            values = _values(record, objectives)
            if record.figures is None or values is None:
                counts["failed"] += 1
                why = record.failed or "an objective isn't known there"
                reasons[why] = reasons.get(why, 0) + 1
                continue
            unit = str(record.figures["unit"])
            counts["unproved"] += record.figures["status"] == "GAP_OPEN"
            sums.add(record.point, values)
            if _misses(record, constraints):
                counts["infeasible"] += 1
                continue
            less = signed(values, objectives)
            for objective, value in zip(objectives, less, strict=True):
                if objective not in best or value < best[objective][0]:
                    best[objective] = value, record
            yield less, record

    front = tuple(record for _, record in nondominated(feasible()))
    return Summary(
        name=about["name"], place=place, objectives=objectives, constraints=tuple(about["constraints"]), axes=axes,
        size=about["size"], **counts, reasons=reasons, front=front, best={k: r for k, (_, r) in best.items()},
        effects=tuple(sums.effects()), cpu_s=cpu_s, unit=unit,
    )  # fmt: skip


def _values(record: Record, objectives: tuple[str, ...]) -> list[float] | None:
    found = [None if record.figures is None else record.figures.get(METRICS[name]) for name in objectives]
    return None if None in found else found  # type: ignore[return-value]


def _misses(record: Record, constraints: list[Constraint]) -> bool:
    assert record.figures is not None
    return any(one.excess(record.figures) > 0 for one in constraints)
