"""Eyeriss, JSSC 2017, Table III: how the chip was set up for AlexNet, PEs in use and room in the buffer.

The parameters become a mapping on ``eyeriss-v1`` (``support/row_stationary.py``); it is legal there, so the machine's axes
and rules let the chip's own row-stationary mappings through, and its tiles take the room that the paper states. Parameters
and sizes are recalled; the PEs in use are found, in Table V.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.eyeriss_chip import CONFIGURATIONS, layer, run
from support.published import Figure, Table
from support.row_stationary import mapping_of

from picojoule.errors import MappingError
from picojoule.hardware import load_hardware
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.search.costed import evaluate
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact

ACTIVE_PES = {"conv1": 154, "conv2": 135, "conv3": 156, "conv4": 156, "conv5": 156}
IFMAP_KB = {"conv1": 15.52, "conv2": 3.75, "conv3": 7.03, "conv4": 10.55, "conv5": 10.55}
PSUM_KB = {"conv1": 72.19, "conv2": 91.12, "conv3": 84.5, "conv4": 84.5, "conv5": 84.5}


def table() -> Table:
    rows = []
    for name, pes in ACTIVE_PES.items():
        rows.append(Figure(what=f"{name}: PEs in use", published=pes, ours=run(name).active_pes, within=0))
    for tensor, sizes in (("inputs", IFMAP_KB), ("outputs", PSUM_KB)):
        what = "inputs" if tensor == "inputs" else "partial sums"
        for name, kb in sizes.items():
            ours = run(name).room_kb(tensor)
            rows.append(Figure(what=f"{name}: {what} in the buffer", published=kb, ours=ours, unit="KiB", within=2e-3))
    return Table(
        title="Eyeriss, JSSC 2017, Table III: mapping of AlexNet",
        source="PEs in use found (nn_dataflow, tests against the chip); parameters and sizes by memory, corroborated: they give these PEs.",
        how="the table's m, n, e, p, q, r, t as a mapping on `eyeriss-v1`, checked by the machine's rules; tiles as `legality` measures them.",
        figures=tuple(rows),
    )


def test_the_table() -> None:
    assert table().complaints == []


def test_the_figures_are_those_on_file(shared: Path) -> None:
    facts = json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))["eyeriss_jssc2017_table3_mapping"]
    for row in facts["rows"]:
        entry = dict(zip(facts["columns"], row, strict=True))
        name = entry["layer"].lower()
        assert [getattr(CONFIGURATIONS[name], letter) for letter in "mnepqrt"] == [entry[letter] for letter in "mnepqrt"]
        assert (IFMAP_KB[name], PSUM_KB[name]) == (entry["GLB_ifmap_kB"], entry["GLB_psum_kB"])


def test_the_buffer_holds_both() -> None:
    for name in CONFIGURATIONS:
        assert run(name).room_kb("inputs") + run(name).room_kb("outputs") <= 100


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_chip_s_mapping_is_one_that_the_search_beats(name: str) -> None:
    """By 2 to 4 %, even with exact factors; the chip's conv2 folds 27 rows into 14 and 13."""
    nest, mapping = layer(name)
    chip = load_hardware("eyeriss-v1")
    found = search_layer(nest, chip, chip.bits, "energy", Exact(time_limit_s=None, factors="exact"))
    assert found.status == "PROVED"
    assert 1.015 < evaluate(nest, chip, chip.bits, mapping).energy / found.value < 1.045


def test_another_dataflow_is_refused() -> None:
    """The rules bite: all rows of a filter in one PE, or a tile of weights that meets half a row of outputs."""
    nest, _ = layer("conv3")
    mapping = mapping_of(nest, replace(CONFIGURATIONS["conv3"], q=1))
    chip = load_hardware("eyeriss-v1")
    check_legal(nest, chip, mapping)
    spread = Spread("R", 1, "PE", "y")
    without = [node for node in mapping.nodes if node != spread]
    below = without.index(Keep("psum_spad", "outputs"))
    rows = [*without[:below], Loop("R", 1), *without[below:]]
    above = mapping.nodes.index(Keep("weights_buffer", "weights"))
    halves = [*mapping.nodes[:above], Loop("Q", 7), Loop("K", 16), *mapping.nodes[above:]]
    for nodes, message in ((rows, "ifmap_spad wants R"), (halves, "weights_spad wants Q all")):
        with pytest.raises(MappingError, match=message):
            check_legal(nest, chip, Mapping(tuple(nodes)))


def test_a_wrong_configuration_would_be_seen() -> None:
    nest, _ = layer("conv3")
    chip = load_hardware("eyeriss-v1")
    with pytest.raises(MappingError, match="holds 192 bits"):
        check_legal(nest, chip, mapping_of(nest, replace(CONFIGURATIONS["conv3"], q=5)))
    assert run("conv3", configuration=replace(CONFIGURATIONS["conv3"], t=2)).active_pes == 78
