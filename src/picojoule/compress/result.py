"""What a compression came to, before and after side by side, and its file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from picojoule.atomic_file import replace_file
from picojoule.compress.costs import Costs

SCHEMA = "picojoule/compression/1"
FILE = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """A smaller network, and how far it is from the budget.

    Attributes:
        model, hardware, method: what was made smaller, for which machine, how.
        budget: as asked for.
        kind: what the budget is of.
        limit: in its unit: pJ, MACs, bytes, seconds, bits a weight, or percentage points of accuracy on the choosing data.
        used: by the network that is handed over.
        met: whether it is within the limit.
        before, after: costs of the network as it came and as it goes.
        accuracy_before, accuracy_after: on the data that report; shares.
        accuracy_int8: that of ``int8.onnx`` there, where it is not the network itself.
        settings: all that decided the result.
        steps: what happened, in order.
        files: by what they are, relative to the folder.
        remarks: what a reader should know.
        tickets: of the lottery: all trainings with their controls, and energies of each kind of ticket by machine.
        classes: where some classes were kept: accuracies on them, and what becomes of images of others.
        budgets: where there may be several: each with its kind, start, limit and what is used; ``limit`` and ``used`` are then
            those of the tightest.
    """

    model: str
    hardware: str
    method: str
    budget: str
    kind: str
    limit: float
    used: float
    met: bool
    before: Costs
    after: Costs
    accuracy_before: float
    accuracy_after: float
    settings: dict[str, Any]
    steps: list[dict[str, Any]]
    files: dict[str, str]
    remarks: list[str]
    tickets: dict[str, Any] | None = None
    classes: dict[str, Any] | None = None
    accuracy_int8: float | None = None
    budgets: list[dict[str, Any]] = field(default_factory=list)

    @property
    def undershoot(self) -> float:
        """The share of the limit that is left; below 0 if it is missed."""
        return 1 - self.used / self.limit if self.limit else 0.0

    def to_data(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {"schema": SCHEMA, **asdict(self), "undershoot": self.undershoot}

    def save(self, folder: Path) -> None:
        """Writes ``result.json``."""
        text = json.dumps(self.to_data(), indent=1, ensure_ascii=False, allow_nan=False)
        replace_file(folder / FILE, text + "\n")


def remarks_on(before: Costs, after: Costs) -> list[str]:
    """Where one figure improves and another does not: MACs, energy and time don't follow one another."""
    figures = {
        "MACs": (before.macs, after.macs),
        "executed MACs": (before.executed_macs, after.executed_macs),
        "modelled energy": (before.energy, after.energy),
        "modelled latency": (before.latency_s, after.latency_s),
        "measured time": (before.measured_ms, after.measured_ms),
    }
    known = {name: b / a for name, (b, a) in figures.items() if a and b}
    better = [name for name, ratio in known.items() if ratio > 1.05]
    same = [name for name, ratio in known.items() if 0.95 <= ratio <= 1.05]
    worse = [name for name, ratio in known.items() if ratio < 0.95]
    said = []
    if better and same:
        said.append(f"{_listed(better)} improved; {_listed(same)} did not.")
    if worse:
        said.append(f"{_listed(worse)} got worse.")
    return said


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
