"""What the terminal shows of a study."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from picojoule.reporting.studies import best_text, front_text, study_text
from picojoule.study.fronts import Effect
from picojoule.study.points import Record
from picojoule.study.reading import Summary

WIDTHS = (80, 140)


def point(n: int, size: str, energy: float, cycles: float, area: float) -> Record:
    figures = {
        "energy_pj_per_inference": energy, "energy_pj": energy, "latency_cycles": cycles, "latency_s": cycles / 2e8, "area_mm2": area,
        "accuracy": None, "gap": 0.0, "unit": "pJ", "status": "PROVED",
    }  # fmt: skip
    return Record(key=f"grid/{n}", point={"PE.axes.x": 8 * n, "shared_glb.capacity": size}, figures=figures, failed="", cpu_s=0.2)


def sample() -> Summary:
    front = (point(1, "256 KiB", 9.95e9, 18.5e6, 2.58), point(2, "64 KiB", 10.12e9, 21.2e6, 1.42))
    effects = tuple(
        Effect(axis=axis, objective=name, share=share, means=())
        for name, shares in (("energy", (0.2, 0.7)), ("latency", (0.9, 0.0)), ("area", (0.4, 0.6)))
        for axis, share in zip(("PE.axes.x", "shared_glb.capacity"), shares, strict=True)
    )
    return Summary(
        name="buffers", place="buffers.db", objectives=("energy", "latency", "area"), constraints=("area <= 4 mm²",),
        axes=("PE.axes.x", "shared_glb.capacity"), size=1000, points=40, failed=2, infeasible=5, unproved=1,
        reasons={"chip: buffer has 16 usable bits": 2}, front=front, best={"energy": front[0], "latency": front[0], "area": front[1]},
        effects=effects, cpu_s=8.0, unit="pJ",
    )  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("name", "text"), [("study", study_text), ("study-front", front_text), ("study-best", best_text)])
def test_studies(golden, name, text, width):
    shown = text(sample(), width=width, color=False)
    assert all(cell_len(line) <= width and line == line.rstrip() for line in shown.splitlines())
    golden(f"{name}-{width}", shown)
