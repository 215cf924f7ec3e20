"""`results/widths`: what it says is what the logits that lie there give."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from picojoule.train.digits import read_digits

RESULTS = Path(__file__).parents[2] / "results" / "widths"


def test_both_dials_save_more_than_each_alone():
    spec = importlib.util.spec_from_file_location("widths_measure", RESULTS / "measure.py")
    measure = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = measure
    spec.loader.exec_module(measure)
    found, before = measure.digits()
    lines, claims = measure.report(found, before, read_digits().test.labels)
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert all(line in page for line in lines)
    kept = {row["id"]: row["value"] for row in json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))}
    assert {row["id"]: row["value"] for row in claims} == pytest.approx(kept)
    both, depth, width = (found.cheapest(name, found.accuracy - 0.01) for name in ("both", "depth", "width"))
    assert found.saved(both) > max(found.saved(depth), found.saved(width)) + 0.1
