"""Runs the experiments of the energy complexity model on both machines that its authors measured, and draws them.

    python results/energy_complexity/redraw.py --reference ../shared/data/energy_complexity --jobs 2

Writes ``MACHINE.json``, ``MACHINE.*.svg``, ``table.md`` and ``claims.json`` beside this file. The authors' measurements
have no licence: their fits are kept, their points are not. Killed, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from picojoule.atomic_file import replace_file
from picojoule.jobs import Journal
from picojoule.reporting import validation_data, validation_markdown
from picojoule.reporting.validation_charts import write_charts
from picojoule.study.validation import SWEEPS, Validation, validate_complexity

HERE = Path(__file__).parent
COMMAND = "python results/energy_complexity/redraw.py --reference ../shared/data/energy_complexity"
RANDOM = {"eyeriss-like-45nm": 0, "simba-like-45nm": None}
"""How many random layers: all that the authors drew; they drew none for Eyeriss."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    pages, claims = [], []
    for machine, random in RANDOM.items():
        journal = HERE / f"{machine}.journal"
        with Journal(journal) as kept:
            found = validate_complexity(
                machine, reference=asked.reference, random=random, recount=True, jobs=asked.jobs, journal=kept
            )
        data = validation_data(found, their_points=False)
        replace_file(HERE / f"{machine}.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")
        write_charts(found, HERE, their_points=False)
        pages.append(validation_markdown(found))
        claims += claims_of(found)
    replace_file(HERE / "table.md", "\n".join(pages))
    replace_file(HERE / "claims.json", json.dumps(claims, indent=1, ensure_ascii=False) + "\n")
    for machine in RANDOM:
        HERE.joinpath(f"{machine}.journal").unlink()


def claims_of(found: Validation) -> list[dict[str, Any]]:
    """What the documentation states of one machine."""
    machine = found.machine.name
    figures: dict[str, tuple[float, str]] = {}
    for sweep, ours in zip(SWEEPS, found.ours, strict=True):
        figures[f"{sweep.parameter}.r2"] = (ours.fit.r2, "")
        figures[f"{sweep.parameter}.p"] = (ours.fit.p[sweep.power], "")
        figures[f"{sweep.parameter}.residual"] = (ours.fit.residual, "of the mean")
    if found.duel is not None:
        figures["duel.won"] = (found.duel.won, f"of {found.duel.points} points")
        figures["duel.recounted"] = (found.duel.recounted_won or 0, f"of {found.duel.points} points")
        figures["duel.median"] = (found.duel.ratios[1], "authors' ÷ ours")
    if found.random is not None:
        figures["random.won"] = (found.random.won, f"of {found.random.drawn} layers")
        figures["random.envelope.r2"] = (found.random.ours.fit.law_r2, "")
    shared = {"tolerance": 1e-6, "kind": "exact", "artefact": f"results/energy_complexity/{machine}.json", "command": COMMAND}
    return [
        {"id": f"energy-complexity.{machine}.{name}", "value": value, "unit": unit, **shared}
        for name, (value, unit) in figures.items()
    ]


if __name__ == "__main__":
    main()
