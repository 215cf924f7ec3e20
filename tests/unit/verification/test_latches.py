"""A result on a machine with latches is verified like any other, and a tile that is too large for one is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.verified_results import network, put, rehashed

from picojoule.estimation import estimate
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import operand_latch
from picojoule.result import Estimate
from picojoule.search.policy import Exact
from picojoule.verification import verify, verify_document
from picojoule.workload.nest import TENSORS


@pytest.fixture(scope="module")
def result() -> Estimate:
    plain = load_hardware("eyeriss-normalized")
    machine = replace(plain, hierarchy=(*plain.hierarchy, operand_latch("operands", TENSORS)))
    return estimate(network(), hardware=machine, search=Exact(factors="exact"))


def refused(document: dict[str, Any]) -> dict[str, str]:
    return {check.name: check.message for check in verify_document(rehashed(document)).failed}


def test_it_holds(result: Estimate) -> None:
    assert verify(result).failed == ()
    rows = [access for access in result.layers[0].by if access.level == "operands"]
    assert [access.tensor for access in rows] == list(TENSORS)
    assert all(access.energy_pj == 0.0 and access.reads > 0 for access in rows)
    assert result.by_level()["operands"] == 0.0


def test_a_tile_of_more_than_one_element_is_refused(result: Estimate) -> None:
    for tensor in TENSORS:
        document = result.to_data()
        mapping = document["layers"][0]["mapping"]
        keep = mapping.pop(mapping.index({"keep": tensor, "at": "operands"}))
        spad = max(i for i, n in enumerate(mapping) if n.get("keep") == tensor)
        mapping.insert(spad + 1, keep)
        message = refused(document).get("mapping is legal", "")
        assert f"the latch operands holds one element of {tensor}, the tile has" in message, (tensor, mapping)


def test_what_a_latch_is_said_to_keep_can_not_be_changed(result: Estimate) -> None:
    place = len(result.hardware["hierarchy"]) - 1
    for path, value in ((f"[{place}].latch", "other"), (f"[{place}].keeps", ["weights", "inputs"])):
        document = result.to_data()
        put(document, f"hardware.hierarchy{path}", value)
        assert refused(document), path


def test_a_refill_that_is_left_out_is_noticed(result: Estimate) -> None:
    document = result.to_data()
    row = next(a for a in document["layers"][0]["by"] if (a["level"], a["tensor"]) == ("operands", "weights"))
    row["writes"] -= 1
    assert "operands, weights: writes is" in refused(document)["access counts and energy"]
