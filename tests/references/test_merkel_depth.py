"""Merkel (arXiv 2011.08779): MACs and parameters of the CIFAR-10 networks of depth 1 to 11, exactly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.published import Figure, Table

from picojoule.workload import builtin_network


def table(shared: Path) -> Table:
    facts = json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))["merkel_depth"]
    rows = []
    for row in facts["rows"]:
        entry = dict(zip(facts["columns"], row, strict=True))
        network = builtin_network(f"merkel:L{entry['L']}")
        macs = entry["conv_MACs"] + entry["fc_MACs"]
        rows.append(Figure(what=f"depth {entry['L']}: MACs", published=macs, ours=network.macs, within=0))
        rows.append(Figure(what=f"depth {entry['L']}: parameters", published=entry["params"], ours=network.params, within=0))
    return Table(
        title="Merkel, arXiv 2011.08779: networks of depth 1 to 11",
        source="derived from the paper's architecture; its 2.6 million parameters of six networks are those of depths 1 to 6.",
        how="the built-in networks `merkel:L1` to `merkel:L11`.",
        figures=tuple(rows),
    )


def test_the_table(shared: Path) -> None:
    assert table(shared).complaints == []


@pytest.fixture(scope="module")
def depth_table(shared):
    table = json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))["merkel_depth"]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]], table["six_nets_params"]


def test_every_depth(depth_table):
    rows, _ = depth_table
    assert [row["L"] for row in rows] == list(range(1, 12))
    for row in rows:
        network = builtin_network(f"merkel:L{row['L']}")
        assert sum(layer.macs for layer in network.layers if layer.kind == "conv") == row["conv_MACs"]
        assert sum(layer.macs for layer in network.layers if layer.kind == "fc") == row["fc_MACs"]
        assert network.params == row["params"]


def test_relative_complexity(depth_table):
    """The paper's C_D: MACs relative to the deepest network considered."""
    rows, _ = depth_table
    for deepest in (6, 11):
        most = builtin_network(f"merkel:L{deepest}").macs
        for row in rows:
            share = builtin_network(f"merkel:L{row['L']}").macs / most
            assert round(share, 6) == row[f"C_D(max L={deepest})"]


def test_six_separate_networks(depth_table):
    assert sum(builtin_network(f"merkel:L{depth}").params for depth in range(1, 7)) == depth_table[1]
