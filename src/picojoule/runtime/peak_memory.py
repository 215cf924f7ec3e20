"""Peak memory of a network: what a fresh process needs at most to load it and run it, beyond what the runtime needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakMemory:
    """Resident memory of a process that loads and runs a network.

    Attributes:
        bytes: the peak less what was resident before the network was loaded; None if it couldn't be measured.
        process_bytes: the peak of the whole process, Python and the runtime included.
        reason: why there is no figure; empty if there is one.
    """

    bytes: int | None
    process_bytes: int | None
    reason: str = ""


def peak_memory(
    model: Path, *, threads: int, shape: Mapping[str, tuple[int, ...]] | None = None, batch: int | None = None
) -> PeakMemory:
    """Loads and runs ``model`` three times in a process of its own.

    Args:
        model: an ONNX file.
        threads, shape, batch: as for ``open_session``.
    """
    asked = json.dumps({"model": str(model), "threads": threads, "shape": dict(shape or {}), "batch": batch})
    source = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "picojoule.runtime.peak_memory", asked],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        found = json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        return _none(f"it took longer than {_TIMEOUT_S:g} s")
    except ValueError:
        said = (ran.stderr.strip() or "it said nothing").splitlines()[-1][:200]
        return _none(f"the process that measures it ended with exit code {ran.returncode}: {said}")
    except OSError as failure:
        return _none(f"no process to measure it in: {failure.strerror}")
    if found["peak"] is None:
        return _none("this system doesn't tell the peak of a process")
    return PeakMemory(bytes=max(found["peak"] - found["before"], 0), process_bytes=found["peak"])


def _none(reason: str) -> PeakMemory:
    return PeakMemory(bytes=None, process_bytes=None, reason=reason)


def _resident() -> tuple[int | None, int | None]:
    """Bytes resident now and at most so far; None where the system doesn't tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        fields = {key: value.split() for key, _, value in (line.partition(":") for line in status.splitlines())}
        return int(fields["VmRSS"][0]) * 1024, int(fields["VmHWM"][0]) * 1024
    except (OSError, KeyError, IndexError, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return None, None
    # The most so far is all that other systems tell: kilobytes, on macOS bytes.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return most, most


def _main(asked: str) -> None:
    from picojoule.runtime.layer_models import chain
    from picojoule.runtime.timed_session import open_session

    given = json.loads(asked)
    # The runtime's own: libraries, thread pool, first allocations.
    open_session(chain(1), threads=given["threads"], label="chain").run()
    before, _ = _resident()
    shape = {name: tuple(sizes) for name, sizes in given["shape"].items()}
    session = open_session(Path(given["model"]), threads=given["threads"], shape=shape, batch=given["batch"])
    for _ in range(3):
        session.run()
    print(json.dumps({"before": before, "peak": _resident()[1]}))


if __name__ == "__main__":
    _main(sys.argv[1])
