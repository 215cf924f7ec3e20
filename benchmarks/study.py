"""Studies: cost of a point shared and afresh, overhead of the engine, memory, and how good a guided search is.

    python benchmarks/study.py sweeps             shared against afresh, along one axis each, ResNet-18
    python benchmarks/study.py overhead           processor time outside the searches, memory against points
    python benchmarks/study.py engine             what storage, processes and scheduler take for points that cost nothing
    python benchmarks/study.py workers            the same points with 1 to 8 processes
    python benchmarks/study.py layers             the same machines with networks of 5 to 20 different layers
    python benchmarks/study.py guided STORAGE     samplers against random, on the points of a whole grid that was solved

Times are of the processor, and ratios of one run.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from picojoule.study import read_points, read_study, run_study
from picojoule.study.axes import grid_point
from picojoule.study.fronts import hypervolume, signed
from picojoule.study.guided import SAMPLERS, Guide
from picojoule.study.points import Record, Task, solve
from picojoule.workload.builtin import builtin_network

THOUSAND = Path(__file__).parent / "studies" / "thousand.yaml"
SPEC = """\
name: {name}
networks: [resnet18]
machines: [eyeriss-like-45nm]
axes:
  {axes}
objectives: [energy, cycles]
"""
AXES = {
    "buffer": "shared_glb.capacity: {from: 65536, to: 1048576, step: 32768}",
    "bandwidth": "shared_glb.bandwidth: {from: 16, to: 512, step: 16}",
    "energy": "DRAM.energy: {from: 64, to: 256, step: 6}",
}


def study_of(folder: Path, name: str, axes: str):
    text = SPEC.format(name=name, axes=axes)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return read_study(folder / f"{name}.yaml")


def sweeps(folder: Path) -> None:
    """Along one axis: points solved together against the same points solved one by one, caches off."""
    for name, axis in AXES.items():
        values = _units(name)
        study = study_of(folder, name, f"{axis.partition(':')[0]}: [{', '.join(values)}]")
        points = tuple((f"grid/{n}", {study.axes[0].name: value}) for n, value in enumerate(study.axes[0].values))
        list(solve(Task(study, points[:1], cache=False)))  # what is compiled is compiled now
        began = time.process_time()
        together = [record for _, record in solve(Task(study, points, cache=False))]
        shared = time.process_time() - began
        few = points[:: max(1, len(points) // 6)]
        began = time.process_time()
        alone = dict(one for pair in few for one in solve(Task(study, (pair,), cache=False)))
        afresh = (time.process_time() - began) / len(few)
        for record in together:
            if record.key in alone:
                one = alone[record.key]
                assert abs(record.figures["energy_pj"] / one.figures["energy_pj"] - 1) < 1e-11, (record, one)
        visited = sum(r.figures["visited"] for r in together) / len(together)
        before = sum(r.figures["visited"] for r in alone.values()) / len(alone)
        print(
            f"{name:10} {len(points)} points: {shared / len(points):.3f} s a point, afresh {afresh:.3f} s: "
            f"{afresh / (shared / len(points)):.1f}× cheaper; nodes visited a point {visited:.0f} against {before:.0f}: "
            f"{before / max(visited, 1):.1f}× fewer",
            flush=True,
        )


def _units(name: str) -> list[str]:
    if name == "buffer":
        return [f"{n} KiB" for n in range(64, 1025, 32)]
    if name == "bandwidth":
        return [f"{n} bit/cycle" for n in range(16, 513, 16)]
    return [str(n) for n in range(64, 257, 6)]


def overhead(folder: Path) -> None:
    """All processor time of a run against that of its points; memory at the end, for a few points and for many."""
    axis = f"DRAM.energy: [{', '.join(str(64 + n / 2) for n in range(100))}]"
    cheap = study_of(folder, "overhead", axis)
    for name, study in (("one axis", cheap), ("thousand.yaml", read_study(THOUSAND))):
        list(solve(Task(study, (("grid/0", grid_point(study.axes, 0)),), cache=False)))
        for count in (20, 100):
            began = time.process_time()
            ran = run_study(study, storage=str(folder / f"{study.name}-{count}.db"), points=count, cache=False)
            whole = time.process_time() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{name}: {count} points: {ran.cpu_s:.2f} s in points, {whole:.2f} s in all: {whole / ran.cpu_s - 1:+.1%}; "
                f"{1e3 * (whole - ran.cpu_s) / count:.1f} ms a point; peak {peak:.0f} MB",
                flush=True,
            )


def engine(folder: Path) -> None:
    """Points and tasks a second where there is nothing to solve: SQLite, processes, a Dask scheduler with 1 to 8 workers."""
    from picojoule.jobs import answers
    from picojoule.study.storage import Store

    study = study_of(folder, "engine", "DRAM.energy: [64, 128]")
    record = next(solve(Task(study, (("grid/0", {"DRAM.energy": 64}),))))[1]
    store = Store(str(folder / "engine.db"), study)
    for so_far in (0, 1000, 2000):
        began, cpu = time.perf_counter(), time.process_time()
        for n in range(200):
            store.add(Record(key=f"x/{so_far}/{n}", point=record.point, figures=record.figures, failed="", cpu_s=0.0), study)
        wall, spent = time.perf_counter() - began, time.process_time() - cpu
        print(f"SQLite from {so_far}: {200 / wall:.0f} points/s, {1e3 * spent / 200:.1f} ms of processor each", flush=True)
    size = (folder / "engine.db").stat().st_size + (folder / "engine.db-wal").stat().st_size
    store.close()
    print(f"{size / 600 / 1024:.1f} KiB a point")
    for jobs in (1, 2, 4, 8):
        list(answers(abs, ((str(n), n) for n in range(jobs)), jobs=jobs))
        began = time.perf_counter()
        list(answers(abs, ((str(n), n) for n in range(400)), jobs=jobs))
        print(f"{jobs} processes: {400 / (time.perf_counter() - began):.0f} empty tasks/s", flush=True)
    from distributed import LocalCluster

    for workers in (1, 2, 4, 8):
        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
            began = time.perf_counter()
            list(answers(abs, ((str(n), n) for n in range(400)), cluster=cluster.scheduler_address))
            print(f"Dask, {workers} workers: {400 / (time.perf_counter() - began):.0f} empty tasks/s", flush=True)


def workers(folder: Path) -> None:
    """Wall time and processor time of the first 128 points of ``thousand.yaml`` with 1, 2, 4 and 8 processes, caches off."""
    study = read_study(THOUSAND)
    for jobs in (1, 2, 4, 8):
        run_study(study, storage=str(folder / f"begun{jobs}.db"), points=jobs, jobs=jobs, cache=False)
        ran = run_study(study, storage=str(folder / f"workers{jobs}.db"), points=128, jobs=jobs, cache=False)
        print(f"{jobs} processes: {ran.wall_s:.1f} s, {ran.cpu_s:.1f} s of processor in points", flush=True)


def layers(folder: Path) -> None:
    """Processor time of the first 32 points of ``thousand.yaml``, one task, for networks of more and more different layers."""
    for name in ("alexnet", "resnet20", "vgg16", "mobilenet_v1", "resnet18", "resnet50"):
        path = folder / f"{name}.yaml"
        path.write_text(THOUSAND.read_text(encoding="utf-8").replace("resnet18", name), encoding="utf-8")
        different = len({layer.nest for layer in builtin_network(name).layers if layer.nest is not None})
        ran = run_study(read_study(path), storage=str(folder / f"{name}.db"), points=32, cache=False)
        print(f"{name}: {different} different layers, {ran.cpu_s / 32:.3f} s a point, {1e3 * ran.cpu_s / 32 / different:.0f} ms a layer", flush=True)


def guided(place: str, share: float = 0.2) -> None:
    """Of a whole grid, what share of its hypervolume a search finds that may look at a share of its points."""
    about, records = read_points(place)
    known = {_mark(record.point): record for record in records}
    study = _as_kept(about)
    values = {mark: signed(record.values(study), study.objectives) for mark, record in known.items()}
    worst = tuple(max(v[i] for v in values.values()) + 1e-9 for i in range(len(study.objectives)))
    # Objectives differ by orders of magnitude; volumes are of the unit cube between the ideal and the worst point.
    ideal = tuple(min(v[i] for v in values.values()) for i in range(len(study.objectives)))
    scaled = {m: tuple((x - a) / (b - a) for x, a, b in zip(v, ideal, worst, strict=True)) for m, v in values.items()}
    edge = tuple(1.0 + 1e-6 for _ in study.objectives)
    whole, budget = hypervolume(scaled.values(), edge), int(len(known) * share)
    print(f"{len(known)} points, hypervolume {whole:.4f}; searches see {budget}")
    for name in ("random", *SAMPLERS):
        found = [hypervolume((scaled[m] for m in _chosen(study, known, name, seed, budget)), edge) / whole for seed in range(5)]
        print(f"{name:7} median {statistics.median(found):.4f}   {' '.join(f'{one:.4f}' for one in found)}", flush=True)


def _chosen(study, known: dict[str, Record], name: str, seed: int, budget: int) -> list[str]:
    if name == "random":
        import random

        return random.Random(seed).sample(sorted(known), budget)
    guide, chosen = Guide(study, name, seed), []
    while len(chosen) < budget and (asked := guide.ask(min(20, budget - len(chosen)))):
        for key, point in asked:
            mark = _mark(point)
            record = known[mark]
            chosen.append(mark)
            guide.learn(Record(key=key, point=point, figures=record.figures, failed=record.failed, cpu_s=0.0))
    return chosen


def _mark(point: dict) -> str:
    return str(sorted(point.items(), key=lambda one: one[0]))


def _as_kept(about: dict):
    """A study with the axes and objectives of a storage."""
    from types import SimpleNamespace

    from picojoule.study.axes import Axis
    from picojoule.study.metrics import MOST

    axes = tuple(Axis(name=axis["name"], values=tuple(axis["values"])) for axis in about["axes"])
    directions = tuple("maximize" if name in MOST else "minimize" for name in about["objectives"])
    return SimpleNamespace(axes=axes, objectives=tuple(about["objectives"]), constraints=(), directions=directions)


PARTS = {"sweeps": sweeps, "overhead": overhead, "engine": engine, "workers": workers, "layers": layers}

if __name__ == "__main__":
    chosen = sys.argv[1:] or ["sweeps", "overhead"]
    with tempfile.TemporaryDirectory() as temporary:
        if chosen[0] == "guided":
            guided(chosen[1])
        for name in chosen:
            if name in PARTS:
                PARTS[name](Path(temporary))
