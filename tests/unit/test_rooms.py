"""The rooms of picojoule stand in one line, and each imports only from those before it.

The rule is data (``ROOMS``, ``SEES_ONLY``, ``SEEN_ONLY_BY``, ``LIBRARIES``); ``offences`` reads the imports of a tree and
names every line that breaks it. The second half of this file shows on made-up trees that each rule can be broken.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import picojoule

PACKAGE = Path(picojoule.__file__).parent
CHECKOUT = Path(__file__).parents[2]

ROOMS = (
    "errors", "version", "units", "atomic_file", "jobs", "workload", "certificate", "hardware", "mapping", "cost", "search", "frontends", "result", "result_file", "estimation",
    "verification", "analysis", "runtime", "train", "compress", "exits", "study", "reporting", "pytest_plugin", "cli",
)  # fmt: skip
"""A room may import only rooms that stand before it."""

SEES_ONLY = {
    "errors": frozenset(),
    "version": frozenset(),
    "atomic_file": frozenset({"errors"}),
    "units": frozenset({"errors"}),
    "jobs": frozenset({"errors", "version", "units", "atomic_file"}),
    "certificate": frozenset({"errors", "atomic_file", "workload"}),
    "verification": frozenset(
        {"errors", "units", "workload", "certificate", "hardware", "result", "result_file", "atomic_file"}
    ),
}
"""Rooms that see less than what stands before them. Verification must not share the bugs that it hunts."""

SEEN_ONLY_BY = {"reporting": frozenset({"cli", "pytest_plugin"})}
"""Rooms that are seen by fewer than those that stand after them."""

LIBRARIES = {
    "torch": frozenset({"frontends", "train", "compress", "exits"}),
    "onnx": frozenset({"frontends", "runtime", "compress", "exits"}),
    "click": frozenset({"cli"}),
}
"""Libraries that only some rooms may import."""

FROM_THE_TOP = frozenset({"errors", "version"})
"""Rooms that the package's own ``__init__`` may import while it loads."""

LAZY = frozenset({"torch"})
"""Libraries that are imported inside the function that needs them, never while a module loads."""


class Import(NamedTuple):
    """One imported module, as it stands in a file; ``loading``: it happens while that file is being imported."""

    line: int
    module: str
    loading: bool


def imports(path: Path, module: str) -> Iterator[Import]:
    """Every import in a file, wherever it stands, ``importlib.import_module("…")`` included."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    pending: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)), True)]
    while pending:
        node, loading = pending.pop()
        match node:
            case ast.Import(names=names):
                yield from (Import(node.lineno, name.name, loading) for name in names)
            case ast.ImportFrom(names=names, level=level):
                base = node.module or ""
                if level:
                    above = package.split(".")[: len(package.split(".")) - level + 1]
                    base = ".".join([*above, base]) if base else ".".join(above)
                yield from (Import(node.lineno, f"{base}.{name.name}", loading) for name in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _called(func) in ("import_module", "__import__"):
                yield Import(node.lineno, name, loading)
        if isinstance(node, ast.If) and _called(node.test) == "TYPE_CHECKING":
            pending += [(child, False) for child in node.body] + [(child, loading) for child in node.orelse]
        else:
            inside = loading and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            pending += [(child, inside) for child in ast.iter_child_nodes(node)]


def _called(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def offences(package: Path) -> list[str]:
    """One line for each import under ``package`` that breaks the rule of rooms, in order of file and line."""
    found = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        parts = [package.name, *relative.with_suffix("").parts]
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for line, target, loading in sorted(imports(path, module)):
            complaint = _complaint(parts[1], target.split("."), loading, package.name)
            if complaint:
                found.append(f"{relative.as_posix()}:{line}: {complaint}")
    return found


def _complaint(room: str, target: list[str], loading: bool, package: str) -> str:
    """What is wrong with ``room`` importing ``target``; empty if nothing is."""
    if room == "__main__":
        return ""
    if room != "__init__" and room not in ROOMS:
        return f"{room} is no room"
    library = target[0]
    if library != package:
        if library in LIBRARIES and room not in LIBRARIES[library]:
            return f"{room} may not import {library}"
        if library in LAZY and loading:
            return f"{library} must be imported inside a function"
        return ""
    seen = target[1] if len(target) > 1 else ""
    if room == "__init__":
        return f"the top imports {seen} while it loads" if loading and seen not in FROM_THE_TOP else ""
    if seen == room:
        return ""
    if seen not in ROOMS:
        return f"{room} imports {seen or package}, which is no room"
    if ROOMS.index(seen) > ROOMS.index(room):
        return f"{room} imports {seen}, which stands after it"
    if room in SEES_ONLY and seen not in SEES_ONLY[room]:
        return f"{room} may not see {seen}"
    if seen in SEEN_ONLY_BY and room not in SEEN_ONLY_BY[seen]:
        return f"{seen} is not for {room} to see"
    return ""


def test_every_import_keeps_to_the_rule_of_rooms():
    assert offences(PACKAGE) == []


def test_every_room_on_disk_was_read():
    on_disk = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert on_disk - {"__init__", "__main__"} <= set(ROOMS)
    assert {"errors", "workload", "hardware", "mapping"} <= on_disk


def test_the_tables_speak_of_rooms():
    named = [SEES_ONLY, SEEN_ONLY_BY, *SEES_ONLY.values(), *SEEN_ONLY_BY.values(), *LIBRARIES.values()]
    assert {room for rooms in named for room in rooms} <= set(ROOMS)
    assert len(set(ROOMS)) == len(ROOMS)


def test_contributing_tells_the_same_order():
    guide = CHECKOUT.joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
    told = re.search(r"errors, version, units → .*?→ cli", guide, re.DOTALL)
    assert told, "CONTRIBUTING.md no longer tells the order of the rooms"
    assert tuple(re.findall(r"\w+", told.group())) == ROOMS


@pytest.mark.parametrize(
    ("file", "code", "complaint"),
    [
        ("cost/a.py", "from picojoule.search import b", "1: cost imports search, which stands after it"),
        ("cost/a.py", "import picojoule.cli.main", "1: cost imports cli, which stands after it"),
        ("cost/a.py", "from ..search.b import c", "1: cost imports search, which stands after it"),
        ("cost/__init__.py", "from ..search import b", "1: cost imports search, which stands after it"),
        ("estimation.py", "from .reporting import b", "1: estimation imports reporting, which stands after it"),
        ("cost/a.py", "def f():\n    from picojoule import search", "2: cost imports search, which stands after it"),
        ("cost/a.py", "class A:\n    import picojoule.search as s", "2: cost imports search, which stands after it"),
        ("cost/a.py", "if TYPE_CHECKING:\n    import picojoule.search", "2: cost imports search, which stands after it"),
        ("cost/a.py", "import_module('picojoule.search.b')", "1: cost imports search, which stands after it"),
        ("cost/a.py", "x = importlib.import_module('picojoule.search')", "1: cost imports search, which stands after it"),
        ("mapping/deep/a.py", "from ...cost import b", "1: mapping imports cost, which stands after it"),
        ("errors.py", "import picojoule.units", "1: errors imports units, which stands after it"),
        ("jobs/a.py", "\nimport picojoule.errors\nimport picojoule.cost", "3: jobs imports cost, which stands after it"),
        ("verification.py", "from picojoule.mapping.mapping import Loop", "1: verification may not see mapping"),
        ("verification.py", "from picojoule.cost import traffic", "1: verification may not see cost"),
        ("verification.py", "def f():\n    import picojoule.search", "2: verification may not see search"),
        ("verification.py", "from picojoule.frontends import a", "1: verification may not see frontends"),
        ("verification.py", "from picojoule.estimation import a", "1: verification may not see estimation"),
        ("estimation.py", "import picojoule", "1: estimation imports picojoule, which is no room"),
        ("estimation.py", "from picojoule import estimate", "1: estimation imports estimate, which is no room"),
        ("attic/a.py", "import picojoule.errors", "1: attic is no room"),
        ("__init__.py", "from picojoule.search import Exact", "1: the top imports search while it loads"),
        ("cost/a.py", "def f():\n    import torch", "2: cost may not import torch"),
        ("frontends/a.py", "import torch.nn", "1: torch must be imported inside a function"),
        ("frontends/a.py", "try:\n    from torch import nn\nexcept ImportError:\n    pass", "2: torch must be imported inside a function"),
        ("workload/a.py", "import onnx", "1: workload may not import onnx"),
        ("reporting/a.py", "from click import echo", "1: reporting may not import click"),
    ],
)
def test_a_broken_rule_is_found(tmp_path, file, code, complaint):
    _write(tmp_path, file, code)
    assert offences(tmp_path / "picojoule") == [f"{file}:{complaint}"]


def test_a_room_seen_by_few_is_kept_from_the_rest(tmp_path, monkeypatch):
    monkeypatch.setitem(SEEN_ONLY_BY, "analysis", frozenset({"reporting"}))
    _write(tmp_path, "reporting/a.py", "import picojoule.analysis")
    _write(tmp_path, "study/a.py", "import picojoule.analysis")
    assert offences(tmp_path / "picojoule") == ["study/a.py:1: analysis is not for study to see"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("search/a.py", "from . import b\nfrom .b import c\nfrom picojoule.cost import traffic\nimport numpy, picojoule.errors"),
        ("verification.py", "from picojoule import errors, hardware, result, units, workload"),
        ("reporting/a.py", "from picojoule.analysis import roofline"),
        ("cli/a.py", "import click, picojoule.reporting.terminal\nfrom picojoule.verification import verify"),
        ("frontends/a.py", "def f():\n    import torch"),
        ("frontends/a.py", "if TYPE_CHECKING:\n    import torch"),
        ("__init__.py", "import picojoule.errors\nif TYPE_CHECKING:\n    from picojoule.search import Exact"),
        ("__main__.py", "from picojoule.cli.main import main"),
        ("cost/a.py", "'import picojoule.cli'\nx = load('picojoule.cli')"),
    ],
)
def test_what_the_rule_allows_is_let_through(tmp_path, file, code):
    _write(tmp_path, file, code)
    assert offences(tmp_path / "picojoule") == []


def _write(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / "picojoule" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
