"""The wheel that a user would install: built from this checkout, looked into, unpacked elsewhere and run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support import onnx_exits
from support.bare_environment import environment, python

import picojoule
from picojoule.runtime import Session, export_bundle

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


# A bundle runs beside onnxruntime, numpy and Pillow, and nothing else -------------------------------------------------

SESSION_NEEDS = ("numpy", "onnxruntime", "pillow")
COMMAND_NEEDS = (*SESSION_NEEDS, "click", "rich")
ABSENT = ("torch", "onnx", "pydantic", "numba", "ruamel", "scipy", "onnxscript")
links_packages = pytest.mark.skipif(os.name != "posix", reason="links packages into an environment")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    source = onnx_exits.saved(folder / "net.onnx", onnx_exits.exits())
    export_bundle(source, folder / "net.bundle", confidence=0.8, preprocess="unit", labels=["a", "b", "c", "d"])
    np.savez(folder / "data.npz", image=onnx_exits.images(20))
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 10, 3), dtype=np.uint8)
    np.savez(folder / "pixels.npz", image=pixels)
    return folder


CODE = """
import importlib.util, json, sys
import numpy as np
from picojoule.runtime import Session
folder, absent = sys.argv[1], sys.argv[2].split(",")
there = [name for name in absent if importlib.util.find_spec(name)]
session = Session(f"{folder}/net.bundle", threads=1)
answer = session.run(np.load(f"{folder}/data.npz")["image"])
images = session.run(session.prepare(np.load(f"{folder}/pixels.npz")["image"]))
loaded = sorted({module.split(".")[0] for module in sys.modules} & set(absent))
print(json.dumps({"there": there, "loaded": loaded, "exits": answer.exits.tolist(), "outputs": answer.outputs[0].tolist(),
                  "images": images.outputs[0].tolist(), "top": answer.top(2)[0].tolist()}))
"""


@links_packages
def test_a_session_needs_onnxruntime_numpy_and_pillow_only(installed, bundle, tmp_path):
    told = json.loads(python(environment(tmp_path / "venv", installed, SESSION_NEEDS), "-c", CODE, bundle, ",".join((*ABSENT, "click", "rich"))))
    assert (told["there"], told["loaded"]) == ([], [])
    session = Session(bundle / "net.bundle", threads=1)
    with np.load(bundle / "data.npz") as data, np.load(bundle / "pixels.npz") as pixels:
        answer = session.run(data["image"])
        images = session.run(session.prepare(pixels["image"]))
    assert told["exits"] == answer.exits.tolist() and set(told["exits"]) == {0, 1, 2}
    # Here, where onnx is, stages are optimised together: the same sums in another order.
    np.testing.assert_allclose(told["outputs"], answer.outputs[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(told["images"], images.outputs[0], rtol=1e-4, atol=1e-6)
    assert told["top"] == answer.top(2)[0].tolist()


@links_packages
def test_the_command_needs_click_and_rich_beside_them(installed, bundle, tmp_path):
    interpreter = environment(tmp_path / "venv", installed, COMMAND_NEEDS)
    gone = "import importlib.util as i, sys; print([n for n in sys.argv[1].split(',') if i.find_spec(n)])"
    assert python(interpreter, "-c", gone, ",".join(ABSENT)).strip() == "[]"
    text = python(interpreter, "-m", "picojoule", "run", bundle / "net.bundle", "--input", bundle / "data.npz", "--format", "json")
    data = json.loads(text)
    with np.load(bundle / "data.npz") as found:
        answer = Session(bundle / "net.bundle").run(found["image"])
    assert [sample["exit"] for sample in data["samples"]] == answer.exits.tolist()
    assert "20 samples" in python(interpreter, "-m", "picojoule", "run", bundle / "net.bundle", "--input", bundle / "data.npz")
