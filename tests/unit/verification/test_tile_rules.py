"""Rules for tiles stand in the result with the machine, and a mapping that breaks one is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.verified_results import network, put, rehashed

from picojoule.estimation import estimate
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import FanOut, Level, TileRule
from picojoule.result import Estimate
from picojoule.verification import verify, verify_document

RULES = {
    "weights_spad": (TileRule(tensor="weights", dim="R", all=True), TileRule(tensor="weights", dim="P", most=2)),
    "psum_spad": (TileRule(tensor="outputs", dim="K", least=2, most=2), TileRule(tensor="outputs", dim="C", most=1)),
}


@pytest.fixture(scope="module")
def result() -> Estimate:
    """Only Q and S are spread, so that the other dimensions are loops."""
    plain = load_hardware("eyeriss-normalized")

    def change(entry: Level | FanOut) -> Level | FanOut:
        if isinstance(entry, Level):
            return replace(entry, tiles=RULES.get(entry.name, ()))
        return replace(entry, axes=tuple(replace(axis, dims=("Q", "S")) for axis in entry.axes))

    return estimate(network(), hardware=replace(plain, hierarchy=tuple(map(change, plain.hierarchy))))


def refused(document: dict[str, Any]) -> dict[str, str]:
    return {check.name: check.message for check in verify_document(rehashed(document)).failed}


def test_it_holds_and_holds_the_rules(result: Estimate) -> None:
    assert verify(result).failed == ()
    tiles = {entry["level"]: entry["tiles"] for entry in result.hardware["hierarchy"] if "tiles" in entry}
    assert tiles == {
        "weights_spad": {"weights": {"P": "<= 2", "R": "all"}},
        "psum_spad": {"outputs": {"K": 2, "C": "<= 1"}},
    }


@pytest.mark.parametrize(
    ("level", "tiles", "check", "words"),
    [
        ("weights_spad", {"weights": {"R": "<= 2"}}, "mapping is legal", "has 3 of R, the rule is R <= 2"),
        ("psum_spad", {"outputs": {"K": "all"}}, "mapping is legal", "has 2 of K, the rule is K all"),
        ("psum_spad", {"outputs": {"K": "2"}}, "machine and table", "'2' is no rule for a tile"),
        ("GLB", {"weights": {"K": 2}}, "machine and table", "which the level 'GLB' does not hold"),
    ],
)
def test_a_rule_that_the_mapping_breaks_is_named(
    result: Estimate, level: str, tiles: dict[str, Any], check: str, words: str
) -> None:
    document = result.to_data()
    where = [entry.get("level") for entry in document["hardware"]["hierarchy"]].index(level)
    put(document, f"hardware.hierarchy[{where}].tiles", tiles)
    assert words in refused(document)[check]


def test_a_loop_moved_across_a_keep_is_noticed(result: Estimate) -> None:
    document = result.to_data()
    mapping = document["layers"][0]["mapping"]
    rows = next(i for i, node in enumerate(mapping) if node.get("for") == "R")
    keep = mapping.index({"keep": "weights", "at": "weights_spad"})
    assert keep < rows
    mapping.insert(keep, mapping.pop(rows))
    message = refused(document)["mapping is legal"]
    assert "the tile of weights in weights_spad has 1 of R, the rule is R all" in message
