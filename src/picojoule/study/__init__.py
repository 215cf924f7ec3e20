"""Many designs at once: studies whose every point is an estimate, and experiments whose every point is a search.

spec      a study: networks, machines, axes, objectives, constraints, from YAML
axes      values of an axis; grids and samples
points    tasks: points that are solved together
guided    points chosen by a sampler
running   tasks handed out, here or on a cluster, and kept as they come
storage   Optuna's storage, one trial a point
fronts    what nothing beats, hypervolume, effects of axes
reading   a study as it is kept, summed up
validation/  the experiments of the energy complexity model
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picojoule.study.points import Record, estimate_point
    from picojoule.study.reading import Summary, read_points, summary
    from picojoule.study.running import Ran, run_study
    from picojoule.study.spec import Study, read_study

__all__ = ["Ran", "Record", "Study", "Summary", "estimate_point", "read_points", "read_study", "run_study", "summary"]

_HOMES = {
    "Ran": "running",
    "Record": "points",
    "Study": "spec",
    "Summary": "reading",
    "estimate_point": "points",
    "read_points": "reading",
    "read_study": "spec",
    "run_study": "running",
    "summary": "reading",
}


def __getattr__(name: str) -> object:
    # Validation needs none of these, and these load the search.
    if name in _HOMES:
        return getattr(importlib.import_module(f"picojoule.study.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
