"""Two claims: killed at random moments an adaptation ends with the same bits; two processes make the same network, how much sooner.

    python results/netadapt/kills.py kills          # of the digits network
    python results/netadapt/kills.py processes      # the first step of the MobileNet; on a calm machine
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from network import CIFAR10

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KILLS = 5
FILE = HERE / "kills.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("kills", "processes"))
    which = parser.parse_args().which
    with tempfile.TemporaryDirectory() as temporary:
        found = {"kills": killed, "processes": processes}[which](Path(temporary))
    found |= {"cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    there = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(there | {which: found}, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def job(folder: Path, *more: str, model: str = "support.digit_network:untrained", data: str = "digits") -> subprocess.Popen[bytes]:
    """An adaptation of a network, on one thread in each process."""
    words = ["adapt", model, "--folder", str(folder), "--data", data, *more]
    path = os.pathsep.join(str(folder) for folder in (ROOT / "src", ROOT / "tests", HERE))
    return subprocess.Popen(
        [sys.executable, "-m", "picojoule", *words], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )  # fmt: skip


def digest(folder: Path) -> str:
    """Of the weights that a run ended with."""
    return hashlib.sha256((folder / "network.safetensors").read_bytes()).hexdigest()


def files(folder: Path) -> int:
    """How many lie in a folder and those in it."""
    try:
        return sum(path.is_file() for path in folder.rglob("*"))
    except FileNotFoundError:  # a folder went meanwhile
        return files(folder)


def killed(temporary: Path) -> dict[str, object]:
    """A run that nothing disturbs, and one that is killed and begun again."""
    more = ("--budget", "60% macs", "--epochs", "2", "--steps", "40", "--grid", "4", "--step", "0.12")
    whole, broken = temporary / "whole", temporary / "broken"
    assert job(whole, *more).wait() in (0, 1)
    draw, seen = random.Random(0), []
    while len(seen) < KILLS:
        process = job(broken, *more)
        goal = files(broken) + draw.randrange(1, 4)
        while process.poll() is None and files(broken) < goal:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 1))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        seen.append(files(broken))
    assert job(broken, *more).wait() in (0, 1)
    steps = [json.loads((folder / "result.json").read_text())["steps"] for folder in (whole, broken)]
    return {
        "kills": len(seen),
        "steps": len(steps[0]),
        "files_when_killed": seen,
        "same_filters": [step["removed"] for step in steps[0]] == [step["removed"] for step in steps[1]],
        "identical": digest(whole) == digest(broken),
    }


def processes(temporary: Path) -> dict[str, object]:
    """Seconds of the first step with one process and with two, and whether both came to the same network."""
    more = ("--budget", "80% macs", "--epochs", "1", "--steps", "50", "--grid", "8", "--judged-on", "1000")
    steps, weights = {}, {}
    for jobs in ("1", "2"):
        folder = temporary / jobs
        process = job(folder, *more, "--jobs", jobs, model="network:mobilenet", data=str(CIFAR10))
        while not (folder / "step-000.json").exists():
            assert process.poll() is None, f"ended with {process.returncode}"
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        steps[jobs] = json.loads((folder / "step-000.json").read_text())
        weights[jobs] = hashlib.sha256((folder / "step-000.safetensors").read_bytes()).hexdigest()
    return {
        "identical": weights["1"] == weights["2"] and steps["1"]["proposals"] == steps["2"]["proposals"],
        "proposals": len(steps["1"]["proposals"]),
        "seconds_of_step": {jobs: step["wall_s"] for jobs, step in steps.items()},
        "faster": steps["1"]["wall_s"] / steps["2"]["wall_s"],
    }


if __name__ == "__main__":
    main()
