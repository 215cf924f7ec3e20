"""A folder of one's own, a network small enough to be solved in a moment, and two ways to run the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import picojoule
from picojoule.cli.main import main

TINY = """\
name: tiny
layers:
  - {name: conv1, K: 16, C: 3, P: 16, Q: 16, R: 3, S: 3, pad: [1, 1, 1, 1]}
  - {name: fc, K: 10, C: 64}
"""

Run = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def kernels() -> None:
    """The search kernels lie in the cache: whoever compiles them says so on standard error."""
    from picojoule.search.compiling import compile_ahead, compiled

    if not compiled():
        compile_ahead()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty but for the layer table ``tiny.yaml``."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "PICOJOULE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs ``picojoule`` in this process: ``run("estimate", "tiny.yaml", …)``."""

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def estimate(run: Run) -> Run:
    """``picojoule estimate tiny.yaml --hardware eyeriss-normalized`` with more arguments."""
    return lambda *more: run("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized", *more)


@pytest.fixture
def command(folder: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``picojoule`` as a process of its own in the folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path(picojoule.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
    # Users' standard output is buffered: what it could not take comes up again when Python ends.
    environment.pop("PYTHONUNBUFFERED", None)

    def start(*arguments: object, **more: object) -> subprocess.Popen[str]:
        options: dict[str, object] = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": environment,
        }
        argv = [sys.executable, "-m", "picojoule", *(str(a) for a in arguments)]
        return subprocess.Popen(argv, cwd=folder, **(options | more))  # type: ignore[call-overload]

    return start
