"""Python environments with a few packages and nothing else, made without a download.

An environment is a new one without pip; what it may import is linked into it from this interpreter's packages.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path


def closure(names: tuple[str, ...]) -> set[str]:
    """Names of distributions with all that they require, extras left out."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = re.match(r"[\w.-]+", pending.pop()).group().lower().replace("_", "-")
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # what is required on other systems only
        found.add(name)
        pending += [one for one in requires if "extra ==" not in one]
    return found


def environment(folder: Path, installed_at: Path, needs: tuple[str, ...]) -> Path:
    """A new environment with picojoule's wheel and what ``needs`` names; the path of its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in closure(needs):
        files = importlib.metadata.files(name) or []
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__", "bin")}:
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    (site / "picojoule").symlink_to(installed_at / "picojoule")
    return folder / "bin" / "python"


def python(interpreter: Path, *arguments: object) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ran = subprocess.run(
        [str(interpreter), *map(str, arguments)], capture_output=True, text=True, check=False, env={**clean, "PYTHONIOENCODING": "utf-8"}
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
