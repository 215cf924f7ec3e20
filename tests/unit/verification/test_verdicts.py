"""``verify`` passes what is right and says of what is wrong what it is and what would be right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.verified_results import HOMES, KINDS, network, nodes, put, rehashed

from picojoule.errors import PicojouleError
from picojoule.estimation import estimate
from picojoule.result_file import write_result
from picojoule.search.policy import Exact
from picojoule.verification import verify, verify_document


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_holds(results, kind):
    verification = verify(results[kind])
    assert verification.failed == ()
    assert verification.ok
    assert {check.where for check in verification.checks} >= {"", "conv1", "conv2", "pool", "fc"}


@pytest.mark.parametrize(("objective", "hardware"), [("latency", "eyeriss-like-45nm"), ("edp", "eyeriss-normalized")])
def test_results_for_other_objectives_hold(objective, hardware):
    assert verify(estimate(network(), hardware=hardware, objective=objective)).failed == ()


def test_a_result_with_a_gap_holds():
    result = estimate(network(), hardware="eyeriss-like-45nm", search=Exact(node_limit=1))
    assert result.status == "GAP_OPEN"
    assert verify(result).failed == ()


def test_the_file_and_the_estimate_are_checked_alike(results, tmp_path):
    write_result(results["energy"], tmp_path / "a.json")
    assert verify(tmp_path / "a.json") == verify(str(tmp_path / "a.json")) == verify(results["energy"])


def test_unknown_keys_of_a_file_are_under_the_hash(results, tmp_path):
    document = {**results["energy"].to_data(), "added_later": 1}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert [check.name for check in verify(path).failed] == ["content hash"]
    path.write_text(json.dumps(rehashed(document)), encoding="utf-8")
    assert verify(path).ok


def test_what_cannot_be_derived_is_named(results):
    names = {check.name for check in verify(results["energy"]).checks}
    assert any(name.startswith("bound: order only") for name in names)
    assert not any("not re-derived" in name for name in names)
    assert any("counts not re-derived" in check.name for check in verify(results["timeloop"]).checks)


def failing(document: dict[str, Any]) -> dict[str, str]:
    """The message of every check that fails, the hash aside, by name."""
    return {check.name: check.message for check in verify_document(rehashed(document)).failed}


@pytest.mark.parametrize(
    ("path", "value", "name", "words"),
    [
        ("layers[0].by[0].reads", 5, "access counts and energy", "reads is 5, re-derived"),
        ("layers[0].by[0].level", "nowhere", "access counts and energy", "a row for nowhere"),
        ("layers[0].macs", 5, "MACs and parameters", "macs is 5, the nest has 1,296"),
        ("layers[0].params", 107, "MACs and parameters", "params is 107, the nest alone has 108 weights"),
        ("layers[0].latency_cycles", 5.0, "latency", "latency_cycles is 5.0, re-derived"),
        ("layers[0].floor_pj", 5.0, "floor", "floor_pj is 5.0, re-derived"),
        ("layers[0].gap", 0.5, "status and gap", "gap is 0.5, re-derived 0.0"),
        ("layers[0].status", "GAP_OPEN", "status and gap", "without a gap"),
        ("layers[0].status", "SURE", "status and gap", "none of PROVED"),
        ("layers[0].bound_by", "luck", "bound by", "most energy goes to"),
        ("layers[0].energy_pj", 5.0, "sums", "its rows add up to"),
        ("layers[0].bits.weights", 0, "widths and runs", "from 1 to 64"),
        ("layers[0].dims.P", 0, "mapping is legal", "P must be a whole number of at least 1"),
        ("layers[0].dims.P", 10**12, "mapping is legal", "larger than a re-count takes on"),
        ("layers[0].stride[0]", 10**9, "mapping is legal", "larger than a re-count takes on"),
        ("layers[0].zeros", {"weights": 0.5}, "zeros", "conv1: zeros of weights are 0.5"),
        ("sparsity", "measured", "zeros", "sparsity is 'measured' over None samples"),
        ("layers[0].group", "g1", "nothing that isn't modelled", "conv1: group"),
        ("layers[1].same_as", None, "equal layers", "the first equal layer is 'conv1'"),
        ("layers[1].energy_pj", 5.0, "equal layers", "differs from 'conv1' in energy_pj"),
        ("layers[2].moved.read", 49, "layers without nest", "reads is 48, re-derived 49"),
        ("layers[2].macs", 1, "layers without nest", "has no MACs"),
        ("layers", [], "what was asked", "no layers"),
        ("accuracy", 0.99, "nothing that isn't modelled", "accuracy"),
        ("batch", 0, "what was asked", "batch is 0"),
        ("objective", "beauty", "what was asked", "objective is 'beauty'"),
        ("macs", 5, "sums over layers", "the layers add up to"),
        ("dram_bytes", 5.0, "totals", "dram_bytes is 5.0"),
        ("status", "GAP_OPEN", "status of the network", "the layers' make it PROVED"),
        ("coverage.macs", 0.5, "coverage", "share of macs is 0.5"),
        ("coverage.not_costed", 7, "coverage", "not_costed lists None"),
        ("coverage.vector_ops_not_priced", [], "coverage", "the layers have {'MaxPool': ['pool']}"),
        ("coverage", {}, "coverage", "has the keys []"),
        ("hardware.hierarchy[0].level", "DRAMA", "mapping is legal", "which the machine doesn't have"),
        ("hardware.hierarchy[1].capacity", "16 bit", "mapping is legal", "it has 16"),
        ("hardware.mac", {}, "machine and table", "hardware"),
        ("hardware", {}, "machine and table", "hardware"),
        ("table.unit", "J", "machine and table", "the table is"),
    ],
)
def test_a_change_is_named_with_what_would_be_right(results, path, value, name, words):
    document = results["energy"].to_data()
    put(document, path, value)
    failed = failing(document)
    assert words in failed[name]


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("LOOPS", "weights are not kept at DRAM"),
        ("HOMES KEEPS", "K ends in chunks of 4"),
        ("x@DRAM", "keeps 'x'"),
        ("HOMES LOOPS KEEPS weights@moon", "'moon', which the machine doesn't have"),
        ("HOMES LOOPS KEEPS weights@GLB", "doesn't hold them"),
        ("HOMES K5*1", "cuts 4 of K into chunks of 5"),
        ("HOMES K2*3", "says 3 chunks, 4 of K in 2s is 2"),
        ("HOMES Y1*4", "unknown dimension"),
        ("HOMES K0*4", "has tile 0"),
        ("HOMES K1*4:z C1*3 P1*4 Q1*3 R1*3 S1*3 KEEPS", "PE.z, which the machine doesn't have"),
        ("HOMES K1*4:x C1*3:x P1*4:x Q1*3 R1*3 S1*3 KEEPS", "14 positions, the mapping spreads over 48"),
        ("HOMES LOOPS weights@weights_spad inputs@ifmap_spad inputs@GLB", "an inner level outside an outer one"),
        ("HOMES LOOPS KEEPS inputs@ifmap_spad", "twice"),
        ("HOMES LOOPS weights@weights_spad inputs@GLB", "inputs are not kept at ifmap_spad"),
        ("LOOPS HOMES KEEPS", "doesn't stand on top"),
        ("HOMES KEEPS LOOPS", "the tiles in ifmap_spad take"),
    ],
)
def test_an_illegal_mapping_is_refused_by_the_rule_that_it_breaks(results, mapping, words):
    document = results["energy"].to_data()
    keeps = "weights@weights_spad inputs@GLB inputs@ifmap_spad outputs@GLB outputs@psum_spad"
    text = mapping.replace("HOMES", HOMES).replace("KEEPS", keeps).replace("LOOPS", "K1*4 C1*3 P1*4 Q1*3 R1*3 S1*3")
    document["layers"][0]["mapping"] = nodes(text)
    assert words in failing(document)["mapping is legal"]


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"keep": "weights"},
        {"keep": "weights", "at": 7},
        {"keep": ["weights"], "at": "DRAM"},
        {"for": "K", "tile": 2},
        {"for": ["K"], "tile": 2, "count": 2},
        {"for": "K", "tile": 2.0, "count": 2},
        {"for": "K", "tile": True, "count": 4},
        {"for": "K", "tile": 2, "count": 2, "also": 1},
        {"spread": "K", "tile": 2, "count": 2, "fanout": None, "axis": "x"},
    ],
)
def test_a_malformed_node_is_refused(results, node):
    document = results["energy"].to_data()
    document["layers"][0]["mapping"].insert(3, node)
    assert "node 3" in failing(document)["mapping is legal"]


def test_a_mapping_of_endless_length_is_refused(results):
    document = results["energy"].to_data()
    document["layers"][0]["mapping"] += [{"for": "K", "tile": 1, "count": 1}] * 2000
    assert "longer than a re-count takes on" in failing(document)["mapping is legal"]


def test_a_missing_file_is_an_error_and_no_verification(tmp_path):
    with pytest.raises(PicojouleError):
        verify(tmp_path / "nothing.json")
