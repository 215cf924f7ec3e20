"""Networks made smaller, on one page: accuracy against energy, with all that another undercuts in grey, and their costs side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from picojoule.compress.result import SCHEMA as RESULT
from picojoule.compress.result import Compression
from picojoule.errors import ResultFileError, UsageError
from picojoule.reporting.figures import NONE, counted, energy, energy_scale, percent, printable
from picojoule.reporting.ladder import Step
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.plot import Line, Point, plot
from picojoule.result_file import record_from_data
from picojoule.units import significant

FRONT = "picojoule/front/1"
"""A file of arms that were measured elsewhere: ``{"schema", "model", "hardware", "unit", "arms": [{"name", "accuracy", "energy", …}]}``.
With ``"ladder": [names of arms]`` these are the steps of one ladder, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One network.

    Attributes:
        name: unique on the page.
        accuracy: on the data that report; a share.
        energy: modelled, in the unit of the page.
        macs, measured_ms: if they are known.
        note: what a reader should know.
    """

    name: str
    accuracy: float
    energy: float
    macs: float | None = None
    measured_ms: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a file holds, or several together; ``ladder`` names the arms that are steps of one way down, in order."""

    model: str
    hardware: str
    unit: str
    arms: list[Arm]
    ladder: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        """Of the ladder; none where there is none."""
        known = {arm.name: arm for arm in self.arms}
        return [Step(name=name, energy=known[name].energy, accuracy=known[name].accuracy, note=known[name].note) for name in self.ladder]

    @property
    def dominated(self) -> frozenset[str]:
        """The names of arms that another undercuts in energy at no less accuracy, or surpasses in accuracy at no more energy."""
        return frozenset(
            one.name
            for one in self.arms
            if any(
                other.energy <= one.energy
                and other.accuracy >= one.accuracy
                and (other.energy, other.accuracy) != (one.energy, one.accuracy)
                for other in self.arms
            )
        )


def compression_schema(source: object) -> str | None:
    """``RESULT`` or ``FRONT`` if that is what a file or an object holds; else None, whatever it is."""
    if isinstance(source, Compression):
        return RESULT
    if not isinstance(source, str | Path):
        return None
    try:
        document = json.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    schema = document.get("schema") if isinstance(document, dict) else None
    return schema if schema in (RESULT, FRONT) else None


def front_of(sources: Sequence[Compression | str | Path]) -> Front:
    """All arms of these results and fronts, the networks as they came among them.

    Raises:
        UsageError: they are of different networks or machines.
        ResultFileError: a file lacks what it should hold.
    """
    fronts = [_front(source) for source in sources]
    first = fronts[0]
    for other in fronts[1:]:
        for what, named in (("model", "networks"), ("hardware", "machines"), ("unit", "units")):
            if getattr(other, what) != getattr(first, what):
                raise UsageError(
                    f"energies of different {named} can't stand on one page: {getattr(first, what)!r} and {getattr(other, what)!r}",
                    where="results",
                )
    arms: dict[tuple[str, float, float], Arm] = {}
    for front in fronts:
        for arm in front.arms:
            if arm.energy is None:
                raise UsageError(
                    f"no energy was modelled for {front.model!r} in {arm.name!r}",
                    where="results",
                    hint="Only energies stand beside one another; adapt with a machine, too (--hardware measured --hardware eyeriss-v1).",
                )
            if not (arm.energy > 0 and 0 <= arm.accuracy <= 1):
                raise ResultFileError("an arm has an energy above 0 and an accuracy from 0 to 1", where=arm.name)
            arms.setdefault((arm.name, arm.accuracy, arm.energy), arm)
    known = list(arms)
    named = _told_apart(list(arms.values()))
    if len(fronts) == 1:
        ladder = first.ladder
    else:
        # The network as it came first, then what each file made of it, in the order of the files.
        last = [front.arms[-1] for front in fronts]
        ladder = [named[known.index((arm.name, arm.accuracy, arm.energy))].name for arm in (first.arms[0], *last)]
    for name in ladder:
        if name not in {arm.name for arm in named}:
            raise ResultFileError(f"the ladder names {name!r}, and there is no such arm", where=str(sources[0]))
    return Front(
        model=first.model, hardware=first.hardware, unit=first.unit, arms=named, ladder=list(dict.fromkeys(ladder))
    )


def _front(source: Compression | str | Path) -> Front:
    if isinstance(source, Compression):
        return _of_result(source, source.method)
    path = Path(source)
    document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document["schema"] == FRONT:
        return record_from_data(dict(document), Front, where=str(path))
    name = path.parent.name if path.name == "result.json" and path.parent.name else path.stem
    return _of_result(record_from_data(dict(document), Compression, where=str(path)), name)


def _of_result(result: Compression, name: str) -> Front:
    before, after = result.before, result.after
    note = f"{result.method}, budget {result.budget}" + ("" if result.met else ": missed")
    if result.classes is not None:
        note += f"; {len(result.classes['kept'])} classes"
    return Front(
        model=result.model,
        hardware=result.hardware,
        unit=before.unit,
        arms=[
            Arm(
                name="as it came", accuracy=result.accuracy_before, energy=before.energy, macs=before.executed_macs,
                measured_ms=before.measured_ms,
            ),
            Arm(
                name=name, accuracy=result.accuracy_after, energy=after.energy, macs=after.executed_macs,
                measured_ms=after.measured_ms, note=note,
            ),
        ],
    )  # fmt: skip


def _told_apart(arms: list[Arm]) -> list[Arm]:
    """The arms with names that no two share."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    made = []
    for arm in arms:
        seen[arm.name] = seen.get(arm.name, 0) + 1
        made.append(arm if seen[arm.name] == 1 else replace(arm, name=f"{arm.name} ({seen[arm.name]})"))
    return made


def head(front: Front) -> Markup:
    """The top of the page, in words."""
    return tag(
        "header",
        tag("h1", tag("span", printable(front.model)), tag("small", " made smaller, on "), tag("span", printable(front.hardware))),
        tag("p", " ".join(_finding(front)), class_="verdict"),
        id="top",
    )


def accuracy_against_energy(front: Front) -> Figure:
    """The arms over both axes; the front is a line through those that none dominates."""
    behind = front.dominated
    scale = energy_scale([arm.energy for arm in front.arms], front.unit, 4)
    arms = sorted(front.arms, key=lambda arm: arm.energy)
    points = [
        Point(
            x=arm.energy / scale.size,
            y=100 * arm.accuracy,
            name=arm.name,
            tip=f"{arm.name} · {arm.accuracy:.2%} · {energy(arm.energy, front.unit)}" + (" · dominated" if arm.name in behind else ""),
            colour="var(--soft)" if arm.name in behind else "var(--accent)",
            weight=0.06 if arm.name in behind else 0.16,
        )
        for arm in arms
    ]
    best = [(point.x, point.y) for point in points if point.name not in behind]
    rows = [
        [
            cell(arm.name),
            cell(f"{arm.accuracy:.2%}", arm.accuracy),
            cell(scale.text(arm.energy), arm.energy),
            cell(NONE if arm.macs is None else counted(arm.macs), arm.macs),
            cell(NONE if arm.measured_ms is None else significant(arm.measured_ms), arm.measured_ms),
            cell("dominated" if arm.name in behind else "on the front"),
            cell(arm.note),
        ]
        for arm in arms
    ]
    return Figure(
        name="front",
        title="Accuracy against energy",
        finding=_finding(front),
        drawing=plot(points, [Line(points=best, kind="path")], x=f"energy, {scale.unit}", y="accuracy, %", log=False),
        table=Table(
            head=("network", "accuracy", f"energy {scale.unit}", "MACs executed", "ms measured", "", "how"),
            rows=rows,
            words=frozenset({5, 6}),
        ),
        note="Grey: another network takes no more energy and is no less accurate. Energy is modelled, accuracy is that on data that chose nothing.",
    )


def _finding(front: Front) -> list[str]:
    behind = front.dominated
    arms = sorted((arm for arm in front.arms if arm.name not in behind), key=lambda arm: arm.energy)
    least, most = arms[0], arms[-1]
    said = [f"{len(arms)} of {len(front.arms)} networks are on the front."]
    if least is not most:
        said.append(
            f"From {most.name} to {least.name} energy falls to {percent(least.energy / most.energy)}"
            f" and accuracy by {100 * (most.accuracy - least.accuracy):.2f} points."
        )
    return said
