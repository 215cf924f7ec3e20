"""What can be measured on this machine, and what stands in the way."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from picojoule.runtime.machine import load_average, machine_name
from picojoule.runtime.threads import usable_cpus
from picojoule.version import __version__

EXTRAS = {
    "torch": ("torch", "onnxscript", "safetensors"),
    "runtime": ("onnxruntime", "pillow"),
    "report": ("altair", "pandas", "vl-convert-python"),
    "study": ("joblib", "scipy", "statsmodels"),
    "measure": ("zeus",),
}
"""Optional packages by the extra that brings them."""
_CORE = ("numpy", "numba", "onnx", "pydantic", "ruamel.yaml", "click", "rich")
_GOVERNORS = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_BUSY = 0.5
"""Share of the processors that may be at work before a measurement is disturbed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that can or can't be measured.

    Attributes:
        name: latency, energy, …
        ok: whether it can be.
        message: how, or why not and what to do.
    """

    name: str
    ok: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        machine, system, python, picojoule: what this is.
        cpus: processors that this process may run on.
        load: processes that ran or waited over the last minute, or None.
        packages: version by package of the core; None where it isn't installed.
        extras: the same, by extra.
        checks: what can be measured.
    """

    machine: str
    system: str
    python: str
    picojoule: str
    cpus: tuple[int, ...]
    load: float | None
    packages: Mapping[str, str | None]
    extras: Mapping[str, Mapping[str, str | None]]
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def diagnose() -> Diagnosis:
    """Looks at this machine; measures nothing and changes nothing.

    >>> {"latency", "energy", "memory"} <= {check.name for check in diagnose().checks}
    True
    """
    return Diagnosis(
        machine=machine_name(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        picojoule=__version__,
        cpus=usable_cpus(),
        load=load_average(),
        packages={name: _version(name) for name in _CORE},
        extras={extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        checks=(_latency(), _threads(), _memory(), _energy(), _gpu(), _quiet(), _clock(), _table()),
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _latency() -> Check:
    try:
        import onnxruntime
    except ImportError as problem:
        installed = _version("onnxruntime")
        why = f"onnxruntime {installed} can't be loaded: {problem}" if installed else "needs onnxruntime"
        return Check(name="latency", ok=False, message=f"{why}: pip install 'picojoule[runtime]'")
    return Check(
        name="latency",
        ok=True,
        message=f"onnxruntime {onnxruntime.__version__} on the processor, whole networks and nodes",
    )


def _threads() -> Check:
    cpus = usable_cpus()
    if not hasattr(os, "sched_setaffinity"):
        return Check(name="threads", ok=False, message="this system can't hold threads on processors: they move")
    return Check(name="threads", ok=True, message=f"1 to {len(cpus)}, held on processors {', '.join(map(str, cpus))}")


def _memory() -> Check:
    if Path("/proc/self/status").exists():
        return Check(name="memory", ok=True, message="peak of a process of its own (/proc/self/status)")
    try:
        import resource  # noqa: F401 - whether the system has it
    except ImportError:
        return Check(name="memory", ok=False, message="this system doesn't tell the peak of a process")
    return Check(name="memory", ok=True, message="peak of a process of its own, the runtime's start included")


def _energy() -> Check:
    from picojoule.runtime.zeus_counter import open_counter

    counter, reason = open_counter()
    if counter is None:
        return Check(name="energy", ok=False, message=f"{reason}; --runner measures where there is a meter")
    return Check(name="energy", ok=True, message=f"{counter.name}: {', '.join(counter.wraps_j)}")


def _gpu() -> Check:
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    if not devices:
        return Check(name="gpu", ok=False, message="no NVIDIA GPU; benchmarks/gpu_microbenchmarks.py needs one")
    return Check(
        name="gpu",
        ok=True,
        message=f"{len(devices)} × NVIDIA: benchmarks/gpu_microbenchmarks.py, then picojoule hardware fit",
    )


def _quiet() -> Check:
    load, cpus = load_average(), len(usable_cpus())
    if load is None:
        return Check(name="quiet", ok=True, message="this system doesn't count waiting processes")
    busy = load > _BUSY * cpus
    what = f"load {load:.1f} on {cpus} processors"
    return Check(
        name="quiet", ok=not busy, message=f"{what}: other programs disturb what is measured" if busy else what
    )


def _clock() -> Check:
    import glob

    governors = set()
    for path in glob.glob(_GOVERNORS):
        try:
            governors.add(Path(path).read_text(encoding="ascii").strip())
        except OSError:
            continue
    if not governors:
        return Check(name="clock", ok=True, message="this system doesn't show how it sets the clock")
    fixed = governors == {"performance"}
    what = f"governor {', '.join(sorted(governors))}"
    return Check(
        name="clock",
        ok=fixed,
        message=what if fixed else f"{what}: the clock moves with the load; performance keeps it up",
    )


def _table() -> Check:
    from picojoule.errors import PicojouleError
    from picojoule.runtime.latency_store import LatencyStore
    from picojoule.runtime.latency_table import default_path

    path = default_path()
    if path is None or not path.exists():
        return Check(name="table", ok=True, message="no look-up table yet: picojoule measure MODEL --table makes one")
    try:
        counts = LatencyStore(path).counts()
    except PicojouleError as problem:
        return Check(name="table", ok=False, message=str(problem))
    kept = sum(count for _, count in counts)
    return Check(
        name="table",
        ok=True,
        message=f"{kept} layer shapes from {len(counts)} machines, runtimes or numbers of threads in {path}",
    )
