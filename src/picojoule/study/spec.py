"""What a study is: networks, machines, axes, objectives, constraints; read from YAML, with lines in every complaint."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from picojoule.errors import HardwareError, PicojouleError, StudyError, nearest
from picojoule.hardware import Accelerator, FanOut, Level, document, load_table
from picojoule.hardware.document import Origin
from picojoule.hardware.schema import Table, checked
from picojoule.hardware.settings import Description
from picojoule.search.policy import Exact
from picojoule.study.arguments import ARGUMENTS, check_argument, check_network
from picojoule.study.axes import Axis, axis_of
from picojoule.study.metrics import METRICS, MOST, Constraint, parse_constraint

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")


class SearchEntry(Table):
    """How every layer is searched."""

    objective: str = Field(default="", description="energy, latency or edp; the first of the objectives if left out")
    factors: str = Field(default="exact", description="exact, or any")
    gap: float = Field(default=0.0, ge=0, lt=1, description="stop when proved so close")
    time_limit_s: float | None = Field(default=None, gt=0, description="of a layer; none if left out, so that a point does not depend on the load")
    node_limit: int | None = Field(default=None, ge=1, description="of a layer")


class AreaEntry(Table):
    """The law of area, mm²."""

    fixed: float = Field(default=0.0, ge=0)
    per_position: dict[str, float] = Field(default={})
    per_KiB: dict[str, float] = Field(default={})  # noqa: N815 - as it is written


class AccuracyEntry(Table):
    """Where accuracies come from: a CSV file, or a function."""

    table: str | None = None
    function: str | None = None


class StudyEntry(Table):
    """The keys of a study."""

    name: str = Field(default="", description="what the study is called; the file's name if left out")
    networks: list[str] = Field(min_length=1, description="as `picojoule estimate` takes them")
    machines: list[str] = Field(min_length=1, description="as --hardware takes them")
    axes: dict[str, Any] = Field(default={}, description="field or argument → its values")
    objectives: list[str] = Field(min_length=1, description="what to make least, or most")
    constraints: list[str] = Field(default=[], description="what a point has to keep")
    search: SearchEntry = Field(default=SearchEntry())
    area: AreaEntry | None = Field(default=None, description="law of area where axes change sizes")
    accuracy: AccuracyEntry | None = Field(default=None, description="where accuracies come from")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study, checked.

    Attributes:
        name: under which its storage knows it.
        axes: ``network`` and ``machine`` first, if there are several; then as the file has them.
        networks, machines: as given, with places to fill in.
        objectives: names of ``METRICS``.
        constraints: that a point has to keep.
        objective: that mappings are searched for.
        search: of every layer.
        area: law of area, or None for what the machine states.
        accuracy: table or function, or None.
        folder: that names of files are relative to.
        origin: where every field stands.
        digest: of all that decides the figures of a point.
    """

    name: str
    axes: tuple[Axis, ...]
    networks: tuple[str, ...]
    machines: tuple[str, ...]
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    objective: str
    search: Exact
    area: AreaEntry | None
    accuracy: AccuracyEntry | None
    folder: Path
    origin: Origin
    digest: str

    @property
    def size(self) -> int | None:
        """Points of the grid; None where an axis has no steps."""
        total = 1
        for axis in self.axes:
            if axis.values is None:
                return None
            total *= len(axis.values)
        return total

    @property
    def directions(self) -> tuple[str, ...]:
        return tuple("maximize" if name in MOST else "minimize" for name in self.objectives)

    def settings(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Of a point, the fields of the machine."""
        places = set(_places((*self.networks, *self.machines)))
        return {k: v for k, v in point.items() if k not in ARGUMENTS and k not in ("network", "machine") and k not in places}

    def network(self, point: Mapping[str, Any]) -> str:
        """The network of a point, relative to the folder of the study."""
        return self._file(_filled(str(point.get("network", self.networks[0])), point))

    def machine(self, point: Mapping[str, Any]) -> str:
        """The machine of a point, before its fields are set."""
        return self._file(_filled(str(point.get("machine", self.machines[0])), point))

    def table(self, point: Mapping[str, Any]) -> str | None:
        """The energy table of a point, relative to the folder of the study; None for the machine's own."""
        return self._file(str(point["table"])) if point.get("table") else None

    def _file(self, name: str) -> str:
        near = self.folder / name.partition(":")[0]
        return str(self.folder / name) if not Path(name).is_absolute() and near.is_file() else name


def read_study(path: str | Path) -> Study:
    """The study that a YAML file describes.

    Args:
        path: of the file.

    Raises:
        StudyError: it is no YAML, or no sound study; names file, line and field.
        SystemFailure: the file can't be read.
    """
    path = Path(path)
    try:
        data, origin = document.parse(document.read_text(path), str(path))
        entry = checked(lambda: StudyEntry.model_validate(data), (), origin)
    except HardwareError as error:
        raise StudyError(error.message, where=error.where, hint=error.hint or _KEYS) from None
    return study_of(entry, origin, path.absolute().parent, entry.name or path.stem)


_KEYS = f"A study has the keys {', '.join(StudyEntry.model_fields)}."


def study_of(entry: StudyEntry, origin: Origin, folder: Path, name: str) -> Study:
    """The study of checked keys.

    Raises:
        StudyError: they don't go together.
    """
    objectives = _objectives(entry, origin)
    constraints = []
    for i, text in enumerate(entry.constraints):
        constraints.append(_told(lambda text=text: parse_constraint(text), origin, "constraints", i))
    axes = [
        Axis(name=what, values=tuple(names)) for what, names in (("network", entry.networks), ("machine", entry.machines)) if len(names) > 1
    ]
    for key, given in entry.axes.items():
        if key in ("network", "machine"):
            raise _error(f"{key!r} is an axis where {key}s has several", origin, ("axes", key), f"List them under {key}s.")
        axes.append(_told(lambda key=key, given=given: axis_of(key, given), origin, "axes", key))
    search = entry.search
    mapped = search.objective or next((one for one in objectives if one in ("energy", "latency", "edp")), "energy")
    if mapped not in ("energy", "latency", "edp"):
        raise _error(f"mappings are searched for energy, latency or edp, got {mapped!r}", origin, ("search", "objective"), nearest(mapped, ("energy", "latency", "edp")))
    policy = _told(
        lambda: Exact(gap=search.gap, time_limit_s=search.time_limit_s, node_limit=search.node_limit, factors=search.factors),
        origin, "search",
    )  # fmt: skip
    needed = {*objectives, *(one.metric for one in constraints)}
    if "accuracy" in needed and entry.accuracy is None:
        raise _error("nobody says where accuracies come from", origin, ("objectives",), "Add accuracy: {table: FILE.csv} or {function: package.module:name}.")
    if entry.accuracy is not None and (entry.accuracy.table is None) == (entry.accuracy.function is None):
        raise _error("accuracies come from a table or a function, one of the two", origin, ("accuracy",), "accuracy: {table: FILE.csv}")
    decides = {
        "networks": entry.networks, "machines": entry.machines, "search": search.model_dump(), "objective": mapped,
        "area": None if entry.area is None else entry.area.model_dump(), "objectives": objectives,
        "accuracy": None if entry.accuracy is None else entry.accuracy.model_dump(),
        "axes": [axis.to_data() for axis in axes],
        "files": _hashes(folder, [*entry.networks, *entry.machines, *([] if entry.accuracy is None else [entry.accuracy.table or ""])]),
    }  # fmt: skip
    tables = [str(value) for axis in axes if axis.name == "table" for value in axis.ends]
    decides["files"] |= _hashes(folder, tables)
    study = Study(
        name=name, axes=tuple(axes), networks=tuple(entry.networks), machines=tuple(entry.machines), objectives=objectives,
        constraints=tuple(constraints), objective=mapped, search=policy, area=entry.area, accuracy=entry.accuracy,
        folder=folder, origin=origin, digest=hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest(),
    )  # fmt: skip
    _check_places(study)
    _check_arguments(study)
    _check_fields(study, needed)
    return study


def _hashes(folder: Path, names: list[str]) -> dict[str, str]:
    """What the files of a study hold; a place in a name stands for any letters."""
    found = {}
    for name in names:
        plain = _PLACE.sub("*", name.partition(":")[0])
        paths = folder.glob(plain) if plain and not Path(plain).is_absolute() else [Path(plain)] if plain else []
        for path in sorted(path for path in paths if path.is_file()):
            # Not by the name alone, which files of several folders may share.
            inside = path.relative_to(folder) if path.is_relative_to(folder) else path
            found[inside.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _objectives(entry: StudyEntry, origin: Origin) -> tuple[str, ...]:
    for i, name in enumerate(entry.objectives):
        if name not in METRICS:
            raise _error(f"nothing is called {name!r}", origin, ("objectives", i), nearest(name, METRICS))
        if name in entry.objectives[:i]:
            raise _error(f"{name} is there twice", origin, ("objectives", i), "Keep one.")
    return tuple(entry.objectives)


def _check_places(study: Study) -> None:
    """Every {name} in a network or machine is an axis."""
    axes = {axis.name for axis in study.axes}
    for key, names in (("networks", study.networks), ("machines", study.machines)):
        for i, text in enumerate(names):
            for place in _PLACE.findall(text):
                if place not in axes:
                    raise _error(f"{{{place}}} is no axis", study.origin, (key, i), f"List its values under axes: {place}: [ … ].")


def _check_arguments(study: Study) -> None:
    """Every network is there, and every value of an axis that is an argument of ``estimate`` is one."""
    for i, name in enumerate(study.networks):
        if not _PLACE.search(name):
            _told(lambda name=name: check_network(study.network({"network": name})), study.origin, "networks", i)
    places = set(_places((*study.networks, *study.machines)))
    for axis in study.axes:
        if axis.name not in ARGUMENTS or axis.name in places:
            continue
        if axis.values is None and not axis.whole and axis.name in ("bits", "batch"):
            raise _error(f"{axis.name} are whole numbers", study.origin, ("axes", axis.name), f"{axis.name}: {{from: 1, to: 16, whole: true}}")
        for value in axis.ends:
            given = study.table({"table": value}) if axis.name == "table" else value
            try:
                check_argument(axis.name, given, study.objective)
            except PicojouleError as error:
                raise _error(f"{axis.name} = {value}: {error.message}", study.origin, ("axes", axis.name), error.hint) from None


def _check_fields(study: Study, needed: set[str]) -> None:
    """Every axis that is a field of the machines is one of each of them, at every end of its values."""
    sizes = False
    unstated: tuple[str, str] | None = None
    loaded: list[_Machine] = []
    unknown = any(_PLACE.search(name) for name in study.machines)
    first = {axis.name: axis.ends[0] for axis in study.axes}
    fields = [axis for axis in study.axes if axis.name in study.settings(first)]
    for name in study.machines:
        base = {**first, **({"machine": name} if "machine" in first else {})}
        where = study.origin.at("machines", study.machines.index(name))
        try:
            description = Description(study.machine(base))
            whole = description.machine({})
        except PicojouleError as error:
            if _PLACE.search(name):
                continue  # each of its members is loaded when its turn comes
            raise StudyError(error.message, where=f"{where}: {error.where}" if error.where else where, hint=error.hint) from None
        varied: dict[str, list[Accelerator]] = {}
        loaded += [_Machine(_filled(name, base), where, whole, varied), *_others(study, name, where, base)]
        if "latency" in needed and whole.clock_hz is None and "clock" not in first:
            raise StudyError(
                f"{name} has no clock, and so no latency in seconds", where=where,
                hint="Ask for cycles in place of latency, or make clock an axis: clock: [200 MHz].",
            )  # fmt: skip
        for axis in fields:
            sizes |= axis.name.rpartition(".")[2] in ("capacity", "size", "x", "y") or ".axes" in axis.name
            for value in axis.ends:
                try:
                    varied.setdefault(axis.name, []).append(description.machine({axis.name: value}))
                except HardwareError as error:
                    message = f"{name} with {axis.name} = {value}: {error.message}"
                    raise _error(message, study.origin, ("axes", axis.name), error.hint) from None
        if whole.area_mm2 is None and "area_mm2" not in first:
            unstated = unstated or (name, where)
    _check_units(study, needed, loaded)
    if study.area is not None:
        _check_law(study, study.area, loaded, unknown)
    if "area" not in needed or study.area is not None:
        return
    law = "State a law: area: {fixed: mm², per_position: {ARRAY: mm²}, per_KiB: {MEMORY: mm²}}."
    if sizes:
        raise _error("the machine's own area doesn't follow from sizes that axes change", study.origin, ("axes",), law)
    if unstated:
        raise StudyError(f"{unstated[0]} states no area", where=unstated[1], hint=law)


@dataclass(frozen=True, slots=True)
class _Machine:
    """A machine of a study: its name and line, as described, and as each axis sets it."""

    name: str
    where: str
    whole: Accelerator
    varied: Mapping[str, Sequence[Accelerator]]

    def along(self, field: str) -> Sequence[Accelerator]:
        """As the axis of that field sets it; as described where there is none."""
        return self.varied.get(field) or [self.whole]


def _others(study: Study, name: str, where: str, base: Mapping[str, Any]) -> Iterator[_Machine]:
    """Machines that a name with places stands for, apart from that of ``base``; those that can't be loaded fail in their turn."""
    values = {axis.name: axis.ends for axis in study.axes}
    places = sorted(set(_PLACE.findall(name)))
    for filled in itertools.product(*(values[place] for place in places)):
        point = {**base, **dict(zip(places, filled, strict=True))}
        if point == base:
            continue
        try:
            whole = Description(study.machine(point)).machine({})
        except PicojouleError:
            continue
        yield _Machine(_filled(name, point), where, whole, {})


def _check_units(study: Study, needed: set[str], machines: Sequence[_Machine]) -> None:
    """Energies that are compared have one unit; those held against joules, and times in seconds, are of machines in joules."""
    values = {axis.name: axis.ends for axis in study.axes}
    joules = any(one.metric == "energy" for one in study.constraints)
    first: tuple[str, str] | None = None
    for one in machines:
        for value, machine in itertools.product(values.get("table", (None,)), one.along("unit")):
            table = study.table({"table": value})
            unit = load_table(table).unit if table else machine.unit
            who = f"{one.name} with table {value}" if table else one.name
            if joules and unit != "pJ":
                raise StudyError(
                    f"{who} has energies in {unit}, and so none in joules to keep a constraint", where=one.where,
                    hint="Take another machine, or name a table in pJ as an axis: table: [eyeriss-normalized-65nm-pj].",
                )  # fmt: skip
            if "latency" in needed and unit != "pJ":
                raise StudyError(
                    f"{who} has energies in {unit}: it is no real chip, and has no latency in seconds", where=one.where,
                    hint="Ask for cycles in place of latency.",
                )  # fmt: skip
            if "edp" in needed:
                unit += "·s" if unit == "pJ" and (machine.clock_hz or "clock" in values) else "·cycles"
            first = first or (who, unit)
            if unit != first[1] and needed & {"energy", "edp"}:
                raise StudyError(
                    f"{first[0]} counts in {first[1]}, {who} in {unit}: the two can't be compared", where=one.where,
                    hint="Make two studies of them, or price both with a table of one unit as an axis: table: [NAME].",
                )  # fmt: skip


def _check_law(study: Study, law: AreaEntry, machines: Sequence[_Machine], unknown: bool) -> None:
    """Every array and memory of the law of area is one of some machine, and every memory has a size: else it would cost nothing."""
    parts = [entry for one in machines for entry in one.whole.hierarchy]
    arrays = sorted({entry.name for entry in parts if isinstance(entry, FanOut)})
    memories = sorted({entry.name for entry in parts if isinstance(entry, Level)})
    for key, what, names, known in (
        ("per_position", "array", law.per_position, arrays), ("per_KiB", "memory", law.per_KiB, memories),
    ):  # fmt: skip
        for name in names:
            if name not in known and not unknown:
                raise _error(f"no machine has the {what} {name!r}", study.origin, ("area", key), nearest(name, known))
    for one, name in itertools.product(machines, law.per_KiB):
        for machine in one.along(f"{name}.capacity"):
            if any(level.name == name and level.capacity_bits is None for level in machine.levels):
                hint = f"Count {name} in fixed, give it a capacity, or leave it out."
                raise _error(f"{name} of {one.name} has no capacity, and so no area by the KiB", study.origin, ("area", "per_KiB", name), hint)


def _places(texts: tuple[str, ...]) -> list[str]:
    return [place for text in texts for place in _PLACE.findall(text)]


def _filled(text: str, point: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda match: str(point[match.group(1)]), text)


def _told(make: Any, origin: Origin, *path: str | int) -> Any:
    try:
        return make()
    except PicojouleError as error:
        raise _error(error.message, origin, path, error.hint) from None


def _error(message: str, origin: Origin, path: tuple[str | int, ...], hint: str) -> StudyError:
    return StudyError(message, where=origin.at(*path), hint=hint)
