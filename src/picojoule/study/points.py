"""Points of a study, solved: a task holds some of them, and those that differ in sizes, prices and rates share their work."""

from __future__ import annotations

import csv
import functools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from picojoule.errors import PicojouleError, StudyError
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.estimation.several import estimates
from picojoule.frontends import load_model, load_zeros
from picojoule.frontends.factory import find_attribute
from picojoule.hardware import Accelerator
from picojoule.hardware.settings import Description
from picojoule.result import Estimate
from picojoule.study.area import area_mm2
from picojoule.study.arguments import bits_of, fuse_of
from picojoule.study.metrics import METRICS
from picojoule.study.spec import Study


@dataclass(frozen=True, slots=True)
class Task:
    """Points to solve, by their numbers."""

    study: Study
    points: tuple[tuple[str, dict[str, Any]], ...]
    cache: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A point with what came of it.

    Attributes:
        key: its number in the study.
        point: axis → value.
        figures: what ``metrics`` reads; None where it failed.
        failed: why there is none; empty where there is.
        cpu_s: processor time since the point before it in its task: of work that is shared, the first ones have more.
    """

    key: str
    point: dict[str, Any]
    figures: dict[str, Any] | None
    failed: str
    cpu_s: float

    def values(self, study: Study) -> list[float] | None:
        """Of the objectives; None where one isn't known."""
        if self.figures is None:
            return None
        values = [self.figures.get(METRICS[name]) for name in study.objectives]
        return None if None in values else values  # type: ignore[return-value]

    def feasible(self, study: Study) -> bool:
        return self.figures is not None and all(one.excess(self.figures) <= 0 for one in study.constraints)


def solve(task: Task) -> Iterator[tuple[str, Record]]:
    """Solves all points of a task; one that can't be solved says why, and the others go on.

    Yields:
        Number and record of a point, as soon as it is there.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for key, point in task.points:
        asked = {name: point.get(name) for name in ("bits", "batch", "sparsity", "fuse", "table")}
        about = json.dumps([task.study.network(point), asked], sort_keys=True)
        groups.setdefault(about, []).append((key, point))
    began = time.process_time()
    for points in groups.values():
        for n, found in _solved(task.study, [point for _, point in points], task.cache):
            record, now = _record(task.study, *points[n], found), time.process_time()
            yield record.key, replace(record, cpu_s=now - began)
            began = time.process_time()


def estimate_point(study: Study, point: Mapping[str, Any], *, cache: bool = True) -> Estimate:
    """The estimate of one point, whole and with its provenance.

    Args:
        study: as ``read_study`` gives it.
        point: a value for each of its axes, by name.
        cache: whether what earlier searches found is used and kept.

    Raises:
        PicojouleError: it can't be solved.
    """
    machine, law = _machine(study, point), _area(study)
    if law is not None:
        machine = _with_area(machine, law(machine))
    return estimate_uninterrupted(
        study.network(point), hardware=machine, bits=bits_of(point.get("bits")), batch=int(point.get("batch") or 1), objective=study.objective,
        sparsity=point.get("sparsity"), search=study.search, table=study.table(point), fuse=fuse_of(point.get("fuse")),
        cache=cache,
    )  # fmt: skip


def _solved(
    study: Study, points: Sequence[dict[str, Any]], cache: bool
) -> Iterator[tuple[int, Estimate | PicojouleError]]:
    """Number of a point among ``points``, which differ in their machines alone, and what came of it."""
    first = points[0]
    if first.get("table") or fuse_of(first.get("fuse")) != "off":
        for n, point in enumerate(points):
            try:
                yield n, estimate_point(study, point, cache=cache)
            except PicojouleError as error:
                yield n, error
        return
    try:
        network = _network(study.network(first))
        shares = None
        if first.get("sparsity"):
            shares = load_zeros(study.network(first), network=network, sparsity=str(first["sparsity"])).zeros
    except PicojouleError as error:
        yield from ((n, error) for n in range(len(points)))
        return
    machines: dict[int, Accelerator] = {}
    for n, point in enumerate(points):
        try:
            machines[n] = _machine(study, point)
        except PicojouleError as error:
            yield n, error
    numbers = list(machines)
    asked = {"bits": bits_of(first.get("bits")), "batch": int(first.get("batch") or 1), "objective": study.objective}
    for i, found in estimates(network, list(machines.values()), **asked, zeros=shares, search=study.search, cache=cache):
        yield numbers[i], found


def _record(study: Study, key: str, point: dict[str, Any], found: Estimate | PicojouleError) -> Record:
    if isinstance(found, PicojouleError):
        failed = f"{found.where}: {found.message}" if found.where else found.message
        return Record(key=key, point=point, figures=None, failed=failed, cpu_s=0.0)
    figures = {
        "energy_pj_per_inference": found.energy_pj_per_inference, "energy_pj": found.energy_pj, "bound_pj": found.bound_pj,
        "floor_pj": found.floor_pj, "latency_cycles": found.latency_cycles, "latency_s": found.latency_s,
        "edp": found.edp_pj_s if found.edp_pj_s is not None else found.energy_pj * (found.latency_cycles or 0.0),
        "area_mm2": found.area_mm2, "accuracy": None, "status": found.status, "gap": found.gap, "unit": found.table["unit"],
        "macs": found.macs, "visited": found.provenance["search"]["visited"], "levels": found.by_level(),
    }  # fmt: skip
    law = _area(study)
    try:
        if law is not None and (first := _machine(study, point)):
            figures["area_mm2"] = law(first)
        figures["accuracy"] = _accuracy(study, point)
    except PicojouleError as error:
        return Record(key=key, point=point, figures=None, failed=f"{error.where}: {error.message}", cpu_s=0.0)
    return Record(key=key, point=point, figures=figures, failed="", cpu_s=0.0)


def _machine(study: Study, point: Mapping[str, Any]) -> Accelerator:
    return _description(study.machine(point)).machine(study.settings(point))


def _area(study: Study) -> Any:
    law = study.area
    if law is None:
        return None
    return lambda machine: area_mm2(machine, fixed=law.fixed, per_position=law.per_position, per_kib=law.per_KiB)


def _with_area(machine: Accelerator, area: float) -> Accelerator:
    from picojoule.hardware import accelerator_from_data, accelerator_to_data

    return accelerator_from_data({**accelerator_to_data(machine), "area_mm2": area}, machine.name)


@functools.lru_cache(maxsize=16)
def _network(name: str) -> Any:
    return load_model(name)


@functools.lru_cache(maxsize=16)
def _description(name: str) -> Description:
    return Description(name)


def _accuracy(study: Study, point: Mapping[str, Any]) -> float | None:
    given = study.accuracy
    if given is None:
        return None
    if given.function is not None:
        value = find_attribute(given.function, "accuracy")(dict(point))
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise StudyError(f"{given.function} answers {value!r}, no share from 0 to 1", where="accuracy")
        return float(value)
    path = study.folder / str(given.table)
    columns, rows = _table(path)
    wanted = tuple(_text(point.get(column, study.network(point) if column == "network" else None)) for column in columns)
    if wanted not in rows:
        named = ", ".join(f"{c} = {v}" for c, v in zip(columns, wanted, strict=True))
        raise StudyError(f"no row for {named}", where=str(given.table))
    return rows[wanted]


@functools.lru_cache(maxsize=4)
def _table(path: Path) -> tuple[tuple[str, ...], dict[tuple[str, ...], float]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as failure:
        raise StudyError(f"the table of accuracies can't be read: {failure}", where=str(path)) from None
    if not rows or "accuracy" not in rows[0] or len(rows[0]) < 2:
        raise StudyError("a table of accuracies has columns named like axes, and one named accuracy", where=str(path))
    columns = tuple(name for name in rows[0] if name != "accuracy")
    found = {}
    for number, row in enumerate(rows, 2):
        try:
            value = float(row["accuracy"])
        except (TypeError, ValueError):
            value = -1.0
        if not 0 <= value <= 1:
            raise StudyError(f"{row['accuracy']!r} is no share from 0 to 1", where=f"{path}:{number}")
        found[tuple(_text(row[column]) for column in columns)] = value
    return columns, found


def _text(value: object) -> str:
    """A value as a table writes it: 0.50 and 0.5 are the same."""
    try:
        return repr(float(str(value)))
    except ValueError:
        return str(value)
