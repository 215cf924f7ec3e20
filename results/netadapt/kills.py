"""Two claims on the digits: killed at random moments an adaptation ends with the same bits; two processes make the same network, how much sooner.

    python results/netadapt/kills.py
"""

from __future__ import annotations

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

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KILLS = 5


def main() -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}

    def job(folder: Path, steps: int, *more: str) -> subprocess.Popen[bytes]:
        words = [
            "adapt", "support.digit_network:untrained", "--folder", str(folder), "--data", "digits", "--grid", "4",
            "--budget", "50% macs", "--step", "0.06", "--epochs", "3", "--steps", str(steps), *more,
        ]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "picojoule", *words], env=environment, start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as temporary:
        whole, broken, both = (Path(temporary, name) for name in ("whole", "broken", "both"))
        began = time.monotonic()
        assert job(whole, 200).wait() in (0, 1)
        took = time.monotonic() - began
        draw, kills, steps = random.Random(0), 0, []
        while kills < KILLS:
            process = job(broken, 200)
            time.sleep(took * draw.uniform(0.15, 0.5))
            if process.poll() is not None:
                break
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            steps.append(len(list(broken.glob("step-*.json"))))
        assert job(broken, 200).wait() in (0, 1)
        assert job(both, 200, "--jobs", "2").wait() in (0, 1)
        digests = [hashlib.sha256((f / "network.safetensors").read_bytes()).hexdigest() for f in (whole, broken, both)]
        seconds = [
            sum(step["wall_s"] for step in json.loads((f / "result.json").read_text())["steps"]) for f in (whole, both)
        ]
        found = {
            "kills": kills,
            "steps_done_when_killed": steps,
            "killed_is_identical": digests[0] == digests[1],
            "two_processes_are_identical": digests[0] == digests[2],
            "seconds_of_steps": seconds,
            "two_processes_faster": seconds[0] / seconds[1],
            "cpus": os.cpu_count(),
            "load": os.getloadavg()[0],
        }
    (HERE / "kills.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
