"""What ``verify`` finds in results with groups when somebody changes them and makes the hash anew."""

from __future__ import annotations

import copy

import pytest
from support.chains import random_chain, small_machine

import picojoule
from picojoule.result import content_hash
from picojoule.verification import verify_document

EXACT = picojoule.Exact(time_limit_s=None, factors="exact")


@pytest.fixture(scope="module")
def document():
    result = picojoule.estimate(random_chain(4, 4), hardware=small_machine(6000), search=EXACT, fuse="auto", cache=False)
    assert result.groups
    return result.to_data()


def changed(document, path, value):
    data = copy.deepcopy(document)
    place = data
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    data["provenance"]["content_hash"] = content_hash(data)
    return verify_document(data)


def test_a_fused_result_verifies(document):
    assert verify_document(document).ok


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", "DRAM"), ("tile", {"rows": 1, "columns": 1}), ("tiles", 99), ("beside", True), ("taken_bits", [1]),
        ("macs_executed", 1), ("value", 1.0), ("bound", 1.0), ("floor_pj", 1.0), ("latency_cycles", 1.0), ("status", "GAP_OPEN"),
        ("layers", ["nobody", "else"]), ("name", "g9"),
    ],
)  # fmt: skip
def test_a_changed_group_is_found(document, key, value):
    assert not changed(document, ["groups", 0, key], value).ok


def test_a_changed_tile_is_found(document):
    index = next(i for i, row in enumerate(document["layers"]) if row["tiles"])
    tile = document["layers"][index]["tiles"][0]
    for key, value in (("count", tile["count"] + 1), ("pad", [9, 9, 9, 9]), ("mapping", tile["mapping"][:-1])):
        assert not changed(document, ["layers", index, "tiles", 0, key], value).ok
    assert not changed(document, ["layers", index, "group"], None).ok
    assert not changed(document, ["fusion", "unfused"], 1.0).ok
    assert not changed(document, ["groups"], []).ok
