"""``picojoule compare``: forms of output, exit codes, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from support import sample_estimates

from picojoule.result_file import read_result, write_result


@pytest.fixture
def saved(folder):
    """Two machines under two tables, of which the second turns the ranking round if ``flipped``."""

    def write(*, flipped: bool = False) -> list[str]:
        base = sample_estimates.estimate()
        figures = {"a.t1": 1.0, "b.t1": 2.0, "a.t2": 5.0, "b.t2": 4.0 if flipped else 6.0}
        for name, energy_pj in figures.items():
            hardware, table = {**base.hardware, "name": name[0]}, {**base.table, "name": name[2:]}
            one = replace(base, hardware=hardware, table=table, energy_pj=energy_pj)
            write_result(one, folder / f"{name}.json")
        return [f"{name}.json" for name in figures]

    return write


def test_a_ranking_that_survives_is_0_and_one_that_does_not_is_1(run, saved):
    ran = run("compare", *saved())
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "the ranking survives the change of table: 2 tables agree" in ran.stdout
    ran = run("compare", *saved(flipped=True))
    assert (ran.exit_code, ran.stderr) == (1, "")
    assert "a beats b under t1, not under t2" in ran.stdout


def test_nothing_to_rank_is_0(run, saved):
    ran = run("compare", *saved()[:2])
    assert ran.exit_code == 0
    assert "rankings need results of two machines" in ran.stdout


def test_json_is_one_document(run, saved):
    ran = run("compare", *saved(flipped=True), "--format", "json")
    document = json.loads(ran.stdout)
    assert ran.exit_code == 1
    assert document["schema"] == "picojoule/comparison/1"
    assert [result["energy_ratio"] for result in document["results"]] == [1.0, 2.0, 5.0, 4.0]
    assert document["flips"] == [{"better": "a", "worse": "b", "under": "t1", "not_under": "t2"}]
    assert document["survives"] is False


def test_csv_is_tidy(run, saved):
    names = saved()
    rows = list(csv.DictReader(io.StringIO(run("compare", *names, "--format", "csv").stdout)))
    assert [row["result"] for row in rows if row["place"] == "total"] == names
    assert {row["place"] for row in rows} == {*read_result(names[0]).by_level(), "total"}
    assert [float(row["ratio"]) for row in rows if row["place"] == "total"] == [1.0, 2.0, 5.0, 6.0]


def test_markdown_and_files(run, saved, folder):
    names = saved()
    on_stdout = run("compare", *names, "--format", "md").stdout
    assert on_stdout.startswith("## toynet, batch 1\n")
    assert run("compare", *names, "--format", "md", "-o", "out.md").stdout == ""
    assert (folder / "out.md").read_text(encoding="utf-8") == on_stdout
    assert run("compare", *names, "--format", "md", "-o", "out.md").exit_code == 2


def test_other_networks_are_2_and_broken_files_3(run, saved, folder):
    names = saved()
    write_result(replace(read_result(names[0]), model="othernet"), folder / "other.json")
    ran = run("compare", names[0], "other.json")
    assert ran.exit_code == 2
    assert "other.json: the network othernet cannot be compared with toynet of a.t1.json" in ran.stderr
    assert run("compare", names[0]).exit_code == 2
    assert run("compare").exit_code == 2
    assert run("compare", names[0], "none.json").exit_code == 2
    (folder / "broken.json").write_text("{")
    ran = run("compare", names[0], "broken.json", "--format", "json")
    assert ran.exit_code == 3
    assert json.loads(ran.stdout)["error"]["code"] == "result_file"


def test_a_figure_that_grew_too_much_is_1(run, saved):
    a, b, *_ = saved()
    ran = run("compare", a, b, "--fail-on", "energy:+2%")
    assert (ran.exit_code, ran.stderr) == (1, "")
    assert "✗ energy of B is +100 % against A: the limit is +2 %" in ran.stdout
    assert run("compare", b, a, "--fail-on", "energy:+2%", "--fail-on", "latency:0%").exit_code == 0
    document = json.loads(run("compare", a, b, "--fail-on", "energy:+2%", "--format", "json").stdout)
    assert document["regressions"] == [{"figure": "energy", "limit": 0.02, "result": 1, "change": 1.0, "failed": True}]
    assert len(document["layers"]) == 13
    page = run("compare", a, b, "--fail-on", "energy:+2%", "--format", "md").stdout
    assert "- ✗ energy of B is +100 % against A" in page
    assert page.count("| layer1.0.conv1 ") == 1


def test_all_layers_with_v(run, saved):
    a, b, *_ = saved()
    assert "3 more differ less: -v shows all" in run("compare", a, b).stdout
    assert "layer2.0.downsample.0.convolution" in run("compare", a, b, "-v").stdout


def test_from_estimates_to_an_answer(run):
    for machine in ("eyeriss-normalized", "eyeriss-like-45nm"):
        for table in ("accelergy-45nm", "eyeriss-normalized-65nm"):
            more = ("--table", table, "--factors", "exact", "-q")
            assert run("estimate", "tiny.yaml", "--hardware", machine, *more).exit_code == 0
    names = [
        f"tiny.{machine}.{table}.json"
        for table in ("accelergy-45nm", "eyeriss-normalized-65nm")
        for machine in ("eyeriss-normalized", "eyeriss-like-45nm")
    ]
    document = json.loads(run("compare", *names, "--format", "json").stdout)
    assert [ranking["unit"] for ranking in document["rankings"]] == ["pJ", "mac16"]
    assert document["results"][2]["energy_ratio"] is None
