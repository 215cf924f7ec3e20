"""``results/lookup_table``: the claims follow from what was measured, and keep the targets."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "results" / "lookup_table"
MEDIAN, WORST = 0.05, 0.15
SEEDS = (0, 1, 2)


def read(name: str) -> Any:
    if not FOLDER.parent.is_dir():
        pytest.skip("a source distribution has no results/; a checkout has")
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_claims_follow_and_keep_the_targets(seed: int) -> None:
    run = read(f"seed{seed}.json")
    claims = {claim["id"]: claim["value"] for claim in read("claims.json")}
    errors = [abs(one["foretold_s"] / one["measured_s"] - 1) for one in run["networks"]]
    assert len(errors) == 50 and run["seed"] == seed
    assert claims[f"lookup_table.seed{seed}.median"] == pytest.approx(statistics.median(errors), rel=1e-9)
    assert claims[f"lookup_table.seed{seed}.worst"] == pytest.approx(max(errors), rel=1e-9)
    assert statistics.median(errors) <= MEDIAN and max(errors) <= WORST


@pytest.mark.parametrize("seed", SEEDS)
def test_nearly_all_layers_were_interpolated_and_every_network_is_another(seed: int) -> None:
    run = read(f"seed{seed}.json")
    assert run["layers_on_grid"] < 0.1 * run["layers"]
    assert run["shapes_measured"] < 0.3 * run["layers"]
    assert len({tuple(one["widths"]) for one in run["networks"]}) == 50
