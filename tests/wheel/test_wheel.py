"""The wheel that a user would install: built from this checkout, looked into, unpacked elsewhere and run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import picojoule

CHECKOUT = Path(__file__).parents[2]
CATALOG = "picojoule/hardware/catalog"


def run(*command: object, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    ran = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # With the build backend at hand nothing is downloaded; without it pip fetches one.
    at_hand = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *at_hand, "--wheel-dir", folder, CHECKOUT)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder into which the wheel alone was installed; its dependencies are those of this interpreter."""
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


def files_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_its_name_bears_the_version(wheel):
    assert wheel.name == f"picojoule-{picojoule.__version__}-py3-none-any.whl"


def test_it_installs_exactly_one_top_level_name(wheel):
    metadata = f"picojoule-{picojoule.__version__}.dist-info"
    assert {name.split("/")[0] for name in files_in(wheel)} == {"picojoule", metadata}


def test_it_carries_every_file_of_the_package_and_no_others(wheel):
    package = CHECKOUT / "src" / "picojoule"
    here = {
        f"picojoule/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in files_in(wheel) if name.startswith("picojoule/")} == here


def test_it_carries_types_machines_and_licence(wheel):
    names = files_in(wheel)
    machines = {f"{CATALOG}/eyeriss-normalized.yaml", f"{CATALOG}/eyeriss-like-45nm.yaml"}
    tables = {"picojoule/hardware/tables/horowitz-45nm.yaml"}
    assert {"picojoule/py.typed", *machines, *tables} <= names
    assert {"LICENSE", "NOTICE"} <= {name.rpartition("/")[2] for name in names if ".dist-info/" in name}


def test_pytest_finds_the_fixture_of_an_installed_copy(installed, tmp_path):
    (tmp_path / "test_x.py").write_text("def test_x(energy_budget):\n    assert energy_budget.against\n", encoding="utf-8")
    told = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path, PYTHONPATH=str(installed))
    assert "1 passed" in told


def test_its_command_runs_from_the_installed_copy(installed):
    (script,) = (installed / "bin").glob("picojoule*") if os.name == "posix" else (installed / "Scripts").glob("picojoule*")
    assert "estimate" in run(script, "--help", PYTHONPATH=str(installed))
    told = run(sys.executable, "-c", "import picojoule; print(picojoule.__file__)", PYTHONPATH=str(installed))
    assert Path(told.strip()).is_relative_to(installed)


def test_its_module_runs_and_finds_its_machines(installed):
    assert "estimate" in run(sys.executable, "-m", "picojoule", "--help", PYTHONPATH=str(installed))
    code = "import picojoule; print(picojoule.load_hardware('eyeriss-like-45nm').name)"
    assert run(sys.executable, "-c", code, PYTHONPATH=str(installed)).strip() == "eyeriss-like-45nm"
