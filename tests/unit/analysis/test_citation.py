"""What to cite: the papers behind every machine and table that comes with picojoule, and sources of one's own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from support import sample_estimates

from picojoule import cite
from picojoule.analysis.citation import papers
from picojoule.hardware import catalogue_names
from picojoule.hardware.tables import table_names
from picojoule.result_file import write_result


def of(machine="toy", table="t", **changes):
    base = sample_estimates.estimate()
    hardware, prices = {**base.hardware, "name": machine}, {**base.table, "name": table}
    return replace(base, **{"hardware": hardware, "table": prices, **changes})


def keys(text):
    return re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)


@pytest.mark.parametrize("name", catalogue_names())
def test_a_paper_is_behind_every_machine(name):
    assert any(f"machine:{name}" in paper.used_by for paper in papers())


@pytest.mark.parametrize("name", table_names())
def test_a_paper_is_behind_every_table(name):
    assert any(f"table:{name}" in paper.used_by for paper in papers())


def test_papers_are_behind_what_exists():
    named = {what for paper in papers() for what in paper.used_by}
    known = {f"machine:{name}" for name in catalogue_names()} | {f"table:{name}" for name in table_names()}
    assert {what for what in named if not what.startswith("method:")} <= known


def test_the_papers_of_a_result():
    text = cite(of("eyeriss-v1", "eyeriss-normalized-65nm-pj"))
    cited = ["picojoule", "machine", "energy-table", "chen2017eyeriss", "chen2016eyeriss", "manasi2020neupart"]
    assert keys(text) == [*cited, "sze2017survey", "eyexam"]
    assert "used-by" not in text
    assert "parashar2019timeloop" in keys(cite(of(counting="timeloop")))
    assert "xilinx-pg338" in keys(cite(of("dpu-v2:B1152")))


def test_a_machine_of_ones_own_is_cited_by_its_source():
    text = cite(
        of(
            "edge_npu",
            "ours 100%",
            hardware={**sample_estimates.HARDWARE, "name": "edge_npu", "description": "a {b} \\c"},
        )
    )
    assert r"title     = {edge\_npu}" in text
    assert r"note      = {a \{b\} \textbackslash{}c}" in text
    assert r"title     = {ours 100\%}" in text


def test_braces_are_balanced_and_keys_differ():
    for name in catalogue_names():
        text = cite(of(name, "horowitz-45nm"))
        assert len(keys(text)) == len(set(keys(text)))
        for entry in re.split(r"\n(?=@)", text):
            depth = 0
            for c in re.sub(r"\\.", "", entry):
                depth += (c == "{") - (c == "}")
                assert depth >= 0
            assert depth == 0


def test_files(tmp_path):
    write_result(of(), tmp_path / "r.json")
    assert cite(tmp_path / "r.json") == cite(str(tmp_path / "r.json")) == cite(of())
