"""Timeloop's own mappings through the front door: ``estimate --mapping FILE --counting timeloop``.

``test_timeloop_records.py`` checks the rules of counting; here a user's way is walked: a layer table and the text that
Timeloop printed go in, and the result's accesses are those of the record, level by level and tensor by tensor.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import picojoule

TENSORS = {"Weights": "weights", "Inputs": "inputs", "Outputs": "outputs"}


@pytest.fixture(scope="module")
def records(shared: Path) -> list[dict]:
    """The convolutions that Timeloop mapped onto eyeriss_like."""
    every = json.loads((shared / "references" / "timeloop" / "records.json").read_text())["records"]
    return [r for r in every if r["design"] == "eyeriss_like" and r["kind"] == "conv"]


def table_of(record: dict) -> dict:
    """The record's layer as a layer table; Timeloop's M is K, and it knows no padding."""
    dims = {("K" if letter == "M" else letter): size for letter, size in record["dims"].items()}
    return {"name": "replayed", "layers": [{"name": "layer", **dims, "stride": record["stride"]}]}


def replay(record: dict, folder: Path) -> picojoule.Estimate:
    """The estimate of the record's layer with the record's mapping, by Timeloop's counting."""
    table, mapping = folder / "layer.json", folder / "mapping.txt"
    table.write_text(json.dumps(table_of(record)))
    mapping.write_text(record["mapping"])
    return picojoule.estimate(table, hardware="eyeriss-like-45nm", mapping=mapping, counting="timeloop")


def differences(record: dict, result: picojoule.Estimate) -> list[str]:
    """Where the result's accesses are not the record's, a line each."""
    ours = {(a.level, a.tensor): (a.reads, a.writes, a.updates) for a in result.layers[0].by if a.level != "mac"}
    lines = []
    for level, tensors in record["levels"].items():
        for name, tensor in TENSORS.items():
            if name in tensors:
                entry = tensors[name]
                per_instance = (entry["sreads_per_inst"], entry["sfills_per_inst"], entry["supdates_per_inst"])
                theirs = tuple(round(count * entry["instances"]) for count in per_instance)
                if ours.get((level, tensor)) != theirs:
                    lines.append(f"{record['id']}: {level} {tensor}: {theirs}, ours {ours.get((level, tensor))}")
    return lines


def test_every_convolution_of_eyeriss_like_is_replayed(records: list[dict], tmp_path: Path) -> None:
    assert len(records) == 46
    wrong = []
    for record in records:
        result = replay(record, tmp_path)
        assert result.layers[0].status == "GIVEN"
        assert result.counting == "timeloop"
        wrong += differences(record, result)
        assert result.energy_pj == pytest.approx(record["energy_pj"], rel=1e-3)
    assert wrong == []


def test_a_difference_would_be_seen(records: list[dict], tmp_path: Path) -> None:
    record = json.loads(json.dumps(records[0]))
    result = replay(record, tmp_path)
    record["levels"]["shared_glb"]["Inputs"]["sreads_per_inst"] += 1
    assert len(differences(record, result)) == 1
