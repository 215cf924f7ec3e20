"""`results/added-exits`: what it says is what the logits and energies that lie there give."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results" / "added-exits"
CLAIMS = json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def measure():
    spec = importlib.util.spec_from_file_location("added_exits_measure", RESULTS / "measure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("network", sorted({claim["id"].split(".")[1] for claim in CLAIMS if claim["id"].startswith("added.")}))
def test_the_page_says_what_the_logits_give(measure, network):
    mine = [claim for claim in CLAIMS if claim["id"].split(".")[1] == network]
    lines, found = measure.report(RESULTS / network)
    assert [claim["id"] for claim in found] == [claim["id"] for claim in mine]
    assert [claim["value"] for claim in found] == pytest.approx([claim["value"] for claim in mine], rel=1e-3)
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert all(line in page for line in lines if line.startswith("| layer"))
