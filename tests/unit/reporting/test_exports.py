"""Exports of results: tidy rows that add up, Parquet with types, BibTeX, and who may ask for what."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import replace

import pandas
import pyarrow.parquet
import pytest
from support import sample_estimates

import picojoule
from picojoule.errors import MissingExtraError, OutputExistsError, ResultFileError, UnknownNameError, UsageError
from picojoule.reporting import exports
from picojoule.reporting.exports import targets
from picojoule.result_file import write_result


@pytest.fixture
def result(tmp_path):
    write_result(sample_estimates.estimate(), tmp_path / "r.json")
    return tmp_path / "r.json"


@pytest.fixture
def other(tmp_path):
    base = sample_estimates.estimate(unit="mac16")
    write_result(replace(base, model="other", batch=2), tmp_path / "o.json")
    return tmp_path / "o.json"


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_for_each_layer_level_and_tensor_and_they_add_up(result, tmp_path):
    rows = rows_of(picojoule.export(result, to="csv", output=tmp_path / "r.csv"))
    estimate = sample_estimates.estimate()
    assert len(rows) == sum(len(layer.by) for layer in estimate.layers)
    assert len({(row["layer"], row["level"], row["tensor"]) for row in rows}) == len(rows)
    assert math.fsum(float(row["energy_pj"]) for row in rows) == estimate.energy_pj
    assert {(row["model"], row["unit"], row["batch"]) for row in rows} == {("toynet", "pJ", "1")}


def test_several_results_stack(result, other, tmp_path):
    rows = rows_of(picojoule.export([result, other], to="csv", output=tmp_path / "both.csv"))
    assert {(row["model"], row["unit"], row["batch"]) for row in rows} == {
        ("toynet", "pJ", "1"),
        ("other", "mac16", "2"),
    }


def test_parquet_is_the_csv_with_types(result, other, tmp_path):
    table = picojoule.export([result, other], to="parquet", output=tmp_path / "both.parquet")
    frame = pandas.read_parquet(table)
    rows = rows_of(picojoule.export([result, other], to="csv", output=tmp_path / "both.csv"))
    assert list(frame.columns) == list(rows[0])
    assert [str(frame[name].dtype) for name in ("batch", "reads", "energy_pj", "bits", "raw_pj")] == [
        "int64", "int64", "float64", "float64", "float64",
    ]  # fmt: skip
    assert frame["energy_pj"].tolist() == [float(row["energy_pj"]) for row in rows]
    assert frame["layer"].tolist() == [row["layer"] for row in rows]
    whole = frame[frame.model == "toynet"].groupby("level").energy_pj.sum()
    assert whole["DRAM"] == pytest.approx(sample_estimates.estimate().by_level()["DRAM"])


def test_parquet_says_what_the_results_are(result, tmp_path):
    path = picojoule.export(result, to="parquet", output=tmp_path / "r.parquet")
    (about,) = json.loads(pyarrow.parquet.read_schema(path).metadata[b"picojoule"])
    assert (about["model"], about["schema"]) == ("toynet", "picojoule/estimate/1")


def test_counts_beyond_64_bits_survive(tmp_path):
    base = sample_estimates.estimate()
    first = base.layers[0]
    huge = replace(
        base, layers=(replace(first, by=(replace(first.by[0], reads=2**70), *first.by[1:])), *base.layers[1:])
    )
    frame = pandas.read_parquet(picojoule.export(huge, to="parquet", output=tmp_path / "h.parquet"))
    assert frame["reads"].max() == 2.0**70


def test_parquet_names_the_extra_that_it_needs(result, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        picojoule.export(result, to="parquet", output=tmp_path / "r.parquet")
    assert caught.value.hint == "pip install 'picojoule[report]'"
    assert not (tmp_path / "r.parquet").exists()


def test_bibtex_is_what_cite_says(result, tmp_path):
    path = picojoule.export(result, to="bibtex", output=tmp_path / "r.bib")
    assert path.read_text(encoding="utf-8") == picojoule.cite(result)


def test_the_datasheet_in_every_form(tmp_path):
    estimate = picojoule.estimate("merkel:L1", hardware="eyeriss-v1")
    starts = {
        "table": "eyeriss-v1\n chip",
        "md": "## eyeriss-v1",
        "csv": "hardware,network,key",
        "json": '{\n "schema": "picojoule/datasheet/1"',
    }
    for form, start in starts.items():
        path = picojoule.export(estimate, to="datasheet", output=tmp_path / form, form=form, about={"accuracy": 0.6})
        assert path.read_text(encoding="utf-8").startswith(start)
        assert "60" in path.read_text(encoding="utf-8")


def test_every_target_is_a_file_with_a_meaning():
    assert set(targets()) >= {"bibtex", "csv", "datasheet", "onnx", "parquet"}
    for name, target in targets().items():
        assert target.name == name
        assert target.meaning.endswith(".")
        assert (target.text is None) != (target.write is None)
        assert all(option.help.endswith(".") for option in target.options)


def test_what_is_refused(result, other, tmp_path):
    with pytest.raises(UnknownNameError) as unknown:
        picojoule.export(result, to="parket", output=tmp_path / "x")
    assert unknown.value.hint.startswith("Did you mean 'parquet'?")
    with pytest.raises(UsageError, match="bibtex takes one source, got 2"):
        picojoule.export([result, other], to="bibtex", output=tmp_path / "x")
    with pytest.raises(UsageError, match="csv takes no argument 'about'"):
        picojoule.export(result, to="csv", output=tmp_path / "x", about="y")
    with pytest.raises(UsageError, match="csv has no form 'md'"):
        picojoule.export(result, to="csv", output=tmp_path / "x", form="md")
    with pytest.raises(OutputExistsError):
        picojoule.export(result, to="csv", output=other)
    with pytest.raises(UsageError, match="is an input"):
        picojoule.export(result, to="csv", output=result, force=True)
    with pytest.raises(ResultFileError):
        picojoule.export(tmp_path / "none.json", to="csv", output=tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert picojoule.export(result, to="csv", output=other, force=True) == other


def test_a_target_may_write_a_folder_and_report_of_it(result, tmp_path, monkeypatch):
    """As a bundle of files does: it is told whether to replace what is there, and in which form to report."""
    asked = {}

    def write(sources, output, **options):
        asked.update(options, sources=sources)
        output.mkdir(exist_ok=options["force"])
        return "done"

    option = exports.Option(name="labels", help="Names.")
    folder = exports.Target(name="folder", meaning="A folder.", folder=True, forms=("table", "json"), options=(option,), write=write)
    monkeypatch.setattr(exports, "targets", lambda: {"folder": folder})
    assert picojoule.export(result, to="folder", output=tmp_path / "f", labels="x").is_dir()
    assert asked == {"form": "table", "width": exports.PLAIN_WIDTH, "color": False, "force": False, "labels": "x", "sources": (result,)}
    with pytest.raises(FileExistsError):
        picojoule.export(result, to="folder", output=tmp_path / "f")
    picojoule.export(result, to="folder", output=tmp_path / "f", force=True, form="json")
    assert asked["form"] == "json"
