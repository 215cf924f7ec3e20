"""Importing picojoule and asking it for help loads nothing heavy.

Each case runs in an interpreter of its own, because this one has loaded everything already.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import picojoule

HEAVY = ("torch", "onnx", "pandas", "altair", "matplotlib", "numba", "numpy", "pydantic")
HELP = "import sys; sys.argv = ['picojoule', '--help']\nfrom picojoule.cli.main import main\ntry: main()\nexcept SystemExit: pass"


def loaded_by(code: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded once ``code`` has run."""
    report = f"\nimport sys\nprint('\\nLOADED', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    source = str(Path(picojoule.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", code + report],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": source, "PYTHONIOENCODING": "utf-8"},
    )
    assert ran.returncode == 0, ran.stderr
    words = ran.stdout.splitlines()[-1].split()
    assert words[0] == "LOADED"
    return set(words[1:])


def test_import_picojoule_is_light():
    assert loaded_by("import picojoule; picojoule.PicojouleError; dir(picojoule); picojoule.__version__") == set()


def test_help_is_light():
    assert loaded_by(HELP) == set()


def test_help_was_really_printed(capsys):
    """So that the test above can't pass because nothing ran."""
    from picojoule.cli.main import main

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(sys, "argv", ["picojoule", "--help"])
        raise SystemExit(main())
    assert stopped.value.code in (0, None)
    assert "estimate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import picojoule, numpy", {"numpy"}),
        (f"{HELP}\nimport pydantic", {"pydantic"}),
        ("import picojoule\nimport numpy\nimport pydantic", {"numpy", "pydantic"}),
    ],
)
def test_the_test_can_fail(code, heavy):
    assert heavy <= loaded_by(code)
