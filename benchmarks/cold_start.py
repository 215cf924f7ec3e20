"""The main job from a cold start: wall time, CPU time and peak memory of the whole process.

Once with an empty kernel cache (the search kernels are compiled), once with the cache filled, and once for the
interpreter's own start as the baseline of the ratio. Run it from the checkout: ``make bench``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

ESTIMATE = [sys.executable, "-m", "picojoule", "estimate", "resnet18", "--hardware", "eyeriss-like-45nm", "--no-save", "--no-cache", "-q"]


def measure(command: list[str], cache: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak megabytes of one run."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "NUMBA_CACHE_DIR": cache}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Prints one line per run and the ratios to the interpreter's start."""
    with tempfile.TemporaryDirectory() as cache:
        start = measure([sys.executable, "-c", "pass"], cache)
        rows = {"cold, kernels compiled": measure(ESTIMATE, cache), "warm": measure(ESTIMATE, cache)}
    print(f"{'estimate resnet18 on eyeriss-like-45nm':40} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'× python start':>15}")
    for name, (wall, cpu, peak) in rows.items():
        print(f"{name:40} {wall:8.2f} {cpu:8.2f} {peak:8.0f} {wall / start[0]:15.0f}")


if __name__ == "__main__":
    main()
