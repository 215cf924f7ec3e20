"""Every claim again: run the commands behind the figures in a copy of the checkout, and compare.

    python results/verify.py                     # all folders
    python results/verify.py merkel tickets      # some

A claim of ``claims.json`` names its value, its tolerance, the command that gives it, and its kind: ``exact`` (follows from
files of the folder) and ``sampled`` (from committed weights on real images) are measured again here; ``timing`` is a ratio
of this machine's or another's, and ``trained`` takes the training again: both are counted, not run. Exit code 1: a figure
differs, is gone, or its command failed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICOJOULE_SHARED", ROOT.parent / "shared")).resolve()
AGAIN = ("exact", "sampled")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="of results/; all that hold claims, if none is named")
    asked = parser.parse_args()
    folders = [path.parent.name for path in sorted(ROOT.glob("results/*/claims.json"))]
    if unknown := [name for name in asked.folders if name not in folders]:
        parser.error(f"no claims in {', '.join(unknown)}; there are: {', '.join(folders)}")
    return 1 if sum([differing(name) for name in asked.folders or folders]) else 0


def differing(folder: str) -> int:
    """Claims of a folder that don't hold when measured again; each is printed."""
    before = claims(ROOT, folder)
    commands = list(dict.fromkeys(claim["command"] for claim in before if claim["kind"] in AGAIN))
    began, wrong = time.perf_counter(), []
    with tempfile.TemporaryDirectory(prefix="picojoule-claims-") as place:
        checkout = Path(place) / "checkout"
        for part in ("src", "results", "benchmarks", "tests/support"):
            shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "journal"))
        if SHARED.is_dir():
            (Path(place) / "shared").symlink_to(SHARED)
        for command in commands:
            wrong += failure(command, checkout)
        after = {claim["id"]: claim["value"] for claim in claims(checkout, folder)}
    for claim in before:
        if claim["kind"] in AGAIN and not agree(claim["value"], after.get(claim["id"]), claim["tolerance"]):
            got = after.get(claim["id"], "nothing")
            wrong.append(f"{claim['id']}: {claim['value']} {claim['unit']} is claimed, {got} measured")
    again = sum(claim["kind"] in AGAIN for claim in before)
    took = time.perf_counter() - began
    print(f"{folder}: {again} of {len(before)} claims measured again in {took:.0f} s, {len(wrong)} differ", flush=True)
    for line in wrong:
        print(f"  {line}", flush=True)
    return len(wrong)


def claims(checkout: Path, folder: str) -> list[dict[str, Any]]:
    """What a folder claims."""
    return json.loads((checkout / "results" / folder / "claims.json").read_text(encoding="utf-8"))


def failure(command: str, checkout: Path) -> list[str]:
    """Run a command as from the root of the checkout; why it failed, if it did."""
    program, *arguments = shlex.split(command)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(checkout / "src"), str(checkout / "tests")))}
    ran = subprocess.run(
        [sys.executable if program == "python" else program, *arguments],
        cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return [f"{command} ended with {ran.returncode}: {ran.stderr.strip()[-300:]}"] if ran.returncode else []


def agree(claimed: object, measured: object, tolerance: float) -> bool:
    """Whether two values are the same: numbers to a tolerance of the larger one or of 1, all else literally."""
    if isinstance(claimed, (int, float)) and isinstance(measured, (int, float)):
        return math.isclose(claimed, measured, rel_tol=tolerance, abs_tol=tolerance)
    return claimed == measured


if __name__ == "__main__":
    sys.exit(main())
