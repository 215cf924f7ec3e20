"""Datasheets: where each row comes from, what is missing and why that misleads, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import sample_estimates

import picojoule
from picojoule.analysis.about import KEYS, about_of
from picojoule.analysis.datasheet import datasheet
from picojoule.errors import DatasheetError, UnknownNameError, UsageError
from picojoule.reporting import datasheet_csv, datasheet_data, datasheet_markdown, datasheet_text


@pytest.fixture(scope="module")
def result():
    search = picojoule.Exact(time_limit_s=None, factors="exact")
    return picojoule.estimate("merkel:L2", hardware="eyeriss-v1", batch=2, search=search)


def chip(sheet):
    return {entry.key: entry for entry in sheet.chip}


def network(sheet, index=0):
    return {entry.key: entry for entry in sheet.networks[index]}


def test_rows_of_the_chip(result):
    rows = chip(datasheet([result]))
    bits = 8 * 1024 * (100 + 8) + 168 * (12 + 224 + 24) * 16
    assert (rows["area"].value, rows["area"].unit) == (12.25, "mm²")
    assert (rows["memory"].value, rows["memory_per_multiplier"].value) == (bits / 8192, bits / 8192 / 168)
    assert (rows["multipliers"].value, rows["clock"].value) == (168, 200.0)
    assert rows["area_per_multiplier"].value == 12.25 / 168


def test_rows_of_a_network(result):
    rows = network(datasheet([result]))
    assert rows["runtime"].value == result.latency_s * 1e3
    assert rows["off_chip"].value == result.dram_bytes / 2 / 1e6
    whole, outside = result.energy_pj, result.by_level()["DRAM"]
    assert rows["power_with_memory"].value == pytest.approx(whole / result.latency_s * 1e-9)
    assert rows["power"].value == pytest.approx((whole - outside) / result.latency_s * 1e-9)
    assert (rows["batch"].value, rows["weight_bits"].value, rows["layers"].value) == (2, 16, "all: conv ×1, fc ×1")
    assert "clock tree and control left out" in rows["power"].remark


def test_what_is_missing_says_why_that_misleads():
    bare = picojoule.estimate("merkel:L1", hardware="eyeriss-normalized")
    sheet = datasheet([bare])
    gone = {entry.key: entry.missing for entry in (*sheet.chip, *sheet.networks[0]) if entry.value is None}
    expected = {
        "area",
        "area_per_multiplier",
        "clock",
        "accuracy",
        "metric",
        "dataset",
        "difficulty",
        "runtime",
        "power",
    }
    assert set(gone) >= {*expected, "power_with_memory", "images"}
    assert all(len(why) > 20 for why in gone.values())
    text = " ".join(datasheet_text(sheet, width=80, color=False).split())
    assert "missing: cost is mostly area: without it, speed may have been bought with silicon" in text
    assert all(entry.missing == "" for entry in (*sheet.chip, *sheet.networks[0]) if entry.value is not None)


def test_what_is_given_counts_and_the_model_s_own_stands_beside_it(result):
    sheet = datasheet([result], about=[{"power": "278 mW", "accuracy": 0.8, "metric": "top-1", "images": 100}])
    rows = network(sheet)
    assert (rows["power"].value, rows["power"].origin) == (pytest.approx(278), "given")
    assert rows["power"].modelled == network(datasheet([result]))["power"].value
    assert (rows["accuracy"].value, rows["metric"].value, rows["images"].value) == (80.0, "top-1", 100)
    assert network(datasheet([replace(result, accuracy=0.7)]))["accuracy"].origin == "result"


def test_images_matter_for_energy_where_zeros_do(result):
    dense = picojoule.estimate("merkel:L1", hardware="tpu-v1")
    assert "energy depends on the zeros" in network(datasheet([result]))["images"].missing
    assert "nothing of this machine depends on the data" in network(datasheet([dense]))["images"].missing


def test_several_networks_on_one_machine(result):
    other = picojoule.estimate("merkel:L1", hardware="eyeriss-v1")
    sheet = datasheet([result, other], about=[{"accuracy": 0.7}, {"accuracy": 0.6}])
    assert [network(sheet, i)["accuracy"].value for i in (0, 1)] == [70.0, 60.0]
    assert [network(sheet, i)["model"].value for i in (0, 1)] == ["merkel:L2", "merkel:L1"]
    both = datasheet([result, other], about=[{"accuracy": 0.7}])
    assert network(both, 1)["accuracy"].value == 70.0
    assert len(datasheet_csv(sheet).splitlines()) == 1 + 8 + 2 * 15
    assert datasheet_data(sheet)["schema"] == "picojoule/datasheet/1"
    assert datasheet_markdown(sheet).count("| Accuracy, %") == 1


def test_results_of_several_machines_are_refused(result):
    with pytest.raises(UsageError, match=r"of one machine, got results of several: eyeriss-v1, tpu-v1"):
        datasheet([result, picojoule.estimate("merkel:L1", hardware="tpu-v1")])
    with pytest.raises(UsageError, match="at least one result"):
        datasheet([])
    with pytest.raises(UsageError, match="2 files about 1 results"):
        datasheet([result], about=[{}, {}])


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("accuracy: 80%\nacuracy: 80%\n", "2: acuracy", "unknown key 'acuracy'", "Did you mean 'accuracy'?"),
        ("runtime: 115.3 MS\n", "1: runtime", "'115.3 MS' is not a time: unknown unit 'MS'", "Did you mean 'ms'?"),
        ("images: many\n", "1: images", "expected a whole number, got 'many'", ""),
        ("method: guessed\n", "1: method", "unknown method 'guessed'", "Did you mean 'measured'?"),
        ("accuracy: true\n", "1: accuracy", "expected one value, got True", ""),
    ],
)
def test_a_file_about_that_is_wrong_says_where(tmp_path, text, line, message, hint):
    path = tmp_path / "about.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasheetError) as caught:
        about_of(path)
    assert (caught.value.where, caught.value.message) == (f"{path}:{line}", message)
    assert caught.value.hint.startswith(hint)


def test_about_from_elsewhere(tmp_path):
    with pytest.raises(UnknownNameError):
        about_of(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="unknown key 'x'"):
        about_of({"x": 1})
    assert about_of(None) == about_of({})
    assert len(KEYS) == 13


@pytest.mark.parametrize("width", range(60, 200, 20))
def test_no_line_is_wider_than_the_terminal(result, width):
    named = replace(result, model="a-very-long-name-of-a-network" * 3)
    text = datasheet_text(datasheet([named, result], about=[{"dataset": "x" * 90}]), width=width, color=False)
    assert max(map(len, text.splitlines())) <= width


def test_hostile_names_stay_text():
    base = sample_estimates.estimate()
    hardware = picojoule.estimate("merkel:L1", hardware="eyeriss-v1").hardware
    page = datasheet_markdown(datasheet([replace(base, model="<img src=x>|\x1b[1m", hardware=hardware)]))
    assert "<img" not in page and "\x1b" not in page
