"""``results/*/claims.json``: every claim says how it was come by, and ``results/verify.py`` finds one that isn't true."""

from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
CLAIMS = sorted(ROOT.glob("results/*/claims.json"))
SCRIPT = """
import json, pathlib, sys
here = pathlib.Path(__file__).parent
measured = json.loads((here / "measured.json").read_text())
claims = json.loads((here / "claims.json").read_text())
(here / "claims.json").write_text(json.dumps([claim | {"value": measured[claim["id"]]} for claim in claims if claim["id"] in measured]))
sys.exit(3 if "fail" in measured else 0)
"""

pytestmark = pytest.mark.skipif(not CLAIMS, reason="results/ lies beside the tests in a checkout only")


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.parent.name)
def test_every_claim_is_complete(path):
    claims = json.loads(path.read_text(encoding="utf-8"))
    assert claims and len({claim["id"] for claim in claims}) == len(claims)
    for claim in claims:
        assert {"id", "value", "unit", "tolerance", "kind", "artefact", "command"} <= set(claim), claim["id"]
        assert claim["kind"] in {"exact", "sampled", "timing", "trained"}
        assert (ROOT / claim["artefact"]).exists()
        assert (ROOT / shlex.split(claim["command"])[1]).is_file()


@pytest.fixture
def verify(tmp_path) -> ModuleType:
    """The script, in a checkout of one folder whose command writes what ``measured.json`` holds."""
    spec = importlib.util.spec_from_file_location("verify", ROOT / "results" / "verify.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for part in ("src", "benchmarks", "tests/support", "results/one"):
        (tmp_path / part).mkdir(parents=True)
    module.ROOT = tmp_path
    (tmp_path / "results/one/measure.py").write_text(SCRIPT, encoding="utf-8")
    kinds = {"a": "exact", "b": "sampled", "c": "timing"}
    claims = [
        {"id": name, "value": 1.0, "unit": "%", "tolerance": 1e-3, "kind": kind, "command": "python results/one/measure.py"}
        for name, kind in kinds.items()
    ]
    (tmp_path / "results/one/claims.json").write_text(json.dumps(claims), encoding="utf-8")
    return module


@pytest.mark.parametrize(
    ("measured", "wrong"),
    [
        ({"a": 1.0, "b": 1.0005, "c": 1.0}, []),
        ({"a": 1.0, "b": 1.0, "c": 7.0}, []),
        ({"a": 1.0, "b": 1.01, "c": 1.0}, ["b: 1.0 % is claimed, 1.01 measured"]),
        ({"a": 1.0, "c": 1.0}, ["b: 1.0 % is claimed, nothing measured"]),
        ({"a": 1.0, "b": 1.0, "fail": 1}, ["ended with 3"]),
    ],
)
def test_a_claim_that_is_not_true_is_found(verify, tmp_path, capsys, measured, wrong):
    (tmp_path / "results/one/measured.json").write_text(json.dumps(measured), encoding="utf-8")
    before = (tmp_path / "results/one/claims.json").read_bytes()
    assert verify.differing("one") == len(wrong)
    told = capsys.readouterr().out
    assert "2 of 3 claims" in told and all(line in told for line in wrong)
    assert (tmp_path / "results/one/claims.json").read_bytes() == before, "the checkout itself is left as it was"
